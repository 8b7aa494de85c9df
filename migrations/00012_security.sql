-- +goose Up
-- Security events of any target: kinds of checks that compare with the last look, what people said of an
-- event, log-ins that failed, and how far a server's log was read.

ALTER TABLE monitoring.security_check
    DROP CONSTRAINT security_check_kind,
    ADD CONSTRAINT security_check_kind CHECK (kind IN ('STATE', 'COUNT', 'WINDOW', 'CHANGE', 'SURGE', 'SIGHTING', 'LOG')),
    ADD COLUMN event_types text[] NOT NULL DEFAULT '{}';
COMMENT ON TABLE monitoring.security_check IS 'Reference data: what is looked for. Each check but those of kind LOG is a function monitoring.security_<check_name>(), and the same text runs on targets.';
COMMENT ON COLUMN monitoring.security_check.kind IS 'STATE: a finding lasts until it is gone, one event per appearance. COUNT: a finding is a counter, one event per hour in which it grew. WINDOW: a finding is about now, one event per hour. CHANGE: an object with its state, one event per look and group in which any differs. SURGE: a table with its counters, an event where many rows went between two looks. SIGHTING: an event at the first sight within 90 days. LOG: read from the server''s log.';
COMMENT ON COLUMN monitoring.security_check.event_types IS 'The types of the events that come of it.';

ALTER TABLE monitoring.security_seen
    ADD COLUMN state     jsonb,
    ADD COLUMN last_seen timestamptz;
COMMENT ON TABLE monitoring.security_seen IS 'Technical: what the checks found at their last run: an event is what appeared, grew or changed since. The empty object marks that a check ran at all.';
COMMENT ON COLUMN monitoring.security_seen.state IS 'Of a CHANGE or SURGE check: the object as it was when it was last looked at.';
COMMENT ON COLUMN monitoring.security_seen.last_seen IS 'Of a SIGHTING: when it was seen last, to the day. Of the empty object: when the check last ran.';

ALTER TABLE monitoring.security_detection
    ADD COLUMN ran text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN monitoring.security_detection.ran IS 'Checks that looked. One that is skipped as well could look at a part only.';

ALTER TABLE monitoring.security_event_s
    ADD COLUMN finding_hash     bytea,
    ADD COLUMN false_positive_of varchar(20),
    ADD COLUMN changed_at       timestamptz,
    ADD COLUMN changed_by       varchar(100),
    ADD COLUMN changed_via      varchar(200);
COMMENT ON COLUMN monitoring.security_event_s.finding_hash IS 'What was found, whenever: target, check, type and object (and what changed). Events that share it are the same finding again.';
COMMENT ON COLUMN monitoring.security_event_s.false_positive_of IS 'The event of the same finding that somebody called a false positive, which makes this one so by itself.';
COMMENT ON COLUMN monitoring.security_event_s.changed_at IS 'When a person last changed the investigation.';
COMMENT ON COLUMN monitoring.security_event_s.changed_by IS 'Who did, as they say.';
COMMENT ON COLUMN monitoring.security_event_s.changed_via IS 'How it is known: the client, and the role that opened the session.';
CREATE INDEX security_event_s_false_positive ON monitoring.security_event_s (finding_hash)
    WHERE load_end_date IS NULL AND investigation_status = 'FALSE_POSITIVE' AND false_positive_of IS NULL;

