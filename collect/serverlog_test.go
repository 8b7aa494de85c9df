package collect_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/collect"
	"onevault/pgserver"
)

// logging is a server of one test alone that writes its log in a format.
type logging struct {
	*testing.T
	address string // of a superuser
	admin   *pgx.Conn
}

func startLogging(t *testing.T, destination string, settings ...string) logging {
	t.Helper()
	config := map[string]string{"logging_collector": "on", "log_connections": "on", "log_filename": "postgresql-%Y%m%d-%H%M%S.log", "log_timezone": "Europe/Berlin"}
	for i := 0; i < len(settings); i += 2 {
		config[settings[i]] = settings[i+1]
	}
	server, err := pgserver.Start(t.Context(), pgserver.Config{Ephemeral: true, Port: pgserver.AnyPort, Settings: config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	address := server.URL("postgres")
	l := logging{t, address, connect(t, address)}
	l.writeTo(destination)
	exec(t, l.admin, "CREATE ROLE app LOGIN PASSWORD 'the right one'")
	exec(t, l.admin, "CREATE ROLE collector LOGIN PASSWORD 'c' IN ROLE pg_monitor")
	return l
}

func (l logging) as(user, password, database string) string {
	l.Helper()
	u, err := url.Parse(l.address)
	if err != nil {
		l.Fatal("the address of the server is no URL")
	}
	var port string
	if err := l.admin.QueryRow(l.Context(), "SHOW port").Scan(&port); err != nil {
		l.Fatal(err)
	}
	u.User, u.Host, u.Path, u.RawQuery = url.UserPassword(user, password), net.JoinHostPort("127.0.0.1", port), "/"+database, "sslmode=disable"
	return u.String()
}

// writeTo changes the format of the log, and waits until it is written.
func (l logging) writeTo(destination string) {
	l.Helper()
	exec(l.T, l.admin, "ALTER SYSTEM SET log_destination = '"+destination+"'")
	exec(l.T, l.admin, "SELECT pg_reload_conf()")
	format, _, _ := strings.Cut(destination, ",")
	for deadline := time.Now().Add(time.Minute); column[*string](l.T, l.admin, "SELECT pg_current_logfile($1)", format)[0] == nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.Fatalf("the server writes no %s", format)
		}
	}
}

// fail tries to log in and is refused.
func (l logging) fail(times int, user, database string) {
	l.Helper()
	for range times {
		if conn, err := pgx.Connect(l.Context(), l.as(user, "a wrong one", database)); err == nil {
			_ = conn.Close(l.Context())
			l.Fatalf("%s was let in", user)
		}
	}
}

func (l logging) logIn(user, password string) {
	l.Helper()
	conn, err := pgx.Connect(l.Context(), l.as(user, password, "postgres"))
	if err != nil {
		l.Fatal(err)
	}
	if err := conn.Close(l.Context()); err != nil {
		l.Fatal(err)
	}
}

// reader reads the log of a server by one way, from where it ended the last time.
type reader struct {
	logging
	way    string
	target *collect.Target
	budget int64
	at     json.RawMessage
}

func (l logging) reader(way, address string) *reader {
	return &reader{l, way, openTarget(l.T, address), 1 << 30, nil}
}

// look reads once. The server hands its log to another process, which takes a moment: it looks until there
// are so many failures at least.
func (r *reader) look(atLeast int64) collect.SecurityResult {
	r.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		result := r.target.ReadLogThrough(r.Context(), r.way, r.budget, r.at)
		if result.Reading == nil {
			return result
		}
		var sum int64
		for _, f := range result.Reading.Failures {
			sum += f.Count
		}
		if sum < atLeast && time.Now().Before(deadline) {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		var err error
		if r.at, err = json.Marshal(result.Reading.To); err != nil {
			r.Fatal(err)
		}
		return result
	}
}

// want looks once and compares the failures, as user, database, source, count and codes, and what was said.
func (r *reader) want(said string, failures ...string) collect.LogReading {
	r.Helper()
	var sum int64
	for _, f := range failures {
		var n int64
		if _, err := fmt.Sscanf(strings.Split(f, " ")[3], "%d", &n); err != nil {
			r.Fatal(err)
		}
		sum += n
	}
	result := r.look(sum)
	if result.Reading == nil || result.Failed != "" || !strings.Contains(result.Skipped, said) || said == "" && result.Skipped != "" {
		r.Fatalf("by %s: got %+v, want it to say %q", r.way, result, said)
	}
	var got []string
	for _, f := range result.Reading.Failures {
		got = append(got, fmt.Sprintf("%s %s %s %d %v", f.User, f.Database, f.Source, f.Count, f.Codes))
	}
	slices.Sort(got)
	if !slices.Equal(got, failures) {
		r.Errorf("by %s: read %q, want %q", r.way, got, failures)
	}
	return *result.Reading
}

