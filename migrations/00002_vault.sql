-- +goose Up
-- The schema monitoring: hubs (business keys), satellites (what was known of them, when).
-- Two kinds of satellite:
--   measurement  append-only, partitioned by time; load_end_date set means "retracted";
--   state        end-dated; exactly one row with load_end_date IS NULL per hub key.
-- Columns beyond the guide's stand last and have defaults, so that its positional INSERTs keep working.

CREATE SCHEMA monitoring;
COMMENT ON SCHEMA monitoring IS 'OneVault: what was measured, decided and said, and when it was known.';

-- ---------------------------------------------------------------- hubs

CREATE TABLE monitoring.system_health_metric_h (
    health_metric_hk bytea PRIMARY KEY,
    health_metric_bk varchar(255) NOT NULL UNIQUE,
    tenant_hk        bytea REFERENCES auth.tenant_h,
    load_date        timestamptz DEFAULT util.current_load_date(),
    record_source    varchar(100) NOT NULL DEFAULT 'MONITORING_SYSTEM',
    target_name      varchar(100) NOT NULL DEFAULT 'local',
    CONSTRAINT system_health_metric_h_key_is_hash CHECK (health_metric_hk = util.hash_binary(health_metric_bk::text))
);
COMMENT ON TABLE monitoring.system_health_metric_h IS 'Hub: one health metric of one target, for one tenant or (tenant_hk NULL) the whole server.';
COMMENT ON COLUMN monitoring.system_health_metric_h.target_name IS 'The watched server, also part of the business key; local is the vault''s own.';

CREATE TABLE monitoring.alert_definition_h (
    alert_definition_hk bytea PRIMARY KEY,
    alert_definition_bk varchar(255) NOT NULL UNIQUE,
    tenant_hk           bytea REFERENCES auth.tenant_h,
    load_date           timestamptz DEFAULT util.current_load_date(),
    record_source       varchar(100) NOT NULL DEFAULT 'ALERTING_SYSTEM',
    CONSTRAINT alert_definition_h_key_is_hash CHECK (alert_definition_hk = util.hash_binary(alert_definition_bk::text)),
    -- The key is a part of workflow ids (alert/<target>/<definition>) and of the keys of its alerts.
    CONSTRAINT alert_definition_h_key_is_usable CHECK (alert_definition_bk ~ '^[A-Za-z0-9_.:-]{1,120}$')
);
COMMENT ON TABLE monitoring.alert_definition_h IS 'Hub: one alert definition.';

CREATE TABLE monitoring.alert_instance_h (
    alert_instance_hk   bytea PRIMARY KEY,
    alert_instance_bk   varchar(255) NOT NULL UNIQUE,
    alert_definition_hk bytea NOT NULL REFERENCES monitoring.alert_definition_h,
    tenant_hk           bytea REFERENCES auth.tenant_h,
    load_date           timestamptz DEFAULT util.current_load_date(),
    record_source       varchar(100) NOT NULL DEFAULT 'ALERT_ENGINE',
    target_name         varchar(100) NOT NULL DEFAULT 'local',
    CONSTRAINT alert_instance_h_key_is_hash CHECK (alert_instance_hk = util.hash_binary(alert_instance_bk::text))
);
COMMENT ON TABLE monitoring.alert_instance_h IS 'Hub: one firing of an alert definition on a target, from its opening to its resolution.';

CREATE TABLE monitoring.notification_config_h (
    notification_config_hk bytea PRIMARY KEY,
    notification_config_bk varchar(255) NOT NULL UNIQUE,
    tenant_hk              bytea REFERENCES auth.tenant_h,
    load_date              timestamptz DEFAULT util.current_load_date(),
    record_source          varchar(100) NOT NULL DEFAULT 'NOTIFICATION_MANAGER',
    CONSTRAINT notification_config_h_key_is_hash CHECK (notification_config_hk = util.hash_binary(notification_config_bk::text))
);
COMMENT ON TABLE monitoring.notification_config_h IS 'Hub: one notification channel.';

