-- What a forecast was at each of a series of looks; there is no shorter way than to make each.
-- $1: the first look; $2: seconds between looks; $3: how many; $4: the call; $5: target; $6: tenant; $7: labels.
SELECT n, w.value::text
  FROM generate_series(0, $3::integer - 1) AS n,
       LATERAL (SELECT monitoring.window_value($4::text, $5::text, $6::bytea,
                           $1::timestamptz + make_interval(secs => $2::float8 * n), $7::jsonb) AS value) AS w
 WHERE w.value IS NOT NULL
 ORDER BY n
