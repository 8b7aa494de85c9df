-- +goose Up
-- Metrics as data: series that labels tell apart, queries that run at a cadence of their own, and metrics
-- that people add. Conventions as in 00002.

ALTER TABLE monitoring.system_health_metric_s ADD COLUMN labels jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN monitoring.system_health_metric_s.labels IS 'What tells the series of one metric apart, such as {"database": "shop"}; part of the business key. {}: the metric has one series.';
-- NULL, so that the hours that are there keep their hash.
ALTER TABLE monitoring.system_health_metric_hourly_s ADD COLUMN labels jsonb;
COMMENT ON COLUMN monitoring.system_health_metric_hourly_s.labels IS 'As in system_health_metric_s; NULL: none.';

ALTER TABLE monitoring.condition_identifier ADD COLUMN every_s integer;
COMMENT ON COLUMN monitoring.condition_identifier.every_s IS 'Seconds between two measurements of a metric that is measured more rarely than others; NULL: at every collection.';

-- The texts of the catalogue replace a function per query: one for each range of versions of PostgreSQL.
-- +goose StatementBegin
DO $do$
DECLARE
    v_query record;
BEGIN
    FOR v_query IN SELECT query_name FROM monitoring.health_query LOOP
        EXECUTE format('DROP FUNCTION IF EXISTS monitoring.%I()', 'health_' || v_query.query_name);
    END LOOP;
END
$do$;
-- +goose StatementEnd
DROP TABLE monitoring.health_query;

CREATE TABLE monitoring.health_query (
    query_name   varchar(100) PRIMARY KEY,
    label_names  text[] NOT NULL,
    every_s      integer NOT NULL,
    runs_on      varchar(10),
    requires     text,
    extension    text,
    role_name    text,
    max_rows     integer NOT NULL,
    empty_reason text,
    data_source  varchar(100) NOT NULL,
    variants     jsonb NOT NULL
);
COMMENT ON TABLE monitoring.health_query IS 'Reference data: the queries of the catalogue of metrics, as the collector sends them; monitoring.measure() runs one here.';
COMMENT ON COLUMN monitoring.health_query.query_name IS 'The file of collect/health that holds it.';
COMMENT ON COLUMN monitoring.health_query.label_names IS 'The labels of its series; none: each of its metrics has one series.';
COMMENT ON COLUMN monitoring.health_query.every_s IS 'Seconds between two runs by the collector; 0: at every collection.';
COMMENT ON COLUMN monitoring.health_query.runs_on IS 'primary or standby; NULL: both.';
COMMENT ON COLUMN monitoring.health_query.requires IS 'Relation without which it is left out; NULL: none.';
COMMENT ON COLUMN monitoring.health_query.extension IS 'Extension without which its metrics are unknown; NULL: none.';
COMMENT ON COLUMN monitoring.health_query.role_name IS 'Role whose members alone can know its metrics; NULL: none.';
COMMENT ON COLUMN monitoring.health_query.max_rows IS 'The most rows that it may yield.';
COMMENT ON COLUMN monitoring.health_query.empty_reason IS 'When it may yield no row although its series have no labels; NULL: never.';
COMMENT ON COLUMN monitoring.health_query.data_source IS 'What it reads.';
COMMENT ON COLUMN monitoring.health_query.variants IS 'The statement for each range of major versions: [{from, to, sql}].';

CREATE TABLE monitoring.health_metric (
    metric_name varchar(100) PRIMARY KEY,
    query_name  varchar(100) REFERENCES monitoring.health_query,
    category    varchar(50) NOT NULL,
    unit        varchar(20) NOT NULL,
    low_is_bad  boolean NOT NULL,
    optional    boolean NOT NULL,
    description text NOT NULL
);
COMMENT ON TABLE monitoring.health_metric IS 'Reference data: the metrics that are built in. docs/metrics.md lists them; `onevault metric list` shows them with those that people added.';
COMMENT ON COLUMN monitoring.health_metric.metric_name IS 'As in system_health_metric_s.';
COMMENT ON COLUMN monitoring.health_metric.query_name IS 'The query that measures it; NULL: the worker does.';
COMMENT ON COLUMN monitoring.health_metric.category IS 'As in system_health_metric_s.metric_category.';
COMMENT ON COLUMN monitoring.health_metric.unit IS 'Unit of the values.';
COMMENT ON COLUMN monitoring.health_metric.low_is_bad IS 'Whether values below the thresholds are the bad ones.';
COMMENT ON COLUMN monitoring.health_metric.optional IS 'Whether NULL means that it does not apply at the moment.';
COMMENT ON COLUMN monitoring.health_metric.description IS 'What it measures.';

CREATE TABLE monitoring.health_query_run (
    target_name varchar(100) NOT NULL,
    query_name  varchar(100) NOT NULL,
    ran_at      timestamptz NOT NULL,
    row_count   integer NOT NULL,
    error       text,
    left_out    text,
    PRIMARY KEY (target_name, query_name)
) WITH (fillfactor = 50);
COMMENT ON TABLE monitoring.health_query_run IS 'Technical: when a query of the catalogue, or of somebody''s own, last ran on a target, and what became of it. What is due is told from here, so that a restart of the worker runs nothing twice.';
COMMENT ON COLUMN monitoring.health_query_run.query_name IS 'A query of health_query, or a metric of metric_definition_s.';
COMMENT ON COLUMN monitoring.health_query_run.ran_at IS 'When the collection that it was part of began.';
COMMENT ON COLUMN monitoring.health_query_run.row_count IS 'Rows that it yielded.';
COMMENT ON COLUMN monitoring.health_query_run.error IS 'Why it told nothing; its metrics stand as UNKNOWN with the same words. NULL: it worked.';
COMMENT ON COLUMN monitoring.health_query_run.left_out IS 'Why it does not apply to the target at the moment; NULL: it does.';

