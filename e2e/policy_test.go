package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The complaint: "paging goes on after the acknowledgement", and its opposite, an acknowledgement that is
// forgotten and after which nobody is ever paged again.
func TestPolicy_PagesLevelByLevelIsStoppedByAnAcknowledgementAndGoesOnWhenThatExpires(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_POLICY")
	team, oncall, boss := s.channelKey("SLACK"), s.channelKey("EMAIL"), s.channelKey("WEBHOOK")
	file := filepath.Join(t.TempDir(), "policies.yaml")
	text := fmt.Sprintf(`version: 1
policies:
  - key: %s
    name: The ladder of this story
    levels:
      - channels: [%s]
      - after: 1m
        channels: [%s]
      - after: 2m
        channels: [%s]
`, s.key, team, oncall, boss)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.must(t, "policy", "apply", file)
	s.define(rule{}, clears)
	if _, err := w.db.Exec(t.Context(), `
		INSERT INTO monitoring.alert_definition_s
		SELECT (jsonb_populate_record(d, jsonb_build_object('load_date', NULL, 'escalation_policy', h.alert_definition_bk, 'threshold_value', 0))).*
		  FROM monitoring.alert_definition_s d
		  JOIN monitoring.alert_definition_h h USING (alert_definition_hk)
		 WHERE h.alert_definition_bk = $1 AND d.load_end_date IS NULL`, s.key); err != nil {
		t.Fatal(err)
	}
	route := w.must(t, "route", "test", "definition="+s.key)
	for _, want := range []string{team, oncall, boss, "by policy " + s.key} {
		if !strings.Contains(route, want) {
			t.Errorf("route test says\n%s\nwant %q in it", route, want)
		}
	}

	opened := s.awaitState("OPEN")
	s.awaitTold("FIRED", 1)
	raised := s.awaitState("ESCALATED")
	s.awaitTold("ESCALATED:1", 1)
	said := w.must(t, "alert", "ack", opened.ID, "--for", "2m", "-m", "looking")
	if !strings.Contains(said, "until") || !strings.Contains(said, "level 2 cancelled") {
		t.Errorf("alert ack says %q", said)
	}
	// Level 2 was due a minute after level 1; what must not come can only be waited for.
	time.Sleep(time.Until(raised.ChangedAt.Add(time.Minute + 5*time.Second)))
	s.mustTell("FIRED "+team, "ESCALATED "+oncall)
	s.mustStates(opened.Key, "OPEN", "ESCALATED", "ACKNOWLEDGED")

	// Nobody ended it: it is open again, and pages whom it paged last.
	reopened := s.awaitState("OPEN")
	if reopened.Via != "acknowledgement expired" || reopened.Level != 1 {
		t.Errorf("it was opened again via %q at level %d", reopened.Via, reopened.Level)
	}
	s.awaitPages(3)
	s.mustTell("FIRED "+team, "ESCALATED "+oncall, "UNANSWERED "+oncall)

	w.must(t, "alert", "escalate", opened.ID, "-m", "need the boss")
	s.awaitTold("ESCALATED:2", 1)
	if beyond := w.onevault(t, "alert", "escalate", opened.ID); beyond.code != 4 || !strings.Contains(beyond.text, "nobody further is named") {
		t.Errorf("escalated beyond the last level: exit code %d, %q; want 4", beyond.code, beyond.text)
	}
	w.must(t, "alert", "snooze", opened.ID, "-d", "30m", "-m", "waiting for the boss")
	s.define(rule{suppression: 60}, holds) // no new alert after the end of this one
	w.must(t, "alert", "false-positive", opened.ID, "-m", "a story")
	s.awaitTold("RESOLVED", 3) // exactly those who were paged
	s.mustTell("FIRED "+team, "ESCALATED "+oncall, "UNANSWERED "+oncall, "ESCALATED "+boss, "RESOLVED "+team, "RESOLVED "+oncall, "RESOLVED "+boss)
	var mistaken bool
	if err := w.db.QueryRow(t.Context(), `SELECT false_positive FROM monitoring.alert_current WHERE alert_instance_bk = $1`, opened.Key).Scan(&mistaken); err != nil || !mistaken {
		t.Errorf("a false positive in the vault: %v, %v", mistaken, err)
	}
	s.exportHistory("policy")
}

// pages are what was delivered: the event's first word and the channel, in the order of the ledger.
func (s *story) pages() []string {
	s.t.Helper()
	entries, err := s.w.ledger(s.t.Context(), s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	var list []string
	for _, e := range current(entries) {
		if e.arrived() {
			word, _, _ := strings.Cut(e.Event, ":")
			list = append(list, word+" "+e.Channel)
		}
	}
	return list
}

func (s *story) awaitPages(n int) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for len(s.pages()) < n {
		if time.Now().After(deadline) {
			s.t.Fatalf("told %v, want %d pages", s.pages(), n)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// mustTell expects these pages and no other; those of one moment may come in any order.
func (s *story) mustTell(want ...string) {
	s.t.Helper()
	got := s.pages()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.t.Errorf("told %v, want %v", got, want)
	}
}
