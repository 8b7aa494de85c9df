package e2e_test

import (
	"strings"
	"testing"
	"time"
)

func TestUnansweredAlert_EscalatesUntilItIsAcknowledged(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_ESCALATE")
	s.define(rule{escalateAfter: 1}, holds)
	opened := s.awaitState("OPEN")
	s.awaitTold("FIRED", 3)
	raised := s.awaitState("ESCALATED")
	if raised.Level != 1 {
		t.Errorf("escalation level is %d, want 1", raised.Level)
	}
	if waited := raised.ChangedAt.Sub(opened.ChangedAt); waited < time.Minute || waited > 75*time.Second {
		t.Errorf("escalated after %s, want a minute", waited)
	}
	s.awaitTold("ESCALATED:1", 3)
	s.mustReceive(opened.ID, "FIRED", "ESCALATED:1")

	before, err := w.status(t.Context(), s.key)
	if err != nil {
		t.Fatal(err)
	}
	said := w.must(t, "alert", "ack", opened.ID, "-m", "looking")
	for _, want := range []string{opened.ID, "dana", "level 2 cancelled"} {
		if !strings.Contains(said, want) {
			t.Errorf("alert ack says %q, want %q in it", said, want)
		}
	}
	if again := w.onevault(t, "alert", "ack", opened.ID); again.code != 0 || !strings.Contains(again.text, "dana") {
		t.Errorf("acknowledging again: exit code %d, %q; want 0 and who did", again.code, again.text)
	}
	// What must not come can only be waited for.
	time.Sleep(time.Until(before.NextEscalation.Add(3 * time.Second)))
	s.mustReceive(opened.ID, "FIRED", "ESCALATED:1")

	s.define(rule{suppression: 60}, holds) // no new alert after the end of this one
	w.must(t, "alert", "resolve", opened.ID, "-m", "done")
	s.awaitTold("RESOLVED", 3)
	s.mustStates(opened.Key, "OPEN", "ESCALATED", "ACKNOWLEDGED", "RESOLVED")
	s.mustReceive(opened.ID, "FIRED", "ESCALATED:1", "RESOLVED")
	if late := w.onevault(t, "alert", "ack", opened.ID); late.code != 4 || !strings.Contains(late.text, "resolved by dana") {
		t.Errorf("acknowledging what is over: exit code %d, %q; want 4 and who resolved it", late.code, late.text)
	}
	s.mustBeHistory(opened)
	s.exportHistory("escalated")
}

// The complaint: "no history". What became of an alert can be read afterwards, and so can what was open at a moment.
func (s *story) mustBeHistory(opened version) {
	s.t.Helper()
	mustHold(s.t, s.w.must(s.t, "alert", "timeline", opened.ID), "OPEN", "ESCALATED", "ACKNOWLEDGED", "RESOLVED", "dana", "looking", "done")
	then := opened.RecordedAt.Add(time.Second).UTC().Format(time.RFC3339Nano)
	if list := s.w.must(s.t, "alert", "list", "--as-of", then); !lineWith(list, opened.ID, "OPEN") {
		s.t.Errorf("the list of %s does not show that %s was open:\n%s", then, opened.ID, list)
	}
	if list := s.w.must(s.t, "alert", "list", "definition="+s.key); strings.Contains(list, opened.ID) {
		s.t.Errorf("the list of now shows what is over:\n%s", list)
	}
}
