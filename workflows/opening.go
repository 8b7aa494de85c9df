package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"onevault/alert"
)

// told is what some alerts have in common: one message may tell of all of them.
type told struct {
	event  alert.Event
	ledger string
	alerts []*alert.Tracked
}

// tellOpenings tells of alerts that opened, or opened again, those that were not answered meanwhile: one
// message for all that opened in the same way.
func (r *alertRun) tellOpenings(ctx workflow.Context, opened []*alert.Tracked) {
	var messages []told
	for i, t := range opened {
		if !t.Asks() || slices.Contains(opened[:i], t) {
			continue // answered, or told already: it opened twice in one batch
		}
		event, ledger := t.Opening()
		messages = addTo(messages, event, ledger, t)
	}
	for _, m := range messages {
		r.tell(ctx, m.event, m.ledger, m.alerts)
	}
}

// endingsOf sorts alerts that ended by the ledger's word for it. What has opened again has not ended.
func endingsOf(ended []*alert.Tracked) []told {
	var messages []told
	for _, t := range ended {
		if !t.Active() {
			messages = addTo(messages, alert.EventResolved, t.Ending(), t)
		}
	}
	return messages
}

func addTo(messages []told, event alert.Event, ledger string, t *alert.Tracked) []told {
	for i := range messages {
		if messages[i].ledger == ledger {
			messages[i].alerts = append(messages[i].alerts, t)
			return messages
		}
	}
	return append(messages, told{event: event, ledger: ledger, alerts: []*alert.Tracked{t}})
}
