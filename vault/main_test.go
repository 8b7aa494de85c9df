package vault_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onevault/alert"
	"onevault/migrations"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

func TestMain(m *testing.M) {
	pgtest.Main(m, migrations.Fingerprint(), func(ctx context.Context, url string) error {
		return migrations.Up(ctx, url, nil)
	})
}

// fixture is a vault of one test alone: the store under test, and a session beside it as a person in
// psql has one.
type fixture struct {
	*testing.T
	url   string
	store *vault.Store
	psql  *pgx.Conn

	mu      sync.Mutex
	notices []*pgconn.Notice // that psql would have shown
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{T: t, url: pgtest.DB(t)}
	f.store = f.open(f.url)
	config, err := pgx.ParseConfig(f.url)
	if err != nil {
		t.Fatal(err)
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.notices = append(f.notices, n)
	}
	f.psql, err = pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.closeConn(f.psql) })
	return f
}

func (f *fixture) open(url string) *vault.Store {
	f.Helper()
	store, err := vault.Open(f.Context(), url)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(store.Close)
	return store
}

// session is one more psql.
func (f *fixture) session() *pgx.Conn {
	f.Helper()
	conn, err := pgx.Connect(f.Context(), f.url)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { f.closeConn(conn) })
	return conn
}

func (f *fixture) closeConn(conn *pgx.Conn) {
	if err := conn.Close(context.Background()); err != nil { // the test's own context has ended
		f.Error(err)
	}
}

func (f *fixture) exec(sql string, args ...any) {
	f.Helper()
	if _, err := f.psql.Exec(f.Context(), sql, args...); err != nil {
		f.Fatalf("%s: %v", sql, err)
	}
}

// value returns the one value that a statement yields.
func value[T any](f *fixture, sql string, args ...any) T {
	f.Helper()
	var v T
	if err := f.psql.QueryRow(f.Context(), sql, args...).Scan(&v); err != nil {
		f.Fatalf("%s: %v", sql, err)
	}
	return v
}

// column returns the one column that a statement yields.
func column[T any](f *fixture, sql string, args ...any) []T {
	f.Helper()
	rows, err := f.psql.Query(f.Context(), sql, args...)
	if err != nil {
		f.Fatalf("%s: %v", sql, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		f.Fatalf("%s: %v", sql, err)
	}
	return list
}

// lastNotice takes what psql showed last: severity and text.
func (f *fixture) lastNotice() (severity, message string) {
	f.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.notices) == 0 {
		f.Fatal("psql was told nothing")
	}
	n := f.notices[len(f.notices)-1]
	f.notices = nil
	return n.Severity, n.Message
}

// code is the SQLSTATE of an error.
func code(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}

// row is what a test sets in a version of a satellite, by column.
type row map[string]any

