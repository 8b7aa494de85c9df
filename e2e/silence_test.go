package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"onevault/workflows"
)

// awaitSuppressed waits until the ledger says of each of three recipients why it was not told that a definition
// fired, and returns the reason.
func (w *world) awaitSuppressed(t *testing.T, definition string) (reason string) {
	t.Helper()
	eventually(t, patience, "the ledger says why nobody was told of "+definition, func(ctx context.Context) (bool, any, error) {
		entries, err := w.ledger(ctx, definition)
		n := 0
		for _, e := range current(entries) {
			if e.Event == "FIRED" && e.Status == "SUPPRESSED" {
				n++
				reason = e.Reason
			}
		}
		return n == 3, entries, err
	})
	return reason
}

// mustEscalateNowhere fails unless an alert's workflow plans no escalation and waits for the end of the mute.
func (s *story) mustEscalateNowhere() {
	s.t.Helper()
	status, err := s.w.status(s.t.Context(), s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	if !status.NextEscalation.IsZero() || status.WaitsFor != "end of a mute" {
		s.t.Errorf("a muted alert escalates at %s and waits for %s", status.NextEscalation, status.WaitsFor)
	}
}

func TestSilence_HasAnEndAndAReasonAPreviewAndTellsOnceWhenItEnds(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_SILENCE")
	s.define(rule{escalateAfter: 1}, clears)
	if ran := w.onevault(t, "silence", "add", "definition="+s.key, "-m", "CHG-812"); ran.code != 2 || !strings.Contains(ran.text, "needs its end") {
		t.Errorf("without an end: %+v", ran)
	}
	if ran := w.onevault(t, "silence", "add", "target=local", "-d", "1h", "-m", "CHG-812"); ran.code != 2 || !strings.Contains(ran.text, "--yes") {
		t.Errorf("over everything, and nobody to ask: %+v", ran)
	}
	var added struct {
		ID      string
		Preview struct {
			CanMute int `json:"can_mute"`
		}
	}
	if err := json.Unmarshal([]byte(w.must(t, "silence", "add", "definition="+s.key, "-d", "1h", "-m", "CHG-812", "--actor", "dana", "-o", "json")), &added); err != nil {
		t.Fatal(err)
	}
	if added.Preview.CanMute != 1 {
		t.Errorf("its preview is %+v, want one definition", added)
	}

	s.define(rule{escalateAfter: 1}, holds)
	opened := s.awaitState("OPEN")
	if reason := w.awaitSuppressed(t, s.key); !strings.Contains(reason, "by dana ("+added.ID+"): CHG-812") {
		t.Errorf("the ledger says %q", reason)
	}
	s.mustEscalateNowhere()
	if list := w.must(t, "alert", "list", "definition="+s.key); !strings.Contains(list, "muted for") || !strings.Contains(list, added.ID) {
		t.Errorf("the list does not say that it is muted:\n%s", list)
	}
	// Longer than the escalation's delay: what must not come can only be waited for.
	time.Sleep(65 * time.Second)
	s.mustReceive(opened.ID)
	s.mustStates(opened.Key, "OPEN")

	w.must(t, "silence", "end", added.ID)
	began := time.Now()
	s.awaitTold("FIRED", 3)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("people were told %s after the silence was ended", took)
	}
	s.define(rule{escalateAfter: 1}, clears)
	s.awaitTold("RESOLVED", 3)
	s.mustReceive(opened.ID, "FIRED", "RESOLVED")
	s.exportHistory("silenced")
	w.awaitEnd(t, workflows.SilenceWorkflowID(added.ID))
	w.exportRun(t, "silence-ended", workflows.SilenceWorkflowID(added.ID), "")
}

