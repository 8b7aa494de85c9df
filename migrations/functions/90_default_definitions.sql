-- The definitions that a new vault begins with. One whose current version is still ours is brought up to
-- date; one that somebody changed stays as its owner made it, its runbook line too.
--
-- notification_channels stays NULL: naming types here would leave those unheard who have another one.
-- pending_minutes is 6 where two samples of a collection every 5 minutes shall agree, and 55 for two looks
-- an hour apart: the looks come up to a tenth early.

CREATE OR REPLACE FUNCTION monitoring.check_definition_text() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NEW.load_end_date IS NOT NULL THEN
        RETURN NEW;  -- a version that is history already, loaded from elsewhere: it was legal in its time
    END IF;
    IF length(NEW.runbook) > 500 OR NEW.runbook ~ E'[\n\r]' THEN
        RAISE EXCEPTION 'the runbook of alert definition "%" has % characters and % lines', NEW.alert_name, length(NEW.runbook),
            cardinality(regexp_split_to_array(NEW.runbook, E'\r\n|\n|\r'))
            USING ERRCODE = '22023', HINT = 'Write one line of at most 500 characters: what it means, what to look at, what to do. Longer texts belong behind runbook_url.';
    END IF;
    -- A version that was copied from one of ours and changed is not ours any more, whatever it says.
    IF NEW.record_source = 'SETUP_SCRIPT' AND coalesce(current_setting('onevault.puts_defaults', true), '') <> 'on'
       AND EXISTS (SELECT FROM monitoring.alert_definition_s s
                    WHERE s.alert_definition_hk = NEW.alert_definition_hk AND s.record_source = 'SETUP_SCRIPT')
       AND NOT EXISTS (SELECT FROM monitoring.alert_definition_s s
                        WHERE s.alert_definition_hk = NEW.alert_definition_hk AND s.record_source = 'SETUP_SCRIPT'
                          AND s.hash_diff = monitoring.hash_diff_of(to_jsonb(NEW), 'alert_definition_hk')) THEN
        NEW.record_source := 'ALERTING_SYSTEM';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_definition_text() IS
    'Trigger of alert_definition_s: refuses a runbook that is no line, and calls nobody else''s version a default.';
CREATE OR REPLACE TRIGGER t05_check_definition_text BEFORE INSERT ON monitoring.alert_definition_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_definition_text();

-- In a new vault the tables have no triggers yet; without them these rows would have no hash.
SELECT monitoring.enforce_discipline();
SELECT monitoring.put_anomaly_defaults();
SELECT set_config('onevault.puts_defaults', 'on', true);

