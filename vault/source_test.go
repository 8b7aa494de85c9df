package vault_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/vault"
)

const ofPrometheus = "source:prometheus (verified)"

// firedOutside is when the alerts of these tests began, at their source.
var firedOutside = time.Date(2026, 5, 4, 3, 12, 0, 0, time.UTC)

func outside(name, fingerprint, status string) vault.SourceAlert {
	starts := firedOutside
	return vault.SourceAlert{
		Name: name, Status: status, Severity: "HIGH", Fingerprint: fingerprint, StartsAt: &starts,
		Labels: map[string]string{"instance": fingerprint}, Reason: "it is full (instance=" + fingerprint + ")",
	}
}

func (f *fixture) source(change func(*vault.Source)) {
	f.Helper()
	s := vault.Source{Name: "prometheus", TokenEnv: "PROMETHEUS_TOKEN", MaxDefinitions: 200}
	if change != nil {
		change(&s)
	}
	if _, err := f.store.PutSource(f.Context(), s, "dana"); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) takeIn(alerts ...vault.SourceAlert) []vault.SourceOutcome {
	f.Helper()
	outcomes, err := f.store.TakeIn(f.Context(), "prometheus", alerts, ofPrometheus)
	if err != nil {
		f.Fatal(err)
	}
	return outcomes
}

// tookIn takes one alert in and returns what became of it.
func (f *fixture) tookIn(a vault.SourceAlert) string {
	f.Helper()
	return f.takeIn(a)[0].Outcome
}

func (f *fixture) outboxKinds() []string {
	f.Helper()
	return column[string](f, "SELECT kind FROM monitoring.outbox WHERE alert_instance_hk IS NOT NULL ORDER BY outbox_id")
}

func TestTakeIn_OpensOnceAndEndsWithTheSource(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.source(nil)
	firing := outside("Disk Full", "fp1", "firing")
	opened := f.takeIn(firing)[0]
	if opened.Outcome != "OPENED" || !strings.HasPrefix(opened.ID, "A-") || opened.Definition != "EXTERNAL_PROMETHEUS_DISK_FULL_"+shortHash("DISK FULL")+"_HIGH" {
		t.Fatalf("first: %+v", opened)
	}
	if got := f.tookIn(firing); got != "HELD" {
		t.Errorf("the same again: %s", got)
	}
	a, err := f.store.FindAlert(t.Context(), opened.ID)
	if err != nil {
		t.Fatal(err)
	}
	if a.State != "OPEN" || a.Category != "EXTERNAL" || a.Target != "prometheus" || a.Reason != firing.Reason || a.ChangedVia != ofPrometheus || !a.TriggeredAt.Equal(firedOutside) {
		t.Errorf("opened: %+v", a)
	}
	if labels := value[string](f, "SELECT facts -> 'labels' ->> 'instance' FROM monitoring.alert_facts WHERE alert_instance_bk = $1", a.Key); labels != "fp1" {
		t.Errorf("a silence sees the label instance as %q", labels)
	}
	if got := f.tookIn(outside("Disk Full", "fp1", "resolved")); got != "RESOLVED" {
		t.Errorf("the end: %s", got)
	}
	for _, status := range []string{"resolved", "firing"} {
		if got := f.tookIn(outside("Disk Full", "fp1", status)); got != "ENDED" {
			t.Errorf("%s after the end: %s", status, got)
		}
	}
	later := firedOutside.Add(time.Hour)
	firing.StartsAt = &later
	if got := f.tookIn(firing); got != "OPENED" {
		t.Errorf("fired anew: %s", got)
	}
	if got := f.tookIn(outside("Disk Full", "fp1", "resolved")); got != "OLDER" {
		t.Errorf("the end of the first firing: %s", got)
	}
	if got := f.outboxKinds(); !slices.Equal(got, []string{"FIRED", "RESOLVED", "FIRED"}) {
		t.Errorf("the workflow hears %v", got)
	}
}

