package alert

import (
	"fmt"
	"slices"
	"time"
)

// Policy is one version of an escalation policy: who is paged when, as long as nobody answers. The vault
// refuses one whose times contradict each other.
type Policy struct {
	Key     string    `json:"key"`
	Version time.Time `json:"version"` // load_date of the version
	Levels  []Level   `json:"levels"`  // level 0 is paged when an alert fires
	// RepeatTimes is how often the whole begins anew after its last level, RepeatEveryMinutes how long after it.
	RepeatTimes        int `json:"repeat_times,omitempty"`
	RepeatEveryMinutes int `json:"repeat_every_minutes,omitempty"`
}

// Level is one step of a Policy.
type Level struct {
	AfterMinutes int      `json:"after_minutes"`      // since the alert fired
	Channels     []string `json:"channels,omitempty"` // keys or types; none: every channel that hears the definition
	// Repeat is how often the level is paged once more, every EveryMinutes, before the next one.
	Repeat       int `json:"repeat,omitempty"`
	EveryMinutes int `json:"every_minutes,omitempty"`
}

// at returns what a level of an alert is in the policy; false: the policy ends before it. Levels are counted
// on: with two of them, level 2 is the first of the second round.
func (p *Policy) at(level int) (Level, bool) {
	if level < 0 || len(p.Levels) == 0 || level/len(p.Levels) > p.RepeatTimes {
		return Level{}, false
	}
	return p.Levels[level%len(p.Levels)], true
}

// Gap is how long a level lasts; false: no other follows.
func (p *Policy) Gap(level int) (time.Duration, bool) {
	next, more := p.at(level + 1)
	if !more {
		return 0, false
	}
	if (level+1)%len(p.Levels) == 0 {
		return time.Duration(p.RepeatEveryMinutes) * time.Minute, true
	}
	return time.Duration(next.AfterMinutes-p.Levels[level%len(p.Levels)].AfterMinutes) * time.Minute, true
}

// Named lists the channels and types that any level names.
func (p *Policy) Named() []string {
	if p == nil {
		return nil
	}
	var names []string
	for _, level := range p.Levels {
		names = append(names, level.Channels...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Place says in words where a level is: "level 1 of ONCALL", in a later round with its number.
func (p *Policy) Place(level int) string {
	if p == nil || len(p.Levels) == 0 {
		return fmt.Sprintf("level %d", level)
	}
	if round := level / len(p.Levels); round > 0 {
		return fmt.Sprintf("level %d: level %d of %s, round %d", level, level%len(p.Levels), p.Key, round+1)
	}
	return fmt.Sprintf("level %d of %s", level, p.Key)
}

// follow sets what comes next by itself for an alert that entered its level at a moment.
func (g *Group) follow(t *Tracked, from time.Time) {
	p := g.Definition.Policy
	t.NextEscalation, t.NextRepeat, t.Repeated = time.Time{}, time.Time{}, 0
	if gap, more := p.Gap(t.Level); more {
		t.NextEscalation = from.Add(gap)
	}
	if level, known := p.at(t.Level); known && level.Repeat > 0 {
		t.NextRepeat = from.Add(time.Duration(level.EveryMinutes) * time.Minute)
	}
}

// Repeat returns the alerts whose level is to be paged once more now.
func (g *Group) Repeat(now time.Time) []*Tracked {
	var due []*Tracked
	for _, t := range g.Alerts {
		if !t.Asks() || t.NextRepeat.IsZero() || t.NextRepeat.After(now) {
			continue
		}
		due = append(due, t)
		t.Repeated++
		level, known := g.Definition.Policy.at(t.Level)
		if known && t.Repeated < level.Repeat {
			t.NextRepeat = now.Add(time.Duration(level.EveryMinutes) * time.Minute)
		} else {
			t.NextRepeat = time.Time{}
		}
	}
	return due
}

// HearNamed notes the channels that the policy names, as they are now.
func (g *Group) HearNamed(channels []Channel) {
	if g.Channels == nil {
		g.Channels = map[string]Channel{}
	}
	g.Named = g.Named[:0]
	for _, c := range channels {
		g.Channels[c.Key] = c
		g.Named = append(g.Named, c.Key)
	}
}

// HearersAt lists the keys of the channels that a level pages. Where none of those that the policy names is
// there, everybody who hears the definition is paged: better too many than nobody.
func (g *Group) HearersAt(level int) []string {
	p := g.Definition.Policy
	if p == nil {
		return g.Hearers
	}
	step, known := p.at(level)
	if !known || len(step.Channels) == 0 {
		return g.Hearers
	}
	var keys []string
	for _, key := range g.Named {
		if slices.Contains(step.Channels, key) || slices.Contains(step.Channels, g.Channels[key].Type) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return g.Hearers
	}
	return keys
}

// Page is one paging of an alert that nobody answers.
type Page struct {
	At       time.Time `json:"at"`
	Level    int       `json:"level"`
	Repeat   int       `json:"repeat,omitempty"` // the how-manieth time more of its level
	Channels []string  `json:"channels"`         // keys
}

// Route says who is paged when for an alert that fires at a moment and is never answered, by the rules that
// its workflow follows: at most limit pages.
func Route(d Definition, hearers, named []Channel, at time.Time, limit int) []Page {
	g := &Group{}
	g.HearNamed(named)
	t := g.Fire(Transition{Definition: &d, Channels: hearers, Alert: Alert{Key: "route", Status: StatusOpen, TriggeredAt: at}}, at)
	if len(hearers) == 0 {
		g.Hear(nil)
	}
	pages := []Page{{At: at, Channels: g.HearersAt(0)}}
	for len(pages) < limit {
		next := g.Next()
		if next.IsZero() {
			break
		}
		for range g.Escalate(next) {
			pages = append(pages, Page{At: next, Level: t.Level, Channels: g.HearersAt(t.Level)})
		}
		for range g.Repeat(next) {
			pages = append(pages, Page{At: next, Level: t.Level, Repeat: t.Repeated, Channels: g.HearersAt(t.Level)})
		}
	}
	return pages[:min(len(pages), limit)]
}
