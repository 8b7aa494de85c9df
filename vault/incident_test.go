package vault_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/incident"
	"onevault/vault"
)

// incidentOf creates an incident of alerts, by their keys.
func (f *fixture) incidentOf(keys ...string) vault.ListedIncident {
	f.Helper()
	made, _, err := f.store.CreateIncident(f.Context(), vault.NewIncident{Alerts: f.listed(keys...), Title: "Primary is slow", Actor: "dana"})
	if err != nil {
		f.Fatal(err)
	}
	return made
}

func (f *fixture) listed(keys ...string) []vault.ListedAlert {
	f.Helper()
	list := make([]vault.ListedAlert, len(keys))
	for i, key := range keys {
		var err error
		if list[i], err = f.store.FindAlert(f.Context(), key); err != nil {
			f.Fatal(err)
		}
	}
	return list
}

func (f *fixture) findIncident(id string) vault.ListedIncident {
	f.Helper()
	found, err := f.store.FindIncident(f.Context(), id)
	if err != nil {
		f.Fatal(err)
	}
	return found
}

func TestIncident_IsCreatedOnceAndReadWhole(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	n := vault.NewIncident{Alerts: f.listed(key), Title: "Primary is slow", Description: "everything waits", AssignedTo: "erin", Actor: "dana"}
	made, created, err := f.store.CreateIncident(t.Context(), n)
	if err != nil || !created {
		t.Fatalf("created %v, %v", created, err)
	}
	again, created, err := f.store.CreateIncident(t.Context(), n)
	if err != nil || created || again.Key != made.Key {
		t.Errorf("created again: %v, %+v, %v", created, again, err)
	}
	if made.Status != incident.StatusOpen || made.Priority != "P2" || made.CreatedBy != "dana" || made.AssignedTo != "erin" || made.Alerts != 1 ||
		made.ActiveAlerts != 1 || made.WorkflowID != "incident/"+made.ID || made.Description != "everything waits" ||
		made.CreatedAt.Location() != time.UTC || !made.ResolvedAt.IsZero() || made.ResponseMinutes != nil || !slices.Equal(made.Services, []string{"local"}) {
		t.Errorf("made %+v", made)
	}
	for _, id := range []string{made.ID, made.WorkflowID, made.HashKey, made.Key} {
		if found := f.findIncident(id); found.Key != made.Key {
			t.Errorf("%s finds %s", id, found.ID)
		}
	}
	if _, err := f.store.FindIncident(t.Context(), "I-ZZZZZZZZ"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("an unknown id: %v", err)
	}
	n.Title = " "
	var refused *vault.Refusal
	if _, _, err := f.store.CreateIncident(t.Context(), n); !errors.As(err, &refused) || refused.Code != "22023" {
		t.Errorf("without a title: %v", err)
	}
}

func TestRecordIncident_WritesAndReadsInOne(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	made := f.incidentOf(f.fire("USAGE"))
	at := time.Now().UTC().Truncate(time.Microsecond)
	change := &incident.Change{Kind: incident.Resolved, At: at, Actor: "dana", Via: "cli:dana@host", Text: "restarted"}
	for range 2 { // the second is a retry
		record, err := f.store.RecordIncident(t.Context(), made.HashKey, change)
		if err != nil || !record.Changed || record.Incident.ResolvedBy != "dana" || !record.Incident.ResolvedAt.Equal(at) {
			t.Fatalf("recorded %+v, %v", record, err)
		}
	}
	other := &incident.Change{Kind: incident.Resolved, At: at.Add(time.Second), Actor: "erin"}
	if record, err := f.store.RecordIncident(t.Context(), made.HashKey, other); err != nil || record.Changed || record.Incident.ResolvedBy != "dana" || record.Message == "" {
		t.Errorf("the second resolution: %+v, %v", record, err)
	}
	if record, err := f.store.RecordIncident(t.Context(), made.HashKey, nil); err != nil || record.Changed || record.Incident.Status != incident.StatusResolved {
		t.Errorf("read %+v, %v", record, err)
	}
	for _, key := range []string{strings.Repeat("00", 32), "not hex"} {
		var refused *vault.Refusal
		if _, err := f.store.RecordIncident(t.Context(), key, nil); !errors.As(err, &refused) {
			t.Errorf("%q: %v", key, err)
		}
	}
	equal(f, "versions", value[int](f, "SELECT count(*) FROM monitoring.incident_s"), 2)
}

