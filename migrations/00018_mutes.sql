-- +goose Up
-- What keeps people from being told: silences (once, until a moment), maintenance (planned, also recurring) and
-- inhibition (an alert of one definition speaks for those of others). The alert itself lives on in every case.

CREATE TABLE monitoring.silence_h (
    silence_hk    bytea PRIMARY KEY,
    silence_bk    varchar(255) NOT NULL UNIQUE,
    tenant_hk     bytea REFERENCES auth.tenant_h,
    load_date     timestamptz DEFAULT util.current_load_date(),
    record_source varchar(100) NOT NULL DEFAULT 'MUTE_MANAGER',
    short_id      varchar(10) NOT NULL UNIQUE,
    CONSTRAINT silence_h_key_is_hash CHECK (silence_hk = util.hash_binary(silence_bk::text))
);
COMMENT ON TABLE monitoring.silence_h IS 'Hub: one silence, SILENCE||<uuid>.';
COMMENT ON COLUMN monitoring.silence_h.tenant_hk IS 'Hash key of the tenant whose readers alone see it, because it names one of its targets; NULL: every reader does.';
COMMENT ON COLUMN monitoring.silence_h.short_id IS 'What people type: S-7F3K.';

CREATE TABLE monitoring.silence_s (
    silence_hk       bytea NOT NULL REFERENCES monitoring.silence_h,
    load_date        timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date    timestamptz,
    hash_diff        bytea NOT NULL,
    matchers         text[] NOT NULL,
    starts_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    ends_at          timestamptz NOT NULL,
    silence_comment  text NOT NULL,
    include_critical boolean NOT NULL DEFAULT false,
    silenced_by      varchar(100) NOT NULL DEFAULT SESSION_USER,
    silenced_via     varchar(150) NOT NULL DEFAULT 'psql:' || SESSION_USER,
    changed_by       varchar(100),
    ended_by         varchar(100),
    record_source    varchar(100) NOT NULL DEFAULT 'MUTE_MANAGER',
    PRIMARY KEY (silence_hk, load_date)
);
COMMENT ON TABLE monitoring.silence_s IS 'State satellite: the versions of a silence. monitoring.add_silence(), extend_silence() and end_silence() write it; workflows hear of it at once.';
COMMENT ON COLUMN monitoring.silence_s.matchers IS 'Which alerts it mutes: field=value, !=, =~ and !~ over definition, target, severity, category, source, tenant and label.NAME; all must hold, none regards case.';
COMMENT ON COLUMN monitoring.silence_s.starts_at IS 'From when on it mutes.';
COMMENT ON COLUMN monitoring.silence_s.ends_at IS 'Until when; at most 30 days after its beginning, or after now when it is extended.';
COMMENT ON COLUMN monitoring.silence_s.silence_comment IS 'Why: a change, a ticket. People who are not told find it here.';
COMMENT ON COLUMN monitoring.silence_s.include_critical IS 'Whether alerts of severity CRITICAL are muted as well.';
COMMENT ON COLUMN monitoring.silence_s.silenced_by IS 'Who made it: a person by name.';
COMMENT ON COLUMN monitoring.silence_s.silenced_via IS 'How that is known: cli:login@host or psql:role.';
COMMENT ON COLUMN monitoring.silence_s.changed_by IS 'Who made this version, where it changes an earlier one.';
COMMENT ON COLUMN monitoring.silence_s.ended_by IS 'Who ended it before its time; NULL: nobody did.';

CREATE TABLE monitoring.maintenance_h (
    maintenance_hk   bytea PRIMARY KEY,
    maintenance_bk   varchar(255) NOT NULL UNIQUE,
    tenant_hk        bytea REFERENCES auth.tenant_h,
    load_date        timestamptz DEFAULT util.current_load_date(),
    record_source    varchar(100) NOT NULL DEFAULT 'MUTE_MANAGER',
    maintenance_name varchar(100) NOT NULL,
    CONSTRAINT maintenance_h_key_is_hash CHECK (maintenance_hk = util.hash_binary(maintenance_bk::text))
);
COMMENT ON TABLE monitoring.maintenance_h IS 'Hub: one maintenance by its name.';
COMMENT ON COLUMN monitoring.maintenance_h.tenant_hk IS 'Hash key of the tenant whose readers alone see it, because it names one of its targets; NULL: every reader does.';
COMMENT ON COLUMN monitoring.maintenance_h.maintenance_name IS 'The name as it was first given; upper and lower case mean the same.';

