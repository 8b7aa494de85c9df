-- The audit trail of audits. What a pack holds is read by the statements of vault/sql/evidence.

CREATE OR REPLACE FUNCTION monitoring.record_evidence_export(
    p_framework text, p_target text, p_from timestamptz, p_to timestamptz, p_at timestamptz, p_via text, p_scope text,
    p_manifest_sha256 text, p_content_sha256 text, p_files integer, p_rows bigint, p_complete boolean, p_signing_key text, p_version text)
    RETURNS bytea
    LANGUAGE plpgsql
    -- Whoever may read the vault may export what they see, and cannot do it without leaving a trace.
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_bk text := util.bk('EVIDENCE', p_manifest_sha256);
    v_hk bytea := util.hash_binary(v_bk);
BEGIN
    IF p_manifest_sha256 !~ '^[0-9a-f]{64}$' THEN
        RAISE EXCEPTION 'p_manifest_sha256 is %: no SHA-256 in hex', quote_nullable(p_manifest_sha256)
            USING ERRCODE = '22023', HINT = 'Give what `sha256sum manifest.json` prints.';
    END IF;
    INSERT INTO monitoring.evidence_export_h (evidence_export_hk, evidence_export_bk) VALUES (v_hk, v_bk) ON CONFLICT DO NOTHING;
    INSERT INTO monitoring.evidence_export_s (
        evidence_export_hk, hash_diff, framework_name, target_name, period_from, period_to, exported_at, exported_by, exported_via,
        tenant_scope, manifest_sha256, content_sha256, file_count, row_count, is_complete, signing_key, program_version)
    VALUES (
        v_hk, '\x', p_framework, nullif(p_target, ''), p_from, p_to, p_at, session_user, left(p_via, 150),
        p_scope, p_manifest_sha256, p_content_sha256, p_files, p_rows, p_complete, nullif(p_signing_key, ''), left(p_version, 100));
    RETURN v_hk;
END
$$;
COMMENT ON FUNCTION monitoring.record_evidence_export(text, text, timestamptz, timestamptz, timestamptz, text, text, text, text, integer, bigint, boolean, text, text) IS
    'Records that evidence was exported: of which framework and period, by the role that opened the session, with the digest of the manifest. Recorded again it is no new version.';
