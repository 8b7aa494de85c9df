-- psql's \d+ is the manual of the schema: what the tables' own scripts leave unsaid is said here. Runs after
-- every change, because what is dropped and made anew loses its comments.

-- ---------------------------------------------------------------- columns that mean the same everywhere

DO $do$
DECLARE
    v_column record;
BEGIN
    FOR v_column IN
        SELECT c.relname, a.attname,
               CASE
               WHEN a.attname = 'load_date' THEN
                   CASE WHEN c.relname LIKE '%\_s' THEN 'When the vault learned of this; the version begins here. Set by the database where the writer gives none, and moved behind the version before.'
                        ELSE 'When the vault first learned of this key.' END
               WHEN a.attname = 'load_end_date' THEN
                   CASE WHEN c.relkind = 'p' THEN 'NULL: it counts. Set: this measurement was retracted then.'
                        ELSE 'When the next version replaced this one; NULL: it is the current version, of which each key has one.' END
               WHEN a.attname = 'hash_diff' THEN
                   CASE WHEN c.relkind = 'p' THEN 'Digest of the measurement, by whoever recorded it.'
                        ELSE 'SHA-256 of what the row says, see monitoring.hash_diff_of(); computed by the database, whatever the writer gives. Equal to the current version''s: no new version is made.' END
               WHEN a.attname = 'record_source' THEN 'Which program or script wrote the row, in words.'
               WHEN a.attname = 'tenant_hk' THEN 'Hash key of the tenant that it belongs to, auth.tenant_h; NULL: to none, a fact of the whole server, which every reader sees.'
               WHEN a.attname = 'target_name' THEN 'The watched server; local is the vault''s own.'
               WHEN a.attname LIKE '%\_bk' THEN 'Business key: what the hash key is the SHA-256 of. Parts in upper case, joined with ||.'
               WHEN a.attname LIKE '%\_hk' AND c.relname LIKE '%\_[hl]' AND a.attnum = 1 THEN
                   CASE WHEN c.relname LIKE '%\_l' THEN 'Hash key: SHA-256 of the linked keys in hex, joined with ||; checked by the database.'
                        ELSE 'Hash key: util.hash_binary of the business key; checked by the database.' END
               WHEN a.attname LIKE '%\_hk' THEN
                   'Hash key in monitoring.' || CASE a.attname
                       WHEN 'health_metric_hk' THEN 'system_health_metric_h'
                       WHEN 'link_alert_incident_hk' THEN 'alert_incident_l'
                       WHEN 'link_security_event_incident_hk' THEN 'security_event_incident_l'
                       ELSE regexp_replace(a.attname, '_hk$', '_h') END || '.'
               END AS text
          FROM pg_class c
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
           AND col_description(c.oid, a.attnum) IS NULL
    LOOP
        IF v_column.text IS NOT NULL THEN
            EXECUTE format('COMMENT ON COLUMN monitoring.%I.%I IS %L', v_column.relname, v_column.attname, v_column.text);
        END IF;
    END LOOP;
END
$do$;

-- ---------------------------------------------------------------- every other column

DO $do$
DECLARE
    v_said record;
