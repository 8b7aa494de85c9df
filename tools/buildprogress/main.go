// Command buildprogress runs `go build` and shows that it moves: modules fetched, packages compiled of
// those that have to be, time passed. On a terminal it keeps one line up to date; where the output is
// a file or a pipe it writes a line every 20 seconds. It decides nothing about the build: flags and
// errors are go's own, and so is the exit code.
//
//	go run tools/buildprogress/main.go -C cmd/onevault-dev -o ../../bin/onevault-dev .
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// longBuild is the number of packages from which a build deserves a word of warning.
const longBuild = 300

func main() {
	dir := flag.String("C", ".", "build in this folder")
	out := flag.String("o", "", "write the binary here (relative to -C)")
	tags := flag.String("tags", "", "build tags")
	flag.Parse()

	b := build{dir: *dir, flags: buildFlags(*tags), packages: flag.Args()}
	b.name = filepath.Base(*out)
	if *out == "" {
		fmt.Fprintln(os.Stderr, "buildprogress: name the binary with -o FILE")
		os.Exit(2)
	}
	os.Exit(b.run(*out))
}

func buildFlags(tags string) []string {
	if tags == "" {
		return nil
	}
	return []string{"-tags", tags}
}

// build is one run of go list, to learn what there is to do, and of go build, to do it.
type build struct {
	dir      string
	name     string
	flags    []string
	packages []string
}

// run returns the exit code: go's own, or 1 when go could not be started.
func (b build) run(out string) int {
	p := newProgress(os.Stderr)
	defer p.clear()
	stale, err := b.stale(p)
	if err != nil {
		return exitCode(err)
	}
	if len(stale) > longBuild {
		p.say("compiling %d packages for %s: minutes the first time, seconds from then on", len(stale), b.name)
	}
	if err := b.compile(p, stale, out); err != nil {
		return exitCode(err)
	}
	if len(stale) > 0 {
		p.say("%s: built, %d packages in %s", b.name, len(stale), p.passed())
	}
	return 0
}

// stale lists the packages that go build will compile, fetching modules on the way.
func (b build) stale(p *progress) (map[string]bool, error) {
	p.phase = func() string { return fmt.Sprintf("%s: looking at packages, %d modules fetched", b.name, p.count) }
	args := append([]string{"list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}"}, b.flags...)
	lines, err := b.stream(p, append(args, b.packages...), func(line string) bool {
		fetched := strings.HasPrefix(line, "go: downloading ")
		if fetched {
			p.step()
		}
		return fetched
	})
	stale := make(map[string]bool, len(lines))
	for _, line := range lines {
		stale[line] = true
	}
	return stale, err
}

// compile runs go build; -v makes it name every package that it starts to compile.
func (b build) compile(p *progress, stale map[string]bool, out string) error {
	p.count = 0
	p.phase = func() string {
		if p.count >= len(stale) {
			return fmt.Sprintf("%s: compiled %d packages, linking", b.name, p.count)
		}
		return fmt.Sprintf("%s: compiled %d of %d packages", b.name, p.count, len(stale))
	}
	args := append([]string{"build", "-v", "-o", out}, b.flags...)
	_, err := b.stream(p, append(args, b.packages...), func(line string) bool {
		if stale[line] {
			p.step()
		}
		return stale[line]
	})
	return err
}

// stream runs go, offers each line of its standard error to counted, passes the others on, and
// returns the non-empty lines of its standard output.
func (b build) stream(p *progress, args []string, counted func(line string) bool) ([]string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = b.dir
	var stdout strings.Builder
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if err := p.follow(stderr, cmd.Process, counted); err != nil {
		return nil, errors.Join(err, cmd.Wait())
	}
	return strings.Fields(stdout.String()), cmd.Wait()
}

// progress shows the state of the running phase.
type progress struct {
	out      *os.File
	terminal bool
	start    time.Time
	count    int
	phase    func() string
	shown    bool // a live line stands on the terminal
}

func newProgress(out *os.File) *progress {
	info, err := out.Stat()
	return &progress{
		out:      out,
		terminal: err == nil && info.Mode()&os.ModeCharDevice != 0,
		start:    time.Now(),
	}
}

func (p *progress) step() { p.count++ }

// follow reads lines until the end of r; meanwhile it shows the progress at the medium's pace. An
// interrupt is passed to the process, whose end is the end of r.
func (p *progress) follow(r io.Reader, process *os.Process, counted func(string) bool) error {
	lines, failed := readLines(r)
	tick := time.NewTicker(p.pace())
	defer tick.Stop()
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupts)
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return <-failed
			}
			if !counted(line) {
				p.say("%s", line)
			}
		case <-tick.C:
			p.show()
		case s := <-interrupts:
			if err := process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return err
			}
		}
	}
}

func (p *progress) pace() time.Duration {
	if p.terminal {
		return 200 * time.Millisecond
	}
	return 20 * time.Second
}

// readLines sends the lines of r and, after the last, the error that ended the reading.
func readLines(r io.Reader) (<-chan string, <-chan error) {
	lines, failed := make(chan string), make(chan error, 1)
	go func() {
		scanner := bufio.NewScanner(r)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
		failed <- scanner.Err()
		close(lines)
	}()
	return lines, failed
}

func (p *progress) show() {
	text := fmt.Sprintf("%s, %s", p.phase(), p.passed())
	if !p.terminal {
		fmt.Fprintln(p.out, text)
		return
	}
	fmt.Fprintf(p.out, "\r\x1b[K%s", text)
	p.shown = true
}

// say writes a line of its own above the live line.
func (p *progress) say(format string, args ...any) {
	p.clear()
	fmt.Fprintf(p.out, format+"\n", args...)
}

func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}

func (p *progress) passed() time.Duration { return time.Since(p.start).Round(time.Second) }

func exitCode(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(exit.ExitCode(), 1)
	}
	fmt.Fprintln(os.Stderr, "buildprogress:", err)
	return 1
}
