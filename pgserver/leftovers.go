package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pidFile is the postmaster's note in the data directory: its pid, ..., its shared memory, its state.
const pidFile = "postmaster.pid"

// clearLeftovers makes way after an end without Stop. We hold the lock, so a server of ours that still
// runs on this directory is an orphan.
func (s *Server) clearLeftovers(ctx context.Context) error {
	if err := s.clearPostmaster(ctx); err != nil {
		return err
	}
	if err := s.clearBackends(ctx); err != nil {
		return err
	}
	return s.freshSocketDir()
}

// clearPostmaster stops an orphan, refuses a server that somebody else started, and disowns a note whose
// pid belongs to another program by now.
func (s *Server) clearPostmaster(ctx context.Context) error {
	pid, err := s.notedPID()
	if err != nil || pid == 0 || !alive(pid) {
		return err
	}
	switch command := commandLine(pid); {
	case strings.Contains(command, "unix_socket_directories="+quoteDir(s.run)):
		return stopOrphan(ctx, pid)
	case slices.Contains(serverProcesses(s.data), pid) || strings.Contains(command, s.data):
		return fmt.Errorf("data directory %s is held by PostgreSQL process %d, which something else started: stop it with kill -INT %d, or choose another directory", s.data, pid, pid)
	}
	return s.disownNote()
}

// notedPID returns the pid in postmaster.pid, 0 when there is none.
func (s *Server) notedPID() (int, error) {
	text, err := os.ReadFile(filepath.Join(s.data, pidFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look for an earlier server: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return 0, nil // empty or torn: the server itself says what to do about it
	}
	return max(pid, -pid), nil // a single-user server notes its pid as negative
}

// stopOrphan ends a server whose starter was killed, first in order, then at once.
func stopOrphan(ctx context.Context, pid int) error {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop the earlier postgres %d: %w", pid, err)
		}
		patience, cancel := context.WithTimeout(ctx, 20*time.Second)
		err := until(patience, func() bool { return commandLine(pid) == "" })
		cancel()
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("the earlier postgres %d does not stop: stop it with kill -9 %d", pid, pid)
}

// disownNote writes our own pid on line 1 of postmaster.pid. A postmaster that finds its parent's pid
// there takes the note for stale, where it would refuse to start over a reused one. The other lines
// stay: the one about shared memory protects the data against backends that still live.
func (s *Server) disownNote() error {
	path := filepath.Join(s.data, pidFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // its owner was ending and has removed it
	}
	if err != nil {
		return fmt.Errorf("replace a stale note: %w", err)
	}
	_, rest, _ := strings.Cut(string(text), "\n")
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, []byte(strconv.Itoa(os.Getpid())+"\n"+rest), 0o600); err != nil {
		return fmt.Errorf("replace a stale note: %w", err)
	}
	if err := errors.Join(s.account.own(tmp), os.Rename(tmp, path)); err != nil {
		return fmt.Errorf("replace a stale note: %w", err)
	}
	return nil
}

// clearBackends kills what outlived its postmaster: a backend that computes does not look up to notice,
// and holds the shared memory meanwhile. Its work is lost in any case.
func (s *Server) clearBackends(ctx context.Context) error {
	for _, pid := range serverProcesses(s.data) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end process %d of an earlier postgres: %w", pid, err)
		}
	}
	return until(ctx, func() bool { return len(serverProcesses(s.data)) == 0 })
}

// freshSocketDir drops sockets and their lock files, which name processes that are gone.
func (s *Server) freshSocketDir() error {
	if err := os.RemoveAll(s.run); err != nil {
		return fmt.Errorf("remove old sockets: %w", err)
	}
	if err := errors.Join(os.Mkdir(s.run, 0o700), s.account.own(s.run)); err != nil {
		return fmt.Errorf("make a directory for the socket: %w", err)
	}
	return nil
}

// until polls what the kernel gives no notice of: the end of processes that are not our children.
func until(ctx context.Context, done func() bool) error {
	for !done() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}