func (l logging) logDirectory() string {
	l.Helper()
	return column[string](l.T, l.admin, "SELECT current_setting('data_directory') || '/' || current_setting('log_directory')")[0]
}

func (l logging) currentLog(format string) string {
	l.Helper()
	return column[string](l.T, l.admin, "SELECT regexp_replace(pg_current_logfile($1), '^.*/', '')", format)[0]
}

// rotate begins another file, whose name differs from a second to the next.
func (l logging) rotate(format string) (before, after string) {
	l.Helper()
	before = l.currentLog(format)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(300 * time.Millisecond) {
		exec(l.T, l.admin, "SELECT pg_rotate_logfile()")
		if after = l.currentLog(format); after != before || time.Now().After(deadline) {
			return before, after
		}
	}
}

func TestReadLog_CountsTheLogInsThatFailedInEitherFormatAndByEveryWay(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"jsonlog", "csvlog"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			l := startLogging(t, format)
			exec(t, l.admin, collect.LogReaderSQL("collector"))
			exec(t, l.admin, "CREATE ROLE reader LOGIN PASSWORD 'r' IN ROLE pg_monitor, pg_read_server_files")
			exec(t, l.admin, "GRANT EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint) TO reader")
			ways := []*reader{
				l.reader("any", l.address), l.reader("function", l.as("collector", "c", "postgres")), l.reader("raw", l.as("reader", "r", "postgres")),
				l.reader("elsewhere", l.as("collector", "c", "postgres")), l.reader("elsewhere", l.as("reader", "r", "postgres")),
			}
			l.fail(1, "app", "postgres")
			for _, r := range ways {
				// What stood there before the first look is no news.
				if first := r.want(""); first.To.Offset == 0 || first.To.File == "" {
					t.Errorf("by %s: the first look ended at %+v", r.way, first.To)
				}
			}
			l.settle(ways)

			// What a statement holds is no record, whatever lines it has.
			exec(t, l.admin, "SET log_statement = 'all'")
			exec(t, l.admin, "SELECT E'one\n2026-05-04 03:12:00.000 UTC,\"app\",\"postgres\",1,\"10.0.0.1:5\",6.1,1,\"\",2026-05-04 03:12:00 UTC,1/1,0,FATAL,28P01,\"made up\"\n{\"error_severity\":\"FATAL\",\"state_code\":\"28P01\"}\n'")
			exec(t, l.admin, "RESET log_statement")
			l.fail(3, "app", "postgres")
			l.fail(1, "app", "nowhere")
			l.fail(2, "nobody", "postgres")
			l.fail(1, `o"ne,\two`, "postgres")
			exec(t, l.admin, "ALTER ROLE app NOLOGIN")
			if conn, err := pgx.Connect(t.Context(), l.as("app", "the right one", "postgres")); err == nil {
				_ = conn.Close(t.Context())
				t.Fatal("a role that may not log in was let in")
			}
			exec(t, l.admin, "ALTER ROLE app LOGIN")
			before := time.Now()
			l.logIn("app", "the right one")
			want := []string{
				"app nowhere 127.0.0.1 1 map[28P01:1]", "app postgres 127.0.0.1 4 map[28000:1 28P01:3]",
				"nobody postgres 127.0.0.1 2 map[28P01:2]", `o"ne,\two postgres 127.0.0.1 1 map[28P01:1]`,
			}
			for _, r := range ways {
				reading := r.want("", want...)
				last := reading.Failures[len(reading.Failures)-1].Last
				// By the clock of the server, whose log is written in another time zone.
				if ago := before.Sub(last); ago < -time.Minute || ago > 5*time.Minute {
					t.Errorf("by %s: the last failure was %s ago", r.way, ago)
				}
				r.want("")
			}
			for _, r := range ways {
				r.succeeded("app")
			}
		})
	}
}

// settle waits until the failures before the first look have come, which are then behind.
func (l logging) settle(ways []*reader) {
	l.Helper()
	for _, r := range ways {
		for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			r.look(0)
		}
	}
}

// succeeded logs in until the reader has read of it.
func (r *reader) succeeded(user string) {
	r.Helper()
	r.logIn(user, "the right one")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		result := r.look(0)
		if result.Reading == nil {
			r.Fatalf("got %+v", result)
		}
		if slices.ContainsFunc(result.Reading.Successes, func(c collect.LoginCount) bool { return c.User == user && c.Source == "127.0.0.1" }) {
			return
		}
		if time.Now().After(deadline) {
			r.Fatalf("by %s: no log-in of %s was read", r.way, user)
		}
	}
}