CREATE TABLE monitoring.security_login (
    target_name    varchar(100) NOT NULL,
    login_hour     timestamptz NOT NULL,
    source         text NOT NULL,
    username       text NOT NULL,
    database_name  text NOT NULL,
    failures       bigint NOT NULL,
    first_failure  timestamptz NOT NULL,
    last_failure   timestamptz NOT NULL,
    codes          jsonb NOT NULL,
    successes      bigint NOT NULL DEFAULT 0,
    last_success   timestamptz,
    PRIMARY KEY (target_name, login_hour, source, username, database_name)
);
COMMENT ON TABLE monitoring.security_login IS 'Technical: log-ins that failed, by the servers'' logs, counted by hour for 35 days. Events are made of it.';
COMMENT ON COLUMN monitoring.security_login.login_hour IS 'Beginning of the hour.';
COMMENT ON COLUMN monitoring.security_login.source IS 'Address of the client, its name where the server logs names, or local.';
COMMENT ON COLUMN monitoring.security_login.username IS 'As whom it was tried; there may be no such role.';
COMMENT ON COLUMN monitoring.security_login.database_name IS 'Into which database it was tried; there may be none of that name.';
COMMENT ON COLUMN monitoring.security_login.failures IS 'How often it failed.';
COMMENT ON COLUMN monitoring.security_login.first_failure IS 'By the clock of the target.';
COMMENT ON COLUMN monitoring.security_login.last_failure IS 'By the clock of the target.';
COMMENT ON COLUMN monitoring.security_login.codes IS 'How often with which SQLSTATE: {"28P01": 7}.';
COMMENT ON COLUMN monitoring.security_login.successes IS 'How often it succeeded after a failure; known only with log_connections = on.';
COMMENT ON COLUMN monitoring.security_login.last_success IS 'When it last succeeded after a failure.';

CREATE TABLE monitoring.security_log_position (
    target_name varchar(100) PRIMARY KEY,
    log_position jsonb NOT NULL,
    read_at     timestamptz NOT NULL
);
COMMENT ON TABLE monitoring.security_log_position IS 'Technical: how far the log of a target was read. It moves in the transaction that counts what was read, so that nothing is counted twice or lost.';
COMMENT ON COLUMN monitoring.security_log_position.log_position IS 'Format, file, offset, and a digest of the file''s beginning by which another file of that name is told apart.';
COMMENT ON COLUMN monitoring.security_log_position.read_at IS 'When it was read last.';

-- Routines are named with their schema from now on; what stood there before is no news under another name.
DELETE FROM monitoring.security_seen WHERE check_name = 'open_definers' AND object = '';

DROP FUNCTION IF EXISTS
    monitoring.security_failed_logins(timestamptz), monitoring.security_superuser_roles(timestamptz), monitoring.security_public_create(timestamptz),
    monitoring.security_open_definers(timestamptz), monitoring.security_dangerous_statements(timestamptz),
    monitoring.put_security_findings(text, text, text, timestamptz, monitoring.security_finding[]);

-- +goose Down
DROP TABLE monitoring.security_log_position, monitoring.security_login CASCADE;
DROP INDEX monitoring.security_event_s_false_positive;
ALTER TABLE monitoring.security_event_s
    DROP COLUMN finding_hash,
    DROP COLUMN false_positive_of,
    DROP COLUMN changed_at,
    DROP COLUMN changed_by,
    DROP COLUMN changed_via;
ALTER TABLE monitoring.security_detection DROP COLUMN ran;
DELETE FROM monitoring.security_seen WHERE check_name IN (SELECT check_name FROM monitoring.security_check WHERE kind IN ('CHANGE', 'SURGE', 'SIGHTING', 'LOG'));
ALTER TABLE monitoring.security_seen DROP COLUMN state, DROP COLUMN last_seen;
DELETE FROM monitoring.security_check;
ALTER TABLE monitoring.security_check
    DROP COLUMN event_types,
    DROP CONSTRAINT security_check_kind,
    ADD CONSTRAINT security_check_kind CHECK (kind IN ('STATE', 'COUNT', 'WINDOW'));
COMMENT ON TABLE monitoring.security_check IS 'Reference data: the installed functions monitoring.security_<check_name>(target, moment), which the detection of security events calls one after the other.';
COMMENT ON COLUMN monitoring.security_check.kind IS 'STATE: a finding lasts until it is gone, one event per appearance. COUNT: a finding is a counter, one event per hour in which it grew. WINDOW: a finding is about the last hour, one event per hour.';
COMMENT ON TABLE monitoring.security_seen IS 'Technical: what the checks of kind STATE and COUNT found at their last run: an event is what appeared or grew since. The empty object marks that a check ran at all.';
