-- metric slot_retained_bytes [B] CAPACITY optional warning 5368709120 critical 21474836480: WAL that a replication slot retains
-- metric slot_active [bool] AVAILABILITY low warning 0: 1 while somebody uses a slot
-- metric slot_invalid [bool] AVAILABILITY warning 1 critical 1: 1 for a slot that lost WAL it needs, or was invalidated
-- metric slot_safe_wal_bytes [B] CAPACITY optional low warning 1073741824 critical 104857600: WAL that can still be written before a slot loses its own; only with max_slot_wal_keep_size
-- metric slot_xmin_age [xids] PERFORMANCE optional warning 10000000 critical 100000000: Transactions whose dead rows a slot keeps
-- metric slot_inactive_s [s] AVAILABILITY optional warning 3600 critical 86400: How long nobody has used a slot; known from PostgreSQL 17 on
-- by slot, type
-- every 60s
-- from pg_replication_slots

-- versions 14-15
SELECT s.slot_name AS slot, s.slot_type AS type,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, s.restart_lsn) AS slot_retained_bytes,
       s.active AS slot_active,
       s.wal_status IS NOT DISTINCT FROM 'lost' AS slot_invalid,
       s.safe_wal_size AS slot_safe_wal_bytes,
       greatest(age(s.xmin), age(s.catalog_xmin)) AS slot_xmin_age,
       NULL::numeric AS slot_inactive_s
  FROM pg_replication_slots s
 ORDER BY 3 DESC NULLS LAST
 LIMIT 50

-- versions 16-16
SELECT s.slot_name AS slot, s.slot_type AS type,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, s.restart_lsn) AS slot_retained_bytes,
       s.active AS slot_active,
       s.wal_status IS NOT DISTINCT FROM 'lost' OR coalesce(s.conflicting, false) AS slot_invalid,
       s.safe_wal_size AS slot_safe_wal_bytes,
       greatest(age(s.xmin), age(s.catalog_xmin)) AS slot_xmin_age,
       NULL::numeric AS slot_inactive_s
  FROM pg_replication_slots s
 ORDER BY 3 DESC NULLS LAST
 LIMIT 50

-- versions 17-
SELECT s.slot_name AS slot, s.slot_type AS type,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, s.restart_lsn) AS slot_retained_bytes,
       s.active AS slot_active,
       s.wal_status IS NOT DISTINCT FROM 'lost' OR s.invalidation_reason IS NOT NULL AS slot_invalid,
       s.safe_wal_size AS slot_safe_wal_bytes,
       greatest(age(s.xmin), age(s.catalog_xmin)) AS slot_xmin_age,
       round(extract(epoch FROM clock_timestamp() - s.inactive_since)) AS slot_inactive_s
  FROM pg_replication_slots s
 ORDER BY 3 DESC NULLS LAST
 LIMIT 50
