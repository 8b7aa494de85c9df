package e2e_test

import (
	"context"
	"testing"
	"time"

	"onevault/alert"
)

func TestAcknowledgementInPsql_StopsTheEscalationOfTheRunningWorkflow(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_PSQL")
	s.define(rule{escalateAfter: 1}, holds)
	opened := s.awaitState("OPEN")
	s.awaitTold("FIRED", 3)
	before, err := w.status(t.Context(), s.key)
	if err != nil {
		t.Fatal(err)
	}
	if before.NextEscalation.IsZero() {
		t.Fatalf("the workflow plans no escalation: %+v", before)
	}

	s.acknowledgeInPsql(opened, "dana")
	took := eventually(t, 30*time.Second, "the workflow's status is ACKNOWLEDGED", func(ctx context.Context) (bool, any, error) {
		status, err := w.status(ctx, s.key)
		return err == nil && len(status.Alerts) == 1 && status.Alerts[0].Status == alert.StatusAcknowledged &&
			status.Alerts[0].AcknowledgedBy == "dana" && status.NextEscalation.IsZero(), status, err
	})
	t.Logf("heard by the workflow after %s", took.Round(time.Millisecond))
	if took > 2*time.Second {
		t.Errorf("the workflow heard of the acknowledgement after %s, want 2 s", took)
	}

	// What must not come can only be waited for.
	time.Sleep(time.Until(before.NextEscalation.Add(3 * time.Second)))
	s.mustStates(opened.Key, "OPEN", "ACKNOWLEDGED")
	s.mustReceive(opened.ID, "FIRED")
	s.define(rule{escalateAfter: 1}, clears)
	s.awaitState("RESOLVED")
	s.awaitTold("RESOLVED", 3)
	s.mustReceive(opened.ID, "FIRED", "RESOLVED")
	s.exportHistory("acknowledged")
}

// acknowledgeInPsql is what an operator types.
func (s *story) acknowledgeInPsql(v version, by string) {
	s.t.Helper()
	var changed bool
	if err := s.w.db.QueryRow(s.t.Context(), `SELECT monitoring.acknowledge_alert($1, $2, 'on it')`, v.HashKey, by).Scan(&changed); err != nil || !changed {
		s.t.Fatalf("acknowledge_alert: %v, %v", changed, err)
	}
}
