package collect_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"onevault/collect"
	"onevault/pgserver"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

// oldestTarget is the oldest version that is watched.
const oldestTarget = 14

// otherVersion matches what a server says of a name that its version does not know.
var otherVersion = regexp.MustCompile(`(column|relation|function|operator|type|role|parameter) .*(does not exist|unrecognized)|unrecognized configuration parameter|SQLSTATE 42`)

// A server of any version is measured by a role of pg_monitor, and the same is measured on all of them: what a
// version calls otherwise must not be missing there. Which versions are there is the run's to say (make test-matrix).
func TestTarget_EveryVersionTellsTheSame(t *testing.T) {
	t.Parallel()
	targets := pgtest.Targets(t)
	want := names(collectOnce(t, busyServer(t, targets[len(targets)-1])))
	for _, server := range targets {
		if server.Major < oldestTarget {
			continue
		}
		t.Run(strconv.Itoa(server.Major), func(t *testing.T) {
			t.Parallel()
			address := busyServer(t, server)
			got := column[string](t, connect(t, address), "SHOW server_version_num")[0]
			if major, err := strconv.Atoi(got); err != nil || major/10000 != server.Major {
				t.Fatalf("the target is version %s, want %d", got, server.Major)
			}
			watcher := asNewRole(t, address, "pg_monitor")
			t.Run("health", func(t *testing.T) { wantHealth(t, watcher, want) })
			t.Run("statements", func(t *testing.T) { wantStatements(t, watcher, address) })
			t.Run("capacity", func(t *testing.T) { wantCapacity(t, watcher) })
			t.Run("compliance", func(t *testing.T) { wantControls(t, watcher); wantControls(t, address) })
		})
	}
}

