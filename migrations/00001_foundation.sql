-- +goose Up
-- The "Phase 1" surface that the monitoring schema rests on. Each object is created only where it is
-- missing, so that an existing installation of Phase 1 is never altered.

CREATE SCHEMA IF NOT EXISTS util;
CREATE SCHEMA IF NOT EXISTS auth;
CREATE SCHEMA IF NOT EXISTS backup_mgmt;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;

-- +goose StatementBegin
DO $do$
BEGIN
    IF to_regprocedure('util.hash_binary(text)') IS NULL THEN
        -- The raw SHA-256 of the given text, never normalised: the guide also hashes whole rows with it.
        CREATE FUNCTION util.hash_binary(input text) RETURNS bytea
            LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
            AS 'SELECT sha256(convert_to(input, ''UTF8''))';
        COMMENT ON FUNCTION util.hash_binary(text) IS
            'SHA-256 of the UTF-8 bytes of the text: the hash key of a business key.';
    END IF;

    IF to_regprocedure('util.current_load_date()') IS NULL THEN
        CREATE FUNCTION util.current_load_date() RETURNS timestamptz
            LANGUAGE sql STABLE PARALLEL SAFE
            AS 'SELECT CURRENT_TIMESTAMP';
        COMMENT ON FUNCTION util.current_load_date() IS
            'The load date of the present transaction. Equal throughout a transaction, so never a unique key.';
    END IF;
END
$do$;
-- +goose StatementEnd

-- Business keys: each part NFC-normalised, trimmed and upper-cased, the separator escaped, NULL as ^^.
CREATE OR REPLACE FUNCTION util.bk(VARIADIC parts text[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT string_agg(
               coalesce(
                   nullif(regexp_replace(upper(btrim(normalize(p, NFC))), '([\\|^])', '\\\1', 'g'), ''),
                   '^^'),
               '||' ORDER BY o)
      FROM unnest(parts) WITH ORDINALITY AS u (p, o)
    $$;
COMMENT ON FUNCTION util.bk(text[]) IS
    'Builds a business key: parts normalised (NFC, trimmed, upper case), escaped, joined with ||, NULL as ^^.';

CREATE TABLE IF NOT EXISTS auth.tenant_h (
    tenant_hk     bytea PRIMARY KEY,
    tenant_bk     varchar(255) NOT NULL UNIQUE,
    load_date     timestamptz DEFAULT util.current_load_date(),
    record_source varchar(100) NOT NULL
);

CREATE TABLE IF NOT EXISTS auth.session_h (
    session_hk    bytea PRIMARY KEY,
    session_bk    varchar(255) NOT NULL UNIQUE,
    tenant_hk     bytea REFERENCES auth.tenant_h,
    load_date     timestamptz DEFAULT util.current_load_date(),
    record_source varchar(100) NOT NULL
);

CREATE TABLE IF NOT EXISTS auth.session_state_s (
    session_hk     bytea NOT NULL REFERENCES auth.session_h,
    load_date      timestamptz NOT NULL DEFAULT util.current_load_date(),
    load_end_date  timestamptz,
    hash_diff      bytea NOT NULL,
    session_start  timestamptz NOT NULL,
    session_end    timestamptz,
    ip_address     inet,
    user_agent     text,
    session_data   jsonb,
    session_status varchar(20) NOT NULL,
    last_activity  timestamptz NOT NULL,
    record_source  varchar(100) NOT NULL,
    PRIMARY KEY (session_hk, load_date)
);

CREATE TABLE IF NOT EXISTS auth.user_auth_s (
    user_hk               bytea NOT NULL,
    load_date             timestamptz NOT NULL DEFAULT util.current_load_date(),
    load_end_date         timestamptz,
    hash_diff             bytea NOT NULL,
    username              varchar(100) NOT NULL,
    last_login_date       timestamptz,
    failed_login_attempts integer DEFAULT 0,
    last_failed_login     timestamptz,
    account_locked        boolean DEFAULT false,
    account_locked_until  timestamptz,
    record_source         varchar(100) NOT NULL,
    PRIMARY KEY (user_hk, load_date)
);
-- The guide's detect_security_events reads this column, which an older Phase 1 lacks.
ALTER TABLE auth.user_auth_s ADD COLUMN IF NOT EXISTS last_failed_login timestamptz;

CREATE TABLE IF NOT EXISTS backup_mgmt.backup_execution_h (
    backup_hk     bytea PRIMARY KEY,
    backup_bk     varchar(255) NOT NULL UNIQUE,
    tenant_hk     bytea,
    load_date     timestamptz DEFAULT util.current_load_date(),
    record_source varchar(100) NOT NULL
);

CREATE TABLE IF NOT EXISTS backup_mgmt.backup_execution_s (
    backup_hk               bytea NOT NULL REFERENCES backup_mgmt.backup_execution_h,
    load_date               timestamptz NOT NULL DEFAULT util.current_load_date(),
    load_end_date           timestamptz,
    hash_diff               bytea NOT NULL,
    backup_type             varchar(50) NOT NULL,
    backup_scope            varchar(50) NOT NULL DEFAULT 'SYSTEM',
    backup_method           varchar(50) NOT NULL DEFAULT 'PG_BASEBACKUP',
    backup_start_time       timestamptz NOT NULL,
    backup_end_time         timestamptz,
    backup_duration_seconds integer,
    backup_status           varchar(20) NOT NULL DEFAULT 'PENDING',
    backup_size_bytes       bigint,
    verification_status     varchar(20) DEFAULT 'PENDING',
    recovery_tested         boolean DEFAULT false,
    recovery_test_date      timestamptz,
    error_message           text,
    record_source           varchar(100) NOT NULL,
    PRIMARY KEY (backup_hk, load_date)
);

-- +goose Down
-- Nothing: these objects may belong to Phase 1 and hold its data.
SELECT 1;
