package activities

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"onevault/collect"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

// registry is what a worker knows of the targets in a vault.
func registry(t *testing.T, store *vault.Store, secrets collect.Secrets) *Registry {
	t.Helper()
	r := &Registry{Vault: store, Secrets: secrets}
	t.Cleanup(r.Close)
	return r
}

// address is a test database's, without its password.
func address(t *testing.T, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal("the address of a test database is not a URL")
	}
	query := u.Query()
	for name := range query {
		if name != "host" && name != "port" && name != "sslmode" {
			query.Del(name)
		}
	}
	u.User, u.RawQuery = url.User(u.User.Username()), query.Encode()
	return u.String()
}

func addTarget(t *testing.T, store *vault.Store, target vault.Target) {
	t.Helper()
	if err := store.AddTarget(t.Context(), target, "dana"); err != nil {
		t.Fatal(err)
	}
}

func wantNotWatched(t *testing.T, err error, words string) {
	t.Helper()
	var application *temporal.ApplicationError
	if !errors.As(err, &application) || application.Type() != ErrorNotWatched || !application.NonRetryable() || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v, want it not watched and %q", err, words)
	}
}

func TestRegistry_FollowsTheVaultsListWithoutARestart(t *testing.T) {
	t.Parallel()
	store := vaultAt(t, pgtest.DB(t))
	r := registry(t, store, collect.Secrets{})
	c := &Collection{Vault: store, Registry: r}
	collectOnce := func() error {
		_, err := c.CollectHealth(t.Context(), CollectHealthInput{Target: "shop", Every: time.Minute})
		return err
	}
	wantNotWatched(t, collectOnce(), `"shop" is unknown`)

	addTarget(t, store, vault.Target{Name: "shop", URL: address(t, pgtest.DB(t))})
	if err := collectOnce(); err != nil {
		t.Fatalf("a target that was just added: %v", err)
	}
	first, err := r.Target("shop")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.Target("shop"); err != nil || again != first {
		t.Errorf("it was opened twice, %v", err)
	}

	// Another place: the old connections are given up, and the next measurement goes there.
	elsewhere := "postgres://nobody@127.0.0.1:1/shop"
	if _, err := store.ChangeTarget(t.Context(), "shop", vault.TargetChange{URL: &elsewhere}, "dana"); err != nil {
		t.Fatal(err)
	}
	refresh(t, r)
	if out, err := c.CollectHealth(t.Context(), CollectHealthInput{Target: "shop"}); err != nil || !strings.Contains(out.Error, "127.0.0.1:1") {
		t.Errorf("%+v, %v", out, err)
	}

	no, yes := false, true
	if _, err := store.ChangeTarget(t.Context(), "shop", vault.TargetChange{Enabled: &no}, "dana"); err != nil {
		t.Fatal(err)
	}
	refresh(t, r)
	wantNotWatched(t, collectOnce(), "disabled")
	if _, err := store.ChangeTarget(t.Context(), "shop", vault.TargetChange{Enabled: &yes}, "dana"); err != nil {
		t.Fatal(err)
	}
	if err := collectOnce(); err != nil {
		t.Errorf("it was enabled again, but: %v", err)
	}
	if _, err := store.RemoveTarget(t.Context(), "shop", "dana"); err != nil {
		t.Fatal(err)
	}
	refresh(t, r)
	wantNotWatched(t, collectOnce(), "removed")
	if len(r.open) != 0 {
		t.Errorf("%d targets are still open", len(r.open))
	}
}

func refresh(t *testing.T, r *Registry) {
	t.Helper()
	if _, err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestRegistry_GoesOnWithWhatItKnowsWhileTheVaultIsDown(t *testing.T) {
	t.Parallel()
	store := vaultAt(t, pgtest.DB(t))
	addTarget(t, store, vault.Target{Name: "shop", URL: address(t, pgtest.DB(t))})
	r := registry(t, store, collect.Secrets{})
	refresh(t, r)
	r.Vault = deadVault(t)
	target, err := r.Target("shop")
	if err != nil {
		t.Fatal(err)
	}
	queries, err := collect.HealthQueries()
	if err != nil {
		t.Fatal(err)
	}
	if health, err := target.CollectHealth(t.Context(), queries); err != nil || len(health.Samples) == 0 {
		t.Errorf("%d samples, %v", len(health.Samples), err)
	}
	var application *temporal.ApplicationError
	if _, err := r.Target("other"); !errors.As(err, &application) || application.Type() != ErrorVaultUnreachable || application.NonRetryable() {
		t.Errorf("a target that may be new: %v, want to try again", err)
	}
}

// Each way in which a target can be wrong is a recorded sample with its reason, and costs the others nothing.
func TestCollectHealth_RecordsWhyATargetCannotBeMeasured(t *testing.T) {
	t.Parallel()
	store := vaultAt(t, pgtest.DB(t))
	here := address(t, pgtest.DB(t))
	renamed, err := url.Parse(here)
	if err != nil {
		t.Fatal(err)
	}
	renamed.Path = "/renamed"
	addTarget(t, store, vault.Target{Name: "fine", URL: here})
	addTarget(t, store, vault.Target{Name: "renamed", URL: renamed.String()})
	addTarget(t, store, vault.Target{Name: "dead", URL: "postgres://u@" + deadAddress(t) + "/d"})
	addTarget(t, store, vault.Target{Name: "secretless", URL: here, PasswordEnv: "NOT_SET_ANYWHERE"})
	c := &Collection{Vault: store, Registry: registry(t, store, collect.Secrets{LookupEnv: func(string) (string, bool) { return "", false }})}
	want := map[string]string{
		"fine": "", "renamed": "the database does not exist", "dead": "connection refused", "secretless": "the variable NOT_SET_ANYWHERE is not set",
	}
	for name := range want {
		if _, err := c.CollectHealth(t.Context(), CollectHealthInput{Target: name, Every: time.Minute}); err != nil {
			t.Errorf("%s: %v, want it recorded", name, err)
		}
	}
	listed, err := store.Targets(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if len(listed) != 5 || listed[0].Name != LocalTarget {
		t.Fatalf("%d targets are listed, the first %q", len(listed), listed[0].Name)
	}
	for _, l := range listed[1:] {
		if l.Reachable == nil || *l.Reachable != (l.Name == "fine") || !strings.Contains(l.Reason, want[l.Name]) || l.LastSampleAt.IsZero() || l.Interval != time.Minute {
			t.Errorf("%s: %+v, want the reason %q", l.Name, l, want[l.Name])
		}
		if (l.ServerVersion > 0) != (l.Name == "fine") {
			t.Errorf("%s: version %d", l.Name, l.ServerVersion)
		}
	}
}

// People are paged of the vault once: the evaluation of no other target carries its definition.
func TestEvaluateAlerts_OnlyLocalCarriesTheFallback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alerts := &Alerts{Vault: w.store, Channels: w.directory}
	for target, want := range map[string]bool{LocalTarget: true, "shop": false} {
		out, err := alerts.EvaluateAlerts(context.Background(), EvaluateAlertsInput{Target: target})
		if err != nil || out.Evaluated == 0 || (out.Fallback.Definition.Key == VaultUnreachableKey) != want {
			t.Errorf("%s: %+v, %v", target, out, err)
		}
	}
}
