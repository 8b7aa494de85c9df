-- id: C28
-- title: A backup succeeded within 26 hours
-- category: BACKUP
-- severity: CRITICAL
-- asks: The newest COMPLETED backup that is recorded in backup_mgmt ended within 26 hours.
-- clause: HIPAA | 164.308(a)(7)(ii)(A) | Data backup plan
-- clause: SOC 2 | A1.2 | Backup and recovery infrastructure is designed, operated and monitored
-- clause: SOX | 404 / COBIT DSS04.07 | Manage backup arrangements
-- clause: GDPR | Art. 32(1)(c) | Ability to restore availability and access in a timely manner
-- remediation: Find in backup_mgmt.backup_execution_s why it failed (error_message), correct it and run the backup now; record backups there if another tool takes them.
-- evidence: backup_mgmt.backup_execution_s
-- requires: backup_mgmt.backup_execution_s
SELECT CASE WHEN count(*) > 0 THEN coalesce(max(backup_end_time) FILTER (WHERE backup_status = 'COMPLETED') > now() - interval '26 hours', false) END, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object('backups_recorded', count(*), 'last_success', max(backup_end_time) FILTER (WHERE backup_status = 'COMPLETED'),
           'reason', CASE WHEN count(*) = 0 THEN 'no backup is recorded in backup_mgmt.backup_execution_s' END))
  FROM backup_mgmt.backup_execution_s
 WHERE load_end_date IS NULL
