-- file: retention.csv
-- about: How long each table of the vault is kept, and whether its rows are archived before they leave.
SELECT t.table_name,
       t.kind,
       coalesce(s.keep_text, 'for ever') AS keep,
       s.archive AS archived_first
  FROM monitoring.retained_tables() AS t,
       LATERAL monitoring.retention_setting(t.table_name) AS s
 ORDER BY t.table_name COLLATE "C"
