-- What monitoring.window_value() gives at each of a series of looks: all of them in one pass over the samples.
-- $1: the first look; $2: seconds between looks; $3: how many; $4: metric; $5: target; $6: tenant;
-- $7: avg, min, max, stddev, delta or rate; $8: seconds of the window; $9: seconds ago that it ended; $10: labels.
WITH hub AS (
    SELECT o, util.hash_binary(monitoring.health_key($5::text, t.tenant_hk, $4::text, $10::jsonb)) AS hk
      FROM unnest(ARRAY[$6::bytea, NULL]) WITH ORDINALITY AS t (tenant_hk, o)
     WHERE o = 2 OR t.tenant_hk IS NOT NULL
),
event AS (
    SELECT hub.o, s.measurement_timestamp AS at, s.metric_value AS value,
           CASE WHEN s.metric_value IS NOT NULL THEN s.measurement_timestamp END AS value_at,
           CASE WHEN s.metric_value IS NOT NULL THEN s.measurement_interval_seconds::numeric END AS seconds,
           NULL::integer AS n
      FROM hub
      JOIN monitoring.system_health_metric_s s ON s.health_metric_hk = hub.hk
     WHERE s.load_end_date IS NULL
       AND s.measurement_timestamp > $1::timestamptz - make_interval(secs => $8::float8 + $9::float8)
       AND s.measurement_timestamp <= $1::timestamptz + make_interval(secs => $2::float8 * $3::integer - $9::float8)
    UNION ALL
    SELECT hub.o, $1::timestamptz + make_interval(secs => $2::float8 * n - $9::float8), NULL, NULL, NULL, n
      FROM hub, generate_series(0, $3::integer - 1) AS n
),
looked AS (
    -- A window is open at its beginning; timestamps have whole microseconds.
    SELECT o, n, count(*) OVER w - count(n) OVER w AS measured, count(value) OVER w AS samples, sum(seconds) OVER w AS seconds,
           CASE $7::text WHEN 'avg' THEN avg(value) OVER w
                         WHEN 'stddev' THEN stddev_samp(value) OVER w
                         WHEN 'min' THEN min(value) OVER w
                         WHEN 'max' THEN max(value) OVER w END AS value,
           CASE WHEN $7 IN ('delta', 'rate') THEN min(value_at) OVER w END AS first_at,
           CASE WHEN $7 IN ('delta', 'rate') THEN max(value_at) OVER w END AS last_at
      FROM event
    WINDOW w AS (PARTITION BY o ORDER BY at
                 RANGE BETWEEN make_interval(secs => $8::float8) - interval '1 microsecond' PRECEDING AND CURRENT ROW)
),
chosen AS (
    -- A tenant's own measurements, where there are any, go before the server's.
    SELECT DISTINCT ON (n) * FROM looked WHERE n IS NOT NULL AND measured > 0 ORDER BY n, o
)
SELECT c.n,
       round(CASE $7::text
                 WHEN 'delta' THEN CASE WHEN c.samples > 1 THEN l.value - f.value END
                 WHEN 'rate' THEN (l.value - f.value) / nullif(extract(epoch FROM c.last_at - c.first_at), 0)
                 ELSE c.value END, 4)::text
  FROM chosen c
  LEFT JOIN event f ON f.o = c.o AND f.value_at = c.first_at
  LEFT JOIN event l ON l.o = c.o AND l.value_at = c.last_at
 WHERE c.samples > 0 AND c.seconds >= $8::numeric / 2
 ORDER BY c.n
