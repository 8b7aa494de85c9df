package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"onevault/alert"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

const (
	connections = "SYSTEM_HIGH_CONNECTION_COUNT" // HIGH, escalates after 15 minutes
	lag         = "PG_REPLICATION_LAG"           // MEDIUM, never escalates
	wraparound  = "PG_XID_CRITICAL"              // CRITICAL, escalates after 15 minutes
)

// life is a vault with alerts in it.
type life struct {
	t     *testing.T
	url   string
	store *vault.Store
}

func newLife(t *testing.T) life {
	t.Helper()
	url := pgtest.DB(t)
	store, err := vault.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return life{t, url, store}
}

func (l life) fire(target, definition string, severity alert.Severity, value float64, at time.Time) string {
	l.t.Helper()
	key := alert.Key(target, definition, at)
	details := json.RawMessage(`{"condition": "connection_usage_pct > threshold_value", "inputs": {"threshold_value": 75, "connection_usage_pct": 93}, "result": "TRUE"}`)
	l.record(vault.Change{
		AlertKey: key, DefinitionKey: definition, Target: target, Change: "OPEN", At: at, Value: &value,
		Severity: severity, Details: details, Via: "evaluator",
	})
	return key
}

func (l life) record(changes ...vault.Change) {
	l.t.Helper()
	if _, err := l.store.RecordHistory(l.t.Context(), changes, nil); err != nil {
		l.t.Fatal(err)
	}
}

func (l life) tell(entries ...vault.LedgerEntry) {
	l.t.Helper()
	if _, err := l.store.RecordHistory(l.t.Context(), nil, entries); err != nil {
		l.t.Fatal(err)
	}
}

// measure makes the unit of a metric known.
func (l life) measure(target string, at time.Time) {
	l.t.Helper()
	value := 93.0
	if _, err := l.store.RecordHealth(l.t.Context(), target, at, time.Minute, []vault.Sample{
		{Name: "connection_usage_pct", Category: "AVAILABILITY", Unit: "%", Value: &value, Source: "test"},
		{Name: "xid_age_pct", Category: "MAINTENANCE", Unit: "%", Value: &value, Source: "test"},
		{Name: "replication_lag_bytes", Category: "REPLICATION", Unit: "bytes", Value: &value, Source: "test"},
		{Name: "replication_lag_s", Category: "REPLICATION", Unit: "s", Value: &value, Source: "test"},
	}); err != nil {
		l.t.Fatal(err)
	}
}

func (l life) cli(args ...string) result { return invocation{url: l.url}.run(l.t, args...) }

// several fires one alert of each kind that a list must tell apart.
func several(t *testing.T) life {
	t.Helper()
	l := newLife(t)
	l.measure("pg-prod-3", now)
	opened := now.Add(-6 * time.Minute)
	l.fire("pg-prod-3", lag, alert.SeverityMedium, 64<<20, now.Add(-3*time.Hour))
	l.fire("pg-prod-3", connections, alert.SeverityHigh, 93.25, opened)
	critical := l.fire("pg-prod-3", wraparound, alert.SeverityCritical, 81, opened.Add(time.Second))
	l.record(vault.Change{AlertKey: critical, Change: "ESCALATED", At: now.Add(-2 * time.Minute), Level: 1, Via: "workflow"})
	acked := l.fire("pg-prod-4", wraparound, alert.SeverityCritical, 80, opened)
	l.record(vault.Change{AlertKey: acked, Change: "ACKNOWLEDGED", At: now.Add(-time.Minute), Actor: "dana", Notes: "checking", Via: "cli:dana@host"})
	ended := l.fire("pg-prod-3", connections, alert.SeverityHigh, 77, now.Add(-50*time.Hour))
	l.record(vault.Change{AlertKey: ended, Change: "RESOLVED", At: now.Add(-49 * time.Hour), Actor: "condition cleared", Via: "evaluator"})
	return l
}

