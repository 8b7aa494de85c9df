package collect_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"onevault/collect"
	"onevault/pgserver"
	"onevault/pgserver/pgtest"
)

// lack finds what a check says about something, and fails where it says nothing.
func lack(t *testing.T, c collect.Check, what string) collect.Lack {
	t.Helper()
	at := slices.IndexFunc(c.Lacks, func(l collect.Lack) bool { return strings.Contains(l.What, what) })
	if at < 0 {
		t.Fatalf("nothing is said of %q: %+v", what, c)
	}
	return c.Lacks[at]
}

func TestCheck_NamesWhatIsMissingWhatItCostsAndTheLinesThatRemedyIt(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	admin := connect(t, address)
	exec(t, admin, "DROP EXTENSION pg_stat_statements CASCADE")
	bare := asNewRole(t, address)
	found := openTarget(t, bare).Check(t.Context())
	if !found.Reachable || found.OK() || found.Measured == 0 || found.Superuser || found.Standby {
		t.Fatalf("%+v", found)
	}
	monitor := lack(t, found, "no member of pg_monitor")
	if monitor.Advice || !strings.Contains(monitor.Costs, "total_connections") {
		t.Errorf("costs: %+v", monitor)
	}
	statements := lack(t, found, "pg_stat_statements is not created")
	if !strings.Contains(statements.Costs, "avg_query_time_ms") || !slices.Contains(statements.Remedy, "CREATE EXTENSION pg_stat_statements;") {
		t.Errorf("statements: %+v", statements)
	}
	// The lines do what they say.
	for _, l := range found.Lacks {
		for _, line := range l.Remedy {
			if !strings.HasPrefix(line, "--") && !strings.HasPrefix(line, "ALTER SYSTEM") {
				exec(t, admin, line)
			}
		}
	}
	again := openTarget(t, bare).Check(t.Context())
	if !again.OK() || len(again.Unmeasured) >= len(found.Unmeasured) {
		t.Errorf("after the remedies: %+v", again)
	}
	exec(t, admin, "REVOKE SET ON PARAMETER pg_stat_statements.track FROM "+found.Role)
}

func TestCheck_ASuperuserIsAdviceAndNoLoss(t *testing.T) {
	t.Parallel()
	found := openTarget(t, pgtest.DB(t)).Check(t.Context())
	if !found.OK() || !lack(t, found, "is a superuser").Advice {
		t.Errorf("%+v", found)
	}
}

func TestCheck_AServerThatDoesNotAnswerIsAResult(t *testing.T) {
	t.Parallel()
	target := openAddress(t, collect.Address{URL: "postgres://u@127.0.0.1:1/d"}, collect.Secrets{})
	if found := target.Check(t.Context()); found.Reachable || found.OK() || !strings.Contains(found.Error, "connection refused") {
		t.Errorf("%+v", found)
	}
}

// A standby is measured as it is, and told from a primary.
func TestCheck_KnowsAStandby(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for parent := dir; parent != "/" && strings.HasPrefix(parent, os.TempDir()+"/"); parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o711); err != nil { // PostgreSQL's own account has to pass through
			t.Fatal(err)
		}
	}
	config := pgserver.Config{Dir: filepath.Join(dir, "pg"), Port: pgserver.SocketOnly}
	primary, err := pgserver.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	exec(t, connect(t, primary.URL("postgres")), "CREATE EXTENSION pg_stat_statements")
	if err := primary.Stop(); err != nil {
		t.Fatal(err)
	}
	// Restarted with this file, the cluster replays for ever: a standby whose primary is silent.
	if err := os.WriteFile(filepath.Join(config.Dir, "data", "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	config.Settings = map[string]string{"primary_conninfo": "host=127.0.0.1 port=1"}
	standby, err := pgserver.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := standby.Stop(); err != nil {
			t.Error(err)
		}
	})
	found := openTarget(t, standby.URL("postgres")).Check(t.Context())
	if !found.Standby || !found.OK() || len(found.Unmeasured) > 2 {
		t.Errorf("%+v", found)
	}
}
