package notify

import "onevault/alert"

// Follower is a Channel that shows later events of an alert in the place of its first message.
type Follower interface {
	// Follows reports whether the channel wants to be told of an event that pages nobody, such as an acknowledgement.
	Follows(event alert.Event) bool
}
