-- What a condition says of each of many sets of inputs; compiled once.
-- $1: the condition; $2: the clear condition, or NULL; $3: the inputs.
SELECT e.result, e.evaluated_value::float8, coalesce(e.reason, ''),
       e.result = 'FALSE' AND ($2::text IS NULL OR (monitoring.evaluate_compiled(k.path, k.identifiers, u.inputs::jsonb)).result = 'TRUE')
  FROM monitoring.compile_condition($1::text) AS c
 CROSS JOIN monitoring.compile_condition(coalesce($2::text, $1)) AS k
 CROSS JOIN unnest($3::text[]) WITH ORDINALITY AS u (inputs, o)
 CROSS JOIN LATERAL monitoring.evaluate_compiled(c.path, c.identifiers, u.inputs::jsonb) AS e
 ORDER BY u.o
