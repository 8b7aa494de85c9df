-- What the SQL of a definition had yielded at each of a series of looks: a value that it no longer yields cannot be
-- asked for again, so it is that which the evaluation then recorded of the same SQL. No row where nobody looked, or
-- where the look failed.
-- $1: the first look; $2: seconds between looks; $3: how many; $4: key; $5: target; $6: tenant; $7: the SQL; $8: seconds of the look-back.
SELECT g.n, coalesce(look.inputs -> 'value', 'null')::text
  FROM generate_series(0, $3::integer - 1) AS g (n)
 CROSS JOIN LATERAL (SELECT $1::timestamptz + make_interval(secs => $2::float8 * g.n) AS at) AS m
 CROSS JOIN LATERAL (
           SELECT e.inputs, e.result, e.definition_load_date
             FROM monitoring.alert_evaluation_s e
            WHERE e.alert_definition_hk = util.hash_binary($4::text) AND e.target_name = $5::text
              AND e.tenant_hk IS NOT DISTINCT FROM $6::bytea
              AND e.evaluated_at > m.at - make_interval(secs => $8::float8) AND e.evaluated_at <= m.at AND e.load_end_date IS NULL
            ORDER BY e.evaluated_at DESC
            LIMIT 1) AS look
 WHERE (look.result <> 'ERROR' OR look.inputs ? 'value')
   AND EXISTS (SELECT FROM monitoring.alert_definition_s d
                WHERE d.alert_definition_hk = util.hash_binary($4::text) AND d.load_date = look.definition_load_date AND d.condition_sql = $7::text)
