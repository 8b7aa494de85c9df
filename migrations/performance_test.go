package migrations_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"onevault/pgserver/pgtest"
)

// entry is what pg_stat_statements shows of one statement.
type entry struct {
	queryID     int64
	calls       int64
	totalMS     float64
	rows        int64
	hit, read   int64
	tempWritten int64
	plans       int64
	planMS      float64
	jitMS       *float64  // nil: the server does not count it
	since       time.Time // zero: the server does not tell
}

// samples writes samples of a server that nobody runs.
type samples struct {
	t     *testing.T
	db    *pgxpool.Pool
	start time.Time
	reset time.Time // of the statistics
	limit int       // of each ranking
}

func newSamples(t *testing.T) *samples {
	t.Helper()
	start := time.Now().UTC().Truncate(time.Microsecond).Add(-time.Hour)
	return &samples{t: t, db: pgtest.Pool(t), start: start, reset: start.Add(-24 * time.Hour), limit: 20}
}

// record writes a sample of a minute and returns "queryid calls total is_reset seconds" of its rows.
func (s *samples) record(minute int, entries ...entry) []string {
	s.t.Helper()
	at := s.start.Add(time.Duration(minute) * time.Minute)
	list := []any{}
	for _, e := range entries {
		var since *time.Time
		if !e.since.IsZero() {
			since = &e.since
		}
		list = append(list, []any{10, 5, e.queryID, true, e.calls, e.totalMS, e.rows, e.hit, e.read, 0, 0, e.tempWritten, 0, 0, e.plans, e.planMS, e.jitMS, since})
	}
	document, err := json.Marshal(map[string]any{
		"sampled_at": at, "stats_reset": s.reset, "evicted": 0, "readable": true, "work_mem_bytes": 4 << 20, "block_bytes": 8192,
		"databases": map[string]string{"5": "shop"}, "roles": map[string]string{"10": "app"}, "entries": list,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	exec(s.t, s.db, `SELECT FROM monitoring.record_statement_samples('there', NULL, $1, '{"texts": [[10, 5, 1, true, "SELECT * FROM orders WHERE id = $1"]]}', $2, 60)`, document, s.limit)
	return values[string](s.t, s.db, `
		SELECT format('%s %s %s %s %s', query_hash, calls, trim_scale(total_time_ms), is_reset, extract(epoch FROM measurement_period_end - measurement_period_start)::integer)
		  FROM monitoring.performance_metric_s WHERE measurement_period_end = $1 ORDER BY total_time_ms DESC`, at)
}

func (s *samples) wants(minute int, want []string, entries ...entry) {
	s.t.Helper()
	if got := s.record(minute, entries...); !slices.Equal(got, want) {
		s.t.Errorf("minute %d: got %q, want %q", minute, got, want)
	}
}

func TestPerformance_RecordsWhatStatementsCostBetweenTwoSamples(t *testing.T) {
	t.Parallel()
	s := newSamples(t)
	// The first sample holds the totals since the statistics began, and says so by its period.
	s.wants(0, []string{"1 100 5000 f 86400", "2 10 40 f 86400"}, entry{queryID: 1, calls: 100, totalMS: 5000}, entry{queryID: 2, calls: 10, totalMS: 40})
	s.wants(1, []string{"1 10 500 f 60"}, entry{queryID: 1, calls: 110, totalMS: 5500}, entry{queryID: 2, calls: 10, totalMS: 40})
	s.wants(2, []string{"3 1 7 f 60"}, entry{queryID: 1, calls: 110, totalMS: 5500}, entry{queryID: 3, calls: 1, totalMS: 7})
	// Statement 2 was evicted and came back: what it shows is new since the sample before.
	s.wants(3, []string{"2 2 8 f 60"}, entry{queryID: 1, calls: 110, totalMS: 5500}, entry{queryID: 3, calls: 1, totalMS: 7}, entry{queryID: 2, calls: 2, totalMS: 8})
	if got := value[string](t, s.db, `
		SELECT concat_ws(' ', database_name, username, query_text, trim_scale(mean_time_ms), performance_rating, trim_scale(pct_of_total))
		  FROM monitoring.performance_metric_s WHERE query_hash = '1' ORDER BY measurement_period_end DESC LIMIT 1`); got != "shop app SELECT * FROM orders WHERE id = $1 50 EXCELLENT 100" {
		t.Errorf("got %q", got)
	}
}

func TestPerformance_CountersThatBeganAnewAreNotSubtracted(t *testing.T) {
	t.Parallel()
	s := newSamples(t)
	s.record(0, entry{queryID: 1, calls: 100, totalMS: 5000}, entry{queryID: 2, calls: 50, totalMS: 900})
	// pg_stat_statements_reset(userid, dbid, queryid) of one.
	s.wants(1, []string{"2 10 100 f 60", "1 3 30 t 60"}, entry{queryID: 1, calls: 3, totalMS: 30}, entry{queryID: 2, calls: 60, totalMS: 1000})
	// A reset of all, after which one ran more often than ever before.
	s.reset = s.start.Add(90 * time.Second)
	s.wants(2, []string{"1 500 9000 t 30"}, entry{queryID: 1, calls: 500, totalMS: 9000})
}

func TestPerformance_ALateSampleIsLeftOut(t *testing.T) {
	t.Parallel()
	s := newSamples(t)
	s.record(1, entry{queryID: 1, calls: 100, totalMS: 5000})
	s.record(3, entry{queryID: 1, calls: 300, totalMS: 6000})
	s.wants(2, nil, entry{queryID: 1, calls: 200, totalMS: 5500}) // read earlier, recorded later
	s.wants(4, []string{"1 1 10 f 60"}, entry{queryID: 1, calls: 301, totalMS: 6010})
}

func TestPerformance_KeepsTheTextOnceAndItsBeginningInEachMeasurement(t *testing.T) {
	t.Parallel()
	s := newSamples(t)
	for minute := range 3 {
		s.record(minute, entry{queryID: 1, calls: int64(minute + 1), totalMS: float64(minute + 1)})
	}
	if n := value[int](t, s.db, "SELECT count(*) FROM monitoring.performance_statement_s"); n != 1 {
		t.Errorf("%d texts", n)
	}
	if n := value[int](t, s.db, "SELECT count(*) FROM monitoring.performance_metric_s WHERE query_text LIKE 'SELECT * FROM orders%'"); n != 3 {
		t.Errorf("%d of 3 measurements show the text", n)
	}
}

func TestPerformance_SuggestsWithNumbers(t *testing.T) {
	t.Parallel()
	s := newSamples(t)
	s.record(0, entry{queryID: 1, calls: 1, totalMS: 1})
	s.record(1, entry{queryID: 1, calls: 5, totalMS: 8001, rows: 40, hit: 1000, read: 99000, tempWritten: 12800})
	said := value[string](t, s.db, `
		SELECT array_to_string(optimization_suggestions, E'\n') FROM monitoring.performance_metric_s ORDER BY measurement_period_end DESC LIMIT 1`)
	for _, words := range []string{
		"wrote 100.0 MB of temporary files in 4 calls (25.0 MB per call) with work_mem at 4.0 MB",
		"read 773.4 MB past shared buffers, a hit ratio of 1.0 %",
		"touched 2500 blocks for each row that it returned (25000 blocks per call)",
		"took 2000 ms on average in 4 calls",
	} {
		if !strings.Contains(said, words) {
			t.Errorf("said %q, want %q", said, words)
		}
	}
	s.record(2, entry{queryID: 1, calls: 20005, totalMS: 9001, rows: 20040, hit: 41000, read: 99000, tempWritten: 12800})
	said = value[string](t, s.db, `
		SELECT array_to_string(optimization_suggestions, E'\n') FROM monitoring.performance_metric_s ORDER BY measurement_period_end DESC LIMIT 1`)
	if said != "ran 333 times a second at 0.050 ms each: fetch many rows at once, or cache in the application" {
		t.Errorf("said %q", said)
	}
}

func TestPerformance_RatesByMeanTime(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for mean, want := range map[float64]string{
		0: "EXCELLENT", 100: "EXCELLENT", 100.1: "GOOD", 500: "GOOD", 500.1: "POOR", 1000: "POOR", 1000.1: "CRITICAL",
	} {
		if got := value[string](t, db, "SELECT monitoring.rate_performance($1::float8::numeric)", mean); got != want {
			t.Errorf("%v ms is %s, want %s", mean, got, want)
		}
	}
}

func TestPerformance_ConcurrentSamplersCountEachCallOnce(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	exec(t, db, "SELECT monitoring.collect_performance_metrics()")
	const rounds = 20
	done := make(chan error, 4)
	for range 4 {
		conn := connect(t, address)
		go func() {
			var err error
			for i := 0; i < rounds && err == nil; i++ {
				// Dear enough to be among the costliest 1,000 of a server that all tests share.
				if _, err = conn.Exec(t.Context(), "SELECT count(*) AS counted_once FROM generate_series(1, 50000)"); err == nil && i%10 == 0 {
					_, err = conn.Exec(t.Context(), "SELECT monitoring.collect_performance_metrics(NULL, 1000)")
				}
			}
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	exec(t, db, "SELECT monitoring.collect_performance_metrics(NULL, 1000)")
	if calls := value[int](t, db, `
		SELECT coalesce(sum(calls), 0) FROM monitoring.performance_metric_s
		 WHERE database_name = current_database() AND query_text LIKE '%counted_once%'`); calls != 4*rounds {
		t.Errorf("%d calls were recorded of %d", calls, 4*rounds)
	}
}

func TestPerformance_WithoutTheExtensionItSaysSoAndIsUnknown(t *testing.T) {
	t.Parallel()
	db := listen(t, pgtest.DB(t))
	exec(t, db, "DROP EXTENSION pg_stat_statements CASCADE")
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.collect_performance_metrics()"); n != 0 {
		t.Errorf("%d statements", n)
	}
	if said := db.heard(); !strings.Contains(said, "cannot be read") {
		t.Errorf("said %q", said)
	}
	if got := values[string](t, db, "SELECT metric_name || ' ' || status FROM monitoring.system_health_metric_s"); fmt.Sprint(got) != "[statement_period_s UNKNOWN]" {
		t.Errorf("recorded %v", got)
	}
	if status := value[string](t, db, "SELECT status FROM monitoring.system_dashboard WHERE metric_name = 'slow_queries_count'"); status != "UNKNOWN" {
		t.Errorf("the dashboard calls it %s", status)
	}
}

func TestPerformance_RefusesALimitThatMakesNoSense(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for _, limit := range []int{0, -1, 1001} {
		refused(t, db, "22023", []string{fmt.Sprint("p_top_queries_limit is ", limit), "1 to 1000"}, "SELECT monitoring.collect_performance_metrics(NULL, $1)", limit)
	}
}

// What is recorded is the union of four rankings, each as long as the limit.
func TestPerformance_RecordsTheFirstOfEachRankingWithItsPlaces(t *testing.T) {
	t.Parallel()
	s := newSamples(t)
	s.limit = 1
	s.record(0, entry{queryID: 9, calls: 1, totalMS: 1})
	s.record(1,
		entry{queryID: 9, calls: 1, totalMS: 1},
		entry{queryID: 1, calls: 100, totalMS: 9000, read: 5},          // costliest
		entry{queryID: 2, calls: 1, totalMS: 2000, read: 4},            // slowest
		entry{queryID: 3, calls: 10, totalMS: 300, tempWritten: 70000}, // most I/O
		entry{queryID: 4, calls: 5000, totalMS: 200},                   // most often
		entry{queryID: 5, calls: 50, totalMS: 5000, read: 6})           // second in most
	got := values[string](t, s.db, `
		SELECT concat_ws(' ', query_hash, rank_total, rank_mean, coalesce(rank_io, 0), rank_calls)
		  FROM monitoring.performance_metric_s WHERE measurement_period_end = (SELECT max(measurement_period_end) FROM monitoring.performance_metric_s)
		 ORDER BY rank_total`)
	if want := []string{"1 1 3 3 2", "2 3 1 4 5", "3 4 4 1 4", "4 5 5 0 1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The guide asks for the top by total time; its limit is the number of rows.
func TestPerformance_TheGuidesFunctionReturnsTheTopByTotalTime(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	exec(t, db, "SELECT FROM monitoring.collect_performance_metrics()")
	for n := range 8 {
		exec(t, db, "SELECT count(*)"+strings.Repeat(", 1", n)+" FROM generate_series(1, 1000)")
	}
	times := values[float64](t, db, "SELECT total_time_ms::float8 FROM monitoring.collect_performance_metrics(NULL, 3)")
	if len(times) != 3 || !slices.IsSortedFunc(times, func(a, b float64) int { return cmp.Compare(b, a) }) {
		t.Errorf("total times are %v, want 3, the largest first", times)
	}
	if recorded := value[int](t, db, "SELECT count(*) FROM monitoring.performance_metric_s WHERE measurement_period_end = (SELECT max(measurement_period_end) FROM monitoring.performance_metric_s)"); recorded < 3 || recorded > 12 {
		t.Errorf("%d statements are recorded of 4 rankings of 3", recorded)
	}
}

// An entry that was evicted and came back may have grown past what it was; PostgreSQL 17 says when it began.
func TestPerformance_AnEntryThatBeganAfterTheSampleBeforeIsNotSubtracted(t *testing.T) {
	t.Parallel()
	s := newSamples(t)
	old := s.start.Add(-time.Hour)
	s.record(0, entry{queryID: 1, calls: 100, totalMS: 1000, since: old}, entry{queryID: 2, calls: 10, totalMS: 100, since: old})
	s.wants(1, []string{"1 150 3000 t 30", "2 1 10 f 60"},
		entry{queryID: 1, calls: 150, totalMS: 3000, since: s.start.Add(30 * time.Second)}, entry{queryID: 2, calls: 11, totalMS: 110, since: old})
	s.wants(2, []string{"1 1 10 f 60"}, entry{queryID: 1, calls: 151, totalMS: 3010, since: s.start.Add(30 * time.Second)}, entry{queryID: 2, calls: 11, totalMS: 110, since: old})
}

func TestPerformance_PlanningAndCompilingAreToldWhereTheyAreCounted(t *testing.T) {
	t.Parallel()
	s := newSamples(t)
	compiled := func(ms float64) *float64 { return &ms }
	told := func(minute int, e entry) string {
		s.record(minute, e)
		return value[string](t, s.db, `
			SELECT concat_ws(' ', coalesce(trim_scale(plan_time_ms)::text, 'unknown'), coalesce(trim_scale(jit_time_ms)::text, 'unknown'), suggestion_evidence ->> 0)
			  FROM monitoring.performance_metric_s ORDER BY measurement_period_end DESC LIMIT 1`)
	}
	if got := told(0, entry{queryID: 1, calls: 10, totalMS: 100}); got != "unknown unknown" {
		t.Errorf("of a server that does not count it: %q", got)
	}
	// The extension was updated: what it counts began before the sample.
	if got := told(1, entry{queryID: 1, calls: 20, totalMS: 200, plans: 5, planMS: 50, jitMS: compiled(70)}); got != "50 unknown" {
		t.Errorf("after an update: %q", got)
	}
	if got := told(2, entry{queryID: 1, calls: 30, totalMS: 2200, plans: 15, planMS: 2550, jitMS: compiled(2000)}); !strings.HasPrefix(got, "2500 1930 {") || !strings.Contains(got, `"PLANNING"`) {
		t.Errorf("most of it is planning: %q", got)
	}
	if got := told(3, entry{queryID: 1, calls: 40, totalMS: 4200, plans: 15, planMS: 2550, jitMS: compiled(3500)}); !strings.HasPrefix(got, "unknown 1500 {") || !strings.Contains(got, `"JIT"`) {
		t.Errorf("most of it is compiling: %q", got)
	}
}

func TestFilterColumns_AreThoseThatAPlainIndexAnswers(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for condition, want := range map[string]string{
		"customer_email = $1":                     "customer_email",
		"o.customer_email = $1 AND o.status = $2": "customer_email,status",
		"created_at > now() - $1 AND status = $2": "status,created_at", // equality first
		"a > $1 AND a < $2 AND b >= $3":           "a",                 // an index uses one range
		"a BETWEEN $1 AND $2":                     "a",
		"a IN ($1, $2) OR b IS NULL":              "a,b",
		"id = ANY ($1)":                           "id",
		"id = ANY(ARRAY[$1, $2])":                 "id",
		`"Orders"."Id" = $1`:                      "Id",
		"Status = $1":                             "status",
		"o.customer_id = c.id":                    "", // a join
		"o.customer_id = c.id AND c.city = $1":    "city",
		"status <> $1":                            "",
		"lower(email) = $1":                       "",
		"note LIKE $1":                            "",
		"tags @> $1":                              "",
		"doc ->> $1 = $2":                         "",
		"a IN (SELECT b FROM t)":                  "",
		"((orders.status)::text = $1)":            "status",
		"((status)::text = ANY ($1))":             "status",
		"(lower((email)::text) = $1)":             "",
		"((kind)::character varying = ?::text)":   "kind",

		"((orders.customer_email = $1) AND (orders.amount > ?))": "customer_email,amount",
	} {
		if got := value[string](t, db, "SELECT array_to_string(monitoring.filter_columns($1), ',')", condition); got != want {
			t.Errorf("%s: got %q, want %q", condition, got, want)
		}
	}
}

func TestCanHavePlan_OfWhatThePlannerPlans(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for text, want := range map[string]bool{
		"SELECT 1": true, "(select $1)": true, "\n  WITH a AS (SELECT $1) SELECT * FROM a": true, "/* app:x */ UPDATE t SET a = $1": true,
		"-- why\nDELETE FROM t": true, "MERGE INTO t": true, "INSERT INTO t VALUES ($1)": true,
		"VACUUM t": false, "COPY (SELECT 1) TO STDOUT": false, "CREATE TABLE t AS SELECT 1": false, "EXPLAIN ANALYZE DELETE FROM t": false,
		"/* SELECT */ DROP TABLE t": false, "selection": false, "DO $$ SELECT $$": false,
	} {
		if got := value[bool](t, db, "SELECT monitoring.can_have_plan($1)", text); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestPerformance_EachSuggestionHasItsEvidence(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	exec(t, db, "INSERT INTO monitoring.performance_metric_h (performance_metric_hk, performance_metric_bk) VALUES (util.hash_binary('Q'), 'Q')")
	refused(t, db, "23514", []string{"each_suggestion_has_evidence"}, `
		INSERT INTO monitoring.performance_metric_s (performance_metric_hk, hash_diff, measurement_period_end, optimization_suggestions, suggestion_evidence)
		VALUES (util.hash_binary('Q'), '\x', now(), '{one, two}', '[{"kind": "SLOW"}]')`)
}

func TestRedactStatement_KeepsNoSecret(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for _, statement := range []string{
		"ALTER ROLE app PASSWORD 'hunter2'",
		"alter user app with encrypted password E'hunter2\\'x' valid until '2030-01-01'",
		"CREATE ROLE app LOGIN PASSWORD $$hunter2$$",
		"CREATE ROLE app LOGIN PASSWORD $pw$hunter2$pw$",
		"CREATE ROLE app LOGIN PASSWORD U&'hunter2'",
		"CREATE USER MAPPING FOR app SERVER s OPTIONS (user 'app', password 'hunter2')",
		"CREATE SUBSCRIPTION s CONNECTION 'host=h user=u password=hunter2' PUBLICATION p",
		"CREATE SUBSCRIPTION s CONNECTION 'postgresql://u:hunter2@h/db' PUBLICATION p",
		"SELECT dblink_connect('c', 'host=h password=hunter2')",
		"DO $$ BEGIN EXECUTE 'ALTER ROLE app PASSWORD ''hunter2'''; END $$",
		"DO $body$ BEGIN PERFORM set_config('app.token', 'hunter2', false); END $body$",
		"SET app.api_token TO hunter2",
		"SET app.api_token = hunter2",
		"ALTER ROLE app SET app.secret = 'hunter2'",
		"COPY t FROM PROGRAM 'curl -u app:hunter2 https://example.com'",
		"CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (secret_access_key 'hunter2')",
		"/* password=hunter2 */ SELECT 1",
		"SELECT 1 -- token: hunter2\n FROM t",
		"/* a /* password=hunter2 */ b */ SELECT 1",
		"SELECT 1 /* password=hunter2",
		"ALTER ROLE app PASSWORD 'hunter2",
		"SELECT http_get('https://u:hunter2@example.com')",
	} {
		got := value[string](t, db, "SELECT monitoring.redact_statement($1)", statement)
		if strings.Contains(got, "hunter2") || got == "" {
			t.Errorf("%q is kept as %q", statement, got)
		}
	}
	for _, statement := range []string{
		"SELECT * FROM orders WHERE id = $1 AND note = $2",
		"SELECT * FROM users WHERE password = $1 AND token = t.token",
		"COPY orders TO '/tmp/orders.csv'",
		"UPDATE sessions SET token = $1 WHERE id = $2",
	} {
		if got := value[string](t, db, "SELECT monitoring.redact_statement($1)", statement); got != statement {
			t.Errorf("%q became %q", statement, got)
		}
	}
	for statement, want := range map[string]string{
		"SET app.encryption_key = 'hunter2'":                    "SET app.encryption_key = '***'",
		"set local app.jwt_hmac to hunter2":                     "set local app.jwt_hmac to '***'",
		"CALL pay('hunter2', 4111111111111111)":                 "CALL pay(***)",
		"/* by 'x' */ EXECUTE q(4111111111111111)":              "EXECUTE q(***)",
		"DO $$BEGIN PERFORM pay('hunter2'); END$$":              "DO '***'",
		"COPY (SELECT * FROM card WHERE n = 'hunter2') TO '/x'": "COPY (SELECT * FROM card WHERE n = '***'",
		"CREATE TEMP TABLE t AS SELECT 'hunter2'":               "CREATE TEMP TABLE t AS SELECT '***'",
		"EXPLAIN (ANALYZE) SELECT * FROM t WHERE n = 'hunter2'": "EXPLAIN (ANALYZE) SELECT * FROM t WHERE n = '***'",
		"DECLARE c CURSOR FOR SELECT 'hunter2'":                 "DECLARE c CURSOR FOR SELECT '***'",
		"SET timezone = 'UTC'":                                  "SET timezone = 'UTC'",
		"COPY t FROM '/tmp/t.csv'":                              "COPY t FROM '/tmp/t.csv'",
		"SELECT call, $1 FROM execute":                          "SELECT call, $1 FROM execute",
	} {
		if got := value[string](t, db, "SELECT monitoring.redact_statement($1)", statement); got != want {
			t.Errorf("%s becomes %s, want %s", statement, got, want)
		}
	}
	if got := value[string](t, db, "SELECT monitoring.redact_statement($1)", "ALTER ROLE app PASSWORD 'hunter2' VALID UNTIL 'x'"); got != "ALTER ROLE app PASSWORD '***'" {
		t.Errorf("kept as %q", got)
	}
}

// What the server really counts of a password being set, as it stands in the vault.
func TestPerformance_APasswordThatWasSetStandsNowhereInTheVault(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	role, _ := newRole(t, address)
	// The server counts so many statements and drops those that ran least, and other tests have many.
	for range 50 {
		exec(t, db, "ALTER ROLE "+role+" PASSWORD 'hunter2-of-the-test'")
	}
	exec(t, db, "SELECT monitoring.collect_performance_metrics(NULL, 1000)")
	if seen := value[int](t, db, "SELECT count(*) FROM pg_stat_statements WHERE query LIKE '%hunter2-of-the-test%' AND query LIKE 'ALTER ROLE%'"); seen == 0 {
		t.Fatal("the server does not count it, so the test proves nothing")
	}
	for _, table := range []string{"performance_metric_s", "performance_statement_s"} {
		if n := value[int](t, db, "SELECT count(*) FROM monitoring."+table+" WHERE query_text LIKE '%hunter2-of-the-test%'"); n != 0 {
			t.Errorf("%s holds it %d times", table, n)
		}
	}
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.performance_statement_s WHERE query_text LIKE 'ALTER ROLE "+role+" PASSWORD ''***'''"); n != 1 {
		t.Errorf("the statement itself is there %d times", n)
	}
}
