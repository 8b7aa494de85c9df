package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onevault/pgserver/pgtest"
	"onevault/report"
	"onevault/vault"
)

func TestReport_OfAnEmptyVaultSaysSoInEverySection(t *testing.T) {
	t.Parallel()
	got := invocation{url: pgtest.DB(t)}.run(t, "report", "daily")
	got.wants(t, exitDone, "Daily report of 2026-05-04\n2026-05-03 00:00 to 2026-05-04 03:18, UTC\n", "--- System Health Summary ---\nnothing was measured in this period",
		"--- Alert Summary ---\nno alert fired in this period", "no capacity was measured yet", "the vault has heard of no backup", "Notifications delivered  > 99 %", "not known")
	if strings.Contains(got.out, "\x1b") {
		t.Errorf("a pipe gets colours: %q", got.out)
	}
}

func TestReport_ShowsTheAlertsOfItsDay(t *testing.T) {
	t.Parallel()
	l := several(t)
	got := l.cli("report", "daily", "--since", "2026-05-01")
	got.wants(t, exitDone, "alert_category  total_alerts", "MTTA", "A-")

	var r report.Report
	if err := json.Unmarshal([]byte(l.cli("report", "daily", "--since", "2026-05-01", "-o", "json").out), &r); err != nil {
		t.Fatal(err)
	}
	if r.Alerts.New == 0 || len(r.KPIs) != 8 || r.From.Format(time.DateOnly) != "2026-05-01" || !strings.Contains(got.out, r.Alerts.List[0].ID) {
		t.Errorf("got %+v", r)
	}
	l.cli("report", "daily", "--since", "2026-05-01", "-o", "yaml").wants(t, exitDone, "alert_summary:", "date: ")
	l.cli("report", "daily", "-o", "name").wants(t, exitDone, "2026-05-04\n")
}

func TestReport_WritesThePageAndPrintsItOnRequest(t *testing.T) {
	t.Parallel()
	url := pgtest.DB(t)
	path := filepath.Join(t.TempDir(), "report.html")
	invocation{url: url}.run(t, "report", "daily", "--date", "2026-05-02", "--timezone", "Europe/Berlin", "--html", path).
		wants(t, exitDone, "wrote "+path, "2026-05-02 00:00 to 2026-05-03 00:00, Europe/Berlin (UTC+02:00)")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(page), "<!DOCTYPE html>") || !strings.Contains(string(page), "Daily report of 2026-05-02") {
		t.Errorf("the page is %.200s", page)
	}
	if got := (invocation{url: url}).run(t, "report", "daily", "--date", "2026-05-02", "--html", "-"); got.code != exitDone || !strings.HasPrefix(got.out, "<!DOCTYPE html>") || !strings.HasSuffix(got.out, "</html>\n") {
		t.Errorf("standard output gets more than the page: %.300s", got.out)
	}
	invocation{url: url}.run(t, "report", "daily", "--html", filepath.Join(path, "x")).wants(t, exitError, "onevault: write "+path)
	invocation{url: url}.run(t, "report", "daily", "--timezone", "Mars/X").wants(t, exitUsage, `--timezone "Mars/X" is no time zone`)
}

func TestReport_RefusesPeriodsThatAreNone(t *testing.T) {
	t.Parallel()
	url := pgtest.DB(t)
	for args, want := range map[string]string{
		"--date 4.5.2026":                        "write it like 2026-11-22",
		"--date 2026-05-05":                      "not in the future",
		"--since 2026-05-04 --until 2026-05-03":  "must begin before it ends",
		"--since 90d":                            "at most 31",
		"--since soon":                           "--since \"soon\" is no duration",
		"--until soon":                           "--until \"soon\" is no duration",
		"--date 2026-05-03 --since 2026-05-03":   "--date is one whole day",
		"--timezone Mars":                        "no time zone",
		"--timezone Local":                       "no time zone",
		"--date 2026-05-03 --until 2026-05-04 x": "unknown command",
	} {
		invocation{url: url}.run(t, append([]string{"report", "daily"}, strings.Fields(args)...)...).wants(t, exitUsage, want)
	}
	invocation{url: url}.run(t, "report", "show", "yesterday").wants(t, exitUsage, "write it like 2026-11-22")
}

func TestReport_ListsAndShowsWhatWasRecorded(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.cli("report", "list").wants(t, exitDone, "no report was recorded yet")
	l.cli("report", "show", "2026-05-04").wants(t, exitNotFound, "no report of 2026-05-04 was recorded", "onevault report daily --date 2026-05-04")
	made, err := l.store.Report(t.Context(), report.Today(now, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.store.RecordReport(t.Context(), made, "abc"); err != nil {
		t.Fatal(err)
	}
	l.cli("report", "list", "-o", "name").wants(t, exitDone, "2026-05-04\n")
	l.cli("report", "list", "-o", "wide").wants(t, exitDone, "2026-05-03 00:00:00 UTC", "2026-05-04 03:18:00 UTC")
	shown, fresh := l.cli("report", "show", "2026-05-04"), l.cli("report", "daily")
	shown.wants(t, exitDone, "Daily report of 2026-05-04")
	if shown.out != fresh.out {
		t.Errorf("shown:\n%s\nmade:\n%s", shown.out, fresh.out)
	}
	var list []vault.ListedReport
	if err := json.Unmarshal([]byte(l.cli("report", "list", "-o", "json").out), &list); err != nil || len(list) != 1 || list[0].Delivered != 0 {
		t.Errorf("listed %+v, %v", list, err)
	}
}
