-- metric active_connections [connections] PERFORMANCE warning active_warning critical active_critical: Client sessions that run a statement
-- metric total_connections [connections] PERFORMANCE: Client sessions
-- metric connection_usage_pct [%] AVAILABILITY warning 75 critical 90: Client sessions in per cent of the slots that ordinary clients can take
-- metric idle_in_transaction [connections] PERFORMANCE warning 10 critical 25: Sessions that sit idle inside a transaction
-- metric oldest_idle_in_transaction_s [s] PERFORMANCE warning 300 critical 900: Longest idle time inside a transaction
-- metric oldest_transaction_s [s] PERFORMANCE warning 1800 critical 7200: Age of the oldest open transaction
-- metric oldest_active_query_s [s] PERFORMANCE warning 600 critical 3600: Run time of the longest running statement
-- metric blocked_backends [count] PERFORMANCE warning 3 critical 10: Sessions that wait for a lock
-- metric xmin_horizon_age [xids] PERFORMANCE warning 10000000 critical 100000000: Transactions whose dead rows vacuum must keep, for a session, replica, slot or prepared transaction
-- from pg_stat_activity
-- requires role pg_read_all_stats

-- Client sessions, without the one that looks. A role without pg_read_all_stats (pg_monitor has it) is
-- shown nulls about the others; counting those would read as an idle server, so nothing is said.
WITH limits AS (
    -- Slots that ordinary clients can take; reserved_connections exists from PostgreSQL 16 on.
    SELECT (current_setting('max_connections')::integer
            - current_setting('superuser_reserved_connections')::integer
            - coalesce(nullif(current_setting('reserved_connections', true), '')::integer, 0))::numeric AS slots
),
activity AS (
    SELECT count(*) FILTER (WHERE client) AS total,
           count(*) FILTER (WHERE client AND state = 'active') AS active,
           count(*) FILTER (WHERE client AND state LIKE 'idle in transaction%') AS idle_in_transaction,
           count(*) FILTER (WHERE client AND wait_event_type = 'Lock') AS blocked,
           max(extract(epoch FROM clock_timestamp() - xact_start)) FILTER (WHERE client) AS oldest_transaction,
           max(extract(epoch FROM clock_timestamp() - state_change)) FILTER (WHERE client AND state LIKE 'idle in transaction%') AS oldest_idle,
           max(extract(epoch FROM clock_timestamp() - query_start)) FILTER (WHERE client AND state = 'active') AS oldest_query,
           max(age(backend_xmin)) FILTER (WHERE client OR backend_type = 'walsender') AS xmin_age
      FROM (SELECT a.*, a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() AS client FROM pg_stat_activity a) AS a
),
horizon AS (
    -- Vacuum stops at the oldest of these, and the last two need no session that anybody would notice.
    SELECT greatest(a.xmin_age,
                    (SELECT max(greatest(age(xmin), age(catalog_xmin))) FROM pg_replication_slots),
                    (SELECT max(age(transaction)) FROM pg_prepared_xacts)) AS age
      FROM activity a
)
SELECT a.active AS active_connections,
       round(0.75 * l.slots) AS active_warning,
       round(0.90 * l.slots) AS active_critical,
       a.total AS total_connections,
       round(100 * a.total / l.slots, 2) AS connection_usage_pct,
       a.idle_in_transaction,
       round(coalesce(a.oldest_idle, 0), 1) AS oldest_idle_in_transaction_s,
       round(coalesce(a.oldest_transaction, 0), 1) AS oldest_transaction_s,
       round(coalesce(a.oldest_query, 0), 1) AS oldest_active_query_s,
       a.blocked AS blocked_backends,
       coalesce(h.age, 0) AS xmin_horizon_age
  FROM activity a, limits l, horizon h
