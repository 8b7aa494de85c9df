package vault_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/alert"
	"onevault/vault"
)

// evidence reads a file of the pack of a period as rows, without its header.
func (f *fixture) evidence(p vault.EvidencePeriod, path string) [][]string {
	f.Helper()
	files, err := vault.EvidenceFiles()
	if err != nil {
		f.Fatal(err)
	}
	at := slices.IndexFunc(files, func(file vault.EvidenceFile) bool { return file.Path == path })
	var out bytes.Buffer
	err = f.store.Evidence(f.Context(), p, func(v vault.EvidenceView) error {
		_, err := v.Copy(f.Context(), files[at], &out, func(int64) {})
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	records, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		f.Fatal(err)
	}
	return records[1:]
}

func TestEvidenceFiles_EachSaysWhatItIsAndNoTwoAreTheSame(t *testing.T) {
	t.Parallel()
	files, err := vault.EvidenceFiles()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range files {
		if len(f.About) < 40 || !strings.HasSuffix(f.Path, ".csv") || seen[f.Path] {
			t.Errorf("%+v", f)
		}
		seen[f.Path] = true
	}
}

// No alert differs from nobody looked: the times without an evaluation are evidence.
func TestEvidence_TellsWhenNobodyLooked(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	start := yesterday().Truncate(time.Hour)
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	for target, since := range map[string]time.Time{"local": start.Add(-24 * time.Hour), "young": at(30)} {
		f.exec(`INSERT INTO monitoring.system_health_metric_h (health_metric_hk, health_metric_bk, target_name, load_date)
			VALUES (util.hash_binary($1 || '||HEALTH||X'), $1 || '||HEALTH||X', $1, $2)`, target, since)
	}
	look := func(definition, target string, minutes ...int) {
		for _, minute := range minutes {
			f.exec(`INSERT INTO monitoring.alert_evaluation_s (alert_definition_hk, load_date, hash_diff, target_name, evaluated_at, definition_load_date, result, result_since, inputs, decision)
				VALUES (util.hash_binary($1), $3, '\x', $2, $3, $3, 'FALSE', $3, '{}', 'NONE')`, definition, target, at(minute))
		}
	}
	f.define("WATCHED", row{"load_date": at(-300), "evaluation_frequency_minutes": 5})
	look("WATCHED", "local", -10, -5, 0, 5, 10, 21, 40, 45)
	look("WATCHED", "young", 30, 35, 40, 45, 50, 55)
	f.define("STOPPED", row{"load_date": at(-300), "evaluation_frequency_minutes": 5})
	look("STOPPED", "local", -10, -5)
	f.define("NEVER", row{"load_date": at(10), "evaluation_frequency_minutes": 5})
	f.define("OFF", row{"load_date": at(-300), "is_enabled": false})
	f.define("WORKERS", row{"load_date": at(-300), "metric_source": "worker", "condition_logic": "vault_unreachable > 0"})
	f.define("LATER", row{"load_date": at(180)})
	// 11 minutes are twice the interval and a minute, which is not more than that.
	got := map[string]bool{}
	for _, r := range f.evidence(vault.EvidencePeriod{Framework: "SOX", From: start, To: at(60)}, "data/evaluation_gaps.csv") {
		got[strings.Join([]string{r[0], r[1], r[3], r[4], r[7]}, " ")] = true
	}
	moment := func(minutes int) string { return at(minutes).Format(time.RFC3339) }
	want := map[string]bool{
		"WATCHED local " + moment(21) + " " + moment(40) + " NOT_EVALUATED": true,
		"WATCHED local " + moment(45) + " " + moment(60) + " NOT_EVALUATED": true,
		"STOPPED local " + moment(0) + " " + moment(60) + " NOT_EVALUATED":  true,
		"NEVER  " + moment(10) + " " + moment(60) + " NEVER_EVALUATED":      true,
	}
	if !maps.Equal(got, want) {
		t.Errorf("gaps\n%s\nwant\n%s", lines(got), lines(want))
	}
	if rows := f.evidence(vault.EvidencePeriod{Framework: "SOX", Target: "young", From: start, To: at(58)}, "data/evaluation_gaps.csv"); len(rows) != 2 || rows[0][1] != "" {
		t.Errorf("of one target: %q", rows) // what was never evaluated there, and nothing else
	}
	// Of a time whose rows are not here nobody can say that nobody looked.
	old := start.AddDate(0, 0, -100)
	f.define("OLD", row{"load_date": old})
	rows := f.evidence(vault.EvidencePeriod{Framework: "SOX", From: old, To: old.Add(time.Hour)}, "data/evaluation_gaps.csv")
	if len(rows) != 1 || rows[0][7] != "ROWS_LEFT" {
		t.Errorf("of a time that has left: %q", rows)
	}
}

func lines(set map[string]bool) string {
	return strings.Join(slices.Sorted(maps.Keys(set)), "\n")
}

// A day has hours with samples and hours without, whether the samples are still here or rolled up.
func TestEvidence_CountsTheHoursThatWereMeasured(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	day := time.Now().UTC().AddDate(0, 0, -3).Truncate(24 * time.Hour)
	f.exec(`INSERT INTO monitoring.system_health_metric_h (health_metric_hk, health_metric_bk, load_date) VALUES (util.hash_binary('M'), 'M', $1)`, day.AddDate(0, 0, -9))
	for hour := range 6 {
		f.exec(`INSERT INTO monitoring.system_health_metric_s (health_metric_hk, load_date, hash_diff, metric_name, metric_category, metric_value, measurement_timestamp)
			SELECT util.hash_binary('M'), at, '\x', 'target_reachable', 'AVAILABILITY', CASE n WHEN 1 THEN 0 WHEN 2 THEN NULL ELSE 1 END, at
			  FROM generate_series(0, 3) AS n, LATERAL (SELECT $1::timestamptz + n * interval '15 minutes' AS at) AS t`, day.Add(time.Duration(hour)*time.Hour))
	}
	period := vault.EvidencePeriod{Framework: "SOX", From: day, To: day.Add(36 * time.Hour)}
	want := [][]string{
		{"local", day.Format(time.DateOnly), "24", "6", "24", "6", "6"},
		{"local", day.AddDate(0, 0, 1).Format(time.DateOnly), "12", "0", "0", "0", "0"},
	}
	if got := f.evidence(period, "data/collection_coverage.csv"); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%q, want %q", got, want)
	}
	f.exec("SELECT monitoring.roll_up('system_health_metric_s', $1, $2)", day, day.Add(24*time.Hour))
	f.exec("ALTER TABLE monitoring.system_health_metric_s DISABLE TRIGGER ALL")
	f.exec("DELETE FROM monitoring.system_health_metric_s")
	if got := f.evidence(period, "data/collection_coverage.csv"); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("rolled up: %q, want %q", got, want)
	}
}

