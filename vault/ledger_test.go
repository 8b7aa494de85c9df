package vault_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"onevault/vault"
)

// channel writes a webhook channel that nothing listens behind.
func (f *fixture) channel(key string) {
	f.Helper()
	err := f.store.PutChannel(f.Context(), vault.Channel{
		Key: key, Name: key, Type: "WEBHOOK", Configuration: json.RawMessage(`{"url": "https://example.test/alerts", "unsigned": true}`), RecordSource: "TEST",
	})
	if err != nil {
		f.Fatal(err)
	}
}

// intent is what is written before an attempt at telling of an alert.
func intent(alertKey string, attempt int) vault.LedgerEntry {
	return vault.LedgerEntry{
		AlertKey: alertKey, ChannelKey: "OPS", ChannelType: "WEBHOOK", Recipient: "https://example.test/...", Event: "FIRED",
		DeliveryKey: "delivery-1", Status: "PENDING", Attempt: attempt,
		At: time.Now().UTC().Truncate(time.Microsecond),
	}
}

// outcome is what is written after it.
func outcome(of vault.LedgerEntry, status, class string) vault.LedgerEntry {
	of.Status, of.Class, of.DurationMS = status, class, 12
	return of
}

func (f *fixture) begin(want vault.Finding, entries ...vault.LedgerEntry) {
	f.Helper()
	if got, err := f.store.BeginNotifications(f.Context(), entries); err != nil || got != want {
		f.Fatalf("begin: %q, %v; want %q", got, err, want)
	}
}

func (f *fixture) finish(entries ...vault.LedgerEntry) {
	f.Helper()
	if _, err := f.store.RecordHistory(f.Context(), nil, entries); err != nil {
		f.Fatal(err)
	}
}

// ledger lists the versions of an alert's notifications: status, class, and ? for a possible duplicate.
func (f *fixture) ledger(alertKey string) []string {
	f.Helper()
	return column[string](f, `
		SELECT concat_ws(' ', s.delivery_status, s.outcome_class, CASE WHEN s.possible_duplicate THEN '?' END)
		  FROM monitoring.notification_log_s s
		  JOIN monitoring.notification_log_h h USING (notification_log_hk)
		 WHERE h.alert_instance_hk = util.hash_binary($1)
		 ORDER BY s.load_date`, alertKey)
}

func (f *fixture) wantLedger(alertKey string, want ...string) {
	f.Helper()
	if got := f.ledger(alertKey); !slices.Equal(got, want) {
		f.Errorf("ledger %q, want %q", got, want)
	}
}

func TestLedger_AnAttemptIsBegunAndEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	f.channel("OPS")
	first := intent(key, 0)
	f.begin(vault.FindingNew, first)
	f.wantLedger(key, "PENDING")
	f.finish(outcome(first, "PENDING", "NOT_SENT")) // another attempt follows
	second := intent(key, 1)
	f.begin(vault.FindingNew, second)
	done := outcome(second, "DELIVERED", "ACCEPTED")
	done.Proof = "HTTP 200"
	f.finish(done)
	f.begin(vault.FindingDelivered, intent(key, 2))
	f.wantLedger(key, "PENDING", "PENDING NOT_SENT", "PENDING", "DELIVERED ACCEPTED")
	equal(f, "notifications", value[int](f, `SELECT count(*) FROM monitoring.notification_log_h`), 1)
	equal(f, "proof", value[string](f, `SELECT delivery_proof FROM monitoring.notification_log_s WHERE load_end_date IS NULL`), "HTTP 200")
}

func TestLedger_AnAttemptWithoutOutcomeMakesAPossibleDuplicateOfAllThatFollow(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	f.channel("OPS")
	f.begin(vault.FindingNew, intent(key, 0))
	second := intent(key, 1) // the first one's worker was killed
	f.begin(vault.FindingUnknownOutcome, second)
	second.PossibleDuplicate = true
	f.finish(outcome(second, "PENDING", "TRANSIENT"))
	f.begin(vault.FindingNew, intent(key, 2)) // this one's outcome is known, the first one's never will be
	f.wantLedger(key, "PENDING", "PENDING ?", "PENDING TRANSIENT ?", "PENDING ?")
}

func TestLedger_RecordingTwiceIsNoNewVersion(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	f.channel("OPS")
	attempt := intent(key, 0)
	done := outcome(attempt, "DELIVERED", "ACCEPTED")
	f.begin(vault.FindingNew, attempt)
	f.finish(done)
	f.finish(done, done)
	f.wantLedger(key, "PENDING", "DELIVERED ACCEPTED")
}

func TestLedger_AnIntentThatComesAfterItsOutcomeUndoesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	f.channel("OPS")
	attempt := intent(key, 0)
	// The vault was too slow for the intent and took the outcome: the intent follows with the workflow.
	f.finish(outcome(attempt, "DELIVERED", "ACCEPTED"))
	f.finish(attempt)
	f.finish(attempt)
	f.wantLedger(key, "DELIVERED ACCEPTED", "PENDING")
	f.begin(vault.FindingDelivered, intent(key, 1))
}

