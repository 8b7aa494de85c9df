package activities

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/temporal"

	"onevault/collect"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

// watch is the collection of a target that is the database at an address, into a vault.
func watch(t *testing.T, store *vault.Store, address string) *Collection {
	t.Helper()
	target, err := collect.OpenTarget("local", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(target.Close)
	return &Collection{Vault: store, Targets: map[string]*collect.Target{"local": target}}
}

func openVault(t *testing.T) (*vault.Store, string) {
	t.Helper()
	address := pgtest.DB(t)
	store, err := vault.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store, address
}

func TestCollectCapacity_RecordsOnceWithAForecastFromTheVault(t *testing.T) {
	t.Parallel()
	store, address := openVault(t)
	at := time.Now().UTC().Truncate(time.Microsecond)
	in := CollectCapacityInput{Target: "local", At: at, Every: time.Hour}
	collection := watch(t, store, address)
	first, err := collection.CollectCapacity(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if first.Resources < 40 || first.Recorded != first.Resources || first.Forecast != 0 || first.FirstFull != "" || first.Error != "" || len(first.Problems) > 0 {
		t.Errorf("first: %+v", first)
	}
	if _, err := collection.CollectCapacity(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	// Another database of this server, or another table among the 20 largest, may have come in between.
	var twice int
	err = store.Pool().QueryRow(t.Context(), `
		SELECT count(*) FROM (SELECT FROM monitoring.capacity_metric_s GROUP BY capacity_metric_hk, measurement_timestamp HAVING count(*) > 1) AS twice`).Scan(&twice)
	if err != nil || twice > 0 {
		t.Errorf("%d resources were recorded twice under one moment, %v", twice, err)
	}

	// A month in which this disk went from empty to what it holds now.
	disk := list(t, store, at)[0]
	if disk.Type != "DISK" || disk.Available == nil {
		t.Fatalf("the first to be full is %+v", disk)
	}
	for day := range 30 {
		sample := vault.CapacitySample{Type: "DISK", Name: disk.Name, Size: disk.Size * int64(day) / 30, Available: disk.Available}
		if _, err := store.RecordCapacity(t.Context(), "local", at.AddDate(0, 0, day-30), time.Hour, []vault.CapacitySample{sample}, nil); err != nil {
			t.Fatal(err)
		}
	}
	in.At = at.Add(time.Minute)
	out, err := collection.CollectCapacity(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	grown := list(t, store, in.At)[0]
	if out.Forecast != 1 || grown.Trend != "GROWING" || grown.Growth == nil || grown.Size == 0 {
		t.Fatalf("%+v; the disk: %+v", out, grown)
	}
	if perDay := float64(disk.Size) / 30; *grown.Growth < 0.8*perDay || *grown.Growth > 1.2*perDay {
		t.Errorf("growth %v a day, want %v", *grown.Growth, perDay)
	}
	days := float64(*grown.Available) / *grown.Growth
	if days < 4*365 && (grown.FullOn == "" || out.FirstFull != "DISK "+disk.Name+" on "+grown.FullOn) {
		t.Errorf("full in %v days: %+v; the disk: %+v", days, out, grown)
	}
}

func list(t *testing.T, store *vault.Store, at time.Time) []vault.ListedResource {
	t.Helper()
	found, err := store.Capacity(t.Context(), "local", at)
	if err != nil || len(found) == 0 {
		t.Fatalf("%d resources, %v", len(found), err)
	}
	return found
}

func TestCollectCapacity_ATargetThatIsDownIsAResultAndRecorded(t *testing.T) {
	t.Parallel()
	store, _ := openVault(t)
	out, err := watch(t, store, "postgres://u:s3cret@127.0.0.1:1/x").CollectCapacity(t.Context(),
		CollectCapacityInput{Target: "local", At: time.Now().UTC(), Every: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.Error, "reach target local") || out.Resources != 0 || out.Recorded != 0 {
		t.Errorf("got %+v", out)
	}
	wantNoSecret(t, "the result", out.Error, "s3cret")
	rows, err := store.Pool().Query(t.Context(), `
		SELECT additional_context ->> 'error' FROM monitoring.system_health_metric_s
		 WHERE metric_name = 'capacity_unmeasured' AND status = 'UNKNOWN'`)
	if err != nil {
		t.Fatal(err)
	}
	reasons, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || !slices.Equal(reasons, []string{out.Error}) {
		t.Errorf("recorded %q, %v; want %q", reasons, err, out.Error)
	}
}

func TestCollectCapacity_AVaultThatIsDownIsAnErrorToRetry(t *testing.T) {
	t.Parallel()
	_, address := openVault(t)
	_, err := watch(t, deadVault(t), address).CollectCapacity(t.Context(),
		CollectCapacityInput{Target: "local", At: time.Now().UTC(), Every: time.Hour})
	var told *temporal.ApplicationError
	if !errors.As(err, &told) || told.Type() != ErrorVaultUnreachable || told.NonRetryable() {
		t.Errorf("got %v", err)
	}
}
