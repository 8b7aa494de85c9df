-- file: evidence_exports.csv
-- about: The evidence that was exported in the period: of what, by whom, and the digest of its manifest.
SELECT s.exported_at,
       s.exported_by,
       s.exported_via,
       s.framework_name AS framework,
       s.target_name AS target,
       s.period_from,
       s.period_to,
       s.tenant_scope,
       s.manifest_sha256,
       s.content_sha256,
       s.file_count,
       s.row_count,
       s.is_complete,
       s.signing_key,
       s.program_version,
       s.load_date AS recorded_from
  FROM monitoring.evidence_export_s s
 WHERE s.load_date >= @period_from
   AND s.load_date < @period_to
 ORDER BY s.load_date, s.manifest_sha256
