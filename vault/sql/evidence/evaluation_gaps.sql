-- file: evaluation_gaps.csv
-- about: The times in which an enabled alert definition was not evaluated for more than twice its interval and a minute. NOT_EVALUATED: nobody looked. NEVER_EVALUATED: no evaluation of it is known at all. ROWS_LEFT: the rows of at least a part of this time have left the vault, so nothing can be told of it from here.
WITH tick AS MATERIALIZED (
    SELECT e.alert_definition_hk, e.target_name, e.tenant_hk, e.evaluated_at
      FROM monitoring.alert_evaluation_s e
     WHERE e.evaluated_at >= @period_from::timestamptz - interval '7 days'
       AND e.evaluated_at < @period_to
       AND e.load_date < @period_to
       AND (e.load_end_date IS NULL OR e.load_end_date >= @period_to)
       AND (@target::text IS NULL OR e.target_name = @target)
),
span AS MATERIALIZED (
    -- When each definition was enabled within the period, whatever its versions, and the longest interval
    -- that it had. What the worker decides itself is not evaluated here.
    SELECT v.alert_definition_hk, lower(r) AS started, upper(r) AS ended, v.pace
      FROM (
            SELECT d.alert_definition_hk, max(d.evaluation_frequency_minutes) * interval '1 minute' AS pace,
                   range_agg(tstzrange(greatest(d.load_date, @period_from), least(d.load_end_date, @period_to))) AS ranges
              FROM monitoring.alert_definition_s d
             WHERE d.is_enabled
               AND d.metric_source IS DISTINCT FROM 'worker'
               AND d.load_date < @period_to
               AND (d.load_end_date IS NULL OR d.load_end_date > @period_from)
             GROUP BY d.alert_definition_hk) AS v,
           unnest(v.ranges) AS r
),
pair AS (
    -- What it is evaluated for: as in the period or the week before. None at all is a row without a target.
    SELECT DISTINCT s.alert_definition_hk, t.target_name, t.tenant_hk
      FROM span s
      LEFT JOIN tick t USING (alert_definition_hk)
),
known AS (
    SELECT h.target_name, min(h.load_date) AS since FROM monitoring.system_health_metric_h h GROUP BY h.target_name
),
expected AS (
    -- Before a target was known nobody could have looked at it.
    SELECT p.*, greatest(s.started, k.since) AS started, s.ended, s.pace
      FROM pair p
      JOIN span s USING (alert_definition_hk)
      LEFT JOIN known k USING (target_name)
     WHERE k.since IS NULL OR k.since < s.ended
),
moment AS (
    SELECT x.*, t.evaluated_at AS at
      FROM expected x
      JOIN tick t ON t.alert_definition_hk = x.alert_definition_hk AND t.target_name = x.target_name
                 AND t.tenant_hk IS NOT DISTINCT FROM x.tenant_hk AND t.evaluated_at >= x.started AND t.evaluated_at < x.ended
    UNION ALL
    SELECT x.*, x.ended FROM expected x
),
gap AS (
    SELECT m.*, lag(m.at, 1, m.started) OVER (PARTITION BY m.alert_definition_hk, m.target_name, m.tenant_hk, m.started ORDER BY m.at) AS since
      FROM moment m
),
held AS MATERIALIZED (
    SELECT range_agg(tstzrange(p.range_from, p.range_to)) AS ranges FROM monitoring.partitions() AS p WHERE p.table_name = 'alert_evaluation_s'
)
SELECT h.alert_definition_bk AS definition,
       g.target_name AS target,
       g.tenant_hk AS tenant_key,
       g.since AS gap_from,
       g.at AS gap_to,
       extract(epoch FROM g.at - g.since)::bigint AS seconds,
       extract(epoch FROM g.pace)::bigint AS expected_every_seconds,
       CASE WHEN held.ranges @> tstzrange(g.since, g.at) IS NOT TRUE THEN 'ROWS_LEFT'
            WHEN g.target_name IS NULL THEN 'NEVER_EVALUATED'
            ELSE 'NOT_EVALUATED' END AS meaning
  FROM gap g
  JOIN monitoring.alert_definition_h h USING (alert_definition_hk)
 CROSS JOIN held
 WHERE g.at - g.since > 2 * g.pace + interval '1 minute'
 ORDER BY h.alert_definition_bk COLLATE "C", g.target_name COLLATE "C" NULLS FIRST, g.tenant_hk NULLS FIRST, g.since
