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
            AND kind IN ('FIRED', 'ACKNOWLEDGED', 'REOPENED', 'SNOOZED', 'ESCALATED', 'RESOLVED', 'NOTIFY')
        OR incident_hk IS NOT NULL AND alert_instance_hk IS NULL AND kind IN ('CREATED', 'CHANGED', 'NOTED', 'LINKED', 'ALERT')
        OR alert_instance_hk IS NULL AND incident_hk IS NULL AND target_name IS NOT NULL AND kind = 'LOOK' AND payload ? 'source');
COMMENT ON COLUMN monitoring.outbox.kind IS 'Of an alert: FIRED, ACKNOWLEDGED, REOPENED, SNOOZED, ESCALATED, RESOLVED, NOTIFY. Of an incident: CREATED, CHANGED, NOTED, LINKED (alerts came or went), ALERT (one of its alerts was acknowledged or resolved). Of neither: LOOK, at the definitions that read payload.source.';

-- +goose Down
DELETE FROM monitoring.outbox WHERE kind IN ('REOPENED', 'SNOOZED', 'ESCALATED');
ALTER TABLE monitoring.outbox
    DROP CONSTRAINT outbox_kind,
    ADD CONSTRAINT outbox_kind CHECK (
        alert_instance_hk IS NOT NULL AND incident_hk IS NULL AND target_name IS NOT NULL AND kind IN ('FIRED', 'ACKNOWLEDGED', 'RESOLVED', 'NOTIFY')
        OR incident_hk IS NOT NULL AND alert_instance_hk IS NULL AND kind IN ('CREATED', 'CHANGED', 'NOTED', 'LINKED', 'ALERT')
        OR alert_instance_hk IS NULL AND incident_hk IS NULL AND target_name IS NOT NULL AND kind = 'LOOK' AND payload ? 'source');
COMMENT ON COLUMN monitoring.outbox.kind IS 'Of an alert: FIRED, ACKNOWLEDGED, RESOLVED, NOTIFY. Of an incident: CREATED, CHANGED, NOTED, LINKED (alerts came or went), ALERT (one of its alerts was acknowledged or resolved). Of neither: LOOK, at the definitions that read payload.source.';
-- What reads the columns goes first; the functions are put again by the next `onevault migrate up`.
DROP FUNCTION IF EXISTS monitoring.end_of_answer, monitoring.require_reason, monitoring.snooze_state, monitoring.acknowledge_alert_for,
    monitoring.unacknowledge_alert, monitoring.snooze_alert, monitoring.escalate_alert, monitoring.mark_alert_false_positive;
DROP VIEW IF EXISTS monitoring.alert_current;
ALTER TABLE monitoring.alert_instance_s
    DROP COLUMN acknowledged_until,
    DROP COLUMN snoozed_until,
    DROP COLUMN changed_by,
    DROP COLUMN change_notes;
