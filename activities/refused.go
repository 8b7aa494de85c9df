package activities

import (
	"fmt"
	"time"

	"onevault/notify"
)

// conclude notes what an attempt means for the next: whether there is one, and whether this one counts. What a circuit
// refused was not tried. It uses up none of the channel's attempts, and is given up only after so much time.
func (n *Notifications) conclude(in SendNotificationInput, out *SendNotificationOutput, refused bool) {
	out.Final, out.Refused = isFinal(in, out.Receipt.Class), refused
	if refused {
		out.Receipt.Reason, out.Final = n.Circuits.giveUp(out.Receipt, in, time.Now())
	}
	out.MayHaveArrived = mayHaveArrived(in.Channel, out.Receipt.Class)
}

// nextInLineAfter is how long a message is refused whose alert goes to the next in line when it fails: as long as a
// person on call would let the telephone ring before calling another.
const nextInLineAfter = 2 * time.Minute

// giveUp says whether a message that was refused once more has waited long enough since its first refusal, and what
// its ledger says.
func (c *Circuits) giveUp(receipt notify.Receipt, in SendNotificationInput, now time.Time) (reason string, final bool) {
	waits, then := c.limits.GiveUpAfter, "as long as one waits"
	if in.NextInLine && waits > nextInLineAfter {
		waits, then = nextInLineAfter, "as long as one waits where another can be told"
	}
	since := in.RefusedSince
	if since.IsZero() || now.Sub(since) < waits {
		return receipt.Reason, false
	}
	return fmt.Sprintf("%s; given up: this message was first refused at %s, and %s is %s", receipt.Reason, stamp(since), waits, then), true
}

// The longest pauses between two refusals of one message. They grow with the time for which the circuit is open, so
// that an hour of refusals is some twenty entries and not a hundred.
const (
	longestPause  = 5 * time.Minute
	criticalPause = time.Minute
)

// growing is the least pause before a message comes to a circuit again that is open for so long.
func growing(open time.Duration, critical bool) time.Duration {
	if critical {
		return min(open/4, criticalPause)
	}
	return min(open/4, longestPause)
}
