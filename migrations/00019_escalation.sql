-- +goose Up
-- What people do with alerts beside taking and ending them: for a time only, back, quiet, further up. Columns
-- last, as in 00002.
ALTER TABLE monitoring.alert_instance_s
    ADD COLUMN acknowledged_until timestamptz,
    ADD COLUMN snoozed_until timestamptz,
    ADD COLUMN changed_by varchar(100),
    ADD COLUMN change_notes text;

ALTER TABLE monitoring.outbox
    DROP CONSTRAINT outbox_kind,
    ADD CONSTRAINT outbox_kind CHECK (
        alert_instance_hk IS NOT NULL AND incident_hk IS NULL AND target_name IS NOT NULL
            AND kind IN ('FIRED', 'ACKNOWLEDGED', 'UNACKNOWLEDGED', 'SNOOZED', 'ESCALATED', 'RESOLVED', 'NOTIFY', 'MUTES')
        OR incident_hk IS NOT NULL AND alert_instance_hk IS NULL AND kind IN ('CREATED', 'CHANGED', 'NOTED', 'LINKED', 'ALERT')
        OR alert_instance_hk IS NULL AND incident_hk IS NULL AND target_name IS NOT NULL AND kind = 'LOOK' AND payload ? 'source'
        OR alert_instance_hk IS NULL AND incident_hk IS NULL AND kind = 'SILENCE' AND payload ? 'silence');
COMMENT ON COLUMN monitoring.outbox.kind IS 'Of an alert: FIRED, ACKNOWLEDGED, UNACKNOWLEDGED, SNOOZED, ESCALATED, RESOLVED, NOTIFY, MUTES (its group is to ask again what mutes it). Of an incident: CREATED, CHANGED, NOTED, LINKED (alerts came or went), ALERT (one of its alerts was acknowledged or resolved). Of neither: LOOK, at the definitions that read payload.source; SILENCE, payload.silence began, changed or ended.';
COMMENT ON COLUMN monitoring.notification_log_s.event IS 'What it told: FIRED, ESCALATED:<level>, REPEATED:<level>:<moment>, UNANSWERED:<moment> (an acknowledgement or a snooze was over), RESOLVED, REQUESTED:<n>. Of an alert that fired again, for the nth time: REOPENED:<n>, FLAPPING or FLAPPING:<n>, RESOLVED:<n>, REQUESTED:<n>:<request>.';

