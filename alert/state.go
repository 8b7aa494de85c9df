package alert

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Group is the state of all alerts of one definition on one target, as their workflow carries it. Its
// methods are the rules; they change nothing but the group.
type Group struct {
	Target     string             `json:"target"`
	Tenant     string             `json:"tenant,omitempty"`
	Definition Definition         `json:"definition"`      // the version that the active alerts fired under
	Hearers    []string           `json:"hearers"`         // keys of the channels that are told of the next event
	Named      []string           `json:"named,omitempty"` // keys of the channels that the definition's policy names
	Channels   map[string]Channel `json:"channels"`        // every channel that was told of anything, as last known
	Alerts     []*Tracked         `json:"alerts"`          // in the order of their firing
	Seen       []int64            `json:"seen"`            // outbox rows that came lately
	Delivered  int                `json:"delivered"`       // messages that a provider accepted
	Failed     int                `json:"failed"`          // messages that no attempt delivered
	Held       []Held             `json:"held,omitempty"`  // messages that wait for the hours in which they may be told

	index map[string]*Tracked // of Alerts by key; made when it is first needed
	seen  map[int64]bool      // Seen; likewise
}

// Tracked is an alert with what its workflow must remember about it.
type Tracked struct {
	Alert
	NextEscalation time.Time   `json:"next_escalation,omitzero"`
	NextRepeat     time.Time   `json:"next_repeat,omitzero"` // when the level is paged once more
	Repeated       int         `json:"repeated,omitempty"`   // how often it was
	Requests       int         `json:"requests,omitempty"`   // how often somebody asked to tell everybody again
	Told           []Recipient `json:"told,omitempty"`
	Owed           *Owed       `json:"owed,omitempty"` // what was held back by a mute; nil: nothing
	// Storm is the storm that tells people of the alert; nil: its group does.
	Storm *InStorm `json:"storm,omitempty"`
	// Followed is the acknowledgement that the channels which follow the alert were told of last.
	Followed string `json:"followed,omitempty"`
}

// Recipient is one destination of one channel.
type Recipient struct {
	Channel string `json:"channel"`
	Address string `json:"address"`
	// ExternalID is the provider's id of the message that later events edit; empty where none can be.
	ExternalID string `json:"external_id,omitempty"`
}

// MaxSeen bounds how many outbox rows are remembered; a relay repeats at most its last batch, which must not
// be larger.
const MaxSeen = 10_000

// keepEnded bounds how many ended alerts stay while others of the group are active.
const keepEnded = 100

// Fresh reports whether an outbox row is new to the group, and remembers it. Rows without a number
// are always new.
func (g *Group) Fresh(seq int64) bool {
	if seq == 0 {
		return true
	}
	if g.seen == nil {
		g.seen = make(map[int64]bool, len(g.Seen))
		for _, known := range g.Seen {
			g.seen[known] = true
		}
	}
	if g.seen[seq] {
		return false
	}
	g.seen[seq] = true
	g.Seen = append(g.Seen, seq)
	if over := len(g.Seen) - MaxSeen; over > 0 {
		for _, forgotten := range g.Seen[:over] {
			delete(g.seen, forgotten)
		}
		g.Seen = slices.Delete(g.Seen, 0, over)
	}
	return true
}

// Fire adds an alert; nil when the group has it already. now is the moment from which the escalation
// delay counts.
func (g *Group) Fire(t Transition, now time.Time) *Tracked {
	if g.byKey(t.Alert.Key) != nil {
		return nil
	}
	if t.Definition != nil && !g.Active() {
		g.Definition = *t.Definition
	}
	if len(t.Channels) > 0 {
		g.Hear(t.Channels)
	}
	if len(t.Named) > 0 {
		g.HearNamed(t.Named)
	}
	tracked := &Tracked{Alert: t.Alert}
	tracked.wakeBy(now)
	if tracked.Asks() {
		g.schedule(tracked, now)
	}
	g.Alerts = append(g.Alerts, tracked)
	g.index[tracked.Key] = tracked
	return tracked
}

// Hear notes who is told of the next event. Channels that no longer hear stay known: who was told of an
// alert is also told of its end.
func (g *Group) Hear(channels []Channel) {
	if g.Channels == nil {
		g.Channels = map[string]Channel{}
	}
	g.Hearers = g.Hearers[:0]
	for _, c := range channels {
		g.Channels[c.Key] = c
		g.Hearers = append(g.Hearers, c.Key)
	}
}

// schedule sets what comes next by itself for an alert that pages from a moment. Of one that is muted nothing
// does: Unmute schedules it.
func (g *Group) schedule(t *Tracked, from time.Time) {
	if t.Mute != nil {
		return
	}
	if g.Definition.Policy != nil {
		g.follow(t, from)
		return
	}
	t.NextEscalation = time.Time{}
	if g.Definition.EscalationEnabled && g.Definition.EscalationDelay > 0 {
		t.NextEscalation = from.Add(g.Definition.EscalationDelay)
	}
}

// byKey returns the alert with a business key; nil when there is none.
func (g *Group) byKey(key string) *Tracked {
	if g.index == nil {
		g.index = make(map[string]*Tracked, len(g.Alerts))
		for _, t := range g.Alerts {
			g.index[t.Key] = t
		}
	}
	return g.index[key]
}