CREATE TABLE monitoring.notification_log_h (
    notification_log_hk    bytea PRIMARY KEY,
    notification_log_bk    varchar(255) NOT NULL UNIQUE,
    alert_instance_hk      bytea NOT NULL REFERENCES monitoring.alert_instance_h,
    notification_config_hk bytea NOT NULL REFERENCES monitoring.notification_config_h,
    load_date              timestamptz DEFAULT util.current_load_date(),
    record_source          varchar(100) NOT NULL DEFAULT 'NOTIFICATION_DELIVERY',
    CONSTRAINT notification_log_h_key_is_hash CHECK (notification_log_hk = util.hash_binary(notification_log_bk::text))
);
COMMENT ON TABLE monitoring.notification_log_h IS 'Hub: one notification = one alert, one event of its life, one recipient of one channel.';

-- ---------------------------------------------------------------- measurement satellites

CREATE TABLE monitoring.system_health_metric_s (
    health_metric_hk             bytea NOT NULL REFERENCES monitoring.system_health_metric_h,
    load_date                    timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date                timestamptz,
    hash_diff                    bytea NOT NULL,
    metric_name                  varchar(100) NOT NULL,
    metric_category              varchar(50) NOT NULL,
    metric_value                 numeric(24,4),
    metric_unit                  varchar(20),
    threshold_warning            numeric(24,4),
    threshold_critical           numeric(24,4),
    measurement_timestamp        timestamptz NOT NULL,
    measurement_interval_seconds integer DEFAULT 300,
    status                       varchar(20) DEFAULT 'NORMAL',
    additional_context           jsonb,
    data_source                  varchar(100),
    collection_method            varchar(50),
    record_source                varchar(100) NOT NULL DEFAULT 'MONITORING_SYSTEM',
    PRIMARY KEY (health_metric_hk, measurement_timestamp, load_date),
    CONSTRAINT system_health_metric_s_status CHECK (status IN ('NORMAL', 'WARNING', 'CRITICAL', 'UNKNOWN'))
) PARTITION BY RANGE (measurement_timestamp);
COMMENT ON TABLE monitoring.system_health_metric_s IS 'Measurement satellite: every sample of every health metric. NULL value and status UNKNOWN: it could not be measured; additional_context.error says why.';

-- Every look at a definition is a row, so that "no alert" and "nobody looked" differ.
CREATE TABLE monitoring.alert_evaluation_s (
    alert_definition_hk  bytea NOT NULL REFERENCES monitoring.alert_definition_h,
    load_date            timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date        timestamptz,
    hash_diff            bytea NOT NULL,
    target_name          varchar(100) NOT NULL,
    tenant_hk            bytea REFERENCES auth.tenant_h,
    evaluated_at         timestamptz NOT NULL,
    definition_load_date timestamptz NOT NULL,
    result               varchar(10) NOT NULL,
    result_since         timestamptz NOT NULL,
    clear_since          timestamptz,
    evaluated_value      numeric(24,4),
    inputs               jsonb NOT NULL,
    reason               text,
    decision             varchar(20) NOT NULL,
    duration_us          integer,
    record_source        varchar(100) NOT NULL DEFAULT 'ALERT_ENGINE',
    PRIMARY KEY (alert_definition_hk, target_name, evaluated_at, load_date),
    CONSTRAINT alert_evaluation_s_result CHECK (result IN ('TRUE', 'FALSE', 'NO_DATA', 'ERROR')),
    CONSTRAINT alert_evaluation_s_decision CHECK (decision IN ('NONE', 'PENDING', 'FIRED', 'SUPPRESSED', 'UNSUPPRESSED', 'HOLDING', 'RESOLVED'))
) PARTITION BY RANGE (evaluated_at);
COMMENT ON TABLE monitoring.alert_evaluation_s IS 'Measurement satellite of alert_definition_h: one row per evaluation, with its inputs, the definition''s version (definition_load_date) and what was decided.';
COMMENT ON COLUMN monitoring.alert_evaluation_s.result_since IS 'Since when successive evaluations gave this result.';
COMMENT ON COLUMN monitoring.alert_evaluation_s.clear_since IS 'Since when successive evaluations met the clear condition; NULL: not met.';
COMMENT ON COLUMN monitoring.alert_evaluation_s.decision IS 'NONE, PENDING (true, not yet long enough), FIRED, SUPPRESSED, UNSUPPRESSED (window over, still true), HOLDING (an alert is open already), RESOLVED.';

