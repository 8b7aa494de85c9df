package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"onevault/command"
	"onevault/notify"
	"onevault/vault"
)

// ProviderPagerDuty is what receipts, refusals and contacts call PagerDuty.
const ProviderPagerDuty = "pagerduty"

const (
	// pagerBody is what a webhook about one incident takes at most.
	pagerBody = 512 << 10
	// pagerLate is when an event is too old to be acted on: PagerDuty tries again for two days.
	pagerLate  = 7 * 24 * time.Hour
	maxEventID = 100
)

// PagerDuty hears what people do at PagerDuty: who acknowledges an incident there has the alert here, who resolves it
// there ends it here. What PagerDuty does by itself, and what came from here, is nobody's answer.
type PagerDuty struct {
	Inbound *Inbound
	Vault   *vault.Store
	Sender  *command.Sender
	// Hook is the receiving side of a channel; nil: there is none.
	Hook func(ctx context.Context, channel string) (*notify.PagerHook, error)
	// People knows users of PagerDuty by another name; nil: nobody does, and they keep that of PagerDuty.
	People People
	Log    *slog.Logger
	Now    func() time.Time
}

// Routes are one for each channel.
func (p *PagerDuty) Routes() []Route {
	return []Route{{Pattern: "POST /pagerduty/{channel}", Provider: ProviderPagerDuty, MaxBody: pagerBody, Handler: http.HandlerFunc(p.hear)}}
}

// pagerWebhook is a webhook v3, as far as it is acted on.
type pagerWebhook struct {
	Event struct {
		ID         string    `json:"id"`
		Type       string    `json:"event_type"`
		OccurredAt time.Time `json:"occurred_at"`
		Agent      struct {
			ID      string `json:"id"`
			Type    string `json:"type"`
			Summary string `json:"summary"`
		} `json:"agent"` // empty: PagerDuty itself
		Data struct {
			IncidentKey string `json:"incident_key"` // the dedup_key of our event
		} `json:"data"`
	} `json:"event"`
}

// byPerson reports whether somebody did it. Our own events come back with the integration as their agent.
func (h pagerWebhook) byPerson() bool {
	return h.Event.Agent.Type == "user_reference" && h.Event.Agent.ID != ""
}

var pagerVerbs = map[string]command.Action{
	"incident.acknowledged": command.Acknowledge, "incident.unacknowledged": command.Unacknowledge, "incident.resolved": command.Resolve,
}

// pagerAnswer answers a webhook; PagerDuty looks at its status alone.
type pagerAnswer struct {
	Said []string `json:"said"`
}

