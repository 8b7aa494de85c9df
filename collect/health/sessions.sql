-- metric active_connections: Client sessions that run a statement
-- metric total_connections: Client sessions
-- metric connection_usage_pct: Client sessions in per cent of the slots that ordinary clients can take
-- metric idle_in_transaction: Sessions that sit idle inside a transaction
-- metric oldest_idle_in_transaction_s: Longest idle time inside a transaction
-- metric oldest_transaction_s: Age of the oldest open transaction
-- metric oldest_active_query_s: Run time of the longest running statement
-- metric blocked_backends: Sessions that wait for a lock
-- metric xmin_horizon_age: Transactions whose dead rows vacuum must keep, for a session, replica, slot or prepared transaction
-- Client sessions, without the one that looks. A role without pg_read_all_stats (pg_monitor has it) is
-- shown nulls about the others; counting those would read as an idle server, so nothing is said.
WITH limits AS (
    -- Slots that ordinary clients can take; reserved_connections exists from PostgreSQL 16 on.
    SELECT (current_setting('max_connections')::integer
            - current_setting('superuser_reserved_connections')::integer
            - coalesce(nullif(current_setting('reserved_connections', true), '')::integer, 0))::numeric AS slots
),
sessions AS (
    SELECT count(*) AS total,
           count(*) FILTER (WHERE state = 'active') AS active,
           count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_transaction,
           count(*) FILTER (WHERE wait_event_type = 'Lock') AS blocked,
           max(extract(epoch FROM clock_timestamp() - xact_start)) AS oldest_transaction,
           max(extract(epoch FROM clock_timestamp() - state_change)) FILTER (WHERE state LIKE 'idle in transaction%') AS oldest_idle,
           max(extract(epoch FROM clock_timestamp() - query_start)) FILTER (WHERE state = 'active') AS oldest_query,
           max(age(backend_xmin)) AS xmin_age
      FROM pg_stat_activity
     WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
),
horizon AS (
    -- Vacuum stops at the oldest of these, and the last three need no session that anybody would notice.
    SELECT greatest(s.xmin_age,
                    (SELECT max(age(backend_xmin)) FROM pg_stat_activity WHERE backend_type = 'walsender'),
                    (SELECT max(greatest(age(xmin), age(catalog_xmin))) FROM pg_replication_slots),
                    (SELECT max(age(transaction)) FROM pg_prepared_xacts)) AS age
      FROM sessions s
)
SELECT m.name, m.category, m.unit, CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') THEN m.value END AS value,
       m.warning, m.critical, m.low_is_bad, m.source, m.counter
  FROM sessions s, limits l, horizon h,
       LATERAL (VALUES
           ('active_connections', 'PERFORMANCE', 'connections', s.active::numeric, round(0.75 * l.slots), round(0.90 * l.slots), false, 'pg_stat_activity', NULL::jsonb),
           ('total_connections', 'PERFORMANCE', 'connections', s.total, NULL, NULL, false, 'pg_stat_activity', NULL),
           ('connection_usage_pct', 'AVAILABILITY', '%', round(100 * s.total / l.slots, 2), 75, 90, false, 'pg_stat_activity', NULL),
           ('idle_in_transaction', 'PERFORMANCE', 'connections', s.idle_in_transaction, 10, 25, false, 'pg_stat_activity', NULL),
           ('oldest_idle_in_transaction_s', 'PERFORMANCE', 's', round(coalesce(s.oldest_idle, 0), 1), 300, 900, false, 'pg_stat_activity', NULL),
           ('oldest_transaction_s', 'PERFORMANCE', 's', round(coalesce(s.oldest_transaction, 0), 1), 1800, 7200, false, 'pg_stat_activity', NULL),
           ('oldest_active_query_s', 'PERFORMANCE', 's', round(coalesce(s.oldest_query, 0), 1), 600, 3600, false, 'pg_stat_activity', NULL),
           ('blocked_backends', 'PERFORMANCE', 'count', s.blocked, 3, 10, false, 'pg_stat_activity', NULL),
           ('xmin_horizon_age', 'PERFORMANCE', 'xids', coalesce(h.age, 0), 10000000, 100000000, false, 'pg_stat_activity', NULL)
       ) AS m (name, category, unit, value, warning, critical, low_is_bad, source, counter)
