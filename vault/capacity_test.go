package vault_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onevault/forecast"
	"onevault/vault"
)

const gigabyte = 1_000_000_000

// midday is a moment of a day that every test of capacity takes for now.
var midday = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func of(bytes int64) *int64 { return &bytes }

func disk(size, available int64) vault.CapacitySample {
	return vault.CapacitySample{Type: "DISK", Name: "/data", Size: size, Available: &available}
}

// month fills the 30 days before midday with a sample every 6 hours, as the collector records them without forecasts.
func (f *fixture) month(value func(at time.Time, day float64) []vault.CapacitySample) {
	f.Helper()
	f.exec("SELECT monitoring.ensure_partitions('2026-02-01', '2026-05-11')")
	start := midday.AddDate(0, 0, -30)
	for at := start; at.Before(midday); at = at.Add(6 * time.Hour) {
		f.recordCapacity("local", at, value(at, at.Sub(start).Hours()/24)...)
	}
}

func (f *fixture) recordCapacity(target string, at time.Time, samples ...vault.CapacitySample) int {
	f.Helper()
	written, err := f.store.RecordCapacity(f.Context(), target, at, time.Hour, samples, nil)
	if err != nil {
		f.Fatal(err)
	}
	return written
}

// foresee forecasts a sample from what the vault holds.
func (f *fixture) foresee(sample vault.CapacitySample) vault.CapacitySample {
	f.Helper()
	history, err := f.store.CapacityHistory(f.Context(), "local", midday, []vault.CapacitySample{sample})
	if err != nil {
		f.Fatal(err)
	}
	var room *float64
	if sample.Available != nil {
		left := float64(*sample.Available)
		room = &left
	}
	return vault.NewCapacitySample(sample.Type, sample.Name, sample.Size, sample.Available, forecast.Of(history[0], room, midday))
}

func (f *fixture) resource(name string) vault.ListedResource {
	f.Helper()
	list, err := f.store.Capacity(f.Context(), "", midday)
	if err != nil {
		f.Fatal(err)
	}
	i := slices.IndexFunc(list, func(r vault.ListedResource) bool { return r.Name == name })
	if i < 0 {
		f.Fatalf("%s is not listed: %+v", name, list)
	}
	return list[i]
}

// A gigabyte a day with noise, a wild sample in each day, and a whole wild day: 50 GB are left for 50 days.
func TestCapacity_AGigabyteADayIsFullWhenWhatIsLeftIsUsed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	random := rand.New(rand.NewPCG(1, 2))
	f.month(func(at time.Time, day float64) []vault.CapacitySample {
		size := (100 + day + 0.1*random.NormFloat64()) * gigabyte
		if at.Hour() == 0 || at.Day() == 20 {
			size = 400 * gigabyte
		}
		return []vault.CapacitySample{disk(int64(size), 1000*gigabyte)}
	})
	sample := f.foresee(disk(130*gigabyte, 50*gigabyte))
	if sample.Trend != "GROWING" || sample.Method != "THEIL_SEN" || math.Abs(*sample.Growth-gigabyte) > 0.02*gigabyte {
		t.Errorf("got %+v, growth %v", sample, *sample.Growth)
	}
	if sample.FullOn < "2026-06-22" || sample.FullOn > "2026-06-24" || sample.Earliest > sample.FullOn || sample.Latest < sample.FullOn ||
		sample.Earliest < "2026-06-20" || sample.Latest > "2026-06-26" {
		t.Errorf("full on %s, between %s and %s; want about 2026-06-23", sample.FullOn, sample.Earliest, sample.Latest)
	}

	// What is recorded is what conditions, the report and the list read.
	f.recordCapacity("local", midday, sample)
	if got := f.resource("/data"); got.FullOn != sample.FullOn || got.Earliest != sample.Earliest || got.Latest != sample.Latest ||
		got.Trend != "GROWING" || *got.Utilization != 72.22 || *got.Available != 50*gigabyte || len(got.History) != 31 {
		t.Errorf("listed: %+v, utilization %v, %d days", got, got.Utilization, len(got.History))
	}
	inputs := value[map[string]float64](f, "SELECT monitoring.condition_inputs('capacity', 'local', NULL, interval '10 minutes', $1)", midday.Add(time.Minute))
	if inputs["max_utilization_percentage"] != 72.22 || inputs["min_days_to_full"] < 49 || inputs["min_days_to_full"] > 51 {
		t.Errorf("a condition sees %v", inputs)
	}
}

