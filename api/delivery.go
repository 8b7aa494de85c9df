package api

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// readTimeoutOfScrape bounds what a scrape asks the vault: one that is down costs these metrics and no others.
const readTimeoutOfScrape = 3 * time.Second

// ChannelDelivery is what became of the notifications of a channel within 24 hours.
type ChannelDelivery struct {
	Channel, Type                         string
	Arrived, Confirmed, Failed, Uncertain int
	Ratio                                 *float64 // of 1; nil: too few to make a rate
}

// DeliveryMetrics reports how much of each channel's notifications arrives, as the vault knows it: every worker
// reports the same.
func DeliveryMetrics(read func(context.Context) ([]ChannelDelivery, error)) prometheus.Collector {
	return &deliveryCollector{
		read: read,
		count: prometheus.NewDesc("onevault_notifications", "Notifications of the last 24 hours by channel and by how certain it is that they arrived.",
			[]string{"channel", "type", "certainty"}, nil),
		ratio: prometheus.NewDesc("onevault_delivery_ratio", "Share of a channel's notifications of the last 24 hours that arrived, of 1; absent below 20.",
			[]string{"channel", "type"}, nil),
	}
}

type deliveryCollector struct {
	read         func(context.Context) ([]ChannelDelivery, error)
	count, ratio *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *deliveryCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- c.count
	descs <- c.ratio
}

// Collect implements prometheus.Collector.
func (c *deliveryCollector) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeoutOfScrape)
	defer cancel()
	channels, err := c.read(ctx)
	if err != nil {
		metrics <- prometheus.NewInvalidMetric(c.count, err) // said in the log, and no reason to withhold the rest
		return
	}
	for _, d := range channels {
		for certainty, n := range map[string]int{
			"confirmed": d.Confirmed, "accepted": d.Arrived - d.Confirmed, "failed": d.Failed, "uncertain": d.Uncertain,
		} {
			metrics <- prometheus.MustNewConstMetric(c.count, prometheus.GaugeValue, float64(n), d.Channel, d.Type, certainty)
		}
		if d.Ratio != nil {
			metrics <- prometheus.MustNewConstMetric(c.ratio, prometheus.GaugeValue, *d.Ratio, d.Channel, d.Type)
		}
	}
}
