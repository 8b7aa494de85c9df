package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"onevault/api"
)

// serve starts a server on a free port, ends it with the test and returns its base URL.
func serve(t *testing.T, cfg api.Config) string {
	t.Helper()
	cfg.Addr = "127.0.0.1:0"
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	server, err := api.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve after its context ended: %v", err)
		}
	})
	return "http://" + server.Addr()
}

// answer makes one request and returns the status and the body.
func answer(t *testing.T, method, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func readiness(t *testing.T, base string) (int, api.Readiness) {
	t.Helper()
	status, body := answer(t, http.MethodGet, base+"/readyz")
	var state api.Readiness
	if err := json.NewDecoder(strings.NewReader(body)).Decode(&state); err != nil {
		t.Fatalf("body of /readyz: %v\n%s", err, body)
	}
	return status, state
}

func passes(context.Context) error { return nil }

func TestHealthz_AnswersWhileNothingIsReady(t *testing.T) {
	t.Parallel()
	base := serve(t, api.Config{Checks: map[string]func(context.Context) error{
		"vault": func(context.Context) error { return errors.New("connection refused") },
	}})
	if status, body := answer(t, http.MethodGet, base+"/healthz"); status != http.StatusOK || body != "ok\n" {
		t.Errorf("GET /healthz: %d %q, want 200 \"ok\\n\"", status, body)
	}
}

func TestReadyz_IsReadyWhenEveryCheckPasses(t *testing.T) {
	t.Parallel()
	base := serve(t, api.Config{Checks: map[string]func(context.Context) error{"vault": passes, "temporal": passes}})
	status, state := readiness(t, base)
	if status != http.StatusOK || !state.Ready || !state.Checks["vault"].OK || !state.Checks["temporal"].OK {
		t.Errorf("GET /readyz: %d %+v, want 200 and two checks that pass", status, state)
	}
	if err := api.Ask(t.Context(), base+"/readyz"); err != nil {
		t.Errorf("Ask: %v", err)
	}
}

func TestReadyz_NamesTheCheckThatFails(t *testing.T) {
	t.Parallel()
	base := serve(t, api.Config{Checks: map[string]func(context.Context) error{
		"vault":    func(context.Context) error { return errors.New("connection refused") },
		"temporal": passes,
	}})
	status, state := readiness(t, base)
	if status != http.StatusServiceUnavailable || state.Ready {
		t.Errorf("GET /readyz: %d ready=%v, want 503 and not ready", status, state.Ready)
	}
	if got := state.Checks["vault"]; got.OK || got.Error != "connection refused" {
		t.Errorf("check vault: %+v, want its error", got)
	}
	if !state.Checks["temporal"].OK {
		t.Errorf("check temporal: %+v, want it to pass", state.Checks["temporal"])
	}
	err := api.Ask(t.Context(), base+"/readyz")
	if err == nil || !strings.Contains(err.Error(), "vault: connection refused") || strings.Contains(err.Error(), "temporal:") {
		t.Errorf("Ask: %v, want only the failing check", err)
	}
}

func TestReadyz_ACheckThatPanicsFails(t *testing.T) {
	t.Parallel()
	base := serve(t, api.Config{Checks: map[string]func(context.Context) error{
		"worker": func(context.Context) error { panic("nil pointer") },
	}})
	if status, state := readiness(t, base); status != http.StatusServiceUnavailable || !strings.Contains(state.Checks["worker"].Error, "nil pointer") {
		t.Errorf("GET /readyz: %d %+v, want 503 and the panic", status, state)
	}
}

func TestServer_RefusesWhatItDoesNotServe(t *testing.T) {
	t.Parallel()
	base := serve(t, api.Config{})
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/", http.StatusNotFound},
		{http.MethodGet, "/debug/pprof/", http.StatusNotFound},
		{http.MethodPost, "/readyz", http.StatusMethodNotAllowed},
	} {
		if got, _ := answer(t, c.method, base+c.path); got != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, got, c.want)
		}
	}
}

func TestNew_NamesThePortInUseAndTheRemedy(t *testing.T) {
	t.Parallel()
	first, err := api.New(api.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := api.New(api.Config{Addr: first.Addr()})
	if err == nil {
		t.Fatalf("second server took %s too", second.Addr())
	}
	for _, want := range []string{first.Addr(), "port is in use", "another port"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

func TestAsk_SaysWhyThereIsNoGoodAnswer(t *testing.T) {
	t.Parallel()
	base := serve(t, api.Config{})
	gone, err := api.New(api.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		base + "/nothing-here":              "HTTP 404; is this the right port?",
		"http://" + gone.Addr() + "/readyz": "connection refused",
	} {
		if err := api.Ask(t.Context(), url); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Ask %s: %v, want %q", url, err, want)
		}
	}
}

func TestServe_EndsWithItsContextAndGivesThePortBack(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	server, err := api.New(api.Config{Addr: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := server.Serve(ctx); err != nil {
		t.Fatalf("Serve: %v, want nil", err)
	}
	again, err := api.New(api.Config{Addr: server.Addr()})
	if err != nil {
		t.Fatalf("address after Serve ended: %v", err)
	}
	defer again.Close()
	if log.Len() != 0 {
		t.Errorf("an orderly end wrote to the log: %s", &log)
	}
}
