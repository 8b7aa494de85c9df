package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ReceiptFinding says whether something that came in from outside is to be carried out.
type ReceiptFinding string

const (
	ReceiptNew       ReceiptFinding = "NEW"       // carry it out, then settle or release it
	ReceiptDone      ReceiptFinding = "DONE"      // it was; answer as then
	ReceiptUnderWay  ReceiptFinding = "UNDER_WAY" // somebody else is at it
	ReceiptDifferent ReceiptFinding = "DIFFERENT" // another content under an id that was used
)

// Receipt is what is known of one thing that a provider sent.
type Receipt struct {
	Finding ReceiptFinding
	Status  int             // the HTTP status that answered it; 0: it is not done
	Answer  json.RawMessage // what answered it
	Sender  string          // who sent it first, and how that is known
	At      time.Time       // when it was done, or begun
}

// ClaimReceipt takes one thing that a provider sent, so that nobody carries it out a second time. The id is
// the provider's own; digest is the SHA-256 of the content.
func (s *Store) ClaimReceipt(ctx context.Context, provider, id string, digest []byte, sender string) (Receipt, error) {
	r, err := one(ctx, s, scanReceipt, `
		SELECT finding, coalesce(status, 0), answer, coalesce(sender, ''), at
		  FROM monitoring.claim_receipt($1, $2, $3, $4)`, provider, id, digest, optional(sender))
	if err != nil {
		return Receipt{}, fmt.Errorf("claim receipt of %s: %w", provider, err)
	}
	return r, nil
}

func scanReceipt(row pgx.CollectableRow) (Receipt, error) {
	var (
		r  Receipt
		at Timestamp
	)
	err := row.Scan(&r.Finding, &r.Status, &r.Answer, &r.Sender, &at)
	r.At = at.Time
	return r, err
}

// FindReceipt reads what became of something that a provider sent, without taking it; Finding NEW: nothing.
func (s *Store) FindReceipt(ctx context.Context, provider, id string) (Receipt, error) {
	list, err := all(ctx, s, scanReceipt, `
		SELECT CASE WHEN done_at IS NULL THEN 'UNDER_WAY' ELSE 'DONE' END, coalesce(status, 0), answer, coalesce(sender, ''), coalesce(done_at, claimed_at)
		  FROM monitoring.inbound_receipt
		 WHERE provider = $1 AND receipt_id = $2`, provider, id)
	if err != nil {
		return Receipt{}, fmt.Errorf("find receipt of %s: %w", provider, err)
	}
	if len(list) == 0 {
		return Receipt{Finding: ReceiptNew}, nil
	}
	return list[0], nil
}

// SettleReceipt keeps what answered a claimed receipt: the same again gets the same answer.
func (s *Store) SettleReceipt(ctx context.Context, provider, id string, status int, answer json.RawMessage) error {
	if _, err := s.pool.Exec(ctx, `
		UPDATE monitoring.inbound_receipt SET done_at = clock_timestamp(), status = $3, answer = $4
		 WHERE provider = $1 AND receipt_id = $2 AND done_at IS NULL`, provider, id, status, answer); err != nil {
		return fmt.Errorf("settle receipt of %s: %w", provider, err)
	}
	return nil
}

// ReleaseReceipt gives a claimed receipt back whose work could not be done: the sender may try again.
func (s *Store) ReleaseReceipt(ctx context.Context, provider, id string) error {
	if _, err := s.pool.Exec(ctx, `
		DELETE FROM monitoring.inbound_receipt WHERE provider = $1 AND receipt_id = $2 AND done_at IS NULL`, provider, id); err != nil {
		return fmt.Errorf("release receipt of %s: %w", provider, err)
	}
	return nil
}

// InboundRefusals are requests from outside that were refused for one reason, summed.
type InboundRefusals struct {
	Provider  string    `json:"provider"`
	Reason    string    `json:"reason"`
	Count     int64     `json:"count"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	Addresses []string  `json:"addresses"` // some of those that they came from
	Detail    string    `json:"detail"`    // of the last, without anything that was sent
}

// RecordInboundRefusals makes security events of them: one for each hour, provider and reason.
func (s *Store) RecordInboundRefusals(ctx context.Context, refusals []InboundRefusals) error {
	if _, err := s.pool.Exec(ctx, "SELECT monitoring.record_inbound_refusals($1)", refusals); err != nil {
		return fmt.Errorf("record refused requests: %w", err)
	}
	return nil
}

// Answer is what somebody whom this process has verified asks of an alert.
type Answer struct {
	Command           string // the name of the update: acknowledge, resolve, snooze, ...
	Actor, Notes, Via string
	Lasts             time.Duration // of an acknowledgement (0: until the end) or a snooze
}

// AnswerAlert answers an alert in the vault alone; the outbox tells the workflow. It reports whether the state
// changed.
func (s *Store) AnswerAlert(ctx context.Context, a ListedAlert, answer Answer) (bool, error) {
	var lasts *time.Duration
	if answer.Lasts > 0 {
		lasts = &answer.Lasts
	}
	changed, err := one(ctx, s, pgx.RowTo[bool], "SELECT monitoring.answer_alert($1, util.hash_binary($2), $3, $4, $5, $6)",
		answer.Command, a.Key, answer.Actor, optional(answer.Notes), answer.Via, lasts)
	if err != nil {
		return false, fmt.Errorf("answer %s in the vault: %w", a.ID, err)
	}
	return changed, nil
}
