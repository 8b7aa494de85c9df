package notify

import "onevault/alert"

// As finds what else a channel can do, such as a Follower or an Editor, also where the row brings words of its own.
func As[T any](channel Channel) (able T, ok bool) {
	for {
		if able, ok = channel.(T); ok {
			return able, true
		}
		wrapped, is := channel.(interface{ Unwrap() Channel })
		if !is {
			return able, false
		}
		channel = wrapped.Unwrap()
	}
}

// Follower is a Channel that shows later events of an alert in the place of its first message.
type Follower interface {
	// Follows reports whether the channel wants to be told of an event that pages nobody, such as an acknowledgement.
	Follows(event alert.Event) bool
}

// Followed lists the events that page nobody and that a channel follows, in the order of an alert's life.
// A channel that updates nothing in place follows none.
func Followed(channel Channel) []alert.Event {
	follower, ok := As[Follower](channel)
	if !ok {
		return nil
	}
	var events []alert.Event
	for _, event := range []alert.Event{alert.EventAcknowledged} {
		if follower.Follows(event) {
			events = append(events, event)
		}
	}
	return events
}

// Editor is a Channel that tells later events by editing its first message, which it finds by the provider's id
// of it: its receipts have one, and messages bring it back as Prior.
type Editor interface {
	EditsInPlace()
}