CREATE TABLE monitoring.maintenance_s (
    maintenance_hk      bytea NOT NULL REFERENCES monitoring.maintenance_h,
    load_date           timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date       timestamptz,
    hash_diff           bytea NOT NULL,
    maintenance_state   varchar(10) NOT NULL DEFAULT 'PLANNED',
    matchers            text[] NOT NULL,
    starts_on           timestamp NOT NULL,
    duration_seconds    integer NOT NULL,
    time_zone           varchar(100) NOT NULL DEFAULT 'UTC',
    rrule               text,
    maintenance_comment text NOT NULL,
    include_critical    boolean NOT NULL DEFAULT false,
    windows             tstzmultirange,
    windows_until       timestamptz,
    windows_error       text,
    changed_by          varchar(100) NOT NULL DEFAULT SESSION_USER,
    changed_via         varchar(150) NOT NULL DEFAULT 'psql:' || SESSION_USER,
    record_source       varchar(100) NOT NULL DEFAULT 'MUTE_MANAGER',
    PRIMARY KEY (maintenance_hk, load_date),
    CONSTRAINT maintenance_s_state CHECK (maintenance_state IN ('PLANNED', 'REMOVED'))
);
COMMENT ON TABLE monitoring.maintenance_s IS 'State satellite: the versions of a maintenance. monitoring.add_maintenance() and remove_maintenance() write it.';
COMMENT ON COLUMN monitoring.maintenance_s.maintenance_state IS 'PLANNED, or REMOVED: it mutes nothing any more.';
COMMENT ON COLUMN monitoring.maintenance_s.matchers IS 'Which alerts it mutes, as in silence_s.';
COMMENT ON COLUMN monitoring.maintenance_s.starts_on IS 'When its first window begins: date and time of day as clocks in time_zone show them.';
COMMENT ON COLUMN monitoring.maintenance_s.duration_seconds IS 'How long each window lasts.';
COMMENT ON COLUMN monitoring.maintenance_s.time_zone IS 'The time zone of starts_on and of rrule, such as Europe/Berlin: 02:00 stays 02:00 in summer.';
COMMENT ON COLUMN monitoring.maintenance_s.rrule IS 'How it recurs, by RFC 5545: FREQ=WEEKLY;BYDAY=SU. NULL: once.';
COMMENT ON COLUMN monitoring.maintenance_s.maintenance_comment IS 'Why; people who are not told find it here.';
COMMENT ON COLUMN monitoring.maintenance_s.include_critical IS 'Whether alerts of severity CRITICAL are muted as well.';
COMMENT ON COLUMN monitoring.maintenance_s.windows IS 'When it mutes, written ahead so that psql and workers agree; NULL: not computed yet, which a worker does within seconds.';
COMMENT ON COLUMN monitoring.maintenance_s.windows_until IS 'How far windows reaches; workers write it ahead again in time. infinity: there are no more.';
COMMENT ON COLUMN monitoring.maintenance_s.windows_error IS 'Why the windows could not be computed; NULL: they were, or will be.';
COMMENT ON COLUMN monitoring.maintenance_s.changed_by IS 'Who made this version: a person by name, or worker where it only writes windows ahead.';
COMMENT ON COLUMN monitoring.maintenance_s.changed_via IS 'How that is known: cli:login@host, psql:role or worker.';

CREATE TABLE monitoring.inhibition_h (
    inhibition_hk bytea PRIMARY KEY,
    inhibition_bk varchar(255) NOT NULL UNIQUE,
    load_date     timestamptz DEFAULT util.current_load_date(),
    record_source varchar(100) NOT NULL DEFAULT 'MUTE_MANAGER',
    CONSTRAINT inhibition_h_key_is_hash CHECK (inhibition_hk = util.hash_binary(inhibition_bk::text))
);
COMMENT ON TABLE monitoring.inhibition_h IS 'Hub: one inhibition by its key, such as TARGET_DOWN.';

CREATE TABLE monitoring.inhibition_s (
    inhibition_hk      bytea NOT NULL REFERENCES monitoring.inhibition_h,
    load_date          timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date      timestamptz,
    hash_diff          bytea NOT NULL,
    source_definition  varchar(255) NOT NULL,
    muted_matchers     text[] NOT NULL,
    equal_fields       text[] NOT NULL DEFAULT '{target}',
    is_enabled         boolean NOT NULL DEFAULT true,
    inhibition_comment text NOT NULL,
    changed_by         varchar(100) NOT NULL DEFAULT SESSION_USER,
    record_source      varchar(100) NOT NULL DEFAULT 'MUTE_MANAGER',
    PRIMARY KEY (inhibition_hk, load_date)
);
COMMENT ON TABLE monitoring.inhibition_s IS 'State satellite: while an alert of source_definition is active, and not itself silenced, the alerts that match muted_matchers and agree with it in equal_fields are muted, whatever their severity.';
COMMENT ON COLUMN monitoring.inhibition_s.source_definition IS 'Key of the definition whose alert speaks for the others; it never mutes alerts of its own definition.';
COMMENT ON COLUMN monitoring.inhibition_s.muted_matchers IS 'Which alerts are muted, as in silence_s.';
COMMENT ON COLUMN monitoring.inhibition_s.equal_fields IS 'In which fields the two must be equal: target, tenant, severity, category or label.NAME.';
COMMENT ON COLUMN monitoring.inhibition_s.is_enabled IS 'Whether it takes effect.';
COMMENT ON COLUMN monitoring.inhibition_s.inhibition_comment IS 'Why the one speaks for the others.';
COMMENT ON COLUMN monitoring.inhibition_s.changed_by IS 'Who made this version.';

