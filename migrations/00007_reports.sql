-- +goose Up
-- Daily reports: what was reported of a day, and to whom it was mailed. Conventions as in 00002.

CREATE TABLE monitoring.report_h (
    report_hk     bytea PRIMARY KEY,
    report_bk     varchar(255) NOT NULL UNIQUE,
    load_date     timestamptz DEFAULT util.current_load_date(),
    record_source varchar(100) NOT NULL DEFAULT 'REPORTER',
    CONSTRAINT report_h_key_is_hash CHECK (report_hk = util.hash_binary(report_bk::text))
);
COMMENT ON TABLE monitoring.report_h IS 'Hub: one report: its kind, what it covers (ALL targets) and its date, DAILY||ALL||2026-11-23. It tells of all tenants, so readers of single tenants do not see it.';

CREATE TABLE monitoring.report_s (
    report_hk     bytea NOT NULL REFERENCES monitoring.report_h,
    load_date     timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date timestamptz,
    hash_diff     bytea NOT NULL,
    report_state  varchar(20) NOT NULL DEFAULT 'GENERATED',
    report_date   date NOT NULL,
    period_start  timestamptz NOT NULL,
    period_end    timestamptz NOT NULL,
    time_zone     varchar(64) NOT NULL,
    figures       jsonb NOT NULL,
    content       jsonb NOT NULL,
    html_sha256   varchar(64) NOT NULL,
    record_source varchar(100) NOT NULL DEFAULT 'REPORTER',
    PRIMARY KEY (report_hk, load_date),
    CONSTRAINT report_s_state CHECK (report_state IN ('GENERATED')),
    CONSTRAINT report_s_period CHECK (period_start < period_end)
);
COMMENT ON TABLE monitoring.report_s IS 'State satellite: a report as it was made; made again of another moment of the day it is a new version.';
COMMENT ON COLUMN monitoring.report_s.report_date IS 'The day that it bears, in its time zone.';
COMMENT ON COLUMN monitoring.report_s.period_end IS 'Excluded; the moment as of which states are told.';
COMMENT ON COLUMN monitoring.report_s.figures IS 'The goals: [{key, name, goal, measured, value, unit, verdict, detail}].';
COMMENT ON COLUMN monitoring.report_s.content IS 'The whole report, as `onevault report show -o json` prints it; its HTML is rendered from this.';
COMMENT ON COLUMN monitoring.report_s.html_sha256 IS 'SHA-256 in hex of the HTML as the build that made it renders it.';

CREATE TABLE monitoring.report_delivery_h (
    report_delivery_hk     bytea PRIMARY KEY,
    report_delivery_bk     varchar(512) NOT NULL UNIQUE,
    report_hk              bytea NOT NULL REFERENCES monitoring.report_h,
    notification_config_hk bytea NOT NULL REFERENCES monitoring.notification_config_h,
    load_date              timestamptz DEFAULT util.current_load_date(),
    record_source          varchar(100) NOT NULL DEFAULT 'REPORTER',
    CONSTRAINT report_delivery_h_key_is_hash CHECK (report_delivery_hk = util.hash_binary(report_delivery_bk::text))
);
COMMENT ON TABLE monitoring.report_delivery_h IS 'Hub: one report to one recipient of one channel.';

CREATE TABLE monitoring.report_delivery_s (
    report_delivery_hk  bytea NOT NULL REFERENCES monitoring.report_delivery_h,
    load_date           timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date       timestamptz,
    hash_diff           bytea NOT NULL,
    delivery_status     varchar(20) NOT NULL,
    recipient_address   text NOT NULL,
    attempt_key         varchar(100) NOT NULL,
    attempted_at        timestamptz NOT NULL,
    outcome_class       varchar(12),
    failure_reason      text,
    delivery_proof      text,
    external_message_id varchar(255),
    content_sha256      varchar(64),
    possible_duplicate  boolean NOT NULL DEFAULT false,
    record_source       varchar(100) NOT NULL DEFAULT 'REPORTER',
    PRIMARY KEY (report_delivery_hk, load_date),
    CONSTRAINT report_delivery_s_status CHECK (delivery_status IN ('PENDING', 'DELIVERED', 'FAILED')),
    CONSTRAINT report_delivery_s_class CHECK (outcome_class IN ('ACCEPTED', 'NOT_SENT', 'TRANSIENT', 'UNCERTAIN', 'CONFIG', 'PERMANENT'))
);
COMMENT ON TABLE monitoring.report_delivery_s IS 'State satellite: the ledger of a mailed report. An intent before each attempt, an outcome after it.';
COMMENT ON COLUMN monitoring.report_delivery_s.attempt_key IS 'Which attempt of which run: written again by a retry, it is no new version.';
COMMENT ON COLUMN monitoring.report_delivery_s.outcome_class IS 'What the attempt proved. PENDING with NULL: it was begun and its outcome is unknown.';
COMMENT ON COLUMN monitoring.report_delivery_s.content_sha256 IS 'SHA-256 in hex of the HTML that was attached.';
COMMENT ON COLUMN monitoring.report_delivery_s.possible_duplicate IS 'An earlier attempt may have arrived as well.';

-- +goose Down
DROP TABLE monitoring.report_delivery_s, monitoring.report_delivery_h, monitoring.report_s, monitoring.report_h CASCADE;
