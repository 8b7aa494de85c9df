package e2e_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"onevault/inbox"
)

// Two of three slots are over the line. Each is an alert with an id of its own, people get one message for both, and
// one can be acknowledged while the other clears.
func TestLabels_TwoOfThreeSlotsAreTwoAlertsInOneMessageAndEachEndsAlone(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_LABELS")
	s.defineBySlot(map[string]int{"archive": 7, "replica": 1, "spare": 9})
	s.awaitTold("FIRED", 2*3) // two alerts, three channels
	alerts := s.alertsBySlot()
	if len(alerts) != 2 || alerts["archive"].Status != "OPEN" || alerts["spare"].Status != "OPEN" || alerts["archive"].ID == alerts["spare"].ID {
		t.Fatalf("alerts: %v", alerts)
	}
	if n := len(s.inbox.Attempts()); n != 3 {
		t.Errorf("%d deliveries were attempted, want one for each of 3 channels", n)
	}
	for _, m := range s.inbox.Messages() {
		if m.Channel == inbox.Email && (!strings.Contains(m.Text, "slot=archive") || !strings.Contains(m.Text, "slot=spare") || strings.Contains(m.Text, "slot=replica")) {
			t.Errorf("the mail names other slots than archive and spare:\n%s", m.Text)
		}
	}
	if list := w.must(t, "alert", "list"); !lineWith(list, alerts["archive"].ID, "(slot=archive)") || !lineWith(list, alerts["spare"].ID, "(slot=spare)") {
		t.Errorf("alert list does not say which is about which slot:\n%s", list)
	}

	w.must(t, "alert", "ack", alerts["archive"].ID)
	s.awaitSlots("archive ACKNOWLEDGED", "spare OPEN")
	s.measureSlots(s.w.db, map[string]int{"archive": 7, "replica": 1, "spare": 0})
	s.awaitSlots("archive ACKNOWLEDGED", "spare RESOLVED")
	s.awaitTold("RESOLVED", 3)
	if explained := w.must(t, "alert", "explain", alerts["archive"].ID); !strings.Contains(explained, "(slot=archive)") || !strings.Contains(explained, "as recorded") {
		t.Errorf("alert explain says\n%s", explained)
	}
	w.must(t, "alert", "resolve", alerts["archive"].ID, "-m", "its consumer is back")
	s.awaitSlots("archive RESOLVED", "spare RESOLVED")
	s.awaitTold("RESOLVED", 2*3)
	for slot, ended := range map[string]string{"archive": alerts["archive"].ID, "spare": alerts["spare"].ID} {
		if got := s.received(inbox.Email, ended); !slices.Equal(got, []string{"FIRED", "RESOLVED"}) {
			t.Errorf("the mails about %s were %v", slot, got)
		}
	}
}

// defineBySlot puts a definition that alerts by slot, and what its metric says of some, in one transaction.
func (s *story) defineBySlot(levels map[string]int) {
	s.t.Helper()
	channels := []string{s.channelKey("EMAIL"), s.channelKey("SLACK"), s.channelKey("WEBHOOK")}
	err := pgx.BeginFunc(s.t.Context(), s.w.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(s.t.Context(), `
			INSERT INTO monitoring.condition_identifier (metric_source, identifier, description, label_names)
			VALUES ('system_health', $1, 'Level of a story', '{slot}') ON CONFLICT DO NOTHING`, levelOf(s.key)); err != nil {
			return err
		}
		if _, err := tx.Exec(s.t.Context(), `
			INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk) VALUES (util.hash_binary($1), $1)`, s.key); err != nil {
			return err
		}
		s.measureSlots(tx, levels)
		_, err := tx.Exec(s.t.Context(), `
			INSERT INTO monitoring.alert_definition_s (
			    alert_definition_hk, hash_diff, alert_name, alert_category, alert_severity, metric_source, condition_logic, threshold_value,
			    threshold_operator, evaluation_frequency_minutes, auto_resolve, escalation_enabled, notification_channels, lookback_minutes,
			    suppression_window_minutes, alert_by)
			VALUES (util.hash_binary($1), '\x', 'Story ' || $1, $1, 'HIGH', 'system_health', $2 || ' > threshold_value', 5,
			    '>', 1, true, false, $3, 60, 60, '{slot}')`, s.key, levelOf(s.key), channels)
		return err
	})
	if err != nil {
		s.t.Fatalf("put definition %s: %v", s.key, err)
	}
}

// measureSlots records what the story's metric says of some slots.
func (s *story) measureSlots(db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, levels map[string]int,
) {
	s.t.Helper()
	var written int
	if err := db.QueryRow(s.t.Context(), `
		SELECT count(*)
		  FROM monitoring.record_health_samples('local', NULL, clock_timestamp(), 5, (
		           SELECT jsonb_agg(jsonb_build_object('name', $1::text, 'category', 'PERFORMANCE', 'low_is_bad', false, 'source', 'story',
		                                               'value', l.value::integer, 'labels', jsonb_build_object('slot', l.key)))
		             FROM jsonb_each_text($2) AS l))`, levelOf(s.key), levels).Scan(&written); err != nil || written != len(levels) {
		s.t.Fatalf("%d samples were written: %v", written, err)
	}
}

// slotAlert is the alert about a slot as it stands.
type slotAlert struct{ ID, Status string }

func (s *story) alertsBySlot() map[string]slotAlert {
	s.t.Helper()
	found, err := s.readSlots(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

func (s *story) readSlots(ctx context.Context) (map[string]slotAlert, error) {
	rows, err := s.w.db.Query(ctx, `
		SELECT labels ->> 'slot', short_id, alert_status FROM monitoring.alert_current WHERE alert_definition_bk = $1`, s.key)
	if err != nil {
		return nil, err
	}
	found := map[string]slotAlert{}
	var slot, id, status string
	_, err = pgx.ForEachRow(rows, []any{&slot, &id, &status}, func() error { found[slot] = slotAlert{id, status}; return nil })
	return found, err
}

// awaitSlots waits until the alerts stand so, each as "slot STATUS".
func (s *story) awaitSlots(want ...string) {
	s.t.Helper()
	eventually(s.t, patience, strings.Join(want, ", "), func(ctx context.Context) (bool, any, error) {
		found, err := s.readSlots(ctx)
		var stand []string
		for slot, a := range found {
			stand = append(stand, slot+" "+a.Status)
		}
		slices.Sort(stand)
		return slices.Equal(stand, want), stand, err
	})
}
