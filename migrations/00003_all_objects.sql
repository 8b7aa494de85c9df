-- +goose Up
-- The rest of the guide's objects: performance, capacity, security, compliance, configuration,
-- incidents and the links between them. Conventions as in 00002; columns beyond the guide's stand last
-- and have defaults, so that its positional INSERTs keep working.

-- ---------------------------------------------------------------- hubs

CREATE TABLE monitoring.performance_metric_h (
    performance_metric_hk bytea PRIMARY KEY,
    performance_metric_bk varchar(255) NOT NULL UNIQUE,
    tenant_hk             bytea REFERENCES auth.tenant_h,
    load_date             timestamptz DEFAULT util.current_load_date(),
    record_source         varchar(100) NOT NULL DEFAULT 'PERFORMANCE_MONITOR',
    target_name           varchar(100) NOT NULL DEFAULT 'local',
    CONSTRAINT performance_metric_h_key_is_hash CHECK (performance_metric_hk = util.hash_binary(performance_metric_bk::text))
);
COMMENT ON TABLE monitoring.performance_metric_h IS 'Hub: one statement (queryid) of one role in one database of a target, as pg_stat_statements tells statements apart.';

CREATE TABLE monitoring.capacity_metric_h (
    capacity_metric_hk bytea PRIMARY KEY,
    capacity_metric_bk varchar(255) NOT NULL UNIQUE,
    tenant_hk          bytea REFERENCES auth.tenant_h,
    load_date          timestamptz DEFAULT util.current_load_date(),
    record_source      varchar(100) NOT NULL DEFAULT 'CAPACITY_MONITOR',
    target_name        varchar(100) NOT NULL DEFAULT 'local',
    CONSTRAINT capacity_metric_h_key_is_hash CHECK (capacity_metric_hk = util.hash_binary(capacity_metric_bk::text))
);
COMMENT ON TABLE monitoring.capacity_metric_h IS 'Hub: one resource of a target that can fill up: a disk, a tablespace, a database, a table.';

CREATE TABLE monitoring.security_event_h (
    security_event_hk bytea PRIMARY KEY,
    security_event_bk varchar(255) NOT NULL UNIQUE,
    tenant_hk         bytea REFERENCES auth.tenant_h,
    load_date         timestamptz DEFAULT util.current_load_date(),
    record_source     varchar(100) NOT NULL DEFAULT 'SECURITY_MONITOR',
    target_name       varchar(100) NOT NULL DEFAULT 'local',
    CONSTRAINT security_event_h_key_is_hash CHECK (security_event_hk = util.hash_binary(security_event_bk::text))
);
COMMENT ON TABLE monitoring.security_event_h IS 'Hub: one security event; its key is type, object and window, so that detecting it again is no second event.';

CREATE TABLE monitoring.compliance_check_h (
    compliance_check_hk bytea PRIMARY KEY,
    compliance_check_bk varchar(255) NOT NULL UNIQUE,
    tenant_hk           bytea REFERENCES auth.tenant_h,
    load_date           timestamptz DEFAULT util.current_load_date(),
    record_source       varchar(100) NOT NULL DEFAULT 'COMPLIANCE_MONITOR',
    target_name         varchar(100) NOT NULL DEFAULT 'local',
    CONSTRAINT compliance_check_h_key_is_hash CHECK (compliance_check_hk = util.hash_binary(compliance_check_bk::text))
);
COMMENT ON TABLE monitoring.compliance_check_h IS 'Hub: one control of one compliance framework on a target.';

CREATE TABLE monitoring.monitor_config_h (
    monitor_config_hk bytea PRIMARY KEY,
    monitor_config_bk varchar(255) NOT NULL UNIQUE,
    tenant_hk         bytea REFERENCES auth.tenant_h,
    load_date         timestamptz DEFAULT util.current_load_date(),
    record_source     varchar(100) NOT NULL DEFAULT 'CONFIG_MANAGER',
    CONSTRAINT monitor_config_h_key_is_hash CHECK (monitor_config_hk = util.hash_binary(monitor_config_bk::text))
);
COMMENT ON TABLE monitoring.monitor_config_h IS 'Hub: one setting of the monitoring itself, such as how long a table is kept.';

