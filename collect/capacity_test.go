package collect_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/collect"
	"onevault/pgserver"
	"onevault/pgserver/pgtest"
)

func capacity(t *testing.T, address string) ([]collect.Resource, []string) {
	t.Helper()
	resources, problems, err := openTarget(t, address).CollectCapacity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return resources, problems
}

func resource(t *testing.T, resources []collect.Resource, kind, name string) collect.Resource {
	t.Helper()
	at := slices.IndexFunc(resources, func(r collect.Resource) bool { return r.Type == kind && r.Name == name })
	if at < 0 {
		t.Fatalf("no %s %q among %+v", kind, name, resources)
	}
	return resources[at]
}

func ofType(resources []collect.Resource, kind string) []collect.Resource {
	return slices.DeleteFunc(slices.Clone(resources), func(r collect.Resource) bool { return r.Type != kind })
}

// databaseName is that of the database at an address.
func databaseName(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	return column[string](t, conn, "SELECT current_database()::text")[0]
}

func TestCollectCapacity_MeasuresEveryKind(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	name := databaseName(t, conn)
	exec(t, conn, `
		CREATE SCHEMA "Shop";
		CREATE TABLE "Shop".orders (id serial PRIMARY KEY, note text);
		ALTER TABLE "Shop".orders ALTER note SET STORAGE EXTERNAL;
		INSERT INTO "Shop".orders (note) SELECT repeat('x', 10000) FROM generate_series(1, 1000);
		CREATE TABLE "Shop".lines AS SELECT i AS id FROM generate_series(1, 50000) AS i;
		CREATE INDEX "By Id" ON "Shop".lines (id);
		ANALYZE "Shop".orders`)
	resources, problems := capacity(t, address)
	if len(problems) > 0 {
		t.Errorf("not measured: %q", problems)
	}
	for kind, least := range map[string]int{"DISK": 1, "DATABASE": 2, "TABLE": 20, "INDEX": 20, "TABLESPACE": 2, "WAL": 1, "TEMP": 1, "SEQUENCE": 1} {
		if got := ofType(resources, kind); len(got) < least {
			t.Errorf("%s: %+v, want at least %d", kind, got, least)
		}
	}
	for _, r := range resources {
		if r.Size < 0 || r.Size == 0 && r.Type != "TEMP" || r.Source == "" {
			t.Errorf("%+v", r)
		}
		if limited := r.Type == "DISK" || r.Type == "SEQUENCE"; (r.Available != nil) != limited {
			t.Errorf("%s %s: available %v", r.Type, r.Name, r.Available)
		}
	}
	// 10 MB of it lie in TOAST.
	if table := resource(t, resources, "TABLE", name+`."Shop".orders`); table.Size < 10e6 || table.Size > 20e6 {
		t.Errorf("%+v", table)
	}
	if got := resource(t, resources, "INDEX", name+`."Shop"."By Id"`); got.Size < 1e6 {
		t.Errorf("%+v", got)
	}
	if got := resource(t, resources, "SEQUENCE", name+`."Shop".orders_id_seq`); got.Size != 1000 || *got.Available != 2147483647-1000 {
		t.Errorf("%+v: available %d", got, *got.Available)
	}
	if got := resource(t, resources, "DATABASE", name); got.Size < 5e6 {
		t.Errorf("%+v", got)
	}
	if got := ofType(resources, "TABLE"); len(got) != 20 {
		t.Errorf("%d tables, want the 20 largest", len(got))
	}
}

// A table that was filled and not yet vacuumed or analyzed is unknown to the catalog.
func TestCollectCapacity_FindsALargeTableThatWasNeverAnalyzed(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	exec(t, conn, "CREATE TABLE fresh AS SELECT repeat('x', 1000) AS note FROM generate_series(1, 10000)")
	resources, _ := capacity(t, address)
	if got := ofType(resources, "TABLE")[0]; got.Name != databaseName(t, conn)+".public.fresh" || got.Size < 10e6 {
		t.Errorf("the largest is %+v", got)
	}
}