BEGIN
    FOR v_said IN SELECT * FROM (VALUES
        ('system_health_metric_s', 'metric_name', 'What was measured, such as connection_usage_pct; all names with their meaning stand in condition_identifier.'),
        ('system_health_metric_s', 'metric_category', 'PERFORMANCE, CAPACITY, AVAILABILITY, BACKUP or SECURITY.'),
        ('system_health_metric_s', 'metric_value', 'The value in metric_unit; of a cumulative counter the rate since the sample before. NULL: it could not be measured.'),
        ('system_health_metric_s', 'metric_unit', 'Unit of value and thresholds: %, s, count, bytes, GB, 1/s, 1/h, ...'),
        ('system_health_metric_s', 'threshold_warning', 'From here on status is WARNING; NULL: never.'),
        ('system_health_metric_s', 'threshold_critical', 'From here on status is CRITICAL; NULL: never.'),
        ('system_health_metric_s', 'measurement_timestamp', 'When it was measured, by the clock of the worker; the partitions'' column.'),
        ('system_health_metric_s', 'measurement_interval_seconds', 'Seconds between two samples, as planned when this one was taken.'),
        ('system_health_metric_s', 'status', 'NORMAL, WARNING, CRITICAL by the thresholds; UNKNOWN: no value.'),
        ('system_health_metric_s', 'additional_context', 'error: why there is no value. counter: the cumulative counter as it stood, from which the next rate is computed. evidence: what was seen, such as who blocks whom.'),
        ('system_health_metric_s', 'data_source', 'Where the value was read: a view of PostgreSQL, statfs, ...'),
        ('system_health_metric_s', 'collection_method', 'AUTOMATIC: by a query of collect/health.'),

        ('system_health_metric_hourly_s', 'metric_name', 'As in system_health_metric_s.'),
        ('system_health_metric_hourly_s', 'metric_category', 'As in system_health_metric_s.'),
        ('system_health_metric_hourly_s', 'metric_unit', 'Unit of the values.'),
        ('system_health_metric_hourly_s', 'min_value', 'The least value of the hour; NULL: no sample had one.'),
        ('system_health_metric_hourly_s', 'avg_value', 'The mean of the samples that have a value.'),
        ('system_health_metric_hourly_s', 'max_value', 'The greatest value of the hour.'),
        ('system_health_metric_hourly_s', 'last_value', 'The value of the last sample of the hour; NULL: it had none.'),
        ('system_health_metric_hourly_s', 'last_status', 'The status of the last sample.'),
        ('system_health_metric_hourly_s', 'normal_count', 'Samples of status NORMAL.'),
        ('system_health_metric_hourly_s', 'warning_count', 'Samples of status WARNING.'),
        ('system_health_metric_hourly_s', 'critical_count', 'Samples of status CRITICAL.'),
        ('system_health_metric_hourly_s', 'unknown_count', 'Samples of status UNKNOWN: without a value.'),
        ('system_health_metric_hourly_s', 'first_sample_at', 'When the first sample of the hour was taken.'),
        ('system_health_metric_hourly_s', 'last_sample_at', 'When the last sample of the hour was taken.'),

        ('performance_metric_s', 'query_hash', 'queryid of pg_stat_statements, as text.'),
        ('performance_metric_s', 'database_name', 'Database in which it ran.'),
        ('performance_metric_s', 'username', 'Role that ran it.'),
        ('performance_metric_s', 'query_text', 'The first 200 characters of the statement, constants replaced by $n and secrets taken out; the whole stands in performance_statement_s.'),
        ('performance_metric_s', 'total_time_ms', 'Execution time between the two samples, in milliseconds.'),
        ('performance_metric_s', 'mean_time_ms', 'Milliseconds per call between the two samples.'),
        ('performance_metric_s', 'calls', 'Executions between the two samples.'),
        ('performance_metric_s', 'rows_examined', 'Not told by PostgreSQL: NULL.'),
        ('performance_metric_s', 'rows_returned', 'Rows returned or changed between the two samples.'),
        ('performance_metric_s', 'shared_blks_hit', 'Blocks found in shared buffers.'),
        ('performance_metric_s', 'shared_blks_read', 'Blocks read from outside shared buffers.'),
        ('performance_metric_s', 'shared_blks_dirtied', 'Blocks that it changed first.'),
        ('performance_metric_s', 'temp_blks_read', 'Blocks read from temporary files.'),
        ('performance_metric_s', 'temp_blks_written', 'Blocks written to temporary files: sorts and hashes that did not fit work_mem.'),
        ('performance_metric_s', 'measurement_period_start', 'The sample before, or when the counters began.'),
        ('performance_metric_s', 'measurement_period_end', 'When this sample was taken, by the clock of the target; the partitions'' column.'),
        ('performance_metric_s', 'performance_rating', 'EXCELLENT, GOOD, POOR, CRITICAL by mean_time_ms, see monitoring.rate_performance().'),
        ('performance_metric_s', 'optimization_suggestions', 'What the figures hint at, in sentences; empty: nothing.'),
        ('performance_metric_s', 'pct_of_total', 'Share of the execution time of all statements of the period, in percent.'),
        ('performance_metric_s', 'wal_bytes', 'WAL that it wrote, in bytes.'),
        ('performance_metric_s', 'blk_io_time_ms', 'Time in reading and writing blocks, in milliseconds; 0 where track_io_timing is off.'),
        ('performance_metric_s', 'is_reset', 'The counters began anew within the period: the figures are since then.'),
        ('performance_metric_s', 'rank_total', 'Its place among all statements of the period by total_time_ms, from 1.'),
        ('performance_metric_s', 'rank_mean', 'Its place by mean_time_ms.'),
        ('performance_metric_s', 'rank_io', 'Its place by blocks read and temporary blocks; NULL: it had none.'),
        ('performance_metric_s', 'rank_calls', 'Its place by calls.'),
        ('performance_metric_s', 'plan_time_ms', 'Time in planning it, in milliseconds; NULL: nothing was planned, or pg_stat_statements.track_planning is off.'),
        ('performance_metric_s', 'jit_time_ms', 'Time in compiling it, in milliseconds; NULL: the server does not tell, PostgreSQL 14 for one.'),
        ('performance_metric_s', 'suggestion_evidence', 'For each of optimization_suggestions, at the same place: {kind, source, and the numbers that speak for it}.'),

        ('performance_plan_s', 'plan', 'The generic plan under EXPLAIN''s own names, constants replaced by ?; NULL: see problem.'),
        ('performance_plan_s', 'problem', 'Why there is no plan.'),

        ('plan_asked', 'asked_at', 'By the clock of the vault.'),

        ('table_baseline', 'series', 'As in statement_series.'),
        ('table_baseline', 'dbid', 'The database of the target that the collector was connected to.'),
        ('table_baseline', 'relid', 'The table.'),
        ('table_baseline', 'seq_scan', 'Sequential scans of it since its statistics began.'),
        ('table_baseline', 'seq_tup_read', 'Rows that these read.'),

        ('performance_metric_hourly_s', 'query_hash', 'queryid of pg_stat_statements, as text.'),
        ('performance_metric_hourly_s', 'database_name', 'Database in which it ran.'),
        ('performance_metric_hourly_s', 'username', 'Role that ran it.'),
        ('performance_metric_hourly_s', 'sample_count', 'Samples of the hour in which it was among the top statements.'),
        ('performance_metric_hourly_s', 'total_time_ms', 'Execution time in milliseconds, the sum over the samples.'),
        ('performance_metric_hourly_s', 'calls', 'Executions, the sum over the samples.'),
        ('performance_metric_hourly_s', 'rows_examined', 'Not told by PostgreSQL: NULL.'),
        ('performance_metric_hourly_s', 'rows_returned', 'Rows returned or changed.'),
        ('performance_metric_hourly_s', 'shared_blks_hit', 'Blocks found in shared buffers.'),
        ('performance_metric_hourly_s', 'shared_blks_read', 'Blocks read from outside shared buffers.'),
        ('performance_metric_hourly_s', 'shared_blks_dirtied', 'Blocks that it changed first.'),
        ('performance_metric_hourly_s', 'temp_blks_read', 'Blocks read from temporary files.'),
        ('performance_metric_hourly_s', 'temp_blks_written', 'Blocks written to temporary files.'),
        ('performance_metric_hourly_s', 'wal_bytes', 'WAL that it wrote, in bytes.'),
        ('performance_metric_hourly_s', 'blk_io_time_ms', 'Time in reading and writing blocks, in milliseconds.'),
        ('performance_metric_hourly_s', 'first_period_start', 'Where the first sample''s period begins.'),
        ('performance_metric_hourly_s', 'last_period_end', 'When the last sample of the hour was taken.'),

        ('performance_statement_s', 'query_text', 'The whole statement, constants replaced by $n and secrets taken out.'),

        ('capacity_metric_s', 'resource_type', 'What can fill up: DISK, TABLESPACE, DATABASE, TABLE, INDEX, WAL, TEMP or SEQUENCE (whose columns of bytes count values).'),
        ('capacity_metric_s', 'resource_name', 'Which one: a path, a database, schema.table.'),
        ('capacity_metric_s', 'current_size_bytes', 'Bytes in use; of a SEQUENCE the values that were given out.'),
        ('capacity_metric_s', 'available_space_bytes', 'Bytes that are left, of a SEQUENCE values; NULL: it has no limit of its own, or nobody could measure it.'),
        ('capacity_metric_s', 'utilization_percentage', 'Percent in use; NULL where available_space_bytes is.'),
        ('capacity_metric_s', 'growth_rate_per_day', 'Bytes per day by the trend, of a SEQUENCE values; NULL: not enough days of data.'),
        ('capacity_metric_s', 'projected_full_date', 'The day on which it would be full by the trend; NULL: not known, or beyond what can be told.'),
        ('capacity_metric_s', 'capacity_warning_threshold', 'Percent in use from which it needs looking at.'),
        ('capacity_metric_s', 'capacity_critical_threshold', 'Percent in use from which it needs acting upon.'),
        ('capacity_metric_s', 'measurement_timestamp', 'When it was measured; the partitions'' column.'),
        ('capacity_metric_s', 'trend_direction', 'Which way it goes: growing, shrinking, stable; NULL: not known.'),
        ('capacity_metric_s', 'forecast_method', 'How trend and date were computed: THEIL_SEN (median slope of the daily medians of 60 days), THEIL_SEN_RESET (the same, one sudden fall left out), MEASURED (nothing is left: it is full now); NULL: they were not.'),
        ('capacity_metric_s', 'forecast_low_date', 'The earliest day of the 95 % interval.'),
        ('capacity_metric_s', 'forecast_high_date', 'The latest day of the 95 % interval; NULL: perhaps never.'),

        ('capacity_metric_hourly_s', 'resource_type', 'As in capacity_metric_s.'),
        ('capacity_metric_hourly_s', 'resource_name', 'As in capacity_metric_s.'),
        ('capacity_metric_hourly_s', 'sample_count', 'Samples in the hour that were not retracted.'),
        ('capacity_metric_hourly_s', 'last_size_bytes', 'Bytes in use at the last sample.'),
        ('capacity_metric_hourly_s', 'max_size_bytes', 'Bytes in use at worst.'),
        ('capacity_metric_hourly_s', 'last_available_bytes', 'Bytes left at the last sample.'),
        ('capacity_metric_hourly_s', 'last_utilization_percentage', 'Percent in use at the last sample.'),
        ('capacity_metric_hourly_s', 'max_utilization_percentage', 'Percent in use at worst.'),
        ('capacity_metric_hourly_s', 'last_sample_at', 'When the last sample of the hour was taken.'),

        ('alert_definition_s', 'alert_name', 'What people read and hear of it.'),
        ('alert_definition_s', 'alert_description', 'What it means when it fires, in a sentence.'),
        ('alert_definition_s', 'alert_category', 'PERFORMANCE, SECURITY, BACKUP, CAPACITY or COMPLIANCE; channels filter by it.'),
        ('alert_definition_s', 'alert_severity', 'LOW, MEDIUM, HIGH or CRITICAL; channels filter by it.'),
        ('alert_definition_s', 'condition_logic', 'When it fires: comparisons over the identifiers of metric_source (condition_identifier), windows of history such as avg(x, 15m), and threshold_value.'),
        ('alert_definition_s', 'metric_source', 'Where the condition''s values come from: see condition_identifier.'),
        ('alert_definition_s', 'threshold_value', 'What the condition calls threshold_value.'),
        ('alert_definition_s', 'threshold_operator', 'For the message ("412 s > 120"); the condition alone decides.'),
        ('alert_definition_s', 'evaluation_frequency_minutes', 'Minutes between two evaluations.'),
        ('alert_definition_s', 'is_enabled', 'Whether it is evaluated.'),
        ('alert_definition_s', 'auto_resolve', 'Whether its alerts end by themselves when the condition has cleared.'),
        ('alert_definition_s', 'escalation_enabled', 'Whether an alert that nobody answers escalates.'),
        ('alert_definition_s', 'escalation_delay_minutes', 'Minutes until the first escalation, and between two.'),
        ('alert_definition_s', 'suppression_window_minutes', 'For so many minutes after people were called, firing again is recorded as SUPPRESSED and calls nobody.'),
        ('alert_definition_s', 'clear_minutes', 'How long the clear condition must hold before the alert counts as cleared.'),
        ('alert_definition_s', 'no_data_minutes', 'With no_data_state ALERT: how long inputs must be missing before it fires.'),
        ('alert_definition_s', 'lookback_minutes', 'How old a measurement may be to count as present.'),
        ('alert_definition_s', 'runbook_url', 'Where the runbook stands; a link in every message.'),
        ('alert_definition_s', 'created_by', 'Role that wrote this version.'),
        ('alert_definition_s', 'last_modified_by', 'Role that wrote this version.'),

        ('alert_evaluation_s', 'evaluated_at', 'When it was looked at; the partitions'' column.'),
        ('alert_evaluation_s', 'definition_load_date', 'Which version of the definition was applied: its load_date.'),
        ('alert_evaluation_s', 'result', 'TRUE, FALSE, NO_DATA (inputs are missing) or ERROR. Only FALSE clears.'),
        ('alert_evaluation_s', 'evaluated_value', 'The value of the first metric that the condition names; NULL: it had none.'),
        ('alert_evaluation_s', 'inputs', 'The values that the conditions name, as they were: {identifier: value}. monitoring.evaluate_condition() with these gives result again.'),
        ('alert_evaluation_s', 'reason', 'Why NO_DATA or ERROR.'),
        ('alert_evaluation_s', 'duration_us', 'Microseconds that the evaluation took.'),

        ('alert_instance_s', 'alert_status', 'OPEN, ACKNOWLEDGED, ESCALATED, RESOLVED or SUPPRESSED; which change is legal says monitoring.alert_transition_allowed().'),
        ('alert_instance_s', 'triggered_timestamp', 'When the condition fired.'),
        ('alert_instance_s', 'acknowledged_timestamp', 'When somebody took it; NULL: nobody did.'),
        ('alert_instance_s', 'acknowledged_by', 'Who took it, as he called himself; changed_via says how he was known.'),
        ('alert_instance_s', 'acknowledgment_notes', 'What he said.'),
        ('alert_instance_s', 'resolved_timestamp', 'When it ended; NULL: it has not.'),
        ('alert_instance_s', 'resolved_by', 'Who ended it; "condition cleared": the evaluator.'),
        ('alert_instance_s', 'resolution_notes', 'What was said at the end.'),
        ('alert_instance_s', 'trigger_value', 'The value that fired it: of the first metric that the condition names.'),
        ('alert_instance_s', 'trigger_details', 'condition, inputs, result, reason, definition_load_date: what was evaluated, of which version.'),
        ('alert_instance_s', 'acknowledged_until', 'The acknowledgement ends by itself then, and the alert is OPEN again; NULL: it holds until the end.'),
        ('alert_instance_s', 'snoozed_until', 'Nobody is paged before then; NULL: not snoozed.'),
        ('alert_instance_s', 'changed_by', 'Who took it back, snoozed or escalated it, or called it a false positive after its end; NULL: acknowledged_by or resolved_by says it.'),
        ('alert_instance_s', 'change_notes', 'What changed_by said.'),
        ('alert_instance_s', 'impact_assessment', 'For people; OneVault writes nothing here.'),
        ('alert_instance_s', 'urgency_level', 'The definition''s severity when it fired: LOW, MEDIUM, HIGH or CRITICAL.'),
        ('alert_instance_s', 'affected_systems', 'Names of the targets.'),
        ('alert_instance_s', 'estimated_affected_users', 'For people; OneVault writes nothing here.'),
        ('alert_instance_s', 'business_impact_description', 'For people; OneVault writes nothing here.'),
        ('alert_instance_s', 'false_positive', 'Somebody judged that it should not have fired; the daily report counts these.'),
        ('alert_instance_s', 'suppression_reason', 'Why SUPPRESSED: since when the window runs.'),
        ('alert_instance_s', 'escalation_level', 'How often it escalated; 0: never.'),
        ('alert_instance_s', 'last_notification_sent', 'When the last message that arrived was sent.'),
        ('alert_instance_s', 'notification_count', 'How many messages arrived.'),

        ('notification_config_s', 'channel_name', 'What people call the channel.'),
        ('notification_config_s', 'channel_type', 'EMAIL, SLACK, WEBHOOK, SMS, VOICE or PAGERDUTY.'),
        ('notification_config_s', 'configuration', 'How to reach it, by type; see docs/runbook.md. Secrets are named, not held: smtp_password_env, webhook_url_env. "one_message_per_alert": true asks for a message about each alert, also where many fire together: see docs/storms.md. Readers do not see this column.'),
        ('notification_config_s', 'recipient_groups', 'Groups of contacts that are told besides the recipients of its configuration; see docs/contacts.md. A group that there is not yet is no error.'),
        ('notification_config_s', 'severity_filter', 'Severities that it hears; NULL: all.'),
        ('notification_config_s', 'category_filter', 'Categories that it hears; NULL: all.'),
        ('notification_config_s', 'time_restrictions', 'When it is told: {timezone, windows: [{days, from, to}], outside: hold or skip, applies_to_critical}; NULL: at any hour. See docs/contacts.md.'),
        ('notification_config_s', 'is_enabled', 'Whether it is told anything.'),
        ('notification_config_s', 'rate_limit_per_hour', 'How many messages one recipient gets within any hour; what is over it comes in one digest, and CRITICAL at once. NULL or 0: no limit. See docs/limits.md.'),
        ('notification_config_s', 'delivery_confirmation_required', 'Without a receipt within confirmation_timeout_minutes the message goes to the next place; see docs/contacts.md.'),
        ('notification_config_s', 'retry_attempts', 'How often a message that did not get through is tried again.'),
        ('notification_config_s', 'retry_delay_seconds', 'Seconds before the first repetition.'),
        ('notification_config_s', 'created_by', 'Role that wrote this version.'),

        ('notification_log_s', 'event', 'What it told: FIRED, ESCALATED:<level>, RESOLVED, REQUESTED:<n>, ACKNOWLEDGED (to channels that show an alert in one place). Of an alert that fired again, for the nth time: REOPENED:<n>, FLAPPING or FLAPPING:<n>, RESOLVED:<n>, ACKNOWLEDGED:<n>, REQUESTED:<n>:<request>.'),
        ('notification_log_s', 'sent_timestamp', 'When the attempt began.'),
        ('notification_log_s', 'delivery_status', 'PENDING (begun), DIGESTED (over the limit: a digest will tell of it), DELIVERED, FAILED, BOUNCED, SENT or SUPPRESSED.'),
        ('notification_log_s', 'channel_used', 'Type of the channel: EMAIL, SLACK, ...'),
        ('notification_log_s', 'recipient_address', 'Whom it was sent to: an address, a Slack channel, the host of a webhook.'),
        ('notification_log_s', 'message_content', 'What was said, without secrets.'),
        ('notification_log_s', 'delivery_confirmation_received', 'The recipient''s side confirmed it later.'),
        ('notification_log_s', 'delivery_confirmation_timestamp', 'When it did.'),
        ('notification_log_s', 'failure_reason', 'Why it failed, in the channel''s words.'),
        ('notification_log_s', 'retry_count', 'Which attempt: 0 is the first.'),
        ('notification_log_s', 'delivery_duration_ms', 'Milliseconds of the attempt.'),
        ('notification_log_s', 'external_message_id', 'The provider''s id of the message.'),

        ('security_event_s', 'event_type', 'What happened, such as FAILED_LOGIN_ATTEMPTS or the name of the check that found it.'),
        ('security_event_s', 'event_severity', 'LOW, MEDIUM, HIGH or CRITICAL.'),
        ('security_event_s', 'event_timestamp', 'When it happened, or was first seen.'),
        ('security_event_s', 'source_ip', 'Where it came from, where that is known.'),
        ('security_event_s', 'user_agent', 'Program that did it, where that is known.'),
        ('security_event_s', 'username', 'Role or user that did it, or that it was done to.'),
        ('security_event_s', 'database_name', 'Database in which it happened; NULL: the whole server.'),
        ('security_event_s', 'affected_tables', 'Tables that it concerns.'),
        ('security_event_s', 'event_details', 'What was found, by event type.'),
        ('security_event_s', 'detection_method', 'Which check found it.'),
        ('security_event_s', 'false_positive_likelihood', 'Percent, an estimate of the check.'),
        ('security_event_s', 'investigation_status', 'OPEN, INVESTIGATING, RESOLVED or FALSE_POSITIVE; set by people, as a new version.'),
        ('security_event_s', 'incident_response_triggered', 'Whether an incident was made of it.'),
        ('security_event_s', 'mitigation_actions', 'What was done about it; by people.'),
        ('security_event_s', 'investigation_notes', 'What was found out; by people.'),

        ('compliance_check_s', 'compliance_framework', 'HIPAA, GDPR, SOX, PCI DSS, SOC 2, ...'),
        ('compliance_check_s', 'check_name', 'The control, with its clause.'),
        ('compliance_check_s', 'check_description', 'What it asks for.'),
        ('compliance_check_s', 'check_category', 'What it is about: access, encryption, audit, backup, ...'),
        ('compliance_check_s', 'check_frequency', 'How often it is run.'),
        ('compliance_check_s', 'last_check_timestamp', 'When this result was found.'),
        ('compliance_check_s', 'check_status', 'COMPLIANT, NON_COMPLIANT, PARTIALLY_COMPLIANT, or NOT_TESTED: nobody could tell, which is never COMPLIANT.'),
        ('compliance_check_s', 'compliance_score', 'Percent; NULL: not tested.'),
        ('compliance_check_s', 'finding_details', 'The evidence.'),
        ('compliance_check_s', 'remediation_required', 'Whether something must be done.'),
        ('compliance_check_s', 'remediation_priority', 'LOW, MEDIUM, HIGH or CRITICAL.'),
        ('compliance_check_s', 'remediation_deadline', 'By when.'),
        ('compliance_check_s', 'responsible_party', 'Who sees to it.'),
        ('compliance_check_s', 'evidence_location', 'Where more evidence stands.'),
        ('compliance_check_s', 'audit_trail_reference', 'The auditor''s own reference.'),

        ('monitor_config_s', 'config_name', 'What is set: of a RETENTION setting the name of the table.'),
        ('monitor_config_s', 'config_type', 'Which kind of setting: RETENTION, ...'),
        ('monitor_config_s', 'config_category', 'For people, to find their way.'),
        ('monitor_config_s', 'config_value', 'The setting; of RETENTION {"keep": "35 days", "archive": true}.'),
        ('monitor_config_s', 'config_description', 'Why it is so.'),
        ('monitor_config_s', 'is_enabled', 'Whether it applies; of RETENTION false means: kept for ever.'),
        ('monitor_config_s', 'priority_level', 'For people; OneVault does not act on it.'),
        ('monitor_config_s', 'update_frequency_seconds', 'For people; OneVault does not act on it.'),
        ('monitor_config_s', 'last_updated_by', 'Role that wrote this version.'),
        ('monitor_config_s', 'validation_rules', 'For people; OneVault checks the settings that it knows by itself.'),
        ('monitor_config_s', 'environment_scope', 'For people; OneVault does not act on it.'),

        ('incident_s', 'incident_title', 'What it is called.'),
        ('incident_s', 'incident_description', 'What is known of it.'),
        ('incident_s', 'incident_status', 'OPEN, INVESTIGATING, RESOLVED or CLOSED; which change is legal says monitoring.incident_transition_allowed().'),
        ('incident_s', 'incident_severity', 'LOW, MEDIUM, HIGH or CRITICAL: the worst of its alerts.'),
        ('incident_s', 'incident_priority', 'P1 to P4, from the severity.'),
        ('incident_s', 'created_timestamp', 'When it was made; both limits count from here.'),
        ('incident_s', 'created_by', 'Who made it.'),
        ('incident_s', 'first_response_timestamp', 'When somebody first responded; NULL: nobody has.'),
        ('incident_s', 'resolved_timestamp', 'When it was resolved; NULL: it is not.'),
        ('incident_s', 'closed_timestamp', 'When it was closed; NULL: it is not.'),
        ('incident_s', 'closed_by', 'Who closed it.'),
        ('incident_s', 'assigned_to', 'Who works on it.'),
        ('incident_s', 'affected_services', 'Names of the targets of its alerts.'),
        ('incident_s', 'customer_impact_level', 'For people; OneVault writes nothing here.'),
        ('incident_s', 'estimated_affected_customers', 'For people; OneVault writes nothing here.'),
        ('incident_s', 'root_cause_analysis', 'Why it came to this; given when it is closed.'),
        ('incident_s', 'resolution_summary', 'What ended it.'),
        ('incident_s', 'lessons_learned', 'For people.'),
        ('incident_s', 'follow_up_actions', 'For people.'),
        ('incident_s', 'response_time_minutes', 'Whole minutes from creation to the first response; computed by the database.'),
        ('incident_s', 'resolution_time_minutes', 'Whole minutes from creation to resolution; computed by the database.'),
        ('incident_s', 'changed_by', 'Who made this change.'),

        ('incident_note_s', 'author', 'Who wrote it.'),
        ('incident_note_s', 'note_text', 'What he wrote.'),

        ('alert_incident_eff_s', 'effective_from', 'Since when the alert belonged to the incident.'),
        ('alert_incident_eff_s', 'effective_to', 'Until when; NULL: it still does.'),
        ('alert_incident_eff_s', 'reason', 'Why it was linked, or taken away.'),

        ('archive_s', 'archive_status', 'WRITTEN, VERIFIED, DROPPED, RESTORED or WAIVED; see the table.'),
        ('archive_s', 'table_name', 'The table whose rows it holds.'),
        ('archive_s', 'range_to', 'See range_from; excluded.'),
        ('archive_s', 'row_count', 'Rows in the archive.'),
        ('archive_s', 'file_name', 'The file, below the archive directory.'),
        ('archive_s', 'file_bytes', 'Bytes of the file, compressed.'),
        ('archive_s', 'csv_bytes', 'Bytes before compression.'),
        ('archive_s', 'csv_sha256', 'SHA-256 in hex of the CSV before compression.'),
        ('archive_s', 'changed_at', 'When this state was reached.'),
        ('archive_s', 'changed_by', 'Role that did it.'),
        ('queue_table', 'table_name', 'Table in schema monitoring.'),
        ('queue_table', 'keep', 'How long a done row is kept where no setting says otherwise.'),

        ('condition_identifier', 'metric_source', 'What an alert definition names as metric_source.'),
        ('condition_identifier', 'identifier', 'The name that a condition may use.'),
        ('condition_identifier', 'description', 'What it measures.'),
        ('condition_identifier', 'unit', 'Its unit, where it has one that is not in the name.'),

        ('outbox', 'outbox_id', 'Order in which the rows are relayed.'),
        ('outbox', 'created_at', 'When it was put.'),
        ('outbox', 'payload', 'at, actor, via, notes, value: what the fact itself says.'),
        ('outbox', 'relayed_at', 'When its workflow had heard of it; NULL: not yet.'),
        ('outbox', 'outcome', 'What became of it there.'),

        ('statement_baseline', 'series', 'See statement_series.'),
        ('statement_baseline', 'userid', 'Role that runs the statement.'),
        ('statement_baseline', 'dbid', 'Database in which it runs.'),
        ('statement_baseline', 'queryid', 'Which statement, by pg_stat_statements.'),
        ('statement_baseline', 'toplevel', 'Whether it ran by itself, and not within a function.'),
        ('statement_baseline', 'calls', 'Counter of executions.'),
        ('statement_baseline', 'total_exec_time', 'Counter of execution time, in milliseconds.'),
        ('statement_baseline', 'rows', 'Counter of rows.'),
        ('statement_baseline', 'shared_blks_hit', 'Counter of blocks found in shared buffers.'),
        ('statement_baseline', 'shared_blks_read', 'Counter of blocks read from outside them.'),
        ('statement_baseline', 'shared_blks_dirtied', 'Counter of blocks changed first.'),
        ('statement_baseline', 'temp_blks_read', 'Counter of blocks read from temporary files.'),
        ('statement_baseline', 'temp_blks_written', 'Counter of blocks written to temporary files.'),
        ('statement_baseline', 'wal_bytes', 'Counter of bytes of WAL.'),
        ('statement_baseline', 'blk_io_time', 'Counter of time in reading and writing blocks, in milliseconds.'),
        ('statement_baseline', 'plans', 'Counter of plannings; 0 where pg_stat_statements.track_planning is off.'),
        ('statement_baseline', 'total_plan_time', 'Counter of time in planning, in milliseconds.'),
        ('statement_baseline', 'jit_time', 'Counter of time in just-in-time compilation, in milliseconds; NULL: the server does not tell.'),
        ('statement_baseline', 'stats_since', 'When the counters of this entry began; NULL: the server does not tell, before PostgreSQL 17.'),

        ('security_check', 'check_name', 'The function monitoring.security_<check_name>(); server_log is read by the worker.'),
        ('security_login', 'target_name', 'The server that was asked.'),
        ('open_security_events', 'short_id', 'What people type for it: S-7F3K.'),
        ('open_security_events', 'security_event_hk', 'Its hash key.'),
        ('security_log_position', 'target_name', 'Whose log it is.'),
        ('security_check', 'description', 'What it looks for.'),
        ('security_seen', 'check_name', 'See security_check.'),
        ('security_seen', 'object', 'What was found: a role, a setting, a counter.'),
        ('security_seen', 'first_seen', 'When it was first found.'),
        ('security_detection', 'detection_id', 'Order of the runs.'),
        ('security_detection', 'detected_at', 'When it was looked for.'),
        ('security_detection', 'new_events', 'How many of the findings were new.'),
        ('security_detection', 'duration_ms', 'Milliseconds that the run took.'),

        ('installed_function', 'function_signature', 'Name and types of arguments, as regprocedure prints them.'),
        ('installed_function', 'source_sha256', 'SHA-256 of the body that the migrations put.'),
        ('installed_function', 'script_name', 'The script that put it.'),
        ('installed_function', 'put_at', 'When it was put last.'),

        ('report_s', 'report_state', 'GENERATED.'),
        ('report_s', 'period_start', 'Where the period begins, included.'),
        ('report_s', 'time_zone', 'The zone in which the day begins and times are told.'),
        ('report_delivery_s', 'delivery_status', 'PENDING (begun), DELIVERED or FAILED.'),
        ('report_delivery_s', 'recipient_address', 'Whom it was mailed to.'),
        ('report_delivery_s', 'attempted_at', 'When the attempt began.'),
        ('report_delivery_s', 'failure_reason', 'Why it failed, in the channel''s words.'),
        ('report_delivery_s', 'delivery_proof', 'Why DELIVERED: "SMTP 250 ...".'),
        ('report_delivery_s', 'external_message_id', 'The id that the mail carried.'),

        ('reader_tenant', NULL, 'Which tenants a reader sees: a row of his login role, or of a role that he is a member of. Written by the owner of the vault; takes effect at the reader''s next statement.'),
        ('reader_tenant', 'role_name', 'A role of this server; by name, so it follows no renaming.'),
        ('reader_tenant', 'tenant_hk', 'The tenant whose rows its members may read, in auth.tenant_h.'),
        ('reader_tenant', 'granted_at', 'When it was given.'),
        ('reader_tenant', 'granted_by', 'Role that gave it.'),

        ('system_dashboard', 'dashboard_section', 'System Health, Performance or Security.'),
        ('system_dashboard', 'age_seconds', 'Seconds since it was measured.'),
        ('system_dashboard', 'metric_name', 'What was measured, such as connection_usage_pct.'),
        ('system_dashboard', 'metric_value', 'The newest value, in metric_unit; NULL: it could not be measured, or nobody looked.'),
        ('system_dashboard', 'metric_unit', 'Unit of value and thresholds.'),
        ('system_dashboard', 'status', 'NORMAL, WARNING, CRITICAL by the thresholds; UNKNOWN: no value.'),
        ('system_dashboard', 'threshold_warning', 'From here on status is WARNING; NULL: never.'),
        ('system_dashboard', 'threshold_critical', 'From here on status is CRITICAL; NULL: never.'),
        ('system_dashboard', 'measurement_timestamp', 'When it was measured.'),
        ('active_alerts_dashboard', 'age_minutes', 'Minutes since it fired.'),
        ('active_alerts_dashboard', 'alert_health', 'OVERDUE: unanswered for an hour. STALE: taken, and open for 4 hours since. NORMAL otherwise.'),
        ('active_alerts_dashboard', 'short_id', 'What people type: A-7F3K.'),
        ('active_alerts_dashboard', 'label_set', 'Which label set of the target it is about, such as slot=archive; NULL: about the target.'),
        ('alert_current', 'policy', 'The escalation policy that stood when it fired, as its workflow carries it; NULL: everybody again after each escalation_delay_minutes.'),
        ('alert_current', 'acknowledged_until', 'The acknowledgement ends by itself then; NULL: it does not.'),
        ('alert_current', 'snoozed_until', 'Nobody is paged before then; NULL: not snoozed.'),
        ('alert_current', 'false_positive', 'Somebody judged that it should not have fired.'),
        ('alert_current', 'short_id', 'What people type: A-7F3K.'),
        ('alert_current', 'tenant', 'Hash key of the tenant in hex; NULL: none.'),
        ('alert_current', 'metric_unit', 'Unit of trigger_value, where a health metric fired it.'),
        ('alert_current', 'definition_load_date', 'The version of the definition that it fired under: its load_date.'),
        ('alert_current', 'workflow_id', 'The Temporal workflow that carries it.'),
        ('incident_summary_dashboard', 'age_minutes', 'Minutes since it was made.'),
        ('incident_summary_dashboard', 'linked_alerts_count', 'Alerts that belong to it now.'),
        ('incident_summary_dashboard', 'sla_status', 'OVERDUE_RESPONSE: OPEN for over 30 minutes. OVERDUE_RESOLUTION: INVESTIGATING, over 4 hours after it was made. ON_TRACK otherwise.'),
        ('incident_summary_dashboard', 'short_id', 'What people type: I-7F3K.'),
        ('incident_current', 'short_id', 'What people type: I-7F3K.'),
        ('incident_current', 'workflow_id', 'The Temporal workflow that carries it.'),
        ('incident_current', 'tenant', 'Hash key of the tenant in hex; NULL: none.'),
        ('incident_current', 'alerts', 'How many alerts belong to it now.'),
        ('incident_current', 'active_alerts', 'How many of them are not resolved.'),
        ('incident_current', 'last_alert_resolved_at', 'When the last of its alerts that is resolved was.'),
        ('incident_current', 'alert_acknowledged_at', 'When one of its alerts was first acknowledged while it belonged to it.'),
        ('incident_current', 'alert_acknowledged_by', 'Who did.'),
        ('incident_current', 'acknowledged_alert', 'Short id of that alert.')
    ) AS said (relation, column_name, text)
    LOOP
        IF to_regclass('monitoring.' || v_said.relation) IS NULL THEN
            CONTINUE;  -- of a migration that is not applied here
        END IF;
        IF v_said.column_name IS NULL THEN
            EXECUTE format('COMMENT ON TABLE monitoring.%I IS %L', v_said.relation, v_said.text);
        ELSE
            EXECUTE format('COMMENT ON COLUMN monitoring.%I.%I IS %L', v_said.relation, v_said.column_name, v_said.text);
        END IF;
    END LOOP;
