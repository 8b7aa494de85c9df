package worker

import (
	"context"

	"onevault/api"
)

// deliveries reads what became of each channel's notifications, for /metrics.
func (p *parts) deliveries(ctx context.Context) ([]api.ChannelDelivery, error) {
	rates, err := p.store.DeliveryRates(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]api.ChannelDelivery, len(rates))
	for i, r := range rates {
		list[i] = api.ChannelDelivery{Channel: r.Channel, Type: r.Type, Arrived: r.Arrived, Confirmed: r.Confirmed, Failed: r.Failed, Uncertain: r.Uncertain}
		if r.Percent != nil {
			list[i].Ratio = new(*r.Percent / 100)
		}
	}
	return list, nil
}
