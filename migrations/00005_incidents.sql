-- +goose Up
-- Incidents become workable: an id that people type, who responded and who resolved, when a limit passed,
-- the notes, and an outbox whose rows may concern an incident. Columns stand last and may be NULL, so
-- that positional INSERTs keep working and no hash of an older row changes.

ALTER TABLE monitoring.incident_h ADD COLUMN short_id varchar(10);
ALTER TABLE monitoring.incident_h ADD CONSTRAINT incident_h_short_id_once UNIQUE (short_id);
COMMENT ON COLUMN monitoring.incident_h.short_id IS 'What people type: I-7F3K, longer where the shorter one is taken. Never given twice, for it is the id of a workflow: incident/<short id>.';

ALTER TABLE monitoring.incident_s
    ADD COLUMN first_response_by      varchar(100),
    ADD COLUMN resolved_by            varchar(100),
    ADD COLUMN closed_by              varchar(100),
    ADD COLUMN reopened_at            timestamptz,
    ADD COLUMN response_breached_at   timestamptz,
    ADD COLUMN resolution_breached_at timestamptz;
COMMENT ON COLUMN monitoring.incident_s.first_response_by IS 'Who responded first: by a note, an assignment, an acknowledgement of one of its alerts, or by taking the incident.';
COMMENT ON COLUMN monitoring.incident_s.resolved_by IS 'A person, or "all alerts resolved".';
COMMENT ON COLUMN monitoring.incident_s.reopened_at IS 'When it was last reopened: alerts that ended before do not resolve it again.';
COMMENT ON COLUMN monitoring.incident_s.response_breached_at IS 'The limit of the first response, once it has passed without one. Computed by the database from the times.';
COMMENT ON COLUMN monitoring.incident_s.resolution_breached_at IS 'The limit of the resolution, once it has passed without one. Computed by the database from the times.';
COMMENT ON COLUMN monitoring.incident_s.sla_breach IS 'One of the two limits has passed; stays true.';

CREATE TABLE monitoring.incident_note_s (
    incident_hk   bytea NOT NULL REFERENCES monitoring.incident_h,
    load_date     timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date timestamptz,
    hash_diff     bytea NOT NULL,
    noted_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    author        varchar(100) NOT NULL DEFAULT SESSION_USER,
    via           varchar(150),
    note_text     text NOT NULL,
    record_source varchar(100) NOT NULL DEFAULT 'INCIDENT_MANAGER',
    -- Written again by a retry, a note is the same row.
    PRIMARY KEY (incident_hk, noted_at, hash_diff)
);
COMMENT ON TABLE monitoring.incident_note_s IS 'Append-only satellite: what people wrote about an incident. load_end_date set means "retracted".';
COMMENT ON COLUMN monitoring.incident_note_s.noted_at IS 'When it was written; load_date is when the vault learned of it.';
COMMENT ON COLUMN monitoring.incident_note_s.via IS 'How the author was known: psql:<role>, cli:<user@host>, workflow.';

ALTER TABLE monitoring.outbox
    ADD COLUMN incident_hk bytea REFERENCES monitoring.incident_h,
    ALTER COLUMN alert_instance_hk DROP NOT NULL,
    ALTER COLUMN target_name DROP NOT NULL,
    DROP CONSTRAINT outbox_kind,
    ADD CONSTRAINT outbox_kind CHECK (
        alert_instance_hk IS NOT NULL AND incident_hk IS NULL AND target_name IS NOT NULL AND kind IN ('FIRED', 'ACKNOWLEDGED', 'RESOLVED', 'NOTIFY')
        OR incident_hk IS NOT NULL AND alert_instance_hk IS NULL AND kind IN ('CREATED', 'CHANGED', 'NOTED', 'LINKED', 'ALERT'));
COMMENT ON TABLE monitoring.outbox IS 'What happened to alerts and incidents inside the database, on its way to their workflows; relayed in order, each exactly once in effect. A row concerns an alert or an incident.';
COMMENT ON COLUMN monitoring.outbox.kind IS 'Of an alert: FIRED, ACKNOWLEDGED, RESOLVED, NOTIFY. Of an incident: CREATED, CHANGED, NOTED, LINKED (alerts came or went), ALERT (one of its alerts was acknowledged or resolved).';

-- +goose Down
DROP FUNCTION IF EXISTS monitoring.tell_incidents_of_alert, monitoring.tell_incident_of_links, monitoring.tell_incident_of_note,
    monitoring.tell_incident_of_change, monitoring.check_incident, monitoring.give_incident_short_id CASCADE;
DROP VIEW IF EXISTS monitoring.incident_summary_dashboard, monitoring.incident_current CASCADE;
DELETE FROM monitoring.outbox WHERE incident_hk IS NOT NULL;
ALTER TABLE monitoring.outbox
    DROP CONSTRAINT outbox_kind,
    DROP COLUMN incident_hk CASCADE,
    ALTER COLUMN alert_instance_hk SET NOT NULL,
    ALTER COLUMN target_name SET NOT NULL,
    ADD CONSTRAINT outbox_kind CHECK (kind IN ('FIRED', 'ACKNOWLEDGED', 'RESOLVED', 'NOTIFY'));
DROP TABLE monitoring.incident_note_s CASCADE;
ALTER TABLE monitoring.incident_s
    DROP COLUMN first_response_by CASCADE, DROP COLUMN resolved_by CASCADE, DROP COLUMN closed_by CASCADE, DROP COLUMN reopened_at CASCADE,
    DROP COLUMN response_breached_at CASCADE, DROP COLUMN resolution_breached_at CASCADE;
ALTER TABLE monitoring.incident_h DROP COLUMN short_id CASCADE;
