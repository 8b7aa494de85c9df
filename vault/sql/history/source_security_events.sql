-- The inputs of security_events at each of a series of looks, as monitoring.security_inputs() gives them.
-- $1: the first look; $2: seconds between looks; $3: how many; $4: target; $5: tenant; $6: seconds of the look-back.
WITH happened (at, severity) AS (
    SELECT s.event_timestamp, s.event_severity
      FROM monitoring.security_event_s s
      JOIN monitoring.security_event_h h USING (security_event_hk)
     WHERE s.load_end_date IS NULL AND s.investigation_status IS DISTINCT FROM 'FALSE_POSITIVE'
       AND h.target_name = $4::text AND (h.tenant_hk IS NULL OR h.tenant_hk = $5::bytea)
       AND s.event_timestamp > $1::timestamptz - interval '1 hour'
    UNION ALL
    -- That somebody looked, and found nothing perhaps.
    SELECT DISTINCT d.detected_at, NULL
      FROM monitoring.security_detection d
     WHERE d.target_name = $4::text AND d.findings IS NOT NULL AND d.detected_at > $1::timestamptz - interval '1 hour'
),
counted AS (
    SELECT n, count(*) FILTER (WHERE severity IN ('HIGH', 'CRITICAL')) AS high, count(*) FILTER (WHERE severity = 'CRITICAL') AS critical, count(severity) AS events
      FROM happened
     CROSS JOIN LATERAL generate_series(
               greatest(0, ceil(extract(epoch FROM at - $1::timestamptz) / $2::numeric)::integer),
               least($3::integer, ceil((extract(epoch FROM at - $1::timestamptz) + 3600) / $2::numeric)::integer) - 1) AS n
     WHERE $6::float8 IS NOT NULL
     GROUP BY n
)
SELECT c.n, i.name, i.value::text
  FROM counted c
 CROSS JOIN LATERAL (VALUES ('high_severity_event_count', c.high), ('critical_event_count', c.critical), ('event_count', c.events)) AS i (name, value)
