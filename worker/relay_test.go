package worker

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"onevault/alert"
	"onevault/incident"
	"onevault/vault"
)

// outboxRow is a fact about an alert of a definition on a target.
func outboxRow(id int64, kind alert.TransitionKind, target, definition, tenant string) vault.OutboxRow {
	return vault.OutboxRow{
		ID: id, Kind: kind,
		Alert:      alert.Alert{Key: fmt.Sprintf("%s/%s/%d", target, definition, id), Target: target, Tenant: tenant, Status: alert.StatusOpen},
		Definition: alert.Definition{Key: definition},
	}
}

func TestGroupRows_OneGroupPerWorkflowInOrder(t *testing.T) {
	t.Parallel()
	const (
		someone      = "aaaaaaaaaaaa11112222"
		someone2     = "aaaaaaaaaaaa99998888" // shares the first 12 characters, and so the workflow
		somebodyElse = "bbbbbbbbbbbb11112222"
	)
	groups := groupRows([]vault.OutboxRow{
		outboxRow(1, alert.TransitionFired, "local", "DISK", ""),
		outboxRow(2, alert.TransitionFired, "local", "LAG", ""),
		outboxRow(3, alert.TransitionAcknowledged, "local", "DISK", ""),
		outboxRow(4, alert.TransitionFired, "other", "DISK", ""),
		outboxRow(5, alert.TransitionFired, "local", "DISK", someone),
		outboxRow(6, alert.TransitionResolved, "local", "DISK", ""),
		outboxRow(7, alert.TransitionFired, "local", "DISK", somebodyElse),
		outboxRow(8, alert.TransitionFired, "local", "DISK", someone2),
	})
	want := []struct {
		workflowID string
		ids        []int64
	}{
		{"alert/local/DISK", []int64{1, 3, 6}},
		{"alert/local/LAG", []int64{2}},
		{"alert/other/DISK", []int64{4}},
		{"alert/local/DISK/aaaaaaaaaaaa", []int64{5, 8}},
		{"alert/local/DISK/bbbbbbbbbbbb", []int64{7}},
	}
	if len(groups) != len(want) {
		t.Fatalf("%d groups, want %d: %+v", len(groups), len(want), groups)
	}
	for i, w := range want {
		if groups[i].workflowID != w.workflowID || !slices.Equal(groups[i].ids(), w.ids) {
			t.Errorf("group %d is %s with %v, want %s with %v", i, groups[i].workflowID, groups[i].ids(), w.workflowID, w.ids)
		}
	}
	if groups := groupRows(nil); len(groups) != 0 {
		t.Errorf("nothing became %+v", groups)
	}
}

func TestTransitionOf_CarriesWhatHappened(t *testing.T) {
	t.Parallel()
	row := outboxRow(41, alert.TransitionAcknowledged, "local", "DISK", "")
	row.Payload = vault.OutboxPayload{At: time.Date(2026, 5, 4, 3, 12, 0, 0, time.UTC), Actor: "dana", Via: "psql:dana", Notes: "checking WAL"}
	channels := []alert.Channel{{Key: "MAIL"}}

	got := transitionOf(row, channels)
	want := alert.Transition{
		Seq: 41, Kind: alert.TransitionAcknowledged, Alert: row.Alert, At: row.Payload.At, Actor: "dana", Via: "psql:dana",
		Notes: "checking WAL", Recorded: true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// A firing opens the workflow, which from then on must be able to tell people without the vault.
func TestTransitionOf_FiringBringsDefinitionAndChannels(t *testing.T) {
	t.Parallel()
	row := outboxRow(42, alert.TransitionFired, "local", "DISK", "")
	row.Definition.Version = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	channels := []alert.Channel{{Key: "MAIL"}, {Key: "SLACK"}}
	got := transitionOf(row, channels)
	if got.Definition == nil || got.Definition.Key != "DISK" || !got.Definition.Version.Equal(row.Definition.Version) {
		t.Errorf("the definition is %+v", got.Definition)
	}
	if !reflect.DeepEqual(got.Channels, channels) || !got.Recorded || got.Seq != 42 {
		t.Errorf("got %+v", got)
	}
}

// An alert that fired and resolved while no worker ran must not page anybody: neither a channel nor
// Temporal is asked, which this relay does not even have.
func TestBring_SaysNothingOfAnAlertThatIsOver(t *testing.T) {
	t.Parallel()
	row := outboxRow(7, alert.TransitionFired, "local", "DISK", "")
	row.Alert.Status = alert.StatusResolved
	delivered, err := (&relay{}).bring(t.Context(), groupRows([]vault.OutboxRow{row})[0])
	if delivered || err != nil {
		t.Errorf("delivered %t, %v; want nothing", delivered, err)
	}
}

// A hub without a version, as a note written by hand can leave it, is no reason to ask Temporal, which
// this relay does not even have.
func TestBringFacts_SaysNothingOfAnIncidentThatWasNeverWritten(t *testing.T) {
	t.Parallel()
	delivered, err := (&relay{}).bringFacts(t.Context(), vault.IncidentNews{Facts: []incident.Fact{{Seq: 1, Kind: "NOTED"}}})
	if delivered || err != nil {
		t.Errorf("delivered %t, %v; want nothing", delivered, err)
	}
}