-- ---------------------------------------------------------------- state satellites

CREATE TABLE monitoring.alert_definition_s (
    alert_definition_hk          bytea NOT NULL REFERENCES monitoring.alert_definition_h,
    load_date                    timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date                timestamptz,
    hash_diff                    bytea NOT NULL,
    alert_name                   varchar(200) NOT NULL,
    alert_description            text,
    alert_category               varchar(50) NOT NULL,
    alert_severity               varchar(20) NOT NULL,
    metric_source                varchar(100),
    condition_logic              text NOT NULL,
    threshold_value              numeric(24,4),
    threshold_operator           varchar(10),
    evaluation_frequency_minutes integer DEFAULT 5,
    is_enabled                   boolean DEFAULT true,
    auto_resolve                 boolean DEFAULT false,
    escalation_enabled           boolean DEFAULT false,
    escalation_delay_minutes     integer DEFAULT 30,
    suppression_window_minutes   integer DEFAULT 60,
    notification_channels        text[],
    created_by                   varchar(100) DEFAULT SESSION_USER,
    last_modified_by             varchar(100) DEFAULT SESSION_USER,
    record_source                varchar(100) NOT NULL DEFAULT 'ALERTING_SYSTEM',
    pending_minutes              integer NOT NULL DEFAULT 0,
    clear_condition_logic        text,
    clear_minutes                integer NOT NULL DEFAULT 0,
    no_data_state                varchar(12) NOT NULL DEFAULT 'NO_DATA',
    no_data_minutes              integer NOT NULL DEFAULT 15,
    lookback_minutes             integer NOT NULL DEFAULT 10,
    runbook_url                  text,
    PRIMARY KEY (alert_definition_hk, load_date),
    CONSTRAINT alert_definition_s_severity CHECK (alert_severity IN ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
    CONSTRAINT alert_definition_s_operator CHECK (threshold_operator IN ('>', '<', '=', '!=', '>=', '<=')),
    CONSTRAINT alert_definition_s_no_data_state CHECK (no_data_state IN ('NO_DATA', 'ALERT', 'OK', 'KEEP')),
    CONSTRAINT alert_definition_s_frequency CHECK (evaluation_frequency_minutes >= 1),
    CONSTRAINT alert_definition_s_escalation_delay CHECK (escalation_delay_minutes >= 1),
    CONSTRAINT alert_definition_s_minutes CHECK (suppression_window_minutes >= 0 AND pending_minutes >= 0 AND clear_minutes >= 0
                                                 AND no_data_minutes >= 0 AND lookback_minutes >= 1)
);
COMMENT ON TABLE monitoring.alert_definition_s IS 'State satellite: the versions of an alert definition. INSERT a new version; it takes effect at the next evaluation.';
COMMENT ON COLUMN monitoring.alert_definition_s.condition_logic IS 'Comparisons, arithmetic, && || !, parentheses over the identifiers of metric_source and threshold_value; see monitoring.condition_identifier.';
COMMENT ON COLUMN monitoring.alert_definition_s.notification_channels IS 'Restricts who is told: channel types or channel keys. NULL: every enabled channel whose filters match.';
COMMENT ON COLUMN monitoring.alert_definition_s.pending_minutes IS 'How long the condition must hold before the alert opens.';
COMMENT ON COLUMN monitoring.alert_definition_s.clear_condition_logic IS 'When an open alert counts as cleared; NULL: when condition_logic is FALSE.';
COMMENT ON COLUMN monitoring.alert_definition_s.no_data_state IS 'When inputs are missing: NO_DATA and KEEP change nothing, ALERT fires after no_data_minutes, OK counts as FALSE.';

CREATE TABLE monitoring.alert_instance_s (
    alert_instance_hk           bytea NOT NULL REFERENCES monitoring.alert_instance_h,
    load_date                   timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date               timestamptz,
    hash_diff                   bytea NOT NULL,
    alert_status                varchar(20) NOT NULL,
    triggered_timestamp         timestamptz NOT NULL,
    acknowledged_timestamp      timestamptz,
    resolved_timestamp          timestamptz,
    trigger_value               numeric(24,4),
    trigger_details             jsonb,
    impact_assessment           text,
    urgency_level               varchar(20),
    affected_systems            text[],
    estimated_affected_users    integer,
    business_impact_description text,
    acknowledged_by             varchar(100),
    resolved_by                 varchar(100),
    resolution_notes            text,
    false_positive              boolean DEFAULT false,
    suppression_reason          text,
    escalation_level            integer DEFAULT 0,
    last_notification_sent      timestamptz,
    notification_count          integer DEFAULT 0,
    record_source               varchar(100) NOT NULL DEFAULT 'ALERT_ENGINE',
    acknowledgment_notes        text,
    changed_at                  timestamptz,
    changed_via                 varchar(150),
    PRIMARY KEY (alert_instance_hk, load_date),
    CONSTRAINT alert_instance_s_status CHECK (alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED', 'RESOLVED', 'SUPPRESSED'))
);
COMMENT ON TABLE monitoring.alert_instance_s IS 'State satellite: the life of an alert, one version per transition.';
COMMENT ON COLUMN monitoring.alert_instance_s.changed_at IS 'When the transition happened; load_date is when the vault learned of it.';
COMMENT ON COLUMN monitoring.alert_instance_s.changed_via IS 'How the actor was known: evaluator, workflow, psql:<role>, cli:<user@host>, signal (unverified).';

CREATE TABLE monitoring.notification_config_s (
    notification_config_hk         bytea NOT NULL REFERENCES monitoring.notification_config_h,
    load_date                      timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date                  timestamptz,
    hash_diff                      bytea NOT NULL,
    channel_name                   varchar(100) NOT NULL,
    channel_type                   varchar(50) NOT NULL,
    configuration                  jsonb NOT NULL,
    recipient_groups               text[],
    severity_filter                text[],
    category_filter                text[],
    time_restrictions              jsonb,
    is_enabled                     boolean DEFAULT true,
    rate_limit_per_hour            integer DEFAULT 100,
    delivery_confirmation_required boolean DEFAULT false,
    retry_attempts                 integer DEFAULT 3,
    retry_delay_seconds            integer DEFAULT 300,
    created_by                     varchar(100) DEFAULT SESSION_USER,
    record_source                  varchar(100) NOT NULL DEFAULT 'NOTIFICATION_MANAGER',
    PRIMARY KEY (notification_config_hk, load_date),
    CONSTRAINT notification_config_s_type CHECK (channel_type IN ('EMAIL', 'SLACK', 'SMS', 'VOICE', 'WEBHOOK', 'PAGERDUTY')),
    CONSTRAINT notification_config_s_retry CHECK (retry_attempts BETWEEN 0 AND 20 AND retry_delay_seconds BETWEEN 0 AND 86400)
);
COMMENT ON TABLE monitoring.notification_config_s IS 'State satellite: the versions of a notification channel. INSERT a new version; it takes effect at the next message.';

CREATE TABLE monitoring.notification_log_s (
    notification_log_hk             bytea NOT NULL REFERENCES monitoring.notification_log_h,
    load_date                       timestamptz NOT NULL DEFAULT clock_timestamp(),
    load_end_date                   timestamptz,
    hash_diff                       bytea NOT NULL,
    sent_timestamp                  timestamptz NOT NULL,
    delivery_status                 varchar(20) NOT NULL,
    channel_used                    varchar(100),
    recipient_address               text,
    message_content                 text,
    delivery_confirmation_received  boolean DEFAULT false,
    delivery_confirmation_timestamp timestamptz,
    failure_reason                  text,
    retry_count                     integer DEFAULT 0,
    delivery_duration_ms            integer,
    external_message_id             varchar(255),
    record_source                   varchar(100) NOT NULL DEFAULT 'NOTIFICATION_DELIVERY',
    event                           varchar(40),
    delivery_key                    varchar(255),
    outcome_class                   varchar(12),
    delivery_proof                  text,
    possible_duplicate              boolean NOT NULL DEFAULT false,
    PRIMARY KEY (notification_log_hk, load_date),
    CONSTRAINT notification_log_s_status CHECK (delivery_status IN ('PENDING', 'SENT', 'DELIVERED', 'FAILED', 'BOUNCED', 'SUPPRESSED')),
    CONSTRAINT notification_log_s_class CHECK (outcome_class IN ('ACCEPTED', 'NOT_SENT', 'TRANSIENT', 'UNCERTAIN', 'CONFIG', 'PERMANENT'))
);
COMMENT ON TABLE monitoring.notification_log_s IS 'State satellite: the ledger of a notification. An intent before each attempt, an outcome after it.';
COMMENT ON COLUMN monitoring.notification_log_s.event IS 'What it told: FIRED, ESCALATED:<level>, RESOLVED, REQUESTED:<n>.';
COMMENT ON COLUMN monitoring.notification_log_s.delivery_key IS 'The key the message carried (webhook-id, Message-ID): equal for all alerts of one batch and all attempts.';
COMMENT ON COLUMN monitoring.notification_log_s.outcome_class IS 'What the last attempt proved. PENDING with NULL: the attempt was begun and its outcome is unknown.';
COMMENT ON COLUMN monitoring.notification_log_s.delivery_proof IS 'Why DELIVERED, by the channel''s own definition: "SMTP 250 ...", "HTTP 200".';
COMMENT ON COLUMN monitoring.notification_log_s.possible_duplicate IS 'An earlier attempt may have arrived as well.';

-- ---------------------------------------------------------------- what is not vault

CREATE TABLE monitoring.condition_identifier (
    metric_source varchar(100) NOT NULL,
    identifier    varchar(100) NOT NULL,
    description   text NOT NULL,
    unit          varchar(20),
    PRIMARY KEY (metric_source, identifier)
);
COMMENT ON TABLE monitoring.condition_identifier IS 'Reference data: the names that a condition may use, per metric_source.';

CREATE TABLE monitoring.health_query (
    query_name   varchar(50) PRIMARY KEY,
    metric_names text[] NOT NULL,
    requires     text
);
COMMENT ON TABLE monitoring.health_query IS 'Reference data: the installed functions monitoring.health_<query_name>() and the metrics that each measures.';

CREATE TABLE monitoring.outbox (
    outbox_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind              varchar(20) NOT NULL,
    target_name       varchar(100) NOT NULL,
    alert_instance_hk bytea NOT NULL REFERENCES monitoring.alert_instance_h,
    payload           jsonb NOT NULL DEFAULT '{}',
    relayed_at        timestamptz,
    outcome           text,
    CONSTRAINT outbox_kind CHECK (kind IN ('FIRED', 'ACKNOWLEDGED', 'RESOLVED', 'NOTIFY'))
);
COMMENT ON TABLE monitoring.outbox IS 'What happened to alerts inside the database, on its way to their workflows; relayed in order, each exactly once in effect.';
CREATE INDEX outbox_unrelayed ON monitoring.outbox (outbox_id) WHERE relayed_at IS NULL;

-- +goose Down
DROP SCHEMA monitoring CASCADE;
