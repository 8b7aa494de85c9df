-- +goose Up
-- An alert that comes and goes: how many looks it takes to fire, how long it stays open at least, when a new
-- firing continues the old alert, and when it is called flapping.

ALTER TABLE monitoring.alert_definition_s
    ADD COLUMN fire_looks       integer NOT NULL DEFAULT 1,
    ADD COLUMN of_looks         integer NOT NULL DEFAULT 1,
    ADD COLUMN min_open_minutes integer NOT NULL DEFAULT 0,
    ADD COLUMN reopen_minutes   integer NOT NULL DEFAULT 0,
    ADD COLUMN flap_count       integer NOT NULL DEFAULT 4,
    ADD COLUMN flap_minutes     integer NOT NULL DEFAULT 30,
    ADD CONSTRAINT alert_definition_s_looks CHECK (fire_looks >= 1 AND of_looks >= fire_looks AND of_looks <= 100),
    ADD CONSTRAINT alert_definition_s_open CHECK (min_open_minutes BETWEEN 0 AND 10080 AND reopen_minutes BETWEEN 0 AND 10080),
    ADD CONSTRAINT alert_definition_s_flapping CHECK ((flap_count = 0 OR flap_count >= 2) AND flap_minutes BETWEEN 1 AND 10080);
COMMENT ON COLUMN monitoring.alert_definition_s.fire_looks IS 'How many of the last of_looks looks must be TRUE before the alert opens. Looks that found no data or failed count as neither.';
COMMENT ON COLUMN monitoring.alert_definition_s.of_looks IS 'Among how many looks fire_looks are counted; 1: each look decides alone.';
COMMENT ON COLUMN monitoring.alert_definition_s.min_open_minutes IS 'How long an alert stays open at least, whatever the condition says; people may resolve it at any time.';
COMMENT ON COLUMN monitoring.alert_definition_s.reopen_minutes IS 'How long after its condition cleared a new firing continues the same alert; 0: it is always a new one. Goes before the suppression window.';
COMMENT ON COLUMN monitoring.alert_definition_s.flap_count IS 'With which opening within flap_minutes an alert is called flapping: it is told once and stays open until it is stable; 0: never.';
COMMENT ON COLUMN monitoring.alert_definition_s.flap_minutes IS 'The window in which openings are counted for flap_count, and how long a flapping alert must be stable.';

ALTER TABLE monitoring.alert_instance_s
    ADD COLUMN reopened_count     integer,
    ADD COLUMN reopened_timestamp timestamptz,
    ADD COLUMN flapping_since     timestamptz,
    ADD COLUMN flapping_reason    text,
    ADD CONSTRAINT alert_instance_s_reopened CHECK ((reopened_count IS NULL) = (reopened_timestamp IS NULL) AND reopened_count >= 1),
    ADD CONSTRAINT alert_instance_s_flapping CHECK ((flapping_since IS NULL) = (flapping_reason IS NULL));
COMMENT ON COLUMN monitoring.alert_instance_s.reopened_count IS 'How often the alert fired again soon after its condition had cleared, and went on; NULL: never.';
COMMENT ON COLUMN monitoring.alert_instance_s.reopened_timestamp IS 'When it did so last. triggered_timestamp stays that of its first opening.';
COMMENT ON COLUMN monitoring.alert_instance_s.flapping_since IS 'Since when it is called flapping; NULL: it is not.';
COMMENT ON COLUMN monitoring.alert_instance_s.flapping_reason IS 'Why, in words.';

ALTER TABLE monitoring.alert_evaluation_s
    ADD COLUMN true_looks      integer,
    ADD COLUMN of_looks        integer,
    ADD COLUMN decision_reason text,
    DROP CONSTRAINT alert_evaluation_s_decision,
    ADD CONSTRAINT alert_evaluation_s_decision CHECK (
        decision IN ('NONE', 'PENDING', 'FIRED', 'SUPPRESSED', 'UNSUPPRESSED', 'REOPENED', 'HOLDING', 'RESOLVED'));
COMMENT ON COLUMN monitoring.alert_evaluation_s.true_looks IS 'How many of the last looks, this one included, were TRUE; NULL: each look decides alone.';
COMMENT ON COLUMN monitoring.alert_evaluation_s.of_looks IS 'Of how many: those of the definition''s last of_looks that knew anything.';
COMMENT ON COLUMN monitoring.alert_evaluation_s.decision_reason IS 'Why this was decided, where the result alone does not say it.';
COMMENT ON COLUMN monitoring.alert_evaluation_s.decision IS 'NONE, PENDING (true, not yet long or often enough), FIRED, SUPPRESSED, UNSUPPRESSED (window over, still true), REOPENED (the alert that had just cleared goes on), HOLDING (an alert is open already), RESOLVED.';
COMMENT ON COLUMN monitoring.notification_log_s.event IS 'What it told: FIRED, ESCALATED:<level>, RESOLVED, REQUESTED:<n>. Of an alert that fired again, for the nth time: REOPENED:<n>, FLAPPING or FLAPPING:<n>, RESOLVED:<n>, REQUESTED:<n>:<request>.';

-- +goose Down
COMMENT ON COLUMN monitoring.notification_log_s.event IS 'What it told: FIRED, ESCALATED:<level>, RESOLVED, REQUESTED:<n>.';
COMMENT ON COLUMN monitoring.alert_evaluation_s.decision IS 'NONE, PENDING (true, not yet long enough), FIRED, SUPPRESSED, UNSUPPRESSED (window over, still true), HOLDING (an alert is open already), RESOLVED.';
-- What only the later version could say becomes the nearest that the earlier one can.
ALTER TABLE monitoring.alert_evaluation_s DISABLE TRIGGER USER;
UPDATE monitoring.alert_evaluation_s SET decision = 'FIRED' WHERE decision = 'REOPENED';
ALTER TABLE monitoring.alert_evaluation_s ENABLE TRIGGER USER;
ALTER TABLE monitoring.alert_evaluation_s
    DROP CONSTRAINT alert_evaluation_s_decision,
    ADD CONSTRAINT alert_evaluation_s_decision CHECK (decision IN ('NONE', 'PENDING', 'FIRED', 'SUPPRESSED', 'UNSUPPRESSED', 'HOLDING', 'RESOLVED')),
    DROP COLUMN true_looks CASCADE, DROP COLUMN of_looks CASCADE, DROP COLUMN decision_reason CASCADE;
ALTER TABLE monitoring.alert_instance_s
    DROP COLUMN reopened_count CASCADE, DROP COLUMN reopened_timestamp CASCADE, DROP COLUMN flapping_since CASCADE, DROP COLUMN flapping_reason CASCADE;
ALTER TABLE monitoring.alert_definition_s
    DROP COLUMN fire_looks CASCADE, DROP COLUMN of_looks CASCADE, DROP COLUMN min_open_minutes CASCADE, DROP COLUMN reopen_minutes CASCADE,
    DROP COLUMN flap_count CASCADE, DROP COLUMN flap_minutes CASCADE;
