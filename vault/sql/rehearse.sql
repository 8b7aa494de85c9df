-- Evaluates definitions at each of a series of looks, as the worker would, and returns what each came to.
-- $1: the first look; $2: seconds between looks; $3: how many; $4: keys, those first on which others rest; $5: target;
-- $6: inputs of the sources other than system_health at each look, or NULL.
WITH look AS MATERIALIZED (
    -- Each look rests on those before it: the order is the one in which they are evaluated.
    SELECT n, u.key, d AS definition, $1::timestamptz + make_interval(secs => $2::float8 * n) AS at
      FROM generate_series(0, $3::integer - 1) AS n
     CROSS JOIN unnest($4::text[]) WITH ORDINALITY AS u (key, o)
      JOIN monitoring.alert_definition_h h ON h.alert_definition_bk = u.key
      JOIN monitoring.alert_definition_s d ON d.alert_definition_hk = h.alert_definition_hk AND d.load_end_date IS NULL
     ORDER BY n, u.o
)
SELECT look.n, look.key, e.result, e.evaluated_value::float8, e.decision
  FROM look
 CROSS JOIN LATERAL monitoring.evaluate_definition(look.definition, look.key, $5::text, NULL, look.at,
               CASE (look.definition).metric_source WHEN 'system_health'
                    THEN monitoring.condition_inputs('system_health', $5, NULL, make_interval(mins => (look.definition).lookback_minutes), look.at)
                    ELSE coalesce(($6::text[])[look.n + 1]::jsonb, '{}') END, NULL) AS e
