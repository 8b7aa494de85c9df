package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/settings"
)

// The tests run the command itself: this binary, told by a variable to be onevault-dev.
func TestMain(m *testing.M) {
	if os.Getenv("ONEVAULT_DEV_TEST_RUN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is one running onevault-dev.
type process struct {
	*exec.Cmd
	out   *bytes.Buffer // complete once ended is closed
	ended chan struct{}
	err   error
}

// dataDirectory is one that PostgreSQL's own account can pass into when the tests run as root.
func dataDirectory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "onevault-dev-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the data: %v", err)
		}
	})
	return dir
}

func command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	// PATH has no onevault: what stands there must not decide a test.
	cmd.Env = append(os.Environ(), "ONEVAULT_DEV_TEST_RUN=1", "PATH=/usr/bin:/bin",
		settings.DatabaseURL+"=", settings.TemporalAddress+"=", settings.UIURL+"=")
	return cmd
}

var anyPorts = []string{
	"--postgres-port=0", "--temporal-port=0", "--ui-port=0", "--api-port=0", "--inbox-port=0", "--smtp-port=0",
}

// launch starts onevault-dev and waits until it is ready.
func launch(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := &process{out: &bytes.Buffer{}, ended: make(chan struct{})}
	p.Cmd = command(context.Background(), append(append([]string{"--data-dir", dir}, anyPorts...), args...)...)
	p.Stderr = p.out
	stdout, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	go func() {
		defer close(p.ended)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "OneVault is ready") {
				close(ready)
			}
		}
		p.err = p.Wait()
	}()
	t.Cleanup(func() { p.kill(t) })
	select {
	case <-ready:
	case <-p.ended:
		t.Fatalf("ended before it was ready: %v\n%s", p.err, p.out)
	case <-time.After(2 * time.Minute):
		t.Fatal("not ready after two minutes")
	}
	return p
}

func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("kill: %v", err)
	}
	<-p.ended
}

// stop ends the process in order and reports how long that took.
func (p *process) stop(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		t.Fatal("did not end within 30 s of SIGTERM")
	}
	if p.err != nil {
		t.Errorf("ended with %v\n%s", p.err, p.out)
	}
	return time.Since(began)
}

func addresses(t *testing.T, dir string) settings.Values {
	t.Helper()
	values, err := settings.ReadEnvFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func query[T any](t *testing.T, databaseURL, sql string) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var value T
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func exitCode(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return -1
}

func TestStart_GoesOnAfterKillAndRefusesASecondOne(t *testing.T) {
	t.Parallel()
	dir := dataDirectory(t)
	first := launch(t, dir)
	before := addresses(t, dir)
	for _, name := range []string{settings.DatabaseURL, settings.TemporalAddress, settings.UIURL, settings.APIURL, settings.InboxURL} {
		if before[name] == "" {
			t.Errorf("%s is not in the file", name)
		}
	}

	out, err := command(t.Context(), "--data-dir", dir).CombinedOutput()
	if exitCode(err) != exitError || !strings.Contains(string(out), strconv.Itoa(first.Process.Pid)) {
		t.Errorf("a second start: %v, %s; want exit 1 and the process id %d", err, out, first.Process.Pid)
	}

	channelsSince := query[time.Time](t, before[settings.DatabaseURL], `SELECT min(load_date) FROM monitoring.notification_config_h`)
	first.kill(t)

	second := launch(t, dir)
	after := addresses(t, dir)
	if got := query[time.Time](t, after[settings.DatabaseURL], `SELECT min(load_date) FROM monitoring.notification_config_h`); !got.Equal(channelsSince) {
		t.Errorf("the vault is another one after the kill: channels since %s, before %s", got, channelsSince)
	}
	inUse := query[bool](t, after[settings.DatabaseURL], `
		SELECT bool_and(configuration ->> 'url' LIKE '`+after[settings.InboxURL]+`/%')
		  FROM monitoring.notification_config_s WHERE channel_type = 'WEBHOOK' AND load_end_date IS NULL`)
	if !inUse {
		t.Error("the webhook channel does not point at the inbox of this start")
	}
	if took := second.stop(t); took > 15*time.Second {
		t.Errorf("an orderly end took %s", took)
	}
	if _, err := os.Stat(settings.EnvFile(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the addresses are still there after the end: %v", err)
	}
}

func TestDemo_NamesTheMissingStepAndCleansUp(t *testing.T) {
	t.Parallel()
	dir := dataDirectory(t)
	launch(t, dir)
	at := addresses(t, dir)

	// There is no onevault to acknowledge with, so the demo must come exactly that far.
	out, err := command(t.Context(), "demo", "--data-dir", dir).CombinedOutput()
	if exitCode(err) != exitError {
		t.Fatalf("demo: %v, want exit 1\n%s", err, out)
	}
	for _, want := range []string{"condition true", "noticed", "recorded", "e-mail delivered", "Slack delivered", "webhook delivered", "not observed: acknowledged"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "every step was seen") {
		t.Errorf("claims success:\n%s", out)
	}
	// The server notices a closed connection when its backend is scheduled next, which may take a moment.
	held := func() int {
		return query[int](t, at[settings.DatabaseURL], `SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'onevault-demo'`)
	}
	for deadline := time.Now().Add(20 * time.Second); held() > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the demo left %d connections", held())
		}
	}
}

