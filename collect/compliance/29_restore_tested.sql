-- id: C29
-- title: A restore was tested within 90 days
-- category: BACKUP
-- severity: HIGH
-- asks: A backup that is recorded in backup_mgmt was restored for a test within 90 days.
-- clause: HIPAA | 164.308(a)(7)(ii)(D) | Testing and revision of contingency plans
-- clause: GDPR | Art. 32(1)(d) | Regular testing of the effectiveness of measures
-- clause: SOC 2 | A1.3 | Recovery plan procedures are tested
-- clause: SOX | 404 / COBIT DSS04.07 | Manage backup arrangements
-- remediation: Restore the newest backup on another host, check it, and record recovery_tested and recovery_test_date as a new version.
-- evidence: backup_mgmt.backup_execution_s
-- requires: backup_mgmt.backup_execution_s
SELECT CASE WHEN count(*) > 0 THEN coalesce(max(recovery_test_date) FILTER (WHERE recovery_tested) > now() - interval '90 days', false) END, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object('backups_recorded', count(*), 'last_test', max(recovery_test_date) FILTER (WHERE recovery_tested),
           'reason', CASE WHEN count(*) = 0 THEN 'no backup is recorded in backup_mgmt.backup_execution_s' END))
  FROM backup_mgmt.backup_execution_s
 WHERE load_end_date IS NULL
