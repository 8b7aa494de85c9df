-- +goose Up
-- Anomalies: what is usual for a metric in each hour of the week, and how far each sample was from it. Conventions
-- as in 00002. What is judged, and how sensitively, stands in monitor_config_s (config_type ANOMALY).

CREATE TABLE monitoring.anomaly_baseline_s (
    health_metric_hk bytea NOT NULL REFERENCES monitoring.system_health_metric_h,
    load_date        timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date    timestamptz,
    hash_diff        bytea NOT NULL,
    metric_name      varchar(100) NOT NULL,
    learned_at       timestamptz NOT NULL,
    baseline_state   varchar(10) NOT NULL,
    reason           text,
    history_from     timestamptz,
    history_to       timestamptz,
    history_hours    integer NOT NULL,
    sample_count     integer NOT NULL,
    time_zone        varchar(64) NOT NULL,
    level_value      double precision,
    shifted_at       timestamptz,
    shifted_by       double precision,
    widened_by       double precision,
    medians          double precision[],
    mads             double precision[],
    spreads          double precision[],
    bucket_samples   integer[],
    bucket_kinds     varchar(168),
    record_source    varchar(100) NOT NULL DEFAULT 'ANOMALY_DETECTION',
    PRIMARY KEY (health_metric_hk, load_date),
    CONSTRAINT anomaly_baseline_s_state CHECK (baseline_state IN ('LEARNED', 'LEARNING')),
    CONSTRAINT anomaly_baseline_s_learning CHECK ((baseline_state = 'LEARNING') = (reason IS NOT NULL)),
    CONSTRAINT anomaly_baseline_s_buckets CHECK (
        baseline_state = 'LEARNING' AND medians IS NULL AND mads IS NULL AND spreads IS NULL AND bucket_samples IS NULL AND bucket_kinds IS NULL
        OR baseline_state = 'LEARNED' AND cardinality(medians) = 168 AND cardinality(mads) = 168 AND cardinality(spreads) = 168
           AND cardinality(bucket_samples) = 168 AND bucket_kinds ~ '^[WDG]{168}$')
);
COMMENT ON TABLE monitoring.anomaly_baseline_s IS 'State satellite: what is usual for a metric in each of the 168 hours of the week, learned anew once a day (package anomaly). The arrays begin with Monday, midnight to one.';
COMMENT ON COLUMN monitoring.anomaly_baseline_s.metric_name IS 'The metric, as in system_health_metric_s.';
COMMENT ON COLUMN monitoring.anomaly_baseline_s.learned_at IS 'The moment up to which it was learned.';
COMMENT ON COLUMN monitoring.anomaly_baseline_s.baseline_state IS 'LEARNED; LEARNING: too little history, nothing is judged.';
COMMENT ON COLUMN monitoring.anomaly_baseline_s.reason IS 'What is missing while LEARNING.';
COMMENT ON COLUMN monitoring.anomaly_baseline_s.history_from IS 'The first sample that it was learned from.';
COMMENT ON COLUMN monitoring.anomaly_baseline_s.history_to IS 'The last sample that it was learned from.';
COMMENT ON COLUMN monitoring.anomaly_baseline_s.history_hours IS 'Hours with a sample.';
COMMENT ON COLUMN monitoring.anomaly_baseline_s.sample_count IS 'Samples that it was learned from.';
COMMENT ON COLUMN monitoring.anomaly_baseline_s.time_zone IS 'Whose hours of the week these are.';
COMMENT ON COLUMN monitoring.anomaly_baseline_s.level_value IS 'The median of the last days without their seasons.';
COMMENT ON COLUMN monitoring.anomaly_baseline_s.shifted_at IS 'When the level last changed for good; NULL: not within the history.';
COMMENT ON COLUMN monitoring.anomaly_baseline_s.shifted_by IS 'By how much it did.';
COMMENT ON COLUMN monitoring.anomaly_baseline_s.widened_by IS 'The factor by which all spreads had to grow, so that the rule would not have been broken on more than 15 % of the days.';
COMMENT ON COLUMN monitoring.anomaly_baseline_s.medians IS 'The usual value of each hour of the week.';
COMMENT ON COLUMN monitoring.anomaly_baseline_s.mads IS 'The median absolute deviation from it.';
COMMENT ON COLUMN monitoring.anomaly_baseline_s.spreads IS 'What scores are counted in: 1.4826 MAD, or more where the widest 15 % of the samples, a floor or the widening ask for it.';
COMMENT ON COLUMN monitoring.anomaly_baseline_s.bucket_samples IS 'How many samples say so.';
COMMENT ON COLUMN monitoring.anomaly_baseline_s.bucket_kinds IS 'A letter per hour: W, learned from this hour of the week; D, from this hour of all days; G, from all hours.';