// busyServer starts a server of a version in which there is something of everything to see.
func busyServer(t *testing.T, installed pgserver.Installation) string {
	t.Helper()
	server, err := pgserver.Start(t.Context(), pgserver.Config{
		Ephemeral: true, BinDir: installed.Dir, MinMajor: 1,
		Settings: map[string]string{"max_prepared_transactions": "5", "wal_level": "logical", "archive_mode": "on", "archive_command": "true"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	address := server.URL("postgres")
	conn := connect(t, address)
	for _, sql := range []string{
		"CREATE EXTENSION pg_stat_statements",
		"CREATE TABLE customer (id serial PRIMARY KEY, name text)",
		"INSERT INTO customer (name) SELECT repeat('x', 100) FROM generate_series(1, 10000)",
		"ANALYZE customer",
		"SELECT count(*) FROM customer WHERE name LIKE 'x%'",
		"SELECT pg_create_physical_replication_slot('standby', true)",
		"SELECT pg_create_logical_replication_slot('subscriber', 'pgoutput')",
		"BEGIN",
		"INSERT INTO customer (name) VALUES ('undecided')",
		"PREPARE TRANSACTION 'undecided'",
		"CHECKPOINT",
		"SELECT pg_switch_wal()",
	} {
		exec(t, conn, sql)
	}
	return address
}

func wantHealth(t *testing.T, address string, want []string) {
	t.Helper()
	samples := collectOnce(t, address)
	if got := names(samples); !slices.Equal(without(got, []string{"archive_age_s"}), without(want, []string{"archive_age_s"})) { // nothing until the archiver has run
		t.Errorf("measured %q,\nwant %q", got, want)
	}
	for _, s := range samples {
		if s.Error != "" || s.Value == nil && s.Counter == nil {
			t.Errorf("%s: value %v, counter %s, error %q", s.Name, s.Value, s.Counter, s.Error)
		}
	}
}

// wantStatements takes two samples to a vault of the version that the tests run on, as the worker does.
func wantStatements(t *testing.T, watcher, owner string) {
	t.Helper()
	store, err := vault.Open(t.Context(), pgtest.DB(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	target, others := openTarget(t, watcher), connect(t, owner)
	for i := range 2 {
		exec(t, others, "SELECT count(*) AS version_probe FROM customer")
		sample, err := target.SampleStatements(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		asked, err := store.StatementQuestions(t.Context(), "watched", sample)
		if err != nil {
			t.Fatal(err)
		}
		var questions collect.StatementQuestions
		if err := json.Unmarshal(asked, &questions); err != nil {
			t.Fatal(err)
		}
		answered, err := target.AnswerStatementQuestions(t.Context(), questions)
		if err != nil {
			t.Fatal(err)
		}
		answers, err := json.Marshal(answered)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := store.RecordStatements(t.Context(), "watched", time.Minute, sample, answers); err != nil || n == 0 {
			t.Fatalf("sample %d: %d statements recorded, %v", i, n, err)
		}
	}
	// Its columns have another name from version 17 on.
	if io := column[float64](t, store.Pool(), "SELECT max(blk_io_time_ms)::float8 FROM monitoring.performance_metric_s")[0]; io <= 0 {
		t.Errorf("statements spent %g ms on blocks, want more than nothing", io)
	}
}

func wantCapacity(t *testing.T, address string) {
	t.Helper()
	resources, problems := capacity(t, address)
	// The watcher may not read others' sequences, and that is said.
	problems = slices.DeleteFunc(problems, func(p string) bool { return p == "SEQUENCE: 1 sequences that the role may not read" })
	if len(problems) > 0 {
		t.Errorf("not measured: %q", problems)
	}
	for _, kind := range []string{"DISK", "DATABASE", "TABLE", "INDEX", "TABLESPACE", "WAL", "TEMP"} {
		if len(ofType(resources, kind)) == 0 {
			t.Errorf("no %s", kind)
		}
	}
}

// wantControls fails where a control could not be tested because this version lacks a name.
func wantControls(t *testing.T, address string) {
	t.Helper()
	results := checked(t, address)
	for _, r := range results {
		reason := fmt.Sprint(r.Evidence["reason"])
		if r.Status == collect.NotTested && otherVersion.MatchString(reason) {
			t.Errorf("%s: %s", r.Control.ID, reason)
		}
	}
}

// A standby that has lost its primary is measured as well: nothing that is asked of it may need a primary.
func TestTarget_AStandbyOfEveryVersionIsMeasured(t *testing.T) {
	t.Parallel()
	for _, server := range pgtest.Targets(t) {
		if server.Major < oldestTarget {
			continue
		}
		t.Run(strconv.Itoa(server.Major), func(t *testing.T) {
			t.Parallel()
			address := standby(t, server)
			if !column[bool](t, connect(t, address), "SELECT pg_is_in_recovery()")[0] {
				t.Fatal("the server is no standby")
			}
			for _, s := range collectOnce(t, address) {
				if s.Error != "" {
					t.Errorf("%s: %s", s.Name, s.Error)
				}
			}
			if _, err := openTarget(t, address).SampleStatements(t.Context()); err != nil {
				t.Error(err)
			}
			wantCapacity(t, address)
			wantControls(t, address)
		})
	}
}

// standby starts a server of a version that waits for a primary; its address is that of a role of pg_monitor.
func standby(t *testing.T, installed pgserver.Installation) string {
	t.Helper()
	config := pgserver.Config{Dir: serverDir(t), BinDir: installed.Dir, MinMajor: 1}
	primary, err := pgserver.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	conn := connect(t, primary.URL("postgres"))
	for _, sql := range []string{
		"CREATE EXTENSION pg_stat_statements",
		"CREATE ROLE watcher LOGIN IN ROLE pg_monitor",
		"CREATE TABLE customer (id integer PRIMARY KEY)",
		// The file that makes a server a standby, written by its own account.
		"COPY (SELECT) TO '" + column[string](t, conn, "SHOW data_directory")[0] + "/standby.signal'",
	} {
		exec(t, conn, sql)
	}
	if err := primary.Stop(); err != nil {
		t.Fatal(err)
	}
	server, err := pgserver.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return strings.Replace(server.URL("postgres"), "postgres@", "watcher@", 1)
}

// A server that is too old is no error of the run, and nothing is invented: it is said.
func TestTarget_AVersionThatIsTooOldIsSaid(t *testing.T) {
	t.Parallel()
	for _, server := range pgtest.Targets(t) {
		if server.Major >= oldestTarget {
			continue
		}
		t.Run(strconv.Itoa(server.Major), func(t *testing.T) {
			t.Parallel()
			sample, err := openTarget(t, busyServer(t, server)).SampleStatements(t.Context())
			if err == nil {
				t.Errorf("statements of version %d are read: %.200s", server.Major, sample)
			}
		})
	}
}
