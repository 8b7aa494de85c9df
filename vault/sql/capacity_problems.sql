-- What the newest measurement of each target ($1, NULL: all) within the 7 days before $2 could not measure.
SELECT latest.target_name, latest.measurement_timestamp, latest.problem
  FROM (SELECT DISTINCT ON (h.target_name, h.tenant_hk) h.target_name, s.measurement_timestamp, s.additional_context ->> 'error' AS problem
          FROM monitoring.system_health_metric_h h
          JOIN monitoring.system_health_metric_s s USING (health_metric_hk)
         WHERE s.metric_name = 'capacity_unmeasured'
           AND s.load_end_date IS NULL
           AND s.measurement_timestamp <= $2
           AND s.measurement_timestamp > $2::timestamptz - interval '7 days'
           AND ($1::text IS NULL OR h.target_name = $1)
         ORDER BY h.target_name, h.tenant_hk, s.measurement_timestamp DESC, s.load_date DESC) AS latest
 WHERE latest.problem IS NOT NULL
 ORDER BY latest.target_name
