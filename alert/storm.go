package alert

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The names by which groups and storms address each other.
const (
	SignalHandover = "handover" // to a storm: tell people of these alerts
	SignalMembers  = "members"  // to a storm: this is how alerts of a group stand now
	SignalStorm    = "storm"    // to a group: whom the storm told
)

// StormKind is what the groups of a storm have in common; the vault's words.
type StormKind string

const (
	StormTarget     StormKind = "TARGET"     // many definitions on one target
	StormDefinition StormKind = "DEFINITION" // one definition on many targets
)

// Storm is so many groups that fired together that people are told of them in one message.
type Storm struct {
	Key     string    `json:"key"` // business key
	Kind    StormKind `json:"kind"`
	Name    string    `json:"name"` // the target, or the key of the definition
	Tenant  string    `json:"tenant,omitempty"`
	BeganAt time.Time `json:"began_at"`
	Limit   int       `json:"limit"`             // so many groups are no storm yet
	AtOnce  int       `json:"at_once,omitempty"` // so many fired at the same time; 0: that is not known
}

// InStorm is what a group remembers of an alert that it left to a storm.
type InStorm struct {
	Workflow string `json:"workflow"` // the storm's
	Said     string `json:"said"`     // how the alert stood when the storm heard of it last
}

// Standing is what a storm must know of an alert, in a word that changes with it.
func (t *Tracked) Standing() string {
	return fmt.Sprintf("%s %d %d %t %t", t.Status, t.Level, t.Reopened, t.SnoozedUntil.IsZero(), t.Mute == nil)
}

// Member is an alert of a storm, as its group told of it last.
type Member struct {
	Alert
	Ending string      `json:"ending"`         // the ledger's word for its end
	Told   []Recipient `json:"told,omitempty"` // who is to be told of its end, in the storm's message
}

// pages reports whether people are told of the alert now, as its group sees it.
func (m *Member) pages() bool {
	return (m.Status == StatusOpen || m.Status == StatusEscalated) && m.SnoozedUntil.IsZero() && m.Mute == nil
}

func (m *Member) tell(to Recipient) {
	if !slices.Contains(m.Told, to) {
		m.Told = append(m.Told, to)
	}
}

// Members is how alerts of one group stand now. Channels are those of the recipients that were told.
type Members struct {
	Group      string     `json:"group"` // its workflow
	Definition Definition `json:"definition"`
	Alerts     []Member   `json:"alerts"`
	Channels   []Channel  `json:"channels,omitempty"`
}

// Handover is a message that a group leaves to a storm.
type Handover struct {
	ID          string    `json:"id"`
	Members     Members   `json:"members"`
	Event       Event     `json:"event"`
	LedgerEvent string    `json:"ledger_event"`
	Hearers     []Channel `json:"hearers"` // who is to be told
	At          time.Time `json:"at"`      // when the storm heard of it
}

// StormReport says what became of a handover, or that the storm is over.
type StormReport struct {
	Storm    string      `json:"storm"` // the storm's workflow
	Handover string      `json:"handover,omitempty"`
	Told     []StormTold `json:"told,omitempty"`
	Over     bool        `json:"over,omitempty"` // the group tells of its alerts itself again
}

// StormTold is one recipient who was told, or may have been, with the alerts by their keys.
type StormTold struct {
	Recipient Recipient `json:"recipient"`
	Alerts    []string  `json:"alerts"`
	Accepted  bool      `json:"accepted"`
}

const (
	// StormGather is how long a storm waits for what fires with it.
	StormGather = 2 * time.Second
	// StormGatherMost is how long its first message waits for the groups that fired at the same time.
	StormGatherMost = 10 * time.Second
	// StormQuiet is how long after a message of a storm the next one comes that only says that it grew.
	StormQuiet = 10 * time.Minute
)

// StormState is what a storm's workflow carries. Its methods are the rules.
type StormState struct {
	Storm     Storm              `json:"storm"`
	Groups    map[string]Members `json:"groups"`   // by their workflow
	Channels  map[string]Channel `json:"channels"` // that were told, or are to be
	Pending   []Handover         `json:"pending,omitempty"`
	Seen      map[string]bool    `json:"seen"` // handovers that came
	Messages  int                `json:"messages"`
	LastTold  time.Time          `json:"last_told,omitzero"`
	FirstTold time.Time          `json:"first_told,omitzero"`
	Peak      int                `json:"peak"`  // the most groups that were open at a time
	Ever      int                `json:"ever"`  // alerts that were ever among them
	Ended     int                `json:"ended"` // those of them of whose end people were told
}

