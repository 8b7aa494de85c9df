package main

import (
	"context"
	"encoding/json"
	"errors"

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
	muted, err := b.history.Muted(ctx, d.Facts(subject), subject)
	if err != nil {
		return backtest.Run{}, err
	}
	inhibited, err := b.inhibited(ctx, d, present, subject)
	if err != nil {
		return backtest.Run{}, err
	}
	return run.Told(append(muted, inhibited...), subject.Until), nil
}

// inhibited are the times at which an alert of another definition, in the same run, spoke for those of this one.
func (b *bench) inhibited(ctx context.Context, d vault.DefinitionSpec, present bool, subject vault.Subject) ([]backtest.Span, error) {
	type source struct {
		of vault.DefinitionSpec
		at vault.Subject
	}
	var (
		sources []source
		facts   []json.RawMessage
		spans   []backtest.Span
	)
	for _, key := range b.sources {
		for _, at := range b.subjects {
			if of, ok := b.version(key, present); ok && of.Enabled && concerns(of, at.Target) {
				sources, facts = append(sources, source{of, at}), append(facts, of.Facts(at))
			}
		}
	}
	speaking, err := b.history.SpeakingFor(ctx, facts, d.Facts(subject))
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
		muted, err := b.history.Muted(ctx, s.of.Facts(s.at), s.at)
		if err != nil {
			return nil, err
		}
		spans = append(spans, backtest.Without(run.Standing(), muted)...)
	}
	return spans, nil
}
