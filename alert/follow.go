package alert

import (
	"slices"
	"strconv"
)

// Acknowledgement is the ledger's word for the acknowledgement of an alert that may have had one before: until it
// opened again, or until that one was taken back.
func (a Alert) Acknowledgement() string {
	word := a.numbered(string(EventAcknowledged))
	if a.TakenBack > 0 {
		word += ":AGAIN:" + strconv.Itoa(a.TakenBack)
	}
	return word
}

// Following reports whether the channel is told of an event that pages nobody.
func (c Channel) Following(event Event) bool { return slices.Contains(c.Follows, event) }

// Unfollowed returns the alerts that somebody acknowledged and of which a channel was told that follows
// that and does not know it yet. MarkFollowed takes them out.
func (g *Group) Unfollowed() []*Tracked {
	var untold []*Tracked
	for _, t := range g.Alerts {
		if t.Status == StatusAcknowledged && t.Followed != t.Acknowledgement() && g.followed(t) {
			untold = append(untold, t)
		}
	}
	return untold
}

// MarkFollowed notes that the channels that follow an alert are being told of its acknowledgement.
func (t *Tracked) MarkFollowed() { t.Followed = t.Acknowledgement() }

func (g *Group) followed(t *Tracked) bool {
	return slices.ContainsFunc(t.Told, func(r Recipient) bool { return g.Channels[r.Channel].Following(EventAcknowledged) })
}
