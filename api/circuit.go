package api

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// CircuitState is how a destination of messages stands in this worker.
type CircuitState struct {
	Destination       string
	Open              bool
	Since             time.Time // when it opened
	UnderWay, Waiting int
	Opened, Refused   int64
}

// CircuitMetrics reports the destinations that this worker has sent to: each worker knows its own.
func CircuitMetrics(read func() []CircuitState) prometheus.Collector {
	label := []string{"destination"}
	return &circuitCollector{
		read:     read,
		open:     prometheus.NewDesc("onevault_circuit_open", "1 while messages to a destination are refused because it failed several times in a row.", label, nil),
		seconds:  prometheus.NewDesc("onevault_circuit_open_seconds", "For how long it has been so; 0 while it is not.", label, nil),
		opened:   prometheus.NewDesc("onevault_circuit_opened_total", "How often that began.", label, nil),
		refused:  prometheus.NewDesc("onevault_circuit_refused_total", "Attempts that were not made: the circuit was open, or too many were under way.", label, nil),
		underWay: prometheus.NewDesc("onevault_destination_messages", "Messages to a destination that are under way or wait for a place.", []string{"destination", "state"}, nil),
	}
}

type circuitCollector struct {
	read                                     func() []CircuitState
	open, seconds, opened, refused, underWay *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *circuitCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.open, c.seconds, c.opened, c.refused, c.underWay} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *circuitCollector) Collect(metrics chan<- prometheus.Metric) {
	for _, s := range c.read() {
		open, seconds := 0.0, 0.0
		if s.Open {
			open, seconds = 1, time.Since(s.Since).Seconds()
		}
		metrics <- prometheus.MustNewConstMetric(c.open, prometheus.GaugeValue, open, s.Destination)
		metrics <- prometheus.MustNewConstMetric(c.seconds, prometheus.GaugeValue, seconds, s.Destination)
		metrics <- prometheus.MustNewConstMetric(c.opened, prometheus.CounterValue, float64(s.Opened), s.Destination)
		metrics <- prometheus.MustNewConstMetric(c.refused, prometheus.CounterValue, float64(s.Refused), s.Destination)
		metrics <- prometheus.MustNewConstMetric(c.underWay, prometheus.GaugeValue, float64(s.UnderWay), s.Destination, "under_way")
		metrics <- prometheus.MustNewConstMetric(c.underWay, prometheus.GaugeValue, float64(s.Waiting), s.Destination, "waiting")
	}
}
