package api

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// PulseMetrics reports the dead man's switch as this process saw it. Of several workers each beats now and then, so
// ask for the max() over all of them.
type PulseMetrics struct {
	sent, withheld *prometheus.Desc

	mu       sync.Mutex
	lastSent time.Time
	silent   float64
}

// NewPulseMetrics has nothing to report before the first beat.
func NewPulseMetrics() *PulseMetrics {
	return &PulseMetrics{
		sent: prometheus.NewDesc("onevault_heartbeat_last_sent_timestamp_seconds",
			"When this worker last told the outside watcher that alerting works, in Unix time.", nil, nil),
		withheld: prometheus.NewDesc("onevault_heartbeat_unsent_total",
			"Beats that this worker did not send: alerting did not work, or the watcher did not answer.", nil, nil),
	}
}

// Report takes in how a beat went.
func (m *PulseMetrics) Report(sent bool, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !sent {
		m.silent++
		return
	}
	m.lastSent = at
}

// Describe implements prometheus.Collector.
func (m *PulseMetrics) Describe(descs chan<- *prometheus.Desc) {
	descs <- m.sent
	descs <- m.withheld
}

// Collect implements prometheus.Collector.
func (m *PulseMetrics) Collect(metrics chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.lastSent.IsZero() {
		metrics <- prometheus.MustNewConstMetric(m.sent, prometheus.GaugeValue, float64(m.lastSent.UnixMilli())/1000)
	}
	metrics <- prometheus.MustNewConstMetric(m.withheld, prometheus.CounterValue, m.silent)
}