func TestCollectCapacity_SequencesEndWhereTheirColumnEnds(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	name := databaseName(t, conn)
	exec(t, conn, `
		CREATE SEQUENCE wide;  -- of bigint, as old dumps make them, for a column of integer
		CREATE TABLE narrow (id integer DEFAULT nextval('wide'));
		ALTER SEQUENCE wide OWNED BY narrow.id;
		CREATE SEQUENCE down INCREMENT -1 MINVALUE -100 MAXVALUE -1;
		CREATE SEQUENCE steps INCREMENT 10 MINVALUE 1 MAXVALUE 1000;
		CREATE SEQUENCE round MAXVALUE 10 CYCLE;
		CREATE SEQUENCE unused MAXVALUE 10;
		CREATE SEQUENCE whole;
		CREATE SEQUENCE spent MAXVALUE 5;
		SELECT setval('wide', 2147483547), setval('down', -90), setval('steps', 901), setval('round', 10),
		       setval('whole', 9223372036854775807), setval('spent', 5)`)
	resources, problems := capacity(t, address)
	if len(problems) > 0 {
		t.Errorf("not measured: %q", problems)
	}
	for sequence, want := range map[string][2]int64{
		"wide": {2147483547, 100}, "down": {90, 10}, "steps": {91, 9}, "whole": {9223372036854775807, 0}, "spent": {5, 0},
	} {
		if got := resource(t, resources, "SEQUENCE", name+".public."+sequence); got.Size != want[0] || *got.Available != want[1] {
			t.Errorf("%s: used %d, left %d, want %v", sequence, got.Size, *got.Available, want)
		}
	}
	for _, r := range ofType(resources, "SEQUENCE") {
		if strings.HasSuffix(r.Name, ".round") || strings.HasSuffix(r.Name, ".unused") {
			t.Errorf("%s is never full", r.Name)
		}
	}
}

func TestCollectCapacity_MeasuresTheDisksOfTablespaces(t *testing.T) {
	t.Parallel()
	address := ownServer(t)
	conn := connect(t, address)
	// Made by the server's own account, because it must belong to it, and so where that may write.
	place := filepath.Join(column[string](t, conn, "SELECT current_setting('data_directory')")[0], "elsewhere")
	// The program must read what it is given: one that ends before is a broken pipe to the server.
	exec(t, conn, fmt.Sprintf("COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; mkdir %s'", place))
	exec(t, conn, fmt.Sprintf("CREATE TABLESPACE elsewhere LOCATION '%s'", place))
	exec(t, conn, "SET allow_in_place_tablespaces = on")
	exec(t, conn, "CREATE TABLESPACE within LOCATION ''")
	exec(t, conn, "CREATE TABLE there TABLESPACE elsewhere AS SELECT repeat('x', 1000) AS note FROM generate_series(1, 2000)")
	resources, problems := capacity(t, address)
	if len(problems) > 0 {
		t.Errorf("not measured: %q", problems)
	}
	if got := resource(t, resources, "TABLESPACE", "elsewhere"); got.Size < 2e6 {
		t.Errorf("%+v", got)
	}
	resource(t, resources, "TABLESPACE", "within")
	// The three lie on one volume, which is measured once.
	if got := ofType(resources, "DISK"); len(got) != 1 || !strings.HasPrefix(place, got[0].Name) {
		t.Errorf("disks: %+v", got)
	}

	exec(t, conn, fmt.Sprintf("COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; mv %s %s-gone'", place, place))
	defer exec(t, conn, fmt.Sprintf("COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; mv %s-gone %s'", place, place))
	_, problems = capacity(t, address)
	if !slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, "DISK of "+place+": ") }) {
		t.Errorf("the disk that is gone is not named: %q", problems)
	}
}

func TestCollectCapacity_RoleWithOnlyPgMonitorMeasuresAllButOthersSequences(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	exec(t, connect(t, address), "CREATE SEQUENCE others; SELECT nextval('others')")
	resources, problems := capacity(t, asNewRole(t, address, "pg_monitor"))
	if len(problems) != 1 || !strings.HasPrefix(problems[0], "SEQUENCE: ") || !strings.HasSuffix(problems[0], "sequences that the role may not read") {
		t.Errorf("not measured: %q", problems)
	}
	for _, kind := range []string{"DISK", "DATABASE", "TABLE", "INDEX", "TABLESPACE", "WAL", "TEMP"} {
		if len(ofType(resources, kind)) == 0 {
			t.Errorf("no %s", kind)
		}
	}
	if _, problems = capacity(t, asNewRole(t, address, "pg_monitor", "pg_read_all_data")); len(problems) > 0 {
		t.Errorf("with pg_read_all_data as well, not measured: %q", problems)
	}
}

