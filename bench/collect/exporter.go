//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"onevault/bench/cpu"
	"onevault/bench/debian"
)

const exporterPackage = "prometheus-postgres-exporter"

// exporter is the program that OneVault is compared with.
type exporter struct {
	path, version string
	statements    string // a file that has it read the statements, too
}

// statementsYAML asks for the counters that OneVault reads of each statement. The example that comes with
// the package names columns that PostgreSQL has not had since 13.
//
//go:embed statements.yaml
var statementsYAML []byte

// exporterProgram brings Debian's package, unless it is there already.
func exporterProgram(ctx context.Context, cache string) (exporter, error) {
	e := exporter{statements: filepath.Join(cache, "statements.yaml")}
	var err error
	if e.path, err = debian.Program(ctx, cache, exporterPackage, exporterPackage); err != nil {
		return exporter{}, err
	}
	if err := os.WriteFile(e.statements, statementsYAML, 0o644); err != nil {
		return exporter{}, err
	}
	out, err := exec.CommandContext(ctx, e.path, "--version").CombinedOutput()
	if err != nil {
		return exporter{}, fmt.Errorf("%s --version: %w", e.path, err)
	}
	e.version = strings.Fields(strings.TrimPrefix(string(out), "postgres_exporter, version ") + " unknown")[0]
	return e, nil
}

// running is an exporter at work.
type running struct {
	cmd    *exec.Cmd
	url    string
	client *http.Client
	log    *bytes.Buffer
}

// start runs the exporter against a database until stop. The address goes by the environment, as its
// documentation says.
func (e exporter) start(ctx context.Context, databaseURL string, args ...string) (*running, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return nil, err
	}
	r := &running{url: "http://" + address + "/metrics", client: &http.Client{Timeout: time.Minute}, log: &bytes.Buffer{}}
	r.cmd = exec.Command(e.path, append([]string{"--web.listen-address=" + address, "--log.level=error"}, args...)...)
	r.cmd.Env = append(os.Environ(), "DATA_SOURCE_NAME="+databaseURL)
	r.cmd.Stdout, r.cmd.Stderr = r.log, r.log
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the exporter: %w", err)
	}
	for range 200 {
		if _, err = r.scrape(ctx); err == nil {
			return r, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, errors.Join(fmt.Errorf("the exporter does not answer: %w", err), r.stop())
}

func (r *running) stop() error {
	if err := r.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("stop the exporter: %w", err)
	}
	_ = r.cmd.Wait() // it was killed
	if r.log.Len() > 0 {
		return fmt.Errorf("the exporter said: %s", bytes.TrimSpace(r.log.Bytes()))
	}
	return nil
}

func (r *running) cpu() (time.Duration, error) { return cpu.Of(r.cmd.Process.Pid) }

// scrape asks once, as Prometheus does, and returns how many values of the database it got.
func (r *running) scrape(ctx context.Context) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return 0, err
	}
	response, err := r.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the exporter answers %s", response.Status)
	}
	values, up := countValues(body)
	if !up {
		return 0, errors.New("the exporter says that the database is down")
	}
	return values, nil
}

// countValues counts the values about the database, without those that an exporter tells about itself
// (go_, process_, promhttp_, pg_exporter_), and looks for pg_up 1.
func countValues(body []byte) (values int, up bool) {
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		up = up || line == "pg_up 1"
		if strings.HasPrefix(line, "pg_") && !strings.HasPrefix(line, "pg_exporter_") && !strings.HasPrefix(line, "pg_scrape_") {
			values++
		}
	}
	return values, up
}
