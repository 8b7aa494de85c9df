package e2e_test

import (
	"context"
	"testing"
)

func TestFiringAgainAfterAPersonResolved_IsRecordedAsSuppressedAndToldToNobody(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_SUPPRESS")
	s.define(rule{suppression: 60}, holds)
	first := s.awaitState("OPEN")
	s.awaitTold("FIRED", 3)
	w.must(t, "alert", "resolve", first.ID, "-m", "known, will be fixed on Monday")
	s.awaitTold("RESOLVED", 3)
	s.exportHistory("resolved-by-person")

	second := s.awaitState("SUPPRESSED")
	// The next look at it has passed, too, and nobody was told of either.
	eventually(t, patience, "an evaluation that leaves the suppressed alert as it is", func(ctx context.Context) (bool, any, error) {
		var looked bool
		err := w.db.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM monitoring.alert_evaluation_s
			                WHERE alert_definition_hk = util.hash_binary($1) AND evaluated_at > $2 AND decision = 'HOLDING')`,
			s.key, second.ChangedAt).Scan(&looked)
		return looked, nil, err
	})
	if second.Key == first.Key {
		t.Fatalf("the second firing has the key of the first: %s", second.Key)
	}
	s.mustStates(second.Key, "SUPPRESSED")
	s.mustReceive(first.ID, "FIRED", "RESOLVED")
	s.mustReceive(second.ID)
	entries, err := w.ledger(t.Context(), s.key)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Alert == second.Key {
			t.Errorf("the ledger has an entry for the suppressed alert: %s", e)
		}
	}
	if n := len(s.inbox.Attempts()); n != 6 {
		t.Errorf("%d deliveries were attempted, want 6", n)
	}
}
