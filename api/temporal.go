package api

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
)

// latencyBuckets are in seconds: local activities end within milliseconds, long polls take a minute.
var latencyBuckets = []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10, 30, 60}

// TemporalMetrics gives the metrics of Temporal's SDK to Prometheus, with the names that Temporal's
// dashboards use: counters end in _total, latencies are histograms in _seconds. It is safe for
// concurrent use; register it once and give Handler to the client's options.
//
// The SDK reports one name with different sets of tags (temporal_request with and without a workflow
// type), which Prometheus' own vectors refuse: each series is therefore a metric of its own with
// constant labels, and the collector is "unchecked" (it describes nothing in advance).
type TemporalMetrics struct {
	mu     sync.RWMutex
	series map[seriesKey]prometheus.Metric
}

type seriesKey struct{ kind, name, tags string }

// NewTemporalMetrics holds no series until the SDK reports some.
func NewTemporalMetrics() *TemporalMetrics {
	return &TemporalMetrics{series: map[seriesKey]prometheus.Metric{}}
}

// Handler is for client.Options.MetricsHandler.
func (m *TemporalMetrics) Handler() client.MetricsHandler {
	return &temporalHandler{metrics: m}
}

// Describe implements prometheus.Collector; see the type for why it says nothing.
func (m *TemporalMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *TemporalMetrics) Collect(out chan<- prometheus.Metric) {
	m.mu.RLock()
	all := slices.Collect(maps.Values(m.series))
	m.mu.RUnlock()
	for _, metric := range all {
		out <- metric
	}
}

// obtain returns the series of the key and makes it at its first use. The kind is part of the key, so
// the type always fits.
func obtain[M prometheus.Metric](m *TemporalMetrics, key seriesKey, create func() M) M {
	m.mu.RLock()
	metric, known := m.series[key]
	m.mu.RUnlock()
	if known {
		return metric.(M)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if metric, known := m.series[key]; known {
		return metric.(M)
	}
	created := create()
	m.series[key] = created
	return created
}

// temporalHandler is TemporalMetrics under one set of tags.
type temporalHandler struct {
	metrics *TemporalMetrics
	labels  prometheus.Labels
	tags    string // the labels as one string, the same for the same labels
}

// WithTags implements client.MetricsHandler; a new value replaces the old one of the same tag.
func (h *temporalHandler) WithTags(tags map[string]string) client.MetricsHandler {
	labels := prometheus.Labels{}
	maps.Copy(labels, h.labels)
	for name, value := range tags {
		labels[legalName(name)] = value
	}
	return &temporalHandler{metrics: h.metrics, labels: labels, tags: joinLabels(labels)}
}

// Counter implements client.MetricsHandler.
func (h *temporalHandler) Counter(name string) client.MetricsCounter {
	name = suffixed(name, "_total")
	return counter{obtain(h.metrics, seriesKey{"counter", name, h.tags}, func() prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help(name), ConstLabels: h.labels})
	})}
}

// Gauge implements client.MetricsHandler.
func (h *temporalHandler) Gauge(name string) client.MetricsGauge {
	name = legalName(name)
	return gauge{obtain(h.metrics, seriesKey{"gauge", name, h.tags}, func() prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help(name), ConstLabels: h.labels})
	})}
}

// Timer implements client.MetricsHandler.
func (h *temporalHandler) Timer(name string) client.MetricsTimer {
	name = suffixed(name, "_seconds")
	return timer{obtain(h.metrics, seriesKey{"timer", name, h.tags}, func() prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: name, Help: help(name), ConstLabels: h.labels, Buckets: latencyBuckets,
		})
	})}
}

type counter struct{ prometheus.Counter }

// Inc implements client.MetricsCounter. A counter never falls: Prometheus would panic, in the midst of
// an activity that only wanted to count.
func (c counter) Inc(by int64) { c.Add(float64(max(by, 0))) }

type gauge struct{ prometheus.Gauge }

// Update implements client.MetricsGauge.
func (g gauge) Update(value float64) { g.Set(value) }

type timer struct{ prometheus.Histogram }

// Record implements client.MetricsTimer.
func (t timer) Record(d time.Duration) { t.Observe(d.Seconds()) }

// help is the same for every series of a name: Prometheus refuses the scrape otherwise.
func help(name string) string { return "Reported by Temporal's SDK as " + name + "." }

func suffixed(name, suffix string) string {
	return strings.TrimSuffix(legalName(name), suffix) + suffix
}

// legalName replaces what older Prometheus servers do not take in a name. The SDK's own names pass
// unchanged; those that activities invent may not.
func legalName(name string) string {
	legal := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '_'
	}, cmp.Or(name, "_"))
	if legal[0] >= '0' && legal[0] <= '9' {
		return "_" + legal
	}
	return legal
}

func joinLabels(labels prometheus.Labels) string {
	var joined strings.Builder
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		joined.WriteString(name + "\x00" + labels[name] + "\x00")
	}
	return joined.String()
}
