package notify

import "onevault/alert"

// Follower is a Channel that shows later events of an alert in the place of its first message.
type Follower interface {
	// Follows reports whether the channel wants to be told of an event that pages nobody, such as an acknowledgement.
	Follows(event alert.Event) bool
}

// Followed lists the events that page nobody and that a channel follows, in the order of an alert's life.
// A channel that updates nothing in place follows none.
func Followed(channel Channel) []alert.Event {
	follower, ok := channel.(Follower)
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
