package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"onevault/forecast"
	"onevault/vault"
)

// filling is a vault with a month of resources: a disk that grows by a gigabyte a day, with a wobble; a table that was
// halved; a sequence that is spent; a database that is new; a disk of another target that stays as it is.
func filling(t *testing.T) life {
	t.Helper()
	l := newLife(t)
	l.sql("SELECT monitoring.ensure_partitions('2026-03-30', '2026-05-11')")
	for day := 30; day >= 0; day-- {
		at := now.AddDate(0, 0, -day).Add(-8 * time.Minute)
		wobble := math.Round(400e6 * math.Sin(float64(day)))
		orders := 80e9 + 0.5e9*float64(30-day)
		if day > 12 {
			orders *= 2
		}
		l.measured("local", at,
			resource("DISK", "/var/lib/postgresql", 130e9-1e9*float64(day)+wobble, 24e9),
			resource("TABLE", "shop.public.orders", orders, -1),
			resource("SEQUENCE", "shop.public.orders_id_seq", 2147483647, 0))
		if day < 3 {
			l.measured("local", at.Add(time.Minute), resource("DATABASE", "shop", 200e9, -1))
		}
		l.measured("pg-prod-3", at, resource("DISK", "/", 10e9, 90e9))
		if day > 1 {
			l.measured("local", at.Add(time.Minute), resource("WAL", "pg_wal", 1<<30, -1))
		}
	}
	return l
}

func resource(kind, name string, size, left float64) vault.CapacitySample {
	sample := vault.CapacitySample{Type: kind, Name: name, Size: int64(size)}
	if left >= 0 {
		available := int64(left)
		sample.Available = &available
	}
	return sample
}

// measured records resources with their forecasts, as the worker does.
func (l life) measured(target string, at time.Time, samples ...vault.CapacitySample) {
	l.t.Helper()
	history, err := l.store.CapacityHistory(l.t.Context(), target, at, samples)
	if err != nil {
		l.t.Fatal(err)
	}
	for i, s := range samples {
		var left *float64
		if s.Available != nil {
			f := float64(*s.Available)
			left = &f
		}
		samples[i] = vault.NewCapacitySample(s.Type, s.Name, s.Size, s.Available, forecast.Of(history[i], left, at))
	}
	if _, err := l.store.RecordCapacity(l.t.Context(), target, at, time.Hour, samples, nil); err != nil {
		l.t.Fatal(err)
	}
}

func TestCapacity_ListsWhatFillsUpAndDrawsIt(t *testing.T) {
	t.Parallel()
	l := filling(t)
	for name, args := range map[string]string{
		"capacity":        "capacity",
		"capacity-wide":   "capacity --type disk,table -o wide",
		"capacity-name":   "capacity --target pg-prod-3 -o name",
		"capacity-disk":   "capacity show /var/lib/postgresql",
		"capacity-table":  "capacity --resource orders --type TABLE",
		"capacity-young":  "capacity show shop",
		"capacity-stable": "capacity show / --target pg-prod-3",
	} {
		got := l.cli(strings.Fields(args)...)
		got.wants(t, exitDone)
		golden(t, name, got.out)
	}
}

// In a terminal the list draws the resource that is full first, in dots and colours.
func TestCapacity_InATerminal(t *testing.T) {
	t.Parallel()
	l := filling(t)
	got := invocation{url: l.url, color: true}.run(t, "capacity", "--type", "DISK")
	got.wants(t, exitDone)
	golden(t, "capacity-terminal", got.out)
}

func TestCapacity_PipedIsPlainText(t *testing.T) {
	t.Parallel()
	got := filling(t).cli("capacity", "show", "/var/lib/postgresql")
	for _, r := range got.out {
		if r > 126 || r < 32 && r != '\n' {
			t.Fatalf("%q stands in\n%s", r, got.out)
		}
	}
}

func TestCapacity_ForPrograms(t *testing.T) {
	t.Parallel()
	l := filling(t)
	got := l.cli("capacity", "--target", "local", "-o", "json")
	got.wants(t, exitDone)
	var list []vault.ListedResource
	if err := json.Unmarshal([]byte(got.out), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 5 || list[0].Name != "shop.public.orders_id_seq" || list[1].Name != "/var/lib/postgresql" || list[1].FullOn == "" || len(list[1].History) != 31 {
		t.Errorf("got %+v", list)
	}
	l.cli("capacity", "show", "/", "-o", "json").wants(t, exitDone, `"target": "pg-prod-3"`)
}

func TestCapacity_SaysWhatCouldNotBeMeasured(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	for target, problems := range map[string][]string{"local": nil, "pg-prod-3": {"DISK: elsewhere", "TEMP: denied"}} {
		sample := resource("WAL", "pg_wal", 1e9, -1)
		if _, err := l.store.RecordCapacity(t.Context(), target, now.Add(-time.Hour), time.Hour, []vault.CapacitySample{sample}, []string{"long past"}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.store.RecordCapacity(t.Context(), target, now.Add(-3*time.Minute), time.Hour, []vault.CapacitySample{sample}, problems); err != nil {
			t.Fatal(err)
		}
	}
	got := l.cli("capacity")
	got.wants(t, exitDone)
	if want := "pg-prod-3, 3m ago, could not be measured: DISK: elsewhere; TEMP: denied\n"; got.err != want {
		t.Errorf("stderr %q, want %q", got.err, want)
	}
	if got := l.cli("capacity", "--target", "local"); got.err != "" {
		t.Errorf("stderr %q", got.err)
	}
}

func TestCapacity_SaysWhatToDoInstead(t *testing.T) {
	t.Parallel()
	l := filling(t)
	l.cli("capacity", "show", "nothing").wants(t, exitNotFound, `no resource "nothing" was measured within 7 days`, "see `onevault capacity`")
	l.measured("pg-prod-3", now.Add(-time.Minute), resource("TABLE", "shop.public.orders", 1e9, -1))
	l.cli("capacity", "show", "orders").wants(t, exitUsage, "means several resources", "pg-prod-3", "--target")
	l.cli("capacity", "show", "orders", "--target", "pg-prod-3").wants(t, exitDone, "too little history: 1 of 7 days")
	l.cli("capacity", "--type", "disc").wants(t, exitUsage, `--type "disc" is unknown: use DISK, TABLESPACE`)
	l.cli("capacity", "shwo").wants(t, exitUsage, `unknown command "shwo"`)
	newLife(t).cli("capacity").wants(t, exitDone, "nothing was measured within 7 days")
}
