-- What a condition says of each of many sets of inputs, where it fails with some of them.
-- $1: the condition; $2: the clear condition, or NULL; $3: the inputs.
SELECT e.result, e.evaluated_value::float8, coalesce(e.reason, ''),
       e.result = 'FALSE' AND ($2::text IS NULL OR (monitoring.evaluate_condition($2, u.inputs::jsonb)).result = 'TRUE')
  FROM unnest($3::text[]) WITH ORDINALITY AS u (inputs, o)
 CROSS JOIN LATERAL monitoring.evaluate_condition($1::text, u.inputs::jsonb) AS e
 ORDER BY u.o
