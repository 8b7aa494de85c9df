package collect_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"onevault/collect"
	"onevault/pgserver"
	"onevault/pgserver/pgtest"
)

// sampled is what a test reads of a sample.
type sampled struct {
	Readable     bool       `json:"readable"`
	Database     uint32     `json:"database"`
	PlansRefused *string    `json:"plans_refused"`
	Entries      [][]any    `json:"entries"`
	Tables       [][5]int64 `json:"tables"`
}

func sampleOnce(t *testing.T, address string) sampled {
	t.Helper()
	document, err := openTarget(t, address).SampleStatements(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var s sampled
	if err := json.Unmarshal(document, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// serverWith starts a server with settings that no other test wants.
func serverWith(t *testing.T, settings map[string]string) (address string) {
	t.Helper()
	server, err := pgserver.Start(t.Context(), pgserver.Config{Ephemeral: true, Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server.URL("postgres")
}

func TestSampleStatements_SaysWhoMayNotAskForPlans(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	for groups, want := range map[string]string{
		"pg_monitor":                            "",
		"pg_monitor, pg_read_all_data":          "",
		"pg_monitor, pg_execute_server_program": "more rights than reading",
		"pg_monitor, pg_write_all_data":         "more rights than reading",
	} {
		got := sampleOnce(t, asNewRole(t, address, groups)).PlansRefused
		if (got == nil) != (want == "") || got != nil && !strings.Contains(*got, want) {
			t.Errorf("%s: refused is %v, want %q", groups, got, want)
		}
	}
	if got := sampleOnce(t, address).PlansRefused; got == nil || !strings.Contains(*got, "superuser") {
		t.Errorf("a superuser: refused is %v", got)
	}
}

func TestSampleStatements_CountsScansOfLargeTablesAlone(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	exec(t, conn, "CREATE TABLE large AS SELECT n, repeat('x', 100) AS filler FROM generate_series(1, 80000) AS n")
	exec(t, conn, "CREATE TABLE small AS SELECT n FROM generate_series(1, 1000) AS n")
	exec(t, conn, "ANALYZE large, small")
	exec(t, conn, "SELECT count(*) FROM large")
	exec(t, conn, "SELECT count(*) FROM small")
	exec(t, conn, "SELECT pg_stat_force_next_flush()")
	exec(t, conn, "SELECT 1")
	oid := column[int64](t, conn, "SELECT 'large'::regclass::oid::bigint")[0]
	// The vault's own tables are small here.
	s := sampleOnce(t, asNewRole(t, address, "pg_monitor"))
	if len(s.Tables) != 1 || s.Tables[0][0] != oid || s.Tables[0][1] < 1 || s.Tables[0][2] != 80000 || s.Tables[0][4] < 1024 {
		t.Errorf("tables are %v, want large (%d) alone", s.Tables, oid)
	}
}

func TestAnswerStatementQuestions_TellsColumnsAndIndexes(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	exec(t, conn, `CREATE TABLE event ("Kind" text, at date, note text, gone int, done boolean) PARTITION BY RANGE (at)`)
	exec(t, conn, "CREATE TABLE event_2026 PARTITION OF event FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')")
	exec(t, conn, "ALTER TABLE event DROP COLUMN gone")
	exec(t, conn, `CREATE INDEX ON event ("Kind", note)`)
	exec(t, conn, "CREATE INDEX ON event_2026 (at) WHERE NOT done") // helps some rows only
	exec(t, conn, "CREATE INDEX ON event_2026 (lower(note))")
	oid := column[uint32](t, conn, "SELECT 'event_2026'::regclass::oid")[0]
	target := openTarget(t, asNewRole(t, address, "pg_monitor"))
	answers, err := target.AnswerStatementQuestions(t.Context(), collect.StatementQuestions{Tables: []uint32{oid}})
	if err != nil {
		t.Fatal(err)
	}
	var tables []any
	if err := json.Unmarshal(answers.Tables, &tables); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(tables), fmt.Sprintf("[map[columns:[Kind at note done] indexed:[Kind] name:event_2026 oid:%v root:event schema:public]]", float64(oid)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSampleStatements_SaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	t.Run("no extension", func(t *testing.T) {
		t.Parallel()
		address := pgtest.DB(t)
		exec(t, connect(t, address), "DROP EXTENSION pg_stat_statements CASCADE")
		wantsError(t, address, "CREATE EXTENSION pg_stat_statements in database")
	})
	t.Run("another schema", func(t *testing.T) {
		t.Parallel()
		address := pgtest.DB(t)
		conn := connect(t, address)
		exec(t, conn, "CREATE SCHEMA extras")
		exec(t, conn, "ALTER EXTENSION pg_stat_statements SET SCHEMA extras")
		wantsError(t, address, "stands in schema extras")
	})
	t.Run("an old extension", func(t *testing.T) {
		t.Parallel()
		address := pgtest.DB(t)
		conn := connect(t, address)
		exec(t, conn, "DROP EXTENSION pg_stat_statements CASCADE")
		exec(t, conn, "CREATE EXTENSION pg_stat_statements VERSION '1.8'")
		wantsError(t, address, "1.8 is too old; run ALTER EXTENSION pg_stat_statements UPDATE")
		// Updated, it is read from then on; a version that lacks the newest columns as well.
		exec(t, conn, "ALTER EXTENSION pg_stat_statements UPDATE TO '1.9'")
		if s := sampleOnce(t, address); len(s.Entries) == 0 || len(s.Entries[0]) != 18 || s.Entries[0][16] != nil {
			t.Errorf("version 1.9 gives %v", s.Entries)
		}
		exec(t, conn, "ALTER EXTENSION pg_stat_statements UPDATE")
		if s := sampleOnce(t, address); len(s.Entries) == 0 || s.Entries[0][16] == nil {
			t.Errorf("the newest version gives %v", s.Entries)
		}
	})
	t.Run("not preloaded", func(t *testing.T) {
		t.Parallel()
		address := serverWith(t, map[string]string{"shared_preload_libraries": ""})
		exec(t, connect(t, address), "CREATE EXTENSION pg_stat_statements")
		wantsError(t, address, "shared_preload_libraries and restart")
	})
}

func wantsError(t *testing.T, address, words string) {
	t.Helper()
	document, err := openTarget(t, address).SampleStatements(t.Context())
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("got %s, %v; want an error with %q", document, err, words)
	}
}

// A sample of 10,000 tables and 5,000 statements is small and quick. The bound is far above what it takes,
// because tests run beside others.
func TestSampleStatements_OfManyTablesAndStatements(t *testing.T) {
	t.Parallel()
	address := serverWith(t, map[string]string{"pg_stat_statements.max": "10000", "max_locks_per_transaction": "200"})
	conn := connect(t, address)
	exec(t, conn, "CREATE EXTENSION pg_stat_statements")
	for batch := range 10 {
		exec(t, conn, fmt.Sprintf("DO $$ BEGIN FOR i IN 1..1000 LOOP EXECUTE format('CREATE TABLE many_%%s_%%s (a int)', %d, i); END LOOP; END $$", batch))
	}
	exec(t, conn, "SET pg_stat_statements.track = 'all'")
	exec(t, conn, "DO $$ BEGIN FOR i IN 1..5000 LOOP EXECUTE format('SELECT a AS a FROM many_%s_%s', i % 10, i / 10 + 1); END LOOP; END $$")
	target := openTarget(t, address)
	began := time.Now()
	document, err := target.SampleStatements(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	var s sampled
	if err := json.Unmarshal(document, &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Entries) < 5000 || len(s.Tables) != 0 {
		t.Fatalf("%d statements, %d tables", len(s.Entries), len(s.Tables))
	}
	t.Logf("%d statements beside 10,000 tables: %d kB in %v", len(s.Entries), len(document)/1024, took)
	if took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
}
