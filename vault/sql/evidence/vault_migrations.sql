-- file: migrations.csv
-- about: The migrations of the schema that were applied, and when.
SELECT m.version_id AS version,
       m.is_applied AS applied,
       m.tstamp AS applied_at_server_time
  FROM public.onevault_migrations m
 ORDER BY m.id
