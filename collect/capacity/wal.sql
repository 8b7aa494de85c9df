-- resource WAL: the files of pg_wal
-- No limit: max_wal_size only asks for checkpoints, and max_slot_wal_keep_size binds slots alone.
SELECT 'WAL', 'pg_wal', coalesce(sum(size), 0)::bigint, NULL::bigint, 'pg_ls_waldir'
  FROM pg_ls_waldir()
