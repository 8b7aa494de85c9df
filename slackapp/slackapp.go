// Package slackapp is the receiving side of the Slack app: what people press in its messages, by HTTP
// (interactivity with a signing secret) or by Socket Mode (a connection that the worker opens, for sites
// that nobody reaches from outside).
//
// It owns that a press is Slack's, that it is answered within the three seconds that Slack waits, that it
// takes effect once, and that whoever pressed is somebody. It refuses to decide what a command may do: that
// is the alerts' workflows' word, which a Desk brings.
package slackapp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"onevault/notify"
)

// Provider is what contacts, receipts and refusals call Slack.
const Provider = "slack"

// Verb is what somebody wants of alerts.
type Verb string

const (
	Acknowledge Verb = "acknowledge"
	Resolve     Verb = "resolve"
	Escalate    Verb = "escalate"
	Silence     Verb = "silence"
)

// Press is one command that somebody gave by a button.
type Press struct {
	Verb       Verb
	WorkflowID string    // alert/<target>/<definition>
	Alerts     []string  // their short ids, at least one
	Until      time.Time // of a silence
	Contact    string    // who pressed, as the contacts have it
	UserID     string    // who pressed, as Slack has it: proved by Slack's signature
}

// Via is how the vault records that the actor is known.
func (p Press) Via() string { return Provider + ":" + p.UserID + " (verified)" }

// Desk carries commands to where they take effect.
type Desk interface {
	// Do answers with sentences for the one who pressed: what stands now, who was first, or why not. An error
	// is for what may pass; then nothing was done.
	Do(ctx context.Context, press Press) (sentences []string, err error)
}

// People knows who is behind an account.
type People interface {
	// Known gives the contact of an account of a provider; ok false: nobody's. An error says that it cannot be
	// known now.
	Known(ctx context.Context, provider, id string) (contact string, ok bool, err error)
}

// Refusal is a request that was not accepted, for whoever records such things. Say holds nothing that was sent.
type Refusal struct {
	Request *http.Request // nil: it came by Socket Mode
	Reason  string        // SIGNATURE, REPLAYED, MALFORMED, UNKNOWN_SENDER
	Say     string
}

// Once does work when an id comes for the first time, and nothing when it comes again.
type Once func(ctx context.Context, id string, content [sha256.Size]byte, sender string, work func(context.Context)) error

// Config says what an App is told.
type Config struct {
	Desk   Desk
	People People
	// Once keeps what was pressed from taking effect twice.
	Once Once
	// Refused hears of requests that were not accepted.
	Refused func(context.Context, Refusal)
	// Zone is where "until tomorrow" ends at nine; nil: UTC.
	Zone *time.Location
	// Answers reaches Slack's response URLs; nil: a client without redirects that reaches https://hooks.slack.com
	// alone.
	Answers *http.Client
	// AnswersAt are further prefixes of response URLs that are believed, for a development start.
	AnswersAt []string
	Log       *slog.Logger
}

// App hears what people press. Safe for concurrent use.
type App struct {
	Config
	now     func() time.Time
	running sync.WaitGroup
}

// workTime bounds one command: Slack has its answer already.
const workTime = 30 * time.Second

// New makes an app. Its error names what is missing.
func New(cfg Config) (*App, error) {
	if cfg.Desk == nil || cfg.People == nil || cfg.Once == nil || cfg.Refused == nil {
		return nil, errors.New("the Slack app needs a desk for commands, the contacts of people, a memory of what was pressed, and somebody who hears of refusals")
	}
	if cfg.Zone == nil {
		cfg.Zone = time.UTC
	}
	if cfg.Answers == nil {
		cfg.Answers = newAnswerClient()
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &App{Config: cfg, now: time.Now}, nil
}

// Wait returns when every command that was begun has ended. Nothing may be pressed any more.
func (a *App) Wait() { a.running.Wait() }

// begin works on a press that is Slack's, after its receipt was answered.
func (a *App) begin(ctx context.Context, r *http.Request, callback slack.InteractionCallback) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), workTime)
	a.running.Go(func() {
		defer cancel()
		for _, action := range callback.ActionCallback.BlockActions {
			if action.BlockID == notify.SlackActions {
				a.work(ctx, r, callback, action)
			}
		}
	})
}

