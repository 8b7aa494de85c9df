package api_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
	"onevault/api"
	"onevault/command"
	"onevault/link"
	"onevault/migrations"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

func TestMain(m *testing.M) {
	pgtest.Main(m, migrations.Fingerprint(), func(ctx context.Context, url string) error {
		return migrations.Up(ctx, url, nil)
	})
}

// world is a gate with everything behind it, over a real vault. The workflows are the test's: none runs, or
// they answer as it says.
type world struct {
	*testing.T
	base  string
	store *vault.Store
	psql  *pgx.Conn
	keys  link.Keys

	in     *api.Inbound
	sender *command.Sender

	mu        sync.Mutex
	now       time.Time
	workflows func(workflowID string, action command.Action, c alert.Command) (alert.CommandResult, error)
	updates   []alert.Command
	secrets   map[string]string
}

const linkKey = "dGhlLWtleS1vZi10aGUtdGVzdHMtMDEyMzQ1Njc4OTAx"

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldAt(t, pgtest.DB(t), nil)
}

func newWorldAt(t *testing.T, databaseURL string, change func(*api.InboundConfig)) *world {
	t.Helper()
	keys, err := link.ParseKeys(linkKey)
	if err != nil {
		t.Fatal(err)
	}
	store, err := vault.Open(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	w := &world{T: t, store: store, keys: keys, now: time.Now().UTC().Truncate(time.Microsecond), secrets: map[string]string{}}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	registry := api.NewRegistry()
	config := api.InboundConfig{Vault: store, Registry: registry, Log: log}
	if change != nil {
		change(&config)
	}
	in := api.NewInbound(config)
	sender := &command.Sender{Vault: store, Workflows: w, Vouches: true}
	w.in, w.sender = in, sender
	in.Mount((&api.Links{Inbound: in, Keys: keys, Vault: store, Sender: sender, Log: log, Now: w.clock}).Routes()...)
	in.Mount((&api.Sources{Inbound: in, Vault: store, Secret: w.secret, Log: log, Now: w.clock}).Routes()...)
	w.base = serve(t, api.Config{Inbound: in, Registry: registry})
	return w
}

// open gives the test a psql; tests of a vault that is down have none.
func (w *world) open(databaseURL string) *world {
	w.Helper()
	conn, err := pgx.Connect(w.Context(), databaseURL)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			w.Error(err)
		}
	})
	w.psql = conn
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) secret(field, variable, _ string) (string, error) {
	if secret := w.secrets[variable]; secret != "" {
		return secret, nil
	}
	return "", errors.New(field + "_env: the variable " + variable + " is not set")
}

// Update implements command.Workflows.
func (w *world) Update(_ context.Context, workflowID string, action command.Action, c alert.Command) (alert.CommandResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.updates = append(w.updates, c)
	if w.workflows == nil {
		return alert.CommandResult{}, command.ErrNotRunning
	}
	return w.workflows(workflowID, action, c)
}

// Carrying implements command.Workflows: one workflow carries everything.
func (w *world) Carrying(context.Context, string) ([]string, error) {
	return []string{"alert/local/SYSTEM_HIGH_CONNECTION_COUNT"}, nil
}

// Active implements command.Workflows.
func (w *world) Active(context.Context, string) (int, error) { return 1, nil }

// fire opens an alert and returns its business key.
func (w *world) fire(at time.Time) string {
	w.Helper()
	key := alert.Key("local", "SYSTEM_HIGH_CONNECTION_COUNT", at)
	value := 93.0
	if _, err := w.store.RecordHistory(w.Context(), []vault.Change{{
		AlertKey: key, DefinitionKey: "SYSTEM_HIGH_CONNECTION_COUNT", Target: "local", Change: "OPEN", At: at, Value: &value, Severity: alert.SeverityHigh, Via: "test",
	}}, nil); err != nil {
		w.Fatal(err)
	}
	return key
}

func (w *world) state(key string) vault.ListedAlert {
	w.Helper()
	found, err := w.store.FindAlert(w.Context(), key)
	if err != nil {
		w.Fatal(err)
	}
	return found
}

// reply is what a request was answered.
type reply struct {
	status int
	header http.Header
	body   string
}

func (w *world) send(method, path, body string, header http.Header) reply {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, w.base+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(text)}
}

func (w *world) get(path string) reply { w.Helper(); return w.send(http.MethodGet, path, "", nil) }

func (w *world) press(path, note string) reply {
	w.Helper()
	return w.send(http.MethodPost, path, url.Values{"note": {note}}.Encode(), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
}

// eventually waits for what happens beside the request.
func (w *world) eventually(what string, holds func() bool) {
	w.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			w.Fatalf("never: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// refusals lists the security events of refused requests: provider, reason and count.
func (w *world) refusals() []string {
	w.Helper()
	rows, err := w.psql.Query(w.Context(), `
		SELECT concat_ws(' ', event_details ->> 'provider', event_details ->> 'reason', event_details ->> 'count')
		  FROM monitoring.security_event_s WHERE event_type = 'INBOUND_REFUSED' AND load_end_date IS NULL ORDER BY 1`)
	if err != nil {
		w.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.Fatal(err)
	}
	return list
}

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}
