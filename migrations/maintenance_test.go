package migrations_test

import (
	"testing"

	"onevault/pgserver/pgtest"
)

// From PostgreSQL 17 on these commands run what a table's indexes and views call with pg_catalog alone in the
// search path: a function of ours that is called there without its schema would be found by daily work and not by
// them, and VACUUM and pg_upgrade's ANALYZE would stop at the vault.
func TestVault_CanBeMaintained(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.DB(t))
	exec(t, conn, "SELECT monitoring.collect_system_health_metrics()")
	exec(t, conn, "SELECT monitoring.evaluate_alert_conditions()")
	// The vault's tables by name: without one, the catalogs that all databases share would be locked, too.
	tables := value[string](t, conn, `
		SELECT string_agg(c.oid::regclass::text, ', ')
		  FROM pg_class c
		 WHERE c.relnamespace IN ('monitoring'::regnamespace, 'auth'::regnamespace, 'backup_mgmt'::regnamespace) AND c.relkind IN ('r', 'p')`)
	for _, command := range []string{"REINDEX SCHEMA monitoring", "REINDEX SCHEMA auth", "VACUUM (FULL, ANALYZE) " + tables, "VACUUM (ANALYZE) " + tables} {
		exec(t, conn, command)
	}
	if n := value[int](t, conn, "SELECT count(*) FROM monitoring.alert_evaluation_s"); n == 0 {
		t.Error("there was nothing to maintain")
	}
}