WITH defaults (definition_key, alert_name, alert_description,
               alert_category, alert_severity, metric_source, condition_logic, clear_condition_logic, threshold_value, threshold_operator,
               evaluation_frequency_minutes, pending_minutes, clear_minutes, suppression_window_minutes, auto_resolve, escalates_after, no_data_state, no_data_minutes,
               runbook) AS (
    VALUES
        ('TARGET_UNREACHABLE', 'Target Unreachable', 'The collector cannot measure the target: nothing else about it is known',
         'PERFORMANCE', 'CRITICAL', 'system_health', 'target_reachable < 1', NULL, NULL, '<',
         1, 0, 0, 0, true, 15, 'NO_DATA', 15,
         'The server does not answer the collector, so every other alert about it is blind. Look: can anybody connect (psql, pg_isready)? Host, network, postmaster, its log, free slots. Do: start the server or repair the path to it; if others can connect, correct the address or the role of the collector.'),
        ('PG_COLLECTION_STALLED', 'Monitoring Data Missing', 'No health sample arrived: the collector does not run',
         'PERFORMANCE', 'CRITICAL', 'system_health', 'target_reachable < 0', NULL, NULL, '<',
         5, 0, 0, 60, true, 30, 'ALERT', 15,
         'No sample came for 15 minutes: nobody is watching, whatever the dashboards show. Look: `onevault doctor` and `onevault schedule list`; is a worker running, is the collect schedule paused? Do: start a worker or resume the schedule; afterwards look at what happened meanwhile.'),
        ('VAULT_UNREACHABLE', 'Vault Unreachable', 'The worker cannot use the vault: nothing is evaluated until it can',
         'PERFORMANCE', 'CRITICAL', 'worker', 'vault_unreachable == 1', NULL, NULL, '=',
         1, 0, 0, 0, true, 15, 'NO_DATA', 15,
         'The database that holds rules and history cannot be used, so no rule is looked at. Look: the reason in `onevault alert show`, then the vault''s server: does it run, is its disk full, does the password still hold? Do: bring it back; what happened meanwhile is recorded by itself, and pages go out without it.'),
        ('DEFINITION_ERROR', 'Alert Definition Broken', 'A definition errs whenever it is looked at: what it watches is watched by nobody',
         'PERFORMANCE', 'HIGH', 'evaluation', 'erring_definition_count > threshold_value', 'erring_now_count == 0', 0, '>',
         5, 0, 0, 60, true, 60, 'OK', 15,
         'An alert that people rely on cannot fire. Look: the reason names the definition, who wrote it and the error; `onevault alert explain --definition KEY` shows the values. Do: correct the condition (a division by zero, a text compared to a number) with `onevault definition apply`, or roll it back with `onevault definition rollback KEY`; repair the source where that cannot be read.'),
        ('PG_RESTARTED', 'PostgreSQL Restarted', 'The server was started anew between two samples',
         'PERFORMANCE', 'MEDIUM', 'system_health', 'uptime_s < threshold_value && uptime_lost_per_s > 0', NULL, 3600, '<',
         1, 0, 0, 0, true, NULL, 'NO_DATA', 15,
         'The server was restarted, or another one answers at its address; sessions and unfinished work were lost. Look: its log before the start (crash, OOM killer, failover, somebody''s restart), and the hosts'' changes. Do: if nobody did it on purpose, find the cause before it comes again; check that replicas and applications reconnected.'),
        ('PG_CHECKSUM_FAILURE', 'Data Checksum Failure', 'A data page failed its checksum: data may be lost',
         'PERFORMANCE', 'CRITICAL', 'system_health', 'checksum_failures > threshold_value', NULL, 0, '>',
         5, 0, 0, 240, false, 15, 'NO_DATA', 15,
         'A page on disk is not what was written: the storage loses data. Look: checksum_failures and checksum_last_failure of pg_stat_database, the server log, the kernel''s log, disk health. Do: keep all backups, fail over to a sound replica, restore the damaged relation; replace the storage, do not only rewrite the page.'),
        ('PG_INVALID_INDEX', 'Invalid Index', 'An index is not valid and nobody is building it',
         'PERFORMANCE', 'LOW', 'system_health', 'invalid_indexes > threshold_value', NULL, 0, '>',
         60, 55, 0, 1440, true, NULL, 'NO_DATA', 15,
         'An index is written to but never read, mostly left by a CREATE INDEX CONCURRENTLY that failed. Look: SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid. Do: DROP INDEX CONCURRENTLY it and build it again, or REINDEX INDEX CONCURRENTLY.'),
        ('PG_PENDING_RESTART', 'Settings Pending Restart', 'The configuration was changed and needs a restart to be true',
         'PERFORMANCE', 'LOW', 'system_health', 'pending_restart_settings > threshold_value', NULL, 0, '>',
         60, 55, 0, 1440, true, NULL, 'NO_DATA', 15,
         'The files say something else than the running server; the next restart, even an unplanned one, changes its behaviour. Look: SELECT name, setting FROM pg_settings WHERE pending_restart. Do: restart in a maintenance window, or take the change back and reload.'),
        ('SYSTEM_HIGH_CONNECTION_COUNT', 'High Connection Count', 'Client sessions take most of the slots that ordinary clients can have; soon new ones are refused',
         'PERFORMANCE', 'HIGH', 'system_health', 'connection_usage_pct > threshold_value', 'connection_usage_pct < threshold_value - 10', 75, '>',
         5, 0, 0, 60, true, 15, 'NO_DATA', 15,
         'Three quarters of the slots are taken; at 100 % clients are refused. Look: pg_stat_activity by usename, application_name and state: one leak, or many clients? Do: end idle sessions of the leak, lower its pool; lasting growth needs a pooler rather than a larger max_connections.'),
        ('PG_CONNECTIONS_CRITICAL', 'Connections Nearly Exhausted', 'Over 90 % of the slots are taken',
         'PERFORMANCE', 'CRITICAL', 'system_health', 'connection_usage_pct > threshold_value', 'connection_usage_pct < 85', 90, '>',
         1, 0, 5, 30, true, 10, 'NO_DATA', 15,
         'New clients are about to be refused; only reserved slots remain. Look: pg_stat_activity by application_name and state; is a lock or a slow statement piling sessions up (pg_blocking_pids)? Do: end the blocker or idle sessions with pg_terminate_backend, stop the client that leaks; superusers still get in.'),
        ('PG_XID_WARNING', 'Wraparound 50 %', 'Half of the transaction ids before wraparound are used up',
         'PERFORMANCE', 'HIGH', 'system_health', 'xid_age_pct > threshold_value || mxid_age_pct > threshold_value', 'xid_age_pct < threshold_value - 5 && mxid_age_pct < threshold_value - 5', 50, '>',
         60, 0, 0, 720, true, 60, 'NO_DATA', 15,
         'Freezing does not keep up; at 100 % the server takes no more writes. There are days to act. Look: age(datfrozenxid) per database, then age(relfrozenxid) per table; what holds it back: old transactions, slots, prepared transactions. Do: end what holds it back, then VACUUM (FREEZE) the oldest tables; raise autovacuum_max_workers and its cost limit.'),
        ('PG_XID_CRITICAL', 'Wraparound 75 %', 'Soon the server accepts no more writes',
         'PERFORMANCE', 'CRITICAL', 'system_health', 'xid_age_pct > threshold_value || mxid_age_pct > threshold_value', 'xid_age_pct < threshold_value - 5 && mxid_age_pct < threshold_value - 5', 75, '>',
         15, 0, 0, 120, true, 15, 'NO_DATA', 15,
         'Wraparound is near: the server will refuse writes to save its data. Look: age(datfrozenxid) per database, the oldest relfrozenxid, pg_prepared_xacts, pg_replication_slots, the oldest backend_xmin. Do: remove the holder now, VACUUM (FREEZE, INDEX_CLEANUP off) the oldest tables one by one, postpone bulk writes.'),
        ('PG_AUTOVACUUM_BEHIND', 'Autovacuum Behind', 'A database is 10 % past autovacuum_freeze_max_age',
         'PERFORMANCE', 'HIGH', 'system_health', 'database_xid_age_pct > threshold_value', 'database_xid_age_pct < 100', 110, '>',
         60, 0, 0, 720, true, NULL, 'NO_DATA', 15,
         'Autovacuum should have frozen this database already and does not get through. Look: pg_stat_progress_vacuum, pg_stat_all_tables.last_autovacuum, who holds locks on the oldest tables, an old xmin. Do: end what blocks it, VACUUM the oldest tables by hand, give autovacuum more cost limit or workers.'),
        ('PG_DEAD_TUPLES', 'Table Dominated By Dead Rows', 'A table with over 10,000 dead rows consists of them by more than a fifth',
         'PERFORMANCE', 'MEDIUM', 'system_health', 'worst_dead_tuple_pct > threshold_value', 'worst_dead_tuple_pct < threshold_value - 5', 20, '>',
         30, 55, 0, 720, true, NULL, 'NO_DATA', 15,
         'Vacuum does not keep up with one table: it grows and its scans slow down. Look: pg_stat_user_tables by n_dead_tup, its last_autovacuum, the vacuum horizon (xmin_horizon_age). Do: end what holds the horizon back, VACUUM the table, lower its autovacuum_vacuum_scale_factor.'),
        ('PG_XMIN_HORIZON', 'Vacuum Horizon Held Back', 'A session, replica, slot or prepared transaction keeps dead rows of 10 million transactions alive',
         'PERFORMANCE', 'MEDIUM', 'system_health', 'xmin_horizon_age > threshold_value', NULL, 10000000, '>',
         15, 10, 0, 240, true, NULL, 'NO_DATA', 15,
         'Vacuum may not remove what died since; tables bloat everywhere. Look: the oldest backend_xmin in pg_stat_activity, xmin and catalog_xmin in pg_replication_slots, pg_prepared_xacts. Do: end the session, ROLLBACK PREPARED the forgotten transaction, drop or revive the slot, look at hot_standby_feedback.'),
        ('PG_IDLE_IN_TRANSACTION', 'Idle In Transaction', 'A session has sat idle in a transaction for over 5 minutes',
         'PERFORMANCE', 'MEDIUM', 'system_health', 'oldest_idle_in_transaction_s > threshold_value', NULL, 300, '>',
         5, 0, 0, 60, true, NULL, 'NO_DATA', 15,
         'Somebody began a transaction and left; its locks and its snapshot stay. Look: pg_stat_activity WHERE state LIKE ''idle in transaction%'', oldest state_change first; whom it blocks (pg_blocking_pids). Do: ask its owner, else pg_terminate_backend; set idle_in_transaction_session_timeout for that role.'),
        ('PG_IDLE_IN_TRANSACTION_CRITICAL', 'Idle In Transaction For Long', 'A session has sat idle in a transaction for over 15 minutes and holds back vacuum and locks',
         'PERFORMANCE', 'HIGH', 'system_health', 'oldest_idle_in_transaction_s > threshold_value', NULL, 900, '>',
         5, 0, 0, 60, true, 30, 'NO_DATA', 15,
         'A forgotten transaction holds locks and keeps vacuum from its work. Look: pg_stat_activity WHERE state LIKE ''idle in transaction%'', its locks in pg_locks, whom it blocks. Do: pg_terminate_backend it; find out why its client did not commit, and set idle_in_transaction_session_timeout.'),
        ('PG_LONG_TRANSACTION', 'Long Transaction', 'A transaction is older than an hour',
         'PERFORMANCE', 'MEDIUM', 'system_health', 'oldest_transaction_s > threshold_value', NULL, 3600, '>',
         5, 0, 0, 120, true, NULL, 'NO_DATA', 15,
         'A transaction of over an hour keeps dead rows and its locks. Look: pg_stat_activity by xact_start: a dump or a batch that may go on, or something stuck? Do: let known work end, else pg_cancel_backend, then pg_terminate_backend; split batches.'),
        ('PG_BLOCKED_SESSIONS', 'Blocked Sessions', 'Sessions wait for locks of others',
         'PERFORMANCE', 'HIGH', 'system_health', 'blocked_backends >= threshold_value', 'blocked_backends == 0', 3, '>=',
         1, 6, 0, 30, true, 15, 'NO_DATA', 15,
         'Work waits behind a lock, in two samples one after the other; it piles up from here. Look: SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity WHERE wait_event_type = ''Lock'': who stands at the head? Do: pg_cancel_backend or pg_terminate_backend the head; DDL that waits for a lock blocks all behind it: set lock_timeout.'),
        ('PG_DEADLOCKS', 'Deadlocks', 'More than 5 deadlocks per hour',
         'PERFORMANCE', 'MEDIUM', 'system_health', 'deadlocks_per_h > threshold_value', NULL, 5, '>',
         5, 0, 0, 60, true, NULL, 'NO_DATA', 15,
         'Transactions lock the same rows in different order; the server ends one of each pair. Look: the server log: each deadlock is there with both statements. Do: make the applications lock in one order, keep transactions short, retry on 40P01.'),
        ('PG_CACHE_HIT_LOW', 'Cache Hit Ratio Low', 'Less than 95 % of the blocks come from shared buffers for half an hour',
         'PERFORMANCE', 'LOW', 'system_health', 'cache_hit_ratio_pct < threshold_value && transactions_per_s > 1', 'cache_hit_ratio_pct > threshold_value + 2', 95, '<',
         5, 30, 15, 240, true, NULL, 'OK', 15,
         'The working set does not fit, or something scans much that is read seldom; reads become slow. Look: pg_stat_statements by shared_blks_read, sequential scans of large tables, what started lately. Do: index or rewrite the statement that reads most; raise shared_buffers only when that is done.'),
        ('PG_ROLLBACK_RATIO', 'High Rollback Ratio', 'Over a tenth of the transactions roll back for a quarter of an hour',
         'PERFORMANCE', 'LOW', 'system_health', 'rollback_ratio_pct > threshold_value && transactions_per_s > 1', NULL, 10, '>',
         5, 15, 15, 240, true, NULL, 'OK', 15,
         'Applications fail or give up often. Look: the server log for errors, pg_stat_database.xact_rollback per database, deployments of the last hour. Do: correct what fails; a pool that ends its sessions with ROLLBACK is harmless: raise the threshold then.'),
        ('PG_TEMP_SPILL', 'Heavy Temporary Files', 'Temporary files are written with over 100 MB per second',
         'PERFORMANCE', 'LOW', 'system_health', 'temp_bytes_per_s > threshold_value', NULL, 104857600, '>',
         5, 10, 10, 240, true, NULL, 'NO_DATA', 15,
         'Sorts and hashes do not fit into work_mem and go to disk, which they can fill. Look: pg_stat_statements by temp_blks_written, log_temp_files, free space of the temporary tablespace. Do: index or rewrite the statement, raise work_mem for its role alone, set temp_file_limit.'),
        ('PG_SLOW_QUERIES', 'Slow Top Queries', 'Five or more of the top statements take over half a second on average',
         'PERFORMANCE', 'MEDIUM', 'performance', 'slow_query_count >= threshold_value', NULL, 5, '>=',
         5, 10, 10, 120, true, NULL, 'OK', 15,
         'Several of the statements that cost most are slow at the same time: a common cause is likely. Look: the newest rows of monitoring.performance_metric_s by mean_time_ms; locks, I/O, a plan that changed, missing statistics. Do: ANALYZE the tables, EXPLAIN (ANALYZE, BUFFERS) the worst one; relieve what they share.'),
        ('PG_ARCHIVER_FAILING', 'WAL Archiving Failing', 'The newest attempt to archive WAL failed: point-in-time recovery ends there',
         'BACKUP', 'CRITICAL', 'system_health', 'archive_failing >= 1', NULL, NULL, '>=',
         5, 5, 0, 60, true, 15, 'OK', 15,
         'WAL is not archived: recovery is possible only up to the last archived file, and pg_wal fills the disk. Look: pg_stat_archiver (last_failed_wal, last_failed_time), the server log for the output of archive_command, space at its destination. Do: repair destination or credentials; the server tries again by itself. Take a base backup if WAL was lost.'),
        ('PG_WAL_SIZE', 'WAL Directory Large', 'The WAL directory is over 4 GB',
         'CAPACITY', 'HIGH', 'system_health', 'wal_size_gb > threshold_value', 'wal_size_gb < threshold_value * 0.75', 4, '>',
         5, 10, 0, 120, true, NULL, 'NO_DATA', 15,
         'WAL is kept that should be gone; when its disk is full the server stops. Look: failing archiving, inactive slots (restart_lsn), wal_keep_size, max_wal_size, a bulk load under way. Do: repair archiving, drop the dead slot; with a larger max_wal_size raise the threshold. Never delete files of pg_wal by hand.'),
        ('PG_SLOT_INACTIVE', 'Inactive Replication Slot', 'A slot without a consumer retains over 1 GB of WAL',
         'PERFORMANCE', 'HIGH', 'system_health', 'slot_active == 0 && slot_retained_bytes > threshold_value', NULL, 1073741824, '>',
         5, 30, 0, 240, true, 60, 'OK', 15,
         'Nobody reads a slot and it keeps all WAL since: the disk fills until somebody comes. Look: pg_replication_slots WHERE NOT active: whose is it, is that replica or subscriber still wanted? Do: bring its consumer back, or pg_drop_replication_slot it; bound the damage with max_slot_wal_keep_size.'),
        ('PG_SLOT_LOST', 'Replication Slot Losing WAL', 'A replication slot loses the WAL its consumer needs',
         'PERFORMANCE', 'CRITICAL', 'system_health', 'slots_losing_wal > threshold_value', NULL, 0, '>',
         5, 0, 0, 60, true, 15, 'NO_DATA', 15,
         'A consumer is so far behind that its WAL is being removed; then it must be built anew. Look: wal_status and safe_wal_size in pg_replication_slots, the consumer''s log, the network to it. Do: while it says unreserved: raise max_slot_wal_keep_size and let it catch up; when lost, drop the slot and rebuild the replica.'),
        ('PG_REPLICATION_LAG', 'Replication Lag', 'A replica is more than 50 MB or 30 s behind',
         'PERFORMANCE', 'MEDIUM', 'system_health', 'replication_lag_bytes > 52428800 || replication_lag_s > threshold_value', 'replication_lag_bytes < 10485760 && replication_lag_s < 10', 30, '>',
         1, 6, 5, 60, true, NULL, 'NO_DATA', 15,
         'A replica falls behind in two samples one after the other: reads there are stale, a failover would lose that much. Look: pg_stat_replication (sent, write, flush, replay), the replica''s load, queries there that conflict with replay, a bulk load here. Do: let a bulk load end; else relieve the replica or the network, end its long queries.'),
        ('PG_REPLICATION_LAG_CRITICAL', 'Replication Lag Critical', 'A replica is more than 1 GB or 5 minutes behind',
         'PERFORMANCE', 'CRITICAL', 'system_health', 'replication_lag_bytes > 1073741824 || replication_lag_s > threshold_value', 'replication_lag_bytes < 52428800 && replication_lag_s < 30', 300, '>',
         1, 6, 5, 60, true, 15, 'NO_DATA', 15,
         'The replica cannot take over without losing minutes of work. Look: pg_stat_replication: does it still stream, where does it stand still (sent, flush, replay)? The replica''s disk and log. Do: do not fail over to it; end what holds replay back, or rebuild it when its WAL is gone.'),
        ('BACKUP_FAILURE_ALERT', 'Backup Failure Alert', 'A backup of the last 24 hours failed',
         'BACKUP', 'CRITICAL', 'backup_failures', 'failed_backup_count > threshold_value', NULL, 0, '>',
         15, 0, 0, 60, false, 30, 'OK', 15,
         'A backup failed: until the next good one there is less to recover from. Look: backup_mgmt.backup_execution_s WHERE backup_status = ''FAILED'', the log of the backup tool, space at its destination. Do: repair the cause, start the backup again and see it end; then resolve this alert.'),
        ('BACKUP_STALE', 'No Recent Backup', 'No backup has ended well for 26 hours',
         'BACKUP', 'CRITICAL', 'backup_failures', 'hours_since_last_success > threshold_value', NULL, 26, '>',
         60, 0, 0, 720, true, 30, 'NO_DATA', 60,
         'The newest good backup is over a day old: a loss now costs all work since. Look: backup_mgmt.backup_execution_s by backup_end_time, whether the backup job runs at all and says so. Do: start a backup now and see it end; then repair its schedule or its reporting.'),
        ('SYSTEM_DATABASE_SIZE_WARNING', 'Database Size Warning', 'The database approaches its planned size',
         'CAPACITY', 'MEDIUM', 'system_health', 'database_size_gb > threshold_value', 'database_size_gb < threshold_value * 0.95', 50, '>',
         60, 0, 0, 1440, true, NULL, 'NO_DATA', 15,
         'The database has grown beyond what was planned for it; backups and restores take longer, too. Look: pg_total_relation_size of the largest tables, their bloat, what grew since last month. Do: archive or drop what is not needed, or plan for more and raise the threshold.'),
        ('DISK_WARNING', 'Disk Usage High', 'The data volume is over 80 % full',
         'CAPACITY', 'HIGH', 'system_health', 'disk_usage_pct > threshold_value', 'disk_usage_pct < threshold_value - 3', 80, '>',
         5, 10, 0, 240, true, NULL, 'NO_DATA', 30,
         'The volume of the data directory fills; at 100 % the server stops. Look: df and du: data, pg_wal, logs, temporary files; `onevault alert explain --definition PG_WAL_SIZE`. Do: remove old logs and dumps, repair archiving and dead slots, enlarge the volume.'),
        ('DISK_CRITICAL', 'Disk Nearly Full', 'The data volume is over 95 % full: soon the server stops',
         'CAPACITY', 'CRITICAL', 'system_health', 'disk_usage_pct > threshold_value', 'disk_usage_pct < threshold_value - 2', 95, '>',
         1, 0, 0, 60, true, 10, 'NO_DATA', 30,
         'In minutes the server may crash for lack of space, and not start again. Look: df and du, largest first; pg_wal growing points to archiving or slots, base/pgsql_tmp to one statement. Do: free space outside the data directory or enlarge the volume now; end the statement that spills; never delete inside pg_wal.'),
        ('CAPACITY_FORECAST_FULL', 'Full Within 14 Days', 'By its growth a resource is full in less than 14 days',
         'CAPACITY', 'MEDIUM', 'capacity', 'min_days_to_full < threshold_value', NULL, 14, '<',
         60, 0, 0, 1440, true, NULL, 'OK', 15,
         'At the pace of the last weeks a disk or a database reaches its limit within two weeks. Look: the newest rows of monitoring.capacity_metric_s by projected_full_date: which, how fast, since when. Do: stop unwanted growth or order space now, while it is no emergency.'),
        ('SECURITY_HIGH_SEVERITY_EVENTS', 'High Severity Security Events', 'Five or more grave security events within an hour',
         'SECURITY', 'CRITICAL', 'security_events', 'high_severity_event_count >= threshold_value', NULL, 5, '>=',
         5, 0, 0, 60, false, 30, 'NO_DATA', 120,
         'Several grave events came together: an attack, or a change that nobody announced. Look: monitoring.security_event_s of the last hour by event_type, username and source_ip. Do: if it is no known change: lock the role, cut off the address, keep the logs; mark what was harmless as FALSE_POSITIVE.'),
        ('SECURITY_GRAVE_EVENT', 'Grave Security Event', 'Somebody became superuser, many log-ins fail, or as grave an event within the last hour',
         'SECURITY', 'HIGH', 'security_events', 'high_severity_event_count > threshold_value', NULL, 0, '>',
         5, 0, 0, 15, true, 30, 'NO_DATA', 120,
         'Something happened that is an attack or a change nobody announced; what was there before the first look does not count. Look: `onevault security list severity=HIGH`, then `onevault security show` for who, from where and the evidence. Do: what it says there; if it was meant, `onevault security false-positive`.'),
        ('COMPLIANCE_CRITICAL_FINDING', 'Critical Compliance Finding', 'A control whose remediation is critical is not met',
         'COMPLIANCE', 'HIGH', 'compliance', 'critical_non_compliant_count > threshold_value', NULL, 0, '>',
         60, 0, 0, 1440, true, NULL, 'NO_DATA', 2880,
         'The server breaks a rule that the audited frameworks call critical. Look: monitoring.compliance_check_s WHERE check_status = ''NON_COMPLIANT'' AND remediation_priority = ''CRITICAL'', with finding_details. Do: remedy it before remediation_deadline, or have the exception decided and written down.'),
        ('NOTIFICATION_DELIVERY_FAILING', 'Notifications Failing', 'Over 1 % of the last hour''s notifications failed',
         'PERFORMANCE', 'HIGH', 'notifications', 'notification_failed_pct > threshold_value', NULL, 1, '>',
         5, 5, 5, 60, true, 60, 'OK', 15,
         'People are not told of alerts through at least one channel. Look: `onevault doctor` and `onevault alert list`: which channel, and the provider''s reason in `onevault alert show`. Do: renew its credentials or address, then `onevault channel test NAME`; tell those on call of what they missed.'),
        ('NOTIFICATION_DELIVERY_RATE', 'Delivery Rate Low', 'A channel delivered under 99 % of its notifications of the last 24 hours',
         'PERFORMANCE', 'HIGH', 'notifications', 'notification_delivery_pct < threshold_value', NULL, 99, '<',
         15, 0, 0, 240, true, 60, 'OK', 60,
         'One channel in particular loses messages, though others may work; below 20 messages a day nothing is said. Look: the reason names it; `onevault notification list --channel KEY --status FAILED,BOUNCED --since 24h` says why. Do: correct the addresses that bounce, renew its credentials, ask the provider; let a second channel hear the same alerts meanwhile.'),
        ('NOTIFICATION_CIRCUIT_OPEN', 'Channel Sends Nothing', 'The circuit of a channel''s destination has refused its messages for 5 minutes',
         'PERFORMANCE', 'HIGH', 'notifications', 'notification_circuit_open_minutes >= threshold_value', 'notification_circuit_open_minutes == 0', 5, '>=',
         1, 0, 0, 60, true, 60, 'OK', 15,
         'A provider failed several times in a row and is left alone: what this channel should tell waits, and is given up after an hour. Look: the reason names the channel and the last failure; `onevault doctor` and `onevault_circuit_open` of /metrics. Do: bring the provider back or correct the channel, then `onevault channel test NAME`; let a second channel hear the same alerts meanwhile.'),
        ('NOTIFICATION_BACKLOG', 'Notifications Stuck', 'Over 10 notifications have no outcome after 5 minutes',
         'PERFORMANCE', 'HIGH', 'notifications', 'notification_pending_count > threshold_value', 'notification_pending_count == 0', 10, '>',
         5, 5, 0, 60, true, 60, 'OK', 15,
         'Messages were begun and nobody knows whether they arrived: a provider hangs, or the workers do. Look: `onevault doctor`; the alerts'' workflows in the Temporal UI; the providers'' status pages. Do: restart stuck workers, disable a channel that hangs so that others are used, tell those on call by telephone.'),
        ('INCIDENT_SLA_BREACH', 'Incident Overdue', 'An incident was not answered within 30 minutes, or not resolved within 4 hours',
         'PERFORMANCE', 'HIGH', 'incidents', 'incidents_overdue_response > 0 || incidents_overdue_resolution > 0', NULL, NULL, '>',
         5, 0, 0, 240, true, 30, 'OK', 15,
         'People were told of an incident and nobody took it, or it lasts longer than was promised. Look: `onevault incident list`: which, who is assigned, what its last note says. Do: take it, call the next one on call, or resolve it when it is over: `onevault incident take`, `onevault incident resolve`.'),
        ('METRIC_ANOMALY', 'Unusual Metric', 'A metric is far from what it usually is at this hour of the week; advisory',
         'PERFORMANCE', 'LOW', 'anomaly', 'anomalous_metric_count >= threshold_value', NULL, 1, '>=',
         5, 0, 30, 720, true, NULL, 'KEEP', 15,
         'Something behaves unlike the last four weeks; it may be harmless, or early news of what another alert will say. Look: `onevault anomaly list`, `onevault anomaly show METRIC`; deployments, batch jobs, new clients of that hour. Do: if it is wanted, nothing: it is learned within a day and a half; if this metric is told too often, `onevault anomaly set METRIC --score 8`.'),
        ('METRICS_ANOMALOUS_TOGETHER', 'Several Unusual Metrics', 'Three metrics or more are unusual for this hour at the same time; advisory',
         'PERFORMANCE', 'LOW', 'anomaly', 'anomalous_metric_count >= threshold_value', NULL, 3, '>=',
         5, 0, 30, 720, true, NULL, 'KEEP', 15,
         'Several figures left their usual range together, which chance seldom does: load, plans or storage changed. Look: `onevault anomaly list`: what began first? Statements and locks of that time, deployments, the host. Do: treat what began first; if the new state is wanted, acknowledge: it is learned within a day and a half.')
),
-- Those that alert by labels. A slot or a database that is gone is over the line no more; without any slot there is nothing to say.
by_labels (definition_key, alert_by) AS (
    VALUES ('PG_SLOT_INACTIVE', ARRAY['slot']),
           ('PG_AUTOVACUUM_BEHIND', ARRAY['database'])
),
new_hubs AS (
    INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk, record_source)
    SELECT util.hash_binary(d.definition_key), d.definition_key, 'SETUP_SCRIPT' FROM defaults d
    ON CONFLICT DO NOTHING
    RETURNING alert_definition_hk
)
INSERT INTO monitoring.alert_definition_s (
    alert_definition_hk, hash_diff, alert_name, alert_description, alert_category, alert_severity, metric_source, condition_logic,
    clear_condition_logic, threshold_value, threshold_operator, evaluation_frequency_minutes, pending_minutes, clear_minutes,
    suppression_window_minutes, auto_resolve, escalation_enabled, escalation_delay_minutes, no_data_state, no_data_minutes, runbook,
    alert_by, created_by, last_modified_by, record_source)
SELECT util.hash_binary(d.definition_key), '\x', d.alert_name, d.alert_description, d.alert_category, d.alert_severity, d.metric_source, d.condition_logic,
       d.clear_condition_logic, d.threshold_value, d.threshold_operator, d.evaluation_frequency_minutes, d.pending_minutes, d.clear_minutes,
       d.suppression_window_minutes, d.auto_resolve, d.escalates_after IS NOT NULL, coalesce(d.escalates_after, 30), d.no_data_state, d.no_data_minutes, d.runbook,
       coalesce(b.alert_by, '{}'),
       -- Another role that brings the same text is no change.
       coalesce(c.created_by, SESSION_USER), coalesce(c.last_modified_by, SESSION_USER), 'SETUP_SCRIPT'
  FROM defaults d
  LEFT JOIN by_labels b USING (definition_key)
  LEFT JOIN monitoring.alert_definition_s c ON c.alert_definition_hk = util.hash_binary(d.definition_key) AND c.load_end_date IS NULL
 WHERE c.record_source = 'SETUP_SCRIPT'
    OR util.hash_binary(d.definition_key) IN (SELECT n.alert_definition_hk FROM new_hubs n);

SELECT set_config('onevault.puts_defaults', '', true);
