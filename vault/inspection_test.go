package vault_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/vault"
)

func TestOverdue_CountsWhatRetentionLeft(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("SELECT monitoring.ensure_partitions_of('system_health_metric_s', now() - interval '60 days', now() - interval '59 days')")
	list, err := f.store.Overdue(t.Context(), 48*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(o vault.Overdue) bool { return o.Table == "system_health_metric_s" })
	if i < 0 || list[i].Parts < 1 || list[i].By < 10*24*time.Hour || list[i].By > 30*24*time.Hour {
		t.Errorf("overdue is %+v", list)
	}
	later, err := f.store.Overdue(t.Context(), 40*24*time.Hour)
	if err != nil || len(later) != 0 {
		t.Errorf("overdue for 40 days is %+v, %v", later, err)
	}
}

func TestDisabledTriggers_AreNamed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if list, err := f.store.DisabledTriggers(t.Context()); err != nil || len(list) != 0 {
		t.Fatalf("disabled are %q, %v", list, err)
	}
	f.exec("ALTER TABLE monitoring.alert_instance_s DISABLE TRIGGER t60_allow_only_closing; ALTER TABLE monitoring.outbox DISABLE TRIGGER ALL")
	list, err := f.store.DisabledTriggers(t.Context())
	if err != nil || len(list) != 2 || list[0] != "alert_instance_s: t60_allow_only_closing" || !strings.HasPrefix(list[1], "outbox: foreign key ") {
		t.Errorf("disabled are %q, %v", list, err)
	}
}
