package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"

	"onevault/activities"
	"onevault/alert"
	"onevault/inbox"
	"onevault/settings"
)

func TestVaultKilledAndStarted_PagesMeanwhileAndHoldsAllAfterwards(t *testing.T) {
	t.Parallel()
	r := startRig(t, "outage")
	s := tell(t, &r.world, "E2E_OUTAGE")
	awaitReady(t, r.startWorker())
	s.define(rule{suppression: 60}, holds)
	opened := s.awaitState("OPEN")
	s.awaitTold("FIRED", 3)

	// Whom to page while the vault is down the first evaluation tells, by its result.
	eventually(t, patience, "an evaluation that has ended", func(ctx context.Context) (bool, any, error) {
		runs, err := r.temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
			Query: "WorkflowType = 'Evaluate' AND ExecutionStatus = 'Completed'",
		})
		return runs.GetCount() > 0, runs.GetCount(), err
	})

	// The server dies while another alert is firing: recorded, and nobody told yet.
	firing := s.key + "_FIRING"
	listener := r.listen()
	s.defineAs(rule{suppression: 60, channels: []string{s.channelKey("WEBHOOK")}}, holds, firing)
	r.awaitOpened(listener, firing)
	r.killPostgres()
	down := time.Now()

	r.awaitDevInbox(activities.VaultUnreachableKey, 3, down)
	t.Logf("told that the vault is unreachable after %s, at a cadence of %s", time.Since(down).Round(time.Millisecond), cadence)
	if told := time.Since(down); told > 2*cadence {
		t.Errorf("told after %s, want two collection periods, %s", told.Round(time.Millisecond), 2*cadence)
	}
	r.must(t, "alert", "ack", "alert/local/"+activities.VaultUnreachableKey, "-m", "restarting it")
	r.must(t, "alert", "ack", "alert/local/"+s.key, "-m", "while the vault is down")
	status, err := r.status(t.Context(), s.key)
	if err != nil || status.Alerts[0].Status != alert.StatusAcknowledged {
		t.Fatalf("the workflow of the open alert: %+v, %v", status, err)
	}

	r.startPostgres()
	back := time.Now()
	unreachable := r.awaitState(t, activities.VaultUnreachableKey, "RESOLVED")
	r.awaitTold(t, activities.VaultUnreachableKey, "RESOLVED", 6)
	t.Logf("resolved and told so %s after the vault was back", time.Since(back).Round(time.Millisecond))
	r.mustHoldAll(unreachable.Key)

	taken := s.awaitState("ACKNOWLEDGED")
	if taken.Actor != "dana" || taken.ChangedAt.After(back) || taken.RecordedAt.Before(back) {
		t.Errorf("acknowledged during the outage, recorded as %s; want by dana, changed before %s and recorded after it", taken, stamp(back))
	}
	r.awaitTold(t, firing, "FIRED", 1)
	s.define(rule{suppression: 60}, clears)
	s.defineAs(rule{suppression: 60, channels: []string{s.channelKey("WEBHOOK")}}, clears, firing)
	s.awaitTold("RESOLVED", 3)
	r.awaitTold(t, firing, "RESOLVED", 1)
	s.mustStates(opened.Key, "OPEN", "ACKNOWLEDGED", "RESOLVED")
	s.mustReceive(opened.ID, "FIRED", "RESOLVED")
	s.mustOnce(firing)
	s.exportHistoryOf(activities.VaultUnreachableKey, "vault-down")
}

