-- +goose Up
-- An alert per label set: a definition may name the labels of its metrics by which it alerts, and each set of
-- their values (a slot, a table, a database) that is over the line has an alert, with an id, of its own.

ALTER TABLE monitoring.alert_definition_s
    ADD COLUMN alert_by text[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT alert_definition_s_alert_by CHECK (cardinality(alert_by) <= 8 AND array_position(alert_by, NULL) IS NULL);
COMMENT ON COLUMN monitoring.alert_definition_s.alert_by IS 'The labels by which it alerts: the condition is evaluated once for each set of their values that its metrics have, such as once per slot, and each set has alerts of its own. {}: one alert for the target.';

ALTER TABLE monitoring.alert_instance_h ADD COLUMN labels jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN monitoring.alert_instance_h.labels IS 'Of a definition that alerts by labels: which label set the alert is about, such as {"slot": "archive"}. {}: about the target.';

ALTER TABLE monitoring.condition_identifier ADD COLUMN label_names text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN monitoring.condition_identifier.label_names IS 'The labels of a metric''s series; a condition may name it where alert_by holds some of them. {}: it has one series.';

CREATE TABLE monitoring.alert_label_evaluation_s (
    alert_definition_hk  bytea NOT NULL REFERENCES monitoring.alert_definition_h,
    load_date            timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date        timestamptz,
    hash_diff            bytea NOT NULL,
    target_name          varchar(100) NOT NULL,
    tenant_hk            bytea REFERENCES auth.tenant_h,
    labels               jsonb NOT NULL,
    labels_id            varchar(16) NOT NULL,
    evaluated_at         timestamptz NOT NULL,
    definition_load_date timestamptz NOT NULL,
    result               varchar(10) NOT NULL,
    result_since         timestamptz NOT NULL,
    clear_since          timestamptz,
    evaluated_value      numeric(24,4),
    inputs               jsonb NOT NULL,
    reason               text,
    decision             varchar(20) NOT NULL,
    true_looks           integer,
    of_looks             integer,
    decision_reason      text,
    record_source        varchar(100) NOT NULL DEFAULT 'ALERT_ENGINE',
    PRIMARY KEY (alert_definition_hk, target_name, labels_id, evaluated_at, load_date),
    CONSTRAINT alert_label_evaluation_s_result CHECK (result IN ('TRUE', 'FALSE', 'NO_DATA', 'ERROR')),
    CONSTRAINT alert_label_evaluation_s_decision CHECK (
        decision IN ('NONE', 'PENDING', 'FIRED', 'SUPPRESSED', 'UNSUPPRESSED', 'REOPENED', 'HOLDING', 'RESOLVED'))
) PARTITION BY RANGE (evaluated_at);
COMMENT ON TABLE monitoring.alert_label_evaluation_s IS 'Measurement satellite of alert_definition_h: what the evaluation of a definition that alerts by labels found and decided about one label set. A row is written when it changes; until the next one, every look in alert_evaluation_s found and decided the same.';
COMMENT ON COLUMN monitoring.alert_label_evaluation_s.labels IS 'The label set, such as {"slot": "archive"}.';
COMMENT ON COLUMN monitoring.alert_label_evaluation_s.labels_id IS 'monitoring.labels_id(labels): short enough for keys, whatever the labels hold.';
COMMENT ON COLUMN monitoring.alert_label_evaluation_s.evaluated_at IS 'The look from which on this held; the partitions'' column.';
COMMENT ON COLUMN monitoring.alert_label_evaluation_s.definition_load_date IS 'Which version of the definition was applied: its load_date.';
COMMENT ON COLUMN monitoring.alert_label_evaluation_s.result IS 'As in alert_evaluation_s; NO_DATA: values are missing, or the label set is gone.';
COMMENT ON COLUMN monitoring.alert_label_evaluation_s.result_since IS 'Since when successive looks gave this result.';
COMMENT ON COLUMN monitoring.alert_label_evaluation_s.clear_since IS 'Since when the clear condition is met, while an alert is open; NULL: it is not.';
COMMENT ON COLUMN monitoring.alert_label_evaluation_s.evaluated_value IS 'The value of the first metric that the condition names, at this look.';
COMMENT ON COLUMN monitoring.alert_label_evaluation_s.inputs IS 'The values that the conditions name, as they were at this look.';
COMMENT ON COLUMN monitoring.alert_label_evaluation_s.reason IS 'Why NO_DATA or ERROR.';
COMMENT ON COLUMN monitoring.alert_label_evaluation_s.decision IS 'As in alert_evaluation_s, about the alert of this label set.';
COMMENT ON COLUMN monitoring.alert_label_evaluation_s.true_looks IS 'How many of the last looks at this label set, this one included, were TRUE; NULL: each look decides alone.';
COMMENT ON COLUMN monitoring.alert_label_evaluation_s.of_looks IS 'Of how many.';
COMMENT ON COLUMN monitoring.alert_label_evaluation_s.decision_reason IS 'Why this was decided, where the result alone does not say it.';

CREATE TABLE monitoring.alert_label_state (
    alert_definition_hk  bytea NOT NULL REFERENCES monitoring.alert_definition_h,
    target_name          varchar(100) NOT NULL,
    tenant_hk            bytea REFERENCES auth.tenant_h,
    labels_id            varchar(16) NOT NULL,
    labels               jsonb NOT NULL,
    definition_load_date timestamptz NOT NULL,
    result               varchar(10) NOT NULL,
    result_since         timestamptz NOT NULL,
    clear_since          timestamptz,
    decision             varchar(20) NOT NULL,
    reason               text,
    evaluated_at         timestamptz NOT NULL,
    CONSTRAINT alert_label_state_one UNIQUE NULLS NOT DISTINCT (alert_definition_hk, target_name, tenant_hk, labels_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE monitoring.alert_label_state IS 'Technical: the newest row of alert_label_evaluation_s of each label set that is known, so that a look needs no search through history. One that is gone leaves when its alert has ended, after a day.';
COMMENT ON COLUMN monitoring.alert_label_state.labels_id IS 'monitoring.labels_id(labels).';
COMMENT ON COLUMN monitoring.alert_label_state.labels IS 'The label set.';
COMMENT ON COLUMN monitoring.alert_label_state.definition_load_date IS 'The version that was applied.';
COMMENT ON COLUMN monitoring.alert_label_state.result IS 'As in that row.';
COMMENT ON COLUMN monitoring.alert_label_state.result_since IS 'As in that row.';
COMMENT ON COLUMN monitoring.alert_label_state.clear_since IS 'As in that row.';
COMMENT ON COLUMN monitoring.alert_label_state.decision IS 'As in that row.';
COMMENT ON COLUMN monitoring.alert_label_state.reason IS 'As in that row.';
COMMENT ON COLUMN monitoring.alert_label_state.evaluated_at IS 'Of the last change, not of the last look.';

COMMENT ON COLUMN monitoring.metric_definition_s.metric_name IS 'The name of the metric, which conditions may use; one with labels in definitions that alert by some of them.';

-- +goose Down
COMMENT ON COLUMN monitoring.metric_definition_s.metric_name IS 'The name of the metric, which conditions may use if it has no labels.';
-- What reads these goes with them; the functions of the earlier version are put by its own `onevault migrate up`.
DROP TABLE monitoring.alert_label_state, monitoring.alert_label_evaluation_s CASCADE;
DELETE FROM monitoring.condition_identifier WHERE label_names <> '{}';
ALTER TABLE monitoring.condition_identifier DROP COLUMN label_names CASCADE;
ALTER TABLE monitoring.alert_instance_h DROP COLUMN labels CASCADE;
ALTER TABLE monitoring.alert_definition_s DROP COLUMN alert_by CASCADE;
