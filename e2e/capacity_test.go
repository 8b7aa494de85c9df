package e2e_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"onevault/workflows"
)

// measured is a resource as `onevault capacity -o json` shows it.
type measured struct {
	Type        string   `json:"type"`
	Name        string   `json:"name"`
	Size        int64    `json:"size"`
	Utilization *float64 `json:"utilization_pct"`
	FullOn      string   `json:"full_on"`
	History     []any    `json:"history"`
}

// A fresh installation knows its disk at once, and a second measurement is a second row under its own moment.
func TestCapacity_IsMeasuredAtOnceAndWhenItIsAskedFor(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	moments := func(ctx context.Context) (n, doubled int, err error) {
		err = w.db.QueryRow(ctx, `
			SELECT count(DISTINCT measurement_timestamp), count(*) - count(DISTINCT (capacity_metric_hk, measurement_timestamp))
			  FROM monitoring.capacity_metric_s`).Scan(&n, &doubled)
		return n, doubled, err
	}
	awaitMoments := func(least int) {
		t.Helper()
		eventually(t, patience, "a measurement of capacity", func(ctx context.Context) (bool, any, error) {
			n, doubled, err := moments(ctx)
			return n >= least && doubled == 0, n, err
		})
	}
	awaitMoments(1)
	before, _, err := moments(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.must(t, "schedule", "trigger", "capacity")
	awaitMoments(before + 1)
	w.exportNewest(t, "capacity", workflows.CapacityWorkflowName)

	var list []measured
	if err := json.Unmarshal([]byte(w.must(t, "capacity", "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"DISK", "TABLESPACE", "DATABASE", "TABLE", "INDEX", "WAL", "TEMP", "SEQUENCE"} {
		at := slices.IndexFunc(list, func(m measured) bool { return m.Type == kind })
		if at < 0 {
			t.Errorf("no %s among %+v", kind, list)
			continue
		}
		// A day of history is no forecast.
		if m := list[at]; m.FullOn != "" || len(m.History) == 0 || kind == "DISK" && (m.Utilization == nil || *m.Utilization <= 0) {
			t.Errorf("%+v", m)
		}
	}
	t.Log(w.must(t, "capacity", "--type", "DISK,WAL,DATABASE"))
}
