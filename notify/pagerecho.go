package notify

import (
	"slices"
	"strings"

	"onevault/alert"
)

// PagerDutyVia is how an answer is known that somebody gave at PagerDuty, by the channel whose webhook told of it.
func PagerDutyVia(channel, user string) string { return "pagerduty:" + channel + "/" + user }

// withoutEcho leaves out the alerts whose answer came from this very channel: PagerDuty knows of it.
func withoutEcho(channel string, m Message) Message {
	if m.Event != alert.EventAcknowledged && m.Event != alert.EventResolved {
		return m
	}
	m.Alerts = slices.DeleteFunc(slices.Clone(m.Alerts), func(a alert.Alert) bool {
		return strings.HasPrefix(a.AnsweredVia, PagerDutyVia(channel, ""))
	})
	return m
}
