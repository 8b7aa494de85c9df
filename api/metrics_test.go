package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"onevault/api"
)

func TestMetrics_ShowRuntimeProcessPoolAndTemporal(t *testing.T) {
	t.Parallel()
	registry := api.NewRegistry()
	temporal := api.NewTemporalMetrics()
	registry.MustRegister(temporal, api.PoolMetrics("vault", openPool(t)))
	temporal.Handler().Counter("temporal_worker_start").Inc(1)

	base := serve(t, api.Config{Registry: registry})
	status, body := answer(t, http.MethodGet, base+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("GET /metrics: %d\n%s", status, body)
	}
	for _, want := range []string{
		"go_goroutines ", "go_build_info{", "process_start_time_seconds ",
		`onevault_pool_connections_max{pool="vault"} 7`, "temporal_worker_start_total 1",
	} {
		if !strings.Contains(body, "\n"+want) {
			t.Errorf("/metrics has no line that begins with %q", want)
		}
	}
	if strings.Contains(body, "hunter2") || strings.Contains(body, "observer") {
		t.Error("/metrics shows the pool's user or password")
	}
}

// openPool is a pool that never connected: it has a configuration to leak, and no connections.
func openPool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), "postgres://observer:hunter2@127.0.0.1:1/vault?pool_max_conns=7")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func TestTemporalMetrics_OneNameMayHaveDifferentTags(t *testing.T) {
	t.Parallel()
	metrics := api.NewTemporalMetrics()
	root := metrics.Handler().WithTags(map[string]string{"namespace": "default"})
	root.Counter("temporal_request").Inc(2)
	root.WithTags(map[string]string{"operation": "PollWorkflowTaskQueue"}).Counter("temporal_request").Inc(3)
	root.WithTags(map[string]string{"namespace": "other"}).Counter("temporal_request").Inc(4)

	expect(t, metrics, `
# HELP temporal_request_total Reported by Temporal's SDK as temporal_request_total.
# TYPE temporal_request_total counter
temporal_request_total{namespace="default"} 2
temporal_request_total{namespace="default",operation="PollWorkflowTaskQueue"} 3
temporal_request_total{namespace="other"} 4
`)
}

func TestTemporalMetrics_TheSameSeriesIsCountedOnce(t *testing.T) {
	t.Parallel()
	metrics := api.NewTemporalMetrics()
	var writers sync.WaitGroup
	for range 50 {
		writers.Go(func() {
			h := metrics.Handler().WithTags(map[string]string{"a": "1", "b": "2"})
			h.Counter("hits").Inc(1)
			h.Counter("hits").Inc(-1) // ignored: a counter never falls
			h.Gauge("level").Update(0.5)
		})
	}
	writers.Wait()
	expect(t, metrics, `
# HELP hits_total Reported by Temporal's SDK as hits_total.
# TYPE hits_total counter
hits_total{a="1",b="2"} 50
# HELP level Reported by Temporal's SDK as level.
# TYPE level gauge
level{a="1",b="2"} 0.5
`)
}

func TestTemporalMetrics_LatenciesAreHistogramsInSeconds(t *testing.T) {
	t.Parallel()
	metrics := api.NewTemporalMetrics()
	metrics.Handler().Timer("temporal_request_latency").Record(20 * time.Millisecond)
	families, err := register(t, metrics).Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(families) != 1 || families[0].GetName() != "temporal_request_latency_seconds" {
		t.Fatalf("gathered %v, want one family temporal_request_latency_seconds", families)
	}
	if got := families[0].GetMetric()[0].GetHistogram(); got.GetSampleCount() != 1 || got.GetSampleSum() != 0.02 {
		t.Errorf("histogram %v, want one sample of 0.02 s", got)
	}
}

