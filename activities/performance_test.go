package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"onevault/pgserver"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

// shop is a watched server of its own, on which nothing runs but what a test runs, and the vault of its samples.
type shop struct {
	*testing.T
	dir    string
	server *pgserver.Server
	app    *pgx.Conn // runs the statements
	store  *vault.Store
}

// newShop starts a server with 200,000 orders and 200,000 customers, whose ids alone have an index.
func newShop(t *testing.T) *shop {
	t.Helper()
	dir, err := os.MkdirTemp("", "shop") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s := &shop{T: t, dir: dir, store: vaultAt(t, pgtest.DB(t))}
	s.start()
	t.Cleanup(func() {
		if err := s.server.Stop(); err != nil {
			t.Error(err)
		}
	})
	s.run("CREATE EXTENSION pg_stat_statements")
	s.run(`CREATE TABLE orders AS
	       SELECT n AS id, 'customer' || n || '@example.com' AS customer_email, n % 3 AS status, (n * 7) % 1000 AS amount, repeat('x', 60) AS note
	         FROM generate_series(1, 200000) AS n`)
	s.run("CREATE TABLE customers AS SELECT n AS id, md5(n::text) AS phone, repeat('y', 60) AS address FROM generate_series(1, 200000) AS n")
	s.run("ALTER TABLE orders ADD PRIMARY KEY (id)")
	s.run("ALTER TABLE customers ADD PRIMARY KEY (id)")
	s.run("SELECT pg_stat_force_next_flush()")
	s.run("SELECT count(orders.*), count(customers.*) FROM orders, customers WHERE orders.id = customers.id") // now they are cached
	s.run("ANALYZE")
	for role, grants := range map[string]string{"watcher": "pg_monitor", "planner": "pg_monitor, pg_read_all_data"} {
		s.run("CREATE ROLE " + role + " LOGIN PASSWORD 'only-in-this-test'")
		s.run("GRANT " + grants + " TO " + role)
	}
	return s
}

func (s *shop) start() {
	s.Helper()
	var err error
	s.server, err = pgserver.Start(s.Context(), pgserver.Config{Dir: s.dir, Settings: map[string]string{
		"fsync": "off", "shared_buffers": "256MB", "jit": "off", "autovacuum": "off", "pg_stat_statements.track_planning": "on",
	}})
	if err != nil {
		s.Fatal(err)
	}
	s.app = s.connect(s.server.URL("postgres"))
}

// restart ends the server, in order or as a crash does, and starts it on its data again.
func (s *shop) restart(crash bool) {
	s.Helper()
	if crash {
		if err := syscall.Kill(s.server.PID(), syscall.SIGQUIT); err != nil {
			s.Fatal(err)
		}
		<-s.server.Done()
	}
	if err := s.server.Stop(); err != nil && !crash {
		s.Fatal(err)
	}
	s.start()
}