// NewStormState is a storm of which nothing is known yet.
func NewStormState(s Storm) *StormState {
	return &StormState{Storm: s, Groups: map[string]Members{}, Channels: map[string]Channel{}, Seen: map[string]bool{}}
}

// Take accepts a message that is to be told. False: it was taken before.
func (s *StormState) Take(h Handover, now time.Time) bool {
	if s.Seen[h.ID] {
		return false
	}
	s.Seen[h.ID] = true
	h.At = now
	s.note(h.Members, true)
	for _, c := range h.Hearers {
		s.Channels[c.Key] = c
	}
	s.Pending = append(s.Pending, h)
	return true
}

// Hear notes how alerts stand. One that the storm does not carry, and that is over, was left to an earlier run of it
// and ends with it; one that is open comes with its next message.
func (s *StormState) Hear(news Members) { s.note(news, false) }

// note takes how alerts stand. Whom the storm told meanwhile it knows better than their group.
func (s *StormState) note(news Members, handedOver bool) {
	for _, c := range news.Channels {
		if _, known := s.Channels[c.Key]; !known {
			s.Channels[c.Key] = c
		}
	}
	group := s.Groups[news.Group]
	group.Group, group.Definition = news.Group, news.Definition
	at := make(map[string]int, len(group.Alerts))
	for i := range group.Alerts {
		at[group.Alerts[i].Key] = i
	}
	for _, m := range news.Alerts {
		i, known := at[m.Key]
		if !known && !handedOver && m.Active() {
			continue
		}
		if !known {
			s.Ever++
			at[m.Key] = len(group.Alerts)
			group.Alerts = append(group.Alerts, m)
			continue
		}
		for _, told := range group.Alerts[i].Told {
			m.tell(told)
		}
		group.Alerts[i] = m
	}
	if len(group.Alerts) > 0 {
		s.Groups[news.Group] = group
	}
	s.Peak = max(s.Peak, s.openGroups())
}

// names are the groups, sorted, so that a replay meets them in the same order.
//
//workflowcheck:ignore they are sorted
func (s *StormState) names() []string { return slices.Sorted(maps.Keys(s.Groups)) }

func (s *StormState) openGroups() int {
	open := 0
	for _, name := range s.names() {
		if slices.ContainsFunc(s.Groups[name].Alerts, func(m Member) bool { return m.Active() }) {
			open++
		}
	}
	return open
}

// Due is when people are to be told next; zero: nothing waits.
func (s *StormState) Due() time.Time {
	var due time.Time
	for _, h := range s.Pending {
		at := h.At.Add(StormGather)
		switch growth := s.LastTold.Add(StormQuiet); {
		case s.LastTold.IsZero() && len(s.Groups) < s.Storm.AtOnce:
			at = h.At.Add(StormGatherMost)
		case !s.LastTold.IsZero() && s.late(h):
			at = h.At.Add(StormGatherMost) // there may be more of them
		case !s.LastTold.IsZero() && !h.urgent() && growth.After(at):
			at = growth
		}
		if due.IsZero() || at.Before(due) {
			due = at
		}
	}
	return due
}

// late: it fired before people were told of the storm, and was not in that message, for instance because a worker
// died. They believe to know all, so it does not wait as what fired since then.
func (s *StormState) late(h Handover) bool {
	return slices.ContainsFunc(h.Members.Alerts, func(m Member) bool {
		return !latest(m.TriggeredAt, m.ReopenedAt).After(s.FirstTold)
	}) && !h.urgent()
}

// urgent: it does not wait because others were told of the storm lately.
func (h Handover) urgent() bool {
	switch h.Event {
	case EventFired, EventReopened, EventFlapping:
		return h.Members.Definition.Severity == SeverityCritical
	case EventEscalated, EventUnanswered, EventResolved, EventTest, EventSilenceEnding, EventAcknowledged, EventDigest:
	}
	return true
}

