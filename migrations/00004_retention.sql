-- +goose Up
-- Retention: what remains of the measurements when their samples have left (one row per hour), what was
-- archived, and which tables are queues rather than history. Conventions as in 00002.

-- ---------------------------------------------------------------- hourly roll-ups

CREATE TABLE monitoring.system_health_metric_hourly_s (
    health_metric_hk  bytea NOT NULL REFERENCES monitoring.system_health_metric_h,
    load_date         timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date     timestamptz,
    hash_diff         bytea NOT NULL,
    hour_start        timestamptz NOT NULL,
    metric_name       varchar(100) NOT NULL,
    metric_category   varchar(50) NOT NULL,
    metric_unit       varchar(20),
    sample_count      integer NOT NULL,
    value_count       integer NOT NULL,
    min_value         numeric(24,4),
    avg_value         numeric(24,4),
    max_value         numeric(24,4),
    last_value        numeric(24,4),
    last_status       varchar(20),
    normal_count      integer NOT NULL,
    warning_count     integer NOT NULL,
    critical_count    integer NOT NULL,
    unknown_count     integer NOT NULL,
    first_sample_at   timestamptz NOT NULL,
    last_sample_at    timestamptz NOT NULL,
    record_source     varchar(100) NOT NULL DEFAULT 'RETENTION',
    PRIMARY KEY (health_metric_hk, hour_start, load_date)
) PARTITION BY RANGE (hour_start);
COMMENT ON TABLE monitoring.system_health_metric_hourly_s IS 'Measurement satellite: an hour of a health metric in one row. load_end_date set: samples came late, and a newer row counts them.';
COMMENT ON COLUMN monitoring.system_health_metric_hourly_s.hour_start IS 'The hour in UTC in which the samples were taken: [hour_start, hour_start + 1 hour).';
COMMENT ON COLUMN monitoring.system_health_metric_hourly_s.sample_count IS 'Samples in the hour that were not retracted, those without a value included.';
COMMENT ON COLUMN monitoring.system_health_metric_hourly_s.value_count IS 'Samples with a value: what minimum, average and maximum are over.';

CREATE TABLE monitoring.performance_metric_hourly_s (
    performance_metric_hk bytea NOT NULL REFERENCES monitoring.performance_metric_h,
    load_date             timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date         timestamptz,
    hash_diff             bytea NOT NULL,
    hour_start            timestamptz NOT NULL,
    query_hash            varchar(64),
    database_name         varchar(100),
    username              varchar(100),
    sample_count          integer NOT NULL,
    total_time_ms         numeric(24,4),
    mean_time_ms          numeric(24,4),
    max_mean_time_ms      numeric(24,4),
    calls                 bigint,
    rows_examined         bigint,
    rows_returned         bigint,
    shared_blks_hit       bigint,
    shared_blks_read      bigint,
    shared_blks_dirtied   bigint,
    temp_blks_read        bigint,
    temp_blks_written     bigint,
    wal_bytes             bigint,
    blk_io_time_ms        numeric(24,4),
    first_period_start    timestamptz,
    last_period_end       timestamptz NOT NULL,
    record_source         varchar(100) NOT NULL DEFAULT 'RETENTION',
    PRIMARY KEY (performance_metric_hk, hour_start, load_date)
) PARTITION BY RANGE (hour_start);
COMMENT ON TABLE monitoring.performance_metric_hourly_s IS 'Measurement satellite: what a statement cost in an hour, the sum over its samples. load_end_date set: samples came late, and a newer row counts them.';
COMMENT ON COLUMN monitoring.performance_metric_hourly_s.hour_start IS 'The hour in UTC in which the samples ended (measurement_period_end).';
COMMENT ON COLUMN monitoring.performance_metric_hourly_s.mean_time_ms IS 'Time per call over the hour: total_time_ms / calls, so weighted by the calls of each sample.';
COMMENT ON COLUMN monitoring.performance_metric_hourly_s.max_mean_time_ms IS 'The mean of the worst sample.';

CREATE TABLE monitoring.capacity_metric_hourly_s (
    capacity_metric_hk         bytea NOT NULL REFERENCES monitoring.capacity_metric_h,
    load_date                  timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date              timestamptz,
    hash_diff                  bytea NOT NULL,
    hour_start                 timestamptz NOT NULL,
    resource_type              varchar(50) NOT NULL,
    resource_name              varchar(200),
    sample_count               integer NOT NULL,
    last_size_bytes            bigint,
    max_size_bytes             bigint,
    last_available_bytes       bigint,
    last_utilization_percentage numeric(7,2),
    max_utilization_percentage numeric(7,2),
    last_sample_at             timestamptz NOT NULL,
    record_source              varchar(100) NOT NULL DEFAULT 'RETENTION',
    PRIMARY KEY (capacity_metric_hk, hour_start, load_date)
) PARTITION BY RANGE (hour_start);
COMMENT ON TABLE monitoring.capacity_metric_hourly_s IS 'Measurement satellite: how full a resource was at the end of an hour, and at worst. load_end_date set: samples came late, and a newer row counts them.';
COMMENT ON COLUMN monitoring.capacity_metric_hourly_s.hour_start IS 'The hour in UTC in which the samples were taken: [hour_start, hour_start + 1 hour).';