CREATE INDEX silence_s_ends ON monitoring.silence_s (ends_at) WHERE load_end_date IS NULL;

ALTER TABLE monitoring.outbox
    DROP CONSTRAINT outbox_kind,
    ADD CONSTRAINT outbox_kind CHECK (
        alert_instance_hk IS NOT NULL AND incident_hk IS NULL AND target_name IS NOT NULL AND kind IN ('FIRED', 'ACKNOWLEDGED', 'RESOLVED', 'NOTIFY', 'MUTES')
        OR incident_hk IS NOT NULL AND alert_instance_hk IS NULL AND kind IN ('CREATED', 'CHANGED', 'NOTED', 'LINKED', 'ALERT')
        OR alert_instance_hk IS NULL AND incident_hk IS NULL AND target_name IS NOT NULL AND kind = 'LOOK' AND payload ? 'source'
        OR alert_instance_hk IS NULL AND incident_hk IS NULL AND kind = 'SILENCE' AND payload ? 'silence');
COMMENT ON COLUMN monitoring.outbox.kind IS 'Of an alert: FIRED, ACKNOWLEDGED, RESOLVED, NOTIFY, MUTES (its group is to ask again what mutes it). Of an incident: CREATED, CHANGED, NOTED, LINKED (alerts came or went), ALERT (one of its alerts was acknowledged or resolved). Of neither: LOOK, at the definitions that read payload.source; SILENCE, payload.silence began, changed or ended.';

-- +goose Down
DROP VIEW IF EXISTS monitoring.silence_current, monitoring.maintenance_current, monitoring.inhibition_current, monitoring.alert_facts CASCADE;
DROP FUNCTION IF EXISTS monitoring.parse_matcher, monitoring.matches, monitoring.check_matchers, monitoring.check_field, monitoring.tenant_of_matchers,
    monitoring.check_silence, monitoring.check_maintenance, monitoring.check_inhibition, monitoring.give_silence_short_id, monitoring.find_silence,
    monitoring.add_silence, monitoring.extend_silence, monitoring.end_silence, monitoring.current_maintenance, monitoring.add_maintenance,
    monitoring.remove_maintenance, monitoring.write_windows, monitoring.windows_of_one, monitoring.mutes_in_force, monitoring.inhibitors, monitoring.anything_inhibits, monitoring.mutes_of,
    monitoring.would_mute, monitoring.tell_muted, monitoring.tell_of_silence, monitoring.tell_of_maintenance, monitoring.tell_of_inhibition,
    monitoring.tell_inhibited CASCADE;
DELETE FROM monitoring.outbox WHERE kind IN ('MUTES', 'SILENCE');
ALTER TABLE monitoring.outbox
    DROP CONSTRAINT outbox_kind,
    ADD CONSTRAINT outbox_kind CHECK (
        alert_instance_hk IS NOT NULL AND incident_hk IS NULL AND target_name IS NOT NULL AND kind IN ('FIRED', 'ACKNOWLEDGED', 'RESOLVED', 'NOTIFY')
        OR incident_hk IS NOT NULL AND alert_instance_hk IS NULL AND kind IN ('CREATED', 'CHANGED', 'NOTED', 'LINKED', 'ALERT')
        OR alert_instance_hk IS NULL AND incident_hk IS NULL AND target_name IS NOT NULL AND kind = 'LOOK' AND payload ? 'source');
COMMENT ON COLUMN monitoring.outbox.kind IS 'Of an alert: FIRED, ACKNOWLEDGED, RESOLVED, NOTIFY. Of an incident: CREATED, CHANGED, NOTED, LINKED (alerts came or went), ALERT (one of its alerts was acknowledged or resolved). Of neither: LOOK, at the definitions that read payload.source.';
DROP TABLE monitoring.silence_s, monitoring.silence_h, monitoring.maintenance_s, monitoring.maintenance_h, monitoring.inhibition_s, monitoring.inhibition_h CASCADE;
