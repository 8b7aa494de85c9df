package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"

	"onevault/alert"
	"onevault/notify"
	"onevault/vault"
)

// ledgerBudget is how long a message waits for its intent to reach the vault. A vault that is slower or
// down does not hold up a page: the entries then follow through the workflow.
const ledgerBudget = time.Second

// heartbeatEvery is well below the heartbeat timeout that workflows set for SendNotification, so that a
// killed worker is noticed in seconds.
const heartbeatEvery = time.Second

// deliveredBefore is the proof of what is not sent because the ledger holds it as delivered.
const deliveredBefore = "delivered by an earlier attempt"

// maxContents is how many entries of one message keep its text: those of the alerts that a person is shown by
// name. The others have the same delivery key.
const maxContents = 20

// Notifications are the activities that reach people.
type Notifications struct {
	Vault    *vault.Store
	Channels *Directory
	Log      *slog.Logger
	// UIURL is the base of the Temporal UI for links in messages; empty leaves them out.
	UIURL     string
	Namespace string
	// Links answer a mail by a press; nil: mails have none.
	Links *Links
	// Circuits stand between the messages and their destinations; nil: nothing does.
	Circuits *Circuits
	// Temporal, the queue and the type of the workflow are for what is over the limit of a channel and waits in a
	// digest, DigestWithin at most; 0 is DigestWithin.
	Temporal       client.Client
	TaskQueue      string
	DigestWorkflow string
	DigestWithin   time.Duration
}

// SendNotificationInput is one attempt at one delivery: a message to one recipient of one channel.
type SendNotificationInput struct {
	Channel   alert.Channel  `json:"channel"`
	Recipient string         `json:"recipient"`
	Message   notify.Message `json:"message"`
	Event     string         `json:"event"` // the ledger's word: FIRED, ESCALATED:1, RESOLVED, ...
	// Events are the ledger's words by the keys of alerts, where a message tells different things of them.
	Events  map[string]string `json:"events,omitempty"`
	Attempt int               `json:"attempt"` // how often it was tried before
	// RefusedSince is when a circuit first refused the message; zero: none did.
	RefusedSince time.Time `json:"refused_since,omitzero"`
	// NextInLine says that somebody else is to hear of it when this fails, so that it fails soon rather than late.
	NextInLine bool `json:"next_in_line,omitempty"`
	// Uncertain says that an earlier attempt ended without an answer, for instance with its worker.
	Uncertain bool `json:"uncertain,omitempty"`
	// PossibleDuplicate says that an earlier attempt may have arrived although the provider said it failed.
	PossibleDuplicate bool `json:"possible_duplicate,omitempty"`
	// LedgerLater says that earlier entries still wait for the vault: these are to follow them, and not to
	// overtake them in the moment in which it is back.
	LedgerLater bool `json:"ledger_later,omitempty"`
}

// SendNotificationOutput says what the attempt proved. Entries are those that the vault could not take
// in time; the workflow has them written later.
type SendNotificationOutput struct {
	Receipt           notify.Receipt `json:"receipt"`
	PossibleDuplicate bool           `json:"possible_duplicate,omitempty"`
	// MayHaveArrived: this attempt failed by the provider's word, and yet it may have done its work.
	MayHaveArrived bool                `json:"may_have_arrived,omitempty"`
	Entries        []vault.LedgerEntry `json:"entries,omitempty"`
	Final          bool                `json:"final"`
	// Refused: a circuit did not let it be tried, so that it was no attempt.
	Refused bool `json:"refused,omitempty"`
	// Digested: nothing was sent, because the channel's limit was reached; a digest will tell of it.
	Digested bool `json:"digested,omitempty"`
}

