-- +goose Up
-- Storms: more groups of alerts fired together than people can be told of one by one.

CREATE TABLE monitoring.storm_h (
    storm_hk      bytea PRIMARY KEY,
    storm_bk      varchar(300) NOT NULL UNIQUE,
    tenant_hk     bytea REFERENCES auth.tenant_h,
    load_date     timestamptz DEFAULT util.current_load_date(),
    record_source varchar(100) NOT NULL DEFAULT 'STORM_WATCH',
    storm_kind    varchar(20) NOT NULL,
    storm_name    varchar(255) NOT NULL,
    CONSTRAINT storm_h_key_is_hash CHECK (storm_hk = util.hash_binary(storm_bk::text)),
    CONSTRAINT storm_h_kind CHECK (storm_kind IN ('TARGET', 'DEFINITION'))
);
COMMENT ON TABLE monitoring.storm_h IS 'Hub: one storm, STORM||<kind>||<name>||<tenant>||<beginning>: more groups of alerts than the limit fired together, and people are told of them in one message.';
COMMENT ON COLUMN monitoring.storm_h.tenant_hk IS 'Hash key of the tenant whose alerts they are; NULL: the whole system''s.';
COMMENT ON COLUMN monitoring.storm_h.storm_kind IS 'TARGET: many definitions on one target. DEFINITION: one definition on many targets.';
COMMENT ON COLUMN monitoring.storm_h.storm_name IS 'The target, or the key of the definition.';

CREATE TABLE monitoring.storm_s (
    storm_hk      bytea NOT NULL REFERENCES monitoring.storm_h,
    load_date     timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date timestamptz,
    hash_diff     bytea NOT NULL,
    began_at      timestamptz NOT NULL,
    ended_at      timestamptz,
    group_limit   integer NOT NULL,
    group_count   integer NOT NULL,
    at_once       integer NOT NULL,
    alert_count   integer,
    record_source varchar(100) NOT NULL DEFAULT 'STORM_WATCH',
    PRIMARY KEY (storm_hk, load_date),
    CONSTRAINT storm_s_ends_after_its_beginning CHECK (ended_at >= began_at)
);
COMMENT ON TABLE monitoring.storm_s IS 'State satellite: the versions of a storm. monitoring.join_storm() and end_storm() write it.';
COMMENT ON COLUMN monitoring.storm_s.began_at IS 'When the limit was found to be passed.';
COMMENT ON COLUMN monitoring.storm_s.ended_at IS 'When it ended; NULL: it is on, and groups that fire join it.';
COMMENT ON COLUMN monitoring.storm_s.group_limit IS 'How many groups were no storm yet, as it was set when it began.';
COMMENT ON COLUMN monitoring.storm_s.group_count IS 'How many groups had fired: at its beginning, and once it ended those that it told of.';
COMMENT ON COLUMN monitoring.storm_s.at_once IS 'How many groups had fired together, within two seconds, with the one that passed the limit: the first message waits for them, ten seconds at most.';
COMMENT ON COLUMN monitoring.storm_s.alert_count IS 'How many alerts it told of; NULL: it is on.';

-- +goose Down
DROP VIEW IF EXISTS monitoring.storm_current;
DROP TRIGGER IF EXISTS t43_check_storm ON monitoring.monitor_config_s;
DROP FUNCTION IF EXISTS monitoring.storm_setting, monitoring.check_storm_setting, monitoring.storm_groups, monitoring.join_storm, monitoring.end_storm;
DROP TABLE monitoring.storm_s, monitoring.storm_h CASCADE;
