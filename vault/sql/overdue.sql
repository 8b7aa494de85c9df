-- What should have left the vault some days ago, per table.
SELECT p.table_name, count(*), max(statement_timestamp() - s.keep - p.range_to)
  FROM monitoring.retention_plan() AS p,
       LATERAL monitoring.retention_setting(p.table_name) AS s
 WHERE p.range_to <= statement_timestamp() - s.keep - $1::interval
 GROUP BY p.table_name
 ORDER BY p.table_name
