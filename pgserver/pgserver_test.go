package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestStart_KeepsDataPasswordAndPortAcrossRestarts(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: serverDir(t), Port: freePort(t)}
	first := start(t, cfg)
	execute(t, first.URL("postgres"), "CREATE TABLE kept AS SELECT 'here' AS word")
	fatalIf(t, first.Stop())
	second := start(t, cfg)
	if first.URL("postgres") != second.URL("postgres") {
		t.Error("the URL changed with a restart")
	}
	if got := query(t, second.URL("postgres"), "SELECT word FROM kept"); got != "here" {
		t.Errorf("got %q after the restart", got)
	}
}

func TestStart_AppliesSettings(t *testing.T) {
	t.Parallel()
	s := start(t, Config{Dir: serverDir(t), Settings: map[string]string{"max_connections": "42"}})
	for name, want := range map[string]string{
		"shared_preload_libraries": "pg_stat_statements",
		"track_io_timing":          "on",
		"TimeZone":                 "UTC",
		"max_connections":          "42",
		"fsync":                    "on",
		"listen_addresses":         "",
		"server_encoding":          "UTF8",
	} {
		if got := query(t, s.URL("postgres"), "SELECT current_setting('"+name+"')"); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	execute(t, s.URL("postgres"), "CREATE EXTENSION pg_stat_statements")
	if got := query(t, s.URL("postgres"), "SELECT current_setting('server_version_num')"); !strings.HasPrefix(got, strconv.Itoa(s.Major())) {
		t.Errorf("server %s, Major says %d", got, s.Major())
	}
}

func TestStart_AllowsTheConnectionsThatItsUsersNeed(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[int]Config{120: {}, 300: {Ephemeral: true}} {
		n, err := strconv.Atoi(cfg.serverSettings()["max_connections"])
		if err != nil || n < want {
			t.Errorf("max_connections %d (%v), want at least %d", n, err, want)
		}
	}
}

func TestURL_WorksWithPsqlThroughSocketAndTCP(t *testing.T) {
	t.Parallel()
	for name, port := range map[string]int{"socket": SocketOnly, "tcp": AnyPort} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, Config{Dir: serverDir(t), Port: port})
			execute(t, s.URL("postgres"), `CREATE DATABASE "odd name?&%"`)
			psql := exec.Command(psqlFor(t, s), "-Atc", "SELECT current_database()", s.URL("odd name?&%"))
			out, err := psql.CombinedOutput()
			if err != nil || strings.TrimSpace(string(out)) != "odd name?&%" {
				t.Errorf("psql: %v: %s", err, out)
			}
		})
	}
}

// psqlFor is the psql beside the server's programs, or else that of PATH: a bundle has none.
func psqlFor(t *testing.T, s *Server) string {
	t.Helper()
	if psql := filepath.Join(s.bin.Dir, "psql"); isFile(psql) {
		return psql
	}
	psql, err := exec.LookPath("psql")
	fatalIf(t, err)
	return psql
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func TestStart_AsksForThePasswordOnTCP(t *testing.T) {
	t.Parallel()
	s := start(t, Config{Dir: serverDir(t), Port: AnyPort})
	wrong := strings.Replace(s.URL("postgres"), *s.pass, "wrong", 1)
	out, err := exec.Command(psqlFor(t, s), "-c", "SELECT 1", wrong).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "password authentication failed") {
		t.Errorf("psql with a wrong password: %v: %s", err, out)
	}
}

func TestServer_PrintsNoPassword(t *testing.T) {
	t.Parallel()
	s := start(t, Config{Dir: serverDir(t), Port: AnyPort})
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		if strings.Contains(fmt.Sprintf(format, s)+fmt.Sprintf(format, *s.proc), *s.pass) {
			t.Errorf("%s shows the password", format)
		}
	}
	log, err := os.ReadFile(s.LogFile())
	fatalIf(t, err)
	if strings.Contains(string(log), *s.pass) {
		t.Error("the log shows the password")
	}
	if info, err := os.Stat(filepath.Join(s.data, passwordFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("password file: %v, %v; want mode 0600", info, err)
	}
}

