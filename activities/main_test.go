package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/testsuite"

	"onevault/alert"
	"onevault/inbox"
	"onevault/migrations"
	"onevault/notify"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

func TestMain(m *testing.M) {
	pgtest.Main(m, migrations.Fingerprint(), func(ctx context.Context, url string) error {
		return migrations.Up(ctx, url, nil)
	})
}

// world is a real vault, a real inbox, and a worker's activities between them.
type world struct {
	*testing.T
	store *vault.Store
	inbox *inbox.Server
	env   *testsuite.TestActivityEnvironment
	log   *safeBuffer

	directory     *Directory
	notifications *Notifications
}

// safeBuffer is a log that several goroutines write.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	store, err := vault.Open(t.Context(), pgtest.DB(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return worldWith(t, store)
}

// vaultDown is a world whose vault answers nobody.
func vaultDown(t *testing.T) *world {
	t.Helper()
	return worldWith(t, deadVault(t))
}

func deadVault(t *testing.T) *vault.Store {
	t.Helper()
	store, err := vault.Open(t.Context(), "postgres://u:s3cret@127.0.0.1:1/x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

// providerSecrets are all that a channel of these tests finds in its environment.
var providerSecrets = map[string]string{
	"PAGERDUTY_KEY": "R0123456789abcdef0123456789abcde", "TWILIO_TOKEN": "0123456789abcdef0123456789abcdef",
}

// telephone is the configuration of an SMS or VOICE channel.
func telephone(api string) map[string]any {
	return map[string]any{
		"account_sid": "AC0123456789abcdef0123456789abcdef", "auth_token_env": "TWILIO_TOKEN",
		"from_number": "+4930100000", "to_numbers": []string{"+4930123456"}, "api_base_url": api,
	}
}

func worldWith(t *testing.T, store *vault.Store) *world {
	t.Helper()
	log := new(safeBuffer)
	logger := slog.New(slog.NewTextHandler(log, nil))
	server, err := inbox.Start(t.Context(), inbox.Config{Log: logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{T: t, store: store, inbox: server, log: log}
	w.directory = &Directory{Vault: store, Options: notify.Options{
		Allow:     []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		LookupEnv: func(name string) (string, bool) { value, ok := providerSecrets[name]; return value, ok },
		Timeout:   5 * time.Second,
	}}
	w.notifications = &Notifications{Vault: store, Channels: w.directory, Log: logger, UIURL: "http://ui.test", Namespace: "default"}
	w.env = new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
	w.env.RegisterActivity(w.notifications)
	return w
}

// put writes a channel whose configuration is given, and returns it as a workflow carries it.
func (w *world) put(key string, kind notify.Type, configuration map[string]any) alert.Channel {
	w.Helper()
	text, err := json.Marshal(configuration)
	if err != nil {
		w.Fatal(err)
	}
	row := vault.Channel{Key: key, Name: key, Type: string(kind), Configuration: text, RetryAttempts: 2, RecordSource: "TEST"}
	if err := w.store.PutChannel(w.Context(), row); err != nil {
		w.Fatal(err)
	}
	channels, err := w.directory.Matching(w.Context(), VaultUnreachableKey)
	if err != nil {
		w.Fatal(err)
	}
	i := slices.IndexFunc(channels, func(c alert.Channel) bool { return c.Key == key })
	if i < 0 {
		w.Fatalf("channel %s hears nothing", key)
	}
	return channels[i]
}

// webhook is a channel that ends in the inbox.
func (w *world) webhook() alert.Channel {
	w.Helper()
	return w.put("OPS", notify.TypeWebhook, w.webhookConfiguration())
}

func (w *world) webhookConfiguration() map[string]any {
	return map[string]any{"url": w.inbox.HTTPURL() + "/webhook/ops", "unsigned": true}
}

// open writes an open alert of a default definition into the vault and returns it.
func (w *world) open() alert.Alert {
	w.Helper()
	a := someAlert()
	_, err := w.store.RecordHistory(w.Context(), []vault.Change{{
		AlertKey: a.Key, DefinitionKey: VaultUnreachableKey, Target: a.Target, Change: "OPEN", At: a.TriggeredAt, Via: "worker", Severity: alert.SeverityCritical,
	}}, nil)
	if err != nil {
		w.Fatal(err)
	}
	return a
}

func someAlert() alert.Alert {
	at := time.Now().UTC().Add(-time.Minute).Truncate(time.Microsecond)
	key := alert.Key("local", VaultUnreachableKey, at)
	return alert.Alert{Key: key, ShortID: alert.ShortID(key), Target: "local", Status: alert.StatusOpen, TriggeredAt: at}
}

// first is the first attempt at telling a channel of alerts.
func first(channel alert.Channel, alerts ...alert.Alert) SendNotificationInput {
	return SendNotificationInput{
		Channel: channel, Recipient: channel.Recipients[0], Event: "FIRED",
		Message: notify.Message{
			Key: "delivery-1", Event: alert.EventFired, Target: "local", At: time.Now().UTC(), Alerts: alerts,
			WorkflowID: "alert/local/" + VaultUnreachableKey,
			Definition: alert.Definition{Key: VaultUnreachableKey, Name: "Vault Unreachable", Category: "PERFORMANCE", Severity: alert.SeverityCritical},
		},
	}
}

// send runs the activity as a worker does.
func (w *world) send(in SendNotificationInput) SendNotificationOutput {
	w.Helper()
	value, err := w.env.ExecuteActivity(w.notifications.SendNotification, in)
	if err != nil {
		w.Fatalf("send: %v", err)
	}
	var out SendNotificationOutput
	if err := value.Get(&out); err != nil {
		w.Fatal(err)
	}
	return out
}

// ledger lists the versions of all notifications: status, class, and ? for a possible duplicate.
func (w *world) ledger() []string {
	w.Helper()
	rows, err := w.store.Pool().Query(w.Context(), `
		SELECT concat_ws(' ', delivery_status, outcome_class, CASE WHEN possible_duplicate THEN '?' END)
		  FROM monitoring.notification_log_s ORDER BY load_date`)
	if err != nil {
		w.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.Fatal(err)
	}
	return list
}

func (w *world) wantLedger(want ...string) {
	w.Helper()
	if got := w.ledger(); !slices.Equal(got, want) {
		w.Errorf("ledger %q, want %q", got, want)
	}
}

func (w *world) wantReceived(n int) {
	w.Helper()
	if got := len(w.inbox.Messages()); got != n {
		w.Errorf("the receiver has %d messages, want %d", got, n)
	}
}

// wantNoSecret fails where a text repeats what must never be told.
func wantNoSecret(t *testing.T, what, text, secret string) {
	t.Helper()
	if strings.Contains(text, secret) {
		t.Errorf("%s tells the secret: %s", what, text)
	}
}

// deadAddress is one that nothing listens on.
func deadAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}