func TestIncidents_MostUrgentFirstAndTheResolvedLast(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	titles := map[string]string{}
	for _, severity := range []string{"LOW", "CRITICAL", "MEDIUM", "HIGH"} {
		f.define(severity, row{"alert_severity": severity})
		f.look(severity, time.Now().UTC().Truncate(time.Microsecond), usage(90))
		key := value[string](f, "SELECT alert_instance_bk FROM monitoring.alert_current WHERE alert_definition_bk = $1", severity)
		titles[f.incidentOf(key).ID] = severity
	}
	list := func(filter vault.IncidentFilter) (order []string) {
		found, _, err := f.store.Incidents(t.Context(), filter)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range found {
			order = append(order, titles[l.ID])
		}
		return order
	}
	if got := list(vault.IncidentFilter{}); !slices.Equal(got, []string{"CRITICAL", "HIGH", "MEDIUM", "LOW"}) {
		t.Errorf("listed %q", got)
	}
	for id, severity := range titles {
		if severity == "CRITICAL" || severity == "HIGH" {
			f.exec("SELECT monitoring.resolve_incident(monitoring.find_incident($1), 'dana')", id)
		}
		if severity == "HIGH" {
			f.exec("SELECT monitoring.close_incident(monitoring.find_incident($1), 'dana')", id)
		}
	}
	if got := list(vault.IncidentFilter{}); !slices.Equal(got, []string{"MEDIUM", "LOW", "CRITICAL"}) {
		t.Errorf("listed %q: the resolved one belongs to the end, the closed one nowhere", got)
	}
	if got := list(vault.IncidentFilter{All: true}); !slices.Equal(got, []string{"HIGH", "MEDIUM", "CRITICAL", "LOW"}) {
		t.Errorf("all are %q, want the newest first", got)
	}
	found, more, err := f.store.Incidents(t.Context(), vault.IncidentFilter{Limit: 1})
	if err != nil || !more || len(found) != 1 {
		t.Errorf("limited: %d, more %v, %v", len(found), more, err)
	}
}

