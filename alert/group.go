package alert

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"time"
)

// Channel is a notification channel as an alert's workflow carries it: enough to page while the vault
// is down. Configuration holds no secret; a secret that stands in the row is left out of it.
type Channel struct {
	Key           string          `json:"key"`
	Name          string          `json:"name"`
	Type          string          `json:"type"`
	Configuration json.RawMessage `json:"configuration,omitempty"`
	Recipients    []string        `json:"recipients"`
	RetryAttempts int             `json:"retry_attempts"` // retries after the first attempt
	RetryDelay    time.Duration   `json:"retry_delay"`
	// PerAlert: each alert is a message of its own, also where many fire together.
	PerAlert bool `json:"per_alert,omitempty"`
	// Follows are the events that page nobody and that the channel is told of all the same, because it
	// shows the life of an alert in one place.
	Follows []Event `json:"follows,omitempty"`
	// InPlace: what its provider gives as the id of a message is what a later event continues.
	InPlace bool `json:"in_place,omitempty"`
	// Contacts are the people of the channel's groups in their order; their addresses are among Recipients.
	Contacts []Contact `json:"contacts,omitempty"`
	// StandBy are the channels that may bring to contacts what this one could not, and Owners those that look after
	// OneVault itself and hear of it when nobody is left. Neither names any of its own.
	StandBy []Channel `json:"stand_by,omitempty"`
	Owners  []Channel `json:"owners,omitempty"`
	// Restrictions say when it is told; nil: at any hour.
	Restrictions *Restrictions `json:"restrictions,omitempty"`
	// ConfirmWithin is how long a receipt may take before the message goes onward; zero: none is waited for.
	ConfirmWithin time.Duration `json:"confirm_within,omitempty"`
}

// TransitionKind is what happened to an alert outside its workflow.
type TransitionKind string

const (
	TransitionFired          TransitionKind = "FIRED"
	TransitionAcknowledged   TransitionKind = "ACKNOWLEDGED"
	TransitionResolved       TransitionKind = "RESOLVED"
	TransitionUnacknowledged TransitionKind = "UNACKNOWLEDGED" // an acknowledgement was taken back
	TransitionSnoozed        TransitionKind = "SNOOZED"        // nobody is to be paged for a time
	TransitionEscalated      TransitionKind = "ESCALATED"      // somebody raised it
	TransitionNotify         TransitionKind = "NOTIFY"         // somebody asked that everybody be told again
	TransitionMutes          TransitionKind = "MUTES"          // what mutes the group may have changed: the vault says what does
)

// Transition is one fact that is brought to an alert's workflow.
type Transition struct {
	// Seq is the outbox row it came by, by which a repeated delivery is recognised; 0: from the worker.
	Seq           int64          `json:"seq,omitempty"`
	Kind          TransitionKind `json:"kind"`
	Alert         Alert          `json:"alert"` // whole for FIRED, otherwise at least its Key
	At            time.Time      `json:"at"`
	Actor         string         `json:"actor,omitempty"`
	Via           string         `json:"via,omitempty"`
	Notes         string         `json:"notes,omitempty"`
	Until         time.Time      `json:"until,omitzero"`           // ACKNOWLEDGED: zero until the end; SNOOZED
	Level         int            `json:"level,omitempty"`          // ESCALATED
	FalsePositive bool           `json:"false_positive,omitempty"` // RESOLVED
	// Definition and Channels come with FIRED: the version it fired under, and who hears it as last known. Of
	// many that come together one may bring them for those that follow: see SayOnce.
	Definition *Definition `json:"definition,omitempty"`
	Channels   []Channel   `json:"channels,omitempty"`
	Named      []Channel   `json:"named,omitempty"` // the channels that the definition's policy names
	// Recorded says that the vault holds the fact already.
	Recorded bool `json:"recorded,omitempty"`
}

// Transitions is the payload of the transitions signal: what one cycle brought to one group, in order.
type Transitions struct {
	Items []Transition `json:"items"`
}

// Key is the business key of the alert that a definition opens on a target at a moment (microseconds,
// UTC), for the whole system. The vault's function util.bk builds the same.
func Key(target, definition string, at time.Time) string {
	stamp := strings.ReplaceAll(at.UTC().Format("20060102T150405.000000"), ".", "")
	return strings.Join([]string{"ALERT", strings.ToUpper(target), strings.ToUpper(definition), "SYSTEM", stamp}, "||")
}

// crockford is base 32 without I, L, O and U, so that an id can be read out on a telephone.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// ShortID is what people type for the alert with this business key: A-7F3K, the first 20 bits of its
// hash key. The vault's function monitoring.alert_short_id gives the same.
func ShortID(key string) string {
	return ShortIDOf(sha256.Sum256([]byte(key)))
}

// ShortIDOf is ShortID of an alert that is known by its hash key.
func ShortIDOf(hashKey [sha256.Size]byte) string {
	bits := uint32(hashKey[0])<<16 | uint32(hashKey[1])<<8 | uint32(hashKey[2])
	var code [4]byte
	for i := range code {
		code[i] = crockford[bits>>(19-5*i)&31]
	}
	return "A-" + string(code[:])
}