// work carries out one action once, and tells the one who pressed what came of it.
func (a *App) work(ctx context.Context, r *http.Request, callback slack.InteractionCallback, action *slack.BlockAction) {
	press, err := a.press(callback, action)
	if err != nil {
		a.refuse(ctx, r, "MALFORMED", "a press that means nothing: "+err.Error())
		a.answer(ctx, callback.ResponseURL, "This button cannot be used: "+err.Error()+".")
		return
	}
	contact, ok, err := a.People.Known(ctx, Provider, press.UserID)
	switch {
	case err != nil:
		a.Log.ErrorContext(ctx, "slack: contacts not read", "error", err)
		a.answer(ctx, callback.ResponseURL, "Nothing was done: who you are cannot be looked up at the moment. Try again, or use the command line.")
		return
	case !ok:
		a.refuse(ctx, r, "UNKNOWN_SENDER", "an account that belongs to no contact pressed a button")
		a.answer(ctx, callback.ResponseURL, "Nothing was done: your Slack account ("+press.UserID+") belongs to no contact. Whoever runs OneVault can add it.")
		return
	}
	press.Contact = contact
	id, content := identity(callback, action)
	err = a.Once(ctx, id, content, press.Via(), func(ctx context.Context) { a.carryOut(ctx, press, callback.ResponseURL) })
	if err != nil {
		a.Log.ErrorContext(ctx, "slack: press not carried out", "verb", press.Verb, "error", err)
		a.answer(ctx, callback.ResponseURL, "Nothing was done: it cannot be made sure that it happens once. Try again, or use the command line.")
	}
}

func (a *App) carryOut(ctx context.Context, press Press, responseURL string) {
	sentences, err := a.Desk.Do(ctx, press)
	if err != nil {
		a.Log.ErrorContext(ctx, "slack: press failed", "verb", press.Verb, "workflow", press.WorkflowID, "via", press.Via(), "error", err)
		sentences = append(sentences, "It could not be done at the moment. Try again, or use the command line: onevault alert list")
	} else {
		a.Log.InfoContext(ctx, "slack: press carried out", "verb", press.Verb, "workflow", press.WorkflowID, "via", press.Via())
	}
	a.answer(ctx, responseURL, sentences...)
}

// press says what an action means. What it names comes from the message that Slack says was pressed in.
func (a *App) press(callback slack.InteractionCallback, action *slack.BlockAction) (Press, error) {
	p := Press{UserID: callback.User.ID}
	if p.UserID == "" {
		return Press{}, errors.New("it names nobody who pressed")
	}
	value := action.Value
	switch action.ActionID {
	case notify.SlackAcknowledge:
		p.Verb = Acknowledge
	case notify.SlackResolve:
		p.Verb = Resolve
	case notify.SlackEscalate:
		p.Verb = Escalate
	case notify.SlackSilence:
		p.Verb = Silence
		value = besideValue(callback.Message.Blocks)
		var err error
		if p.Until, err = silenceEnd(action.SelectedOption.Value, a.now(), a.Zone); err != nil {
			return Press{}, err
		}
	default:
		return Press{}, fmt.Errorf("nothing is known of %.60q", action.ActionID)
	}
	ref, err := notify.ParseSlackRef(value)
	if err != nil {
		return Press{}, err
	}
	p.WorkflowID, p.Alerts = ref.WorkflowID, ref.Alerts
	return p, nil
}

// besideValue is the value of a button of the message: a choice has no room for which alerts it means.
func besideValue(blocks slack.Blocks) string {
	for _, block := range blocks.BlockSet {
		actions, ok := block.(*slack.ActionBlock)
		if !ok || actions.BlockID != notify.SlackActions || actions.Elements == nil {
			continue
		}
		for _, element := range actions.Elements.ElementSet {
			button, ok := element.(*slack.ButtonBlockElement)
			if ok && slices.Contains([]string{notify.SlackAcknowledge, notify.SlackResolve}, button.ActionID) {
				return button.Value
			}
		}
	}
	return ""
}

// silenceEnd is when a silence ends that begins now. Tomorrow is the day after today by the clocks of the
// zone, at nine: somebody is there again.
func silenceEnd(choice string, now time.Time, zone *time.Location) (time.Time, error) {
	switch choice {
	case notify.SlackSilenceHour:
		return now.Add(time.Hour), nil
	case notify.SlackSilenceHours:
		return now.Add(4 * time.Hour), nil
	case notify.SlackSilenceTomorrow:
		today := now.In(zone)
		return time.Date(today.Year(), today.Month(), today.Day()+1, 9, 0, 0, 0, zone), nil
	}
	return time.Time{}, fmt.Errorf("there is no silence of %.20q", choice)
}

// identity is the same however often Slack, or somebody who recorded it, sends one press.
func identity(callback slack.InteractionCallback, action *slack.BlockAction) (id string, content [sha256.Size]byte) {
	content = sha256.Sum256([]byte(fmt.Sprintf("%q", []string{
		callback.Team.ID, callback.Channel.ID, callback.Message.Timestamp, callback.User.ID,
		action.ActionID, action.ActionTs, action.Value, action.SelectedOption.Value,
	})))
	return hex.EncodeToString(content[:16]), content
}

func (a *App) refuse(ctx context.Context, r *http.Request, reason, say string) {
	a.Log.WarnContext(ctx, "slack: refused", "reason", reason, "say", say)
	a.Refused(ctx, Refusal{Request: r, Reason: reason, Say: say})
}
