-- The hash keys that an id means ($1: S-3F9A01BC or more of it, a hash key in hex, or a queryid), of one target ($2) or all.
SELECT h.performance_metric_hk,
       concat_ws(' ', 'S-' || upper(left(encode(h.performance_metric_hk, 'hex'), 8)), 'on', h.target_name,
                 'in', coalesce(newest.database_name, '?'), 'by', coalesce(newest.username, '?')) AS described
  FROM monitoring.performance_metric_h h
  LEFT JOIN LATERAL (
           SELECT s.database_name, s.username
             FROM monitoring.performance_metric_s s
            WHERE s.performance_metric_hk = h.performance_metric_hk AND s.load_end_date IS NULL
            ORDER BY s.measurement_period_end DESC
            LIMIT 1) AS newest ON true
 WHERE ($2::text IS NULL OR h.target_name = $2)
   AND CASE WHEN $1 ~* '^S-[0-9a-f]{4,}$' THEN encode(h.performance_metric_hk, 'hex') LIKE lower(substr($1, 3)) || '%'
            WHEN $1 ~* '^[0-9a-f]{64}$' THEN encode(h.performance_metric_hk, 'hex') = lower($1)
            ELSE split_part(h.performance_metric_bk, '||', 5) = $1 END
 ORDER BY h.performance_metric_hk
 LIMIT 10
