-- +goose Up
-- The servers that are watched besides the vault's own: where they are, and where the secret is with which
-- they are reached. The secret itself never stands here.

CREATE TABLE monitoring.target_h (
    target_hk     bytea PRIMARY KEY,
    target_bk     varchar(255) NOT NULL UNIQUE,
    tenant_hk     bytea REFERENCES auth.tenant_h,
    load_date     timestamptz DEFAULT util.current_load_date(),
    record_source varchar(100) NOT NULL DEFAULT 'TARGET_MANAGER',
    target_name   varchar(63) NOT NULL,
    CONSTRAINT target_h_key_is_hash CHECK (target_hk = util.hash_binary(target_bk::text)),
    CONSTRAINT target_h_key_is_name CHECK (target_bk = util.bk('TARGET', target_name::text))
);
COMMENT ON TABLE monitoring.target_h IS 'Hub: one watched server by its name. The vault''s own server, local, is watched without a row here.';
COMMENT ON COLUMN monitoring.target_h.target_name IS 'The name in all ids, as it was first given. Letters, digits, . _ -; upper and lower case mean the same target.';
COMMENT ON COLUMN monitoring.target_h.tenant_hk IS 'Hash key of the tenant that it belongs to, auth.tenant_h: only this tenant''s readers see what is measured on it. NULL: every reader does.';

CREATE TABLE monitoring.target_s (
    target_hk             bytea NOT NULL REFERENCES monitoring.target_h,
    load_date             timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date         timestamptz,
    hash_diff             bytea NOT NULL,
    target_state          varchar(10) NOT NULL DEFAULT 'ENABLED',
    target_url            text,
    password_env          varchar(100),
    password_file         text,
    url_env               varchar(100),
    url_file              text,
    collect_every_seconds integer,
    description           text,
    changed_by            varchar(100) NOT NULL DEFAULT SESSION_USER,
    changed_role          varchar(100) NOT NULL DEFAULT SESSION_USER,
    record_source         varchar(100) NOT NULL DEFAULT 'TARGET_MANAGER',
    PRIMARY KEY (target_hk, load_date),
    CONSTRAINT target_s_state CHECK (target_state IN ('ENABLED', 'DISABLED', 'REMOVED'))
);
COMMENT ON TABLE monitoring.target_s IS 'State satellite: the versions of a watched server. monitoring.add_target(), change_target() and remove_target() write it; workers follow within seconds.';
COMMENT ON COLUMN monitoring.target_s.target_state IS 'ENABLED: it is watched. DISABLED: nobody looks, and its open alerts stay as they are. REMOVED: as DISABLED, and its alerts have ended; its history stays.';
COMMENT ON COLUMN monitoring.target_s.target_url IS 'postgres://user@host:5432/database?sslmode=verify-full, without a password. NULL: the whole address is where url_env or url_file says.';
COMMENT ON COLUMN monitoring.target_s.password_env IS 'The environment variable of the workers that holds the password.';
COMMENT ON COLUMN monitoring.target_s.password_file IS 'The file on the workers'' hosts that holds the password; read again for each new connection.';
COMMENT ON COLUMN monitoring.target_s.url_env IS 'The environment variable of the workers that holds the whole address, password included.';
COMMENT ON COLUMN monitoring.target_s.url_file IS 'The file on the workers'' hosts that holds the whole address, password included; read again for each new connection.';
COMMENT ON COLUMN monitoring.target_s.collect_every_seconds IS 'How often its health is measured; NULL: as the workers'' own setting says.';
COMMENT ON COLUMN monitoring.target_s.description IS 'What it is, and whom to ask about it.';
COMMENT ON COLUMN monitoring.target_s.changed_by IS 'Who made this version: a person by name.';
COMMENT ON COLUMN monitoring.target_s.changed_role IS 'The role that opened the session in which this version was made.';

-- +goose Down
DROP VIEW IF EXISTS monitoring.target_current;
DROP FUNCTION IF EXISTS monitoring.give_tenant_of_target, monitoring.check_target_name, monitoring.check_target, monitoring.check_target_url,
    monitoring.target_lock, monitoring.current_target, monitoring.add_target, monitoring.change_target, monitoring.remove_target,
    monitoring.unreachable_since, monitoring.sources_of_the_vault, monitoring.hold_target CASCADE;
DROP TABLE monitoring.target_s, monitoring.target_h CASCADE;
