-- The backups as they were known at $2, per type: the newest that completed, and what ended in [$1, $2).
WITH execution AS MATERIALIZED (
    SELECT s.backup_hk, s.backup_type, s.backup_status, s.backup_start_time, s.backup_end_time, s.backup_size_bytes,
           s.verification_status, s.error_message
      FROM backup_mgmt.backup_execution_s s
     WHERE s.load_end_date IS NULL
       AND s.backup_start_time < $2
)
SELECT e.backup_type, newest.backup_end_time AS completed_at, newest.backup_size_bytes::float8, coalesce(newest.verification_status, '') AS verification,
       count(*) FILTER (WHERE e.backup_status = 'COMPLETED' AND e.backup_end_time >= $1 AND e.backup_end_time < $2) AS completed,
       count(*) FILTER (WHERE e.backup_status = 'FAILED' AND coalesce(e.backup_end_time, e.backup_start_time) >= $1
                                                         AND coalesce(e.backup_end_time, e.backup_start_time) < $2) AS failed,
       coalesce((array_agg(e.error_message ORDER BY e.backup_start_time DESC)
                 FILTER (WHERE e.backup_status = 'FAILED' AND e.backup_start_time >= $1))[1], '') AS last_error,
       max(coalesce(e.backup_end_time, e.backup_start_time)) FILTER (WHERE e.backup_status = 'FAILED' AND coalesce(e.backup_end_time, e.backup_start_time) >= $1
                                                                     AND coalesce(e.backup_end_time, e.backup_start_time) < $2) AS last_failure_at,
       count(*) AS known
  FROM execution e
  LEFT JOIN LATERAL (
           SELECT x.backup_end_time, x.backup_size_bytes, x.verification_status
             FROM execution x
            WHERE x.backup_type = e.backup_type
              AND x.backup_status = 'COMPLETED'
              AND x.backup_end_time < $2
            ORDER BY x.backup_end_time DESC
            LIMIT 1) AS newest ON true
 GROUP BY e.backup_type, newest.backup_end_time, newest.backup_size_bytes, newest.verification_status
 ORDER BY e.backup_type
