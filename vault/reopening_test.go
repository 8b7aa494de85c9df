package vault_test

import (
	"fmt"
	"testing"
	"time"

	"onevault/alert"
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
	active, err := outbox.Active(t.Context())
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
