package activities

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onevault/pgserver/pgtest"
)

func TestCheckCompliance_RecordsEachRunOnceWithItsAuditTrail(t *testing.T) {
	t.Parallel()
	watched, store := vaultAt(t, pgtest.DB(t)), vaultAt(t, pgtest.DB(t))
	c := watching(t, watched.Pool().Config().ConnString(), store)
	in := CheckComplianceInput{Target: "there", At: time.Date(2026, 5, 4, 3, 30, 0, 0, time.UTC), Run: "compliance/r1"}
	out, err := c.CheckCompliance(t.Context(), in)
	if err != nil || out.Controls != 38 || out.Compliant+out.Partial+out.NonCompliant+out.NotTested != 38 || out.Recorded < 100 ||
		len(out.Findings) != out.Partial+out.NonCompliant || out.NotTested == 0 || out.Compliant == 0 {
		t.Fatalf("%+v, %v", out, err)
	}
	again, err := c.CheckCompliance(t.Context(), in)
	if err != nil || again.Recorded != 0 {
		t.Errorf("a retry recorded %d, %v", again.Recorded, err)
	}
	if got := ask[int](t, store, `SELECT count(*) FROM monitoring.compliance_dashboard WHERE target_name = 'there' AND audit_trail_reference = 'compliance/r1' AND clause_list <> ''
		AND (check_status = 'NOT_TESTED') = (compliance_score IS NULL)`); got[0] != out.Recorded {
		t.Errorf("%d rows on the dashboard, %d recorded", got[0], out.Recorded)
	}
	in.At, in.Framework = in.At.Add(time.Hour), "pci-dss"
	if part, err := c.CheckCompliance(t.Context(), in); err != nil || part.Controls == 0 || part.Controls == 38 {
		t.Errorf("one framework: %+v, %v", part, err)
	}
	for framework, target := range map[string]string{"iso": "there", "": "nowhere"} {
		in.Framework, in.Target = framework, target
		if out, err := c.CheckCompliance(t.Context(), in); err != nil || out.Error == "" {
			t.Errorf("%+v, %v", out, err)
		}
	}
}

func TestCheckCompliance_RunsControlsOfOnesOwnAndSaysWhichAreNone(t *testing.T) {
	t.Parallel()
	store := vaultAt(t, pgtest.DB(t))
	c := watching(t, store.Pool().Config().ConnString(), store)
	c.ControlsDir = t.TempDir()
	text := "-- id: MINE\n-- title: Mine\n-- category: X\n-- severity: LOW\n-- asks: x\n-- clause: ISO 27001 | A.8.3 | x\n-- remediation: x\nSELECT false, NULL, '{\"n\": 1}'::jsonb"
	for name, content := range map[string]string{"mine.sql": text, "none.sql": "SELECT 1"} {
		if err := os.WriteFile(filepath.Join(c.ControlsDir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := c.CheckCompliance(t.Context(), CheckComplianceInput{Target: "there", Framework: "iso27001", At: time.Now(), Run: "r"})
	if err != nil || out.Controls != 1 || out.NonCompliant != 1 || len(out.Problems) != 1 || !strings.Contains(out.Problems[0], "none.sql") {
		t.Errorf("%+v, %v", out, err)
	}
	if got := ask[string](t, store, "SELECT concat_ws(' ', compliance_framework, control_id, clause_list, check_status, finding_details) FROM monitoring.compliance_dashboard"); len(got) != 1 || got[0] != `ISO 27001 MINE A.8.3 NON_COMPLIANT {"n": 1}` {
		t.Errorf("recorded %q", got)
	}
}

func TestCheckCompliance_ATargetOrVaultThatIsDownIsAnErrorAndNothingIsRecorded(t *testing.T) {
	t.Parallel()
	store := vaultAt(t, pgtest.DB(t))
	in := CheckComplianceInput{Target: "there", At: time.Now(), Run: "r"}
	if _, err := watching(t, "postgres://u:s3cret@127.0.0.1:1/x", store).CheckCompliance(t.Context(), in); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("target down: %v", err)
	}
	if _, err := watching(t, store.Pool().Config().ConnString(), deadVault(t)).CheckCompliance(t.Context(), in); err == nil {
		t.Error("vault down: no error")
	}
	if n := ask[int](t, store, "SELECT count(*) FROM monitoring.compliance_check_s"); n[0] != 0 {
		t.Errorf("%d rows", n[0])
	}
}
