-- The archives as they stand, those of the newest rows first.
SELECT h.archive_bk, a.table_name, coalesce(a.partition_name, ''), a.range_from, a.range_to, a.archive_status, a.row_count,
       coalesce(a.host_name, ''), coalesce(a.file_name, ''), coalesce(a.file_bytes, 0), coalesce(a.csv_bytes, 0),
       coalesce(a.csv_sha256::text, ''), a.held_until, a.changed_at, a.manifest
  FROM monitoring.archive_s a
  JOIN monitoring.archive_h h USING (archive_hk)
 WHERE a.load_end_date IS NULL
 ORDER BY a.range_from DESC, h.archive_bk
