-- Every alert that opened in the period [$1, $2), was answered or ended in it, or is open at its end, as it
-- stood at $2: the newest version of which the change had happened by then. For a period that ends now
-- that is the current version, and so the guide's Alert Summary is counted from these rows. An alert that
-- fired again and went on lasted from its first opening to its last end, and was answered when it first was.
WITH chosen AS MATERIALIZED (
    SELECT s.alert_instance_hk
      FROM monitoring.alert_instance_s s
     WHERE s.load_end_date IS NULL
       AND s.triggered_timestamp < $2
       AND s.triggered_timestamp >= $1
    UNION
    SELECT s.alert_instance_hk
      FROM monitoring.alert_instance_s s
     WHERE s.load_end_date IS NULL
       AND s.triggered_timestamp < $1
       AND (s.resolved_timestamp IS NULL OR s.resolved_timestamp >= $1)
)
SELECT monitoring.alert_short_id(h.alert_instance_hk) AS short_id,
       coalesce(v.urgency_level, d.alert_severity, 'LOW') AS severity,
       v.alert_status, h.target_name, d.alert_name, d.alert_category,
       v.triggered_timestamp,
       a.acknowledged_timestamp AS acknowledged_at,
       coalesce(a.acknowledged_by, '') AS acknowledged_by,
       CASE WHEN v.resolved_timestamp < $2 THEN v.resolved_timestamp END AS resolved_at,
       coalesce(v.resolved_by, '') AS resolved_by,
       coalesce(v.false_positive, false) AS false_positive,
       -- When it first needed somebody; NULL: a suppression window hid it to its end.
       o.opened_at
  FROM chosen c
  JOIN monitoring.alert_instance_h h USING (alert_instance_hk)
  JOIN monitoring.alert_definition_s d ON d.alert_definition_hk = h.alert_definition_hk AND d.load_end_date IS NULL
  JOIN LATERAL (
           SELECT s.*
             FROM monitoring.alert_instance_s s
            WHERE s.alert_instance_hk = h.alert_instance_hk
            -- A version written by hand may not say when its change happened: then when it was known counts.
            ORDER BY coalesce(s.changed_at, s.load_date) < $2 DESC, s.load_date DESC
            LIMIT 1) AS v ON true
  LEFT JOIN LATERAL (
           SELECT s.acknowledged_timestamp, s.acknowledged_by
             FROM monitoring.alert_instance_s s
            WHERE s.alert_instance_hk = h.alert_instance_hk AND s.acknowledged_timestamp < $2
            ORDER BY s.acknowledged_timestamp, s.load_date
            LIMIT 1) AS a ON true
  CROSS JOIN LATERAL (
           SELECT CASE WHEN bool_or(s.alert_status = 'SUPPRESSED')
                       THEN min(coalesce(s.changed_at, s.load_date)) FILTER (WHERE s.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED'))
                       ELSE min(s.triggered_timestamp) END AS opened_at
             FROM monitoring.alert_instance_s s
            WHERE s.alert_instance_hk = h.alert_instance_hk) AS o
 ORDER BY v.triggered_timestamp, h.alert_instance_bk