func TestSilence_EndsByItselfAndWhoWasNotToldHearsNothingOfTheEnd(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_SILENCE_END")
	s.define(rule{}, clears)
	w.must(t, "silence", "add", "definition="+s.key, "-d", "1h", "-m", "a test of the alarm")
	s.define(rule{}, holds)
	first := s.awaitState("OPEN")
	w.awaitSuppressed(t, s.key)
	w.must(t, "alert", "resolve", first.ID)
	second := s.awaitState("OPEN") // its condition still holds
	id := strings.Fields(w.must(t, "silence", "list", "-o", "name"))[0]
	for _, other := range strings.Fields(w.must(t, "silence", "list", "-o", "name")) {
		if strings.Contains(w.must(t, "silence", "show", other), s.key) {
			id = other
		}
	}
	w.must(t, "silence", "extend", id, "-d", "8s")
	s.awaitTold("FIRED", 3)
	s.mustReceive(first.ID)
	s.mustReceive(second.ID, "FIRED")
	s.define(rule{}, clears)
}

func TestMaintenance_PlannedInPsqlMutesInItsWindowsUntilItIsRemoved(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_MAINTENANCE")
	s.define(rule{}, clears)
	name := strings.ToLower(strings.ReplaceAll(s.key, "_", "-"))
	if _, err := w.db.Exec(t.Context(), `
		SELECT monitoring.add_maintenance($1, ARRAY['definition=' || $2], date_trunc('minute', now() AT TIME ZONE 'Europe/Berlin'), '2 hours',
		           'patching', 'FREQ=DAILY', 'Europe/Berlin', p_by => 'dana')`, name, s.key); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "a worker wrote its windows", func(ctx context.Context) (bool, any, error) {
		var windows int
		err := w.db.QueryRow(ctx, `
			SELECT coalesce((SELECT count(*) FROM unnest(c.windows) AS w), 0) FROM monitoring.maintenance_current c WHERE maintenance_name = $1`, name).Scan(&windows)
		return windows >= 90, windows, err
	})
	if shown := w.must(t, "maintenance", "list"); !strings.Contains(shown, "MUTES NOW") {
		t.Errorf("maintenance list:\n%s", shown)
	}
	s.define(rule{}, holds)
	opened := s.awaitState("OPEN")
	if reason := w.awaitSuppressed(t, s.key); !strings.HasPrefix(reason, fmt.Sprintf("maintenance %s until ", name)) {
		t.Errorf("the ledger says %q", reason)
	}
	s.mustReceive(opened.ID)
	w.must(t, "maintenance", "remove", name)
	s.awaitTold("FIRED", 3)
	s.mustReceive(opened.ID, "FIRED")
	s.define(rule{}, clears)
}

func TestInhibition_OneMessageForWhatHasOneCause(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_INHIBIT")
	rest := s.key + "_REST"
	s.defineAs(rule{}, clears, s.key, rest)
	if _, err := w.db.Exec(t.Context(), `
		WITH hub AS (INSERT INTO monitoring.inhibition_h (inhibition_hk, inhibition_bk) VALUES (util.hash_binary($1), $1) RETURNING inhibition_hk)
		INSERT INTO monitoring.inhibition_s (inhibition_hk, hash_diff, source_definition, muted_matchers, inhibition_comment)
		SELECT inhibition_hk, '\x', $1, ARRAY['definition=' || $2], 'one cause' FROM hub`, s.key, rest); err != nil {
		t.Fatal(err)
	}
	s.defineAs(rule{}, holds, s.key, rest)
	cause := s.awaitState("OPEN")
	muted := w.awaitState(t, rest, "OPEN")
	s.awaitTold("FIRED", 3)
	if reason := w.awaitSuppressed(t, rest); !strings.Contains(reason, "inhibited by "+cause.ID) {
		t.Errorf("the ledger says %q", reason)
	}
	s.mustReceive(muted.ID)

	// The cause is over, and what remains speaks for itself.
	s.define(rule{}, clears)
	w.awaitState(t, s.key, "RESOLVED")
	w.awaitTold(t, rest, "FIRED", 3)
	s.mustReceive(muted.ID, "FIRED")
	s.defineAs(rule{}, clears, rest)
}