func (p *PagerDuty) hear(w http.ResponseWriter, r *http.Request) {
	channel := r.PathValue("channel")
	body, ok := p.Inbound.Body(w, r, ProviderPagerDuty)
	if !ok {
		return
	}
	hook, err := p.Hook(r.Context(), channel)
	if err != nil {
		p.Log.Error("webhook of PagerDuty cannot be verified", "error", err)
		p.Inbound.Answer(w, http.StatusServiceUnavailable, map[string]string{"error": "it cannot be verified now; try again"})
		return
	}
	if hook == nil {
		p.refuse(w, r, ReasonUnknownSender, http.StatusForbidden, "no channel of that name hears PagerDuty")
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err := hook.Verify(r); err != nil {
		p.refuse(w, r, ReasonSignature, http.StatusForbidden, "a webhook that the channel's secret did not sign")
		return
	}
	var webhook pagerWebhook
	if err := json.Unmarshal(body, &webhook); err != nil || webhook.Event.ID == "" || len(webhook.Event.ID) > maxEventID {
		p.refuse(w, r, ReasonMalformed, http.StatusBadRequest, "a signed body that is no webhook of version 3")
		return
	}
	if p.Now().Sub(webhook.Event.OccurredAt) > pagerLate {
		p.refuse(w, r, ReasonReplayed, http.StatusForbidden, "an event of more than a week ago")
		return
	}
	p.take(w, r, channel, webhook)
}

// refuse answers 4xx, after which PagerDuty does not try again.
func (p *PagerDuty) refuse(w http.ResponseWriter, r *http.Request, reason Reason, status int, detail string) {
	p.Inbound.Refuse(w, r, Refusal{Provider: ProviderPagerDuty, Reason: reason, Status: status, Say: "the webhook is not accepted", Detail: detail})
}

// take acts on an event once. It is known by its own id, which the signature covers, and not by the header
// X-Webhook-Id, which whoever repeats a request can change.
func (p *PagerDuty) take(w http.ResponseWriter, r *http.Request, channel string, webhook pagerWebhook) {
	event := webhook.Event
	verb, commands := pagerVerbs[event.Type]
	var work func(context.Context) (Outcome, error)
	sender := "pagerduty (verified)"
	switch {
	case commands && webhook.byPerson() && event.Data.IncidentKey != "":
		actor, err := p.who(r.Context(), channel, webhook)
		if err != nil {
			p.Log.Warn("contacts not read; whoever acts at PagerDuty keeps the name of there", "error", err)
		}
		sender = actor.Via()
		request := command.Request{Verb: verb, Alerts: []string{event.Data.IncidentKey}, Actor: actor, Notes: "at PagerDuty"}
		work = func(ctx context.Context) (Outcome, error) { return p.carryOut(ctx, request) }
	case event.Type == "incident.triggered" && event.Data.IncidentKey != "":
		work = func(ctx context.Context) (Outcome, error) { return p.arrived(ctx, channel, webhook) }
	default: // a ping, or what changes nothing here
		p.Inbound.Answer(w, http.StatusOK, pagerAnswer{Said: []string{}})
		return
	}
	digest := sha256.Sum256([]byte(event.Type + "\x00" + event.Data.IncidentKey + "\x00" + event.Agent.ID))
	out, first, err := p.Inbound.Once(r.Context(), Delivery{Provider: ProviderPagerDuty, ID: channel + "/" + event.ID, Digest: digest, Sender: sender}, work)
	if vault.Unreachable(err) && !first && commands {
		// The vault that people are paged about may be down: the state of the alert keeps a repetition from doing anything.
		out, err = work(context.WithoutCancel(r.Context()))
	}
	switch {
	case err == nil:
		p.Inbound.Answer(w, out.Status, out.Body)
	case errors.Is(err, ErrDifferent):
		p.refuse(w, r, ReasonReplayed, http.StatusConflict, "another event under an id that was used")
	case errors.Is(err, ErrUnderWay):
		p.Inbound.Answer(w, http.StatusServiceUnavailable, map[string]string{"error": "the same is under way; try again"})
	default:
		p.Log.Warn("a webhook of PagerDuty not carried out", "event", event.Type, "error", err)
		p.Inbound.Answer(w, http.StatusServiceUnavailable, map[string]string{"error": "it cannot be carried out now; try again"})
	}
}

// who acted there. PagerDuty verified the person; a contact gives the name by which people know him here.
func (p *PagerDuty) who(ctx context.Context, channel string, webhook pagerWebhook) (command.Actor, error) {
	agent := webhook.Event.Agent
	actor := command.Actor{Name: agent.Summary, Through: notify.PagerDutyVia(channel, agent.ID), Verified: true}
	if actor.Name == "" {
		actor.Name = agent.ID
	}
	if p.People == nil {
		return actor, nil
	}
	contact, ok, err := p.People.Known(ctx, ProviderPagerDuty, agent.ID)
	if ok && err == nil {
		actor.Name = contact
	}
	return actor, err
}

func (p *PagerDuty) carryOut(ctx context.Context, request command.Request) (Outcome, error) {
	reply, err := p.Sender.Do(ctx, request)
	if err != nil {
		return Outcome{}, err
	}
	for _, err := range reply.Errors {
		// Another system's incidents may be in the same service: those are not ours.
		p.Log.Info("an answer at PagerDuty changes nothing here", "verb", request.Verb, "via", request.Actor.Via(), "error", err)
	}
	return Outcome{Status: http.StatusOK, Body: pagerAnswer{Said: reply.Sentences()}}, nil
}

// arrived: an incident is the proof that the event did more than be taken.
func (p *PagerDuty) arrived(ctx context.Context, channel string, webhook pagerWebhook) (Outcome, error) {
	at := webhook.Event.OccurredAt
	if at.IsZero() || at.After(p.Now()) {
		at = p.Now()
	}
	effects, err := p.Vault.RecordReceipt(ctx, vault.DeliveryReceipt{
		Provider: "PAGERDUTY", Reference: webhook.Event.Data.IncidentKey, Status: "DELIVERED", At: at,
		Details: map[string]string{"channel": channel, "said": webhook.Event.Type},
	})
	said := make([]string, 0, len(effects))
	for _, effect := range effects {
		said = append(said, effect.Effect)
	}
	return Outcome{Status: http.StatusOK, Body: pagerAnswer{Said: said}}, err
}
