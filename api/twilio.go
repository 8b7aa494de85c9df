package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"onevault/command"
	"onevault/notify"
	"onevault/vault"
)

// ProviderTwilio is what receipts, refusals and contacts call Twilio.
const ProviderTwilio = "twilio"

// People knows who is behind an account or a number.
type People interface {
	// Known gives the contact of an account of a provider; ok false: nobody's. An error says that it cannot be
	// known now.
	Known(ctx context.Context, provider, id string) (contact string, ok bool, err error)
}

// Twilio hears what people answer by telephone, and what became of messages and calls. Its requests are known by
// their signature, which covers the public address: whatever a proxy writes into a header changes nothing.
type Twilio struct {
	Inbound *Inbound
	Vault   *vault.Store
	Sender  *command.Sender
	// Phones are the telephone channels. With an error beside them, those that it is about are lacking.
	Phones func(context.Context) ([]*notify.Phone, error)
	// People knows numbers beside those that the channels send to; nil: nobody does.
	People People
	Log    *slog.Logger
	Now    func() time.Time
}

// Routes are for text messages, keys of calls, and receipts.
func (t *Twilio) Routes() []Route {
	return []Route{
		{Pattern: "POST " + notify.TwilioReplyPath, Provider: ProviderTwilio, Handler: t.proved(notify.TwilioReplyPath, t.text)},
		{Pattern: "POST " + notify.TwilioVoicePath, Provider: ProviderTwilio, Handler: t.proved(notify.TwilioVoicePath, t.key)},
		{Pattern: "POST " + notify.TwilioStatusPath, Provider: ProviderTwilio, Handler: t.proved(notify.TwilioStatusPath, t.status)},
	}
}

// call is one request of Twilio that is proved.
type call struct {
	form   url.Values
	query  url.Values
	phone  *notify.Phone   // the channel by whose token it is proved
	phones []*notify.Phone // all channels of that account
}

var (
	messageSID = regexp.MustCompile(`^[SM]M[0-9a-fA-F]{32}$`)
	callSID    = regexp.MustCompile(`^CA[0-9a-fA-F]{32}$`)
)

// proved lets through what Twilio signed.
func (t *Twilio) proved(path string, next func(http.ResponseWriter, *http.Request, call)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := t.Inbound.Body(w, r, ProviderTwilio)
		if !ok {
			return
		}
		form, err := url.ParseQuery(string(body))
		address := t.Inbound.PublicURL(path)
		if err != nil || address == nil {
			t.refuse(w, r, ReasonSignature, http.StatusForbidden, "a request that is no form")
			return
		}
		phones, err := t.Phones(r.Context())
		if err != nil {
			t.Log.Error("telephone channels not read", "error", err)
		}
		if phones == nil && err != nil {
			t.Inbound.Answer(w, http.StatusServiceUnavailable, map[string]string{"error": "it cannot be made sure that this is Twilio's; try again"})
			return
		}
		address.RawQuery = r.URL.RawQuery
		c := call{form: form, query: r.URL.Query()}
		for _, phone := range phones {
			if phone.Account() != form.Get("AccountSid") {
				continue
			}
			c.phones = append(c.phones, phone)
			if c.phone == nil && phone.Signed(address.String(), form, r.Header.Get("X-Twilio-Signature")) {
				c.phone = phone
			}
		}
		if c.phone == nil {
			t.refuse(w, r, ReasonSignature, http.StatusForbidden, "a request that the account's token did not sign for the address that is configured")
			return
		}
		next(w, r, c)
	})
}

func (t *Twilio) refuse(w http.ResponseWriter, r *http.Request, reason Reason, status int, detail string) {
	t.Inbound.Refuse(w, r, Refusal{Provider: ProviderTwilio, Reason: reason, Status: status, Say: "the request is not accepted", Detail: detail})
}