func TestAlertList_ShowsWhatIsOpenWorstFirst(t *testing.T) {
	t.Parallel()
	l := several(t)
	golden(t, "alert-list", l.cli("alert", "list").out)
	golden(t, "alert-list-wide", l.cli("alert", "list", "-o", "wide").out)
	golden(t, "alert-list-all", l.cli("alert", "list", "--all").out)
	golden(t, "alert-list-color", invocation{url: l.url, color: true}.run(t, "alert", "list").out)
	golden(t, "alert-list-name", l.cli("alert", "list", "-o", "name").out)
	plain := invocation{url: l.url, color: true}.run(t, "alert", "list", "--no-color")
	if plain.out != l.cli("alert", "list").out {
		t.Errorf("--no-color gives\n%s", plain.out)
	}
}

func TestAlertList_Restricts(t *testing.T) {
	t.Parallel()
	l := several(t)
	for args, want := range map[string]int{
		"severity=CRITICAL":                     2,
		"severity=critical target=~3$":          1,
		"state!=ACKNOWLEDGED":                   3,
		"--target pg-prod-4":                    1,
		"--since 10m":                           3,
		"--since 2026-05-04T03:12:01Z":          1,
		"--all":                                 5,
		"--all state=RESOLVED":                  1,
		"--all --since 2d":                      4,
		"--all --limit 2":                       2,
		"acked_by=dana":                         1,
		"alert=~lag":                            1,
		"definition=" + connections:             1,
		"--all definition=" + connections:       2,
		"target=nowhere":                        0,
		"level=1":                               1,
		"category=PERFORMANCE severity!=MEDIUM": 3,
	} {
		got := l.cli(append([]string{"alert", "list", "-o", "name"}, strings.Fields(args)...)...)
		if got.code != exitDone || strings.Count(got.out, "\n") != want {
			t.Errorf("%s: code %d, want %d alerts:\n%s%s", args, got.code, want, got.out, got.err)
		}
	}
	l.cli("alert", "list", "--all", "--limit", "2").wants(t, exitDone, "only the first 2 are shown")
	l.cli("alert", "list", "target=nowhere").wants(t, exitDone, "no open alerts; --all shows those that ended")
}

func TestAlertList_ForProgramsIsJSONAndTheSameYAML(t *testing.T) {
	t.Parallel()
	l := several(t)
	got := l.cli("alert", "list", "-o", "json", "definition="+connections)
	var list []vault.ListedAlert
	if err := json.Unmarshal([]byte(got.out), &list); err != nil || len(list) != 1 {
		t.Fatalf("%v in\n%s", err, got.out)
	}
	a := list[0]
	if a.State != alert.StatusOpen || *a.Value != 93.25 || a.Unit != "%" || !a.TriggeredAt.Equal(now.Add(-6*time.Minute)) ||
		a.NextLevel != 1 || !a.NextAt.Equal(now.Add(9*time.Minute)) || a.WorkflowID != "alert/pg-prod-3/"+connections {
		t.Errorf("alert = %+v", a)
	}
	if !strings.Contains(got.out, `"triggered_at": "2026-05-04T03:12:00Z"`) {
		t.Errorf("times are not RFC 3339 in UTC:\n%s", got.out)
	}
	yaml := l.cli("alert", "list", "-o", "yaml", "definition="+connections)
	yaml.wants(t, exitDone, "- id: "+a.ID, `triggered_at: "2026-05-04T03:12:00Z"`, "condition: connection_usage_pct > threshold_value")
	if none := l.cli("alert", "list", "-o", "json", "target=nowhere"); none.out != "[]\n" || none.err != "" {
		t.Errorf("nothing is %q, %q", none.out, none.err)
	}
}

func TestAlertList_SaysWhenAnEscalationIsLate(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.fire("local", connections, alert.SeverityHigh, 93, now.Add(-20*time.Minute))
	l.cli("alert", "list").wants(t, exitDone, "level 1 late by 5m")
}

