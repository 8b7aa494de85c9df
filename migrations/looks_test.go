package migrations_test

import (
	"strings"
	"testing"

	"onevault/pgserver/pgtest"
)

// putBackup is the statement by which an application records that a backup ended.
const putBackup = `
	WITH hub AS (INSERT INTO backup_mgmt.backup_execution_h (backup_hk, backup_bk, record_source) VALUES (util.hash_binary($1), $1, 'APP'))
	INSERT INTO backup_mgmt.backup_execution_s (backup_hk, hash_diff, backup_type, backup_status, backup_start_time, backup_end_time, record_source)
	VALUES (util.hash_binary($1), '\x', 'FULL', $2, now() - interval '1 minute', now(), 'APP')`

// putEvent is the statement by which an application records a security event, as the guide writes it.
const putEvent = `
	WITH hub AS (
	    INSERT INTO monitoring.security_event_h (security_event_hk, security_event_bk, record_source) VALUES (util.hash_binary($1), $1, 'APP'))
	INSERT INTO monitoring.security_event_s (security_event_hk, hash_diff, event_type, event_severity, event_timestamp, event_details, investigation_status, record_source)
	VALUES (util.hash_binary($1), '\x', 'INTRUSION', 'CRITICAL', now(), '{}', 'OPEN', 'APP')`

func looks(t *testing.T, db database) string {
	t.Helper()
	return strings.Join(values[string](t, db, "SELECT target_name || ' ' || (payload ->> 'source') FROM monitoring.outbox WHERE kind = 'LOOK' ORDER BY outbox_id"), ", ")
}

func TestLooks_ARowOfAnApplicationAsksForThemOnceInATransaction(t *testing.T) {
	t.Parallel()
	db := listen(t, pgtest.DB(t))
	exec(t, db, "LISTEN onevault_outbox")
	exec(t, db, putBackup, "B1", "FAILED")
	if got := looks(t, db); got != "local backup_failures" {
		t.Errorf("a failed backup asked for %q", got)
	}
	exec(t, db, "BEGIN")
	exec(t, db, putEvent, "E1")
	exec(t, db, putEvent, "E2")
	exec(t, db, putBackup, "B2", "COMPLETED")
	exec(t, db, "COMMIT")
	if got := looks(t, db); got != "local backup_failures, local security_events, local backup_failures" {
		t.Errorf("asked for were %q", got)
	}
}

func TestLooks_EvaluateOnlyWhatReadsTheSourceAndAtOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	onlyDefinition(t, db)
	define(t, db, "BACKUP", columns{"metric_source": "backup_failures", "condition_logic": "failed_backup_count > 0", "evaluation_frequency_minutes": 60})
	define(t, db, "OTHER", nil)
	asked := func() string {
		t.Helper()
		return strings.Join(values[string](t, db, "SELECT definition_key || ' ' || decision FROM monitoring.evaluate_due('local', '0', ARRAY['backup_failures'])"), ", ")
	}
	if got := asked(); got != "BACKUP NONE" {
		t.Errorf("looked at %q", got)
	}
	exec(t, db, putBackup, "B1", "FAILED")
	if got := asked(); got != "BACKUP FIRED" {
		t.Errorf("a moment later: %q", got)
	}
}

func TestLooks_AreNoReasonForAnApplicationToFail(t *testing.T) {
	t.Parallel()
	db := listen(t, pgtest.DB(t))
	exec(t, db, "ALTER TABLE monitoring.outbox RENAME TO outbox_gone")
	exec(t, db, putBackup, "B1", "FAILED")
	if said := db.heard(); !strings.Contains(said, "not looked at before their next round") {
		t.Errorf("said %q", said)
	}
	if n := value[int](t, db, "SELECT count(*) FROM backup_mgmt.backup_execution_s"); n != 1 {
		t.Errorf("%d backups are recorded, want 1", n)
	}
}

func TestLooks_ARoleThatMayOnlyWriteItsOwnTableWakesThem(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	name, as := newRole(t, address)
	exec(t, db, "GRANT USAGE ON SCHEMA backup_mgmt, util TO "+name)
	exec(t, db, "GRANT INSERT ON ALL TABLES IN SCHEMA backup_mgmt TO "+name)
	exec(t, db, "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA util TO "+name)
	exec(t, connect(t, as), putBackup, "B1", "FAILED")
	if got := looks(t, db); got != "local backup_failures" {
		t.Errorf("asked for %q", got)
	}
}