func TestCollectCapacity_RoleWithoutPgMonitorSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, problems := capacity(t, asNewRole(t, pgtest.DB(t)))
	for _, kind := range []string{"DISK: ", "TABLESPACE: ", "WAL: ", "TEMP: "} {
		if !slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, kind) }) {
			t.Errorf("%s is not among %q", kind, problems)
		}
	}
}

// VACUUM FULL of a large table takes hours; the others are measured, and what is missing is said.
func TestCollectCapacity_DoesNotWaitForALockedTable(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	exec(t, conn, "CREATE TABLE held AS SELECT repeat('x', 1000) AS note FROM generate_series(1, 10000)")
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exec(t, tx, "LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
	began := time.Now()
	resources, problems := capacity(t, address)
	if want := []string{"TABLE: 1 tables or indexes that are locked exclusively"}; !slices.Equal(problems, want) {
		t.Errorf("not measured: %q, want %q", problems, want)
	}
	if got := ofType(resources, "TABLE"); len(got) != 20 || time.Since(began) > 10*time.Second {
		t.Errorf("%d tables after %s", len(got), time.Since(began))
	}
}

// Each sequence that is read stays locked until the transaction ends. A server whose table of locks is full
// refuses everybody, so thousands of sequences must not be read at once.
func TestCollectCapacity_ReadsThousandsOfSequencesWithFewLocks(t *testing.T) {
	t.Parallel()
	address := ownServer(t, "max_locks_per_transaction", "32", "max_connections", "20")
	conn := connect(t, address)
	const number = 9000
	for made := 0; made < number; made += 100 {
		exec(t, conn, fmt.Sprintf(`DO $$ BEGIN FOR i IN %d..%d LOOP EXECUTE format('CREATE SEQUENCE s_%%s MAXVALUE 1000', i); END LOOP; END $$`, made+1, made+100))
	}
	exec(t, conn, "SELECT setval('s_1', 500), setval('s_4500', 900), setval('s_9000', 700)")
	resources, problems := capacity(t, address)
	if len(problems) > 0 {
		t.Fatalf("not measured: %q", problems)
	}
	var found []string
	for _, r := range ofType(resources, "SEQUENCE") {
		found = append(found, fmt.Sprintf("%s %d", r.Name, r.Size))
	}
	if want := []string{"postgres.public.s_4500 900", "postgres.public.s_9000 700", "postgres.public.s_1 500"}; !slices.Equal(found, want) {
		t.Errorf("got %q, want the fullest first: %q", found, want)
	}
}

func TestCollectCapacity_TargetDownIsAnErrorWithoutThePassword(t *testing.T) {
	t.Parallel()
	_, _, err := openTarget(t, "postgres://watcher:s3cret-word@127.0.0.1:1/postgres").CollectCapacity(t.Context())
	if err == nil || !strings.Contains(err.Error(), "reach target watched") || strings.Contains(err.Error(), "s3cret-word") {
		t.Errorf("got %v", err)
	}
}

// Ten thousand tables must cost the watched server little, once an hour.
func BenchmarkCollectCapacity_OfTenThousandTables(b *testing.B) {
	address := pgtest.DB(b)
	conn, err := pgx.Connect(b.Context(), address)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(context.Background())
	for batch := range 20 { // one transaction would hold too many locks
		if _, err := conn.Exec(b.Context(), fmt.Sprintf(`
			DO $$ BEGIN FOR i IN %d..%d LOOP EXECUTE format('CREATE TABLE many_%%s (id serial PRIMARY KEY, note text)', i); END LOOP; END $$`,
			batch*500, batch*500+499)); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := conn.Exec(b.Context(), "VACUUM ANALYZE"); err != nil {
		b.Fatal(err)
	}
	target, err := collect.OpenTarget("watched", address)
	if err != nil {
		b.Fatal(err)
	}
	defer target.Close()
	for b.Loop() {
		if _, problems, err := target.CollectCapacity(b.Context()); err != nil || len(problems) > 0 {
			b.Fatal(err, problems)
		}
	}
}

// ownServer starts a server that belongs to one test, with settings as name, value, name, value.
func ownServer(t *testing.T, settings ...string) string {
	t.Helper()
	given := map[string]string{}
	for setting := range slices.Chunk(settings, 2) {
		given[setting[0]] = setting[1]
	}
	server, err := pgserver.Start(t.Context(), pgserver.Config{Ephemeral: true, Settings: given})
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
