package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// output collects what processes write, in a file of the run and in memory, and wakes who waits for it.
type output struct {
	file *os.File

	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed and replaced at each write
}

// outputs counts the files, so that each process has its own.
var outputs atomic.Int32

func newOutput(name string) (*output, error) {
	path := filepath.Join(scratch, fmt.Sprintf("%02d-%s.log", outputs.Add(1), name))
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &output{file: file, changed: make(chan struct{})}, nil
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	close(o.changed)
	o.changed = make(chan struct{})
	return o.file.Write(p)
}

// read returns all that was written, and a channel that is closed at the next write.
func (o *output) read() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.changed
}

func (o *output) String() string {
	text, _ := o.read()
	return text
}

// tail is the end of the text, for failure messages.
func (o *output) tail() string { return tail(o.String(), 25) }

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// process is a binary that runs on.
type process struct {
	name  string
	cmd   *exec.Cmd
	out   *output
	ended chan struct{}
	err   error // valid when ended is closed
}

// start runs a binary with an environment of its own: nothing of the caller's settings leaks in.
func start(name, path string, env []string, args ...string) (*process, error) {
	out, err := newOutput(name)
	if err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: exec.Command(path, args...), out: out, ended: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = environment(env), out, out, dieWithUs()
	started := make(chan error)
	go p.live(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// live starts the process and waits for its end, on a thread that belongs to it: dieWithUs is bound to
// the thread that started a process, and the runtime ends threads as it likes.
func (p *process) live(started chan<- error) {
	runtime.LockOSThread()
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.err = p.cmd.Wait()
		close(p.ended)
	}
}

// environment is the little that a program needs, the secrets of the run, and what the story adds.
func environment(add []string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + scratch, "TMPDIR=" + os.TempDir(),
		"ONEVAULT_DATA_DIR=" + filepath.Join(scratch, "nothing-here"),
		webhookSecretVariable + "=" + webhookSecret, smtpPasswordVariable + "=" + smtpPassword,
		twilioTokenVariable + "=" + twilioToken, pagerKeyVariable + "=" + pagerKey,
	}, add...)
}

// awaitOutput waits until the process has written a text; its end and the context's are errors.
func (p *process) awaitOutput(ctx context.Context, text string) error {
	for {
		all, changed := p.out.read()
		if strings.Contains(all, text) {
			return nil
		}
		select {
		case <-changed:
		case <-p.ended:
			if strings.Contains(p.out.String(), text) {
				return nil
			}
			return fmt.Errorf("%s ended before it said %q: %w\n%s", p.name, text, p.err, p.out.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s did not say %q in time:\n%s", p.name, text, p.out.tail())
		}
	}
}

// kill ends the process as a crash would, and waits until it is gone.
func (p *process) kill() {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		panic(fmt.Sprintf("kill %s: %v", p.name, err)) // our own child: cannot happen
	}
	<-p.ended
}

// stop ends the process in order; an exit code other than 0 is an error.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.ended:
	case <-time.After(40 * time.Second):
		p.kill()
		return fmt.Errorf("%s did not end within 40 s of SIGTERM:\n%s", p.name, p.out.tail())
	}
	if p.err != nil {
		return fmt.Errorf("%s ended with %w:\n%s", p.name, p.err, p.out.tail())
	}
	return nil
}

// ran is a command that has ended.
type ran struct {
	code int
	text string // what it wrote, both streams
}

// execute runs a binary to its end.
func execute(t *testing.T, name, path string, env []string, args ...string) ran {
	t.Helper()
	p, err := start(name, path, env, args...)
	if err != nil {
		t.Fatal(err)
	}
	limit, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	select {
	case <-p.ended:
	case <-limit.Done():
		p.kill()
		t.Fatalf("%s %s does not end:\n%s", name, strings.Join(args, " "), p.out.tail())
	}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		t.Fatalf("%s: %v", name, p.err)
	}
	return ran{code: p.cmd.ProcessState.ExitCode(), text: p.out.String()}
}