func TestReadLog_FollowsRotation(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"jsonlog", "csvlog"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			l := startLogging(t, format)
			r := l.reader("any", l.address)
			r.want("")
			l.fail(1, "app", "postgres")
			r.want("", "app postgres 127.0.0.1 1 map[28P01:1]")
			// What came into a file after the last look is read, and each file between.
			l.fail(2, "app", "postgres")
			l.rotate(format)
			l.fail(1, "nobody", "postgres")
			l.rotate(format)
			l.fail(1, "app", "postgres")
			reading := r.want("", "app postgres 127.0.0.1 3 map[28P01:3]", "nobody postgres 127.0.0.1 1 map[28P01:1]")
			if reading.To.File != l.currentLog(format) {
				t.Errorf("ended in %s, while %s is written", reading.To.File, l.currentLog(format))
			}
			r.want("")

			// Somebody removed the file in which the last look ended.
			l.fail(1, "app", "postgres")
			r2 := l.reader("any", l.address)
			r2.at = r.at
			r2.want("", "app postgres 127.0.0.1 1 map[28P01:1]")
			old, _ := l.rotate(format)
			if err := os.Remove(filepath.Join(l.logDirectory(), old)); err != nil {
				t.Fatal(err)
			}
			l.fail(1, "nobody", "postgres")
			r.want(old+" is gone", "nobody postgres 127.0.0.1 1 map[28P01:1]")
		})
	}
}

func TestReadLog_NoticesAFileThatIsTruncatedOrAnotherOne(t *testing.T) {
	t.Parallel()
	l := startLogging(t, "jsonlog")
	r := l.reader("any", l.address)
	l.fail(3, "app", "postgres")
	r.want("")
	l.settle([]*reader{r})
	path := filepath.Join(l.logDirectory(), l.currentLog("jsonlog"))
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	l.fail(1, "nobody", "postgres")
	r.want("was truncated", "nobody postgres 127.0.0.1 1 map[28P01:1]")

	// Longer than before, but another one: the beginning differs.
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append([]byte(strings.Repeat("another beginning\n", 200)), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	r.want("is another file than at the last look", "nobody postgres 127.0.0.1 1 map[28P01:1]")
}

func TestReadLog_GoesOnAfterAFormatWasChangedAndCountsNothingTwice(t *testing.T) {
	t.Parallel()
	l := startLogging(t, "csvlog")
	r := l.reader("any", l.address)
	r.want("")
	l.fail(2, "app", "postgres")
	r.want("", "app postgres 127.0.0.1 2 map[28P01:2]")
	l.writeTo("jsonlog,csvlog")
	l.fail(1, "nobody", "postgres")
	reading := r.want("", "nobody postgres 127.0.0.1 1 map[28P01:1]")
	if reading.To.Format != "jsonlog" {
		t.Errorf("ended in %+v", reading.To)
	}
	// What stands in both was counted from the other one.
	until := reading.To
	until.Format = "csvlog"
	l.fail(1, "app", "postgres")
	var err error
	if r.at, err = json.Marshal(until); err != nil {
		t.Fatal(err)
	}
	r.want("", "app postgres 127.0.0.1 1 map[28P01:1]")
}

func TestReadLog_LeavesToTheNextLookWhatIsTooMuch(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"jsonlog", "csvlog"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			l := startLogging(t, format)
			exec(t, l.admin, collect.LogReaderSQL("collector"))
			for _, r := range []*reader{l.reader("any", l.address), l.reader("function", l.as("collector", "c", "postgres"))} {
				r.want("")
				// Two records of 3 MB, of many lines, longer than a piece.
				for range 2 {
					if _, err := l.admin.Exec(t.Context(), "SELECT no_such_column /* "+strings.Repeat(strings.Repeat("a \"word\" ", 12)+"\n", 25_000)+"*/"); err == nil {
						t.Fatal("a column that is not there was found")
					}
				}
				l.fail(1, "app", "postgres")
				r.budget = 1
				if result := r.look(0); result.Reading == nil || !strings.Contains(result.Skipped, "MB of the log are left for the next look") {
					t.Errorf("by %s: got %+v", r.way, result)
				}
				r.budget = 1 << 30
				r.want("", "app postgres 127.0.0.1 1 map[28P01:1]")
			}
		})
	}
}

