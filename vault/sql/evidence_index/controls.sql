-- section: controls
-- title: How the controls stood at the end of the period
-- empty: No control of the framework was run before the end of the period.
-- The controls, those that are run no more left out, the worst first.
WITH version AS (
    SELECT f.*, row_number() OVER w AS place, first_value(f.status) OVER w AS status_first
      FROM {controls.csv} AS f
    WINDOW w AS (PARTITION BY f.target, f.control ORDER BY f.recorded_from)
),
newest AS (
    SELECT DISTINCT ON (v.target, v.control) v.*,
           count(*) FILTER (WHERE v.checked_at >= @period_from) OVER (PARTITION BY v.target, v.control) AS runs
      FROM version v
     ORDER BY v.target, v.control, v.place DESC
)
SELECT n.target AS "TARGET",
       n.control AS "CONTROL",
       n.title || coalesce(': ' || (SELECT string_agg(c ->> 'clause', ', ') FROM jsonb_array_elements(n.clauses) AS c), '') AS "TITLE AND CLAUSES*",
       n.severity AS "SEVERITY",
       n.status_first AS "AT FIRST",
       n.status AS "AT THE END",
       to_char(n.checked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS "CHECKED",
       n.remediation_deadline || CASE WHEN n.remediation_required AND n.remediation_deadline < (@period_to::timestamptz AT TIME ZONE 'UTC')::date
                                      THEN ' overdue' ELSE '' END AS "DEADLINE",
       n.runs AS "|RUNS"
  FROM newest n
 WHERE NOT coalesce(n.evidence ? 'retired', false)
 ORDER BY array_position(ARRAY['NON_COMPLIANT', 'PARTIALLY_COMPLIANT', 'NOT_TESTED', 'COMPLIANT'], n.status::text),
          array_position(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], n.severity::text), n.target COLLATE "C", n.control COLLATE "C"