func TestStart_ContinuesAfterKillOfTheStarter(t *testing.T) {
	t.Parallel()
	dir := serverDir(t)
	c := startChild(t, testBinary(t), dir, nil)
	execute(t, c.url, "CREATE TABLE kept AS SELECT 'here' AS word")
	fatalIf(t, c.cmd.Process.Kill())
	// At once, while the orphan may still be there: that is how a supervisor restarts us.
	s := start(t, Config{Dir: dir})
	if got := query(t, s.URL("postgres"), "SELECT word FROM kept"); got != "here" {
		t.Errorf("got %q after the kill", got)
	}
	awaitEnd(t, c.pid)
}

func TestStart_ServerEndsWithItsStarter(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			c := startChild(t, testBinary(t), serverDir(t), nil)
			fatalIf(t, c.cmd.Process.Signal(sig))
			awaitEnd(t, c.pid)
		})
	}
}

func TestStart_ContinuesAfterKillOfThePostmaster(t *testing.T) {
	t.Parallel()
	dir := serverDir(t)
	s := start(t, Config{Dir: dir})
	execute(t, s.URL("postgres"), "CREATE TABLE kept AS SELECT 'here' AS word")
	busy := connect(t, s.URL("postgres"))
	// A backend that computes does not notice that its postmaster died, and holds the shared memory.
	busyPID := busy.PgConn().PID()
	busy.PgConn().Frontend().SendQuery(spin())
	fatalIf(t, busy.PgConn().Frontend().Flush())
	awaitActive(t, s, busyPID)
	t.Cleanup(func() { // also when the second start fails: it computes for ever otherwise
		if strings.Contains(commandLine(int(busyPID)), "postgres") {
			fatalIf(t, syscall.Kill(int(busyPID), syscall.SIGKILL))
		}
	})
	fatalIf(t, syscall.Kill(s.PID(), syscall.SIGKILL))
	<-s.Done()
	wantError(t, s.Stop(), "ended by itself", "killed", s.LogFile())
	if commandLine(int(busyPID)) == "" {
		t.Fatal("the backend ended with the postmaster: this test shows nothing")
	}

	again := start(t, Config{Dir: dir})
	if got := query(t, again.URL("postgres"), "SELECT word FROM kept"); got != "here" {
		t.Errorf("got %q after the kill", got)
	}
}

// What ends a start after the server's own log collector runs stands in the collector's file alone, and is needed: to be
// shown, and to tell whether another try may help.
func TestStart_SaysWhatTheLogCollectorOfTheServerTook(t *testing.T) {
	t.Parallel()
	dir := serverDir(t)
	collect := map[string]string{"logging_collector": "on", "log_filename": "postgresql-%a.log"}
	s := start(t, Config{Dir: dir, Settings: collect})
	fatalIf(t, s.Stop())
	fatalIf(t, os.WriteFile(filepath.Join(dir, "data", "pg_hba.conf"), []byte("anybody may come in\n"), 0o600))
	_, err := Start(t.Context(), Config{Dir: dir, Settings: collect})
	wantError(t, err, "could not load", "pg_hba.conf")
	if strings.Contains(err.Error(), "database system is ready") {
		t.Errorf("what an earlier server said is shown as well: %v", err)
	}
}

func TestStart_StopsAnOrphan(t *testing.T) {
	t.Parallel()
	dir := serverDir(t)
	s := start(t, Config{Dir: dir})
	// Giving up the lock alone is what a kill -9 leaves where the kernel does not tell the server.
	fatalIf(t, s.lock.release())
	s.lock = nil
	again := start(t, Config{Dir: dir})
	<-s.Done()
	if !s.proc.succeeded() {
		t.Errorf("the orphan ended by %s, want an orderly end", s.proc.state())
	}
	execute(t, again.URL("postgres"), "SELECT 1")
}