CREATE TABLE monitoring.anomaly_score_s (
    health_metric_hk   bytea NOT NULL REFERENCES monitoring.system_health_metric_h,
    load_date          timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date      timestamptz,
    hash_diff          bytea NOT NULL,
    metric_name        varchar(100) NOT NULL,
    measured_at        timestamptz NOT NULL,
    metric_value       numeric(24,4),
    metric_unit        varchar(20),
    anomaly_state      varchar(10) NOT NULL,
    score              double precision,
    median             double precision,
    mad                double precision,
    spread             double precision,
    usual_low          double precision,
    usual_high         double precision,
    bucket_kind        varchar(12),
    bucket_samples     integer,
    baseline_load_date timestamptz,
    outside_count      integer NOT NULL DEFAULT 0,
    inside_count       integer NOT NULL DEFAULT 0,
    deviating_since    timestamptz,
    reason             text,
    record_source      varchar(100) NOT NULL DEFAULT 'ANOMALY_DETECTION',
    PRIMARY KEY (health_metric_hk, measured_at, load_date),
    CONSTRAINT anomaly_score_s_state CHECK (anomaly_state IN ('NORMAL', 'ANOMALOUS', 'LEARNING', 'UNKNOWN')),
    CONSTRAINT anomaly_score_s_kind CHECK (bucket_kind IN ('HOUR_OF_WEEK', 'HOUR_OF_DAY', 'GLOBAL')),
    CONSTRAINT anomaly_score_s_judged CHECK ((anomaly_state IN ('NORMAL', 'ANOMALOUS')) = (score IS NOT NULL)
                                         AND (anomaly_state IN ('LEARNING', 'UNKNOWN')) = (reason IS NOT NULL))
) PARTITION BY RANGE (measured_at);
COMMENT ON TABLE monitoring.anomaly_score_s IS 'Measurement satellite: how unusual each sample of the judged metrics was for its hour, and what was usual then.';
COMMENT ON COLUMN monitoring.anomaly_score_s.metric_name IS 'The metric, as in system_health_metric_s.';
COMMENT ON COLUMN monitoring.anomaly_score_s.measured_at IS 'The sample''s measurement_timestamp.';
COMMENT ON COLUMN monitoring.anomaly_score_s.metric_value IS 'The sample; NULL: it had no value.';
COMMENT ON COLUMN monitoring.anomaly_score_s.metric_unit IS 'Its unit, and that of what is usual.';
COMMENT ON COLUMN monitoring.anomaly_score_s.anomaly_state IS 'NORMAL; ANOMALOUS: so many samples in a row as the setting says were outside of what is usual, and not as many inside since; LEARNING: too little history; UNKNOWN: no value.';
COMMENT ON COLUMN monitoring.anomaly_score_s.score IS '(metric_value - median) / spread.';
COMMENT ON COLUMN monitoring.anomaly_score_s.median IS 'What was usual in this hour of the week.';
COMMENT ON COLUMN monitoring.anomaly_score_s.mad IS 'The median absolute deviation from it.';
COMMENT ON COLUMN monitoring.anomaly_score_s.spread IS 'What the score is counted in, see anomaly_baseline_s.spreads.';
COMMENT ON COLUMN monitoring.anomaly_score_s.usual_low IS 'The least that counts as usual; NULL: too little is never unusual.';
COMMENT ON COLUMN monitoring.anomaly_score_s.usual_high IS 'The most that counts as usual; NULL: too much is never unusual.';
COMMENT ON COLUMN monitoring.anomaly_score_s.bucket_kind IS 'What this was learned from: the same hour of the week, of all days, or all hours.';
COMMENT ON COLUMN monitoring.anomaly_score_s.bucket_samples IS 'From how many samples.';
COMMENT ON COLUMN monitoring.anomaly_score_s.baseline_load_date IS 'The version in anomaly_baseline_s that was used.';
COMMENT ON COLUMN monitoring.anomaly_score_s.outside_count IS 'Samples in a row that were outside, this one included.';
COMMENT ON COLUMN monitoring.anomaly_score_s.inside_count IS 'Samples in a row that were inside while ANOMALOUS, this one included.';
COMMENT ON COLUMN monitoring.anomaly_score_s.deviating_since IS 'The first sample of the present deviation; NULL: there is none.';
COMMENT ON COLUMN monitoring.anomaly_score_s.reason IS 'Why nothing was judged.';

-- +goose Down
DROP TABLE monitoring.anomaly_score_s, monitoring.anomaly_baseline_s CASCADE;
