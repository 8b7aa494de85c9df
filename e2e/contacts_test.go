package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/inbox"
)

// The complaint: "the one person on call was not reached, and nobody else was asked", and its opposite, everybody's
// telephone at night for what can wait.
func TestContacts_TheNextPlaceIsTriedAndQuietHoursAreKept(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_CONTACTS")
	now := time.Now().UTC()
	quietUntil := now.Add(90 * time.Second).Truncate(time.Minute).Add(time.Minute)
	file := filepath.Join(t.TempDir(), "contacts.yaml")
	text := fmt.Sprintf(`version: 1
contacts:
  - {key: %[1]s_dana, name: Dana, phone: "+12025550111", time_zone: UTC, quiet: %[2]s-%[3]s}
  - {key: %[1]s_robin, name: Robin, phone: "+12025550122", email: robin@example.com, time_zone: UTC}
groups:
  - {key: %[1]s, members: [%[1]s_dana, %[1]s_robin]}
`, s.key, now.Add(-time.Hour).Format("15:04"), quietUntil.Format("15:04"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.must(t, "contact", "apply", file)
	s.channel("SMS", "SMS", map[string]any{
		"account_sid": "AC00000000000000000000000000000000", "auth_token_env": twilioTokenVariable, "from_number": "+12025550100",
		"to_numbers": []string{"+12025550133"}, "api_base_url": s.inbox.HTTPURL() + "/twilio",
	}, 0, 1)
	if _, err := w.db.Exec(t.Context(), `
		INSERT INTO monitoring.notification_config_s
		SELECT (jsonb_populate_record(c, jsonb_build_object('load_date', NULL, 'recipient_groups', ARRAY[$2::text]))).*
		  FROM monitoring.notification_config_s c
		 WHERE c.notification_config_hk = util.hash_binary($1) AND c.load_end_date IS NULL`, s.channelKey("SMS"), s.key); err != nil {
		t.Fatal(err)
	}
	heard := rule{channels: []string{s.channelKey("SMS")}}
	if err := s.inbox.Fail(inbox.SMS, 2, inbox.Behaviour{Status: 400}); err != nil { // the number of the channel, and Robin's
		t.Fatal(err)
	}
	s.define(heard, holds)
	s.awaitState("OPEN")

	await := func(channel, to, says string) {
		t.Helper()
		eventually(t, 4*time.Minute, to+" is told", func(context.Context) (bool, any, error) {
			var seen []string
			for _, m := range s.inbox.Messages() {
				seen = append(seen, m.Channel+" "+m.To)
				if m.Channel == channel && strings.Contains(m.To, to) && strings.Contains(m.Text, says) {
					return true, nil, nil
				}
			}
			return false, seen, nil
		})
	}
	// The next place is the development start's own channel of the type that Robin prefers.
	elsewhere := func(event string) {
		t.Helper()
		eventually(t, patience, "Robin is told of "+event+" by another channel", func(ctx context.Context) (bool, any, error) {
			entries, err := w.ledger(ctx, s.key)
			return slices.ContainsFunc(current(entries), func(e entry) bool {
				return e.Channel == "DEV_SMS" && e.Recipient == "+12025550122" && e.Event == event && e.arrived()
			}), entries, err
		})
	}
	elsewhere("FIRED")
	if at := time.Now().UTC(); at.Before(quietUntil) {
		for _, m := range s.inbox.Messages() {
			if m.To == "+12025550111" {
				t.Errorf("Dana was told in quiet hours: %s", m.Text)
			}
		}
	}
	await(inbox.SMS, "+12025550111", "held until now")
	if at := time.Now().UTC(); at.Before(quietUntil) {
		t.Errorf("Dana was told at %s, and quiet hours end at %s", at, quietUntil)
	}
	var reason string
	if err := w.db.QueryRow(t.Context(), `
		SELECT s.failure_reason
		  FROM monitoring.notification_log_s s
		  JOIN monitoring.notification_log_h h USING (notification_log_hk)
		 WHERE h.notification_config_hk = util.hash_binary($1) AND s.load_end_date IS NULL
		   AND s.recipient_address = '+12025550111' AND s.delivery_status = 'SUPPRESSED' AND s.event = 'FIRED'`, s.channelKey("SMS")).Scan(&reason); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(reason, "quiet hours of "+s.key+"_dana") {
		t.Errorf("the ledger says %q", reason)
	}
	s.define(heard, clears)
	s.awaitState("RESOLVED")
	elsewhere("RESOLVED")
	s.exportHistory("contacts")
}
