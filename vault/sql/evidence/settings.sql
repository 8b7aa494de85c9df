-- file: settings.csv
-- about: The settings of the monitoring itself, such as how long a table is kept: every version that stood in the period.
SELECT h.monitor_config_bk AS setting,
       s.config_name AS name,
       s.config_type AS type,
       s.config_category AS category,
       s.config_value AS value,
       s.is_enabled AS enabled,
       s.config_description AS description,
       h.tenant_hk AS tenant_key,
       s.last_updated_by,
       s.record_source AS recorded_by,
       s.load_date AS recorded_from,
       CASE WHEN s.load_end_date < @period_to THEN s.load_end_date END AS recorded_until
  FROM monitoring.monitor_config_s s
  JOIN monitoring.monitor_config_h h USING (monitor_config_hk)
 WHERE s.load_date < @period_to
   AND (s.load_end_date IS NULL OR s.load_end_date > @period_from)
 ORDER BY h.monitor_config_bk COLLATE "C", s.load_date
