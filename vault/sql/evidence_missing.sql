-- What of the period [@period_from, @period_to) left the vault, of the tables that a pack is made of. Samples of
-- metrics are not asked for here: their roll-ups tell when a target was measured. Rows that ended after the
-- period may have begun in it: of those it is not certain that they are of the period.
SELECT h.archive_bk, s.table_name, s.range_from, s.range_to, s.row_count, s.range_from < @period_to AS is_certain,
       s.manifest IS NOT NULL AS is_archived, coalesce(s.host_name, ''), coalesce(s.file_name, ''),
       coalesce(s.manifest -> 'files' -> -1 ->> 'sha256', ''), coalesce(s.csv_sha256::text, '')
  FROM monitoring.archive_s s
  JOIN monitoring.archive_h h USING (archive_hk)
 WHERE s.load_end_date IS NULL
   AND s.archive_status = 'DROPPED'
   AND s.range_to > @period_from
   AND (s.partition_name IS NULL OR s.range_from < @period_to)
   AND s.table_name = ANY (@tables)
 ORDER BY s.table_name COLLATE "C", s.range_from, h.archive_bk COLLATE "C"
