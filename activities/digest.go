package activities

import (
	"context"
	"slices"
	"time"

	"onevault/alert"
	"onevault/notify"
	"onevault/vault"
)

// FindRoomInput names a recipient of a channel.
type FindRoomInput struct {
	Channel   string `json:"channel"`
	Recipient string `json:"recipient"`
}

// FindRoomOutput is when the limit lets the next message through; zero: now.
type FindRoomOutput struct {
	At time.Time `json:"at,omitzero"`
}

// FindRoom asks when a recipient may hear of something again.
func (n *Notifications) FindRoom(ctx context.Context, in FindRoomInput) (FindRoomOutput, error) {
	at, err := n.Vault.DigestRoom(ctx, in.Channel, in.Recipient)
	return FindRoomOutput{At: at}, classify(err)
}

// SendDigestInput is one attempt at one digest.
type SendDigestInput struct {
	Channel    alert.Channel `json:"channel"`
	Recipient  string        `json:"recipient"`
	Key        string        `json:"key"` // of the digest, the same for all attempts
	WorkflowID string        `json:"workflow_id"`
	Parts      []DigestPart  `json:"parts"`
	Attempt    int           `json:"attempt"` // how often it was tried before
	// RefusedSince is as in SendNotificationInput.
	RefusedSince time.Time `json:"refused_since,omitzero"`
	// Uncertain and PossibleDuplicate are as in SendNotificationInput.
	Uncertain         bool `json:"uncertain,omitempty"`
	PossibleDuplicate bool `json:"possible_duplicate,omitempty"`
}

// SendDigest tells of all that was gathered in one message, as it stands now. Each event of each alert has its own
// entry in the ledger, with the digest's key; what the ledger holds as delivered is left out. As SendNotification it
// says every failure in the receipt, and a vault that is down holds up nothing.
func (n *Notifications) SendDigest(ctx context.Context, in SendDigestInput) (SendNotificationOutput, error) {
	ctx = context.WithoutCancel(ctx)
	stop := heartbeat(ctx)
	defer stop()

	var (
		out     = SendNotificationOutput{PossibleDuplicate: in.Uncertain || in.PossibleDuplicate}
		at      = time.Now().UTC().Truncate(time.Microsecond)
		intents = in.entries(at)
		asked   = true
	)
	begun, err := n.beginDigest(ctx, intents)
	if err != nil {
		n.Log.WarnContext(ctx, "intents of a digest not recorded yet", "channel", in.Channel.Key, "error", err)
		out.Entries, asked = append(out.Entries, intents...), false
	}
	left := intents[:0:0]
	for i, entry := range intents {
		if asked && begun[i].Finding == vault.FindingDelivered {
			continue
		}
		if asked {
			out.PossibleDuplicate = out.PossibleDuplicate || begun[i].Finding == vault.FindingUnknownOutcome || begun[i].PossibleDuplicate
		}
		left = append(left, entry)
	}
	if len(left) == 0 {
		out.Final, out.Receipt = true, notify.Receipt{Class: notify.Accepted, Proof: deliveredBefore}
		return out, nil
	}

	message := n.digestOf(ctx, in, left)
	message.At, message.PossibleDuplicate, message.UIURL = at, out.PossibleDuplicate, n.uiLink(in.WorkflowID)
	attempt := SendNotificationInput{
		Channel: in.Channel, Recipient: in.Recipient, Message: message, Attempt: in.Attempt, RefusedSince: in.RefusedSince,
		Uncertain: in.Uncertain, PossibleDuplicate: in.PossibleDuplicate,
	}
	var refused bool
	out.Receipt, refused = n.send(ctx, attempt, message)
	n.conclude(attempt, &out, refused)

	outcomes := concluded(left, attempt, out)
	if err := n.finishDigest(ctx, outcomes, counted(left, attempt, out)); err != nil {
		n.Log.WarnContext(ctx, "outcome of a digest not recorded yet", "channel", in.Channel.Key, "error", err)
		out.Entries = append(out.Entries, outcomes...)
	}
	return out, nil
}

// entries are the intents: one for each event of each alert.
func (in SendDigestInput) entries(at time.Time) []vault.LedgerEntry {
	var entries []vault.LedgerEntry
	for _, part := range in.Parts {
		entries = append(entries, entriesOf(SendNotificationInput{
			Channel: in.Channel, Recipient: in.Recipient, Event: part.Event, Attempt: in.Attempt,
			Message:   notify.Message{Key: in.Key, Alerts: part.Alerts},
			Uncertain: in.Uncertain, PossibleDuplicate: in.PossibleDuplicate,
		}, "PENDING", at)...)
	}
	return entries
}