func TestTemporalMetrics_MakesInventedNamesLegal(t *testing.T) {
	t.Parallel()
	metrics := api.NewTemporalMetrics()
	metrics.Handler().WithTags(map[string]string{"error-code": "5xx"}).Gauge("9 lives.left").Update(8)
	expect(t, metrics, `
# HELP _9_lives_left Reported by Temporal's SDK as _9_lives_left.
# TYPE _9_lives_left gauge
_9_lives_left{error_code="5xx"} 8
`)
}

func register(t *testing.T, c prometheus.Collector) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	return registry
}

func expect(t *testing.T, c prometheus.Collector, want string) {
	t.Helper()
	if err := testutil.GatherAndCompare(register(t, c), strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestDeliveryMetrics_SayWhatBecameOfEachChannelsMessages(t *testing.T) {
	t.Parallel()
	channels := func(context.Context) ([]api.ChannelDelivery, error) {
		return []api.ChannelDelivery{
			{Channel: "MAIL", Type: "EMAIL", Arrived: 30, Confirmed: 10, Failed: 2, Uncertain: 1, Ratio: new(0.9375)},
			{Channel: "CHAT", Type: "SLACK", Arrived: 3}, // few messages make no rate
		}, nil
	}
	want := `
# HELP onevault_delivery_ratio Share of a channel's notifications of the last 24 hours that arrived, of 1; absent below 20.
# TYPE onevault_delivery_ratio gauge
onevault_delivery_ratio{channel="MAIL",type="EMAIL"} 0.9375
# HELP onevault_notifications Notifications of the last 24 hours by channel and by how certain it is that they arrived.
# TYPE onevault_notifications gauge
onevault_notifications{certainty="accepted",channel="CHAT",type="SLACK"} 3
onevault_notifications{certainty="accepted",channel="MAIL",type="EMAIL"} 20
onevault_notifications{certainty="confirmed",channel="CHAT",type="SLACK"} 0
onevault_notifications{certainty="confirmed",channel="MAIL",type="EMAIL"} 10
onevault_notifications{certainty="failed",channel="CHAT",type="SLACK"} 0
onevault_notifications{certainty="failed",channel="MAIL",type="EMAIL"} 2
onevault_notifications{certainty="uncertain",channel="CHAT",type="SLACK"} 0
onevault_notifications{certainty="uncertain",channel="MAIL",type="EMAIL"} 1
`
	if err := testutil.CollectAndCompare(api.DeliveryMetrics(channels), strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestDeliveryMetrics_OfAVaultThatIsDownCostNoOthers(t *testing.T) {
	t.Parallel()
	registry := api.NewRegistry()
	registry.MustRegister(api.DeliveryMetrics(func(context.Context) ([]api.ChannelDelivery, error) { return nil, errors.New("the vault is down") }))
	status, body := answer(t, http.MethodGet, serve(t, api.Config{Registry: registry})+"/metrics")
	if status != http.StatusOK || !strings.Contains(body, "go_goroutines ") || strings.Contains(body, "onevault_notifications{") {
		t.Errorf("%d: %.300s", status, body)
	}
}

func TestPulseMetrics_SayWhenTheWatcherHeardLast(t *testing.T) {
	t.Parallel()
	pulse := api.NewPulseMetrics()
	if n := testutil.CollectAndCount(pulse, "onevault_heartbeat_last_sent_timestamp_seconds"); n != 0 {
		t.Errorf("%d times of a beat that never was", n)
	}
	pulse.Report(true, time.Unix(1777864320, 0))
	pulse.Report(false, time.Unix(1777864380, 0))
	want := `
# HELP onevault_heartbeat_last_sent_timestamp_seconds When this worker last told the outside watcher that alerting works, in Unix time.
# TYPE onevault_heartbeat_last_sent_timestamp_seconds gauge
onevault_heartbeat_last_sent_timestamp_seconds 1.77786432e+09
# HELP onevault_heartbeat_unsent_total Beats that this worker did not send: alerting did not work, or the watcher did not answer.
# TYPE onevault_heartbeat_unsent_total counter
onevault_heartbeat_unsent_total 1
`
	if err := testutil.CollectAndCompare(pulse, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