END
$do$;

-- ---------------------------------------------------------------- what a view shows as it stands

DO $do$
DECLARE
    v_column record;
BEGIN
    -- A column of a view says what the column of the same name in the table that it reads says.
    FOR v_column IN
        SELECT DISTINCT ON (v.relname, a.attname) v.relname, a.attname, col_description(d.refobjid, d.refobjsubid) AS text
          FROM pg_class v
          JOIN pg_attribute a ON a.attrelid = v.oid AND a.attnum > 0 AND NOT a.attisdropped
          JOIN pg_rewrite r ON r.ev_class = v.oid
          JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
          JOIN pg_class t ON t.oid = d.refobjid AND t.relkind IN ('r', 'p')
          JOIN pg_attribute ta ON ta.attrelid = t.oid AND ta.attnum = d.refobjsubid AND ta.attname = a.attname
         WHERE v.relnamespace = 'monitoring'::regnamespace AND v.relkind = 'v'
           AND (col_description(v.oid, a.attnum) IS NULL OR a.attname LIKE '%\_hk' OR a.attname LIKE '%\_bk')
           AND col_description(d.refobjid, d.refobjsubid) IS NOT NULL
         -- Of a key that several tables have, its hub's.
         ORDER BY v.relname, a.attname, t.relname LIKE '%\_h' DESC, t.relname
    LOOP
        EXECUTE format('COMMENT ON COLUMN monitoring.%I.%I IS %L', v_column.relname, v_column.attname, v_column.text);
    END LOOP;
END
$do$;
