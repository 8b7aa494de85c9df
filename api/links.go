package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"onevault/alert"
	"onevault/command"
	"onevault/link"
	"onevault/vault"
)

//go:embed pages
var pageFiles embed.FS

var (
	linkPage  = template.Must(template.ParseFS(pageFiles, "pages/link.html.tmpl"))
	linkStyle = mustRead("pages/link.css")
	// linkPolicy lets the page show its own style and send its own form, and nothing else.
	linkPolicy = fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'", digestOf(linkStyle))
)

func mustRead(name string) string {
	text, err := pageFiles.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded: unreachable in any binary whose tests ran
	}
	return string(text)
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

const (
	// lookTimeout is how long the page waits for the vault to say what stands: without it the link works, too.
	lookTimeout = 3 * time.Second
	// pageAlerts is how many alerts the page shows.
	pageAlerts = 5
	maxNote    = 500
)

// Links answer alerts from a mail. GET shows what the alert is now and asks; only POST does it, because what
// looks at the links of a mail before its reader does follows them.
type Links struct {
	Inbound *Inbound
	Keys    link.Keys
	Vault   *vault.Store
	Sender  *command.Sender
	Log     *slog.Logger
	Now     func() time.Time
}

// Routes are the two halves of a link.
func (l *Links) Routes() []Route {
	return []Route{
		{Pattern: "GET /links/{token}", Provider: ProviderLink, Handler: http.HandlerFunc(l.ask)},
		{Pattern: "POST /links/{token}", Provider: ProviderLink, MaxBody: 4 << 10, Handler: http.HandlerFunc(l.act)},
	}
}

// page is what somebody reads who followed a link.
type page struct {
	Heading   string
	Tone      string // ask, done, late or failed
	Lines     []string
	Alerts    []pageAlert
	Hidden    int
	Button    string // empty: there is nothing to do
	Recipient string
	Style     template.CSS
}

type pageAlert struct {
	ID, Name, Target, Severity, State string
	Facts                             []pageFact
}

type pageFact struct{ Label, Value string }

// verify reads the token of a request; without claims the request was answered.
func (l *Links) verify(w http.ResponseWriter, r *http.Request) (claims *link.Claims, id string, expired bool) {
	token := r.PathValue("token")
	found, err := l.Keys.Verify(token, l.Now())
	action := command.Action(found.Verb)
	switch {
	case errors.Is(err, link.ErrExpired):
		l.Inbound.Note(r, Refusal{Provider: ProviderLink, Reason: ReasonExpired, Detail: "a link that has expired"})
		return &found, link.ID(token), true
	case err != nil, action != command.Acknowledge && action != command.Resolve:
		l.Inbound.Note(r, Refusal{Provider: ProviderLink, Reason: ReasonSignature, Detail: "a link whose signature does not hold"})
		l.show(w, r, http.StatusNotFound, page{Heading: "This link is not valid", Tone: "failed", Lines: []string{
			"It may be cut off: copy the whole address from the mail. It may also be too old for the key that signed it.",
		}})
		return nil, "", false
	}
	return &found, link.ID(token), false
}

// ask changes nothing, whoever follows the link.
func (l *Links) ask(w http.ResponseWriter, r *http.Request) {
	claims, id, expired := l.verify(w, r)
	if claims == nil {
		return
	}
	p, status := l.standing(r.Context(), *claims, id, expired)
	l.show(w, r, status, p)
}