func TestLedger_AnOlderAttemptThatComesLateUndoesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	f.channel("OPS")
	older, newer := intent(key, 0), intent(key, 1)
	newer.At = older.At.Add(time.Second)
	f.begin(vault.FindingNew, newer)
	f.finish(outcome(newer, "DELIVERED", "ACCEPTED"))
	f.finish(older, outcome(older, "PENDING", "TRANSIENT"))
	f.finish(older, outcome(older, "PENDING", "TRANSIENT"))
	f.wantLedger(key, "PENDING", "DELIVERED ACCEPTED", "PENDING", "PENDING TRANSIENT")
	equal(f, "current", value[string](f, `SELECT delivery_status FROM monitoring.notification_log_s WHERE load_end_date IS NULL`), "DELIVERED")
}

func TestLedger_OneDeliveryTellsOfSeveralAlerts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one, two := f.fire("ONE"), f.fire("TWO")
	f.channel("OPS")
	entries := []vault.LedgerEntry{intent(one, 0), intent(two, 0)}
	f.begin(vault.FindingNew, entries...)
	f.finish(outcome(entries[0], "DELIVERED", "ACCEPTED"), outcome(entries[1], "DELIVERED", "ACCEPTED"))
	f.begin(vault.FindingDelivered, intent(one, 1), intent(two, 1))
	for _, key := range []string{one, two} {
		f.wantLedger(key, "PENDING", "DELIVERED ACCEPTED")
	}
	keys := column[string](f, `SELECT DISTINCT delivery_key FROM monitoring.notification_log_s`)
	if !slices.Equal(keys, []string{"delivery-1"}) {
		t.Errorf("delivery keys %v", keys)
	}
}

func TestLedger_ADeliveryOfWhichOnlyAPartArrivedIsSentFlagged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one, two := f.fire("ONE"), f.fire("TWO")
	f.channel("OPS")
	first := intent(one, 0)
	f.begin(vault.FindingNew, first)
	f.finish(outcome(first, "DELIVERED", "ACCEPTED"))
	// Nobody has heard of the second alert: to hear twice of the first is better than never of it.
	f.begin(vault.FindingUnknownOutcome, intent(one, 1), intent(two, 1))
	f.wantLedger(one, "PENDING", "DELIVERED ACCEPTED")
	f.wantLedger(two, "PENDING")
}

func TestLedger_OfTwoBeginningsAtOnceOneIsNew(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	f.channel("OPS")
	// Once where the ledger holds nothing yet, once onto an attempt whose outcome is known.
	for attempt := range 2 {
		first, err := f.store.Pool().Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		const begin = `SELECT monitoring.begin_notifications($1)`
		var finding string
		if err := first.QueryRow(t.Context(), begin, []vault.LedgerEntry{intent(key, attempt)}).Scan(&finding); err != nil {
			t.Fatal(err)
		}
		equal(f, "the first", finding, "NEW")

		other := f.session()
		findings := make(chan string, 1)
		go func() {
			var finding string
			if err := other.QueryRow(t.Context(), begin, []vault.LedgerEntry{intent(key, attempt)}).Scan(&finding); err != nil {
				finding = err.Error()
			}
			findings <- finding
		}()
		f.awaitBlocked(other.PgConn().PID())
		if err := first.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		equal(f, "the second", <-findings, "UNKNOWN_OUTCOME")
		f.exec(`SELECT monitoring.record_notification($1)`, outcome(intent(key, attempt), "PENDING", "NOT_SENT"))
	}
}

func TestLedger_RefusesAnEntryOfAnUnknownAlert(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.channel("OPS")
	_, err := f.store.BeginNotifications(t.Context(), []vault.LedgerEntry{intent("ALERT||NONE", 0)})
	if !vault.Permanent(err) || vault.Unreachable(err) {
		t.Errorf("got %v", err)
	}
}

// A workflow whose worker died does not know what that one had proved already.
func TestLedger_NotKnowingTakesNothingBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	f.channel("OPS")
	attempt := intent(key, 0)
	f.begin(vault.FindingNew, attempt)
	f.finish(outcome(attempt, "DELIVERED", "ACCEPTED"))
	before := intent(key, 0)
	before.At = attempt.At.Add(-time.Minute)
	f.finish(outcome(before, "FAILED", "UNCERTAIN")) // of an attempt before that: it was so, and becomes history
	unknown := outcome(intent(key, 0), "FAILED", "UNCERTAIN")
	unknown.PossibleDuplicate = true
	f.finish(unknown)
	f.wantLedger(key, "PENDING", "DELIVERED ACCEPTED", "FAILED UNCERTAIN")
}
