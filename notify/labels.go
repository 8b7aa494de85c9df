package notify

import "onevault/alert"

// maxLabels bounds what a label set may take of a line, in runes.
const maxLabels = 120

// labelSet is the label set that an alert is about; empty: it is about its target.
func labelSet(a alert.Alert) string { return oneLine(a.Labels.String(), maxLabels) }

// about names the label set of the one alert of a message, behind its title: " (slot=archive)". Of several the list
// tells which is about which.
func about(m Message) string {
	if len(m.Alerts) != 1 || len(m.Alerts[0].Labels) == 0 {
		return ""
	}
	return " (" + labelSet(m.Alerts[0]) + ")"
}