func TestTakeIn_AnAlertThatBeganLongAgoWaitsFromWhenItWasHeardOf(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.source(nil)
	before := time.Now().Add(-time.Minute)
	f.takeIn(outside("Disk Full", "fp1", "firing"))
	list, _, err := f.store.Alerts(f.Context(), vault.AlertFilter{})
	if err != nil || len(list) != 1 {
		t.Fatalf("%v in %+v", err, list)
	}
	if a := list[0]; !a.TriggeredAt.Equal(firedOutside) || a.NextLevel != 1 || a.NextAt.Before(before) {
		t.Errorf("it began at %s, and its level %d is expected at %s", a.TriggeredAt, a.NextLevel, a.NextAt)
	}
}

func TestTakeIn_AnEndThatOvertookItsBeginningOpensNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.source(nil)
	if got := f.tookIn(outside("Late", "fp", "resolved")); got != "MISSED" {
		t.Errorf("the end: %s", got)
	}
	if got := f.tookIn(outside("Late", "fp", "firing")); got != "ENDED" {
		t.Errorf("the beginning: %s", got)
	}
	nobody := outside("Late", "other", "resolved")
	nobody.StartsAt = nil
	if got := f.tookIn(nobody); got != "UNKNOWN" {
		t.Errorf("the end of nothing: %s", got)
	}
	if got := f.outboxKinds(); len(got) != 0 {
		t.Errorf("somebody is told: %v", got)
	}
}

func TestTakeIn_WhatAPersonResolvedStaysResolved(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.source(nil)
	firing := outside("Noise", "fp", "firing")
	id := f.takeIn(firing)[0].ID
	f.exec("SELECT monitoring.resolve_alert(monitoring.find_alert($1), 'dana')", id)
	if got := f.tookIn(firing); got != "ENDED" {
		t.Errorf("repeated by the source: %s", got)
	}
}

func TestTakeIn_ManyAlertsOfOneNameAreOneGroup(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.source(nil)
	f.takeIn(outside("Up", "fp1", "firing"), outside("Up", "fp2", "firing"), outside("Up", "fp1", "firing"))
	if n := value[int](f, "SELECT count(*) FROM monitoring.active_alerts_dashboard"); n != 2 {
		t.Errorf("%d alerts are open, want one for each fingerprint", n)
	}
	if n := value[int](f, "SELECT count(*) FROM monitoring.alert_definition_s WHERE alert_category = 'EXTERNAL'"); n != 1 {
		t.Errorf("%d definitions", n)
	}
}