func (s *shop) connect(address string) *pgx.Conn {
	s.Helper()
	conn, err := pgx.Connect(s.Context(), address)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func (s *shop) run(sql string, args ...any) {
	s.Helper()
	if _, err := s.app.Exec(s.Context(), sql, args...); err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
}

// as is the address of the shop for one of its roles.
func (s *shop) as(role string) string {
	s.Helper()
	u, err := url.Parse(s.server.URL("postgres"))
	if err != nil {
		s.Fatal("the address of the test server is not a URL")
	}
	u.User = url.UserPassword(role, "only-in-this-test")
	return u.String()
}

// sample collects once, after what ran is counted.
func (s *shop) sample(c *Collection) {
	s.Helper()
	s.run("SELECT pg_stat_force_next_flush()")
	s.run("SELECT 1") // the flush comes with the end of a transaction
	out, err := c.CollectPerformance(s.Context(), CollectPerformanceInput{Target: "there"})
	if err != nil || out.Error != "" {
		s.Fatalf("%+v, %v", out, err)
	}
}

// advised is what the newest sample of a statement suggests.
type advised struct {
	suggestions []string
	evidence    []map[string]any
}

func (a advised) kinds() (list []string) {
	for _, e := range a.evidence {
		list = append(list, fmt.Sprint(e["kind"]))
	}
	return list
}

// advice reads the newest sample of the statement whose text begins so.
func (s *shop) advice(text string) advised {
	s.Helper()
	var (
		a        advised
		evidence []byte
	)
	err := s.store.Pool().QueryRow(s.Context(), `
		SELECT optimization_suggestions, suggestion_evidence FROM monitoring.performance_metric_s
		 WHERE query_text LIKE $1 || '%' ORDER BY measurement_period_end DESC LIMIT 1`, text).Scan(&a.suggestions, &evidence)
	if err != nil {
		s.Fatalf("no sample of %s: %v", text, err)
	}
	if err := json.Unmarshal(evidence, &a.evidence); err != nil {
		s.Fatal(err)
	}
	if len(a.suggestions) != len(a.evidence) {
		s.Errorf("%d suggestions, %d pieces of evidence", len(a.suggestions), len(a.evidence))
	}
	return a
}

const byEmail = "SELECT id, note FROM orders WHERE customer_email ="

func (s *shop) search() {
	s.Helper()
	for n := range 20 {
		s.run(byEmail+" $1 AND status = $2", fmt.Sprintf("customer%d@example.com", n+1), (n+1)%3)
	}
}

func (s *shop) wantsMissingIndex(source string) {
	s.Helper()
	a := s.advice(byEmail)
	if !slices.Equal(a.kinds(), []string{"MISSING_INDEX"}) {
		s.Fatalf("suggested %q", a.suggestions)
	}
	e := a.evidence[0]
	if e["source"] != source || e["table"] != "public.orders" || fmt.Sprint(e["columns"]) != "[customer_email status]" ||
		e["table_rows"] != 200000.0 || e["calls"] != 20.0 || e["table_scans"].(float64) < 20 || e["rows_read_by_scans"].(float64) < 20*200000 ||
		e["blocks_per_call"].(float64) < 1000 || e["rows_per_call"] != 1.0 {
		s.Errorf("evidence is %v", e)
	}
	for _, words := range []string{
		"filters public.orders (200000 rows, ",
		" MB) by customer_email, status, with which no index begins",
		"CREATE INDEX CONCURRENTLY ON public.orders (customer_email, status)",
	} {
		if !strings.Contains(a.suggestions[0], words) {
			s.Errorf("said %q, want %q", a.suggestions[0], words)
		}
	}
}

func TestPerformanceAdvice_AFilterWithoutAnIndexIsNamedByItsPlan(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := watching(t, s.as("planner"), s.store)
	s.sample(c)
	s.search()
	s.sample(c)
	s.wantsMissingIndex("PLAN")
	plan := ask[string](t, s.store, "SELECT coalesce(plan::text, problem) FROM monitoring.performance_plan_s p JOIN monitoring.performance_statement_s t USING (performance_metric_hk) WHERE t.query_text LIKE $1 || '%'", byEmail)
	if len(plan) != 1 || !strings.Contains(plan[0], `"Relation Name": "orders"`) || !strings.Contains(plan[0], "customer_email = $1") {
		t.Errorf("the plan is %q", plan)
	}

	// The plan is asked for once in six hours; whether an index is there is looked at each time.
	s.run("CREATE INDEX orders_email ON orders (customer_email)")
	s.search()
	s.sample(c)
	// What else it may suggest of a statement that has become fast is no matter of its plan.
	if a := s.advice(byEmail); slices.ContainsFunc(a.suggestions, func(said string) bool { return strings.Contains(said, "index") }) {
		t.Errorf("with an index it suggests %q", a.suggestions)
	}
}

func TestPerformanceAdvice_ARoleThatMayOnlyMonitorNamesItByTheText(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := watching(t, s.as("watcher"), s.store)
	s.sample(c)
	s.search()
	s.sample(c)
	s.wantsMissingIndex("TEXT")
	if got := ask[string](t, s.store, "SELECT DISTINCT coalesce(problem, plan::text) FROM monitoring.performance_plan_s p JOIN monitoring.performance_statement_s t USING (performance_metric_hk) WHERE t.query_text LIKE $1 || '%'", byEmail); len(got) != 1 || !strings.Contains(got[0], "permission denied for table") || !strings.Contains(got[0], "GRANT pg_read_all_data") {
		t.Errorf("why there is no plan: %q", got)
	}
	s.run("CREATE INDEX orders_email ON orders (customer_email)")
	s.run("ANALYZE orders")
	s.search()
	s.sample(c)
	// What else it may suggest of a statement that has become fast is no matter of its plan.
	if a := s.advice(byEmail); slices.ContainsFunc(a.suggestions, func(said string) bool { return strings.Contains(said, "index") }) {
		t.Errorf("with an index it suggests %q", a.suggestions)
	}
}

// The planner runs functions that others wrote: with a superuser's rights it is not asked.
func TestPerformanceAdvice_ASuperuserAsksForNoPlan(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := watching(t, s.server.URL("postgres"), s.store)
	s.sample(c)
	s.search()
	s.sample(c)
	s.wantsMissingIndex("TEXT")
	if got := ask[string](t, s.store, "SELECT DISTINCT coalesce(problem, plan::text) FROM monitoring.performance_plan_s p JOIN monitoring.performance_statement_s t USING (performance_metric_hk) WHERE t.query_text LIKE $1 || '%'", byEmail); !slices.Equal(got, []string{"not asked: the collector logs in as a superuser"}) {
		t.Errorf("why there is no plan: %q", got)
	}
}

func TestPerformanceAdvice_TellsScansApart(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.run("CREATE INDEX orders_status ON orders (status)")
	for role, source := range map[string]string{"planner": "PLAN", "watcher": "TEXT"} {
		s.store = vaultAt(t, pgtest.DB(t)) // which knows no plan yet
		c := watching(t, s.as(role), s.store)
		s.sample(c)
		for range 5 {
			s.run("SELECT sum(amount) FROM orders")
			s.run("SELECT count(*) FROM customers WHERE lower(phone) = 'x'")
			s.run("SELECT id FROM customers")
			s.run("SELECT note FROM orders WHERE id = 7")
			s.run("SELECT count(*) FROM orders o JOIN customers c ON c.id = o.id WHERE o.customer_email = 'customer1@example.com'")
		}
		s.sample(c)
		for text, want := range map[string]string{
			"SELECT sum(amount)":                      "[WHOLE_TABLE]",
			"SELECT count(*) FROM customers WHERE":    "[SEQUENTIAL_SCAN]",
			"SELECT id FROM customers":                "[MANY_ROWS]", // it wants all of them
			"SELECT note FROM orders WHERE id":        "[]",
			"SELECT count(*) FROM orders o JOIN cust": "[MISSING_INDEX]",
		} {
			if a := s.advice(text); fmt.Sprint(a.kinds()) != want {
				t.Errorf("%s, %s: %q, want %s", role, text, a.suggestions, want)
			} else if want == "[SEQUENTIAL_SCAN]" && a.evidence[0]["source"] != source {
				t.Errorf("%s, %s: by the %v, want %s", role, text, a.evidence[0]["source"], source)
			}
		}
	}
}

func TestPerformanceAdvice_TemporaryFilesAndCache(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := watching(t, s.as("watcher"), s.store)
	s.sample(c)
	s.run("SET work_mem = '64kB'")
	s.run("SELECT count(*) FROM (SELECT note, customer_email FROM orders ORDER BY customer_email OFFSET 0) AS sorted")
	s.sample(c)
	a := s.advice("SELECT count(*) FROM (SELECT note")
	at := slices.Index(a.kinds(), "TEMP_SPILL")
	if at < 0 || a.evidence[at]["temp_mb"].(float64) < 10 || a.evidence[at]["work_mem_mb"] != 4.0 || !strings.Contains(a.suggestions[at], "MB of temporary files in 1 call") {
		t.Errorf("suggested %q with %v", a.suggestions, a.evidence)
	}

	// All of it comes from outside shared buffers.
	s.restart(false)
	c = watching(t, s.as("watcher"), s.store)
	s.sample(c)
	s.run("SELECT max(note) FROM orders")
	s.sample(c)
	a = s.advice("SELECT max(note)")
	if at := slices.Index(a.kinds(), "CACHE_MISS"); at < 0 || a.evidence[at]["hit_pct"].(float64) > 50 || a.evidence[at]["read_mb"].(float64) < 15 {
		t.Errorf("suggested %q with %v", a.suggestions, a.evidence)
	}
}

// A secret in a view is no constant of the statement, and no $n either.
func TestPerformanceAdvice_NoConstantOfAPlanIsKept(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.run("CREATE VIEW of_hunter AS SELECT * FROM orders WHERE customer_email <> 'hunter2' AND amount <> 4111 AND note <> E'hun\\\\ter2'")
	c := watching(t, s.as("planner"), s.store)
	s.sample(c)
	for range 3 {
		s.run("SELECT count(*) FROM of_hunter WHERE status = 1")
	}
	s.sample(c)
	plans := ask[string](t, s.store, "SELECT plan::text FROM monitoring.performance_plan_s WHERE plan::text LIKE '%customer_email <>%'")
	if len(plans) != 1 {
		t.Fatalf("plans: %q", plans)
	}
	for _, secret := range []string{"hun", "4111"} {
		if strings.Contains(plans[0], secret) {
			t.Errorf("%s stands in %s", secret, plans[0])
		}
	}
	if !strings.Contains(plans[0], "status = $1") {
		t.Errorf("the parameter is lost: %s", plans[0])
	}
}

// Asking for plans changes nothing, also when the statement would, and leaves nothing behind.
func TestPerformanceAdvice_AStatementThatIsAskedAboutDoesNotRun(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.run("GRANT SELECT, UPDATE ON orders TO planner")
	c := watching(t, s.as("planner"), s.store)
	s.sample(c)
	for range 3 {
		s.run("UPDATE orders SET note = 'changed' WHERE customer_email = 'nobody'")
	}
	s.sample(c)
	if a := s.advice("UPDATE orders"); !slices.Equal(a.kinds(), []string{"MISSING_INDEX"}) || a.evidence[0]["source"] != "PLAN" {
		t.Errorf("suggested %q with %v", a.suggestions, a.evidence)
	}
	var changed, left int
	if err := s.app.QueryRow(t.Context(), "SELECT count(*) FROM orders WHERE note = 'changed'").Scan(&changed); err != nil || changed > 0 {
		t.Errorf("%d rows were changed, %v", changed, err)
	}
	if err := s.app.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE usename = 'planner' AND state <> 'idle'").Scan(&left); err != nil || left > 0 {
		t.Errorf("%d sessions are at work, %v", left, err)
	}
}

