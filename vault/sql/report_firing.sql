-- Of the evaluations that fired in [$1, $2): the longest time since the look before. The condition came
-- true in between, so no alert was later than that.
SELECT extract(epoch FROM max(e.evaluated_at - p.evaluated_at))::float8
  FROM monitoring.alert_evaluation_s e
  JOIN LATERAL (
           SELECT x.evaluated_at
             FROM monitoring.alert_evaluation_s x
            WHERE x.alert_definition_hk = e.alert_definition_hk
              AND x.target_name = e.target_name
              AND x.tenant_hk IS NOT DISTINCT FROM e.tenant_hk
              AND x.evaluated_at < e.evaluated_at
              -- A definition that was disabled for longer was not looked at on purpose.
              AND x.evaluated_at > e.evaluated_at - interval '1 day'
              AND x.definition_load_date = e.definition_load_date
              AND x.load_end_date IS NULL
            ORDER BY x.evaluated_at DESC
            LIMIT 1) AS p ON true
 WHERE e.decision IN ('FIRED', 'REOPENED')
   AND e.load_end_date IS NULL
   AND e.evaluated_at >= $1
   AND e.evaluated_at < $2
