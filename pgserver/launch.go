package pgserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// socketPort names the unix socket when no TCP port does.
const socketPort = 5432

var (
	errPortTaken  = errors.New("address already in use")
	errMemoryHeld = errors.New("processes of an earlier server still end")
)

// launch starts the postmaster and waits until it answers. Two failures pass by themselves: another
// program was faster at the free port, and backends of a killed postmaster hold its shared memory until
// they notice.
func (s *Server) launch(ctx context.Context) error {
	memory := time.Now().Add(15 * time.Second)
	for attempt := 1; ; attempt++ {
		err := s.launchOnce(ctx)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errPortTaken) && s.cfg.Port == AnyPort && attempt < 10:
		case errors.Is(err, errMemoryHeld) && time.Now().Before(memory):
		default:
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *Server) launchOnce(ctx context.Context) error {
	if err := s.choosePort(); err != nil {
		return err
	}
	from, taken := s.logSize(), s.collected()
	// SIGINT at our death: a fast shutdown, in order.
	p, err := startProcess(s.command(syscall.SIGINT, "postgres", s.arguments()...))
	if err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	s.proc = p
	if err := s.awaitReady(ctx); err != nil {
		if killErr := p.kill(syscall.SIGQUIT); killErr != nil {
			return errors.Join(err, killErr)
		}
		return s.explain(err, s.logTail(from)+s.collectedSince(ctx, taken))
	}
	return nil
}

// choosePort settles the port of this attempt, and reports one that is taken before the server trips
// over it.
func (s *Server) choosePort() error {
	if s.cfg.Port == SocketOnly {
		s.port = socketPort
		return nil
	}
	s.port = s.cfg.Port
	if s.port == AnyPort {
		port, err := FreePort()
		if err != nil {
			return fmt.Errorf("start postgres: %w", err)
		}
		s.port = port
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return s.portTaken()
	}
	if err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	s.port = listener.Addr().(*net.TCPAddr).Port
	return listener.Close()
}

func (s *Server) portTaken() error {
	return fmt.Errorf("port %d on 127.0.0.1: %w: stop what listens there (ss -ltnp 'sport = :%d' shows it), or choose another port",
		s.port, errPortTaken, s.port)
}

func (s *Server) arguments() []string {
	settings := s.cfg.serverSettings()
	settings["port"] = strconv.Itoa(s.port)
	settings["unix_socket_directories"] = quoteDir(s.run)
	settings["listen_addresses"] = ""
	if s.cfg.Port != SocketOnly {
		settings["listen_addresses"] = "127.0.0.1"
	}
	args := []string{"-D", s.data}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// quoteDir writes one directory for a parameter that takes a list of them.
func quoteDir(dir string) string {
	return `"` + strings.ReplaceAll(dir, `"`, `""`) + `"`
}

// awaitReady watches the file in which the postmaster notes its state; connecting until it works would
// fill the log with refusals.
func (s *Server) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if s.ready() {
			return s.ping(ctx)
		}
		select {
		case <-s.proc.done:
			return errors.New(s.proc.state())
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// ready reads line 1, the pid, and line 8, the state, of postmaster.pid.
func (s *Server) ready() bool {
	text, err := os.ReadFile(filepath.Join(s.data, pidFile))
	if err != nil {
		return false // not written yet; if it never is, the process ends
	}
	lines := strings.Split(string(text), "\n")
	return len(lines) > 7 && lines[0] == strconv.Itoa(s.proc.pid()) && strings.TrimSpace(lines[7]) == "ready"
}

// ping proves that the URL we hand out works, password and all.
func (s *Server) ping(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// explain adds what the server said, and turns what is known of it into a remedy.
func (s *Server) explain(err error, tail string) error {
	switch {
	case strings.Contains(tail, "Address already in use"):
		return s.portTaken()
	case strings.Contains(tail, "pre-existing shared memory block"):
		return fmt.Errorf("start postgres in %s: %w: %w%s", s.data, errMemoryHeld, err, tail)
	case strings.Contains(tail, `could not access file "pg_stat_statements"`):
		return fmt.Errorf("start postgres: the server in %s lacks pg_stat_statements: install the package with its contrib modules (postgresql-contrib)%s", s.bin.Dir, tail)
	}
	return fmt.Errorf("start postgres in %s: %w%s", s.data, err, tail)
}
