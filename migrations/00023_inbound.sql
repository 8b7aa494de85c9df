-- +goose Up
-- What others send us: which of it was heard already, and the systems whose alerts are taken in.

CREATE TABLE monitoring.inbound_receipt (
    provider    varchar(40) NOT NULL,
    receipt_id  varchar(200) NOT NULL,
    digest      bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    claimed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at     timestamptz,
    sender      varchar(150),
    status      integer,
    answer      jsonb,
    PRIMARY KEY (provider, receipt_id),
    CONSTRAINT inbound_receipt_done CHECK ((done_at IS NULL) = (status IS NULL) AND (done_at IS NULL) = (answer IS NULL))
);
COMMENT ON TABLE monitoring.inbound_receipt IS 'Technical: what providers sent, so that the same again is answered as the first time and does nothing. Kept as monitoring.queue_table says.';
COMMENT ON COLUMN monitoring.inbound_receipt.provider IS 'Who sends: link (a link of an e-mail), source/NAME, slack, twilio, pagerduty.';
COMMENT ON COLUMN monitoring.inbound_receipt.receipt_id IS 'The provider''s own id of what it sent.';
COMMENT ON COLUMN monitoring.inbound_receipt.digest IS 'SHA-256 of the content: another content under the same id is refused.';
COMMENT ON COLUMN monitoring.inbound_receipt.received_at IS 'When it came first.';
COMMENT ON COLUMN monitoring.inbound_receipt.claimed_at IS 'When a worker last began to carry it out.';
COMMENT ON COLUMN monitoring.inbound_receipt.done_at IS 'When it was carried out; NULL: it is under way, or the worker ended in the midst of it.';
COMMENT ON COLUMN monitoring.inbound_receipt.sender IS 'Who sent it, and how that is known: link:dana@example.com (verified).';
COMMENT ON COLUMN monitoring.inbound_receipt.status IS 'The HTTP status that answered it.';
COMMENT ON COLUMN monitoring.inbound_receipt.answer IS 'What answered it, without secrets.';

CREATE TABLE monitoring.alert_source_h (
    alert_source_hk bytea PRIMARY KEY,
    alert_source_bk varchar(255) NOT NULL UNIQUE,
    load_date       timestamptz DEFAULT util.current_load_date(),
    record_source   varchar(100) NOT NULL DEFAULT 'SOURCE_MANAGER',
    source_name     varchar(40) NOT NULL,
    CONSTRAINT alert_source_h_key_is_hash CHECK (alert_source_hk = util.hash_binary(alert_source_bk::text)),
    CONSTRAINT alert_source_h_key_is_name CHECK (alert_source_bk = util.bk('SOURCE', source_name::text))
);
COMMENT ON TABLE monitoring.alert_source_h IS 'Hub: one system that sends alerts, by its name.';
COMMENT ON COLUMN monitoring.alert_source_h.source_name IS 'The name in its address and in the keys of its definitions; upper and lower case mean the same.';

CREATE TABLE monitoring.alert_source_s (
    alert_source_hk bytea NOT NULL REFERENCES monitoring.alert_source_h,
    load_date       timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date   timestamptz,
    hash_diff       bytea NOT NULL,
    source_state    varchar(10) NOT NULL DEFAULT 'ENABLED',
    token_env       varchar(100),
    token_file      text,
    secret_env      varchar(100),
    secret_file     text,
    target_label    varchar(100),
    max_definitions integer NOT NULL DEFAULT 200,
    description     text,
    changed_by      varchar(100) NOT NULL DEFAULT SESSION_USER,
    changed_role    varchar(100) NOT NULL DEFAULT SESSION_USER,
    record_source   varchar(100) NOT NULL DEFAULT 'SOURCE_MANAGER',
    PRIMARY KEY (alert_source_hk, load_date),
    CONSTRAINT alert_source_s_state CHECK (source_state IN ('ENABLED', 'REMOVED'))
);
COMMENT ON TABLE monitoring.alert_source_s IS 'State satellite: the versions of a system that sends alerts. monitoring.put_source() and remove_source() write it; workers follow at its next request.';
COMMENT ON COLUMN monitoring.alert_source_s.source_state IS 'ENABLED, or REMOVED: what it sends is refused. Its alerts stay until somebody resolves them.';
COMMENT ON COLUMN monitoring.alert_source_s.token_env IS 'The environment variable of the workers that holds the bearer token.';
COMMENT ON COLUMN monitoring.alert_source_s.token_file IS 'The file on the workers'' hosts that holds the bearer token; read again for each request.';
COMMENT ON COLUMN monitoring.alert_source_s.secret_env IS 'The environment variable of the workers that holds the signing secret of Standard Webhooks, whsec_...';
COMMENT ON COLUMN monitoring.alert_source_s.secret_file IS 'The file on the workers'' hosts that holds that secret; read again for each request.';
COMMENT ON COLUMN monitoring.alert_source_s.target_label IS 'The label that names the watched server that an alert is about, such as server. NULL, or a value that no target has: the alert stands under the source''s own name.';
COMMENT ON COLUMN monitoring.alert_source_s.max_definitions IS 'How many definitions its alerts may create; further names share one definition for each severity.';
COMMENT ON COLUMN monitoring.alert_source_s.description IS 'What it is, and whom to ask about it.';
COMMENT ON COLUMN monitoring.alert_source_s.changed_by IS 'Who made this version: a person by name.';
COMMENT ON COLUMN monitoring.alert_source_s.changed_role IS 'The role that opened the session in which this version was made.';

-- Whether a source speaks of an alert that is open already.
CREATE INDEX alert_instance_s_fingerprint ON monitoring.alert_instance_s ((trigger_details ->> 'fingerprint'))
    WHERE load_end_date IS NULL AND trigger_details ? 'fingerprint';

-- +goose Down
DROP INDEX monitoring.alert_instance_s_fingerprint;
DROP VIEW IF EXISTS monitoring.alert_source_current;
DROP FUNCTION IF EXISTS monitoring.claim_receipt, monitoring.settle_receipt, monitoring.release_receipt, monitoring.answer_alert,
    monitoring.record_inbound_refusals, monitoring.check_source_name, monitoring.check_source, monitoring.put_source, monitoring.remove_source,
    monitoring.source_definition_key, monitoring.source_definition, monitoring.source_target, monitoring.take_in_alert, monitoring.take_in_alerts CASCADE;
DELETE FROM monitoring.queue_table WHERE table_name = 'inbound_receipt';
-- What was taken in stays history; nothing of it is open that nobody can resolve any more.
DROP TABLE monitoring.inbound_receipt, monitoring.alert_source_s, monitoring.alert_source_h CASCADE;