func TestStart_LeavesAServerOfOthersAlone(t *testing.T) {
	t.Parallel()
	dir := serverDir(t)
	s := start(t, Config{Dir: dir})
	fatalIf(t, s.Stop())
	log, err := openOwn(filepath.Join(dir, "other.log"))
	fatalIf(t, err)
	s.log = log
	other, err := startProcess(s.command(syscall.SIGKILL, "postgres", "-D", s.data, "-c", "listen_addresses=", "-c", "unix_socket_directories="+quoteDir(s.data)))
	fatalIf(t, err)
	s.proc = other
	fatalIf(t, until(t.Context(), func() bool { return s.ready() || other.ended() }))

	_, err = Start(t.Context(), Config{Dir: dir})
	wantError(t, err, s.data, fmt.Sprintf("process %d", other.pid()), "kill -INT")
	if other.ended() {
		t.Error("the other server was stopped")
	}
	fatalIf(t, other.shutDown(true))
	fatalIf(t, log.Close())
}

func TestStart_IgnoresAPIDThatBelongsToAnotherProgram(t *testing.T) {
	t.Parallel()
	dir := serverDir(t)
	s := start(t, Config{Dir: dir})
	note, err := os.ReadFile(filepath.Join(s.data, pidFile))
	fatalIf(t, err)
	fatalIf(t, s.Stop())
	stranger := exec.Command("sleep", "600")
	// Of the same user: a pid of another user's does not impress the server.
	stranger.SysProcAttr = &syscall.SysProcAttr{Credential: s.account.credential()}
	fatalIf(t, stranger.Start())
	defer func() { _ = stranger.Process.Kill(); _ = stranger.Wait() }()
	_, rest, _ := strings.Cut(string(note), "\n")
	path := filepath.Join(s.data, pidFile)
	fatalIf(t, os.WriteFile(path, fmt.Appendf(nil, "%d\n%s", stranger.Process.Pid, rest), 0o600))
	fatalIf(t, s.account.own(path))

	start(t, Config{Dir: dir})
	if !alive(stranger.Process.Pid) || commandLine(stranger.Process.Pid) == "" {
		t.Error("the stranger was killed")
	}
}

func TestStart_SecondNamesDirectoryAndHolder(t *testing.T) {
	t.Parallel()
	dir := serverDir(t)
	c := startChild(t, testBinary(t), dir, nil)
	_, err := Start(t.Context(), Config{Dir: dir})
	wantError(t, err, dir, fmt.Sprintf("process %d:", c.cmd.Process.Pid))
	execute(t, c.url, "SELECT 1") // and the first goes on
}

func TestStart_ConcurrentStartsLeaveOneServer(t *testing.T) {
	t.Parallel()
	dir := serverDir(t)
	var wg sync.WaitGroup
	servers, errs := make([]*Server, 4), make([]error, 4)
	for i := range servers {
		wg.Go(func() { servers[i], errs[i] = Start(context.Background(), Config{Dir: dir}) })
	}
	wg.Wait()
	running := 0
	for i, s := range servers {
		if s == nil {
			wantError(t, errs[i], dir, fmt.Sprintf("held by process %d", os.Getpid()))
			continue
		}
		running++
		execute(t, s.URL("postgres"), "SELECT 1")
		fatalIf(t, s.Stop())
	}
	if running != 1 {
		t.Errorf("%d servers ran", running)
	}
}

func TestStart_PortInUseNamesThePort(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fatalIf(t, err)
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	dir := serverDir(t)
	_, err = Start(t.Context(), Config{Dir: dir, Port: port})
	wantError(t, err, fmt.Sprintf("port %d on 127.0.0.1", port), "in use", "choose another port")
	start(t, Config{Dir: dir}) // the failure left nothing behind that blocks
}

