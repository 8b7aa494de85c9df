package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"onevault/alert"
	"onevault/notify"
	"onevault/vault"
)

// unlimited is what the ledger says where nobody could be asked how many messages went out.
const unlimited = "sent without asking for rate_limit_per_hour: the vault did not answer in time"

// DigestWithin is how long a message that is over the limit waits at most, where nobody set it.
const DigestWithin = 15 * time.Minute

// regardless is why a message goes whatever the limit; empty: it does not.
func regardless(in SendNotificationInput) string {
	switch {
	case in.Message.Definition.Severity == alert.SeverityCritical:
		return "it is CRITICAL"
	case in.Message.Event == alert.EventSilenceEnding || in.Message.Event == alert.EventTest:
		return "it is no alert"
	}
	return ""
}

// isLimited: the message is one that a limit may hold back. An edit of an earlier message is none that somebody gets.
func isLimited(in SendNotificationInput) bool {
	return notify.Type(in.Channel.Type) != notify.TypePagerDuty && !in.Channel.PerAlert && in.Message.Prior == "" &&
		in.Message.Storm == nil // it stands for many messages already
}

// unasked is what the ledger says of a limit where the vault was not asked.
func unasked(in SendNotificationInput) string {
	if !isLimited(in) || regardless(in) != "" {
		return ""
	}
	return unlimited
}

// noteLimit says beside an outcome what became of the limit.
func noteLimit(outcomes []vault.LedgerEntry, said string) {
	if said == "" {
		return
	}
	for i := range outcomes {
		e := &outcomes[i]
		if e.Proof != "" {
			e.Proof += "; " + said
		} else {
			e.Reason += "; " + said
		}
	}
}

// beginLimited writes the first intents if the limit of the channel lets the message through, and the others as the
// first ones went. said is what the outcome is to say of the limit.
func (n *Notifications) beginLimited(ctx context.Context, in SendNotificationInput, parts [][]vault.LedgerEntry) (finding vault.Finding, said string, err error) {
	finding, said, err = n.Vault.BeginWithinLimit(ctx, parts[0], regardless(in))
	if err != nil || len(parts) == 1 {
		return finding, said, err
	}
	if finding != vault.FindingDigested {
		findings := make([]vault.Finding, len(parts))
		findings[0] = finding
		err = inParallel(len(parts)-1, func(i int) (err error) {
			findings[i+1], err = n.Vault.BeginNotifications(ctx, parts[i+1])
			return err
		})
		return joined(findings), said, err
	}
	err = inParallel(len(parts)-1, func(i int) error {
		for j := range parts[i+1] {
			e := &parts[i+1][j]
			e.Status, e.Class, e.Reason = "DIGESTED", string(notify.NotSent), said
		}
		_, err := n.Vault.RecordHistory(ctx, nil, parts[i+1])
		return err
	})
	return finding, said, err
}

// DigestPart is one message that was over the limit.
type DigestPart struct {
	Event      string           `json:"event"` // the ledger's word
	Definition alert.Definition `json:"definition"`
	Target     string           `json:"target"`
	Alerts     []alert.Alert    `json:"alerts"`
}

// DigestInput names a recipient of a channel for whom messages are gathered.
type DigestInput struct {
	Channel   alert.Channel `json:"channel"`
	Recipient string        `json:"recipient"`
	Within    time.Duration `json:"within"` // how long what is gathered waits at most
	// Parts are what a run leaves to the next.
	Parts []DigestPart `json:"parts,omitempty"`
}

// SignalGather brings one DigestPart to a digest.
const SignalGather = "gather"

// DigestWorkflowID is the id of the workflow that gathers for a recipient. The recipient may be a person's address, and
// an id is seen by whoever sees the cluster.
func DigestWorkflowID(channelKey, recipient string) string {
	sum := sha256.Sum256([]byte(recipient))
	return "digest/" + channelKey + "/" + hex.EncodeToString(sum[:6])
}

// gatherTries is how long the cluster may be away while a message is brought to its digest.
const gatherTries = 15 * time.Second

// gather brings a message that was over the limit to the digest of its recipient. The digest knows what it has been
// brought before.
func (n *Notifications) gather(ctx context.Context, in SendNotificationInput) error {
	ctx, cancel := context.WithTimeout(ctx, gatherTries)
	defer cancel()
	within := n.DigestWithin
	if within == 0 {
		within = DigestWithin
	}
	id := DigestWorkflowID(in.Channel.Key, in.Recipient)
	part := DigestPart{Event: in.Event, Definition: in.Message.Definition, Target: in.Message.Target, Alerts: in.Message.Alerts}
	_, err := n.Temporal.SignalWithStartWorkflow(ctx, id, SignalGather, part, client.StartWorkflowOptions{
		ID: id, TaskQueue: n.TaskQueue, StaticSummary: "gathers what is over the limit of " + in.Channel.Key,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
	}, n.DigestWorkflow, DigestInput{Channel: in.Channel, Recipient: in.Recipient, Within: within})
	if err != nil {
		return fmt.Errorf("gather a message of channel %s into its digest: %w", in.Channel.Key, err)
	}
	return nil
}