func TestAlertShow_TellsWhyItFiredAndWhoWasTold(t *testing.T) {
	t.Parallel()
	l, id := toldLife(t)
	got := l.cli("alert", "show", id)
	golden(t, "alert-show", withoutVersion(got.out))
	var shown struct {
		ID     string
		Inputs map[string]float64
		Told   []vault.Told
	}
	if err := json.Unmarshal([]byte(l.cli("alert", "show", id, "-o", "json").out), &shown); err != nil {
		t.Fatal(err)
	}
	if shown.ID != id || shown.Inputs["connection_usage_pct"] != 93 || len(shown.Told) != 2 {
		t.Errorf("as JSON: %+v", shown)
	}
}

// withoutVersion hides when this database was migrated.
func withoutVersion(text string) string {
	return regexp.MustCompile(`version of [0-9-]+ [0-9:]+ UTC`).ReplaceAllString(text, "version of ...")
}

// toldLife is an alert of which one channel heard and another did not.
func toldLife(t *testing.T) (life, string) {
	t.Helper()
	l := newLife(t)
	for _, key := range []string{"MAIL", "CHAT"} {
		if err := l.store.PutChannel(t.Context(), vault.Channel{
			Key: key, Name: key, Type: "WEBHOOK", Configuration: json.RawMessage(`{"url": "https://example.com/` + key + `", "unsigned": true}`), RecordSource: "TEST",
		}); err != nil {
			t.Fatal(err)
		}
	}
	l.measure("local", now)
	opened := now.Add(-6 * time.Minute)
	key := l.fire("local", connections, alert.SeverityHigh, 93, opened)
	entry := vault.LedgerEntry{AlertKey: key, ChannelKey: "MAIL", ChannelType: "WEBHOOK", Recipient: "https://example.com/...", Event: "FIRED", DeliveryKey: "k", Status: "PENDING", At: opened}
	delivered, transient, failed := entry, entry, entry
	delivered.Status, delivered.Class, delivered.Proof, delivered.DurationMS = "DELIVERED", "ACCEPTED", "HTTP 200", 12
	transient.ChannelKey, transient.Class, transient.Reason = "CHAT", "TRANSIENT", "HTTP 503"
	failed.ChannelKey, failed.Status, failed.Class, failed.Reason, failed.Attempt, failed.PossibleDuplicate = "CHAT", "FAILED", "UNCERTAIN", "no answer", 1, true
	for _, each := range []vault.LedgerEntry{entry, delivered, transient, failed} {
		l.tell(each) // as they happen: what is recorded in one call has an order for each notification only
	}
	l.record(
		vault.Change{AlertKey: key, Change: "NOTIFIED", At: opened, Count: 1},
		vault.Change{AlertKey: key, Change: "ACKNOWLEDGED", At: now.Add(-time.Minute), Actor: "dana", Notes: "checking WAL", Via: "cli:dana@host"},
	)
	return l, alert.ShortID(key)
}

