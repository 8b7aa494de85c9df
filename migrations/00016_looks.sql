-- +goose Up
-- An outbox row may ask for a look at the definitions that read a source: what an application writes is
-- judged at once, and not at the next round.
ALTER TABLE monitoring.outbox
    DROP CONSTRAINT outbox_kind,
    ADD CONSTRAINT outbox_kind CHECK (
        alert_instance_hk IS NOT NULL AND incident_hk IS NULL AND target_name IS NOT NULL AND kind IN ('FIRED', 'ACKNOWLEDGED', 'RESOLVED', 'NOTIFY')
        OR incident_hk IS NOT NULL AND alert_instance_hk IS NULL AND kind IN ('CREATED', 'CHANGED', 'NOTED', 'LINKED', 'ALERT')
        OR alert_instance_hk IS NULL AND incident_hk IS NULL AND target_name IS NOT NULL AND kind = 'LOOK' AND payload ? 'source');
COMMENT ON TABLE monitoring.outbox IS 'What happened inside the database, on its way to the workflows; relayed in order, each exactly once in effect. A row concerns an alert, an incident, or (LOOK) a source of conditions that has news.';
COMMENT ON COLUMN monitoring.outbox.kind IS 'Of an alert: FIRED, ACKNOWLEDGED, RESOLVED, NOTIFY. Of an incident: CREATED, CHANGED, NOTED, LINKED (alerts came or went), ALERT (one of its alerts was acknowledged or resolved). Of neither: LOOK, at the definitions that read payload.source.';
CREATE INDEX outbox_looks ON monitoring.outbox (target_name, (payload ->> 'source')) WHERE relayed_at IS NULL AND kind = 'LOOK';

-- +goose Down
DROP FUNCTION IF EXISTS monitoring.look_at_security, monitoring.look_at_backups, monitoring.ask_for_look CASCADE;
DELETE FROM monitoring.outbox WHERE kind = 'LOOK';
DROP INDEX monitoring.outbox_looks;
ALTER TABLE monitoring.outbox
    DROP CONSTRAINT outbox_kind,
    ADD CONSTRAINT outbox_kind CHECK (
        alert_instance_hk IS NOT NULL AND incident_hk IS NULL AND target_name IS NOT NULL AND kind IN ('FIRED', 'ACKNOWLEDGED', 'RESOLVED', 'NOTIFY')
        OR incident_hk IS NOT NULL AND alert_instance_hk IS NULL AND kind IN ('CREATED', 'CHANGED', 'NOTED', 'LINKED', 'ALERT'));
