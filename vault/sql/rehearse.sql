-- Evaluates definitions at each of a series of looks, as the worker would, and returns what each look at one came to.
-- $1: the first look; $2: seconds between looks; $3: how many; $4: keys, those first on which others rest; $5: target;
-- $6: inputs of the sources other than system_health at each look, or NULL; $7: the definition that is told of.
WITH look AS MATERIALIZED (
    -- Each look rests on those before it: the order is the one in which they are evaluated.
    SELECT n, u.key, d AS definition, $1::timestamptz + make_interval(secs => $2::float8 * n) AS at
      FROM generate_series(0, $3::integer - 1) AS n
     CROSS JOIN unnest($4::text[]) WITH ORDINALITY AS u (key, o)
      JOIN monitoring.alert_definition_h h ON h.alert_definition_bk = u.key
      JOIN monitoring.alert_definition_s d ON d.alert_definition_hk = h.alert_definition_hk AND d.load_end_date IS NULL
     ORDER BY n, u.o
)
SELECT e.n, e.result, e.value, e.decision
  FROM (SELECT look.n, look.key, found.*
          FROM look
         CROSS JOIN LATERAL (
                   SELECT CASE (look.definition).metric_source WHEN 'system_health'
                          THEN monitoring.condition_inputs('system_health', $5, NULL, make_interval(mins => (look.definition).lookback_minutes), look.at)
                          ELSE coalesce(($6::text[])[look.n + 1]::jsonb, '{}') END AS inputs OFFSET 0) AS i
         CROSS JOIN LATERAL (
                   SELECT f.result, f.evaluated_value::float8 AS value, f.decision
                     FROM monitoring.evaluate_definition(look.definition, look.key, $5::text, NULL, look.at, i.inputs, NULL) AS f
                    WHERE (look.definition).alert_by = '{}'
                    UNION ALL
                   SELECT f.result, f.evaluated_value::float8, f.decision
                     FROM monitoring.evaluate_label_sets(look.definition, look.key, $5::text, NULL, look.at, i.inputs, NULL, false, true) AS f
                    WHERE (look.definition).alert_by <> '{}') AS found
        OFFSET 0) AS e
 WHERE e.key = $7::text
