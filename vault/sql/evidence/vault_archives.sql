-- file: archives.csv
-- about: The archives whose rows are or may be of the period: what left the vault (DROPPED), where it was written to and its hashes; RESTORED: its rows are back, and in this pack. Closed versions of a state are archived by the month in which they ended, which may be after the period.
SELECT h.archive_bk AS archive,
       s.archive_status AS status,
       s.table_name,
       s.partition_name,
       s.range_from,
       s.range_to,
       s.row_count,
       -- A setting may say that rows leave without an archive.
       s.manifest IS NOT NULL AS is_archived,
       s.host_name AS host,
       s.file_name,
       s.file_bytes,
       s.manifest -> 'files' -> -1 ->> 'sha256' AS file_sha256,
       s.csv_sha256,
       s.held_until,
       s.changed_at
  FROM monitoring.archive_s s
  JOIN monitoring.archive_h h USING (archive_hk)
 WHERE s.load_end_date IS NULL
   AND s.range_to > @period_from
   AND (s.partition_name IS NULL OR s.range_from < @period_to)
 ORDER BY h.archive_bk COLLATE "C"
