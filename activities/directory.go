package activities

import (
	"context"
	"fmt"
	"sync"
	"time"

	"onevault/alert"
	"onevault/notify"
	"onevault/vault"
)

// Directory knows the channels: how a row becomes something that can send. It remembers every row that
// it read, because a secret that stands in a row (an incoming webhook of Slack) never enters a workflow
// and must still be at hand when the vault is down.
type Directory struct {
	Vault   *vault.Store
	Options notify.Options

	mu   sync.Mutex
	last map[string]notify.Config
	gone map[string]bool // addresses that were found to be nobody's any more, by type and address
}

// Matching returns the channels that hear a definition, as a workflow may carry them.
func (d *Directory) Matching(ctx context.Context, definitionKey string) ([]alert.Channel, error) {
	rows, err := d.Vault.MatchingChannels(ctx, definitionKey)
	if err != nil {
		return nil, err
	}
	return d.withPeople(ctx, definitionKey, d.carried(rows))
}

// Named returns, of the channels with these keys or types, those whose own filters let a definition through.
func (d *Directory) Named(ctx context.Context, definitionKey string, names []string) ([]alert.Channel, error) {
	if len(names) == 0 {
		return nil, nil
	}
	rows, err := d.Vault.NamedChannels(ctx, definitionKey, names)
	if err != nil {
		return nil, err
	}
	return d.withPeople(ctx, definitionKey, d.carried(rows))
}

func (d *Directory) carried(rows []vault.Channel) []alert.Channel {
	channels := make([]alert.Channel, 0, len(rows))
	for _, row := range rows {
		config := configOf(row)
		d.remember(config)
		channels = append(channels, d.describe(config))
	}
	return channels
}

// describe lists a channel's recipients. A channel that cannot be opened (a secret is missing) stands for
// itself as its only recipient: the attempt then fails with the reason, and is recorded, not passed over.
func (d *Directory) describe(config notify.Config) alert.Channel {
	redacted := notify.Redact(config)
	channel := alert.Channel{
		Key: config.Key, Name: config.Name, Type: string(config.Type), Configuration: redacted.Configuration,
		RetryAttempts: config.RetryAttempts, RetryDelay: config.RetryDelay, PerAlert: config.PerAlert(),
	}
	opened, err := notify.Open(config, d.Options)
	if err != nil {
		channel.Recipients = []string{config.Key}
		return channel
	}
	channel.Recipients, channel.Follows = opened.Recipients(), notify.Followed(opened)
	_, channel.InPlace = notify.As[notify.Editor](opened)
	return channel
}

// Open makes a carried channel able to send: by its current row, or by the row as last read, or by what
// the workflow carried.
func (d *Directory) Open(ctx context.Context, carried alert.Channel) (notify.Channel, error) {
	readCtx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	row, err := d.Vault.Channel(readCtx, carried.Key)
	if err == nil {
		config := configOf(row)
		d.remember(config)
		config.Also = d.alsoReached(readCtx, carried)
		return notify.Open(config, d.Options)
	}
	if config, known := d.recall(carried.Key); known {
		config.Also = d.recallReached(carried)
		return notify.Open(config, d.Options)
	}
	return notify.Open(notify.Config{
		Key: carried.Key, Name: carried.Name, Type: notify.Type(carried.Type), Configuration: carried.Configuration,
		RetryAttempts: carried.RetryAttempts, RetryDelay: carried.RetryDelay, Also: d.recallReached(carried),
	}, d.Options)
}

func (d *Directory) remember(config notify.Config) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last == nil {
		d.last = map[string]notify.Config{}
	}
	d.last[config.Key] = config
}

func (d *Directory) recall(key string) (notify.Config, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	config, known := d.last[key]
	return config, known
}

func configOf(c vault.Channel) notify.Config {
	return notify.Config{
		Key: c.Key, Name: c.Name, Type: notify.Type(c.Type), Configuration: c.Configuration,
		RetryAttempts: c.RetryAttempts, RetryDelay: time.Duration(c.RetryDelaySeconds) * time.Second,
	}
}

// String keeps the remembered rows, and any secret in them, out of logs.
func (d *Directory) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return fmt.Sprintf("directory of %d channels", len(d.last))
}

// GoString is String, so that %#v prints no row either.
func (d *Directory) GoString() string { return d.String() }