func TestIncidentTimeline_TellsWhatHappenedInItsOrder(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one, two, three := f.fire("ONE"), f.fire("TWO"), f.fire("THREE")
	made := f.incidentOf(one, three)
	ctx := t.Context()
	say := func(kind incident.Kind, text string) {
		t.Helper()
		if changed, err := f.store.CommandIncident(ctx, made, kind, incident.Command{Actor: "dana", Text: text}); err != nil || !changed {
			t.Fatalf("%s: %v, %v", kind, changed, err)
		}
	}
	say(incident.Noted, "looking")
	say(incident.Assigned, "erin")
	if n, err := f.store.LinkAlerts(ctx, made, f.listed(one, two), "erin", "the same cause"); err != nil || n != 1 {
		t.Errorf("linked %d, %v", n, err)
	}
	if n, err := f.store.UnlinkAlerts(ctx, made, f.listed(two), "dana", "it is not"); err != nil || n != 1 {
		t.Errorf("unlinked %d, %v", n, err)
	}
	say(incident.Resolved, "restarted")
	say(incident.Reopened, "it is back")
	say(incident.Resolved, "restarted again")
	say(incident.Closed, "a long transaction")
	if _, err := f.store.CommandIncident(ctx, made, incident.Limit, incident.Command{Actor: "dana"}); err == nil {
		t.Error("a person had a limit pass")
	}

	moments, err := f.store.IncidentTimeline(ctx, made)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range moments {
		got = append(got, strings.TrimSpace(m.Kind+" "+m.What+" "+m.Actor+" "+m.Details))
	}
	id := func(key string) string { return f.listed(key)[0].ID }
	// What came together is one entry, in the order of the hash keys and so of the ids.
	together := strings.Join(slices.Sorted(slices.Values([]string{id(one), id(three)})), ", ")
	want := []string{
		"STATE OPEN dana Primary is slow", "ALERT JOINED dana " + together,
		"STATE INVESTIGATING dana", "NOTE NOTE dana looking", "ASSIGNED erin dana",
		"ALERT JOINED erin " + id(two) + ": the same cause", "ALERT LEFT dana " + id(two) + ": it is not",
		"STATE RESOLVED dana restarted", "STATE REOPENED dana", "NOTE NOTE dana it is back", "STATE RESOLVED dana restarted again",
		"STATE CLOSED dana a long transaction",
	}
	if !slices.Equal(got, want) {
		t.Errorf("timeline\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	alerts, err := f.store.IncidentAlerts(ctx, made)
	if err != nil || len(alerts) != 3 || !alerts[0].Until.IsZero() || alerts[2].ID != id(two) || alerts[2].Until.IsZero() || alerts[2].Reason != "it is not" {
		t.Errorf("alerts %+v, %v", alerts, err)
	}
}

func TestOutbox_BringsFactsByIncidentAndApartFromThoseOfAlerts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	made := f.incidentOf(key)
	f.mustCommand("acknowledge_alert", key, "erin", true)
	// A hub that nobody wrote a version of: no reason to hold up the others.
	f.exec("INSERT INTO monitoring.incident_h (incident_hk, incident_bk) VALUES (util.hash_binary('EMPTY'), 'EMPTY')")
	f.exec("INSERT INTO monitoring.incident_note_s (incident_hk, hash_diff, note_text) VALUES (util.hash_binary('EMPTY'), '\\x', 'of nothing')")

	outbox := f.take(f.store)
	defer outbox.Release()
	if _, kinds := f.unrelayed(outbox, 10); len(kinds) != 2 {
		t.Errorf("facts about alerts: %v", kinds)
	}
	news, err := outbox.UnrelayedIncidents(t.Context(), 10)
	if err != nil || len(news) != 2 {
		t.Fatalf("%d incidents, %v", len(news), err)
	}
	var kinds []string
	var ids []int64
	for _, fact := range news[0].Facts {
		kinds, ids = append(kinds, fact.Kind), append(ids, fact.Seq)
	}
	if i := news[0].Incident; i.ID != made.ID || i.AlertAcknowledgedBy != "erin" || !slices.Equal(kinds, []string{"CREATED", "LINKED", "ALERT"}) || !slices.IsSorted(ids) {
		t.Errorf("news %v of %+v", kinds, i)
	}
	if last := news[0].Facts[2]; last.Status != "ACKNOWLEDGED" || last.Alert != f.listed(key)[0].ID || last.At.IsZero() {
		t.Errorf("fact %+v", last)
	}
	if news[1].Incident.Key != "" || len(news[1].Facts) != 1 {
		t.Errorf("news of a hub alone: %+v", news[1])
	}
	if err := outbox.MarkRelayed(t.Context(), ids, "relayed"); err != nil {
		t.Fatal(err)
	}
	if left, err := outbox.UnrelayedIncidents(t.Context(), 10); err != nil || len(left) != 1 {
		t.Errorf("left %+v, %v", left, err)
	}
}

func TestOutbox_ActiveIncidentsAreThoseThatNeedAWorkflow(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	// Recorded a minute ago, and heard of, but for UNHEARD: the relay brings that one.
	for key, status := range map[string]string{"OLD": "OPEN", "RESOLVED": "RESOLVED", "CLOSED": "CLOSED", "UNHEARD": "OPEN"} {
		f.exec("INSERT INTO monitoring.incident_h (incident_hk, incident_bk) VALUES (util.hash_binary($1), $1)", key)
		f.exec(`
			INSERT INTO monitoring.incident_s (incident_hk, load_date, hash_diff, incident_title, incident_status, incident_severity, incident_priority, created_timestamp)
			VALUES (util.hash_binary($1), clock_timestamp() - interval '1 minute', '\x', $1, $2, 'LOW', 'P4', clock_timestamp() - interval '1 minute')`, key, status)
	}
	f.incidentOf(f.fire("FRESH")) // its workflow may be starting at this moment
	f.exec("UPDATE monitoring.outbox SET relayed_at = clock_timestamp() WHERE incident_hk IS DISTINCT FROM util.hash_binary('UNHEARD')")
	outbox := f.take(f.store)
	defer outbox.Release()
	news, err := outbox.ActiveIncidents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range news {
		got = append(got, n.Incident.Title)
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"OLD", "RESOLVED"}) {
		t.Errorf("active: %q", got)
	}
}