CREATE TABLE monitoring.incident_h (
    incident_hk   bytea PRIMARY KEY,
    incident_bk   varchar(255) NOT NULL UNIQUE,
    tenant_hk     bytea REFERENCES auth.tenant_h,
    load_date     timestamptz DEFAULT util.current_load_date(),
    record_source varchar(100) NOT NULL DEFAULT 'INCIDENT_MANAGER',
    CONSTRAINT incident_h_key_is_hash CHECK (incident_hk = util.hash_binary(incident_bk::text))
);
COMMENT ON TABLE monitoring.incident_h IS 'Hub: one incident: alerts (or security events) that people work on together.';

-- ---------------------------------------------------------------- links

CREATE TABLE monitoring.alert_incident_l (
    link_alert_incident_hk bytea PRIMARY KEY,
    alert_instance_hk      bytea NOT NULL REFERENCES monitoring.alert_instance_h,
    incident_hk            bytea NOT NULL REFERENCES monitoring.incident_h,
    tenant_hk              bytea REFERENCES auth.tenant_h,
    load_date              timestamptz DEFAULT util.current_load_date(),
    record_source          varchar(100) NOT NULL DEFAULT 'INCIDENT_CORRELATOR',
    CONSTRAINT alert_incident_l_once UNIQUE (alert_instance_hk, incident_hk),
    CONSTRAINT alert_incident_l_key_is_hash CHECK (link_alert_incident_hk =
        util.hash_binary(encode(alert_instance_hk, 'hex') || '||' || encode(incident_hk, 'hex')))
);
COMMENT ON TABLE monitoring.alert_incident_l IS 'Link: an alert belongs to an incident; from when until when stands in alert_incident_eff_s.';

CREATE TABLE monitoring.security_event_incident_l (
    link_security_event_incident_hk bytea PRIMARY KEY,
    security_event_hk               bytea NOT NULL REFERENCES monitoring.security_event_h,
    incident_hk                     bytea NOT NULL REFERENCES monitoring.incident_h,
    tenant_hk                       bytea REFERENCES auth.tenant_h,
    load_date                       timestamptz DEFAULT util.current_load_date(),
    record_source                   varchar(100) NOT NULL DEFAULT 'INCIDENT_CORRELATOR',
    CONSTRAINT security_event_incident_l_once UNIQUE (security_event_hk, incident_hk),
    CONSTRAINT security_event_incident_l_key_is_hash CHECK (link_security_event_incident_hk =
        util.hash_binary(encode(security_event_hk, 'hex') || '||' || encode(incident_hk, 'hex')))
);
COMMENT ON TABLE monitoring.security_event_incident_l IS 'Link: a security event belongs to an incident.';

-- ---------------------------------------------------------------- measurement satellites

CREATE TABLE monitoring.performance_metric_s (
    performance_metric_hk    bytea NOT NULL REFERENCES monitoring.performance_metric_h,
    load_date                timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date            timestamptz,
    hash_diff                bytea NOT NULL,
    query_hash               varchar(64),
    database_name            varchar(100),
    username                 varchar(100),
    query_text               text,
    total_time_ms            numeric(24,4),
    mean_time_ms             numeric(24,4),
    calls                    bigint,
    rows_examined            bigint,
    rows_returned            bigint,
    shared_blks_hit          bigint,
    shared_blks_read         bigint,
    shared_blks_dirtied      bigint,
    temp_blks_read           bigint,
    temp_blks_written        bigint,
    measurement_period_start timestamptz,
    measurement_period_end   timestamptz NOT NULL,
    performance_rating       varchar(20),
    optimization_suggestions text[],
    record_source            varchar(100) NOT NULL DEFAULT 'PERFORMANCE_MONITOR',
    pct_of_total             numeric(7,4),
    wal_bytes                bigint,
    blk_io_time_ms           numeric(24,4),
    is_reset                 boolean NOT NULL DEFAULT false,
    PRIMARY KEY (performance_metric_hk, measurement_period_end, load_date),
    CONSTRAINT performance_metric_s_rating CHECK (performance_rating IN ('EXCELLENT', 'GOOD', 'POOR', 'CRITICAL'))
) PARTITION BY RANGE (measurement_period_end);
COMMENT ON TABLE monitoring.performance_metric_s IS 'Measurement satellite: what the top statements cost between two samples; differences, not counters since the beginning.';

