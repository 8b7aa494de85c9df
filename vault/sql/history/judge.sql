-- What a condition says of each of many sets of inputs; compiled once. It fails where one of them makes the condition
-- fail: judge_each.sql then tells which.
-- $1: the condition; $2: the clear condition, or NULL; $3: the inputs.
SELECT e.result, e.evaluated_value::float8, coalesce(e.reason, ''),
       e.result = 'FALSE' AND ($2::text IS NULL OR (SELECT v.result = 'TRUE' FROM monitoring.evaluate_compiled(k.path, k.identifiers, u.inputs) AS v))
  FROM monitoring.compile_condition($1::text) AS c
 CROSS JOIN monitoring.compile_condition(coalesce($2::text, $1)) AS k
 CROSS JOIN (SELECT i::jsonb AS inputs, o FROM unnest($3::text[]) WITH ORDINALITY AS given (i, o)) AS u
 CROSS JOIN LATERAL monitoring.evaluate_compiled(c.path, c.identifiers, u.inputs) AS e
 ORDER BY u.o
