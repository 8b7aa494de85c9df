package activities

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"onevault/notify"
	"onevault/vault"
)

// watcher is an outside watcher that counts what it hears.
func watcher(t *testing.T, status int) (*notify.Heartbeat, *atomic.Int32) {
	t.Helper()
	var heard atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		heard.Add(1)
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	h, err := notify.OpenHeartbeat(server.URL+"/ping/s3cr3t-t0ken-of-the-watcher", notify.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	return h, &heard
}

// beat makes one and returns how it went, as a workflow's history holds it.
func beat(t *testing.T, store *vault.Store, h *notify.Heartbeat) (out BeatOutput, text string) {
	t.Helper()
	reported := 0
	beats := &Heartbeats{Vault: store, Watcher: h, Report: func(BeatOutput) { reported++ }}
	out, err := beats.Beat(t.Context())
	if err != nil || reported != 1 || out.At.IsZero() {
		t.Fatalf("%+v, %v, reported %d times", out, err, reported)
	}
	raw, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), "s3cr3t") {
		t.Errorf("the address is shown: %s", raw)
	}
	return out, string(raw)
}

func TestBeat_IsSentWhileAlertingWorksAndStopsWithEvaluation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h, heard := watcher(t, http.StatusOK)
	if _, err := w.store.EvaluateDue(t.Context(), "local", 0); err != nil {
		t.Fatal(err)
	}
	w.exec(`UPDATE monitoring.outbox SET relayed_at = now()`)
	if out, text := beat(t, w.store, h); !out.Sent || heard.Load() != 1 {
		t.Fatalf("alerting works, and: %s", text)
	}
	// An hour later, when nobody has looked since.
	w.exec(`ALTER TABLE monitoring.alert_evaluation_s DISABLE TRIGGER USER`)
	w.exec(`UPDATE monitoring.alert_evaluation_s SET evaluated_at = evaluated_at - interval '4 hours', load_date = load_date - interval '4 hours'`)
	out, text := beat(t, w.store, h)
	if out.Sent || heard.Load() != 1 || !strings.Contains(text, "evaluation stands still") {
		t.Errorf("evaluation stands still, and: %s", text)
	}
}

func TestBeat_SaysWhyTheWatcherWasNotTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.store.EvaluateDue(t.Context(), "local", 0); err != nil {
		t.Fatal(err)
	}
	w.exec(`UPDATE monitoring.outbox SET relayed_at = now()`)
	h, _ := watcher(t, http.StatusNotFound)
	if out, text := beat(t, w.store, h); out.Sent || !strings.Contains(out.Problem, "HTTP 404") {
		t.Errorf("the watcher is gone, and: %s", text)
	}
	if out, text := beat(t, w.store, nil); out.Sent || !strings.Contains(out.Problem, "ONEVAULT_HEARTBEAT_URL") {
		t.Errorf("there is no watcher, and: %s", text)
	}
	h, heard := watcher(t, http.StatusOK)
	if out, text := beat(t, deadVault(t), h); out.Sent || heard.Load() != 0 || !strings.Contains(text, "the vault does not say") || strings.Contains(text, "s3cret") {
		t.Errorf("the vault is down, and: %s", text)
	}
}

// exec runs a statement as the vault's owner.
func (w *world) exec(sql string) {
	w.Helper()
	if _, err := w.store.Pool().Exec(w.Context(), sql); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
}
