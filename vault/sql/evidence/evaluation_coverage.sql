-- file: evaluation_coverage.csv
-- about: How often each alert definition was evaluated, per target and day in UTC, and with which results.
SELECT h.alert_definition_bk AS definition,
       e.target_name AS target,
       e.tenant_hk AS tenant_key,
       (e.evaluated_at AT TIME ZONE 'UTC')::date AS day,
       count(*) AS evaluations,
       count(*) FILTER (WHERE e.result = 'TRUE') AS "true",
       count(*) FILTER (WHERE e.result = 'FALSE') AS "false",
       count(*) FILTER (WHERE e.result = 'NO_DATA') AS no_data,
       count(*) FILTER (WHERE e.result = 'ERROR') AS errors,
       min(e.evaluated_at) AS first_at,
       max(e.evaluated_at) AS last_at
  FROM monitoring.alert_evaluation_s e
  JOIN monitoring.alert_definition_h h USING (alert_definition_hk)
 WHERE e.evaluated_at >= @period_from
   AND e.evaluated_at < @period_to
   AND e.load_date < @period_to
   AND (e.load_end_date IS NULL OR e.load_end_date >= @period_to)
   AND (@target::text IS NULL OR e.target_name = @target)
 GROUP BY h.alert_definition_bk, e.target_name, e.tenant_hk, day
 ORDER BY h.alert_definition_bk COLLATE "C", e.target_name COLLATE "C", e.tenant_hk NULLS FIRST, day
