package alert

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Contact is a person as an alert's workflow carries one: where each type of channel reaches them, and when.
type Contact struct {
	Key        string            `json:"key"`
	Name       string            `json:"name"`
	Zone       string            `json:"zone"`                  // whose clock quiet hours go by
	QuietFrom  string            `json:"quiet_from,omitempty"`  // 22:00; empty: none
	QuietUntil string            `json:"quiet_until,omitempty"` // 07:00, at or before QuietFrom on the next day
	Order      []string          `json:"order,omitempty"`       // types of channels in which they are tried; none: usualOrder
	Addresses  map[string]string `json:"addresses"`             // by type of channel
}

// usualOrder is in which types of channels are tried for a contact that prefers none: what rings first.
var usualOrder = []string{"SMS", "VOICE", "SLACK", "EMAIL"}

// SameAddress reports whether two addresses of one channel are the same. Those of mail do not regard case.
func SameAddress(a, b string) bool { return strings.EqualFold(a, b) }

// ContactAt is whose address of the channel it is.
func (c Channel) ContactAt(address string) (Contact, bool) {
	at := slices.IndexFunc(c.Contacts, func(p Contact) bool {
		own, has := p.Addresses[c.Type]
		return has && SameAddress(own, address)
	})
	if at < 0 {
		return Contact{}, false
	}
	return c.Contacts[at], true
}

// Join adds the addresses of the channel's contacts to its recipients, nobody twice.
func (c *Channel) Join() {
	for _, p := range c.Contacts {
		address, has := p.Addresses[c.Type]
		if has && !slices.ContainsFunc(c.Recipients, func(r string) bool { return SameAddress(r, address) }) {
			c.Recipients = append(c.Recipients, address)
		}
	}
}

// Places is where a contact is reached, in the order in which it is tried: by this channel, and by those that stand by.
func (c Channel) Places(p Contact) []Recipient {
	order := p.Order
	if len(order) == 0 {
		order = usualOrder
	}
	var places []Recipient
	for _, kind := range order {
		address, has := p.Addresses[kind]
		if !has {
			continue
		}
		if c.Type == kind {
			places = append(places, Recipient{Channel: c.Key, Address: address})
		}
		for _, other := range c.StandBy {
			if other.Type == kind && other.Key != c.Key {
				places = append(places, Recipient{Channel: other.Key, Address: address})
			}
		}
	}
	return places
}

// Attempt is what became of one message at one place.
type Attempt string

const (
	AttemptNone     Attempt = ""          // not tried
	AttemptUnderWay Attempt = "UNDER_WAY" // it will say itself what became of it
	AttemptTold     Attempt = "TOLD"
	AttemptFailed   Attempt = "FAILED"
)

// Onward says where a message goes that could not be brought to a recipient of the channel: to the next place of the
// same contact, and then to those of the next contact, in the order of the group. found: there is a next one. settled:
// none is needed, because somebody was told elsewhere or an attempt is under way. Neither: everything failed.
func (c Channel) Onward(failed string, attempt func(Recipient) Attempt) (next Recipient, to Contact, found, settled bool) {
	people := c.Contacts
	if own, known := c.ContactAt(failed); known {
		people = append([]Contact{own}, slices.DeleteFunc(slices.Clone(c.Contacts), func(p Contact) bool { return p.Key == own.Key })...)
	}
	for _, p := range people {
		found = false
		for _, place := range c.Places(p) {
			switch attempt(place) {
			case AttemptTold, AttemptUnderWay:
				return Recipient{}, Contact{}, false, true
			case AttemptNone:
				if !found {
					next, to, found = place, p, true
				}
			case AttemptFailed:
			}
		}
		if found {
			return next, to, true, false
		}
	}
	return Recipient{}, Contact{}, false, false
}

// Lost says in a message why it comes this way. unconfirmed: it was sent, and no receipt came.
func (c Channel) Lost(failed string, to Contact, unconfirmed bool) string {
	how := map[string]string{"EMAIL": "e-mail", "SLACK": "Slack", "VOICE": "telephone"}[c.Type]
	if how == "" {
		how = c.Type
	}
	whom := ""
	if who, known := c.ContactAt(failed); known && who.Key != to.Key {
		whom = " to " + who.Name
	}
	if unconfirmed {
		return fmt.Sprintf("This was sent by %s (%s)%s, and no receipt came.", how, c.Key, whom)
	}
	return fmt.Sprintf("This could not be delivered by %s (%s)%s.", how, c.Key, whom)
}

// NobodyTold is what those who look after OneVault are told when nobody of a channel's groups could be.
func (c Channel) NobodyTold(failed, why string) string {
	who := c.Key
	if p, known := c.ContactAt(failed); known {
		who = fmt.Sprintf("%s (%s)", p.Name, c.Key)
	}
	return fmt.Sprintf("Nobody else was told: %s could not be reached, and no other place is left. The last reason: %s", who, why)
}

// For is the channel as one attempt at one recipient needs it: without the people and channels that it is not about.
func (c Channel) For(address string) Channel {
	c.StandBy, c.Owners = nil, nil
	if p, known := c.ContactAt(address); known {
		c.Contacts = []Contact{{Key: p.Key, Name: p.Name, Zone: p.Zone, Addresses: map[string]string{c.Type: p.Addresses[c.Type]}}}
	} else {
		c.Contacts = nil
	}
	return c
}

// ChannelTo is the channel by which a recipient was told, or is to be: one that the group's hear it by, or one that
// stands by for these and reaches the recipient as a contact of theirs.
func (g *Group) ChannelTo(r Recipient) Channel {
	channel, known := g.Channels[r.Channel]
	if known && slices.ContainsFunc(channel.Recipients, func(own string) bool { return SameAddress(own, r.Address) }) {
		return channel
	}
	for _, key := range g.channelKeys() {
		hearing := g.Channels[key]
		for _, behind := range slices.Concat(hearing.StandBy, hearing.Owners) {
			if behind.Key == r.Channel && !known {
				channel, known = behind, true
			}
		}
		for _, p := range hearing.Contacts {
			if known && SameAddress(p.Addresses[channel.Type], r.Address) {
				return channel.With(p)
			}
		}
	}
	return channel
}

// channelKeys lists the keys of all known channels in order.
//
//workflowcheck:ignore they are sorted
func (g *Group) channelKeys() []string { return slices.Sorted(maps.Keys(g.Channels)) }

// With is the channel as one that reaches a contact.
func (c Channel) With(p Contact) Channel {
	if _, there := c.ContactAt(p.Addresses[c.Type]); !there {
		c.Contacts = append(slices.Clone(c.Contacts), p)
	}
	return c
}
