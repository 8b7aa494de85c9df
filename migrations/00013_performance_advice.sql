-- +goose Up
-- Why a statement is recorded (its rank by time, mean, I/O and calls), what speaks for each suggestion, and
-- how the planner would run it.
ALTER TABLE monitoring.performance_metric_s
    ADD COLUMN rank_total          integer,
    ADD COLUMN rank_mean           integer,
    ADD COLUMN rank_io             integer,
    ADD COLUMN rank_calls          integer,
    ADD COLUMN plan_time_ms        numeric(24,4),
    ADD COLUMN jit_time_ms         numeric(24,4),
    ADD COLUMN suggestion_evidence jsonb,
    ADD CONSTRAINT performance_metric_s_each_suggestion_has_evidence
        CHECK (suggestion_evidence IS NULL OR jsonb_array_length(suggestion_evidence) = coalesce(cardinality(optimization_suggestions), 0));

ALTER TABLE monitoring.statement_baseline
    ADD COLUMN plans           bigint,
    ADD COLUMN total_plan_time double precision,
    ADD COLUMN jit_time        double precision,
    ADD COLUMN stats_since     timestamptz;

CREATE UNLOGGED TABLE monitoring.table_baseline (
    series       varchar(255) NOT NULL,
    dbid         oid NOT NULL,
    relid        oid NOT NULL,
    seq_scan     bigint NOT NULL,
    seq_tup_read bigint NOT NULL,
    PRIMARY KEY (series, dbid, relid)
) WITH (fillfactor = 60);
COMMENT ON TABLE monitoring.table_baseline IS 'Technical: how often the large tables of a target had been read from end to end at the last sample of a series, from which the next sample is subtracted. Unlogged: after a crash the next sample has no differences.';

CREATE UNLOGGED TABLE monitoring.plan_asked (
    performance_metric_hk bytea PRIMARY KEY,
    asked_at              timestamptz NOT NULL
);
COMMENT ON TABLE monitoring.plan_asked IS 'Technical: when the plan of a statement was last asked for; once a day is enough. Unlogged: after a crash they are asked for again.';

CREATE TABLE monitoring.performance_plan_s (
    performance_metric_hk bytea NOT NULL REFERENCES monitoring.performance_metric_h,
    load_date             timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date         timestamptz,
    hash_diff             bytea NOT NULL,
    plan                  jsonb,
    problem               text,
    record_source         varchar(100) NOT NULL DEFAULT 'PERFORMANCE_COLLECTOR',
    PRIMARY KEY (performance_metric_hk, load_date),
    CONSTRAINT performance_plan_s_plan_or_problem CHECK (num_nonnulls(plan, problem) = 1)
);
COMMENT ON TABLE monitoring.performance_plan_s IS 'State satellite: how the planner would run a statement, whatever its parameters, or why nobody could ask.';

-- +goose Down
DROP TABLE monitoring.performance_plan_s, monitoring.plan_asked, monitoring.table_baseline CASCADE;
ALTER TABLE monitoring.statement_baseline
    DROP COLUMN plans,
    DROP COLUMN total_plan_time,
    DROP COLUMN jit_time,
    DROP COLUMN stats_since;
ALTER TABLE monitoring.performance_metric_s
    DROP CONSTRAINT performance_metric_s_each_suggestion_has_evidence,
    DROP COLUMN rank_total,
    DROP COLUMN rank_mean,
    DROP COLUMN rank_io,
    DROP COLUMN rank_calls,
    DROP COLUMN plan_time_ms,
    DROP COLUMN jit_time_ms,
    DROP COLUMN suggestion_evidence;
