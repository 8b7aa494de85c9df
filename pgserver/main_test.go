package pgserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// childDir makes this test binary a program that runs a server in the directory it names: something to
// kill, to race against, and to run as another user.
const childDir = "PGSERVER_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(childMain(dir))
	}
	os.Exit(m.Run())
}

// childMain serves until its standard input ends, then stops in order.
func childMain(dir string) int {
	s, err := Start(context.Background(), Config{Dir: dir})
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	fmt.Println("ready", s.PID(), s.URL("postgres"))
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		fmt.Println("error:", err)
	}
	if err := s.Stop(); err != nil {
		fmt.Println("error:", err)
		return 1
	}
	return 0
}

// child is another process with a server of its own.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	pid   int    // of its postmaster
	url   string // of its database
}

// startChild runs program, this test binary, until its server is ready.
func startChild(t *testing.T, program, dir string, c *syscall.Credential) *child {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c}
	stdin, err := cmd.StdinPipe()
	fatalIf(t, err)
	stdout, err := cmd.StdoutPipe()
	fatalIf(t, err)
	fatalIf(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	out := bufio.NewReader(stdout)
	line, err := out.ReadString('\n')
	ch := &child{cmd: cmd, stdin: stdin}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if ch.pid != 0 {
			awaitEnd(t, ch.pid) // its directory goes next
		}
	})
	if _, scanErr := fmt.Sscanf(line, "ready %d %s", &ch.pid, &ch.url); scanErr != nil {
		rest, _ := io.ReadAll(out)
		t.Fatalf("child: %v: %s%s", err, line, rest)
	}
	return ch
}

// testBinary is this program.
func testBinary(t *testing.T) string {
	t.Helper()
	program, err := os.Executable()
	fatalIf(t, err)
	return program
}

// serverDir returns a directory that the server's user can reach: under root, t.TempDir is closed to it.
func serverDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(ephemeralParent(), "pgserver test ") // blanks must not matter
	fatalIf(t, err)
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	fatalIf(t, os.Chmod(dir, 0o711))
	return filepath.Join(dir, "pg")
}

// start starts a server that ends with the test, if the test does not stop it.
func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	s, err := Start(t.Context(), cfg)
	fatalIf(t, err)
	t.Cleanup(func() {
		if err := s.Stop(); err != nil && !t.Failed() && !strings.Contains(err.Error(), "ended by itself") {
			t.Error(err)
		}
	})
	return s
}

// connect opens a connection that ends with the test.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	fatalIf(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the server may be gone
	return conn
}

// query returns the one text that a query yields.
func query(t *testing.T, url, sql string) string {
	t.Helper()
	var text string
	fatalIf(t, connect(t, url).QueryRow(t.Context(), sql).Scan(&text))
	return text
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	_, err := connect(t, url).Exec(t.Context(), sql)
	fatalIf(t, err)
}

func fatalIf(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError checks that an error says all of these.
func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
}

// awaitEnd returns when a process that is no child of ours has ended.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // cleanups wait too
	defer cancel()
	if err := until(ctx, func() bool { return commandLine(pid) == "" }); err != nil {
		t.Fatalf("process %d lives on: %v", pid, err)
	}
}

// spin returns a message that keeps a backend computing for longer than any test.
func spin() *pgproto3.Query {
	return &pgproto3.Query{String: "DO $$ BEGIN LOOP NULL; END LOOP; END $$"}
}

// awaitActive returns when a backend has begun its query.
func awaitActive(t *testing.T, s *Server, pid uint32) {
	t.Helper()
	conn := connect(t, s.URL("postgres"))
	err := until(t.Context(), func() bool {
		var active bool
		err := conn.QueryRow(t.Context(), "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $1", int32(pid)).Scan(&active)
		fatalIf(t, err)
		return active
	})
	fatalIf(t, err)
}