func TestCapacity_AfterVacuumFullATableGrowsOnAsBefore(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	table := func(size float64) vault.CapacitySample {
		return vault.CapacitySample{Type: "TABLE", Name: "shop.public.orders", Size: int64(size)}
	}
	f.month(func(_ time.Time, day float64) []vault.CapacitySample {
		if day >= 18 {
			return []vault.CapacitySample{table((20 + day) * gigabyte)}
		}
		return []vault.CapacitySample{table((100 + day) * gigabyte)}
	})
	sample := f.foresee(table(50 * gigabyte))
	if sample.Trend != "GROWING" || sample.Method != "THEIL_SEN_RESET" || math.Abs(*sample.Growth-gigabyte) > 0.02*gigabyte || sample.FullOn != "" {
		t.Errorf("got %+v, growth %v", sample, *sample.Growth)
	}
}

func TestCapacity_TooLittleHistoryIsRecordedAsNull(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("SELECT monitoring.ensure_partitions('2026-04-01', '2026-05-11')")
	for day := range 5 {
		f.recordCapacity("local", midday.AddDate(0, 0, day-5), disk(int64(day)*gigabyte, gigabyte))
	}
	sample := f.foresee(disk(5*gigabyte, gigabyte))
	f.recordCapacity("local", midday, sample)
	if null := value[bool](f, `
		SELECT growth_rate_per_day IS NULL AND projected_full_date IS NULL AND trend_direction IS NULL AND forecast_method IS NULL
		       AND forecast_low_date IS NULL AND forecast_high_date IS NULL AND utilization_percentage = 83.33
		  FROM monitoring.capacity_metric_s WHERE measurement_timestamp = $1`, midday); !null {
		t.Errorf("recorded %+v", f.resource("/data"))
	}
	if got := f.resource("/data"); len(got.History) != 6 || got.Growth != nil || got.Trend != "" {
		t.Errorf("listed %+v", got)
	}
}

func TestRecordCapacity_AgainWritesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	samples := []vault.CapacitySample{disk(10, 90), {Type: "WAL", Name: "pg_wal", Size: 5}}
	record := func(samples []vault.CapacitySample) int {
		written, err := f.store.RecordCapacity(t.Context(), "local", midday, time.Hour, samples, []string{"TEMP: no"})
		if err != nil {
			t.Error(err)
		}
		return written
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		total int
	)
	for range 4 {
		wg.Go(func() {
			written := record(samples)
			mu.Lock()
			defer mu.Unlock()
			total += written
		})
	}
	wg.Wait()
	if total != 2 {
		t.Errorf("4 attempts wrote %d samples, want 2", total)
	}
	// A later attempt measured other sizes; the first one stays, and what is new is added.
	if written := record([]vault.CapacitySample{disk(11, 89), {Type: "TEMP", Name: "pgsql_tmp"}}); written != 1 {
		t.Errorf("wrote %d samples, want 1", written)
	}
	if got := f.resource("/data"); got.Size != 10 {
		t.Errorf("size %d, want 10", got.Size)
	}
	rows := column[string](f, `
		SELECT metric_value || ' ' || (additional_context ->> 'error') FROM monitoring.system_health_metric_s WHERE metric_name = 'capacity_unmeasured'`)
	if want := []string{"1.0000 TEMP: no"}; !slices.Equal(rows, want) {
		t.Errorf("unmeasured: %q, want %q", rows, want)
	}
}

