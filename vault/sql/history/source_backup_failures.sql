-- The inputs of backup_failures at each of a series of looks, of the versions that stood then.
-- $1: the first look; $2: seconds between looks; $3: how many; $4: target; $5: tenant; $6: seconds of the look-back.
WITH stood AS (
    SELECT n, s.backup_status AS status, s.backup_start_time, s.backup_end_time
      FROM backup_mgmt.backup_execution_s s
      JOIN backup_mgmt.backup_execution_h h USING (backup_hk)
     CROSS JOIN LATERAL generate_series(
               greatest(0, ceil(extract(epoch FROM s.load_date - $1::timestamptz) / $2::numeric)::integer),
               least($3::integer, coalesce(ceil(extract(epoch FROM s.load_end_date - $1::timestamptz) / $2::numeric)::integer, $3)) - 1) AS n
     WHERE ($5::bytea IS NULL OR h.tenant_hk = $5) AND $4::text IS NOT NULL AND $6::float8 IS NOT NULL
),
counted AS (
    SELECT n, $1::timestamptz + make_interval(secs => $2::float8 * n) AS at,
           count(*) FILTER (WHERE status = 'FAILED'
                              AND backup_start_time > $1::timestamptz + make_interval(secs => $2::float8 * n) - interval '24 hours') AS failed,
           max(backup_end_time) FILTER (WHERE status = 'COMPLETED') AS success
      FROM stood
     GROUP BY n
)
SELECT c.n, i.name, i.value::text
  FROM counted c
 CROSS JOIN LATERAL (VALUES ('failed_backup_count', c.failed::numeric),
                            ('hours_since_last_success', round((extract(epoch FROM c.at - c.success) / 3600)::numeric, 2))) AS i (name, value)
 WHERE i.value IS NOT NULL
