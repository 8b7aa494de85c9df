package alert

import "slices"

// messageOf is the provider's id of the message that told a recipient of the alert and that later events
// edit; empty: there is none, or the channel does not tell in place.
func (t *Tracked) messageOf(r Recipient) string {
	for _, told := range t.Told {
		if told.Channel == r.Channel && told.Address == r.Address {
			return told.ExternalID
		}
	}
	return ""
}

// ByMessage parts alerts by the message that told a recipient of them, so that each message is edited for its
// own alerts alone. Those that no message can be edited for are together. The order stays.
func ByMessage(tracked []*Tracked, r Recipient) [][]*Tracked {
	var parts [][]*Tracked
	for _, t := range tracked {
		i := slices.IndexFunc(parts, func(part []*Tracked) bool { return part[0].messageOf(r) == t.messageOf(r) })
		if i < 0 {
			parts = append(parts, nil)
			i = len(parts) - 1
		}
		parts[i] = append(parts[i], t)
	}
	return parts
}

// maxBeside bounds what a message carries of alerts that its event is not about: those that are active go first,
// and a person is shown no more of them anyway.
const maxBeside = 100

// Message is the provider's id of the message that a delivery about these alerts continues, with the other
// alerts of the group that it shows, a hundred at most. Empty: the delivery begins one.
func (g *Group) Message(about []*Tracked, r Recipient) (id string, beside []Alert) {
	if len(about) == 0 {
		return "", nil
	}
	if id = about[0].messageOf(r); id == "" {
		return "", nil
	}
	told := make(map[*Tracked]bool, len(about))
	for _, t := range about {
		told[t] = true
	}
	var active, ended []*Tracked
	for _, t := range g.Alerts {
		switch {
		case told[t] || t.messageOf(r) != id:
		case t.Active():
			active = append(active, t)
		default:
			ended = append(ended, t)
		}
	}
	if len(active)+len(ended) == 0 {
		return id, nil
	}
	beside = append(WorstFirst(active), WorstFirst(ended)...)
	return id, beside[:min(len(beside), maxBeside)]
}
