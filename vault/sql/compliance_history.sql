-- The statuses that the control $2 had on the target $1, NULL: on each, with the runs that found it; the newest first.
WITH runs AS (
    SELECT DISTINCT h.target_name, coalesce(s.check_status, 'NOT_TESTED') AS check_status, coalesce(s.last_check_timestamp, s.load_date) AS at
      FROM monitoring.compliance_check_s s
      JOIN monitoring.compliance_check_h h USING (compliance_check_hk)
     WHERE s.control_id = $2 AND h.target_name = coalesce($1, h.target_name)
),
changes AS (
    SELECT *, check_status IS DISTINCT FROM lag(check_status) OVER (PARTITION BY target_name ORDER BY at) AS changed FROM runs
),
periods AS (
    SELECT *, count(*) FILTER (WHERE changed) OVER (PARTITION BY target_name ORDER BY at) AS period FROM changes
)
SELECT target_name, check_status, min(at), max(at), count(*)
  FROM periods
 GROUP BY target_name, period, check_status
 ORDER BY min(at) DESC, target_name
