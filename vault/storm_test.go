package vault_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"onevault/alert"
	"onevault/vault"
)

func TestStorm_IsJoinedByItsGroupsUntilItEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if _, found, err := f.store.JoinStorm(t.Context(), "local", "D0", "", time.Now()); found || err != nil {
		t.Fatalf("on a quiet day: a storm %t, %v", found, err)
	}
	for i := range 11 {
		f.exec(`INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk) VALUES (util.hash_binary($1), $1)`, fmt.Sprintf("D%d", i))
		f.exec(`SELECT monitoring.open_alert('ALERT||' || $1, util.hash_binary($1), NULL, 'local', 'OPEN', now(), 9, '{}', 'HIGH', NULL, 'evaluator')`, fmt.Sprintf("D%d", i))
	}
	first, found, err := f.store.JoinStorm(t.Context(), "local", "D0", "", time.Now())
	if err != nil || !found || first.Kind != alert.StormTarget || first.Name != "local" || first.Limit != 10 || time.Since(first.BeganAt) > time.Minute {
		t.Fatalf("eleven groups: %+v, %t, %v", first, found, err)
	}
	if again, _, err := f.store.JoinStorm(t.Context(), "local", "D5", "", time.Now()); again != first || err != nil {
		t.Errorf("another of its groups joins %+v, %v", again, err)
	}
	if err := f.store.EndStorm(t.Context(), first.Key, time.Now(), 11, 11); err != nil {
		t.Error(err)
	}
	if err := f.store.EndStorm(t.Context(), first.Key, time.Now(), 11, 11); err != nil {
		t.Errorf("ended again: %v", err)
	}
	var refused *vault.Refusal
	if err := f.store.EndStorm(t.Context(), "STORM||NONE", time.Now(), 1, 1); !errors.As(err, &refused) || !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("one that there is not ends with %v", err)
	}
}
