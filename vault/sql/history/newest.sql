-- When a sample of a metric is the newest one: for the looks [first, last) of a series of looks.
-- $1: the first look; $2: seconds between looks; $3: how many; $4: series, and $5: which are a tenant's own;
-- $6: the seconds that a sample counts; $7: the seconds after which it begins to count.
-- rare_inputs() asks for samples that are older than the look-back: $7 is the look-back then, else 0.
-- It says of each sample which of the series it belongs to, from 0.
WITH sample AS (
    SELECT hub.own, hub.o - 1 AS series, s.measurement_timestamp AS at, s.metric_value,
           extract(epoch FROM s.measurement_timestamp - $1::timestamptz) AS s,
           extract(epoch FROM lead(s.measurement_timestamp) OVER (PARTITION BY hub.hk ORDER BY s.measurement_timestamp, s.load_date)
                              - $1::timestamptz) AS next_s
      FROM unnest($4::bytea[], $5::boolean[]) WITH ORDINALITY AS hub (hk, own, o)
      JOIN monitoring.system_health_metric_s s ON s.health_metric_hk = hub.hk
     WHERE s.load_end_date IS NULL
       AND s.measurement_timestamp > $1::timestamptz - make_interval(secs => $6::numeric::float8)
       AND s.measurement_timestamp <= $1::timestamptz + make_interval(secs => $2::float8 * $3::integer)
),
counted AS (
    SELECT own, series, at, metric_value,
           greatest(0, ceil((s + $7::numeric) / $2::numeric))::integer AS first,
           least($3::integer, ceil((s + $6::numeric) / $2::numeric), ceil((next_s + $7::numeric) / $2::numeric))::integer AS last
      FROM sample
)
SELECT series, at, coalesce(metric_value::text, ''), first, last
  FROM counted
 WHERE first < last
 ORDER BY own, at