// standing is the page for what stands now: a question, or why there is none.
func (l *Links) standing(ctx context.Context, c link.Claims, id string, expired bool) (page, int) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	alerts, err := l.find(ctx, c)
	p := page{Recipient: c.Recipient}
	p.list(alerts, l.Now())
	if expired {
		p.Heading, p.Tone = "This link has expired", "late"
		p.Lines = []string{"It was valid until " + clock(c.Expires) + ". Nothing was changed."}
		return p, http.StatusGone
	}
	if err != nil {
		l.Log.Warn("what a link is about cannot be read", "error", err)
		p.Lines = []string{"What stands now cannot be read at this moment. You can act nevertheless."}
	} else if receipt, err := l.Vault.FindReceipt(ctx, ProviderLink, id); err == nil && receipt.Finding == vault.ReceiptDone {
		p.Heading, p.Tone = "This link was used", "late"
		p.Lines = []string{"It was used at " + clock(receipt.At) + ", and works once. What is true now:"}
		return p, http.StatusOK
	} else if over := settled(command.Action(c.Verb), alerts); over != "" {
		p.Heading, p.Tone = over, "done"
		p.Lines = []string{"There is nothing left to do with this link."}
		return p, http.StatusOK
	}
	p.Tone = "ask"
	p.Heading, p.Button = question(command.Action(c.Verb), len(c.Alerts))
	return p, http.StatusOK
}

// question is what the page asks, and what its button says.
func question(action command.Action, alerts int) (heading, button string) {
	which := "this alert"
	if alerts > 1 {
		which = fmt.Sprintf("these %d alerts", alerts)
	}
	if action == command.Resolve {
		return "Resolve " + which + "?", "Resolve"
	}
	return "Acknowledge " + which + "?", "Acknowledge"
}

// settled says why a link has nothing to do any more; empty: it has.
func settled(action command.Action, alerts []vault.ListedAlert) string {
	resolved, acknowledged := 0, 0
	for _, a := range alerts {
		switch a.State {
		case alert.StatusResolved:
			resolved++
		case alert.StatusAcknowledged:
			acknowledged++
		case alert.StatusOpen, alert.StatusEscalated, alert.StatusSuppressed:
		}
	}
	switch {
	case len(alerts) > 0 && resolved == len(alerts):
		return "It is over already"
	case action == command.Acknowledge && len(alerts) > 0 && resolved+acknowledged == len(alerts):
		return "Somebody has taken it already"
	}
	return ""
}

func (l *Links) find(ctx context.Context, c link.Claims) ([]vault.ListedAlert, error) {
	alerts := make([]vault.ListedAlert, 0, len(c.Alerts))
	for _, key := range c.Alerts {
		found, err := l.Vault.FindAlert(ctx, hex.EncodeToString(key[:]))
		if err != nil {
			return alerts, err
		}
		alerts = append(alerts, found)
	}
	return alerts, nil
}

// act does what the link says, once.
func (l *Links) act(w http.ResponseWriter, r *http.Request) {
	claims, id, expired := l.verify(w, r)
	if claims == nil {
		return
	}
	if expired {
		p, status := l.standing(r.Context(), *claims, id, true)
		l.show(w, r, status, p)
		return
	}
	if err := r.ParseForm(); err != nil {
		l.show(w, r, http.StatusBadRequest, page{Heading: "This cannot be read", Tone: "failed", Lines: []string{"Open the link again and press the button."}})
		return
	}
	actor := command.Actor{Name: claims.Recipient, Through: "link:" + claims.Recipient, Verified: true}
	request := command.Request{Verb: command.Action(claims.Verb), Actor: actor, Notes: note(r.PostForm.Get("note"))}
	for _, key := range claims.Alerts {
		request.Alerts = append(request.Alerts, hex.EncodeToString(key[:]))
	}
	delivery := Delivery{Provider: ProviderLink, ID: id, Digest: sha256.Sum256([]byte(id)), Sender: actor.Via()}
	out, first, err := l.Inbound.Once(r.Context(), delivery, func(ctx context.Context) (Outcome, error) { return l.do(ctx, request) })
	if vault.Unreachable(err) && !first {
		// The very database that people are paged about may be down: the alert's workflow answers without it,
		// and the state of the alert is what keeps a second press from doing anything.
		out, err = l.do(r.Context(), request)
		first = true
	}
	switch {
	case errors.Is(err, ErrUnderWay):
		l.show(w, r, http.StatusConflict, page{Heading: "One moment", Tone: "late", Lines: []string{"This link was pressed just now and is being carried out. Open it again in a minute to see what came of it."}})
	case err != nil:
		l.Log.Warn("a link could not be carried out", "verb", claims.Verb, "error", err)
		l.show(w, r, http.StatusServiceUnavailable, page{
			Heading: "It could not be done now", Tone: "failed", Recipient: claims.Recipient, Button: "Try again",
			Lines: []string{"Neither the alert's workflow nor the vault answers. Nothing was changed, and the link is still good."},
		})
	case !first:
		p, status := l.standing(r.Context(), *claims, id, false)
		l.show(w, r, status, p)
	default:
		p, ok := out.Body.(page)
		if !ok {
			l.show(w, r, http.StatusInternalServerError, page{Heading: "It could not be shown", Tone: "failed"})
			return
		}
		l.show(w, r, out.Status, p)
	}
}