// SendNotification writes the intent, sends, and writes the outcome. A delivery that the ledger already
// holds as DELIVERED is not sent again; one whose earlier attempt has no outcome is sent, flagged as a
// possible duplicate. Every failure of the channel is a receipt, never an error of the activity.
func (n *Notifications) SendNotification(ctx context.Context, in SendNotificationInput) (SendNotificationOutput, error) {
	// A cancelled alert stops the next attempt, not one that is on the wire: its outcome must be known.
	ctx = context.WithoutCancel(ctx)
	stop := heartbeat(ctx)
	defer stop()

	out := SendNotificationOutput{PossibleDuplicate: in.Uncertain || in.PossibleDuplicate}
	at := time.Now().UTC().Truncate(time.Microsecond)
	intents := entriesOf(in, "PENDING", at)
	finding, said, err := n.begin(ctx, in, intents)
	switch {
	case err != nil:
		n.Log.WarnContext(ctx, "intent not recorded yet", "channel", in.Channel.Key, "error", err)
		out.Entries = append(out.Entries, intents...)
		said = unasked(in)
	case finding == vault.FindingDigested:
		out.Final, out.Digested, out.Receipt = true, true, notify.Receipt{Class: notify.NotSent, Reason: said}
		return out, n.gather(ctx, in)
	case finding == vault.FindingDelivered:
		out.Final = true
		out.Receipt = notify.Receipt{Class: notify.Accepted, Proof: deliveredBefore, ExternalID: n.deliveredAs(ctx, in, intents)}
		return out, nil
	case finding == vault.FindingUnknownOutcome:
		out.PossibleDuplicate = true
	}

	message := in.Message
	message.PossibleDuplicate = out.PossibleDuplicate
	message.UIURL = n.uiLink(message.WorkflowID)
	if message.Answers, err = n.Links.answers(in); err != nil { // a mail without links is better than none
		n.Log.WarnContext(ctx, "links left out of a message", "channel", in.Channel.Key, "error", err)
	}
	refused := false
	if receipt, found := n.reconcile(ctx, in, message, finding); found {
		out.Receipt, out.PossibleDuplicate = receipt, in.PossibleDuplicate
	} else {
		out.Receipt, refused = n.send(ctx, in, message)
		out.Receipt = withoutAnswers(out.Receipt, message)
	}
	n.conclude(in, &out, refused)

	outcomes := outcomesOf(in, out, at)
	noteLimit(outcomes, said)
	if err := n.finish(ctx, in, outcomes); err != nil {
		n.Log.WarnContext(ctx, "outcome not recorded yet", "channel", in.Channel.Key, "error", err)
		out.Entries = append(out.Entries, outcomes...)
	}
	return out, nil
}

func (n *Notifications) send(ctx context.Context, in SendNotificationInput, message notify.Message) (receipt notify.Receipt, refused bool) {
	in.Message = message
	channel, err := n.Channels.Open(ctx, in.Channel)
	return n.sendOpened(ctx, channel, err, in)
}

// sendOpened makes the request, on a channel that could be opened. refused: its circuit did not let it.
func (n *Notifications) sendOpened(ctx context.Context, channel notify.Channel, misconfigured error, in SendNotificationInput) (receipt notify.Receipt, refused bool) {
	if misconfigured != nil {
		return notify.Receipt{Class: notify.Misconfigured, Reason: misconfigured.Error()}, false
	}
	if !slices.Contains(channel.Recipients(), in.Recipient) {
		return notify.Receipt{Class: notify.Misconfigured, Reason: fmt.Sprintf("channel %s no longer sends to %s", in.Channel.Key, in.Recipient)}, false
	}
	return n.Circuits.send(ctx, notify.Destination(notify.Type(in.Channel.Type), channel), in, func(ctx context.Context) notify.Receipt {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		return channel.Send(ctx, in.Recipient, in.Message)
	})
}

// mayHaveArrived: an HTTP provider that answers 5xx may have taken the message; a mail server that
// answers 4xx has not.
func mayHaveArrived(channel alert.Channel, class notify.Class) bool {
	return class == notify.Uncertain || class == notify.Transient && notify.Type(channel.Type) != notify.TypeEmail
}

// isFinal: accepted, hopeless, or out of attempts. An uncertain delivery is resent once at most.
func isFinal(in SendNotificationInput, class notify.Class) bool {
	switch {
	case !class.Retryable():
		return true
	case class == notify.Uncertain && in.Uncertain:
		return true
	}
	return in.Attempt >= in.Channel.RetryAttempts
}