CREATE TABLE monitoring.capacity_metric_s (
    capacity_metric_hk          bytea NOT NULL REFERENCES monitoring.capacity_metric_h,
    load_date                   timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date               timestamptz,
    hash_diff                   bytea NOT NULL,
    resource_type               varchar(50) NOT NULL,
    resource_name               varchar(200),
    current_size_bytes          bigint,
    available_space_bytes       bigint,
    utilization_percentage      numeric(7,2),
    growth_rate_per_day         numeric(24,4),
    projected_full_date         date,
    capacity_warning_threshold  numeric(5,2) DEFAULT 80.0,
    capacity_critical_threshold numeric(5,2) DEFAULT 95.0,
    measurement_timestamp       timestamptz NOT NULL,
    trend_direction             varchar(20),
    record_source               varchar(100) NOT NULL DEFAULT 'CAPACITY_MONITOR',
    forecast_method             varchar(30),
    forecast_low_date           date,
    forecast_high_date          date,
    PRIMARY KEY (capacity_metric_hk, measurement_timestamp, load_date)
) PARTITION BY RANGE (measurement_timestamp);
COMMENT ON TABLE monitoring.capacity_metric_s IS 'Measurement satellite: how full a resource was, how it grows, and when it would be full. NULL: not known.';

-- ---------------------------------------------------------------- state satellites

CREATE TABLE monitoring.performance_statement_s (
    performance_metric_hk bytea NOT NULL REFERENCES monitoring.performance_metric_h,
    load_date             timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date         timestamptz,
    hash_diff             bytea NOT NULL,
    query_text            text NOT NULL,
    record_source         varchar(100) NOT NULL DEFAULT 'PERFORMANCE_MONITOR',
    PRIMARY KEY (performance_metric_hk, load_date)
);
COMMENT ON TABLE monitoring.performance_statement_s IS 'State satellite: the whole text of a statement, kept once; performance_metric_s holds its beginning.';