func TestAlertTimeline_TellsEveryVersionInOrder(t *testing.T) {
	t.Parallel()
	l, id := toldLife(t)
	l.record(vault.Change{AlertKey: mustFind(t, l, id).Key, Change: "RESOLVED", At: now, Actor: "erin", Notes: "freed", Via: "psql:erin"})
	var moments []vault.Moment
	if err := json.Unmarshal([]byte(l.cli("alert", "timeline", id, "-o", "json").out), &moments); err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, m := range moments {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", m.Kind, m.Status, m.Channel, m.Class)))
		if i > 0 && m.At.Before(moments[i-1].At) {
			t.Errorf("%v comes after %v", m, moments[i-1])
		}
	}
	// The states happened when these tests say, the rest when it was recorded: now.
	want := []string{
		"STATE OPEN", "STATE ACKNOWLEDGED", "STATE RESOLVED",
		"NOTIFICATION PENDING MAIL", "NOTIFICATION DELIVERED MAIL ACCEPTED", "NOTIFICATION PENDING CHAT TRANSIENT", "NOTIFICATION FAILED CHAT UNCERTAIN",
		"STATE NOTIFIED",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	l.cli("alert", "timeline", id).wants(t, exitDone,
		"attempt 1 begun", "DELIVERED by attempt 1 ACCEPTED in 12 ms", "attempt 1 TRANSIENT, will be repeated", "HTTP 503",
		"FAILED by attempt 2 UNCERTAIN", "possible duplicate", "checking WAL", "freed", "dana", "erin")
}

func mustFind(t *testing.T, l life, id string) vault.ListedAlert {
	t.Helper()
	found, err := l.store.FindAlert(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAlertTimeline_HoldsTheEvaluationsThatDecided(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.measure("local", time.Now())
	if _, err := l.store.EvaluateDue(t.Context(), "local", 0); err != nil {
		t.Fatal(err)
	}
	id := strings.Fields(l.cli("alert", "list", "-o", "name", "definition="+connections).out)
	if len(id) != 1 {
		t.Fatalf("open alerts: %v", id)
	}
	l.cli("alert", "timeline", id[0]).wants(t, exitDone, "decided FIRED", "connection_usage_pct=93")
	l.cli("definition", "list", "result=TRUE", "key="+connections).wants(t, exitDone, "TRUE", "nobody")
}

func TestAlertAck_WithoutTemporalTheVaultTakesIt(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	id := alert.ShortID(l.fire("local", connections, alert.SeverityHigh, 93, now))
	got := l.cli("alert", "ack", strings.ToLower(id), "-m", "checking WAL", "--actor", "dana")
	got.wants(t, exitDone)
	if want := "acknowledged " + id + " by dana in the vault; its workflow hears of it when it runs\n"; got.out != want {
		t.Errorf("got %q, want %q", got.out, want)
	}
	if found := mustFind(t, l, id); found.AcknowledgedBy != "dana" || found.AcknowledgedNotes != "checking WAL" {
		t.Errorf("the vault says %+v", found)
	}
	l.cli("alert", "ack", id, "--actor", "erin").wants(t, exitDone, id+" was acknowledged by dana ")
	l.cli("alert", "resolve", id, "--actor", "erin", "-o", "json").wants(t, exitDone, `"state": "RESOLVED"`, `"actor": "erin"`, `"through": "vault"`)
	l.cli("alert", "ack", id).wants(t, exitConflict, "onevault: "+id+" was resolved by erin at ", "onevault alert show")
	l.cli("alert", "resolve", id).wants(t, exitDone, id+" was resolved by erin ")
}

func TestAlertAck_OfAWorkflowNeedsTemporal(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.cli("alert", "ack", "alert/local/"+connections).wants(t, exitError, "onevault: acknowledge alert/local/"+connections+": no answer", deadTemporal, "TEMPORAL_ADDRESS")
}

func TestAlertAck_OfManyAsksFirst(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	args := []string{"alert", "ack", "--actor", "dana"}
	for i := range 11 {
		args = append(args, alert.ShortID(l.fire("local", connections, alert.SeverityHigh, 93, now.Add(time.Duration(i)*time.Second))))
	}
	l.cli(args...).wants(t, exitUsage, "acknowledge 11 alerts", "add --yes")
	invocation{url: l.url, asks: true, stdin: "no\n"}.run(t, args...).wants(t, exitError, "acknowledge 11 alerts? [y/N]", "nothing was changed")
	if open := l.cli("alert", "list", "state=OPEN", "-o", "name"); strings.Count(open.out, "\n") != 11 {
		t.Fatalf("still open:\n%s", open.out)
	}
	invocation{url: l.url, asks: true, stdin: "y\n"}.run(t, args[:4+5]...).wants(t, exitDone) // few: no question
	invocation{url: l.url, asks: true, stdin: "y\n"}.run(t, args...).wants(t, exitDone)
	if open := l.cli("alert", "list", "state=OPEN", "-o", "name"); open.out != "" {
		t.Errorf("still open:\n%s", open.out)
	}
}

func TestAlert_UnknownIsNotFoundAndAmbiguousSaysWhich(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	for _, verb := range []string{"show", "timeline", "ack", "resolve"} {
		l.cli("alert", verb, "A-0000").wants(t, exitNotFound, `onevault: no alert "A-0000"`, "onevault alert list")
	}
}