// who is behind a number: a contact, or a recipient of the channels, who has no other name. The error is for the
// one who asks.
func (t *Twilio) who(ctx context.Context, c call, number, through string) (actor command.Actor, known bool, err error) {
	actor = command.Actor{Name: number, Through: through + ":" + number, Verified: true}
	if t.People != nil {
		contact, ok, err := t.People.Known(ctx, ProviderTwilio, number)
		if err == nil && ok {
			actor.Name = contact
			return actor, true, nil
		}
		if err != nil && !slices.ContainsFunc(c.phones, func(p *notify.Phone) bool { return p.Knows(number) }) {
			return actor, false, err
		}
	}
	return actor, slices.ContainsFunc(c.phones, func(p *notify.Phone) bool { return p.Knows(number) }), nil
}

// notNow is what somebody hears when neither the workflow nor the vault answers.
const notNow = "It could not be done now, and nothing was changed. Try again in a minute, or use the command line."

// text answers a text message by one that says what is true now.
func (t *Twilio) text(w http.ResponseWriter, r *http.Request, c call) {
	sid, from, body := c.form.Get("MessageSid"), c.form.Get("From"), c.form.Get("Body")
	if !messageSID.MatchString(sid) || from == "" {
		t.refuse(w, r, ReasonMalformed, http.StatusBadRequest, "a text message without its id or its sender")
		return
	}
	actor, known, err := t.who(r.Context(), c, from, "sms")
	switch {
	case err != nil:
		t.Log.Error("contacts not read", "error", err)
		t.replyText(w, "Nothing was done: who you are cannot be looked up at the moment. Try again, or use the command line.")
		return
	case !known:
		t.Inbound.Note(r, Refusal{Provider: ProviderTwilio, Reason: ReasonUnknownSender, Detail: "a text message of a number that is nobody's"})
		t.replyText(w, "") // an answer would tell a stranger that somebody listens, and cost money
		return
	}
	reply := parseReply(body)
	if reply.Verb == "" {
		if reply.Silent {
			reply.Say = ""
		}
		t.replyText(w, reply.Say)
		return
	}
	delivery := Delivery{Provider: ProviderTwilio, ID: sid, Digest: sha256.Sum256([]byte(from + "\x00" + body)), Sender: actor.Via()}
	said, err := t.once(r.Context(), delivery, func(ctx context.Context) (string, error) { return t.carryOut(ctx, actor, from, reply) })
	switch {
	case errors.Is(err, ErrDifferent):
		t.refuse(w, r, ReasonReplayed, http.StatusConflict, "another text under an id that was used")
	case errors.Is(err, ErrUnderWay):
		t.replyText(w, "")
	case err != nil:
		t.Log.Warn("a text message could not be carried out", "verb", reply.Verb, "error", err)
		t.replyText(w, notNow)
	default:
		t.replyText(w, said)
	}
}

// once does what was asked for, or says what was said the first time. The vault that people are paged about may be
// down: then the state of the alerts is what keeps a repetition from doing anything.
func (t *Twilio) once(ctx context.Context, d Delivery, work func(context.Context) (string, error)) (said string, err error) {
	out, first, err := t.Inbound.Once(ctx, d, func(ctx context.Context) (Outcome, error) {
		said, err := work(ctx)
		return Outcome{Status: http.StatusOK, Body: said}, err
	})
	if vault.Unreachable(err) && !first {
		return work(context.WithoutCancel(ctx))
	}
	if err != nil {
		return "", err
	}
	switch body := out.Body.(type) {
	case string:
		return body, nil
	case json.RawMessage:
		err := json.Unmarshal(body, &said)
		return said, err
	}
	return "", fmt.Errorf("an answer of the form %T is kept", out.Body)
}

func (t *Twilio) carryOut(ctx context.Context, actor command.Actor, number string, reply textReply) (string, error) {
	if len(reply.Alerts) == 0 {
		told, err := t.Vault.AlertsToldTo(ctx, number)
		switch {
		case vault.Unreachable(err):
			return "Nothing was done: name the alert, such as ACK 7F3K.", nil
		case err != nil:
			return "", err
		case len(told) == 0:
			return "Nothing was done: this number was told of no alert that is still open.", nil
		case len(told) > 1 && !reply.All:
			return which(reply.Verb, told), nil
		}
		reply.Alerts = told
	}
	request := command.Request{Verb: reply.Verb, Alerts: reply.Alerts, Actor: actor, Minutes: reply.Minutes}
	if reply.Verb == command.Snooze {
		request.Notes = "snoozed by text message"
	}
	return t.do(ctx, request)
}

