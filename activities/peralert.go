package activities

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"onevault/alert"
	"onevault/notify"
	"onevault/vault"
)

const (
	// perIntent is how many messages have their intents written together, and their outcomes: what a worker's
	// death leaves uncertain at most.
	perIntent = 100
	// perChannel is how many messages of one delivery are under way at a time.
	perChannel = 16
)

// SendEachInput is one attempt at telling one recipient of many alerts, one message for each.
type SendEachInput struct {
	Channel   alert.Channel  `json:"channel"`
	Recipient string         `json:"recipient"`
	Message   notify.Message `json:"message"` // of all alerts; each gets a copy with itself alone
	Event     string         `json:"event"`
	// Attempts are how often each alert's message was tried before, by the key of the alert; what is not in it, never.
	Attempts map[string]int `json:"attempts,omitempty"`
	// RefusedSince is when a circuit first refused one of the messages; zero: none did.
	RefusedSince time.Time `json:"refused_since,omitzero"`
	// Uncertain says that an earlier attempt ended with its worker while the vault did not take its intents: nobody
	// knows of which alerts it told. After any other the ledger knows.
	Uncertain bool `json:"uncertain,omitempty"`
	// Doubtful are the keys of alerts of which an earlier attempt may have told although it failed, and Unknown those
	// whose request got no answer.
	Doubtful []string `json:"doubtful,omitempty"`
	Unknown  []string `json:"unknown,omitempty"`
	// LedgerLater: the vault is not asked, and has everything through the workflow.
	LedgerLater bool `json:"ledger_later,omitempty"`
}

// SendEachOutput says what became of the messages, by the keys of their alerts.
type SendEachOutput struct {
	Delivered []string `json:"delivered,omitempty"`
	Failed    []string `json:"failed,omitempty"` // for good
	// Unknown are those that may have arrived, whatever else became of them: who heard of an alert hears of its end.
	Unknown []string `json:"unknown,omitempty"`
	// Again are those that another attempt is due for, and Doubtful those among them that may have arrived.
	Again    []string `json:"again,omitempty"`
	Doubtful []string `json:"doubtful,omitempty"`
	// Tried are those among Again that this attempt came to, and Refused those among Tried that a circuit did not let
	// be tried: they have a ledger, and it was no attempt at them.
	Tried   []string `json:"tried,omitempty"`
	Refused []string `json:"refused,omitempty"`
	// VaultSilent: the vault did not take the intents, and what is in Again was not begun. The workflow notes that the
	// ledger comes later before anything is sent without one.
	VaultSilent bool `json:"vault_silent,omitempty"`

	Receipt    notify.Receipt      `json:"receipt"` // the last that asks for another attempt
	RetryAfter time.Duration       `json:"retry_after,omitempty"`
	Entries    []vault.LedgerEntry `json:"entries,omitempty"` // that the vault could not take in time
}

// SendEach is SendNotification for a channel that wants a message for each alert. Intents and outcomes are
// written by the hundred: a row before each message, and few round trips. Where of a hundred not one was
// accepted, the rest waits for the next attempt.
func (n *Notifications) SendEach(ctx context.Context, in SendEachInput) (SendEachOutput, error) {
	cancelled := ctx
	// A cancelled alert stops what is not yet begun, not what is on the wire: its outcome must be known.
	ctx = context.WithoutCancel(ctx)
	stop := heartbeat(ctx)
	defer stop()

	out := SendEachOutput{}
	channel, misconfigured := n.Channels.Open(ctx, in.Channel)
	in.Message.UIURL = n.uiLink(in.Message.WorkflowID)
	left := in.leastTriedFirst()
	for len(left) > 0 && cancelled.Err() == nil {
		batch := left[:min(len(left), perIntent)]
		at := time.Now().UTC().Truncate(time.Microsecond)
		attempts, intents := in.each(batch, at)
		begun, err := n.beginEach(ctx, in, intents)
		if err != nil {
			n.Log.WarnContext(ctx, "intents not recorded yet", "channel", in.Channel.Key, "messages", len(left), "error", err)
			out.VaultSilent = true
			break
		}
		left = left[len(batch):]
		delivered := len(out.Delivered)
		outcomes := n.sendBatch(ctx, attempts, at, begun, channel, misconfigured, &out)
		if in.LedgerLater {
			out.Entries = append(out.Entries, intents...)
		}
		if err := n.finishEach(ctx, in, outcomes); err != nil {
			out.Entries = append(out.Entries, outcomes...)
			if !in.LedgerLater {
				n.Log.WarnContext(ctx, "outcomes not recorded yet", "channel", in.Channel.Key, "messages", len(outcomes), "error", err)
			}
		}
		if len(out.Delivered) == delivered && len(out.Again) > 0 {
			break
		}
	}
	for _, a := range left {
		out.Again = append(out.Again, a.Key)
	}
	return out, nil
}

