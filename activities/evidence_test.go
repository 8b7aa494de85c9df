package activities

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onevault/evidence"
	"onevault/vault"
)

func (a *attic) export(p vault.EvidencePeriod, name string) ExportedEvidence {
	a.Helper()
	out, err := ExportEvidence(a.Context(), a.store, ExportEvidenceInput{
		Period: p, Out: filepath.Join(a.TempDir(), name), Via: "cli:dana@host", Progress: func(string, int64, bool) {},
	})
	if err != nil {
		a.Fatal(err)
	}
	return out
}

func (a *attic) compare(out ExportedEvidence) string {
	a.Helper()
	_, problems, err := CompareEvidence(a.Context(), a.store, out.Manifest, out.ManifestSHA256)
	if err != nil {
		a.Fatal(err)
	}
	return strings.Join(problems, "\n")
}

// What was archived and dropped is named with its file and hash, and is back in the pack once it is restored.
func TestExportEvidence_SaysWhatHasLeftTheVaultAndWhereItIs(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	week := scalar[time.Time](a, "SELECT date_trunc('week', now() - interval '60 days', 'UTC')").UTC()
	a.exec("SELECT monitoring.ensure_partitions_of('alert_evaluation_s', $1, $1::timestamptz + interval '1 hour')", week)
	a.exec(`INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk) VALUES (util.hash_binary('OLD'), 'OLD')`)
	a.exec(`INSERT INTO monitoring.alert_definition_s (alert_definition_hk, load_date, hash_diff, alert_name, alert_category, alert_severity, metric_source, condition_logic)
		VALUES (util.hash_binary('OLD'), $1, '\x', 'Old', 'PERFORMANCE', 'LOW', 'system_health', 'blocked_backends > 1')`, week)
	a.exec(`INSERT INTO monitoring.alert_evaluation_s (alert_definition_hk, load_date, hash_diff, target_name, evaluated_at, definition_load_date, result, result_since, inputs, decision)
		SELECT util.hash_binary('OLD'), at, '\x', 'local', at, at, 'TRUE', at, '{}', 'FIRED' FROM generate_series($1::timestamptz, $1::timestamptz + interval '1 hour', interval '5 minutes') AS at`, week)
	period := vault.EvidencePeriod{Framework: "SOX", From: week, To: week.AddDate(0, 0, 2)}
	before := a.export(period, "before")
	if !before.Manifest.Complete || before.Manifest.Rows == 0 {
		t.Fatalf("before: %+v", before.Manifest)
	}
	if problems := a.compare(before); problems != "" {
		t.Errorf("before: %s", problems)
	}

	left := a.leave(a.only("alert_evaluation_s"))
	after := a.export(period, "after.tar.zst")
	if after.Manifest.Complete || len(after.Manifest.Missing) != 1 {
		t.Fatalf("after: %+v", after.Manifest)
	}
	file, err := os.ReadFile(a.path(left.Name))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(file)
	m := after.Manifest.Missing[0]
	if m.Archive != left.Name || m.Table != "alert_evaluation_s" || m.Rows != 13 || !m.Certain || !m.Archived || m.Host != "here" ||
		m.File != a.path(left.Name) || m.FileSHA256 != hex.EncodeToString(sum[:]) || !m.From.Equal(week) {
		t.Errorf("missing: %+v", m)
	}
	if problems := a.compare(before); !strings.Contains(problems, "have left the vault since the export: archive "+left.Name) || !strings.Contains(problems, "data/evaluation_decisions.csv: the vault says something else now: 0 rows") {
		t.Errorf("the pack from before: %s", problems)
	}
	if _, _, err := RestoreArchive(t.Context(), a.store, a.path(left.Name), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	again := a.export(period, "again")
	if !again.Manifest.Complete || again.Manifest.ContentSHA256 != before.Manifest.ContentSHA256 {
		t.Errorf("restored: complete %v, content %s, was %s", again.Manifest.Complete, again.Manifest.ContentSHA256, before.Manifest.ContentSHA256)
	}
}

// Versions of a state leave by the month in which they ended: what left may have begun in the period.
func TestExportEvidence_SaysWhatMayHaveBeenOfThePeriod(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	began := time.Now().UTC().AddDate(-9, 0, 0).Truncate(time.Hour)
	a.exec(`INSERT INTO monitoring.monitor_config_h (monitor_config_hk, monitor_config_bk) VALUES (util.hash_binary('X'), 'X')`)
	for i, at := range []time.Time{began, began.AddDate(1, 0, 0)} {
		a.exec(`INSERT INTO monitoring.monitor_config_s (monitor_config_hk, load_date, hash_diff, config_name, config_type, config_value)
			VALUES (util.hash_binary('X'), $1, '\x', 'x', 'X', jsonb_build_object('i', $2::integer))`, at, i)
	}
	a.leave(a.only("monitor_config_s"))
	for name, c := range map[string]struct {
		from, to time.Time
		missing  int
		certain  bool
	}{
		"it began in it": {began.AddDate(0, -1, 0), began.AddDate(0, 1, 0), 1, false},
		"it ended in it": {began.AddDate(0, 11, 0), began.AddDate(1, 1, 0), 1, true},
		"after it ended": {began.AddDate(2, 0, 0), began.AddDate(2, 1, 0), 0, false},
	} {
		m := a.export(vault.EvidencePeriod{Framework: "SOX", From: c.from, To: c.to}, "pack").Manifest
		if len(m.Missing) != c.missing || c.missing == 1 && m.Missing[0].Certain != c.certain {
			t.Errorf("%s: %+v", name, m.Missing)
		}
	}
}

// A vault that cannot record the export hands nothing out.
func TestExportEvidence_IsRecordedOrIsNotThere(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	a.exec("DROP FUNCTION monitoring.record_evidence_export")
	dir := t.TempDir()
	for _, name := range []string{"pack", "pack.tar.zst"} {
		_, err := ExportEvidence(t.Context(), a.store, ExportEvidenceInput{
			Period: vault.EvidencePeriod{Framework: "SOX", From: time.Now().Add(-time.Hour), To: time.Now().Add(-time.Minute)},
			Out:    filepath.Join(dir, name), Progress: func(string, int64, bool) {},
		})
		if err == nil || !strings.Contains(err.Error(), "record the export") {
			t.Errorf("%v", err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestExportEvidence_RefusesAPeriodThatIsNotOver(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	_, err := ExportEvidence(t.Context(), a.store, ExportEvidenceInput{
		Period: vault.EvidencePeriod{Framework: "SOX", From: time.Now(), To: time.Now().Add(time.Hour)}, Out: filepath.Join(t.TempDir(), "pack"),
	})
	var period *PeriodError
	if !errors.As(err, &period) {
		t.Errorf("%v", err)
	}
}

// A large period passes row by row: the table is never in memory as a whole.
func TestExportEvidence_TellsItsProgressInALargePeriod(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	a.exec(`INSERT INTO monitoring.security_detection (target_name, detected_at, detector, findings)
		SELECT 'local', now() - interval '1 hour' + n * interval '1 millisecond', 'x', 0 FROM generate_series(1, 120000) AS n`)
	var told []int64
	place := filepath.Join(t.TempDir(), "pack.tar.zst")
	out, err := ExportEvidence(t.Context(), a.store, ExportEvidenceInput{
		Period: vault.EvidencePeriod{Framework: "SOX", From: time.Now().Add(-2 * time.Hour), To: time.Now().Add(-time.Minute)},
		Out:    place,
		Progress: func(path string, rows int64, _ bool) {
			if path == "data/security_detection.csv" {
				told = append(told, rows)
			}
		},
	})
	if err != nil || len(told) != 3 || told[0] != 50_000 || told[2] != 120_000 {
		t.Errorf("told %v, %v", told, err)
	}
	if v, err := evidence.Verify(place, nil); err != nil || len(v.Problems) != 0 || v.ManifestSHA256 != out.ManifestSHA256 {
		t.Errorf("%+v, %v", v, err)
	}
}