// note makes one clean line of what somebody typed.
func note(text string) string {
	clean := strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar }), " ")
	if runes := []rune(clean); len(runes) > maxNote {
		return string(runes[:maxNote])
	}
	return clean
}

func (l *Links) do(ctx context.Context, request command.Request) (Outcome, error) {
	reply, err := l.Sender.Do(ctx, request)
	if err != nil {
		return Outcome{}, err
	}
	for _, err := range reply.Errors {
		l.Log.Warn("a link was not carried out", "verb", request.Verb, "actor", request.Actor.Name, "error", err)
	}
	p := page{Lines: reply.Sentences(), Tone: "done", Heading: "Acknowledged"}
	if request.Verb == command.Resolve {
		p.Heading = "Resolved"
	}
	status := http.StatusOK
	changed := slices.ContainsFunc(reply.Outcomes, func(o command.Outcome) bool { return o.Changed })
	switch {
	case len(reply.Outcomes) == 0:
		p.Heading, p.Tone, status = "Not done", "late", http.StatusConflict
	case !changed:
		p.Heading, p.Tone = "It was so before", "late"
	case request.Verb == command.Acknowledge:
		p.Lines = append(p.Lines, "Paging stops. The alert stays open until its condition clears or somebody resolves it.")
	}
	return Outcome{Status: status, Body: p}, nil
}

// list shows the alerts, the first few of many.
func (p *page) list(alerts []vault.ListedAlert, now time.Time) {
	for _, a := range alerts[:min(len(alerts), pageAlerts)] {
		shown := pageAlert{ID: a.ID, Name: a.Name, Target: a.Target, Severity: string(a.Severity), State: string(a.State)}
		fact := func(label, value string) {
			if value != "" {
				shown.Facts = append(shown.Facts, pageFact{label, value})
			}
		}
		fact("Why", a.Reason)
		if a.Value != nil {
			fact("Value", strings.TrimSpace(fmt.Sprintf("%.6g %s", *a.Value, a.Unit)))
		}
		fact("Since", clock(a.TriggeredAt)+", "+ago(now.Sub(a.TriggeredAt)))
		if a.AcknowledgedBy != "" {
			fact("Taken by", a.AcknowledgedBy+" at "+clock(a.AcknowledgedAt))
		}
		if a.ResolvedBy != "" {
			fact("Ended by", a.ResolvedBy+" at "+clock(a.ResolvedAt))
		}
		fact("To do", a.Runbook)
		p.Alerts = append(p.Alerts, shown)
	}
	p.Hidden = len(alerts) - len(p.Alerts)
}

// linkAnswer is the page for a program that asks for JSON.
type linkAnswer struct {
	Heading string   `json:"heading"`
	Lines   []string `json:"lines"`
}

func (l *Links) show(w http.ResponseWriter, r *http.Request, status int, p page) {
	if r.Header.Get("Accept") == "application/json" {
		l.Inbound.Answer(w, status, linkAnswer{Heading: p.Heading, Lines: append([]string{}, p.Lines...)})
		return
	}
	p.Style = template.CSS(linkStyle)
	var body bytes.Buffer
	if err := linkPage.Execute(&body, p); err != nil {
		l.Log.Error("page not rendered", "error", err)
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", linkPolicy)
	header.Set("X-Robots-Tag", "noindex, nofollow")
	w.WriteHeader(status)
	if _, err := w.Write(body.Bytes()); err != nil {
		l.Log.Warn("page not written", "error", err)
	}
}

func clock(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }

func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours())/24)
}