// mustHoldAll: states in order, and for each of the development channels, event by event, an intent and its
// outcome, nothing doubled. Without an address at which a worker can be reached, providers confirm nothing: what a
// telephone network took is SENT.
func (r *rig) mustHoldAll(key string) {
	r.t.Helper()
	versions, err := r.versions(r.t.Context(), activities.VaultUnreachableKey)
	if err != nil {
		r.t.Fatal(err)
	}
	if got, want := states(versions, key), []string{"OPEN", "ACKNOWLEDGED", "RESOLVED"}; !slices.Equal(got, want) {
		r.t.Errorf("states of %s are %v, want %v", key, got, want)
	}
	for channel, want := range map[string]string{
		"DEV_EMAIL":     "FIRED DELIVERED, RESOLVED DELIVERED",
		"DEV_WEBHOOK":   "FIRED DELIVERED, RESOLVED DELIVERED",
		"DEV_SMS":       "FIRED SENT, RESOLVED SENT",
		"DEV_VOICE":     "FIRED SENT, RESOLVED SENT",
		"DEV_SLACK":     "FIRED DELIVERED, ACKNOWLEDGED DELIVERED, RESOLVED DELIVERED",
		"DEV_PAGERDUTY": "FIRED DELIVERED, ACKNOWLEDGED DELIVERED, RESOLVED DELIVERED",
	} {
		eventually(r.t, patience, "the ledger of "+channel+" is "+want+", each with its intent", func(ctx context.Context) (bool, any, error) {
			entries, err := r.ledger(ctx, activities.VaultUnreachableKey)
			got := strings.Join(endingsIn(entries, key, channel), ", ")
			return got == want, got, err
		})
	}
	for _, m := range r.devInbox(activities.VaultUnreachableKey) {
		if m.Copy != 1 {
			r.t.Errorf("%s was told twice: %s", m.Channel, m.Subject)
		}
	}
	// A mail and a webhook at its beginning and its end; in Slack the message, and in its thread the two lines of
	// what became of it.
	if n := len(r.devInbox(activities.VaultUnreachableKey)); n != 2+2+3 {
		r.t.Errorf("the development inbox has %d messages about it, want 7", n)
	}
}

// endingsIn are how the deliveries of an alert by a channel ended: "FIRED DELIVERED" and so on, in the order of
// their intents. One that is not intent and outcome, and these once, is shown with all of its rows.
func endingsIn(entries []entry, alert, channel string) []string {
	var events []string
	rows := map[string][]string{}
	for _, e := range entries {
		if e.Channel == channel && e.Alert == alert {
			if rows[e.Event] == nil {
				events = append(events, e.Event)
			}
			rows[e.Event] = append(rows[e.Event], e.Status)
		}
	}
	for i, event := range events {
		said := rows[event]
		if len(said) == 2 && said[0] == "PENDING" {
			said = said[1:]
		}
		events[i] += " " + strings.Join(said, " ")
	}
	return events
}

// mustOnce: one alert of the definition, told of by webhook once of each event.
func (s *story) mustOnce(definition string) {
	s.t.Helper()
	versions, err := s.w.versions(s.t.Context(), definition)
	if err != nil {
		s.t.Fatal(err)
	}
	if keys := keysOf(versions); len(keys) != 1 {
		s.t.Fatalf("%s has %d alerts, want 1: %v", definition, len(keys), versions)
	}
	if got, want := s.received(inbox.Webhook, versions[0].Key), []string{"FIRED", "RESOLVED"}; !slices.Equal(got, want) {
		s.t.Errorf("the receiver was told %v of %s, want %v", got, definition, want)
	}
}

// devInbox are the messages by e-mail, Slack and webhook in the development inbox that concern a definition.
func (w *world) devInbox(definition string) []inbox.Message {
	response, err := http.Get(w.env[settings.InboxURL] + "/api/messages?after=0")
	if err != nil {
		return nil // asked again by who waits; who counts finds none
	}
	defer response.Body.Close()
	var list struct{ Messages []inbox.Message }
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil {
		return nil
	}
	return slices.DeleteFunc(list.Messages, func(m inbox.Message) bool {
		return m.Refused || !slices.Contains(everyChannel, m.Channel) || !strings.Contains(m.Subject+m.Text+m.Raw, definition)
	})
}

// awaitDevInbox waits for so many messages about a definition.
func (r *rig) awaitDevInbox(definition string, count int, since time.Time) {
	r.t.Helper()
	eventually(r.t, patience, definition+" in the development inbox", func(context.Context) (bool, any, error) {
		list := r.devInbox(definition)
		for _, m := range list {
			if m.ReceivedAt.Before(since) {
				return false, list, nil
			}
		}
		return len(list) == count, len(list), nil
	})
}
