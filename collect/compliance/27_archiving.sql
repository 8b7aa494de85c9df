-- id: C27
-- title: WAL is archived without failures
-- category: BACKUP
-- severity: HIGH
-- asks: archive_mode is on with a command or library, and the newest attempt succeeded.
-- clause: HIPAA | 164.308(a)(7)(ii)(A) | Data backup plan
-- clause: SOC 2 | A1.2 | Backup and recovery infrastructure is designed, operated and monitored
-- clause: GDPR | Art. 32(1)(c) | Ability to restore availability and access in a timely manner
-- clause: SOX | 404 / COBIT DSS04.07 | Manage backup arrangements
-- remediation: Set archive_mode = on and archive_command or archive_library, restart; where attempts fail, read the server's log for the command's own error.
-- evidence: pg_settings, pg_stat_archiver
SELECT CASE WHEN s.mode = 'off' OR NOT s.defined THEN false
            WHEN pg_is_in_recovery() AND s.mode <> 'always' THEN NULL
            WHEN a.last_archived_time IS NULL AND a.last_failed_time IS NULL THEN NULL
            ELSE NOT coalesce(a.last_failed_time > coalesce(a.last_archived_time, '-infinity'), false) END, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object('archive_mode', s.mode, 'command_or_library', s.defined, 'archived', a.archived_count, 'failed', a.failed_count,
           'last_archived', a.last_archived_time, 'last_failed', a.last_failed_time,
           'reason', CASE WHEN s.mode = 'off' OR NOT s.defined THEN NULL
                          WHEN pg_is_in_recovery() AND s.mode <> 'always' THEN 'this is a standby, its primary archives'
                          WHEN a.last_archived_time IS NULL AND a.last_failed_time IS NULL THEN 'nothing was archived yet' END))
  FROM pg_stat_archiver a,
       (SELECT current_setting('archive_mode') AS mode,
               current_setting('archive_command') NOT IN ('', '(disabled)') OR coalesce(current_setting('archive_library', true), '') <> '' AS defined) AS s
