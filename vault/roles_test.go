package vault_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"onevault/alert"
	"onevault/vault"
)

// loginAs makes a role that may log in and is a member of another, and of nothing else.
func (f *fixture) loginAs(of string) (name, address string) {
	f.Helper()
	name, password := "role_"+strings.ToLower(rand.Text()[:12]), rand.Text()
	f.exec("CREATE ROLE " + name + " LOGIN PASSWORD '" + password + "'")
	f.exec("GRANT " + of + " TO " + name)
	f.Cleanup(func() {
		conn := f.psql
		if _, err := conn.Exec(context.Background(), "DROP ROLE "+name); err != nil {
			f.Error(err)
		}
	})
	u, err := url.Parse(f.url)
	if err != nil {
		f.Fatal("the address of a test database is not a URL")
	}
	u.User = url.UserPassword(name, password)
	return name, u.String()
}

func TestWorkerRole_IsEnoughForAllThatAWorkerDoes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.only()
	f.define("USAGE", nil)
	f.channel("OPS")
	name, address := f.loginAs("onevault_worker")
	f.store = f.open(address)
	ctx := t.Context()

	server, err := f.store.Server(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if server.Role != name || server.Superuser || !server.Monitor || server.MayInsert == nil || !*server.MayInsert || server.StatementsError != "" {
		t.Errorf("the server says of the role %+v", server)
	}

	// Measured, evaluated, fired.
	f.sample("connection_usage_pct", 90)
	evaluations, err := f.store.EvaluateDue(ctx, "local", 0)
	if err != nil || len(evaluations) != 1 || evaluations[0].Decision != "FIRED" {
		t.Fatalf("evaluated %+v, %v", evaluations, err)
	}
	listed, _, err := f.store.Alerts(ctx, vault.AlertFilter{})
	if err != nil || len(listed) != 1 {
		t.Fatalf("alerts %+v, %v", listed, err)
	}
	a := listed[0]

	// Brought to the workflow.
	outbox := f.take(f.store)
	defer outbox.Release()
	unrelayed, err := outbox.Unrelayed(ctx, 10)
	if err != nil || len(unrelayed) != 1 {
		t.Fatalf("unrelayed %+v, %v", unrelayed, err)
	}
	if _, err := outbox.ActiveGroups(ctx); err != nil {
		t.Error(err)
	}
	if _, err := outbox.Active(ctx, vault.Group{Target: "local", Definition: "USAGE"}); err != nil {
		t.Error(err)
	}
	if err := outbox.MarkRelayed(ctx, []int64{unrelayed[0].ID}, "told"); err != nil {
		t.Error(err)
	}

	// Told to people, and written down.
	channels, err := f.store.MatchingChannels(ctx, "USAGE")
	if err != nil || len(channels) != 1 {
		t.Errorf("channels %+v, %v", channels, err)
	}
	entry := intent(a.Key, 0)
	entry.ChannelKey = "OPS"
	f.begin(vault.FindingNew, entry)
	f.finish(outcome(entry, "DELIVERED", "ACCEPTED"))
	at := time.Now().UTC().Truncate(time.Microsecond)
	change := vault.Change{AlertKey: a.Key, DefinitionKey: "USAGE", Target: "local", At: at, Actor: "dana", Via: "workflow"}
	for _, c := range []struct {
		change string
		level  int
	}{{"ESCALATED", 1}, {"ACKNOWLEDGED", 0}, {"NOTIFIED", 0}, {"RESOLVED", 0}} {
		change.Change, change.Level, change.Count = c.change, c.level, 1
		for _, result := range f.record(change) {
			if !result.Changed {
				t.Errorf("%s: %+v", c.change, result)
			}
		}
	}
	if told, err := f.store.AlertTold(ctx, a); err != nil || len(told) != 1 {
		t.Errorf("told %+v, %v", told, err)
	}
	if moments, err := f.store.AlertTimeline(ctx, a); err != nil || len(moments) < 5 {
		t.Errorf("%d moments, %v", len(moments), err)
	}

	// Looked at by doctor.
	if _, err := f.store.Inspect(ctx); err != nil {
		t.Error(err)
	}
	if _, err := f.store.FailingDeliveries(ctx); err != nil {
		t.Error(err)
	}
	if list, err := f.store.Definitions(ctx, true); err != nil || len(list) == 0 {
		t.Errorf("%d definitions, %v", len(list), err)
	}
	if list, err := f.store.Channels(ctx, true); err != nil || len(list) != 1 {
		t.Errorf("%d channels, %v", len(list), err)
	}
	// A channel that the development start or the command line puts.
	if err := f.store.PutChannel(ctx, vault.Channel{
		Key: "NEW", Name: "New", Type: "SLACK", Configuration: []byte(`{"webhook_url_env": "SLACK_URL"}`), RetryAttempts: 3, RecordSource: "TEST",
	}); err != nil {
		t.Error(err)
	}
}

func TestOperatorRole_AcknowledgesAndResolvesByTheCommandLine(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	name, address := f.loginAs("onevault_operator")
	store := f.open(address)
	found, err := store.FindAlert(t.Context(), alert.ShortID(key))
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := store.AcknowledgeAlert(t.Context(), found, "dana", "on it"); err != nil || !ok {
		t.Errorf("acknowledge: %v, %v", ok, err)
	}
	if ok, err := store.ResolveAlert(t.Context(), found, "dana", ""); err != nil || !ok {
		t.Errorf("resolve: %v, %v", ok, err)
	}
	equal(f, "changed via", value[string](f, `
		SELECT changed_via FROM monitoring.alert_instance_s WHERE alert_instance_hk = util.hash_binary($1) AND load_end_date IS NULL`, key), "psql:"+name)
	for what, err := range map[string]error{
		"record history": func() error {
			_, err := store.RecordHistory(t.Context(), []vault.Change{{AlertKey: key, Change: "RESOLVED"}}, nil)
			return err
		}(),
		"record health": func() error {
			_, err := store.RecordHealth(t.Context(), "local", time.Now(), time.Minute, nil)
			return err
		}(),
	} {
		if code(err) != "42501" {
			t.Errorf("%s: %v, want it refused", what, err)
		}
	}
}

func TestReaderRole_ReadsByTheCommandLineAndChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	_, address := f.loginAs("onevault_reader")
	store := f.open(address)
	list, _, err := store.Alerts(t.Context(), vault.AlertFilter{})
	if err != nil || len(list) != 1 {
		t.Fatalf("alerts %+v, %v", list, err)
	}
	if moments, err := store.AlertTimeline(t.Context(), list[0]); err != nil || len(moments) == 0 {
		t.Errorf("%d moments, %v", len(moments), err)
	}
	if _, err := store.AcknowledgeAlert(t.Context(), list[0], "dana", ""); code(err) != "42501" {
		t.Errorf("acknowledge: %v, want it refused", err)
	}
	if _, err := store.FindAlert(t.Context(), "A-0000000"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("find: %v", err)
	}
	equal(f, "versions", f.versions(key), 1)
}
