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

// circuitStates reads how the destinations of this worker stand, for /metrics.
func (p *parts) circuitStates() []api.CircuitState {
	states := p.circuits.States()
	list := make([]api.CircuitState, len(states))
	for i, s := range states {
		list[i] = api.CircuitState{
			Destination: s.Destination, Open: !s.Since.IsZero(), Since: s.Since, UnderWay: s.UnderWay, Waiting: s.Waiting,
			Opened: s.Opened, Refused: s.Refused,
		}
	}
	return list
}