func (t *Twilio) do(ctx context.Context, request command.Request) (string, error) {
	done, err := t.Sender.Do(ctx, request)
	if err != nil {
		return "", err
	}
	for _, err := range done.Errors {
		t.Log.Warn("an answer by telephone was not carried out", "verb", request.Verb, "via", request.Actor.Via(), "error", err)
	}
	return inShort(done), nil
}

func (t *Twilio) replyText(w http.ResponseWriter, text string) {
	document, err := notify.TextReply(text)
	t.twiml(w, document, err)
}

func (t *Twilio) twiml(w http.ResponseWriter, document string, err error) {
	if err != nil {
		t.Log.Error("answer to Twilio not written", "error", err)
		http.Error(w, "the answer cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	if _, err := w.Write([]byte(document)); err != nil {
		t.Log.Warn("answer to Twilio not sent", "error", err)
	}
}

// keyVerbs are what the keys of a call do, as its text announces them.
var keyVerbs = map[string]command.Action{
	notify.KeyAcknowledge: command.Acknowledge, notify.KeyEscalate: command.Escalate, notify.KeyResolve: command.Resolve,
}

// key answers the key that somebody pressed in a call of ours.
func (t *Twilio) key(w http.ResponseWriter, r *http.Request, c call) {
	sid, digits, number := c.form.Get("CallSid"), c.form.Get("Digits"), c.query.Get(notify.CallbackRecipient)
	if !callSID.MatchString(sid) || digits == "" || number == "" || c.form.Get("To") != number {
		t.refuse(w, r, ReasonMalformed, http.StatusBadRequest, "a key without its call, or of a call to another number")
		return
	}
	actor, known, err := t.who(r.Context(), c, number, "call")
	switch {
	case err != nil:
		t.Log.Error("contacts not read", "error", err)
		t.goodbye(w, c, "Nothing was done. Who you are cannot be looked up at the moment.")
		return
	case !known:
		t.Inbound.Note(r, Refusal{Provider: ProviderTwilio, Reason: ReasonUnknownSender, Detail: "a key from a number that is nobody's any more"})
		t.goodbye(w, c, "Nothing was done. This number belongs to nobody.")
		return
	}
	verb, means := keyVerbs[digits]
	if !means {
		t.again(w, r, c, digits)
		return
	}
	delivery := Delivery{Provider: ProviderTwilio, ID: sid + "/" + digits, Digest: sha256.Sum256([]byte(r.URL.RawQuery)), Sender: actor.Via()}
	said, err := t.once(r.Context(), delivery, func(ctx context.Context) (string, error) {
		alerts, err := t.alertsOf(ctx, c)
		if err != nil {
			return "", err
		}
		return t.do(ctx, command.Request{Verb: verb, Alerts: alerts, Actor: actor})
	})
	switch {
	case errors.Is(err, ErrDifferent):
		t.refuse(w, r, ReasonReplayed, http.StatusConflict, "a key of a call that was about something else")
	case errors.Is(err, ErrUnderWay):
		t.goodbye(w, c, "It is being done. Goodbye.")
	case err != nil:
		t.Log.Warn("a key could not be carried out", "verb", verb, "error", err)
		t.goodbye(w, c, notNow)
	default:
		t.goodbye(w, c, said+" Goodbye.")
	}
}

// alertsOf are the alerts of a call: its address names them, or the ledger does.
func (t *Twilio) alertsOf(ctx context.Context, c call) ([]string, error) {
	if named := c.query.Get(notify.CallbackAlerts); named != "" {
		return strings.Split(named, ","), nil
	}
	told, err := t.Vault.ToldBy(ctx, c.query.Get(notify.CallbackDelivery), c.query.Get(notify.CallbackChannel), c.query.Get(notify.CallbackRecipient))
	return told.Alerts, err
}

// again says once more what the call is about, and waits for another key.
func (t *Twilio) again(w http.ResponseWriter, r *http.Request, c call, digits string) {
	told, err := t.Vault.ToldBy(r.Context(), c.query.Get(notify.CallbackDelivery), c.query.Get(notify.CallbackChannel), c.query.Get(notify.CallbackRecipient))
	if err != nil {
		t.Log.Warn("a call cannot be repeated", "error", err)
		told.Content = "What the call is about cannot be read at the moment."
	}
	if digits != notify.KeyRepeat {
		told.Content = "That key does nothing. " + told.Content
	}
	action := t.Inbound.PublicURL(notify.TwilioVoicePath)
	action.RawQuery = r.URL.RawQuery
	document, err := c.phone.Again(told.Content, action.String())
	t.twiml(w, document, err)
}

func (t *Twilio) goodbye(w http.ResponseWriter, c call, text string) {
	document, err := c.phone.Goodbye(text)
	t.twiml(w, document, err)
}

// arrived are the states of messages and calls at Twilio, in the ledger's words. A call that nobody takes failed.
var arrived = map[string]string{
	"accepted": "SENT", "scheduled": "SENT", "queued": "SENT", "sending": "SENT", "sent": "SENT",
	"initiated": "SENT", "ringing": "SENT", "in-progress": "SENT", "answered": "SENT",
	"delivered": "DELIVERED", "read": "DELIVERED", "completed": "DELIVERED",
	"undelivered": "FAILED", "failed": "FAILED", "canceled": "FAILED", "busy": "FAILED", "no-answer": "FAILED",
}

// status records what became of a message or a call. Twilio sends each state once or more, in any order.
func (t *Twilio) status(w http.ResponseWriter, r *http.Request, c call) {
	sid, said := c.form.Get("MessageSid"), c.form.Get("MessageStatus")
	if sid == "" {
		sid, said = c.form.Get("CallSid"), c.form.Get("CallStatus")
	}
	delivery := c.query.Get(notify.CallbackDelivery)
	status, means := arrived[said]
	if !means || delivery == "" || !messageSID.MatchString(sid) && !callSID.MatchString(sid) {
		t.refuse(w, r, ReasonMalformed, http.StatusBadRequest, "a state without its message, or one that is not known")
		return
	}
	receipt := vault.DeliveryReceipt{Provider: "TWILIO", Reference: delivery, Status: status, At: t.happened(c), Details: map[string]string{
		"recipient": c.query.Get(notify.CallbackRecipient), "channel": c.query.Get(notify.CallbackChannel), "said": said, "sid": sid,
	}}
	if status == "FAILED" {
		receipt.Details["reason"] = undelivered(said, c.form.Get("ErrorCode"))
	}
	d := Delivery{Provider: ProviderTwilio, ID: sid + "/" + said, Digest: sha256.Sum256([]byte(r.URL.RawQuery)), Sender: "twilio (verified)"}
	_, _, err := t.Inbound.Once(r.Context(), d, func(ctx context.Context) (Outcome, error) {
		effects, err := t.Vault.RecordReceipt(ctx, receipt)
		return Outcome{Status: http.StatusOK, Body: effects}, err
	})
	switch {
	case errors.Is(err, ErrDifferent):
		t.refuse(w, r, ReasonReplayed, http.StatusConflict, "a state of a message under the address of another")
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		t.Log.Warn("a receipt of Twilio not recorded", "error", err)
		t.Inbound.Answer(w, http.StatusServiceUnavailable, map[string]string{"error": "it cannot be recorded now; try again"})
	}
}

// happened is when a state came about: of calls Twilio says it, to the second; of messages it is now.
func (t *Twilio) happened(c call) time.Time {
	if at, err := time.Parse(time.RFC1123Z, c.form.Get("Timestamp")); err == nil && at.Before(t.Now()) {
		return at.UTC()
	}
	return t.Now().UTC()
}

var errorCode = regexp.MustCompile(`^[0-9]{5}$`)

func undelivered(said, code string) string {
	reason := "Twilio says " + said
	switch {
	case said == "busy":
		return reason + ": the line was busy"
	case said == "no-answer":
		return reason + ": nobody took the call"
	case errorCode.MatchString(code):
		reason += " (error " + code + ", see https://www.twilio.com/docs/api/errors/" + code + ")"
	}
	return reason
}
