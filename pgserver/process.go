package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// process is a child of ours; done is closed when it has ended.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// command prepares a program of the server: as the account, into the log, and with nothing of our own
// environment, whose PG* variables and locale would change what it does.
func (s *Server) command(onDeath syscall.Signal, program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin.Dir, program), args...)
	cmd.Dir = "/" // the account may not be able to enter ours
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=/usr/bin:/bin", "HOME=/"}
	cmd.Stdout, cmd.Stderr = s.log, s.log
	cmd.SysProcAttr = childAttributes(s.account.credential(), onDeath)
	return cmd
}

func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd, make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel takes the death of the thread that forked for our death, so the thread must live as
		// long as the child.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // the outcome is in cmd.ProcessState
			close(p.done)
		}
	}()
	return p, <-started
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// state and succeeded tell how an ended process ended.
func (p *process) state() string   { return p.cmd.ProcessState.String() }
func (p *process) succeeded() bool { return p.cmd.ProcessState.Success() }

// wait returns when the process has ended, whatever its outcome; one that outlives ctx is killed.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), p.kill(syscall.SIGKILL))
	}
}

// kill sends a signal and waits for the end.
func (p *process) kill(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.done
	return nil
}

// shutDown asks a postmaster to end, ever more urgently. SIGINT disconnects everybody and writes a
// checkpoint; SIGQUIT leaves that to the recovery of the next start.
func (p *process) shutDown(immediate bool) error {
	phases := []struct {
		sig  syscall.Signal
		wait time.Duration
	}{{syscall.SIGINT, 30 * time.Second}, {syscall.SIGQUIT, 15 * time.Second}}
	if immediate {
		phases = phases[1:]
	}
	for _, phase := range phases {
		if err := p.cmd.Process.Signal(phase.sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop postgres: %w", err)
		}
		select {
		case <-p.done:
			return p.outcome()
		case <-time.After(phase.wait):
			slog.Warn("postgres does not stop", "pid", p.pid(), "signal", phase.sig.String(), "waited", phase.wait)
		}
	}
	return errors.Join(errors.New("stop postgres: killed it, the next start recovers"), p.kill(syscall.SIGKILL))
}

func (p *process) outcome() error {
	if !p.succeeded() {
		return fmt.Errorf("stop postgres: %s", p.state())
	}
	return nil
}

// openOwn opens a file of ours for appending, and never through a link that somebody put there.
func openOwn(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
}

// logSize returns the end of the log: what comes after it is of the next program.
func (s *Server) logSize() int64 {
	info, err := s.log.Stat()
	if err != nil {
		return 0 // then an error shows older lines as well
	}
	return info.Size()
}

// logTail returns what was logged since from, at most its last 4 KiB, on lines of its own.
func (s *Server) logTail(from int64) string {
	const most = 4 << 10
	from = max(from, s.logSize()-most)
	text, err := io.ReadAll(io.NewSectionReader(s.log, from, most))
	if err != nil {
		return fmt.Sprintf("\n(log unreadable: %v)", err)
	}
	return "\n" + strings.TrimSpace(string(text))
}