// Over reports whether the storm has ended: nothing of it is open, or it fell under half of its limit.
func (s *StormState) Over() bool {
	open := s.openGroups()
	return s.Ever > 0 && len(s.Pending) == 0 && (open == 0 || 2*s.Peak >= s.Storm.Limit && 2*open < s.Storm.Limit)
}

// StormMessage is what one recipient is told at one time.
type StormMessage struct {
	Key       string            `json:"key"`
	To        Recipient         `json:"to"`
	Channel   Channel           `json:"channel"`
	Event     Event             `json:"event"`
	Alerts    []Alert           `json:"alerts"` // the worst first
	Events    map[string]string `json:"events"` // the ledger's word for each of them, by key
	Summary   StormSummary      `json:"summary"`
	Workflows map[string]string `json:"workflows"` // of each alert, by key
}

// StormSummary is how a storm stands when people are told, and what the alerts of a message are.
type StormSummary struct {
	Key         string       `json:"key"`
	Kind        StormKind    `json:"kind"`
	Name        string       `json:"name"`
	BeganAt     time.Time    `json:"began_at"`
	Alerts      int          `json:"alerts"`     // that belong to it, those that ended among them
	Open        int          `json:"open"`       // of them
	Unanswered  int          `json:"unanswered"` // of those
	Targets     int          `json:"targets"`    // of those that are open
	Over        bool         `json:"over,omitempty"`
	Definitions []Definition `json:"definitions"` // of the alerts of this message
	Of          []int        `json:"of"`          // for each alert of this message its place among Definitions
}

// Next takes what waits and returns the messages that tell it, one for each recipient, and what was taken. Of what
// was answered meanwhile nobody is told.
func (s *StormState) Next(now time.Time) ([]StormMessage, []Handover) {
	taken := s.Pending
	s.Pending = nil
	c, member := s.collect(), s.members()
	for _, h := range taken {
		for _, m := range h.Members.Alerts {
			current := member(h.Members.Group, m.Key)
			if current == nil || !current.pages() {
				continue
			}
			for _, channel := range h.Hearers {
				for _, address := range channel.Recipients {
					c.add(Recipient{Channel: channel.Key, Address: address}, h.Members.Group, current, h.Event, h.LedgerEvent)
				}
			}
		}
	}
	messages := c.messages(fmt.Sprintf("%s/%d", s.Storm.Key, s.Messages+1), false)
	if len(messages) > 0 {
		s.Messages++
		s.LastTold = now
		if s.FirstTold.IsZero() {
			s.FirstTold = now
		}
	}
	return messages, taken
}

// End returns the messages that tell of what is over, one for each recipient who was told of its beginning, and
// forgets those alerts.
func (s *StormState) End() []StormMessage {
	c := s.collect()
	for _, name := range s.names() {
		g := s.Groups[name]
		for i := range g.Alerts {
			m := &g.Alerts[i]
			if m.Active() {
				continue
			}
			s.Ended++
			for _, to := range m.Told {
				c.add(to, name, m, EventResolved, m.Ending)
			}
		}
	}
	messages := c.messages(fmt.Sprintf("%s/%d", s.Storm.Key, s.Messages+1), true)
	if len(messages) > 0 {
		s.Messages++
	}
	for _, name := range s.names() {
		g := s.Groups[name]
		g.Alerts = slices.DeleteFunc(slices.Clone(g.Alerts), func(m Member) bool { return !m.Active() })
		if len(g.Alerts) == 0 {
			delete(s.Groups, name)
			continue
		}
		s.Groups[name] = g
	}
	return messages
}

// Release forgets the groups that still have open alerts, and returns their workflows: they tell of them themselves.
func (s *StormState) Release() []string {
	groups := s.names()
	s.Groups, s.Peak, s.LastTold, s.FirstTold = map[string]Members{}, 0, time.Time{}, time.Time{}
	return groups
}

// IsDue reports whether a message still asks for somebody whom any of its alerts needs.
func (s *StormState) IsDue(m StormMessage) bool {
	if m.Event == EventResolved {
		return true // what opened again meanwhile is told of by another message
	}
	member := s.members()
	return slices.ContainsFunc(m.Alerts, func(a Alert) bool {
		current := member(m.Workflows[a.Key], a.Key)
		return current != nil && current.pages()
	})
}