func TestRecordCapacity_NothingMeasuredIsUnknownAndSaysWhy(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if _, err := f.store.RecordCapacity(t.Context(), "local", midday, time.Hour, nil, []string{"reach target local: refused"}); err != nil {
		t.Fatal(err)
	}
	got := value[string](f, `
		SELECT status || ': ' || (additional_context ->> 'error') FROM monitoring.system_health_metric_s
		 WHERE metric_name = 'capacity_unmeasured' AND metric_value IS NULL`)
	if want := "UNKNOWN: reach target local: refused"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRecordCapacity_NamesThatLookAlikeStayApart(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	long := "shop." + strings.Repeat("a", 63) + "." + strings.Repeat("b", 62)
	names := []string{"/data", "/Data", "/DATA", ` "x".y`, `"x".y`, `a\b`, `a|b`, long + "1", long + "2", `db."` + strings.Repeat("é", 63) + `".t`}
	var samples []vault.CapacitySample
	for i, name := range names {
		samples = append(samples, vault.CapacitySample{Type: "TABLE", Name: name, Size: int64(i) + 1})
	}
	if written := f.recordCapacity("the-longest-name-of-a-target-"+strings.Repeat("x", 71), midday, samples...); written != len(names) {
		t.Errorf("wrote %d samples, want %d", written, len(names))
	}
	for i, name := range names {
		if got := f.resource(name); got.Size != int64(i)+1 {
			t.Errorf("%s: size %d, want %d", name, got.Size, i+1)
		}
	}
}

func TestRecordCapacity_FullIsSaidOnlyOfWhatIsFull(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.recordCapacity("local", midday,
		vault.CapacitySample{Type: "SEQUENCE", Name: "spent", Size: math.MaxInt64, Available: of(0)},
		vault.CapacitySample{Type: "SEQUENCE", Name: "nearly", Size: math.MaxInt64 - 1, Available: of(1)},
		vault.CapacitySample{Type: "SEQUENCE", Name: "empty", Size: 0, Available: of(0)},
		vault.CapacitySample{Type: "DATABASE", Name: "shop", Size: 1})
	for name, want := range map[string]float64{"spent": 100, "nearly": 99.99, "empty": 100} {
		if got := f.resource(name); *got.Utilization != want {
			t.Errorf("%s is %v %% full, want %v", name, *got.Utilization, want)
		}
	}
	if got := f.resource("shop"); got.Utilization != nil || got.Available != nil {
		t.Errorf("without a limit: %+v", got)
	}
}

// What retention took is left as hours, and counts.
func TestCapacityHistory_GoesOnInTheHoursThatRetentionLeft(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("SELECT monitoring.ensure_partitions('2026-03-01', '2026-05-11')")
	for day := range 10 {
		f.recordCapacity("local", midday.AddDate(0, 0, day-10), disk(int64(day+30)*gigabyte, gigabyte))
	}
	f.exec(`
		INSERT INTO monitoring.capacity_metric_hourly_s (capacity_metric_hk, hash_diff, hour_start, resource_type, resource_name, sample_count, last_size_bytes, last_sample_at)
		SELECT util.hash_binary(monitoring.capacity_key('local', NULL, 'DISK', '/data')), '\x', $1::timestamptz - make_interval(days => i), 'DISK', '/data', 1,
		       (40 - i) * 1000000000::bigint, $1::timestamptz - make_interval(days => i)
		  FROM generate_series(1, 30) AS i`, midday)
	history, err := f.store.CapacityHistory(t.Context(), "local", midday, []vault.CapacitySample{disk(40*gigabyte, gigabyte), {Type: "DISK", Name: "/other"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(history[0]) != 31 || len(history[1]) != 1 {
		t.Fatalf("%d and %d days, want 31 and 1", len(history[0]), len(history[1]))
	}
	for i, day := range history[0] {
		if want := midday.Truncate(24*time.Hour).AddDate(0, 0, i-30); !day.Day.Equal(want) || day.Value != float64(i+10)*gigabyte {
			t.Errorf("day %d: %+v, want %v GB on %s", i, day, i+10, want)
		}
	}
}

func TestCapacity_OfATargetAloneAndOnlyOfThisWeek(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("SELECT monitoring.ensure_partitions('2026-04-01', '2026-05-11')")
	f.recordCapacity("pg-prod-3", midday, disk(1, 2))
	f.recordCapacity("local", midday, disk(3, 4), vault.CapacitySample{Type: "WAL", Name: "pg_wal", Size: 5})
	f.recordCapacity("local", midday.AddDate(0, 0, -8), vault.CapacitySample{Type: "DISK", Name: "/gone", Size: 5})
	for target, want := range map[string]int{"": 3, "local": 2, "pg-prod-3": 1, "nowhere": 0} {
		list, err := f.store.Capacity(t.Context(), target, midday)
		if err != nil || len(list) != want {
			t.Errorf("%q: %d resources, %v; want %d", target, len(list), err, want)
		}
	}
}
