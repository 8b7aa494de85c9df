-- The $5 statements of a target ($3, NULL: of all) that come first in ($1, $2] by $4: TOTAL, MEAN, IO or CALLS; or the
-- one with the hash key $6. A sample whose period began more than an hour before $1 is left out: a first one
-- holds what was counted since months.
WITH sample AS MATERIALIZED (
    SELECT h.target_name, s.*
      FROM monitoring.performance_metric_s s
      JOIN monitoring.performance_metric_h h USING (performance_metric_hk)
     WHERE s.load_end_date IS NULL
       AND s.measurement_period_end > $1
       AND s.measurement_period_end <= $2
       AND s.measurement_period_start >= $1::timestamptz - interval '1 hour'
       AND ($3::text IS NULL OR h.target_name = $3)
),
-- Each sample says which part of its interval's whole a statement was: the largest says it best.
whole AS (
    SELECT w.target_name, sum(w.ms) AS ms
      FROM (SELECT s.target_name,
                   (array_agg(s.total_time_ms * 100 / s.pct_of_total ORDER BY s.total_time_ms DESC)
                        FILTER (WHERE s.pct_of_total > 0 AND s.total_time_ms > 0))[1] AS ms
              FROM sample s
             GROUP BY s.target_name, s.measurement_period_end) AS w
     GROUP BY w.target_name
),
summed AS (
    SELECT s.performance_metric_hk, s.target_name, count(*) AS samples, max(s.measurement_period_end) AS last_at,
           sum(s.total_time_ms) AS total_ms, sum(s.calls) AS calls, sum(s.rows_returned) AS rows_returned,
           sum(s.shared_blks_hit) AS hit, sum(s.shared_blks_read) AS read, sum(s.temp_blks_read + s.temp_blks_written) AS temp,
           sum(s.blk_io_time_ms) AS io_ms, sum(s.plan_time_ms) AS plan_ms, sum(s.jit_time_ms) AS jit_ms, sum(s.wal_bytes) AS wal_bytes,
           sum(s.total_time_ms) / nullif(sum(s.calls), 0) AS mean_ms,
           min(s.rank_total) AS rank_total, min(s.rank_mean) AS rank_mean, min(s.rank_io) AS rank_io, min(s.rank_calls) AS rank_calls
      FROM sample s
     GROUP BY s.performance_metric_hk, s.target_name
),
top AS MATERIALIZED (
    SELECT t.*, row_number() OVER (
               ORDER BY CASE $4 WHEN 'TOTAL' THEN t.total_ms WHEN 'MEAN' THEN t.mean_ms WHEN 'IO' THEN t.read + t.temp WHEN 'CALLS' THEN t.calls END DESC NULLS LAST,
                        t.total_ms DESC, t.performance_metric_hk) AS place
      FROM summed t
     WHERE ($6::bytea IS NULL OR t.performance_metric_hk = $6)
       AND ($4 <> 'IO' OR t.read + t.temp > 0)
)
SELECT 'S-' || upper(left(encode(t.performance_metric_hk, 'hex'), 8)) AS id, encode(t.performance_metric_hk, 'hex') AS hash_key,
       t.target_name, coalesce(newest.database_name, ''), coalesce(newest.username, ''), coalesce(newest.query_hash, ''),
       coalesce(w.query_text, newest.query_text, ''), coalesce(monitoring.rate_performance(t.mean_ms), ''),
       t.samples, t.last_at, t.total_ms::float8, least(100 * t.total_ms / nullif(whole.ms, 0), 100)::float8 AS share,
       coalesce(t.calls, 0)::bigint, t.mean_ms::float8, past.mean_ms::float8, coalesce(past.days, 0),
       t.rows_returned::bigint, t.hit::bigint, t.read::bigint, t.temp::bigint, t.io_ms::float8, t.plan_ms::float8, t.jit_ms::float8, t.wal_bytes::bigint,
       coalesce(t.rank_total, 0), coalesce(t.rank_mean, 0), coalesce(t.rank_io, 0), coalesce(t.rank_calls, 0),
       coalesce(newest.optimization_suggestions, '{}'), coalesce(newest.suggestion_evidence, '[]')
  FROM top t
  LEFT JOIN whole USING (target_name)
  JOIN LATERAL (
           SELECT s.* FROM sample s WHERE s.performance_metric_hk = t.performance_metric_hk AND s.measurement_period_end = t.last_at
            ORDER BY s.load_date DESC LIMIT 1) AS newest ON true
  LEFT JOIN monitoring.performance_statement_s w ON w.performance_metric_hk = t.performance_metric_hk AND w.load_end_date IS NULL
 CROSS JOIN LATERAL (
           SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY day.mean_ms) AS mean_ms, count(*)::integer AS days
             FROM (SELECT sum(s.total_time_ms) / nullif(sum(s.calls), 0) AS mean_ms
                     FROM monitoring.performance_metric_s s
                    WHERE s.performance_metric_hk = t.performance_metric_hk
                      AND s.load_end_date IS NULL
                      AND s.measurement_period_end > $1::timestamptz - interval '7 days'
                      AND s.measurement_period_end <= $1
                    GROUP BY date_bin('1 day', s.measurement_period_end, $1::timestamptz)) AS day) AS past
 WHERE t.place <= $5
 ORDER BY t.place