// Told notes that a recipient was told of alerts, or may have been.
func (s *StormState) Told(m StormMessage) {
	if m.Event == EventResolved {
		return
	}
	member := s.members()
	for _, a := range m.Alerts {
		if current := member(m.Workflows[a.Key], a.Key); current != nil {
			current.tell(m.To)
		}
	}
}

// members makes the way from a group's workflow and an alert's key to the alert; nil: the storm has no such one.
func (s *StormState) members() func(group, key string) *Member {
	index := map[string]map[string]*Member{}
	return func(group, key string) *Member {
		if index[group] == nil {
			alerts := s.Groups[group].Alerts
			index[group] = make(map[string]*Member, len(alerts))
			for i := range alerts {
				index[group][alerts[i].Key] = &alerts[i]
			}
		}
		return index[group][key]
	}
}

// Summary counts how the storm stands.
func (s *StormState) Summary() StormSummary {
	sum := StormSummary{Key: s.Storm.Key, Kind: s.Storm.Kind, Name: s.Storm.Name, BeganAt: s.Storm.BeganAt, Alerts: s.Ever}
	targets := map[string]bool{}
	for _, name := range s.names() {
		alerts := s.Groups[name].Alerts
		for i := range alerts {
			m := &alerts[i]
			if !m.Active() {
				continue
			}
			sum.Open++
			targets[m.Target] = true
			if m.Status != StatusAcknowledged {
				sum.Unanswered++
			}
		}
	}
	sum.Targets = len(targets)
	return sum
}

// collection sorts alerts by who is to be told of them.
type collection struct {
	state *StormState
	order []Recipient
	of    map[Recipient][]toldMember
}

type toldMember struct {
	group string
	*Member
	event  Event
	ledger string
}

func (s *StormState) collect() *collection {
	return &collection{state: s, of: map[Recipient][]toldMember{}}
}

// add has a recipient told of an alert; of several events of one alert the last one is told.
func (c *collection) add(to Recipient, group string, m *Member, event Event, ledger string) {
	to.ExternalID = ""
	list, known := c.of[to]
	if !known {
		c.order = append(c.order, to)
	}
	list = slices.DeleteFunc(list, func(other toldMember) bool { return other.Member == m })
	c.of[to] = append(list, toldMember{group, m, event, ledger})
}

func (c *collection) messages(key string, over bool) []StormMessage {
	slices.SortFunc(c.order, func(a, b Recipient) int {
		return cmp.Or(strings.Compare(a.Channel, b.Channel), strings.Compare(a.Address, b.Address))
	})
	var messages []StormMessage
	for _, to := range c.order {
		channel, known := c.state.Channels[to.Channel]
		if !known {
			continue
		}
		messages = append(messages, c.message(key, to, channel, over))
	}
	return messages
}

func (c *collection) message(key string, to Recipient, channel Channel, over bool) StormMessage {
	list := c.of[to]
	definition := func(t toldMember) Definition { return c.state.Groups[t.group].Definition }
	slices.SortStableFunc(list, func(a, b toldMember) int {
		return cmp.Or(cmp.Compare(definition(b).Severity.Rank(), definition(a).Severity.Rank()), cmp.Compare(b.Level, a.Level),
			a.TriggeredAt.Compare(b.TriggeredAt), strings.Compare(a.Key, b.Key))
	})
	m := StormMessage{
		Key: key, To: to, Channel: channel, Event: list[0].event,
		Events: map[string]string{}, Workflows: map[string]string{}, Summary: c.state.Summary(),
	}
	m.Summary.Over = over
	place := map[string]int{}
	for _, t := range list {
		d := definition(t)
		i, known := place[d.Key]
		if !known {
			i = len(m.Summary.Definitions)
			place[d.Key] = i
			m.Summary.Definitions = append(m.Summary.Definitions, d)
		}
		m.Alerts = append(m.Alerts, t.Alert)
		m.Summary.Of = append(m.Summary.Of, i)
		m.Events[t.Key] = t.ledger
		m.Workflows[t.Key] = t.group
		if t.event == EventEscalated {
			m.Event = EventEscalated // somebody should have answered: that is what the message is about
		}
	}
	return m
}
