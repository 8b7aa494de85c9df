//go:build linux

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"onevault/bench/debian"
	"onevault/settings"
)

// peersPath is where Alertmanager's messages come.
const peersPath = "/peers"

// peers are Debian's exporter, Prometheus and Alertmanager at work, each as fast as its settings allow for the
// cadence: no pending time, no waiting for a group.
type peers struct {
	version string
	running []*exec.Cmd
}

const (
	exporterQueries = `bench_signal:
  query: "SELECT id::text AS id, value FROM bench.signal"
  metrics:
    - id: {usage: LABEL, description: Which}
    - value: {usage: GAUGE, description: "1: true"}
`
	prometheusConfig = `global: {scrape_interval: %[1]s, scrape_timeout: %[1]s, evaluation_interval: %[1]s}
rule_files: [%[2]q]
alerting: {alertmanagers: [{static_configs: [{targets: [%[3]q]}]}]}
scrape_configs: [{job_name: postgres, static_configs: [{targets: [%[4]q]}]}]
`
	alertmanagerConfig = `route: {receiver: bench, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 4h}
receivers: [{name: bench, webhook_configs: [{url: %q, send_resolved: true}]}]
`
)

// prometheusRules makes a group of rules for each condition. When in the interval a group is evaluated follows from its
// name, and how long after the scrape is luck: ten groups average it.
func prometheusRules() string {
	var rules strings.Builder
	rules.WriteString("groups:\n")
	for i := 1; i <= conditions; i++ {
		fmt.Fprintf(&rules, "- {name: bench_%d, rules: [{alert: Signal, expr: 'bench_signal_value{id=\"%d\"} > 0'}]}\n", i, i)
	}
	return rules.String()
}

func (w *world) startPeers(ctx context.Context) (_ *peers, err error) {
	p := &peers{}
	defer func() {
		if err != nil {
			p.stop()
		}
	}()
	paths := map[string]string{}
	for pkg, program := range map[string]string{
		"prometheus-postgres-exporter": "prometheus-postgres-exporter", "prometheus": "prometheus", "prometheus-alertmanager": "prometheus-alertmanager",
	} {
		if paths[program], err = debian.Program(ctx, w.options.cache, pkg, program); err != nil {
			return nil, err
		}
	}
	for _, program := range []string{"prometheus", "prometheus-alertmanager"} {
		out, err := exec.CommandContext(ctx, paths[program], "--version").CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("%s --version: %w", program, err)
		}
		p.version += strings.TrimPrefix(program, "prometheus-") + " " + strings.Fields(strings.Split(string(out), "version ")[1] + " ")[0] + " "
	}
	p.version = strings.TrimSuffix(strings.ReplaceAll(p.version, ",", ""), " ")
	ports, err := freePorts(4)
	if err != nil {
		return nil, err
	}
	address := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	dir := filepath.Join(w.dir, "peers")
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		"queries.yaml": exporterQueries, "rules.yaml": prometheusRules(),
		"prometheus.yaml":   fmt.Sprintf(prometheusConfig, cadence, file("rules.yaml"), address(2), address(0)),
		"alertmanager.yaml": fmt.Sprintf(alertmanagerConfig, w.receiver.address+peersPath),
	} {
		if err := os.WriteFile(file(name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	for _, c := range []struct {
		program string
		env     string
		health  string
		args    []string
	}{
		{
			"prometheus-postgres-exporter", "DATA_SOURCE_NAME=" + w.values[settings.DatabaseURL], address(0) + "/metrics",
			[]string{"--web.listen-address=" + address(0), "--extend.query-path=" + file("queries.yaml"), "--log.level=error"},
		},
		{
			"prometheus-alertmanager", "", address(2) + "/-/ready",
			[]string{"--config.file=" + file("alertmanager.yaml"), "--storage.path=" + file("am"), "--web.listen-address=" + address(2), "--cluster.listen-address="},
		},
		{
			"prometheus", "", address(1) + "/-/ready",
			[]string{"--config.file=" + file("prometheus.yaml"), "--storage.tsdb.path=" + file("prom"), "--web.listen-address=" + address(1)},
		},
	} {
		if err := p.start(file(c.program+".log"), filepath.Join(w.options.cache, "usr", "share"), paths[c.program], c.env, c.args); err != nil {
			return nil, err
		}
		if err := awaitHTTP(ctx, "http://"+c.health); err != nil {
			return nil, fmt.Errorf("%s is not ready: %w; see %s", c.program, err, file(c.program+".log"))
		}
	}
	return p, nil
}

// start runs a program that sees the files of its package below /usr/share, and nobody else does: Debian's Alertmanager
// reads its templates there.
func (p *peers) start(logFile, share, path, env string, args []string) error {
	log, err := os.Create(logFile)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("unshare", append([]string{"--mount", "--map-root-user", "sh", "-c", `mount --bind "$0" /usr/share && exec "$@"`, share, path}, args...)...)
	cmd.Env = append(os.Environ(), env)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", path, err)
	}
	p.running = append(p.running, cmd)
	return nil
}

func (p *peers) stop() {
	for _, cmd := range p.running {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // it was killed
	}
}

func awaitHTTP(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var last error
	for ctx.Err() == nil {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close() // nothing of it is wanted
			if response.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("it answers %s", response.Status)
		}
		last = err
		time.Sleep(100 * time.Millisecond)
	}
	return last
}
