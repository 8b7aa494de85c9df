-- The definitions that a new vault begins with. A definition that exists is left as its owner made it.

WITH defaults (definition_key, alert_name, alert_description, alert_category, alert_severity, metric_source, condition_logic,
               clear_condition_logic, threshold_value, threshold_operator, evaluation_frequency_minutes, suppression_window_minutes,
               auto_resolve, escalation_enabled, escalation_delay_minutes, no_data_state) AS (
    VALUES
        ('SYSTEM_HIGH_CONNECTION_COUNT', 'High Connection Count', 'Client sessions take most of the slots that ordinary clients can have; soon new ones are refused',
         'PERFORMANCE', 'HIGH', 'system_health', 'connection_usage_pct > threshold_value', 'connection_usage_pct < threshold_value - 10', 75, '>', 5, 60, true, true, 15, 'NO_DATA'),
        ('PG_CONNECTIONS_CRITICAL', 'Connections Nearly Exhausted', 'Over 90 % of the slots are taken',
         'PERFORMANCE', 'CRITICAL', 'system_health', 'connection_usage_pct > threshold_value', 'connection_usage_pct < 85', 90, '>', 1, 30, true, true, 10, 'NO_DATA'),
        ('SYSTEM_DATABASE_SIZE_WARNING', 'Database Size Warning', 'The database approaches its planned size',
         'CAPACITY', 'MEDIUM', 'system_health', 'database_size_gb > threshold_value', 'database_size_gb < threshold_value * 0.95', 50, '>', 60, 1440, true, false, 60, 'NO_DATA'),
        ('BACKUP_FAILURE_ALERT', 'Backup Failure Alert', 'A backup of the last 24 hours failed',
         'BACKUP', 'CRITICAL', 'backup_failures', 'failed_backup_count > threshold_value', NULL, 0, '>', 15, 60, false, true, 30, 'OK'),
        ('TARGET_UNREACHABLE', 'Target Unreachable', 'The collector cannot measure the target: nothing else about it is known',
         'PERFORMANCE', 'CRITICAL', 'system_health', 'target_reachable < 1', NULL, NULL, '<', 1, 0, true, true, 15, 'NO_DATA'),
        ('PG_COLLECTION_STALLED', 'Monitoring Data Missing', 'No health sample arrived: the collector does not run',
         'PERFORMANCE', 'CRITICAL', 'system_health', 'target_reachable < 0', NULL, NULL, '<', 5, 60, true, true, 30, 'ALERT'),
        ('VAULT_UNREACHABLE', 'Vault Unreachable', 'The worker cannot use the vault: nothing is evaluated until it can',
         'PERFORMANCE', 'CRITICAL', 'worker', 'vault_unreachable == 1', NULL, NULL, '=', 1, 0, true, true, 15, 'NO_DATA'),
        ('PG_CHECKSUM_FAILURE', 'Data Checksum Failure', 'A data page failed its checksum: data may be lost',
         'PERFORMANCE', 'CRITICAL', 'system_health', 'checksum_failures > threshold_value', NULL, 0, '>', 5, 240, false, true, 15, 'NO_DATA'),
        ('PG_XID_WARNING', 'Wraparound 50 %', 'Half of the transaction ids before wraparound are used up',
         'PERFORMANCE', 'HIGH', 'system_health', 'xid_age_pct > threshold_value || mxid_age_pct > threshold_value', 'xid_age_pct < 45 && mxid_age_pct < 45', 50, '>', 60, 720, true, true, 60, 'NO_DATA'),
        ('PG_XID_CRITICAL', 'Wraparound 75 %', 'Soon the server accepts no more writes',
         'PERFORMANCE', 'CRITICAL', 'system_health', 'xid_age_pct > threshold_value || mxid_age_pct > threshold_value', NULL, 75, '>', 15, 120, true, true, 15, 'NO_DATA'),
        ('PG_IDLE_IN_TRANSACTION', 'Idle In Transaction', 'A session has sat idle in a transaction for over 15 minutes and holds back vacuum and locks',
         'PERFORMANCE', 'MEDIUM', 'system_health', 'oldest_idle_in_transaction_s > threshold_value', NULL, 900, '>', 5, 60, true, false, 30, 'NO_DATA'),
        ('PG_LONG_TRANSACTION', 'Long Transaction', 'A transaction is older than an hour',
         'PERFORMANCE', 'MEDIUM', 'system_health', 'oldest_transaction_s > threshold_value', NULL, 3600, '>', 5, 120, true, false, 60, 'NO_DATA'),
        ('PG_BLOCKED_SESSIONS', 'Blocked Sessions', 'Sessions wait for locks of others',
         'PERFORMANCE', 'HIGH', 'system_health', 'blocked_backends >= threshold_value', 'blocked_backends == 0', 3, '>=', 1, 30, true, true, 15, 'NO_DATA'),
        ('PG_DEADLOCKS', 'Deadlocks', 'More than 5 deadlocks per hour',
         'PERFORMANCE', 'MEDIUM', 'system_health', 'deadlocks_per_h > threshold_value', NULL, 5, '>', 5, 60, true, false, 60, 'NO_DATA'),
        ('PG_ARCHIVER_FAILING', 'WAL Archiving Failing', 'The newest attempt to archive WAL failed: point-in-time recovery ends there',
         'BACKUP', 'CRITICAL', 'system_health', 'archive_failing >= 1', NULL, NULL, '>=', 5, 60, true, true, 15, 'OK'),
        ('PG_WAL_SIZE', 'WAL Directory Large', 'The WAL directory is over 4 GB',
         'CAPACITY', 'HIGH', 'system_health', 'wal_size_gb > threshold_value', 'wal_size_gb < threshold_value * 0.75', 4, '>', 5, 120, true, false, 60, 'NO_DATA'),
        ('PG_SLOT_LOST', 'Replication Slot Losing WAL', 'A replication slot loses the WAL its consumer needs',
         'PERFORMANCE', 'CRITICAL', 'system_health', 'slots_losing_wal > threshold_value', NULL, 0, '>', 5, 60, true, true, 15, 'NO_DATA'),
        ('PG_REPLICATION_LAG', 'Replication Lag', 'A replica is more than 50 MB or 30 s behind',
         'PERFORMANCE', 'MEDIUM', 'system_health', 'replication_lag_bytes > 52428800 || replication_lag_s > threshold_value', 'replication_lag_bytes < 10485760 && replication_lag_s < 10', 30, '>', 1, 60, true, false, 60, 'NO_DATA'),
        ('DISK_WARNING', 'Disk Usage High', 'The data volume is over 80 % full',
         'CAPACITY', 'HIGH', 'system_health', 'disk_usage_pct > threshold_value', 'disk_usage_pct < threshold_value - 3', 80, '>', 5, 240, true, false, 60, 'NO_DATA'),
        ('DISK_CRITICAL', 'Disk Nearly Full', 'The data volume is over 95 % full: soon the server stops',
         'CAPACITY', 'CRITICAL', 'system_health', 'disk_usage_pct > threshold_value', NULL, 95, '>', 1, 60, true, true, 10, 'NO_DATA'),
        ('NOTIFICATION_DELIVERY_FAILING', 'Notifications Failing', 'Over 1 % of the last hour''s notifications failed',
         'PERFORMANCE', 'HIGH', 'notifications', 'notification_failed_pct > threshold_value || notification_pending_count > 10', NULL, 1, '>', 5, 60, true, false, 60, 'OK')
),
new_hubs AS (
    INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk, record_source)
    SELECT util.hash_binary(d.definition_key), d.definition_key, 'SETUP_SCRIPT' FROM defaults d
    ON CONFLICT DO NOTHING
    RETURNING alert_definition_bk
)
INSERT INTO monitoring.alert_definition_s (
    alert_definition_hk, hash_diff, alert_name, alert_description, alert_category, alert_severity, metric_source, condition_logic,
    clear_condition_logic, threshold_value, threshold_operator, evaluation_frequency_minutes, suppression_window_minutes,
    auto_resolve, escalation_enabled, escalation_delay_minutes, no_data_state, record_source)
SELECT util.hash_binary(d.definition_key), '\x', d.alert_name, d.alert_description, d.alert_category, d.alert_severity, d.metric_source,
       d.condition_logic, d.clear_condition_logic, d.threshold_value, d.threshold_operator, d.evaluation_frequency_minutes,
       d.suppression_window_minutes, d.auto_resolve, d.escalation_enabled, d.escalation_delay_minutes, d.no_data_state, 'SETUP_SCRIPT'
  FROM defaults d
 WHERE d.definition_key IN (SELECT alert_definition_bk FROM new_hubs);
