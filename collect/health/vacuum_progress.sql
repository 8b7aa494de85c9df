-- metric vacuum_progress_pct [%] PERFORMANCE optional: How much of a table's heap a running vacuum has scanned
-- metric vacuum_running_s [s] PERFORMANCE: How long a vacuum has been running
-- metric vacuum_against_wraparound [bool] PERFORMANCE warning 1: 1 for a vacuum that autovacuum runs to prevent wraparound: it does not give way to others
-- by database, table, phase
-- every 60s
-- from pg_stat_progress_vacuum
-- requires role pg_read_all_stats

-- A table of another database has no name from here.
SELECT p.datname AS database,
       CASE WHEN p.datid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) THEN p.relid::regclass::text ELSE p.relid::text END AS "table",
       p.phase,
       round(max(100.0 * p.heap_blks_scanned / nullif(p.heap_blks_total, 0)), 1) AS vacuum_progress_pct,
       round(greatest(max(extract(epoch FROM clock_timestamp() - a.xact_start)), 0), 1) AS vacuum_running_s,
       bool_or(a.query LIKE '%(to prevent wraparound)%') AS vacuum_against_wraparound
  FROM pg_stat_progress_vacuum p
  JOIN pg_stat_activity a USING (pid)
 GROUP BY 1, 2, 3
 LIMIT 50
