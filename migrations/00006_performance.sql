-- +goose Up
-- What the sampling of statements and the detection of security events must remember between two runs,
-- and which functions the migrations installed.

-- Unlogged: it is lost with a crash, and the next sample is then a first one again. Nothing but the
-- difference of one interval goes with it.
CREATE UNLOGGED TABLE monitoring.statement_series (
    series      varchar(255) PRIMARY KEY,
    sampled_at  timestamptz NOT NULL,
    stats_reset timestamptz
);
COMMENT ON TABLE monitoring.statement_series IS 'Technical: when the statements of a target (of a target and tenant) were last sampled. Unlogged: after a crash the next sample is a first one.';
COMMENT ON COLUMN monitoring.statement_series.series IS 'Target and tenant, as monitoring.statement_series_of() names them: each series has its own differences.';
COMMENT ON COLUMN monitoring.statement_series.sampled_at IS 'By the clock of the target.';
COMMENT ON COLUMN monitoring.statement_series.stats_reset IS 'When the counters of the target began, as the last sample saw it; another value means that they began anew.';

CREATE UNLOGGED TABLE monitoring.statement_baseline (
    series              varchar(255) NOT NULL,
    userid              oid NOT NULL,
    dbid                oid NOT NULL,
    queryid             bigint NOT NULL,
    toplevel            boolean NOT NULL,
    calls               bigint NOT NULL,
    total_exec_time     double precision NOT NULL,
    rows                bigint NOT NULL,
    shared_blks_hit     bigint NOT NULL,
    shared_blks_read    bigint NOT NULL,
    shared_blks_dirtied bigint NOT NULL,
    temp_blks_read      bigint NOT NULL,
    temp_blks_written   bigint NOT NULL,
    wal_bytes           numeric NOT NULL,
    blk_io_time         double precision NOT NULL,
    PRIMARY KEY (series, queryid, userid, dbid, toplevel)
) WITH (fillfactor = 60);
COMMENT ON TABLE monitoring.statement_baseline IS 'Technical: the counters of every entry of pg_stat_statements at the last sample of a series, from which the next sample is subtracted. Room is left in each page, because a sample rewrites the entries that moved.';

CREATE TABLE monitoring.security_check (
    check_name  varchar(50) PRIMARY KEY,
    kind        varchar(10) NOT NULL,
    description text NOT NULL,
    CONSTRAINT security_check_kind CHECK (kind IN ('STATE', 'COUNT', 'WINDOW'))
);
COMMENT ON TABLE monitoring.security_check IS 'Reference data: the installed functions monitoring.security_<check_name>(target, moment), which the detection of security events calls one after the other.';
COMMENT ON COLUMN monitoring.security_check.kind IS 'STATE: a finding lasts until it is gone, one event per appearance. COUNT: a finding is a counter, one event per hour in which it grew. WINDOW: a finding is about the last hour, one event per hour.';

CREATE TYPE monitoring.security_finding AS (
    event_type                varchar(100),
    severity                  varchar(20),
    object                    text,
    happened_at               timestamptz,
    username                  varchar(100),
    source_ip                 inet,
    database_name             varchar(100),
    affected_tables           text[],
    details                   jsonb,
    false_positive_likelihood numeric(5,2),
    mitigation_actions        text[],
    measure                   numeric
);
COMMENT ON TYPE monitoring.security_finding IS 'What a security check found: about which object, with which evidence. happened_at only of WINDOW checks, measure only of COUNT checks.';

CREATE TABLE monitoring.security_seen (
    target_name varchar(100) NOT NULL,
    check_name  varchar(50) NOT NULL,
    object      text NOT NULL,
    measure     numeric,
    first_seen  timestamptz NOT NULL,
    PRIMARY KEY (target_name, check_name, object)
);
COMMENT ON TABLE monitoring.security_seen IS 'Technical: what the checks of kind STATE and COUNT found at their last run: an event is what appeared or grew since. The empty object marks that a check ran at all.';
COMMENT ON COLUMN monitoring.security_seen.measure IS 'Of a COUNT check: the counter when it was last looked at.';

CREATE TABLE monitoring.security_detection (
    detection_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target_name   varchar(100) NOT NULL,
    detected_at   timestamptz NOT NULL,
    detector      varchar(100) NOT NULL,
    findings      integer,
    new_events    integer,
    skipped       jsonb NOT NULL DEFAULT '{}',
    failed        jsonb NOT NULL DEFAULT '{}',
    duration_ms   numeric(12,3)
);
CREATE INDEX security_detection_recent ON monitoring.security_detection (target_name, detected_at DESC);
COMMENT ON TABLE monitoring.security_detection IS 'Technical: every run of the detection of security events, so that "nothing was found" and "nobody looked" differ.';
COMMENT ON COLUMN monitoring.security_detection.detector IS 'The function that looked: OneVault''s own, or the one that somebody put in its place.';
COMMENT ON COLUMN monitoring.security_detection.findings IS 'How many findings the checks had; NULL: the detector failed as a whole.';
COMMENT ON COLUMN monitoring.security_detection.skipped IS 'Checks that do not apply here: {check: why}.';
COMMENT ON COLUMN monitoring.security_detection.failed IS 'Checks that failed: {check: error}. What they look for was not looked for.';

CREATE TABLE monitoring.installed_function (
    function_signature text PRIMARY KEY,
    source_sha256      bytea NOT NULL,
    script_name        text NOT NULL,
    put_at             timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE monitoring.installed_function IS 'Technical: the functions that the migrations put, with the SHA-256 of their bodies; see monitoring.replaced_functions().';

-- The functions that are there already are put once more, so that each is known by its hash.
-- +goose StatementBegin
DO $do$
BEGIN
    IF to_regclass('public.onevault_functions') IS NOT NULL THEN
        DELETE FROM public.onevault_functions;
    END IF;
END
$do$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE monitoring.installed_function, monitoring.security_detection, monitoring.security_seen, monitoring.security_check,
    monitoring.statement_baseline, monitoring.statement_series CASCADE;
DROP TYPE monitoring.security_finding CASCADE;
