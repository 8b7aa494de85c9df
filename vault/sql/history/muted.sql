-- When silences and windows of maintenance muted alerts with these facts: by each version for as long as it stood.
-- $1: the facts, as of monitoring.alert_facts; $2, $3: from, to.
WITH said AS (
    SELECT s.matchers, s.include_critical, greatest(s.starts_at, s.load_date) AS begins, least(s.ends_at, s.load_end_date) AS ends
      FROM monitoring.silence_s s
    UNION ALL
    SELECT s.matchers, s.include_critical, greatest(lower(w), s.load_date), least(upper(w), s.load_end_date)
      FROM monitoring.maintenance_s s
     CROSS JOIN LATERAL unnest(s.windows) AS w
     WHERE s.maintenance_state = 'PLANNED'
)
SELECT said.begins, said.ends
  FROM said
 WHERE said.begins < said.ends AND said.begins < $3::timestamptz AND said.ends > $2::timestamptz
   AND (said.include_critical OR $1::jsonb ->> 'severity' <> 'CRITICAL')
   AND monitoring.matches(said.matchers, $1)
 ORDER BY said.begins
