package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onevault/pgserver/pgtest"
	"onevault/vault"
)

func TestVaultStats_ShowsEveryTableAndTheShare(t *testing.T) {
	t.Parallel()
	url := pgtest.DB(t)
	got := invocation{url: url}.run(t, "vault", "stats")
	got.wants(t, exitDone, "TABLE", "KEEP", "system_health_metric_s", "35 days", "13 months", "7 years", "monitoring takes", "MiB")
	got = invocation{url: url}.run(t, "vault", "stats", "-o", "json")
	got.wants(t, exitDone)
	var stats shownStats
	if err := json.Unmarshal([]byte(got.out), &stats); err != nil {
		t.Fatal(err)
	}
	if len(stats.Tables) < 30 || stats.Monitoring < 1<<20 || stats.Database < stats.Monitoring || stats.Goal != 5 {
		t.Errorf("%d tables, sizes %+v, goal %g", len(stats.Tables), stats.Sizes, stats.Goal)
	}
	if strings.Contains(got.out, "0001-01-01") {
		t.Error("a time that is not known is shown as the year 1")
	}
}

func TestVaultStats_JudgesTheShareOnlyWhereThereIsSomethingToCompare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		monitoring, others int64
		want               string
	}{
		{1 << 30, 10 << 20, "nothing to compare it with"},
		{1 << 30, 100 << 30, "1.0 %, within the goal of 5 %"},
		{6 << 30, 100 << 30, "6.0 %, over the goal of 5 %; shorten retention"},
		{5 << 30, 100 << 30, "5.0 %, over the goal"},
	} {
		stats := showStats([]vault.TableStats{{ArchivedBytes: 1 << 20}}, vault.Sizes{Monitoring: c.monitoring, Others: c.others})
		if line := stats.line(); !strings.Contains(line, c.want) || !strings.Contains(line, "its archives 1 MiB") {
			t.Errorf("%d of %d: %s", c.monitoring, c.others, line)
		}
	}
}

func TestVaultArchives_SaysWhenThereAreNone(t *testing.T) {
	t.Parallel()
	url := pgtest.DB(t)
	invocation{url: url}.run(t, "vault", "archives").wants(t, exitDone, "no archives")
	invocation{url: url}.run(t, "vault", "archives", "-o", "json").wants(t, exitDone, "[]")
}

func TestVaultRestore_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	url := pgtest.DB(t)
	dir := t.TempDir()
	lonely := filepath.Join(dir, "x.csv.zst")
	if err := os.WriteFile(lonely, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) result {
		return invocation{url: url}.run(t, append([]string{"vault", "restore"}, args...)...)
	}
	run().wants(t, exitUsage, "accepts 1 arg")
	run(filepath.Join(dir, "nothing.json")).wants(t, exitNotFound, "no such file", "vault archives -o wide")
	run(filepath.Join(dir, "x.csv")).wants(t, exitError, "is no archive", ".csv.zst")
	run(lonely).wants(t, exitError, "has no manifest")
	for _, keep := range []string{"", "0d", "-1h", "soon", "2026-01-01", "99999w"} {
		run(lonely, "--keep", keep).wants(t, exitUsage, "--keep is", "30d or 8w")
	}
}

func TestKeepUntil_ReadsDaysAndWeeks(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{"12h": now.Add(12 * time.Hour), "30d": now.AddDate(0, 0, 30), "8w": now.AddDate(0, 0, 56)} {
		if got, err := keepUntil(now, text); err != nil || !got.Equal(want) {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
}
