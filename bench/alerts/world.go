//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onevault/bench/cpu"
	"onevault/pgserver"
	"onevault/settings"
)

// cadence is how often both sides look at the conditions.
const cadence = 5 * time.Second

// world is OneVault as three processes that can be killed one by one (PostgreSQL with the vault, Temporal, the
// worker), and a receiver of its messages. PostgreSQL syncs to disk, Temporal keeps its state in SQLite.
type world struct {
	options  options
	dir      string
	pgConfig pgserver.Config
	ports    []string // of onevault-dev, the same at each start
	values   settings.Values

	postgres    *pgserver.Server
	dev, worker *part
	receiver    *receiver
	db          *pgxpool.Pool
	cadenced    bool // the worker looks every five seconds, and not as it does by default
}

// The kernel ends children with the thread that started them: that is the main one.
func init() { runtime.LockOSThread() }

// part is one process.
type part struct {
	name  string
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

func startWorld(ctx context.Context, o options) (_ *world, err error) {
	w := &world{options: o}
	if w.dir, err = os.MkdirTemp("", "ov-bench-"); err != nil {
		return nil, err
	}
	if err := os.Chmod(w.dir, 0o711); err != nil { // PostgreSQL's own account has to pass through
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close(true))
		}
	}()
	ports, err := freePorts(6)
	if err != nil {
		return nil, err
	}
	w.pgConfig = pgserver.Config{Dir: filepath.Join(w.dir, "pg"), Port: ports[0]}
	for i, name := range []string{"temporal", "ui", "api", "inbox", "smtp"} {
		w.ports = append(w.ports, "--"+name+"-port="+strconv.Itoa(ports[i+1]))
	}
	if w.receiver, err = startReceiver(); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{w.startPostgres, w.createDatabase, w.startDev, w.connect, w.prepareVault} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func (w *world) startPostgres(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	w.postgres, err = pgserver.Start(ctx, w.pgConfig)
	return err
}

func (w *world) createDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, w.postgres.URL("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE onevault")
	return errors.Join(err, conn.Close(ctx))
}

// startDev starts Temporal, which waits for nothing else.
func (w *world) startDev(ctx context.Context) (err error) {
	env := []string{settings.DatabaseURL + "=" + w.postgres.URL("onevault")}
	if w.dev, err = w.start("onevault-dev", env, append([]string{"--no-worker", "--data-dir", filepath.Join(w.dir, "dev")}, w.ports...)...); err != nil {
		return err
	}
	if err := w.dev.await(ctx, "OneVault is ready"); err != nil {
		return err
	}
	w.values, err = settings.ReadEnvFile(filepath.Join(w.dir, "dev"))
	return err
}

func (w *world) connect(ctx context.Context) (err error) {
	config, err := pgxpool.ParseConfig(w.values[settings.DatabaseURL])
	if err != nil {
		return errors.New("the vault's address in onevault.env is not a PostgreSQL URL")
	}
	config.MaxConns = 1 // so that what the benchmark itself asks can be told from what is measured
	config.ConnConfig.RuntimeParams["application_name"] = "bench"
	w.db, err = pgxpool.NewWithConfig(ctx, config)
	return err
}

// settle is how long a worker is left alone after its start, which begins schedules that are due at once.
const settle = 15 * time.Second

// startWorker starts a worker that looks every five seconds, or as it does by default.
func (w *world) startWorker(ctx context.Context, cadenced bool) error {
	var err error
	env := []string{
		settings.DatabaseURL + "=" + w.values[settings.DatabaseURL], settings.TemporalAddress + "=" + w.values[settings.TemporalAddress],
		settings.AllowedCIDRs + "=127.0.0.0/8", settings.APIAddr + "=",
	}
	if cadenced {
		env = append(env, settings.CollectEvery+"="+cadence.String(), settings.EvaluateEvery+"="+cadence.String())
	}
	w.cadenced = cadenced
	if w.worker, err = w.start("onevault", env, "worker"); err != nil {
		return err
	}
	return w.worker.await(ctx, `"msg":"worker ready"`)
}

// useWorker has a worker of that kind run.
func (w *world) useWorker(ctx context.Context, cadenced bool) error {
	if w.worker != nil && w.cadenced == cadenced {
		return nil
	}
	if w.worker != nil {
		if err := w.worker.stop(); err != nil {
			return err
		}
	}
	if err := w.startWorker(ctx, cadenced); err != nil {
		return err
	}
	time.Sleep(settle)
	return nil
}

