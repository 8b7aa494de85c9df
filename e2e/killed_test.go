package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"onevault/inbox"
)

// manyAlerts is how many alerts fire at once, each of a definition of its own.
const manyAlerts = 20

func TestKilledWorker_LeavesEveryAlertToldAndNoneTwiceUnlessMarked(t *testing.T) {
	t.Parallel()
	r := startRig(t, "killed")
	s := tell(t, &r.world, "E2E_KILLED")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	worker := r.startWorker()
	awaitReady(t, worker)
	r.awaitSamples()

	// (a) Between the record and the notification: at the moment of the commit.
	listener := r.listen()
	if err := r.tellEachGroup(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys := s.defineMany(holds)
	r.awaitOpened(listener, keys[0]) // all are opened in one transaction
	worker.kill()
	if told := len(s.inbox.Attempts()); told != 0 {
		t.Fatalf("%d messages had gone out when the worker was killed: it was not between record and notification", told)
	}
	s.mustAlerts(keys, 1)

	// (b) Between the request and its outcome: receivers hold the requests of the next worker.
	if err := s.inbox.Fail(inbox.Webhook, 1000, inbox.Behaviour{Hang: true, Taken: true}); err != nil {
		t.Fatal(err)
	}
	worker = r.startWorker()
	eventually(t, patience, "five requests that wait for an answer", func(context.Context) (bool, any, error) {
		held := s.held()
		return len(held) >= 5, len(held), nil
	})
	worker.kill()
	held := s.held()
	if err := s.inbox.Fail(inbox.Webhook, 0, inbox.Behaviour{}); err != nil {
		t.Fatal(err)
	}

	// (c) At any moment.
	for round := range 3 {
		worker = r.startWorker()
		awaitReady(t, worker)
		pause := time.Duration(random.IntN(4000)) * time.Millisecond
		t.Logf("round %d: killed %s after it was ready", round+1, pause)
		time.Sleep(pause) // the moment is the point, not an event
		worker.kill()
	}
	awaitReady(t, r.startWorker())
	began := time.Now()
	s.awaitSettled(keys, "FIRED")
	t.Logf("all told %s after the last start", time.Since(began).Round(time.Millisecond))
	s.mustAlerts(keys, 1)
	s.mustBeHonest(keys, held)
	s.exportHistoryWhenOver(keys)
}

// awaitSamples waits until the first collection is in the vault, so that all definitions fire at once.
func (r *rig) awaitSamples() {
	r.t.Helper()
	eventually(r.t, patience, "a sample of total_connections", func(ctx context.Context) (bool, any, error) {
		var there bool
		err := r.db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM monitoring.system_health_metric_s WHERE metric_name = 'total_connections')`).Scan(&there)
		return there, there, err
	})
}

// defineMany puts a version of every definition, and returns their keys.
func (s *story) defineMany(threshold int) []string {
	s.t.Helper()
	var keys []string
	for i := range manyAlerts {
		keys = append(keys, fmt.Sprintf("%s_%02d", s.key, i+1))
	}
	s.defineAs(rule{suppression: 60, channels: []string{s.channelKey("EMAIL"), s.channelKey("WEBHOOK")}}, threshold, keys...)
	return keys
}

// held are the keys of the requests that were read and never answered.
func (s *story) held() []string {
	var keys []string
	for _, m := range s.inbox.Attempts() {
		if m.Channel == inbox.Webhook && m.Fault != "" {
			keys = append(keys, m.Key)
		}
	}
	return keys
}

// mustAlerts: each definition has exactly so many alerts, all of them open.
func (s *story) mustAlerts(definitions []string, want int) {
	s.t.Helper()
	for _, d := range definitions {
		versions, err := s.w.versions(s.t.Context(), d)
		if err != nil {
			s.t.Fatal(err)
		}
		keys := keysOf(versions)
		if len(keys) != want {
			s.t.Errorf("%s has %d alerts, want %d: %v", d, len(keys), want, versions)
		}
		for _, key := range keys {
			if got := states(versions, key); !slices.Equal(got, []string{"OPEN"}) {
				s.t.Errorf("states of %s are %v, want OPEN", key, got)
			}
		}
	}
}

// awaitSettled waits until both channels of every definition have an end of an event in the ledger.
func (s *story) awaitSettled(definitions []string, event string) {
	s.t.Helper()
	eventually(s.t, 2*time.Minute, "every notification of "+event+" has ended", func(ctx context.Context) (bool, any, error) {
		ended := 0
		var open []entry
		for _, d := range definitions {
			entries, err := s.w.ledger(ctx, d)
			if err != nil {
				return false, nil, err
			}
			for _, e := range current(entries) {
				if e.Event == event && e.Status != "PENDING" {
					ended++
				} else if e.Event == event {
					open = append(open, e)
				}
			}
		}
		return ended == 2*len(definitions), fmt.Sprintf("%d ended, open: %v", ended, open), nil
	})
}

// mustBeHonest compares what receivers have with what the ledger says: whoever was told twice is marked
// as possibly so, whatever is DELIVERED has arrived, and nothing ended otherwise than uncertain.
func (s *story) mustBeHonest(definitions, held []string) {
	s.t.Helper()
	arrived := map[string]int{}
	for _, m := range s.inbox.Messages() {
		for _, d := range definitions {
			if m.Channel == inbox.Webhook && hasKey(m, d) || m.Channel == inbox.Email && names(m, d) {
				arrived[m.Channel+" "+d]++
			}
		}
	}
	twice, marked, uncertain := 0, 0, 0
	for _, d := range definitions {
		entries, err := s.w.ledger(s.t.Context(), d)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, e := range current(entries) {
			channel := map[string]string{s.channelKey("EMAIL"): inbox.Email, s.channelKey("WEBHOOK"): inbox.Webhook}[e.Channel]
			copies := arrived[channel+" "+d]
			switch {
			case e.Status == "DELIVERED" && copies == 0:
				s.t.Errorf("the ledger says DELIVERED and the receiver has nothing: %s", e)
			case e.Status != "DELIVERED" && !(e.Status == "FAILED" && e.Class == "UNCERTAIN" && e.Duplicate):
				s.t.Errorf("ended neither delivered nor uncertain: %s", e)
			case copies > 1 && !e.Duplicate:
				s.t.Errorf("%d copies arrived and the ledger does not say so: %s", copies, e)
			case slices.Contains(held, e.DeliveryKey) && channel == inbox.Webhook && !e.Duplicate:
				s.t.Errorf("its request was never answered and it is not marked: %s", e)
			}
			twice += btoi(copies > 1)
			marked += btoi(e.Duplicate)
			uncertain += btoi(e.Status == "FAILED")
		}
	}
	s.t.Logf("%d notifications: %d arrived twice, %d marked as possible duplicates, %d ended uncertain; %d requests were held at a kill",
		2*len(definitions), twice, marked, uncertain, len(held))
	if twice == 0 {
		s.t.Error("no request was repeated: the story did not kill the worker between request and outcome")
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// exportHistoryWhenOver clears all conditions, waits for the ends to be told, and exports one history
// that went through a kill.
func (s *story) exportHistoryWhenOver(definitions []string) {
	s.t.Helper()
	s.defineMany(clears)
	s.awaitSettled(definitions, "RESOLVED")
	s.exportHistoryOf(s.mostTried(definitions), "killed-worker")
}

// mostTried is the definition whose ledger has the most rows.
func (s *story) mostTried(definitions []string) string {
	s.t.Helper()
	most, rows := "", 0
	for _, d := range definitions {
		entries, err := s.w.ledger(s.t.Context(), d)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(entries) > rows {
			most, rows = d, len(entries)
		}
	}
	return most
}