-- ---------------------------------------------------------------- archives

CREATE TABLE monitoring.archive_h (
    archive_hk    bytea PRIMARY KEY,
    archive_bk    varchar(255) NOT NULL UNIQUE,
    load_date     timestamptz DEFAULT util.current_load_date(),
    record_source varchar(100) NOT NULL DEFAULT 'RETENTION',
    CONSTRAINT archive_h_key_is_hash CHECK (archive_hk = util.hash_binary(archive_bk::text))
);
COMMENT ON TABLE monitoring.archive_h IS 'Hub: one archive of rows that left (or are to leave) the vault: a partition, or a month of closed versions of a state satellite. Its key is the name of its file without the extension.';

CREATE TABLE monitoring.archive_s (
    archive_hk     bytea NOT NULL REFERENCES monitoring.archive_h,
    load_date      timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date  timestamptz,
    hash_diff      bytea NOT NULL,
    archive_status varchar(20) NOT NULL,
    table_name     varchar(63) NOT NULL,
    partition_name varchar(63),
    range_from     timestamptz NOT NULL,
    range_to       timestamptz NOT NULL,
    row_count      bigint NOT NULL,
    row_digest     text NOT NULL,
    host_name      varchar(255),
    file_name      text,
    file_bytes     bigint,
    csv_bytes      bigint,
    csv_sha256     char(64),
    manifest       jsonb,
    held_until     timestamptz,
    changed_at     timestamptz NOT NULL,
    changed_by     varchar(100) NOT NULL DEFAULT SESSION_USER,
    record_source  varchar(100) NOT NULL DEFAULT 'RETENTION',
    PRIMARY KEY (archive_hk, load_date),
    CONSTRAINT archive_s_status CHECK (archive_status IN ('WAIVED', 'WRITTEN', 'VERIFIED', 'DROPPED', 'RESTORED')),
    CONSTRAINT archive_s_range CHECK (range_from < range_to),
    CONSTRAINT archive_s_file CHECK (archive_status = 'WAIVED' OR manifest IS NULL OR (csv_sha256 IS NOT NULL AND file_name IS NOT NULL)),
    CONSTRAINT archive_s_hold CHECK ((archive_status = 'RESTORED') = (held_until IS NOT NULL))
);
COMMENT ON TABLE monitoring.archive_s IS 'State satellite: the life of an archive. WRITTEN (file and manifest are on disk), VERIFIED (read back, and equal to the rows), DROPPED (the rows left the vault), RESTORED (they are back until held_until). WAIVED: the setting says that these rows leave without an archive.';
COMMENT ON COLUMN monitoring.archive_s.partition_name IS 'The partition that was archived whole; NULL: closed versions of a state satellite, by load_end_date.';
COMMENT ON COLUMN monitoring.archive_s.range_from IS 'The range [range_from, range_to) of the partition''s column, or of load_end_date for closed versions.';
COMMENT ON COLUMN monitoring.archive_s.row_digest IS 'monitoring.digest_of the rows in the transaction that wrote the file: what stands in the table must still be this when it is dropped.';
COMMENT ON COLUMN monitoring.archive_s.host_name IS 'Whose disk the file was written to.';
COMMENT ON COLUMN monitoring.archive_s.manifest IS 'What also stands beside the file: every file with its columns, row count, bytes and SHA-256 before and after compression.';
COMMENT ON COLUMN monitoring.archive_s.held_until IS 'Until when retention leaves restored rows alone.';

-- ---------------------------------------------------------------- what is not vault

CREATE TABLE monitoring.queue_table (
    table_name  varchar(63) PRIMARY KEY,
    done_column varchar(63) NOT NULL,
    keep        interval NOT NULL
);
COMMENT ON TABLE monitoring.queue_table IS 'Reference data: tables of the schema that are queues and no history. A row whose done_column is older than its setting (monitor_config_s, RETENTION; by default keep) is deleted, one where it is NULL never.';
COMMENT ON COLUMN monitoring.queue_table.done_column IS 'The timestamptz at which a row has done its work; NULL: it has not.';

-- +goose Down
DROP TABLE monitoring.queue_table, monitoring.archive_s, monitoring.archive_h, monitoring.capacity_metric_hourly_s,
    monitoring.performance_metric_hourly_s, monitoring.system_health_metric_hourly_s CASCADE;