func equal[T comparable](f *fixture, what string, got, want T) {
	f.Helper()
	if got != want {
		f.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// define adds a definition "usage > 75" that fires at once, with what the test sets otherwise.
func (f *fixture) define(key string, set row) {
	f.Helper()
	f.exec(`INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk) VALUES (util.hash_binary($1), $1)`, key)
	content := row{
		"alert_name": key, "alert_category": "PERFORMANCE", "alert_severity": "HIGH", "metric_source": "system_health",
		"condition_logic": "connection_usage_pct > threshold_value", "threshold_value": 75, "threshold_operator": ">",
		"evaluation_frequency_minutes": 5, "is_enabled": true, "auto_resolve": true, "escalation_enabled": true,
		"escalation_delay_minutes": 15, "suppression_window_minutes": 0, "pending_minutes": 0, "clear_minutes": 0,
		"no_data_state": "NO_DATA", "no_data_minutes": 15, "lookback_minutes": 10, "record_source": "TEST", "hash_diff": `\x`,
		"fire_looks": 1, "of_looks": 1, "min_open_minutes": 0, "reopen_minutes": 0, "flap_count": 4, "flap_minutes": 30, "alert_by": []string{},
	}
	for column, v := range set {
		content[column] = v
	}
	f.exec(`
		INSERT INTO monitoring.alert_definition_s
		SELECT (jsonb_populate_record(NULL::monitoring.alert_definition_s,
		           $2::jsonb || jsonb_build_object('alert_definition_hk', util.hash_binary($1)))).*`, key, content)
}

// revise adds a version of definitions that differs from the current one in what is set.
func (f *fixture) revise(pattern string, set row) {
	f.Helper()
	set["load_date"] = nil // the trigger's to say
	f.exec(`
		INSERT INTO monitoring.alert_definition_s
		SELECT (jsonb_populate_record(s, $2::jsonb)).*
		  FROM monitoring.alert_definition_s s
		  JOIN monitoring.alert_definition_h h USING (alert_definition_hk)
		 WHERE s.load_end_date IS NULL AND h.alert_definition_bk LIKE $1`, pattern, set)
}

// only leaves nothing enabled but what the test defines afterwards.
func (f *fixture) only() { f.Helper(); f.revise("%", row{"is_enabled": false}) }

// inputs are the metrics at a moment.
type inputs map[string]any

func usage(pct float64) inputs { return inputs{"connection_usage_pct": pct} }

// look evaluates the current version of a definition as of a moment and returns result and decision.
func (f *fixture) look(key string, at time.Time, in inputs) string {
	f.Helper()
	return f.lookWith(key, at, in, nil)
}

func (f *fixture) lookWith(key string, at time.Time, in inputs, inputsError *string) string {
	f.Helper()
	return value[string](f, `
		SELECT e.result || ' ' || e.decision
		  FROM monitoring.alert_definition_s s
		  JOIN monitoring.alert_definition_h h USING (alert_definition_hk),
		       LATERAL monitoring.evaluate_definition(s, h.alert_definition_bk, 'local', NULL, $2, $3, $4) AS e
		 WHERE h.alert_definition_bk = $1 AND s.load_end_date IS NULL`, key, at, in, inputsError)
}

// looks expects one outcome per moment; minutes count from start.
type looks []struct {
	minute int
	in     inputs
	want   string // "<result> <decision>"
}

func (f *fixture) follow(key string, start time.Time, story looks) {
	f.Helper()
	for _, l := range story {
		got := f.look(key, start.Add(time.Duration(l.minute)*time.Minute), l.in)
		if got != l.want {
			f.Fatalf("%s, minute %d with %v: %s, want %s", key, l.minute, l.in, got, l.want)
		}
	}
}

// statuses lists the alerts of a definition, oldest first.
func (f *fixture) statuses(key string) []string {
	f.Helper()
	return column[string](f, `SELECT alert_status FROM monitoring.alert_current WHERE alert_definition_bk = $1 ORDER BY triggered_timestamp`, key)
}

// yesterday is a moment that leaves room for a story to end in the past.
func yesterday() time.Time { return time.Now().UTC().Add(-24 * time.Hour).Truncate(time.Microsecond) }

// fire opens an alert of its own definition a minute ago and returns its key.
func (f *fixture) fire(definition string) string {
	f.Helper()
	f.define(definition, nil)
	at := time.Now().UTC().Add(-time.Minute).Truncate(time.Microsecond)
	if got := f.look(definition, at, usage(90)); got != "TRUE FIRED" {
		f.Fatalf("the alert of %s did not fire: %s", definition, got)
	}
	return alert.Key("local", definition, at)
}

// kinds lists the outbox rows of an alert, in order.
func (f *fixture) kinds(alertKey string) []string {
	f.Helper()
	return column[string](f, `SELECT kind FROM monitoring.outbox WHERE alert_instance_hk = util.hash_binary($1) ORDER BY outbox_id`, alertKey)
}

// versions counts the versions of an alert's state.
func (f *fixture) versions(alertKey string) int {
	f.Helper()
	return value[int](f, `SELECT count(*) FROM monitoring.alert_instance_s WHERE alert_instance_hk = util.hash_binary($1)`, alertKey)
}

// sample records a measurement of now, as a collection does.
func (f *fixture) sample(name string, v float64) {
	f.Helper()
	if _, err := f.store.RecordHealth(f.Context(), "local", time.Now(), time.Minute, []vault.Sample{
		{Name: name, Category: "PERFORMANCE", Unit: "%", Value: &v, Source: "test"},
	}); err != nil {
		f.Fatal(err)
	}
}
