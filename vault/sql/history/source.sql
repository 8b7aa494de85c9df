-- The inputs of a source other than system_health at each of a series of looks.
-- $1: the first look; $2: seconds between looks; $3: how many; $4: source; $5: target; $6: tenant; $7: seconds of the look-back.
SELECT n, i.key, i.value #>> '{}'
  FROM generate_series(0, $3::integer - 1) AS n,
       LATERAL jsonb_each(monitoring.condition_inputs($4::text, $5::text, $6::bytea, make_interval(secs => $7::float8),
                              $1::timestamptz + make_interval(secs => $2::float8 * n))) AS i
 ORDER BY n
