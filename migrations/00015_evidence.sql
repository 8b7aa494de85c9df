-- +goose Up
-- The audit trail of audits: which evidence was exported, of which period, by whom, and the digest of its
-- manifest. Conventions as in 00002.

CREATE TABLE monitoring.evidence_export_h (
    evidence_export_hk bytea PRIMARY KEY,
    evidence_export_bk varchar(255) NOT NULL UNIQUE,
    load_date          timestamptz DEFAULT util.current_load_date(),
    record_source      varchar(100) NOT NULL DEFAULT 'EVIDENCE_EXPORT',
    CONSTRAINT evidence_export_h_key_is_hash CHECK (evidence_export_hk = util.hash_binary(evidence_export_bk::text))
);
COMMENT ON TABLE monitoring.evidence_export_h IS 'Hub: one evidence pack that was exported; its key holds the digest of its manifest. It may tell of all tenants, so readers of single tenants do not see it.';

CREATE TABLE monitoring.evidence_export_s (
    evidence_export_hk bytea NOT NULL REFERENCES monitoring.evidence_export_h,
    load_date          timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date      timestamptz,
    hash_diff          bytea NOT NULL,
    framework_name     varchar(50) NOT NULL,
    target_name        varchar(100),
    period_from        timestamptz NOT NULL,
    period_to          timestamptz NOT NULL,
    exported_at        timestamptz NOT NULL,
    exported_by        varchar(100) NOT NULL DEFAULT SESSION_USER,
    exported_via       varchar(150),
    tenant_scope       text NOT NULL,
    manifest_sha256    char(64) NOT NULL,
    content_sha256     char(64) NOT NULL,
    file_count         integer NOT NULL,
    row_count          bigint NOT NULL,
    is_complete        boolean NOT NULL,
    signing_key        char(64),
    program_version    varchar(100),
    record_source      varchar(100) NOT NULL DEFAULT 'EVIDENCE_EXPORT',
    PRIMARY KEY (evidence_export_hk, load_date),
    CONSTRAINT evidence_export_s_period CHECK (period_from < period_to)
);
COMMENT ON TABLE monitoring.evidence_export_s IS 'State satellite: what was exported as evidence, recorded before the pack is handed out.';
COMMENT ON COLUMN monitoring.evidence_export_s.framework_name IS 'The framework whose controls it holds.';
COMMENT ON COLUMN monitoring.evidence_export_s.target_name IS 'The watched server that it tells of; NULL: all of them.';
COMMENT ON COLUMN monitoring.evidence_export_s.period_from IS 'The beginning of the period, included.';
COMMENT ON COLUMN monitoring.evidence_export_s.period_to IS 'The end of the period, excluded. The pack tells what the vault knew at that moment.';
COMMENT ON COLUMN monitoring.evidence_export_s.exported_at IS 'When its rows were read.';
COMMENT ON COLUMN monitoring.evidence_export_s.exported_by IS 'The role that opened the session, by the database''s word.';
COMMENT ON COLUMN monitoring.evidence_export_s.exported_via IS 'How the person was known: cli:<user@host>. Not verified.';
COMMENT ON COLUMN monitoring.evidence_export_s.tenant_scope IS 'ALL, or the hash keys of the tenants that the role may read.';
COMMENT ON COLUMN monitoring.evidence_export_s.manifest_sha256 IS 'SHA-256 in hex of the pack''s manifest.json, which holds the sums of all its files.';
COMMENT ON COLUMN monitoring.evidence_export_s.content_sha256 IS 'SHA-256 in hex over the files of the period: equal for each pack of the same history.';
COMMENT ON COLUMN monitoring.evidence_export_s.file_count IS 'How many files the manifest lists.';
COMMENT ON COLUMN monitoring.evidence_export_s.row_count IS 'How many rows of data they hold.';
COMMENT ON COLUMN monitoring.evidence_export_s.is_complete IS 'false: rows of the period had left the vault, or the role might not read something; the pack says what.';
COMMENT ON COLUMN monitoring.evidence_export_s.signing_key IS 'SHA-256 in hex of the public key that the signature is checked with; NULL: it is not signed.';
COMMENT ON COLUMN monitoring.evidence_export_s.program_version IS 'The version of OneVault that exported it.';

-- +goose Down
DROP FUNCTION IF EXISTS monitoring.record_evidence_export;
DROP TABLE monitoring.evidence_export_s, monitoring.evidence_export_h CASCADE;
