package worker

import (
	"context"
	"time"

	"go.temporal.io/sdk/client"

	"onevault/activities"
	"onevault/api"
	"onevault/collect"
	"onevault/command"
	"onevault/settings"
)

// openGate makes the gate for what others send, with everything that is mounted behind it but Slack's presses.
func (p *parts) openGate() error {
	p.gathered = api.NewRegistry()
	var err error
	if p.channels, err = p.directory(); err != nil {
		return err
	}
	public, err := settings.ParsePublicURL(p.config.PublicURL, p.config.AllowedCIDRs)
	if err != nil {
		return err
	}
	keys, err := p.config.linkKeys()
	if err != nil {
		return err
	}
	in := api.NewInbound(api.InboundConfig{
		Vault: p.store, PublicURL: public, TrustedProxies: p.config.TrustedProxies, Registry: p.gathered, Log: p.log,
	})
	if keys.Usable() {
		in.Mount((&api.Links{Inbound: in, Keys: keys, Vault: p.store, Sender: p.sender(), Log: p.log, Now: time.Now}).Routes()...)
	}
	p.mountProviders(in)
	secrets := collect.Secrets{Dirs: p.config.secretsDirs()}
	in.Mount((&api.Sources{Inbound: in, Vault: p.store, Secret: secrets.Read, Log: p.log, Now: time.Now}).Routes()...)
	p.gate = in
	return nil
}

// mountProviders hears what people answer by telephone and at PagerDuty. Each of their requests is signed for the
// public address, so that without one there is nothing to hear.
func (p *parts) mountProviders(in *api.Inbound) {
	if in.PublicURL("/") == nil {
		return
	}
	in.Mount((&api.Twilio{Inbound: in, Vault: p.store, Sender: p.sender(), Phones: p.channels.Phones, People: p.people(), Log: p.log, Now: time.Now}).Routes()...)
	in.Mount((&api.PagerDuty{Inbound: in, Vault: p.store, Sender: p.sender(), Hook: p.channels.PagerHook, People: p.people(), Log: p.log, Now: time.Now}).Routes()...)
}

// sender carries the commands of people whom the API has verified.
func (p *parts) sender() *command.Sender {
	connect := func(context.Context) (client.Client, error) { return p.temporal, nil }
	return &command.Sender{Vault: p.store, Workflows: command.Temporal{Connect: connect}, Vouches: true}
}

// links make the links of mails; nil: there is no address that they could lead to, or no key to sign them.
func (p *parts) links() (*activities.Links, error) {
	public, err := settings.ParsePublicURL(p.config.PublicURL, p.config.AllowedCIDRs)
	if err != nil {
		return nil, err
	}
	keys, err := p.config.linkKeys()
	if err != nil {
		return nil, err
	}
	if public == nil || !keys.Usable() {
		p.log.Info("mails have no links that answer them", "set", settings.PublicURL+" and "+settings.LinkKeyFile)
		return nil, nil
	}
	return &activities.Links{PublicURL: public, Keys: keys}, nil
}