-- Who is paged when, as long as nobody answers.
CREATE TABLE monitoring.escalation_policy_h (
    escalation_policy_hk bytea PRIMARY KEY,
    escalation_policy_bk varchar(255) NOT NULL UNIQUE,
    tenant_hk            bytea REFERENCES auth.tenant_h,
    load_date            timestamptz DEFAULT util.current_load_date(),
    record_source        varchar(100) NOT NULL DEFAULT 'ALERTING_SYSTEM',
    CONSTRAINT escalation_policy_h_key_is_hash CHECK (escalation_policy_hk = util.hash_binary(escalation_policy_bk::text)),
    CONSTRAINT escalation_policy_h_key_is_usable CHECK (escalation_policy_bk ~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$')
);
COMMENT ON TABLE monitoring.escalation_policy_h IS 'Hub: one escalation policy.';
COMMENT ON COLUMN monitoring.escalation_policy_h.escalation_policy_hk IS 'SHA-256 of the business key.';
COMMENT ON COLUMN monitoring.escalation_policy_h.escalation_policy_bk IS 'What a definition names in escalation_policy.';
COMMENT ON COLUMN monitoring.escalation_policy_h.tenant_hk IS 'Whose it is; NULL: everybody''s.';

CREATE TABLE monitoring.escalation_policy_s (
    escalation_policy_hk   bytea NOT NULL REFERENCES monitoring.escalation_policy_h,
    load_date              timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date          timestamptz,
    hash_diff              bytea NOT NULL,
    policy_name            varchar(200) NOT NULL,
    policy_description     text,
    escalation_levels      jsonb NOT NULL,
    repeat_times           integer NOT NULL DEFAULT 0,
    repeat_every_minutes   integer NOT NULL DEFAULT 0,
    default_for_severities text[],
    is_enabled             boolean NOT NULL DEFAULT true,
    changed_by             varchar(100) NOT NULL DEFAULT session_user,
    record_source          varchar(100) NOT NULL DEFAULT 'ALERTING_SYSTEM',
    PRIMARY KEY (escalation_policy_hk, load_date)
);
COMMENT ON TABLE monitoring.escalation_policy_s IS 'State satellite: the versions of an escalation policy. INSERT a new version; alerts that fire from then on follow it, and those that are open end under the one they began with.';
COMMENT ON COLUMN monitoring.escalation_policy_s.escalation_policy_hk IS 'The policy.';
COMMENT ON COLUMN monitoring.escalation_policy_s.policy_name IS 'What people call it.';
COMMENT ON COLUMN monitoring.escalation_policy_s.policy_description IS 'What it is for.';
COMMENT ON COLUMN monitoring.escalation_policy_s.escalation_levels IS '[{after_minutes, channels, repeat, every_minutes}], level 0 first, which has after_minutes 0. channels: keys or types, none for every channel that hears the definition. repeat: how often the level is paged once more, every every_minutes.';
COMMENT ON COLUMN monitoring.escalation_policy_s.repeat_times IS 'How often the whole begins anew after its last level.';
COMMENT ON COLUMN monitoring.escalation_policy_s.repeat_every_minutes IS 'How long after the last level that is.';
COMMENT ON COLUMN monitoring.escalation_policy_s.default_for_severities IS 'Definitions of these severities that escalate and name no policy follow this one; NULL: only those that name it.';
COMMENT ON COLUMN monitoring.escalation_policy_s.is_enabled IS 'false: nobody follows it.';
COMMENT ON COLUMN monitoring.escalation_policy_s.changed_by IS 'Who wrote this version.';

ALTER TABLE monitoring.alert_definition_s ADD COLUMN escalation_policy varchar(255);
COMMENT ON COLUMN monitoring.alert_definition_s.escalation_policy IS 'Key of the escalation policy; NULL: the default of its severity, or without one everybody again after each escalation_delay_minutes.';

-- +goose Down
DELETE FROM monitoring.outbox WHERE kind IN ('UNACKNOWLEDGED', 'SNOOZED', 'ESCALATED');
ALTER TABLE monitoring.outbox
    DROP CONSTRAINT outbox_kind,
    ADD CONSTRAINT outbox_kind CHECK (
        alert_instance_hk IS NOT NULL AND incident_hk IS NULL AND target_name IS NOT NULL AND kind IN ('FIRED', 'ACKNOWLEDGED', 'RESOLVED', 'NOTIFY', 'MUTES')
        OR incident_hk IS NOT NULL AND alert_instance_hk IS NULL AND kind IN ('CREATED', 'CHANGED', 'NOTED', 'LINKED', 'ALERT')
        OR alert_instance_hk IS NULL AND incident_hk IS NULL AND target_name IS NOT NULL AND kind = 'LOOK' AND payload ? 'source'
        OR alert_instance_hk IS NULL AND incident_hk IS NULL AND kind = 'SILENCE' AND payload ? 'silence');
COMMENT ON COLUMN monitoring.outbox.kind IS 'Of an alert: FIRED, ACKNOWLEDGED, RESOLVED, NOTIFY, MUTES (its group is to ask again what mutes it). Of an incident: CREATED, CHANGED, NOTED, LINKED (alerts came or went), ALERT (one of its alerts was acknowledged or resolved). Of neither: LOOK, at the definitions that read payload.source; SILENCE, payload.silence began, changed or ended.';
COMMENT ON COLUMN monitoring.notification_log_s.event IS 'What it told: FIRED, ESCALATED:<level>, RESOLVED, REQUESTED:<n>. Of an alert that fired again, for the nth time: REOPENED:<n>, FLAPPING or FLAPPING:<n>, RESOLVED:<n>, REQUESTED:<n>:<request>.';
-- What reads the columns goes first; the functions are put again by the next `onevault migrate up`.
DROP FUNCTION IF EXISTS monitoring.end_of_answer, monitoring.require_reason, monitoring.snooze_state, monitoring.acknowledge_alert_for,
    monitoring.unacknowledge_alert, monitoring.snooze_alert, monitoring.escalate_alert, monitoring.mark_alert_false_positive;
DROP VIEW IF EXISTS monitoring.alert_current;
DROP FUNCTION IF EXISTS monitoring.escalation_policy_of, monitoring.escalation_policy_of_alert;
DROP TABLE monitoring.escalation_policy_s, monitoring.escalation_policy_h CASCADE;
DROP FUNCTION IF EXISTS monitoring.check_escalation_policy, monitoring.check_policy_of_definition, monitoring.policy_problem, monitoring.require_whole_number CASCADE;
ALTER TABLE monitoring.alert_definition_s DROP COLUMN escalation_policy;
ALTER TABLE monitoring.alert_instance_s
    DROP COLUMN acknowledged_until,
    DROP COLUMN snoozed_until,
    DROP COLUMN changed_by,
    DROP COLUMN change_notes;