// leastTriedFirst are the alerts in the order in which they are tried. By any other the same few would meet every
// failure of a provider that fails now and again, and use up their attempts for all.
func (in SendEachInput) leastTriedFirst() []alert.Alert {
	return slices.SortedStableFunc(slices.Values(in.Message.Alerts), func(a, b alert.Alert) int {
		return cmp.Compare(in.Attempts[a.Key], in.Attempts[b.Key])
	})
}

// each makes the attempts at the messages about single alerts, and their intents.
func (in SendEachInput) each(batch []alert.Alert, at time.Time) (attempts []SendNotificationInput, intents []vault.LedgerEntry) {
	for _, a := range batch {
		one := SendNotificationInput{
			Channel: in.Channel, Recipient: in.Recipient, Message: in.Message, Event: in.Event,
			Attempt: in.Attempts[a.Key], RefusedSince: in.RefusedSince,
			Uncertain: in.Uncertain || slices.Contains(in.Unknown, a.Key), PossibleDuplicate: slices.Contains(in.Doubtful, a.Key),
		}
		one.Message.Key, one.Message.Alerts = a.Key+"/"+in.Event, []alert.Alert{a}
		attempts = append(attempts, one)
		intents = append(intents, entriesOf(one, "PENDING", at)...)
	}
	return attempts, intents
}

// sendBatch sends what the ledger does not hold as delivered, and returns the outcomes for it. begun is empty where
// the vault was not asked.
func (n *Notifications) sendBatch(ctx context.Context, attempts []SendNotificationInput, at time.Time, begun []vault.Begun,
	channel notify.Channel, misconfigured error, out *SendEachOutput,
) []vault.LedgerEntry {
	results := make([]SendNotificationOutput, len(attempts))
	spread(len(attempts), perChannel, func(i int) {
		one, result := &attempts[i], &results[i]
		if len(begun) > 0 {
			if begun[i].Finding == vault.FindingDelivered {
				result.Final, result.Receipt = true, notify.Receipt{Class: notify.Accepted, Proof: deliveredBefore}
				return
			}
			one.Uncertain = one.Uncertain || begun[i].Finding == vault.FindingUnknownOutcome
			one.PossibleDuplicate = one.PossibleDuplicate || begun[i].PossibleDuplicate
		}
		result.PossibleDuplicate = one.Uncertain || one.PossibleDuplicate
		one.Message.PossibleDuplicate = result.PossibleDuplicate
		if one.Uncertain && misconfigured == nil {
			if receipt, found := n.ask(ctx, channel, *one, one.Message); found {
				result.Receipt, result.Final, result.PossibleDuplicate = receipt, true, one.PossibleDuplicate
				return
			}
		}
		var refused bool
		result.Receipt, refused = n.sendOpened(ctx, channel, misconfigured, *one)
		n.conclude(*one, result, refused)
	})
	var outcomes []vault.LedgerEntry
	for i, result := range results {
		out.sort(attempts[i].Message.Alerts[0].Key, result)
		if result.Receipt.Proof != deliveredBefore {
			outcomes = append(outcomes, outcomesOf(attempts[i], result, at)...)
		}
	}
	return outcomes
}

// sort notes what became of the message about an alert.
func (out *SendEachOutput) sort(key string, result SendNotificationOutput) {
	class := result.Receipt.Class
	if class == notify.Uncertain {
		out.Unknown = append(out.Unknown, key)
	}
	switch {
	case class == notify.Accepted:
		out.Delivered = append(out.Delivered, key)
	case result.Final:
		out.Failed = append(out.Failed, key)
	default:
		out.Again, out.Tried = append(out.Again, key), append(out.Tried, key)
		if result.Refused {
			out.Refused = append(out.Refused, key)
		}
		if result.PossibleDuplicate || result.MayHaveArrived {
			out.Doubtful = append(out.Doubtful, key)
		}
		out.Receipt, out.RetryAfter = result.Receipt, max(out.RetryAfter, result.Receipt.RetryAfter)
	}
}

func (n *Notifications) beginEach(ctx context.Context, in SendEachInput, intents []vault.LedgerEntry) ([]vault.Begun, error) {
	if in.LedgerLater {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerBudget)
	defer cancel()
	return n.Vault.BeginEachNotification(ctx, intents)
}

func (n *Notifications) finishEach(ctx context.Context, in SendEachInput, outcomes []vault.LedgerEntry) error {
	if len(outcomes) == 0 {
		return nil
	}
	if in.LedgerLater {
		return errLedgerLater
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerBudget)
	defer cancel()
	_, err := n.Vault.RecordHistory(ctx, nil, outcomes)
	return err
}

// spread does n pieces of work, so many at a time.
func spread(n, atATime int, do func(i int)) {
	var (
		next    atomic.Int64
		senders sync.WaitGroup
	)
	for range min(n, atATime) {
		senders.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	senders.Wait()
}
