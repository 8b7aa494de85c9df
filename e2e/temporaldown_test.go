package e2e_test

import (
	"context"
	"testing"
	"time"

	"onevault/alert"
)

func TestTemporalDownAtStartAndGoneMeanwhile_WorkersWaitAndGoOnByThemselves(t *testing.T) {
	t.Parallel()
	r := startRig(t, "temporal")
	s := tell(t, &r.world, "E2E_TEMPORAL")
	running := r.startWorker()
	awaitReady(t, running)
	s.define(rule{escalateAfter: 1, suppression: 60}, holds)
	opened := s.awaitState("OPEN")
	s.awaitTold("FIRED", 3)

	r.dev.kill()
	waiting := r.startWorker()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := waiting.awaitOutput(ctx, "not usable yet, trying on"); err != nil {
		t.Fatal(err)
	}
	// The vault is there, so psql can answer for the alert although nobody can tell its workflow.
	s.acknowledgeInPsql(opened, "dana")
	r.startDev()
	back := time.Now()
	eventually(t, patience, "the workflow has heard of the acknowledgement", func(ctx context.Context) (bool, any, error) {
		status, err := r.status(ctx, s.key)
		return err == nil && len(status.Alerts) == 1 && status.Alerts[0].Status == alert.StatusAcknowledged && status.NextEscalation.IsZero(), status, err
	})
	t.Logf("heard of it %s after Temporal was back", time.Since(back).Round(time.Millisecond))
	awaitReady(t, waiting)
	t.Logf("the worker that waited was ready %s after Temporal was back", time.Since(back).Round(time.Millisecond))
	for _, w := range []*process{running, waiting} {
		select {
		case <-w.ended:
			t.Errorf("%s ended: %v\n%s", w.name, w.err, w.out.tail())
		default:
		}
	}

	// Both work on, and together they tell once.
	s.define(rule{suppression: 60}, clears)
	s.awaitState("RESOLVED")
	s.awaitTold("RESOLVED", 3)
	s.mustStates(opened.Key, "OPEN", "ACKNOWLEDGED", "RESOLVED")
	s.mustReceive(opened.ID, "FIRED", "RESOLVED")
	running.kill()
}

func TestAcknowledgementInPsqlWithoutAWorker_IsHeardAtItsNextStart(t *testing.T) {
	t.Parallel()
	r := startRig(t, "noworker")
	s := tell(t, &r.world, "E2E_NOWORKER")
	worker := r.startWorker()
	awaitReady(t, worker)
	s.define(rule{escalateAfter: 1, suppression: 60}, holds)
	opened := s.awaitState("OPEN")
	s.awaitTold("FIRED", 3)
	before, err := r.status(t.Context(), s.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.stop(); err != nil {
		t.Fatal(err)
	}

	s.acknowledgeInPsql(opened, "dana")
	// Started when the escalation is due: the worker must hear of the answer before it calls anybody.
	time.Sleep(time.Until(before.NextEscalation))
	awaitReady(t, r.startWorker())
	ready := time.Now()
	eventually(t, patience, "the workflow has heard of the acknowledgement", func(ctx context.Context) (bool, any, error) {
		status, err := r.status(ctx, s.key)
		return err == nil && len(status.Alerts) == 1 && status.Alerts[0].Status == alert.StatusAcknowledged, status, err
	})
	t.Logf("heard of it %s after the worker was ready", time.Since(ready).Round(time.Millisecond))
	if heard := time.Since(ready); heard > 10*time.Second {
		t.Errorf("heard of it %s after the worker was ready, want seconds", heard)
	}
	s.define(rule{suppression: 60}, clears)
	s.awaitTold("RESOLVED", 3)
	s.mustStates(opened.Key, "OPEN", "ACKNOWLEDGED", "RESOLVED")
	s.mustReceive(opened.ID, "FIRED", "RESOLVED")
}