// What a row is known from and until does not depend on when it is asked for, and neither does its text.
func TestEvidence_WritesValuesAsAnAuditorReadsThem(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.define("TEXTS", row{"alert_name": "a,\"b\"\nc", "alert_description": "", "load_date": "2026-03-01T12:00:00.5+02:00", "notification_channels": []string{"SLACK", "x y"}})
	rows := f.evidence(vault.EvidencePeriod{Framework: "SOX", From: firstRun.AddDate(0, 0, -9), To: firstRun}, "data/alert_definitions.csv")
	if len(rows) != 1 {
		t.Fatalf("%q", rows)
	}
	got := rows[0]
	if got[1] != "a,\"b\"\nc" || got[5] != "true" || got[21] != `["SLACK", "x y"]` || got[len(got)-2] != "2026-03-01T10:00:00.5Z" || got[len(got)-1] != "" {
		t.Errorf("%q", got)
	}
}

func TestEvidence_GivesUpWhatTheReceiverRefuses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	files, err := vault.EvidenceFiles()
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	at := slices.IndexFunc(files, func(file vault.EvidenceFile) bool { return file.Path == "vault/grants.csv" }) // larger than a buffer
	err = f.store.Evidence(t.Context(), vault.EvidencePeriod{Framework: "SOX", From: yesterday(), To: time.Now()}, func(v vault.EvidenceView) error {
		_, err := v.Copy(t.Context(), files[at], failing{full}, func(int64) {})
		return err
	})
	if !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
}

type failing struct{ err error }

func (w failing) Write([]byte) (int, error) { return 0, w.err }

var _ io.Writer = failing{}

func TestEvidence_HoldsEachVersionOfAnEscalationPolicyWithItsAuthor(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	begin := time.Now()
	policy := vault.PolicySpec{Key: "ONCALL", Name: "On call", Enabled: true, DefaultFor: []string{"CRITICAL"}, Levels: []alert.Level{{}, {AfterMinutes: 10, Channels: []string{"EMAIL"}}}}
	put := func(author string) {
		t.Helper()
		if refused, err := f.store.PutPolicies(t.Context(), []vault.PolicySpec{policy}, author, false); err != nil || len(refused) > 0 {
			t.Fatal(refused, err)
		}
	}
	put("dana")
	policy.Levels[1].AfterMinutes = 15
	put("eve")
	period := vault.EvidencePeriod{Framework: "SOX", From: begin.Add(-time.Hour), To: time.Now().Add(time.Minute)}
	rows := f.evidence(period, "data/escalation_policies.csv")
	if len(rows) != 2 {
		t.Fatalf("%q, want both versions", rows)
	}
	for i, want := range []struct{ author, after string }{{"dana", `"after_minutes": 10`}, {"eve", `"after_minutes": 15`}} {
		row := strings.Join(rows[i], "|")
		if !strings.Contains(row, "|"+want.author+"|") || !strings.Contains(row, want.after) || !strings.Contains(row, `["CRITICAL"]`) {
			t.Errorf("version %d is %q, want that of %s", i, row, want.author)
		}
	}
	if until := rows[0][len(rows[0])-1]; until == "" || until != rows[1][len(rows[1])-2] {
		t.Errorf("the first version stood until %q, the second from %q", until, rows[1][len(rows[1])-2])
	}
}