func TestTakeIn_BeyondTheLimitAlertsShareADefinitionAndNoneIsLost(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.source(func(s *vault.Source) { s.MaxDefinitions = 2 })
	var got []string
	for _, name := range []string{"A", "B", "C", "D", "A"} {
		got = append(got, f.tookIn(outside(name, "of "+name, "firing")))
	}
	if want := []string{"OPENED", "OPENED", "OPENED_SHARED", "OPENED_SHARED", "HELD"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := value[int](f, "SELECT count(*) FROM monitoring.alert_definition_h WHERE alert_definition_bk LIKE 'EXTERNAL%'"); n != 3 {
		t.Errorf("%d definitions, want 2 and the shared one", n)
	}
}

func TestTakeIn_StandsOnTheTargetThatItsLabelNames(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.source(func(s *vault.Source) { s.TargetLabel = "server" })
	f.exec("SELECT monitoring.add_target('shop', 'postgres://watcher@db.example.com/shop')")
	for label, want := range map[string]string{"SHOP": "shop", "Local": "local", "other": "prometheus"} {
		a := outside("Slow", "fp "+label, "firing")
		a.Labels = map[string]string{"server": label}
		found, err := f.store.FindAlert(t.Context(), f.takeIn(a)[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if found.Target != want {
			t.Errorf("server=%s stands on %s, want %s", label, found.Target, want)
		}
	}
}

func TestTakeIn_NobodyElseLooksAtItsDefinitions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.source(nil)
	f.takeIn(outside("Up", "fp", "firing"))
	if n := value[int](f, "SELECT count(*) FROM monitoring.evaluate_definitions('prometheus', NULL, interval '0') WHERE definition_key LIKE 'EXTERNAL%'"); n != 0 {
		t.Errorf("%d of them were evaluated", n)
	}
	f.exec("INSERT INTO monitoring.alert_definition_s SELECT (jsonb_populate_record(d, '{\"load_date\": null, \"is_enabled\": false}')).* FROM monitoring.alert_definition_s d WHERE alert_category = 'EXTERNAL'")
	if got := f.tookIn(outside("Up", "fp2", "firing")); got != "DISABLED" {
		t.Errorf("of a disabled definition: %s", got)
	}
}

func TestPutSource_RefusesWhatCouldNeverProveItself(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for want, change := range map[string]func(*vault.Source){
		"0 of token_env":                  func(s *vault.Source) { s.TokenEnv = "" },
		"2 of token_env":                  func(s *vault.Source) { s.SecretFile = "/etc/onevault/s" },
		"token_env is no name":            func(s *vault.Source) { s.TokenEnv = "hunter2secret" },
		"which is the worker's own":       func(s *vault.Source) { s.TokenEnv = "ONEVAULT_LINK_KEY" },
		"no absolute path":                func(s *vault.Source) { s.TokenEnv, s.TokenFile = "", "../etc/shadow" },
		"max_definitions is 0":            func(s *vault.Source) { s.MaxDefinitions = 0 },
		`source name "a/b"`:               func(s *vault.Source) { s.Name = "a/b" },
		`source name "Local"`:             func(s *vault.Source) { s.Name = "Local" },
		`target_label "a b" is no name o`: func(s *vault.Source) { s.TargetLabel = "a b" },
	} {
		s := vault.Source{Name: "prometheus", TokenEnv: "PROMETHEUS_TOKEN", MaxDefinitions: 200}
		change(&s)
		_, err := f.store.PutSource(t.Context(), s, "dana")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2secret") {
			t.Errorf("want %q, got: %v", want, err)
		}
	}
}

func TestPutSource_TheSameAgainIsNoChangeAndARemovedOneIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := vault.Source{Name: "prometheus", TokenEnv: "PROMETHEUS_TOKEN", MaxDefinitions: 200}
	for i, want := range []bool{true, false} {
		if changed, err := f.store.PutSource(t.Context(), s, "dana"); err != nil || changed != want {
			t.Errorf("put %d: %v %v", i, changed, err)
		}
	}
	if err := f.store.RemoveSource(t.Context(), "Prometheus", "dana"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.TakeIn(t.Context(), "prometheus", []vault.SourceAlert{outside("Up", "fp", "firing")}, ofPrometheus); err == nil {
		t.Error("a removed source still opens alerts")
	}
	if found, err := f.store.Source(t.Context(), "prometheus"); found != nil || err != nil {
		t.Errorf("found %v %v", found, err)
	}
	if err := f.store.RemoveSource(t.Context(), "prometheus", "dana"); err == nil {
		t.Error("it could be removed twice")
	}
}

func shortHash(name string) string {
	return hexOf(name)[:8]
}

func TestTakeIn_GoesOnWhereItEnded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.source(nil)
	var storm []vault.SourceAlert
	for i := range 101 { // among them fingerprints that differ in nothing but their case
		storm = append(storm, outside("Up", "fp "+string(rune('A'+i)), "firing"))
	}
	storm[100].Severity = "UNHEARD_OF"
	if _, err := f.store.TakeIn(t.Context(), "prometheus", storm, ofPrometheus); err == nil {
		t.Fatal("a severity that there is not was taken in")
	}
	storm[100].Severity = "HIGH"
	counts := map[string]int{}
	for i, o := range f.takeIn(storm...) {
		counts[o.Outcome]++
		if o.Fingerprint != storm[i].Fingerprint {
			t.Fatalf("outcome %d is about another alert", i)
		}
	}
	if counts["HELD"] != 100 || counts["OPENED"] != 1 {
		t.Errorf("the second time: %v", counts)
	}
}
