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

// Message is the provider's id of the message that a delivery about these alerts continues, with the other
// alerts of the group that it shows. Empty: the delivery begins one.
func (g *Group) Message(about []*Tracked, r Recipient) (id string, beside []Alert) {
	if len(about) == 0 {
		return "", nil
	}
	if id = about[0].messageOf(r); id == "" {
		return "", nil
	}
	var others []*Tracked
	for _, t := range g.Alerts {
		if t.messageOf(r) == id && !slices.Contains(about, t) {
			others = append(others, t)
		}
	}
	if len(others) == 0 {
		return id, nil
	}
	return id, WorstFirst(others)
}