CREATE TABLE monitoring.security_event_s (
    security_event_hk           bytea NOT NULL REFERENCES monitoring.security_event_h,
    load_date                   timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date               timestamptz,
    hash_diff                   bytea NOT NULL,
    event_type                  varchar(100) NOT NULL,
    event_severity              varchar(20) NOT NULL,
    event_timestamp             timestamptz NOT NULL,
    source_ip                   inet,
    user_agent                  text,
    username                    varchar(100),
    database_name               varchar(100),
    affected_tables             text[],
    event_details               jsonb,
    detection_method            varchar(100),
    false_positive_likelihood   numeric(5,2),
    investigation_status        varchar(50) DEFAULT 'OPEN',
    incident_response_triggered boolean DEFAULT false,
    mitigation_actions          text[],
    investigation_notes         text,
    record_source               varchar(100) NOT NULL DEFAULT 'SECURITY_MONITOR',
    PRIMARY KEY (security_event_hk, load_date),
    CONSTRAINT security_event_s_severity CHECK (event_severity IN ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
    CONSTRAINT security_event_s_investigation CHECK (investigation_status IN ('OPEN', 'INVESTIGATING', 'RESOLVED', 'FALSE_POSITIVE'))
);
COMMENT ON TABLE monitoring.security_event_s IS 'State satellite: what is known of a security event and of its investigation.';

CREATE TABLE monitoring.compliance_check_s (
    compliance_check_hk   bytea NOT NULL REFERENCES monitoring.compliance_check_h,
    load_date             timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date         timestamptz,
    hash_diff             bytea NOT NULL,
    compliance_framework  varchar(50) NOT NULL,
    check_name            varchar(200) NOT NULL,
    check_description     text,
    check_category        varchar(100),
    check_frequency       varchar(50),
    last_check_timestamp  timestamptz,
    check_status          varchar(25),
    compliance_score      numeric(5,2),
    finding_details       jsonb,
    remediation_required  boolean DEFAULT false,
    remediation_priority  varchar(20),
    remediation_deadline  date,
    responsible_party     varchar(100),
    evidence_location     text,
    audit_trail_reference text,
    record_source         varchar(100) NOT NULL DEFAULT 'COMPLIANCE_MONITOR',
    PRIMARY KEY (compliance_check_hk, load_date),
    CONSTRAINT compliance_check_s_status CHECK (check_status IN ('COMPLIANT', 'NON_COMPLIANT', 'PARTIALLY_COMPLIANT', 'NOT_TESTED')),
    CONSTRAINT compliance_check_s_priority CHECK (remediation_priority IN ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL'))
);
COMMENT ON TABLE monitoring.compliance_check_s IS 'State satellite: the results of a control, one version per run. An error is NOT_TESTED, never COMPLIANT.';

CREATE TABLE monitoring.monitor_config_s (
    monitor_config_hk        bytea NOT NULL REFERENCES monitoring.monitor_config_h,
    load_date                timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date            timestamptz,
    hash_diff                bytea NOT NULL,
    config_name              varchar(200) NOT NULL,
    config_type              varchar(50) NOT NULL,
    config_category          varchar(100),
    config_value             jsonb NOT NULL,
    config_description       text,
    is_enabled               boolean DEFAULT true,
    priority_level           integer DEFAULT 5,
    update_frequency_seconds integer,
    last_updated_by          varchar(100) DEFAULT SESSION_USER,
    validation_rules         jsonb,
    environment_scope        varchar(50) DEFAULT 'ALL',
    record_source            varchar(100) NOT NULL DEFAULT 'CONFIG_MANAGER',
    PRIMARY KEY (monitor_config_hk, load_date)
);
COMMENT ON TABLE monitoring.monitor_config_s IS 'State satellite: the versions of a setting. INSERT a new version; it takes effect at the next use.';

CREATE TABLE monitoring.incident_s (
    incident_hk                  bytea NOT NULL REFERENCES monitoring.incident_h,
    load_date                    timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date                timestamptz,
    hash_diff                    bytea NOT NULL,
    incident_title               varchar(500) NOT NULL,
    incident_description         text,
    incident_status              varchar(20) NOT NULL,
    incident_severity            varchar(20) NOT NULL,
    incident_priority            varchar(20) NOT NULL,
    created_timestamp            timestamptz NOT NULL,
    first_response_timestamp     timestamptz,
    resolved_timestamp           timestamptz,
    closed_timestamp             timestamptz,
    assigned_to                  varchar(100),
    created_by                   varchar(100) DEFAULT SESSION_USER,
    affected_services            text[],
    customer_impact_level        varchar(20),
    estimated_affected_customers integer,
    root_cause_analysis          text,
    resolution_summary           text,
    lessons_learned              text,
    follow_up_actions            text[],
    sla_breach                   boolean DEFAULT false,
    response_time_minutes        integer,
    resolution_time_minutes      integer,
    record_source                varchar(100) NOT NULL DEFAULT 'INCIDENT_MANAGER',
    changed_at                   timestamptz,
    changed_by                   varchar(100),
    changed_via                  varchar(150),
    PRIMARY KEY (incident_hk, load_date),
    CONSTRAINT incident_s_status CHECK (incident_status IN ('OPEN', 'INVESTIGATING', 'RESOLVED', 'CLOSED')),
    CONSTRAINT incident_s_severity CHECK (incident_severity IN ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
    CONSTRAINT incident_s_priority CHECK (incident_priority IN ('P1', 'P2', 'P3', 'P4'))
);
COMMENT ON TABLE monitoring.incident_s IS 'State satellite: the life of an incident, one version per change.';
COMMENT ON COLUMN monitoring.incident_s.changed_at IS 'When the change happened; load_date is when the vault learned of it.';
COMMENT ON COLUMN monitoring.incident_s.changed_via IS 'How the actor was known: workflow, psql:<role>, cli:<user@host>.';

CREATE TABLE monitoring.alert_incident_eff_s (
    link_alert_incident_hk bytea NOT NULL REFERENCES monitoring.alert_incident_l,
    load_date              timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date          timestamptz,
    hash_diff              bytea NOT NULL,
    effective_from         timestamptz NOT NULL,
    effective_to           timestamptz,
    reason                 text,
    record_source          varchar(100) NOT NULL DEFAULT 'INCIDENT_CORRELATOR',
    PRIMARY KEY (link_alert_incident_hk, load_date)
);
COMMENT ON TABLE monitoring.alert_incident_eff_s IS 'Effectivity satellite: from when until when an alert belonged to an incident.';

-- ---------------------------------------------------------------- what a definition says to people

ALTER TABLE monitoring.alert_definition_s ADD COLUMN runbook text;
COMMENT ON COLUMN monitoring.alert_definition_s.runbook IS 'One line for whoever is woken: what it means, what to look at, what to do. Stands in every message.';

-- +goose Down
ALTER TABLE monitoring.alert_definition_s DROP COLUMN runbook CASCADE;
DROP TABLE monitoring.alert_incident_eff_s, monitoring.incident_s, monitoring.monitor_config_s, monitoring.compliance_check_s,
    monitoring.security_event_s, monitoring.performance_statement_s, monitoring.capacity_metric_s, monitoring.performance_metric_s,
    monitoring.security_event_incident_l, monitoring.alert_incident_l, monitoring.incident_h, monitoring.monitor_config_h,
    monitoring.compliance_check_h, monitoring.security_event_h, monitoring.capacity_metric_h, monitoring.performance_metric_h CASCADE;
