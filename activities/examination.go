package activities

import (
	"context"
	"os"
	"sync"
	"time"

	"onevault/notify"
	"onevault/vault"
)

// probeBudget bounds the looks at all channels together, which go on side by side.
const probeBudget = 15 * time.Second

// Examinations answer what `onevault doctor` cannot see from where it runs: the workers' environment, their secrets,
// their way to the providers, their clock.
type Examinations struct {
	Vault    *vault.Store
	Channels *Directory
}

// ExaminedChannel is what a worker found of one channel. It holds no secret.
type ExaminedChannel struct {
	Key        string `json:"key"`
	Type       string `json:"type"`
	Recipients int    `json:"recipients"`
	// Unusable is why it cannot be opened: a secret that is missing, a field that is wrong. Empty: it can.
	Unusable string `json:"unusable,omitempty"`
	// Unreachable is why the provider cannot be reached from this worker; empty: it can, or was not tried.
	Unreachable string `json:"unreachable,omitempty"`
	Tried       bool   `json:"tried"` // false: this type cannot be tried without sending
}

// ExamineOutput is what one worker found.
type ExamineOutput struct {
	Host     string            `json:"host"`
	At       time.Time         `json:"at"` // by the worker's own clock
	Channels []ExaminedChannel `json:"channels"`
}

// Examine opens each enabled channel and tries the way to its provider, without sending anything.
func (e *Examinations) Examine(ctx context.Context) (ExamineOutput, error) {
	out := ExamineOutput{At: time.Now().UTC()}
	var err error
	if out.Host, err = os.Hostname(); err != nil {
		out.Host = "a host without a name"
	}
	listed, err := e.Vault.Channels(ctx, false)
	if err != nil {
		return out, classify(err)
	}
	ctx, cancel := context.WithTimeout(ctx, probeBudget)
	defer cancel()
	out.Channels = make([]ExaminedChannel, len(listed))
	var all sync.WaitGroup
	for i, c := range listed {
		all.Go(func() { out.Channels[i] = e.examine(ctx, c) })
	}
	all.Wait()
	return out, nil
}

func (e *Examinations) examine(ctx context.Context, c vault.ListedChannel) ExaminedChannel {
	found := ExaminedChannel{Key: c.Key, Type: c.Type}
	channel, err := notify.Open(notify.Config{Key: c.Key, Name: c.Name, Type: notify.Type(c.Type), Configuration: c.Configuration}, e.Channels.Options)
	if err != nil {
		found.Unusable = err.Error()
		return found
	}
	found.Recipients = len(channel.Recipients())
	prober, able := notify.As[notify.Prober](channel)
	if !able {
		return found
	}
	found.Tried = true
	if err := prober.Probe(ctx); err != nil {
		found.Unreachable = err.Error()
	}
	return found
}
