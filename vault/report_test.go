package vault_test

import (
	"testing"
	"time"

	"onevault/report"
)

func TestReport_OfAnEmptyVaultKnowsNothingAndClaimsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r, err := f.store.Report(t.Context(), report.Today(time.Now(), time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range r.KPIs {
		if k.Key == "storage" {
			continue // sizes are known of an empty vault as well
		}
		if k.Verdict != report.Unknown || k.Value != nil {
			t.Errorf("%s is %s, %s", k.Name, k.Measured, k.Verdict)
		}
	}
}
