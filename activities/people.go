package activities

import (
	"context"
	"slices"
	"strings"

	"onevault/alert"
	"onevault/vault"
)

// contactTypes are the types of channels that reach contacts.
var contactTypes = []string{"EMAIL", "SMS", "VOICE", "SLACK"}

// withPeople adds to channels whom they tell by their groups, and when; and to those that have somebody to tell the
// channels that stand by for them. All of it travels with the workflow, so that it holds while the vault is down.
func (d *Directory) withPeople(ctx context.Context, definitionKey string, channels []alert.Channel) ([]alert.Channel, error) {
	if len(channels) == 0 {
		return channels, nil
	}
	if err := d.reach(ctx, channels); err != nil {
		return nil, err
	}
	falls := func(c alert.Channel) bool { return len(c.Contacts) > 0 || c.ConfirmWithin > 0 }
	if !slices.ContainsFunc(channels, falls) {
		return channels, nil
	}
	standBy, owners, err := d.behind(ctx, definitionKey)
	if err != nil {
		return nil, err
	}
	for i := range channels {
		if c := &channels[i]; falls(*c) {
			c.StandBy, c.Owners = others(standBy, c.Key), others(owners, c.Key)
		}
	}
	return channels, nil
}

func others(channels []alert.Channel, key string) []alert.Channel {
	return slices.DeleteFunc(slices.Clone(channels), func(c alert.Channel) bool { return c.Key == key })
}

// reach asks the vault for the contacts and the hours of channels.
func (d *Directory) reach(ctx context.Context, channels []alert.Channel) error {
	keys := make([]string, len(channels))
	for i, c := range channels {
		keys[i] = c.Key
	}
	reached, err := d.Vault.Reach(ctx, keys)
	if err != nil {
		return err
	}
	for i := range channels {
		c := &channels[i]
		at := slices.IndexFunc(reached, func(r vault.Reach) bool { return r.Channel == c.Key })
		if at < 0 {
			continue
		}
		c.Contacts, c.Restrictions, c.ConfirmWithin = reached[at].Contacts, reached[at].Restrictions, reached[at].ConfirmWithin
		if len(c.Contacts) == 0 {
			c.Contacts = nil
		}
		c.Join()
	}
	return nil
}

// behind are the channels that may bring a message onward, by whose own filters the definition is heard, and those of
// the category SYSTEM. They name no recipients: those that stand by are told whom to reach.
func (d *Directory) behind(ctx context.Context, definitionKey string) (standBy, owners []alert.Channel, err error) {
	rows, err := d.Vault.NamedChannels(ctx, definitionKey, contactTypes)
	if err != nil {
		return nil, nil, err
	}
	standBy = d.carried(rows)
	for i := range standBy {
		standBy[i].Recipients = nil
	}
	if rows, err = d.Vault.OwnerChannels(ctx, definitionKey); err != nil {
		return nil, nil, err
	}
	return standBy, d.carried(rows), nil
}

// alsoReached are the addresses of the contacts that a carried channel may be told to reach, as far as they are still
// those of an enabled contact. Without an answer of the vault it is whoever was not found to have gone.
func (d *Directory) alsoReached(ctx context.Context, carried alert.Channel) []string {
	addresses := addressesOf(carried)
	if len(addresses) == 0 {
		return nil
	}
	still, err := d.Vault.StillReached(ctx, carried.Type, addresses)
	if err != nil {
		return d.recallReached(carried)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone == nil {
		d.gone = map[string]bool{}
	}
	for _, address := range addresses {
		d.gone[placeOf(carried.Type, address)] = !slices.ContainsFunc(still, func(s string) bool { return alert.SameAddress(s, address) })
	}
	return still
}

func (d *Directory) recallReached(carried alert.Channel) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(addressesOf(carried), func(address string) bool { return d.gone[placeOf(carried.Type, address)] })
}

func placeOf(channelType, address string) string { return channelType + " " + strings.ToLower(address) }

// addressesOf lists where the channel reaches its contacts.
func addressesOf(c alert.Channel) []string {
	var addresses []string
	for _, p := range c.Contacts {
		if address, has := p.Addresses[c.Type]; has {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// FindReceiptInput names the notifications of one message to one recipient.
type FindReceiptInput struct {
	Alerts    []string `json:"alerts"` // keys
	Channel   string   `json:"channel"`
	Recipient string   `json:"recipient"`
	Event     string   `json:"event"` // the ledger's word
}

// FindReceiptOutput says whether it is known to have arrived.
type FindReceiptOutput struct {
	Confirmed bool `json:"confirmed"`
}

// FindReceipt asks the ledger.
func (a *Alerts) FindReceipt(ctx context.Context, in FindReceiptInput) (FindReceiptOutput, error) {
	confirmed, err := a.Vault.Confirmed(ctx, in.Alerts, in.Channel, in.Recipient, in.Event)
	if err != nil {
		return FindReceiptOutput{}, classify(err)
	}
	return FindReceiptOutput{Confirmed: confirmed}, nil
}
