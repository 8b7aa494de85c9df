package vault

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
	"onevault/backtest"
)

// Facts are what matchers can name of an alert of a definition on a target, with these labels if it has any:
// monitoring.alert_facts.facts.
func (d DefinitionSpec) Facts(in Subject, labels alert.Labels) json.RawMessage {
	if labels == nil {
		labels = alert.Labels{}
	}
	facts := map[string]any{
		"definition": d.Key, "target": in.Target, "severity": d.Severity, "category": d.Category, "source": d.Source,
		"tenant": nil, "labels": labels,
	}
	if in.Tenant != nil {
		facts["tenant"] = hex.EncodeToString(in.Tenant)
	}
	text, err := json.Marshal(facts)
	if err != nil {
		panic(err) // texts and a map of texts
	}
	return text
}

// Muted lists when silences and maintenance muted alerts with these facts, as they stood at the time.
func (h *History) Muted(ctx context.Context, facts json.RawMessage, in Subject) ([]backtest.Span, error) {
	rows, err := h.tx.Query(ctx, statement("muted"), facts, in.Since, in.Until)
	if err != nil {
		return nil, fmt.Errorf("read what muted %s: %w", in.Target, err)
	}
	spans, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s backtest.Span, err error) {
		var from, to Timestamp
		err = row.Scan(&from, &to)
		return backtest.Span{From: from.Time, To: to.Time}, err
	})
	if err != nil {
		return nil, fmt.Errorf("read what muted %s: %w", in.Target, err)
	}
	return spans, nil
}

// InhibitionSources lists the keys of the definitions whose alerts speak for others.
func (h *History) InhibitionSources(ctx context.Context) ([]string, error) {
	rows, err := h.tx.Query(ctx, "SELECT DISTINCT source_definition::text FROM monitoring.inhibition_current WHERE is_enabled ORDER BY 1")
	if err != nil {
		return nil, fmt.Errorf("list inhibitions: %w", err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list inhibitions: %w", err)
	}
	return keys, nil
}

// SpeakingFor says which of the sources, while an alert of theirs is active, speak for alerts with these facts.
func (h *History) SpeakingFor(ctx context.Context, sources []json.RawMessage, facts json.RawMessage) ([]int, error) {
	texts := make([]string, len(sources))
	for i, s := range sources {
		texts[i] = string(s)
	}
	rows, err := h.tx.Query(ctx, statement("inhibitors"), texts, facts)
	if err != nil {
		return nil, fmt.Errorf("read who inhibits: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return nil, fmt.Errorf("read who inhibits: %w", err)
	}
	return list, nil
}