CREATE TABLE monitoring.metric_definition_h (
    metric_definition_hk bytea PRIMARY KEY,
    metric_definition_bk varchar(255) NOT NULL UNIQUE,
    load_date            timestamptz DEFAULT util.current_load_date(),
    record_source        varchar(100) NOT NULL DEFAULT 'METRIC_MANAGER',
    CONSTRAINT metric_definition_h_key_is_hash CHECK (metric_definition_hk = util.hash_binary(metric_definition_bk::text))
);
COMMENT ON TABLE monitoring.metric_definition_h IS 'Hub: one metric that people added.';

CREATE TABLE monitoring.metric_definition_s (
    metric_definition_hk bytea NOT NULL REFERENCES monitoring.metric_definition_h,
    load_date            timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date        timestamptz,
    hash_diff            bytea NOT NULL,
    metric_name          varchar(63) NOT NULL,
    metric_description   text NOT NULL,
    metric_unit          varchar(20) NOT NULL,
    metric_category      varchar(50) NOT NULL,
    every_s              integer NOT NULL,
    label_names          text[] NOT NULL DEFAULT '{}',
    target_names         text[],
    definition_text      text NOT NULL,
    is_enabled           boolean NOT NULL DEFAULT true,
    changed_by           varchar(100) NOT NULL DEFAULT session_user,
    record_source        varchar(100) NOT NULL DEFAULT 'METRIC_MANAGER',
    PRIMARY KEY (metric_definition_hk, load_date)
);
COMMENT ON TABLE monitoring.metric_definition_s IS 'State satellite: a metric that people added, as a file of the catalogue''s format. Written by `onevault metric apply` and by monitoring.apply_metric(); the next collection measures it.';
COMMENT ON COLUMN monitoring.metric_definition_s.metric_name IS 'The name of the metric, which conditions may use if it has no labels.';
COMMENT ON COLUMN monitoring.metric_definition_s.metric_description IS 'What it measures.';
COMMENT ON COLUMN monitoring.metric_definition_s.metric_unit IS 'Unit of its values.';
COMMENT ON COLUMN monitoring.metric_definition_s.metric_category IS 'PERFORMANCE, CAPACITY, AVAILABILITY, BACKUP or SECURITY.';
COMMENT ON COLUMN monitoring.metric_definition_s.every_s IS 'Seconds between two measurements; 0: at every collection.';
COMMENT ON COLUMN monitoring.metric_definition_s.label_names IS 'The labels of its series.';
COMMENT ON COLUMN monitoring.metric_definition_s.target_names IS 'The targets on which it is measured; NULL: all.';
COMMENT ON COLUMN monitoring.metric_definition_s.definition_text IS 'The file: header and SELECT, as docs/metrics.md describes them.';
COMMENT ON COLUMN monitoring.metric_definition_s.is_enabled IS 'false: it was removed, and is measured no more.';
COMMENT ON COLUMN monitoring.metric_definition_s.changed_by IS 'Who said so.';

-- +goose Down
-- What calls or reads these goes first; the functions are put again by the next `onevault migrate up`.
DROP FUNCTION IF EXISTS monitoring.apply_metric(text, text, text, text, text, interval, numeric, numeric, boolean, text[], text[]);
DROP FUNCTION IF EXISTS monitoring.save_metric(text, text, text, text, integer, text[], text[], text, text);
DROP FUNCTION IF EXISTS monitoring.remove_metric(text, text);
DROP FUNCTION IF EXISTS monitoring.measure(text);
DROP FUNCTION IF EXISTS monitoring.record_collection(text, bytea, timestamptz, integer, jsonb, jsonb);
DROP TABLE monitoring.metric_definition_s, monitoring.metric_definition_h CASCADE;
DROP FUNCTION IF EXISTS monitoring.check_metric_definition(), monitoring.offer_metric_to_conditions(), monitoring.definitions_naming(text);
DROP TABLE monitoring.health_query_run, monitoring.health_metric, monitoring.health_query CASCADE;
CREATE TABLE monitoring.health_query (
    query_name   varchar(50) PRIMARY KEY,
    metric_names text[] NOT NULL,
    requires     text
);
COMMENT ON TABLE monitoring.health_query IS 'Reference data: the installed functions monitoring.health_<query_name>() and the metrics that each measures.';
ALTER TABLE monitoring.condition_identifier DROP COLUMN every_s;
ALTER TABLE monitoring.system_health_metric_hourly_s DROP COLUMN labels CASCADE;
-- Series that only their labels tell apart would be one metric with several values: they stay, retracted.
UPDATE monitoring.system_health_metric_s SET load_end_date = greatest(clock_timestamp(), load_date) WHERE labels <> '{}' AND load_end_date IS NULL;
ALTER TABLE monitoring.system_health_metric_s DROP COLUMN labels CASCADE;
