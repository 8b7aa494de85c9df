package migrations_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/pgserver/pgtest"
)

// Somebody answers alerts in psql, and the transaction stays open: for the moment of a statement about fifty of
// them, or until they are back with their coffee. What OneVault does meanwhile neither waits for that nor costs
// them their transaction.

// answering is a person's open transaction.
func answering(t *testing.T, address string) pgx.Tx {
	t.Helper()
	tx, err := connect(t, address).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exec(t, tx, "SET LOCAL lock_timeout = '20s'")
	return tx
}

func commit(t *testing.T, tx pgx.Tx) {
	t.Helper()
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// openAlerts fires one alert for each key and lists them in the order of their hash keys.
func openAlerts(t *testing.T, db database, given columns, keys ...string) [][]byte {
	t.Helper()
	onlyDefinition(t, db)
	for _, key := range keys {
		define(t, db, key, given)
	}
	record(t, db, "blocked_backends", time.Now(), 9)
	if got := due(t, db, "0"); strings.Count(got, "FIRED") != len(keys) {
		t.Fatalf("not all fired: %s", got)
	}
	return values[[]byte](t, db, "SELECT alert_instance_hk FROM monitoring.alert_current WHERE alert_status = 'OPEN' ORDER BY alert_instance_hk")
}

const (
	acknowledge = "SELECT monitoring.acknowledge_alert($1, 'dana', 'on it')"
	statusNow   = "SELECT alert_status FROM monitoring.alert_current WHERE alert_instance_hk = $1"
)

func TestEvaluation_ThatChangesNothingHoldsNoAlert(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	alerts := openAlerts(t, db, nil, "A", "B")
	evaluation, err := connect(t, address).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := due(t, evaluation, "0"); strings.Count(got, "HOLDING") != 2 {
		t.Fatalf("the look found %s", got)
	}
	exec(t, db, "SET lock_timeout = '1s'")
	for _, hk := range alerts {
		exec(t, db, acknowledge, hk)
	}
	commit(t, evaluation)
}

func TestEvaluation_WaitsForNobodyWhoAnswers(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	alerts := openAlerts(t, db, nil, "A", "B")
	person := answering(t, address)
	exec(t, person, acknowledge, alerts[0])

	record(t, db, "blocked_backends", time.Now(), 0)
	exec(t, db, "SET lock_timeout = '5s'") // as the worker's sessions have it
	got := due(t, db, "0")
	if strings.Count(got, "RESOLVED") != 1 || strings.Count(got, "HOLDING") != 1 {
		t.Errorf("the look decided %s, want the end of the alert that nobody holds", got)
	}
	if why := values[string](t, db, "SELECT decision_reason FROM monitoring.alert_evaluation_s WHERE decision = 'HOLDING' AND result = 'FALSE'"); len(why) != 1 || !strings.Contains(why[0], "the next look decides") {
		t.Errorf("why it holds is said as %q", why)
	}
	commit(t, person)
	if status := value[string](t, db, statusNow, alerts[0]); status != "ACKNOWLEDGED" {
		t.Errorf("the person's alert is %s", status)
	}
	if got := due(t, db, "0"); strings.Count(got, "RESOLVED") != 1 {
		t.Errorf("the next look decided %s, want the end of the other one", got)
	}
}

// An evaluation that has ended an alert holds it until it commits: a person who holds another one may wait for that,
// because the evaluation does not wait for the person.
func TestEvaluation_AndAPersonWhoAnswersSeveralNeverWaitForEachOther(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	keys := []string{"A", "B"}
	openAlerts(t, db, nil, keys...)
	// The evaluation takes the definitions in this order, the person the other way round.
	inOrder := values[[]byte](t, db, "SELECT alert_instance_hk FROM monitoring.alert_instance_h ORDER BY alert_definition_hk")
	person := answering(t, address)
	exec(t, person, acknowledge, inOrder[1])
	record(t, db, "blocked_backends", time.Now(), 0)
	evaluation, err := connect(t, address).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exec(t, evaluation, "SET LOCAL lock_timeout = '5s'")
	if got := due(t, evaluation, "0"); strings.Count(got, "RESOLVED") != 1 {
		t.Fatalf("the look decided %s", got)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := person.Exec(context.Background(), acknowledge, inOrder[0])
		answered <- err
	}()
	awaitBlocked(t, db)
	commit(t, evaluation)
	if err := <-answered; err != nil {
		t.Fatalf("the person's transaction: %v", err)
	}
	commit(t, person)
	for i, want := range []string{"RESOLVED", "ACKNOWLEDGED"} {
		if got := value[string](t, db, statusNow, inOrder[i]); got != want {
			t.Errorf("alert %d is %s, want %s", i, got, want)
		}
	}
}

func TestReopening_WaitsForNobodyWhoAnswers(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	alerts := openAlerts(t, db, columns{"reopen_minutes": 30}, "A")
	record(t, db, "blocked_backends", time.Now(), 0)
	if got := due(t, db, "0"); got != "A FALSE RESOLVED" {
		t.Fatalf("the look decided %s", got)
	}
	person := answering(t, address)
	exec(t, person, "SELECT monitoring.mark_alert_false_positive($1, 'dana', 'a test')", alerts[0])
	record(t, db, "blocked_backends", time.Now(), 9)
	exec(t, db, "SET lock_timeout = '5s'")
	if got := due(t, db, "0"); got != "A TRUE FIRED" {
		t.Errorf("the look decided %s, want a new alert, which pages at once", got)
	}
	commit(t, person)
}

// What the worker writes after a message about many alerts waits for a person who holds one of them, and holds none
// of the others meanwhile.
func TestRecordAlertChanges_OfManyNeverDeadlocksWithAPersonWhoAnswersThem(t *testing.T) {
	t.Parallel()
	for _, change := range []string{"NOTIFIED", "ACKNOWLEDGED"} {
		t.Run(change, func(t *testing.T) {
			t.Parallel()
			address := pgtest.DB(t)
			db := connect(t, address)
			alerts := openAlerts(t, db, nil, "A", "B", "C")
			person := answering(t, address)
			slices.Reverse(alerts)
			exec(t, person, acknowledge, alerts[0])

			recorded := make(chan error, 1)
			worker := connect(t, address)
			changes := value[string](t, db, `
				SELECT jsonb_agg(jsonb_build_object('alert_key', alert_instance_bk, 'change', $1::text, 'at', now(), 'count', 1, 'actor', 'lee', 'via', 'test')
				                 ORDER BY alert_instance_hk)::text
				  FROM monitoring.alert_instance_h`, change)
			go func() {
				_, err := worker.Exec(context.Background(), "SELECT monitoring.record_alert_changes($1)", changes)
				recorded <- err
			}()
			awaitSession(t, db, "wait_event = 'PgSleep'") // between two tries
			exec(t, person, acknowledge, alerts[2])
			exec(t, person, acknowledge, alerts[1])
			commit(t, person)
			if err := <-recorded; err != nil {
				t.Fatalf("the worker's transaction: %v", err)
			}
			if n := value[int](t, db, "SELECT count(*) FROM monitoring.alert_current WHERE alert_status = 'ACKNOWLEDGED' AND acknowledged_by = 'dana'"); n != 3 {
				t.Errorf("%d alerts are the person's, want 3", n)
			}
			if n := value[int](t, db, "SELECT sum(notification_count)::int FROM monitoring.alert_instance_s WHERE load_end_date IS NULL"); change == "NOTIFIED" && n != 3 {
				t.Errorf("%d messages are counted, want 3", n)
			}
		})
	}
}

// Who is away with an open transaction is named as what stands in the way, and the worker tries again.
func TestRecordAlertChanges_OfManySaysThatAnotherTransactionHoldsOne(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	alerts := openAlerts(t, db, nil, "A", "B")
	person := answering(t, address)
	exec(t, person, acknowledge, alerts[0])
	exec(t, db, "SET lock_timeout = '20s'")
	refused(t, db, "55P03", []string{"of 2 alerts", "another transaction", "idle in a transaction"}, `
		SELECT monitoring.record_alert_changes(jsonb_agg(jsonb_build_object('alert_key', alert_instance_bk, 'change', 'NOTIFIED', 'at', now(), 'count', 1)))
		  FROM monitoring.alert_instance_h`)
	commit(t, person)
}

// What a source ends is ended after the person who holds some of it, and holds none of the others meanwhile.
func TestTakeInAlerts_OfManyNeverDeadlocksWithAPersonWhoAnswersThem(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	exec(t, db, "SELECT monitoring.put_source('prometheus', p_token_env => 'TOKEN')")
	send := func(status string) string {
		return `SELECT string_agg(outcome, ' ') FROM monitoring.take_in_alerts('prometheus', (
			SELECT jsonb_agg(jsonb_build_object('name', 'Disk', 'severity', 'HIGH', 'status', '` + status + `', 'fingerprint', f, 'starts_at', '2026-05-04T03:12:00Z') ORDER BY f)
			  FROM unnest(ARRAY['a', 'b']) AS f), 'source:prometheus (verified)')`
	}
	if got := value[string](t, db, send("firing")); got != "OPENED OPENED" {
		t.Fatalf("the firing became %s", got)
	}
	alerts := values[[]byte](t, db, "SELECT alert_instance_hk FROM monitoring.alert_instance_s ORDER BY trigger_details ->> 'fingerprint'")
	person := answering(t, address)
	exec(t, person, acknowledge, alerts[1])

	worker := connect(t, address)
	ended := make(chan string, 1)
	go func() {
		var outcomes string
		if err := worker.QueryRow(context.Background(), send("resolved")).Scan(&outcomes); err != nil {
			outcomes = err.Error()
		}
		ended <- outcomes
	}()
	awaitSession(t, db, "wait_event = 'PgSleep'")
	exec(t, person, acknowledge, alerts[0])
	commit(t, person)
	if got := <-ended; got != "RESOLVED RESOLVED" {
		t.Errorf("the end became %s", got)
	}
}
