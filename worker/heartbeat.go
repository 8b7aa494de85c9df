package worker

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/client"

	"onevault/activities"
	"onevault/notify"
	"onevault/workflows"
)

// HeartbeatSchedule is the id of the dead man's switch.
const HeartbeatSchedule = "heartbeat"

// watcher is the outside watcher; nil without an address.
func (c Config) watcher() (*notify.Heartbeat, error) {
	if c.HeartbeatURL == "" {
		return nil, nil //nolint:nilnil // no address is no watcher, and no mistake
	}
	return notify.OpenHeartbeat(c.HeartbeatURL, notify.Options{Allow: c.AllowedCIDRs})
}

func (c Config) validateHeartbeat() error {
	if c.HeartbeatEvery != 0 && c.HeartbeatEvery < time.Second {
		return fmt.Errorf("ONEVAULT_HEARTBEAT_EVERY is %s: use at least 1s, usually 1m", c.HeartbeatEvery)
	}
	_, err := c.watcher()
	return err
}

// heartbeats is the activity of the dead man's switch.
func (p *parts) heartbeats() *activities.Heartbeats {
	watcher, err := p.config.watcher()
	if err != nil { // unreachable: the address was validated
		p.log.Error("no heartbeat", "error", err)
	}
	return &activities.Heartbeats{Vault: p.store, Watcher: watcher, Every: p.config.EvaluateEvery, Report: func(out activities.BeatOutput) {
		p.pulse.Report(out.Sent, out.At)
		if !out.Sent {
			p.log.Warn("no heartbeat was sent", "withheld", out.Withheld, "problem", out.Problem)
		}
	}}
}

// heartbeatSchedule is there only where somebody listens.
func (p *parts) heartbeatSchedule() []client.ScheduleOptions {
	if p.config.HeartbeatURL == "" {
		return nil
	}
	every := p.config.HeartbeatEvery
	if every == 0 {
		every = time.Minute
	}
	options := p.every(HeartbeatSchedule, every, 0, workflows.HeartbeatWorkflowName, nil, "tell the outside watcher that alerting works")
	options.Action.(*client.ScheduleWorkflowAction).Args = nil
	return []client.ScheduleOptions{options}
}
