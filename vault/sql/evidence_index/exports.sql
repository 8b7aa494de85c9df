-- section: vault
-- title: Evidence that was exported in the period
-- empty: None was recorded.
SELECT to_char(x.exported_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS "AT",
       x.exported_by AS "BY",
       x.exported_via AS "VIA",
       x.framework AS "FRAMEWORK",
       to_char(x.period_from AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS "FROM",
       to_char(x.period_to AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS "TO",
       x.manifest_sha256 AS "DIGEST*"
  FROM {evidence_exports.csv} AS x
 ORDER BY x.exported_at
