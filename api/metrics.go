package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// scrapeTimeout ends a scrape before the server's write timeout does, so that Prometheus gets a reason.
const scrapeTimeout = 10 * time.Second

// NewRegistry holds what every process reports: the Go runtime, the process itself, the build.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	)
	return registry
}

// metricsHandler serves the registry in Prometheus' text format. A collector that fails costs its own
// metrics only, and a line in the log.
func metricsHandler(registry *prometheus.Registry, log *slog.Logger) http.Handler {
	return promhttp.InstrumentMetricHandler(registry, promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:            scrapeLog{log},
		ErrorHandling:       promhttp.ContinueOnError,
		Registry:            registry,
		MaxRequestsInFlight: 4,
		Timeout:             scrapeTimeout,
	}))
}

// scrapeLog gives promhttp's complaints to slog.
type scrapeLog struct{ log *slog.Logger }

// Println implements promhttp.Logger.
func (l scrapeLog) Println(v ...any) { l.log.Warn("metrics incomplete", "error", fmt.Sprint(v...)) }

// PoolMetrics reports a pgx pool as onevault_pool_*, labelled with the pool's name (e.g. "vault"). The
// name is the only label: a pool's address and user stay out of the metrics.
func PoolMetrics(name string, pool *pgxpool.Pool) prometheus.Collector {
	return &poolCollector{pool: pool, series: poolSeries(name)}
}

// poolSerie is one of the pool's numbers and where it comes from.
type poolSerie struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*pgxpool.Stat) float64
}

type poolCollector struct {
	pool   *pgxpool.Pool
	series []poolSerie
}

// Describe implements prometheus.Collector.
func (c *poolCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, s := range c.series {
		descs <- s.desc
	}
}

// Collect implements prometheus.Collector. It takes one snapshot, so that the numbers fit together.
func (c *poolCollector) Collect(metrics chan<- prometheus.Metric) {
	stat := c.pool.Stat()
	for _, s := range c.series {
		metrics <- prometheus.MustNewConstMetric(s.desc, s.kind, s.value(stat))
	}
}

func poolSeries(pool string) []poolSerie {
	labels := prometheus.Labels{"pool": pool}
	gauge := func(name, help string, value func(*pgxpool.Stat) float64) poolSerie {
		return poolSerie{prometheus.NewDesc("onevault_pool_"+name, help, nil, labels), prometheus.GaugeValue, value}
	}
	counter := func(name, help string, value func(*pgxpool.Stat) float64) poolSerie {
		return poolSerie{prometheus.NewDesc("onevault_pool_"+name, help, nil, labels), prometheus.CounterValue, value}
	}
	return []poolSerie{
		gauge("connections", "Connections of the pool, idle, in use and being opened.",
			func(s *pgxpool.Stat) float64 { return float64(s.TotalConns()) }),
		gauge("connections_idle", "Connections that wait to be used.",
			func(s *pgxpool.Stat) float64 { return float64(s.IdleConns()) }),
		gauge("connections_in_use", "Connections that run something now.",
			func(s *pgxpool.Stat) float64 { return float64(s.AcquiredConns()) }),
		gauge("connections_max", "Connections that the pool may have.",
			func(s *pgxpool.Stat) float64 { return float64(s.MaxConns()) }),
		counter("acquires_total", "Connections handed out.",
			func(s *pgxpool.Stat) float64 { return float64(s.AcquireCount()) }),
		counter("acquires_waited_total", "Connections handed out after waiting, because all were in use.",
			func(s *pgxpool.Stat) float64 { return float64(s.EmptyAcquireCount()) }),
		counter("acquires_cancelled_total", "Requests for a connection that gave up before they got one.",
			func(s *pgxpool.Stat) float64 { return float64(s.CanceledAcquireCount()) }),
		counter("acquire_seconds_total", "Time spent on handing out connections.",
			func(s *pgxpool.Stat) float64 { return s.AcquireDuration().Seconds() }),
	}
}