func (w *world) start(program string, env []string, args ...string) (*part, error) {
	name := fmt.Sprintf("%s-%d", program, time.Now().UnixMilli())
	p := &part{name: program, log: filepath.Join(w.dir, name+".log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	path, err := filepath.Abs(filepath.Join(w.options.bin, program))
	if err != nil {
		return nil, err
	}
	p.cmd = exec.Command(path, args...)
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "ONEVAULT_DATA_DIR=" + filepath.Join(w.dir, "nothing-here")}, env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s (make build makes it): %w", program, errors.Join(err, log.Close()))
	}
	go func() {
		_ = p.cmd.Wait() // how it ended says whoever asked for it
		_ = log.Close()
		close(p.ended)
	}()
	return p, nil
}

// await waits until the process has written a text.
func (p *part) await(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for {
		log, err := os.ReadFile(p.log)
		if err != nil {
			return err
		}
		if strings.Contains(string(log), text) {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended before it said %q:\n%s", p.name, text, tail(log))
		case <-ctx.Done():
			return fmt.Errorf("%s did not say %q in time:\n%s", p.name, text, tail(log))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func tail(log []byte) string {
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

func (p *part) kill() error {
	err := p.cmd.Process.Kill()
	<-p.ended
	return err
}

func (p *part) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(40 * time.Second):
		return errors.Join(fmt.Errorf("%s did not end within 40 s of SIGTERM", p.name), p.kill())
	}
}

func (p *part) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// killPostgres ends the server as a crash of its host would.
func (w *world) killPostgres() error {
	if err := syscall.Kill(w.postgres.PID(), syscall.SIGKILL); err != nil {
		return err
	}
	<-w.postgres.Done()
	_ = w.postgres.Stop() // repeats that it ended by itself
	return nil
}

// close ends everything. What went wrong is kept to be looked at.
func (w *world) close(failed bool) (err error) {
	if w.db != nil {
		w.db.Close()
	}
	for _, p := range []*part{w.worker, w.dev} {
		if p != nil && p.running() {
			err = errors.Join(err, p.stop())
		}
	}
	if w.postgres != nil {
		err = errors.Join(err, w.postgres.Stop())
	}
	if w.receiver != nil {
		err = errors.Join(err, w.receiver.close())
	}
	if failed || w.options.keep {
		fmt.Fprintln(os.Stderr, "bench-alerts: data and logs are kept in", w.dir)
		return err
	}
	return errors.Join(err, os.RemoveAll(w.dir))
}

// spent is what each part has spent on a processor. own is the session of the benchmark, which is no part of vault.
type spent struct{ server, worker, vault, own time.Duration }

func (w *world) spent(ctx context.Context) (s spent, err error) {
	var (
		errs [5]error
		pid  int
	)
	errs[3] = w.db.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid)
	s.own, errs[4] = cpu.Of(pid)
	s.server, errs[0] = cpu.Of(w.dev.cmd.Process.Pid)
	s.worker, errs[1] = cpu.Of(w.worker.cmd.Process.Pid)
	s.vault, errs[2] = cpu.Server(w.postgres.PID())
	s.vault -= s.own
	return s, errors.Join(errs[:]...)
}

func (s spent) since(before spent) spent {
	return spent{server: s.server - before.server, worker: s.worker - before.worker, vault: s.vault - before.vault, own: s.own - before.own}
}

func (s spent) sum() time.Duration { return s.server + s.worker + s.vault }

func (s spent) String() string {
	return fmt.Sprintf("CPU %s (Temporal %s, worker %s, vault %s)", round(s.sum()), round(s.server), round(s.worker), round(s.vault))
}

// each is the CPU of one of n.
func (s spent) each(n int) string {
	one := func(d time.Duration) string { return fmt.Sprintf("%.2f", milliseconds(d)/float64(n)) }
	return fmt.Sprintf("CPU ms each: %s (Temporal %s, worker %s, vault %s)", one(s.sum()), one(s.server), one(s.worker), one(s.vault))
}

// resident is the memory of each part in MB. Of PostgreSQL's processes, what they share counts once.
func (w *world) resident() (server, worker, vault float64, err error) {
	var errs [3]error
	server, errs[0] = residentOf(w.dev.cmd.Process.Pid)
	worker, errs[1] = residentOf(w.worker.cmd.Process.Pid)
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", w.postgres.PID(), w.postgres.PID()))
	errs[2] = err
	for _, pid := range append(strings.Fields(string(children)), strconv.Itoa(w.postgres.PID())) {
		if number, err := strconv.Atoi(pid); err == nil {
			proportional, err := memoryOf(number, "smaps_rollup", "Pss:")
			if err == nil { // else it has ended since
				vault += proportional
			}
		}
	}
	return server, worker, vault, errors.Join(errs[:]...)
}

func residentOf(pid int) (float64, error) { return memoryOf(pid, "status", "VmRSS:") }

func memoryOf(pid int, file, field string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, field); found {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/%s has no %s", pid, file, field)
}

// load is the machine's load of the last minute.
func load() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return -1
	}
	value, err := strconv.ParseFloat(strings.Fields(string(text))[0], 64)
	if err != nil {
		return -1
	}
	return value
}
