package activities

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"onevault/migrations"
	"onevault/pgserver"
)

// The vault stands on the server that it watches, by default: what recording and evaluation ask there must be the
// same statements each time, or they would drive the application's out of pg_stat_statements. (The collector hides
// its own; package collect tests it.)
func TestRounds_AddNoEntriesToPgStatStatements(t *testing.T) {
	t.Parallel()
	server, err := pgserver.Start(t.Context(), pgserver.Config{Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	address := server.URL("postgres")
	if err := migrations.Up(t.Context(), address, nil); err != nil {
		t.Fatal(err)
	}
	store, observer := vaultAt(t, address), vaultAt(t, address)
	execute(t, observer, "ALTER SYSTEM SET pg_stat_statements.track = 'all'") // also what functions ask
	execute(t, observer, "SELECT pg_reload_conf()")
	collection := watch(t, store, address)
	alerts, security := &Alerts{Vault: store, Channels: worldWith(t, store).directory}, &Security{Vault: store, Collection: collection}
	round := func(n int) {
		at := time.Now().UTC().Truncate(time.Microsecond)
		// Something happens between two rounds: statements and tables that come to the top are new ones.
		execute(t, observer, "CREATE TABLE grown_"+strconv.Itoa(n)+" AS SELECT g FROM generate_series(1, 1000) AS g")
		steps := []func() error{
			func() error {
				_, err := collection.CollectHealth(t.Context(), CollectHealthInput{Target: "local", Every: time.Minute})
				return err
			},
			func() error {
				_, err := collection.CollectPerformance(t.Context(), CollectPerformanceInput{Target: "local", Every: time.Minute})
				return err
			},
			func() error {
				_, err := collection.CollectCapacity(t.Context(), CollectCapacityInput{Target: "local", At: at, Every: time.Hour})
				return err
			},
			func() error {
				_, err := collection.CheckCompliance(t.Context(), CheckComplianceInput{Target: "local", At: at, Run: "round/" + strconv.Itoa(n)})
				return err
			},
			func() error {
				_, err := security.DetectSecurityEvents(t.Context(), DetectSecurityEventsInput{Target: "local"})
				return err
			},
			func() error {
				_, err := alerts.EvaluateAlerts(t.Context(), EvaluateAlertsInput{Target: "local"})
				return err
			},
		}
		for i, step := range steps {
			if err := step(); err != nil {
				t.Fatalf("round %d, step %d: %v", n, i, err)
			}
		}
	}
	entries := func() []string {
		// By their ids: the same words about another temporary table are another entry.
		return ask[string](t, observer, `SELECT concat_ws(' ', s.queryid, s.toplevel, s.query) FROM pg_stat_statements s WHERE s.query !~ 'grown_[0-9]'`)
	}
	// What is first about the first rounds: partitions, the first sample, plans.
	for n := range 3 {
		round(n)
	}
	entries() // is one itself
	before := entries()
	for n := range 10 {
		round(3 + n)
	}
	for _, query := range entries() {
		if !slices.Contains(before, query) {
			t.Errorf("a later round adds: %s", query)
		}
	}
	if len(before) < 50 {
		t.Errorf("only %d entries before: nothing was seen", len(before))
	}
}
