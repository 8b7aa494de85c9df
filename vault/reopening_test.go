package vault_test

import (
	"fmt"
	"testing"
	"time"

	"onevault/alert"
	"onevault/report"
	"onevault/vault"
)

func TestOutbox_EachOpeningIsToldAsItStoodThen(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.only()
	f.define("USAGE", row{"reopen_minutes": 60, "flap_count": 3})
	f.follow("USAGE", yesterday(), looks{
		{0, usage(91), "TRUE FIRED"},
		{1, usage(20), "FALSE RESOLVED"},
		{2, usage(92), "TRUE REOPENED"},
		{3, usage(20), "FALSE RESOLVED"},
		{4, usage(93), "TRUE REOPENED"},
	})
	outbox := f.take(f.store)
	defer outbox.Release()
	rows, err := outbox.Unrelayed(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, r := range rows {
		_, ledger := r.Alert.Opening()
		if r.Kind != alert.TransitionFired {
			ledger = "-"
		}
		told = append(told, fmt.Sprint(r.Kind, " ", ledger))
	}
	if want := "[FIRED FIRED RESOLVED - FIRED REOPENED:1 RESOLVED - FIRED FLAPPING:2]"; fmt.Sprint(told) != want {
		t.Errorf("the outbox says %v, want %s", told, want)
	}

	// A workflow that was lost is started again with the opening that stands.
	ids := make([]int64, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	if err := outbox.MarkRelayed(t.Context(), ids, "relayed"); err != nil {
		t.Fatal(err)
	}
	active, err := outbox.Active(t.Context(), vault.Group{Target: rows[0].Alert.Target, Definition: rows[0].Definition.Key})
	if err != nil || len(active) != 1 {
		t.Fatalf("active: %v, %v", active, err)
	}
	if _, ledger := active[0].Alert.Opening(); ledger != "FLAPPING:2" || active[0].Alert.Flapping.Reason != "opened 3 times within 30 minutes" {
		t.Errorf("it is started again with %+v", active[0].Alert)
	}
}

func TestAlerts_ShowHowOftenTheyOpenedAndWhetherTheyFlap(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.only()
	f.define("USAGE", row{"reopen_minutes": 60, "flap_count": 2})
	start := yesterday()
	f.follow("USAGE", start, looks{{0, usage(91), "TRUE FIRED"}, {1, usage(20), "FALSE RESOLVED"}, {2, usage(92), "TRUE REOPENED"}})
	for _, filter := range []vault.AlertFilter{{}, {AsOf: start.Add(3 * time.Minute)}} {
		list, _, err := f.store.Alerts(t.Context(), filter)
		if err != nil || len(list) != 1 {
			t.Fatalf("alerts: %v, %v", list, err)
		}
		a := list[0]
		if a.Reopened != 1 || !a.ReopenedAt.Equal(start.Add(2*time.Minute)) || !a.FlappingSince.Equal(a.ReopenedAt) || a.FlappingReason != "opened 2 times within 30 minutes" {
			t.Errorf("listed as %+v", a)
		}
		explained, err := f.store.ExplainAlert(t.Context(), a)
		if err != nil || explained.Agrees == nil || !*explained.Agrees || explained.Reopened != 1 {
			t.Errorf("explained as %+v, %v", explained, err)
		}
	}
}

func TestReport_AnAlertThatFiredAgainLastsFromItsFirstOpeningToItsLastEnd(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.only()
	f.define("USAGE", row{"reopen_minutes": 60})
	start := noon()
	acknowledge := func(minute int) {
		f.exec(`SELECT monitoring.change_alert_state(alert_instance_hk, 'ACKNOWLEDGED', $1, 'dana', 'test', NULL, NULL) FROM monitoring.alert_instance_h`,
			start.Add(time.Duration(minute)*time.Minute))
	}
	f.follow("USAGE", start, looks{{0, usage(91), "TRUE FIRED"}})
	acknowledge(4)
	f.follow("USAGE", start, looks{{10, usage(20), "FALSE RESOLVED"}, {40, usage(92), "TRUE REOPENED"}})
	acknowledge(50)
	f.follow("USAGE", start, looks{{60, usage(20), "FALSE RESOLVED"}})
	period := func(from, to int) report.Period {
		return report.Period{From: start.Add(time.Duration(from) * time.Minute), To: start.Add(time.Duration(to) * time.Minute)}
	}
	whole := f.reportOf(period(-60, 120)).Alerts
	measured(t, "time to acknowledge", whole.MTTAMeanSeconds, (4 * time.Minute).Seconds())
	measured(t, "time to resolve", whole.MTTRMeanSeconds, time.Hour.Seconds())
	if whole.New != 1 || whole.Resolved != 1 || whole.Acknowledged != 1 {
		t.Errorf("one alert is counted as %+v", whole)
	}
	// Before it fired again it had ended, and that is what was true then.
	first := f.reportOf(period(-60, 30)).Alerts
	measured(t, "time to resolve at first", first.MTTRMeanSeconds, (10 * time.Minute).Seconds())
	if open := f.reportOf(period(-60, 45)).Alerts; open.Resolved != 0 || len(open.List) != 1 || open.List[0].State != "OPEN" {
		t.Errorf("while it is open again: %+v", open)
	}
	// And a period in which nothing about it was true says nothing of it.
	if between := f.reportOf(period(15, 30)).Alerts; len(between.List) != 0 {
		t.Errorf("between its openings: %+v", between.List)
	}
}