// Find returns the alert with a business key or a short id, an active one first; nil when there is none.
func (g *Group) Find(id string) *Tracked {
	found := g.byKey(id)
	if found != nil {
		return found
	}
	for _, t := range g.Alerts {
		if t.ShortID == id {
			if t.Active() {
				return t
			}
			found = t
		}
	}
	return found
}

// Errors by which a caller tells why a command was refused.
var (
	ErrUnknownAlert = errors.New("unknown alert")
	ErrOver         = errors.New("the alert is over")
	ErrNoActor      = errors.New("no actor")
)

// Select returns the alerts that a command means: those it names, or all active ones. It refuses a
// command that names an unknown alert, that comes too late for all of them, or that nobody signs.
func (g *Group) Select(c Command) ([]*Tracked, error) {
	if c.Actor == "" {
		return nil, fmt.Errorf("%w: say who acts", ErrNoActor)
	}
	if len(c.Alerts) == 0 {
		active := slices.DeleteFunc(slices.Clone(g.Alerts), func(t *Tracked) bool { return !t.Active() })
		if len(active) == 0 {
			return nil, fmt.Errorf("%w: no alert of this group is active", ErrOver)
		}
		return active, nil
	}
	var selected []*Tracked
	over := true
	for _, id := range c.Alerts {
		t := g.Find(id)
		if t == nil {
			return nil, fmt.Errorf("%w %q: this workflow does not carry it; see `onevault alert list`", ErrUnknownAlert, id)
		}
		over = over && !t.Active()
		selected = append(selected, t)
	}
	if over {
		last := selected[len(selected)-1]
		return nil, fmt.Errorf("%w: %s was resolved by %s at %s", ErrOver, last.ShortID, last.ResolvedBy, last.ResolvedAt.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	return selected, nil
}

// Acknowledge stops the paging of an alert until its end. False: it was acknowledged or resolved before.
func (g *Group) Acknowledge(t *Tracked, actor, notes string, at time.Time) bool {
	return g.AcknowledgeUntil(t, actor, notes, at, time.Time{})
}

// Resolve ends an alert. False: it had ended before.
func (g *Group) Resolve(t *Tracked, actor, notes string, at time.Time) bool {
	if t.Status == StatusResolved {
		return false
	}
	t.Status, t.ResolvedBy, t.ResolvedAt, t.Notes = StatusResolved, actor, at, notes
	t.rest()
	return true
}

// Escalate raises every alert whose delay has passed without an answer, and returns them.
func (g *Group) Escalate(now time.Time) []*Tracked {
	var raised []*Tracked
	for _, t := range g.Alerts {
		if t.Asks() && !t.NextEscalation.IsZero() && !t.NextEscalation.After(now) {
			t.Status = StatusEscalated
			t.Level++
			g.schedule(t, now)
			raised = append(raised, t)
		}
	}
	return raised
}

// NextEscalation is the earliest moment at which an unanswered alert is raised; zero: none will be.
func (g *Group) NextEscalation() time.Time {
	var next time.Time
	for _, t := range g.Alerts {
		if !t.NextEscalation.IsZero() && (next.IsZero() || t.NextEscalation.Before(next)) {
			next = t.NextEscalation
		}
	}
	return next
}

// Asks reports whether the alert pages: nobody has answered it, and nobody asked for quiet.
func (t *Tracked) Asks() bool { return t.unanswered() && t.SnoozedUntil.IsZero() }

func (t *Tracked) unanswered() bool { return t.Status == StatusOpen || t.Status == StatusEscalated }

// Pages reports whether people are told of the alert now: it asks, and nothing mutes it.
func (t *Tracked) Pages() bool { return t.Asks() && t.Mute == nil }

// Tell notes that a recipient was told, or may have been, and by which message if that is known.
func (t *Tracked) Tell(r Recipient) {
	i := slices.IndexFunc(t.Told, func(told Recipient) bool { return told.Channel == r.Channel && told.Address == r.Address })
	switch {
	case i < 0:
		t.Told = append(t.Told, r)
	case r.ExternalID != "":
		t.Told[i].ExternalID = r.ExternalID
	}
}

// Active reports whether any alert of the group still needs somebody.
func (g *Group) Active() bool {
	return slices.ContainsFunc(g.Alerts, func(t *Tracked) bool { return t.Active() })
}

// Status is the state of the group as a whole: the most urgent state among its alerts.
func (g *Group) Status() Status {
	for _, s := range []Status{StatusEscalated, StatusOpen, StatusAcknowledged} {
		if slices.ContainsFunc(g.Alerts, func(t *Tracked) bool { return t.Status == s }) {
			return s
		}
	}
	return StatusResolved
}

// Trim forgets the oldest ended alerts, so that a group that never rests does not grow for ever.
func (g *Group) Trim() {
	ended := 0
	for _, t := range g.Alerts {
		if !t.Active() {
			ended++
		}
	}
	g.Alerts = slices.DeleteFunc(g.Alerts, func(t *Tracked) bool {
		if t.Active() || ended <= keepEnded {
			return false
		}
		ended--
		return true
	})
	g.index = nil
}

// WorstFirst copies alerts for a message: highest level first, then the oldest.
func WorstFirst(tracked []*Tracked) []Alert {
	list := make([]Alert, 0, len(tracked))
	for _, t := range tracked {
		list = append(list, t.Alert)
	}
	slices.SortStableFunc(list, func(a, b Alert) int {
		return cmp.Or(cmp.Compare(b.Level, a.Level), a.TriggeredAt.Compare(b.TriggeredAt))
	})
	return list
}
