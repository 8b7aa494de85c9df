package main

import (
	"context"
	"encoding/json"
	"errors"

	"onevault/alert"
	"onevault/backtest"
	"onevault/vault"
)

// told is the run of a version with its pages: what silences, maintenance and inhibition muted is told later, or to
// nobody.
func (b *bench) told(ctx context.Context, d vault.DefinitionSpec, present bool, subject vault.Subject) (backtest.Run, error) {
	run, err := b.run(ctx, d.Key, present, subject)
	if err != nil || len(run.Alerts) == 0 {
		return run, err
	}
	mutes := map[string][]backtest.Span{} // by label set
	for _, labels := range run.LabelSets() {
		muted, err := b.history.Muted(ctx, d.Facts(subject, labels), subject)
		if err != nil {
			return backtest.Run{}, err
		}
		inhibited, err := b.inhibited(ctx, d, labels, present, subject)
		if err != nil {
			return backtest.Run{}, err
		}
		mutes[labels.String()] = append(muted, inhibited...)
	}
	return run.Told(func(labels alert.Labels) []backtest.Span { return mutes[labels.String()] }, subject.Until), nil
}

// inhibited are the times at which an alert of another definition, in the same run, spoke for those of this one.
func (b *bench) inhibited(ctx context.Context, d vault.DefinitionSpec, labels alert.Labels, present bool, subject vault.Subject) ([]backtest.Span, error) {
	type source struct {
		of     vault.DefinitionSpec
		at     vault.Subject
		labels alert.Labels
	}
	var (
		sources []source
		facts   []json.RawMessage
		spans   []backtest.Span
	)
	for _, key := range b.sources {
		for _, at := range b.subjects {
			of, ok := b.version(key, present)
			if !ok || !of.Enabled || !concerns(of, at.Target) {
				continue
			}
			sets, err := b.labelSets(ctx, of, present, at)
			if err != nil {
				return nil, err
			}
			for _, set := range sets {
				sources, facts = append(sources, source{of, at, set}), append(facts, of.Facts(at, set))
			}
		}
	}
	speaking, err := b.history.SpeakingFor(ctx, facts, d.Facts(subject, labels))
	if err != nil {
		return nil, err
	}
	for _, i := range speaking {
		s := sources[i]
		run, err := b.run(ctx, s.of.Key, present, s.at)
		if none := (*vault.NoHistoryError)(nil); errors.As(err, &none) {
			continue // of what the worker decides by itself nothing is known
		}
		if err != nil {
			return nil, err
		}
		// Of a source that is muted itself nobody hears, so it speaks for nobody.
		muted, err := b.history.Muted(ctx, s.of.Facts(s.at, s.labels), s.at)
		if err != nil {
			return nil, err
		}
		spans = append(spans, backtest.Without(run.Of(s.labels).Standing(), muted)...)
	}
	return spans, nil
}

// labelSets are those for which a definition had alerts on a target; one without labels of one that alerts by none.
func (b *bench) labelSets(ctx context.Context, d vault.DefinitionSpec, present bool, at vault.Subject) ([]alert.Labels, error) {
	if len(d.AlertBy) == 0 {
		return []alert.Labels{nil}, nil
	}
	run, err := b.run(ctx, d.Key, present, at)
	if none := (*vault.NoHistoryError)(nil); errors.As(err, &none) {
		return nil, nil
	}
	return run.LabelSets(), err
}
