package worker

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"onevault/api"
	"onevault/command"
	"onevault/settings"
	"onevault/slackapp"
	"onevault/vault"
)

// SlackConfig says how to hear what people press in Slack. With neither secret nobody listens.
type SlackConfig struct {
	SigningSecret string            // of the app: presses come to /slack/interactivity of the API
	AppToken      string            // xapp-...: presses come by Socket Mode, with no address of ours
	People        map[string]string // who is behind an account: U0123456789 -> dana
	API           string            // base of the Web API for Socket Mode; empty: Slack's own
	AnswersAt     []string          // prefixes of response URLs that are believed beside Slack's own
}

// String keeps the secrets out of whatever prints a configuration.
func (c SlackConfig) String() string { return fmt.Sprintf("slack for %d people", len(c.People)) }

// GoString is String, for %#v.
func (c SlackConfig) GoString() string { return c.String() }

// Enabled reports whether anybody listens.
func (c SlackConfig) Enabled() bool { return c.SigningSecret != "" || c.AppToken != "" }

func (c SlackConfig) validate(apiAddr string) error {
	switch {
	case c.AppToken != "" && !strings.HasPrefix(c.AppToken, "xapp-"):
		return fmt.Errorf("%s does not begin with xapp-: make an app-level token with the scope connections:write on the app's page", settings.SlackAppToken)
	case c.SigningSecret != "" && apiAddr == "":
		return fmt.Errorf("%s is set, but the API listens nowhere: set %s, or use Socket Mode with %s", settings.SlackSigningSecret, settings.APIAddr, settings.SlackAppToken)
	}
	return nil
}

// Known implements slackapp.People by what the settings list.
func (c SlackConfig) Known(_ context.Context, provider, id string) (contact string, ok bool, err error) {
	contact, ok = c.People[id]
	return contact, ok && provider == slackapp.Provider, nil
}

// people are those whom the settings list, and the contacts.
type people struct {
	listed SlackConfig
	vault  *vault.Store
}

// Known implements slackapp.People.
func (p people) Known(ctx context.Context, provider, id string) (contact string, ok bool, err error) {
	if contact, ok, err = p.listed.Known(ctx, provider, id); ok || err != nil {
		return contact, ok, err
	}
	return p.vault.ContactOf(ctx, provider, id)
}

func (p *parts) people() people { return people{p.config.Slack, p.store} }

// openSlack prepares what hears presses and mounts it behind the gate. stop ends the connection and waits for the
// commands that were begun.
func (p *parts) openSlack(ctx context.Context) (stop func(), err error) {
	config := p.config.Slack
	if !config.Enabled() {
		return func() {}, nil
	}
	zone, err := settings.ParseTimezone(p.config.Timezone)
	if err != nil {
		return nil, err
	}
	app, err := slackapp.New(slackapp.Config{
		Desk: slackDesk{p.sender()}, People: p.people(), Zone: zone, AnswersAt: config.AnswersAt, Log: p.log,
		Once: p.pressOnce, Refused: p.refusePress,
	})
	if err != nil {
		return nil, err
	}
	if config.SigningSecret != "" {
		handler, err := app.Interactivity(config.SigningSecret)
		if err != nil {
			return nil, err
		}
		p.gate.Mount(api.Route{Pattern: "POST /slack/interactivity", Provider: slackapp.Provider, MaxBody: slackapp.MaxBody, Handler: handler})
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	if config.AppToken != "" {
		running.Go(func() {
			if err := app.Listen(ctx, slackapp.Socket{AppToken: config.AppToken, API: config.API}); err != nil {
				p.log.Error("slack: socket mode not begun", "error", err)
			}
		})
		if p.config.APIAddr == "" {
			running.Go(func() { p.gate.Run(ctx) }) // no server runs it
		}
	}
	return func() { cancel(); running.Wait(); app.Wait() }, nil
}

// pressOnce keeps a press from taking effect twice, whichever worker it comes to. While the vault is down it is the
// state of the alert that does.
func (p *parts) pressOnce(ctx context.Context, id string, content [sha256.Size]byte, sender string, work func(context.Context)) error {
	delivery := api.Delivery{Provider: slackapp.Provider, ID: id, Digest: content, Sender: sender}
	_, first, err := p.gate.Once(ctx, delivery, func(ctx context.Context) (api.Outcome, error) {
		work(ctx)
		return api.Outcome{Status: http.StatusOK}, nil
	})
	switch {
	case errors.Is(err, api.ErrUnderWay):
		return nil
	case vault.Unreachable(err) && !first:
		work(ctx)
		return nil
	}
	return err
}

// refusePress makes a security event of what was not accepted. What came by Socket Mode came from Slack.
func (p *parts) refusePress(_ context.Context, r slackapp.Refusal) {
	request := r.Request
	if request == nil {
		request = &http.Request{}
	}
	p.gate.Note(request, api.Refusal{Provider: slackapp.Provider, Reason: api.Reason(r.Reason), Detail: r.Say})
}

// slackDesk carries what was pressed the way of every answer from outside.
type slackDesk struct{ sender *command.Sender }

// Do implements slackapp.Desk.
func (d slackDesk) Do(ctx context.Context, press slackapp.Press) ([]string, error) {
	request := command.Request{
		Verb: command.Action(press.Verb), Alerts: press.Alerts,
		Actor: command.Actor{Name: press.Contact, Through: slackapp.Provider + ":" + press.UserID, Verified: true},
	}
	if press.Verb == slackapp.Silence {
		// Whoever presses sees what he silences, so that a CRITICAL alert is meant, too.
		request.Notes, request.Critical = "pressed in Slack", true
		request.Minutes = int(math.Ceil(time.Until(press.Until).Minutes()))
	}
	reply, err := d.sender.Do(ctx, request)
	if err != nil {
		return nil, err
	}
	return reply.Sentences(), nil
}
