package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	"onevault/alert"
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

// openSlack prepares what hears presses; serveAPI mounts it. stop ends the connection and waits for the
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
		Desk: p.slackDesk(), People: people{config, p.store}, Zone: zone, AnswersAt: config.AnswersAt, Log: p.log,
	})
	if err != nil {
		return nil, err
	}
	if config.SigningSecret != "" {
		handler, err := app.Interactivity(config.SigningSecret)
		if err != nil {
			return nil, err
		}
		p.pressed = []api.Route{{Pattern: "POST /slack/interactivity", Provider: slackapp.Provider, MaxBody: slackapp.MaxBody, Handler: handler}}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if config.AppToken == "" {
			return
		}
		if err := app.Listen(ctx, slackapp.Socket{AppToken: config.AppToken, API: config.API}); err != nil {
			p.log.Error("slack: socket mode not begun", "error", err)
		}
	}()
	return func() { cancel(); <-ended; app.Wait() }, nil
}

func (p *parts) slackDesk() slackDesk {
	connect := func(context.Context) (client.Client, error) { return p.temporal, nil }
	return slackDesk{vault: p.store, sender: &command.Sender{Vault: p.store, Workflows: command.Temporal{Connect: connect}}}
}

// slackDesk carries what was pressed the way of `onevault alert ack`.
type slackDesk struct {
	vault  *vault.Store
	sender *command.Sender
}

// Do implements slackapp.Desk.
func (d slackDesk) Do(ctx context.Context, press slackapp.Press) ([]string, error) {
	switch press.Verb {
	case slackapp.Acknowledge:
		return d.command(ctx, command.Acknowledge, press)
	case slackapp.Resolve:
		return d.command(ctx, command.Resolve, press)
	case slackapp.Silence:
		return d.silence(ctx, press)
	case slackapp.Escalate:
	}
	return []string{fmt.Sprintf("Nothing was done: this version cannot %s an alert from Slack. Use the command line: onevault alert --help", press.Verb)}, nil
}

func (d slackDesk) command(ctx context.Context, action command.Action, press slackapp.Press) ([]string, error) {
	plan, errs := d.sender.Plan(ctx, action, press.Alerts)
	outcomes, failed := d.sender.Carry(ctx, action, plan, alert.Command{Actor: press.Contact, Via: press.Via()})
	errs = append(errs, failed...)
	sentences := make([]string, 0, len(outcomes)+len(errs))
	for _, o := range outcomes {
		sentences = append(sentences, sentence(o))
	}
	for _, err := range errs {
		if !errors.Is(err, command.ErrConflict) {
			return sentences, errors.Join(errs...)
		}
		sentences = append(sentences, "Too late: "+strings.TrimPrefix(err.Error(), command.ErrConflict.Error()+": ")+".")
	}
	return sentences, nil
}

// sentence says what stands for an alert, and who was first.
func sentence(o command.Outcome) string {
	state := strings.ToLower(string(o.State))
	if !o.Changed {
		return fmt.Sprintf("%s was %s already, by %s at %s.", o.ID, state, o.Actor, o.At.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	text := fmt.Sprintf("%s is %s by %s", o.ID, state, o.Actor)
	if o.CancelledLevel > 0 {
		text += fmt.Sprintf("; escalation level %d will not come", o.CancelledLevel)
	}
	return text + "."
}

// silence silences what the definitions of the alerts fire on their targets. An alert that is CRITICAL is
// named by the one who presses, so the silence means it.
func (d slackDesk) silence(ctx context.Context, press slackapp.Press) ([]string, error) {
	var sentences []string
	silenced := map[string]bool{}
	for _, id := range press.Alerts {
		found, err := d.vault.FindAlert(ctx, id)
		if err != nil {
			return sentences, err
		}
		group := found.Definition + " " + found.Target + " " + found.Tenant
		switch {
		case found.State == alert.StatusResolved:
			sentences = append(sentences, found.ID+" is over; nothing was silenced.")
			continue
		case silenced[group]:
			continue
		}
		silenced[group] = true
		matchers := []string{"definition=" + found.Definition, "target=" + found.Target}
		if found.Tenant != "" {
			matchers = append(matchers, "tenant="+found.Tenant)
		}
		made, err := d.vault.AddSilence(ctx, vault.Silence{
			Matchers: matchers, EndsAt: press.Until, IncludeCritical: found.Severity == alert.SeverityCritical,
			Comment: "pressed in Slack", By: press.Contact, Via: press.Via(),
		})
		if err != nil {
			return sentences, err
		}
		sentences = append(sentences, fmt.Sprintf("%s on %s is silenced until %s (%s). It ends before that by: onevault silence end %s",
			found.Definition, found.Target, press.Until.UTC().Format(time.DateTime+" UTC"), made, made))
	}
	return sentences, nil
}