func (n *Notifications) beginDigest(ctx context.Context, intents []vault.LedgerEntry) ([]vault.Begun, error) {
	ctx, cancel := context.WithTimeout(ctx, digestBudget)
	defer cancel()
	return n.Vault.BeginDigest(ctx, intents)
}

// digestBudget is how long a digest waits for the vault: it is in no hurry, and may be about thousands.
const digestBudget = 5 * time.Second

// digestOf is the message about what is left to tell, each alert as it stands now.
func (n *Notifications) digestOf(ctx context.Context, in SendDigestInput, left []vault.LedgerEntry) notify.Message {
	wanted := make(map[string]bool, len(left))
	for _, entry := range left {
		wanted[entry.AlertKey] = true
	}
	var (
		alerts   []alert.Alert
		gathered = map[string]notify.Gathered{}
		index    = map[string]int{}
		keys     []string
	)
	for _, part := range in.Parts {
		for _, a := range part.Alerts {
			if !wanted[a.Key] {
				continue
			}
			gathered[a.Key] = notify.Gathered{Definition: part.Definition, Target: part.Target}
			if i, known := index[a.Key]; known {
				alerts[i] = a // a later event knows more
				continue
			}
			index[a.Key] = len(alerts)
			alerts, keys = append(alerts, a), append(keys, a.Key)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerBudget)
	defer cancel()
	stand, err := n.Vault.AlertsNow(ctx, keys)
	if err != nil {
		n.Log.WarnContext(ctx, "a digest tells of alerts as they were", "channel", in.Channel.Key, "error", err)
	}
	for i := range alerts {
		a := &alerts[i]
		s, known := stand[a.Key]
		if !known || a.Status == alert.StatusResolved && s.Status != alert.StatusResolved {
			continue // the vault learns of an end after the workflow
		}
		a.Status, a.AcknowledgedBy, a.ResolvedBy, a.FalsePositive = s.Status, s.AcknowledgedBy, s.ResolvedBy, s.FalsePositive
		if s.ResolvedAt != nil {
			a.ResolvedAt = s.ResolvedAt.UTC()
		}
	}
	return notify.NewDigest(in.Key, in.WorkflowID, alerts, gathered)
}

// concluded are the outcomes of entries, as of one message.
func concluded(entries []vault.LedgerEntry, in SendNotificationInput, out SendNotificationOutput) []vault.LedgerEntry {
	said := outcomesOf(SendNotificationInput{
		Channel: in.Channel, Message: notify.Message{Alerts: []alert.Alert{{}}}, Attempt: in.Attempt,
	}, out, time.Time{})[0]
	outcomes := slices.Clone(entries)
	for i := range outcomes {
		e := &outcomes[i]
		e.Status, e.Class, e.Reason, e.Proof = said.Status, said.Class, said.Reason, said.Proof
		e.ExternalID, e.DurationMS, e.PossibleDuplicate = said.ExternalID, said.DurationMS, said.PossibleDuplicate
		if i < maxContents {
			e.Content = said.Content
		}
	}
	return outcomes
}

// counted are the changes by which alerts count a digest that arrived among their messages, each once.
func counted(entries []vault.LedgerEntry, in SendNotificationInput, out SendNotificationOutput) []vault.Change {
	if out.Receipt.Class != notify.Accepted {
		return nil
	}
	var (
		changes []vault.Change
		known   = map[string]bool{}
	)
	for _, e := range entries {
		if known[e.AlertKey] {
			continue
		}
		known[e.AlertKey] = true
		about := in.Message.Gathered[e.AlertKey]
		changes = append(changes, vault.Change{
			AlertKey: e.AlertKey, DefinitionKey: about.Definition.Key, Target: about.Target, Change: "NOTIFIED", At: e.At, Count: 1,
		})
	}
	return changes
}

func (n *Notifications) finishDigest(ctx context.Context, outcomes []vault.LedgerEntry, changes []vault.Change) error {
	ctx, cancel := context.WithTimeout(ctx, digestBudget)
	defer cancel()
	_, err := n.Vault.RecordHistory(ctx, changes, outcomes)
	return err
}