func TestDemo_RefusesADatabaseOfOthers(t *testing.T) {
	t.Parallel()
	cmd := command(t.Context(), "demo", "--data-dir", t.TempDir())
	cmd.Env = append(cmd.Env, settings.DatabaseURL+"=postgres://operator:hunter2@db.example.com/vault")
	out, err := cmd.CombinedOutput()
	if exitCode(err) != exitUsage || !strings.Contains(string(out), settings.DatabaseURL) {
		t.Errorf("demo: %v, %s; want exit 2 and the variable's name", err, out)
	}
	if strings.Contains(string(out), "hunter2") {
		t.Errorf("the password is in the output: %s", out)
	}
}

func TestStart_NamesTheFlagOfAPortInUse(t *testing.T) {
	t.Parallel()
	taken, port := listen(t)
	defer taken.Close()
	out, err := command(t.Context(), "--data-dir", t.TempDir(), "--temporal-port", strconv.Itoa(port)).CombinedOutput()
	if exitCode(err) != exitUsage || !strings.Contains(string(out), "--temporal-port") || !strings.Contains(string(out), strconv.Itoa(port)) {
		t.Errorf("start: %v, %s; want exit 2, the port and the flag", err, out)
	}
}

func TestStart_RefusesContradictions(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--api-port", "99999"}, {"--postgres-restart", "-1s"}, {"--no-such-flag"},
	} {
		out, err := command(t.Context(), args...).CombinedOutput()
		if exitCode(err) != exitUsage || !strings.Contains(string(out), strings.TrimPrefix(args[0], "--")) {
			t.Errorf("%v: %v, %s; want exit 2 and the flag's name", args, err, out)
		}
	}
}

func listen(t *testing.T) (net.Listener, int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l, l.Addr().(*net.TCPAddr).Port
}

func TestPortChoice_ReplacesADefaultThatIsTakenAndSaysSo(t *testing.T) {
	t.Parallel()
	taken, port := listen(t)
	defer taken.Close()
	var notes []string
	c := portChoice{use: "Temporal", flag: "temporal-port", port: port}
	if err := c.choose(0, func(note string) { notes = append(notes, note) }); err != nil {
		t.Fatal(err)
	}
	if c.port == port || c.port == 0 {
		t.Errorf("port = %d, want a free one instead of %d", c.port, port)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], strconv.Itoa(port)) || !strings.Contains(notes[0], "--temporal-port") {
		t.Errorf("notes = %q", notes)
	}
}

func TestPortChoice_WaitsForWhatAKilledStartLeftBehind(t *testing.T) {
	t.Parallel()
	taken, port := listen(t)
	c := portChoice{use: "Temporal", flag: "temporal-port", port: port, explicit: true}
	time.AfterFunc(100*time.Millisecond, func() { taken.Close() })
	if err := c.choose(10*time.Second, func(string) {}); err != nil || c.port != port {
		t.Errorf("choose: %v, port %d, want %d", err, c.port, port)
	}
}

func TestWebhookSecret_IsKeptForItsOwner(t *testing.T) {
	t.Parallel()
	d := &dataDir{path: t.TempDir()}
	first, err := d.webhookSecret()
	if err != nil {
		t.Fatal(err)
	}
	second, err := d.webhookSecret()
	if err != nil {
		t.Fatal(err)
	}
	if first != second || !strings.HasPrefix(first, "whsec_") || len(first) < 40 {
		t.Errorf("the secret is not kept or too short (%d and %d characters)", len(first), len(second))
	}
	info, err := os.Stat(filepath.Join(d.path, "webhook-secret"))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode = %o, want 600", got)
	}
}

func TestTerminalLog_ShowsARepeatedMessageOnceWithoutTheSDKsAttributes(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(newTerminalLog(&out))
	sdk := []any{"Namespace", "default", "WorkflowID", "alert/local/X"}
	for range 3 {
		log.With(sdk...).Error("vault away", "reason", "refused")
	}
	log.Info("not for the terminal")
	if got := strings.Count(out.String(), "\n"); got != 1 {
		t.Errorf("%d lines, want 1:\n%s", got, &out)
	}
	if !strings.Contains(out.String(), "alert/local/X") || strings.Contains(out.String(), "Namespace") {
		t.Errorf("line: %s", &out)
	}
}

func TestLatency_ShowsMillisecondsWhereTheyMatter(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Millisecond: "+0.000s", 42 * time.Millisecond: "+0.042s", 12340 * time.Millisecond: "+12.3s",
	} {
		if got := latency(d); got != want {
			t.Errorf("latency(%s) = %q, want %q", d, got, want)
		}
	}
}
