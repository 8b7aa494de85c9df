-- +goose Up
-- Conditions that rest on SQL of people's own. What it may read are the views of a schema of its own; what it
-- yielded last is kept here, and each evaluation records what it took from it.

CREATE SCHEMA monitoring_sql;
COMMENT ON SCHEMA monitoring_sql IS 'OneVault: the sandbox of raw SQL conditions. Its views are all that they can read, and nothing in it can write.';

ALTER TABLE monitoring.alert_definition_s
    ADD COLUMN condition_sql text,
    ADD CONSTRAINT alert_definition_s_condition_sql CHECK ((metric_source IS NOT DISTINCT FROM 'sql') = (condition_sql IS NOT NULL));
COMMENT ON COLUMN monitoring.alert_definition_s.condition_sql IS 'Of metric_source sql: one SELECT over the views of monitoring_sql that yields one number or boolean; the conditions name it "value". $1 is the target, $2 the moment.';

-- It can be measured anew at any time, so that a crash may lose it.
CREATE UNLOGGED TABLE monitoring.sql_value (
    alert_definition_hk  bytea NOT NULL,
    target_name          varchar(100) NOT NULL,
    definition_load_date timestamptz NOT NULL,
    measured_at          timestamptz NOT NULL,
    value                jsonb,
    error                text,
    duration_us          integer NOT NULL,
    PRIMARY KEY (alert_definition_hk, target_name),
    CONSTRAINT sql_value_kind CHECK (jsonb_typeof(value) IN ('number', 'boolean') AND error IS NULL OR value IS NULL)
);
COMMENT ON TABLE monitoring.sql_value IS 'Working data: what the SQL of each definition yielded last. monitoring.record_sql_value() writes it.';
COMMENT ON COLUMN monitoring.sql_value.alert_definition_hk IS 'Hash key of the definition.';
COMMENT ON COLUMN monitoring.sql_value.target_name IS 'For which target it was run.';
COMMENT ON COLUMN monitoring.sql_value.definition_load_date IS 'Of which version of the definition.';
COMMENT ON COLUMN monitoring.sql_value.measured_at IS 'When, by the clock of the vault.';
COMMENT ON COLUMN monitoring.sql_value.value IS 'A number or a boolean; NULL: it yielded no row or NULL, or it failed.';
COMMENT ON COLUMN monitoring.sql_value.error IS 'Why it failed; NULL: it did not.';
COMMENT ON COLUMN monitoring.sql_value.duration_us IS 'How long it took, in microseconds.';

-- +goose Down
DROP TABLE monitoring.sql_value CASCADE;
ALTER TABLE monitoring.alert_definition_s DROP COLUMN condition_sql CASCADE;
DROP SCHEMA monitoring_sql CASCADE;