// errLedgerLater is why entries are left to the workflow although nobody asked the vault.
var errLedgerLater = errors.New("earlier entries wait for the vault")

func (n *Notifications) begin(ctx context.Context, in SendNotificationInput, intents []vault.LedgerEntry) (finding vault.Finding, said string, err error) {
	if in.LedgerLater {
		return "", "", errLedgerLater
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerBudget)
	defer cancel()
	parts := slices.Collect(slices.Chunk(intents, perWrite))
	if isLimited(in) && len(parts) > 0 {
		return n.beginLimited(ctx, in, parts)
	}
	findings := make([]vault.Finding, len(parts))
	err = inParallel(len(parts), func(i int) (err error) {
		findings[i], err = n.Vault.BeginNotifications(ctx, parts[i])
		return err
	})
	return joined(findings), "", err
}

// joined is what the ledger knows of a message by what it knows of its parts: delivered only when all are, since to
// hear twice of one alert is better than never of another.
func joined(findings []vault.Finding) vault.Finding {
	findings = slices.Compact(findings)
	switch len(findings) {
	case 0:
		return vault.FindingNew
	case 1:
		return findings[0]
	}
	return vault.FindingUnknownOutcome
}

const (
	// perWrite is how many entries of the ledger go into one transaction, and writers how many are under way at a
	// time: a message about thousands is not to wait for one processor of the vault's.
	perWrite = 500
	writers  = 4
)

// inParallel does so many writes, and returns the first error in their order.
func inParallel(n int, write func(i int) error) error {
	errs := make([]error, n)
	spread(n, writers, func(i int) { errs[i] = write(i) })
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (n *Notifications) finish(ctx context.Context, in SendNotificationInput, outcomes []vault.LedgerEntry) error {
	if in.LedgerLater {
		return errLedgerLater
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerBudget)
	defer cancel()
	parts := slices.Collect(slices.Chunk(outcomes, perWrite))
	return inParallel(len(parts), func(i int) error {
		_, err := n.Vault.RecordHistory(ctx, nil, parts[i])
		return err
	})
}

// entriesOf makes one entry per alert that the message tells of; at is when the attempt began.
func entriesOf(in SendNotificationInput, status string, at time.Time) []vault.LedgerEntry {
	entries := make([]vault.LedgerEntry, 0, len(in.Message.Alerts))
	for _, a := range in.Message.Alerts {
		entries = append(entries, vault.LedgerEntry{
			AlertKey: a.Key, ChannelKey: in.Channel.Key, ChannelType: in.Channel.Type, Recipient: in.Recipient,
			Event: in.eventOf(a.Key), DeliveryKey: in.Message.Key, Status: status, Attempt: in.Attempt, At: at,
			PossibleDuplicate: in.Uncertain || in.PossibleDuplicate,
		})
	}
	return entries
}

func outcomesOf(in SendNotificationInput, out SendNotificationOutput, at time.Time) []vault.LedgerEntry {
	status := "PENDING" // another attempt follows
	switch {
	case out.Receipt.Class == notify.Accepted:
		status = acceptedStatus(in.Channel)
	case out.Final:
		status = "FAILED"
	}
	entries := entriesOf(in, status, at)
	for i := range entries {
		e := &entries[i]
		e.Class, e.Reason, e.Proof = string(out.Receipt.Class), out.Receipt.Reason, out.Receipt.Proof
		e.ExternalID = out.Receipt.ExternalID
		if i < maxContents {
			e.Content = out.Receipt.Content
		}
		e.DurationMS = out.Receipt.Duration.Milliseconds()
		e.PossibleDuplicate = out.PossibleDuplicate
	}
	return entries
}

// uiLink is the address of a workflow in the Temporal UI.
func (n *Notifications) uiLink(workflowID string) string {
	if n.UIURL == "" {
		return ""
	}
	return WorkflowURL(n.UIURL, n.Namespace, workflowID)
}

func heartbeat(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		ticker := time.NewTicker(heartbeatEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				activity.RecordHeartbeat(ctx)
			}
		}
	}()
	return cancel
}