func TestReadLog_SaysWhatKeepsItFromReading(t *testing.T) {
	t.Parallel()
	l := startLogging(t, "stderr")
	for _, c := range []struct{ as, want string }{
		{l.address, `log_destination is "stderr" and logging_collector on, of which nothing can be told; ALTER SYSTEM SET log_destination = 'jsonlog'; SELECT pg_reload_conf()`},
		{l.as("app", "the right one", "postgres"), `role "app" does not see where the log is: GRANT pg_monitor TO "app"`},
	} {
		if got := openTarget(t, c.as).ReadLog(t.Context(), nil); got.Reading != nil || !strings.Contains(got.Skipped, c.want) {
			t.Errorf("got %+v, want %s", got, c.want)
		}
	}
	l.writeTo("jsonlog")
	elsewhere := l.reader("elsewhere", l.as("collector", "c", "postgres"))
	deadline := time.Now().Add(time.Minute)
	for {
		got := elsewhere.look(0)
		if strings.Contains(got.Skipped, "(the worker runs on another host); `onevault security reader --role collector`") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %+v", got)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func TestLogReader_IsAWayToTheLogInsAloneAndForItsRoleAlone(t *testing.T) {
	t.Parallel()
	l := startLogging(t, "jsonlog")
	exec(t, l.admin, collect.LogReaderSQL("collector"))
	exec(t, l.admin, collect.LogReaderSQL("collector")) // again
	if _, err := l.admin.Exec(t.Context(), "SELECT 'a secret', no_such_column"); err == nil {
		t.Fatal("a column that is not there was found")
	}
	l.fail(1, "app", "postgres")
	collector := connect(t, l.as("collector", "c", "postgres"))
	current := l.currentLog("jsonlog")
	read := func() string {
		return column[string](t, collector, "SELECT string_agg(convert_from(r, 'UTF8'), '') FROM onevault.read_logins($1, 0, 1000000, 0) AS l, unnest(l.records) AS r", current)[0]
	}
	for deadline := time.Now().Add(time.Minute); !strings.Contains(read(), `"state_code":"28P01"`); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("read %s", read())
		}
	}
	if strings.Contains(read(), "a secret") {
		t.Error("it hands out statements")
	}
	for _, file := range []string{"../PG_VERSION", "../../etc/passwd", "/etc/passwd", "PG_VERSION", "../log/" + current, "none.json", ""} {
		if _, err := collector.Exec(t.Context(), "SELECT onevault.read_logins($1, 0, 100, 100)", file); err == nil || !strings.Contains(err.Error(), "p_file is") {
			t.Errorf("%q: %v", file, err)
		}
	}
	if _, err := collector.Exec(t.Context(), "SELECT onevault.read_logins($1, 0, 100000000, 0)", current); err == nil || !strings.Contains(err.Error(), "22023") {
		t.Errorf("100 MB: %v", err)
	}
	app := connect(t, l.as("app", "the right one", "postgres"))
	if _, err := app.Exec(t.Context(), "SELECT onevault.read_logins($1, 0, 100, 0)", current); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("another role: %v", err)
	}
}

func TestSplitLog_LeavesWhatIsNotWhole(t *testing.T) {
	t.Parallel()
	csvRecord := "2026-05-04 03:12:00.000 UTC,\"app\",\"db\",1,\"10.0.0.1:5\",6.1,1,\"authentication\",2026-05-04 03:12:00 UTC,1/1,0,FATAL,28P01,\"no\nfor \"\"app\"\"\",,,,,,,,,\"\",\"client backend\",,0\n"
	for _, c := range []struct {
		name, format, data string
		records            int
		consumed           int
	}{
		{"nothing", "jsonlog", "", 0, 0},
		{"half a line", "jsonlog", `{"error_severity":"FATAL"`, 0, 0},
		{"a line and a half", "jsonlog", "{\"error_severity\":\"FATAL\"}\n{\"err", 1, 27},
		{"another line", "jsonlog", "{\"error_severity\":\"LOG\"}\n", 0, 25},
		{"a record of lines", "csvlog", csvRecord, 1, len(csvRecord)},
		{"half a record of lines", "csvlog", csvRecord + csvRecord[:len(csvRecord)/2+60], 1, len(csvRecord)},
		{"a record without its end of line", "csvlog", csvRecord[:len(csvRecord)-1], 0, 0},
	} {
		if records, consumed := collect.SplitLog(c.format, []byte(c.data)); len(records) != c.records || consumed != int64(c.consumed) {
			t.Errorf("%s: %d records, %d of %d bytes; want %d, %d", c.name, len(records), consumed, len(c.data), c.records, c.consumed)
		}
	}
}