func TestStart_RefusesAnotherMajorVersion(t *testing.T) {
	t.Parallel()
	found, err := Discover()
	fatalIf(t, err)
	for name, binDir := range map[string]string{"discovered": "", "named": found[0].Dir} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := serverDir(t)
			data := filepath.Join(dir, "data")
			fatalIf(t, os.MkdirAll(data, 0o755))
			fatalIf(t, os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte("9\n"), 0o644))
			_, err := Start(t.Context(), Config{Dir: dir, BinDir: binDir})
			wantError(t, err, data, "PostgreSQL 9", fmt.Sprintf("version %d", found[0].Major), "PG_BINDIR", "pg_upgrade")
			if text, err := os.ReadFile(filepath.Join(data, "PG_VERSION")); err != nil || string(text) != "9\n" {
				t.Errorf("the data was touched: %q, %v", text, err)
			}
		})
	}
}

func TestStart_RefusesADirectoryWithOtherThings(t *testing.T) {
	t.Parallel()
	dir := serverDir(t)
	file := filepath.Join(dir, "data", "thesis.txt")
	fatalIf(t, os.MkdirAll(filepath.Dir(file), 0o755))
	fatalIf(t, os.WriteFile(file, []byte("years of work"), 0o644))
	_, err := Start(t.Context(), Config{Dir: dir})
	wantError(t, err, filepath.Dir(file), "not empty")
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestStart_FinishesAnInterruptedInitdb(t *testing.T) {
	t.Parallel()
	dir := serverDir(t)
	half := filepath.Join(dir, "data.tmp", "base")
	fatalIf(t, os.MkdirAll(half, 0o755))
	start(t, Config{Dir: dir})
	if _, err := os.Stat(filepath.Dir(half)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the unfinished cluster is still there: %v", err)
	}
}

func TestStart_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	dir := serverDir(t)
	if _, err := Start(ctx, Config{Dir: dir}); !errors.Is(err, enough) {
		t.Errorf("got %v, want the cause of the cancellation", err)
	}
	start(t, Config{Dir: dir})
}

func TestStart_BadSettingShowsWhatTheServerSaid(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Config{Dir: serverDir(t), Settings: map[string]string{"no_such_parameter": "1"}})
	wantError(t, err, "no_such_parameter", "exit status 1")
}

func TestStart_RefusesAConfigItCannotServe(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg  Config
		says string
	}{
		"no directory":  {Config{}, "Dir is empty"},
		"port":          {Config{Dir: "/nowhere", Port: 70000}, "port 70000"},
		"own setting":   {Config{Dir: "/nowhere", Settings: map[string]string{"listen_addresses": "*"}}, "listen_addresses"},
		"no server":     {Config{Dir: "/nowhere", BinDir: "/usr"}, "/usr holds no PostgreSQL server"},
		"too long":      {Config{Dir: filepath.Join(os.TempDir(), strings.Repeat("long", 30))}, "choose a shorter one"},
		"file as a dir": {Config{Dir: "/etc/passwd/x"}, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer os.Remove(test.cfg.Dir) // "too long" is made before it is measured
			_, err := Start(t.Context(), test.cfg)
			wantError(t, err, test.says)
		})
	}
}

func TestStop_RemovesAnEphemeralServer(t *testing.T) {
	t.Parallel()
	parent := filepath.Dir(serverDir(t))
	s, err := Start(t.Context(), Config{Dir: parent, Ephemeral: true})
	fatalIf(t, err)
	execute(t, s.URL("postgres"), "SELECT 1")
	fatalIf(t, s.Stop())
	fatalIf(t, s.Stop()) // again: nothing
	left, err := os.ReadDir(parent)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fatalIf(t, err)
	fatalIf(t, listener.Close())
	return listener.Addr().(*net.TCPAddr).Port
}