func TestPerformanceAdvice_StatementsOfOtherDatabasesSaySo(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := watching(t, s.as("planner"), s.store)
	s.run("CREATE DATABASE elsewhere")
	s.sample(c)
	other := s.connect(s.server.URL("elsewhere"))
	if _, err := other.Exec(t.Context(), "CREATE TABLE orders AS SELECT n::text AS customer_email, repeat('x', 60) AS note FROM generate_series(1, 200000) AS n"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := other.Exec(t.Context(), "SELECT note FROM orders WHERE customer_email = '5'"); err != nil {
			t.Fatal(err)
		}
	}
	s.search() // the table of the same name here is read as well
	s.sample(c)
	if kinds := s.advice("SELECT note FROM orders WHERE customer_email").kinds(); slices.Contains(kinds, "MISSING_INDEX") {
		t.Errorf("advises by the table of another database: %v", kinds)
	}
	problems := ask[string](t, s.store, "SELECT problem FROM monitoring.performance_plan_s p JOIN monitoring.performance_statement_s t USING (performance_metric_hk) WHERE t.query_text LIKE 'SELECT note FROM orders WHERE customer_email%'")
	if !slices.Equal(problems, []string{"it runs in another database than postgres, to which the collector is connected"}) {
		t.Errorf("why there is no plan: %q", problems)
	}
}

func TestPerformanceAdvice_ResetsOfTheServer(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := watching(t, s.as("watcher"), s.store)
	s.sample(c)
	s.search()
	s.sample(c)
	s.run("SELECT pg_stat_statements_reset()")
	s.run("SELECT pg_stat_reset()")
	s.search()
	s.sample(c)
	s.wantsCalls(20)
	s.wantsMissingIndex("TEXT")
	// Crashed: the counters of tables are gone, those of statements were not saved.
	s.restart(true)
	c = watching(t, s.as("watcher"), s.store)
	s.search()
	s.sample(c)
	s.wantsCalls(20)
}

// wantsCalls is how often the newest sample says that the search ran.
func (s *shop) wantsCalls(want int64) {
	s.Helper()
	got := ask[int64](s.T, s.store, `
		SELECT calls FROM monitoring.performance_metric_s
		 WHERE query_text LIKE $1 || '%'
		   AND measurement_period_end = (SELECT max(measurement_period_end) FROM monitoring.performance_metric_s)`, byEmail)
	if len(got) != 1 || got[0] != want {
		s.Errorf("ran %v times, want %d", got, want)
	}
}
