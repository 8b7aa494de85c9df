package inbox

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// readWebhook decodes one request of the generic receiver. It accepts any body, as receivers do.
func readWebhook(r *http.Request, raw []byte, v *verifier) (Message, error) {
	m := Message{
		Channel: Webhook,
		From:    r.UserAgent(),
		To:      r.URL.Path,
		Key:     r.Header.Get(standardwebhooks.HeaderWebhookID),
		Raw:     string(raw),
		Pretty:  indentJSON(raw),
		Headers: visibleHeaders(r.Header),
		Subject: "POST " + r.URL.Path,
		Text:    string(raw),
	}
	m.Verified, m.Verdict = v.verdict(raw, r.Header)
	group, ok := readAlertGroup(raw)
	if !ok {
		return m, nil
	}
	html, err := render("alertmanager.html", group)
	if err != nil {
		return m, fmt.Errorf("render webhook: %w", err)
	}
	m.HTML = html
	m.Subject = group.title()
	m.Text = group.plain()
	m.Severity = group.severity()
	if m.Verified != nil && *m.Verified {
		m.offer(group.OneVault.Answers)
	}
	return m, nil
}

// verifier gives the verdict on signatures; without a secret it has none.
type verifier struct {
	webhook *standardwebhooks.Webhook
}

// newVerifier refuses a secret that nobody could sign with: the library takes an empty key, with which
// everybody can. Errors never show the secret.
func newVerifier(secret string) (*verifier, error) {
	if secret == "" {
		return &verifier{}, nil
	}
	encoded, ok := strings.CutPrefix(secret, "whsec_")
	if !ok {
		return nil, errors.New("it must start with whsec_")
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) == 0 {
		return nil, errors.New("the part after whsec_ must be base64 of at least one byte")
	}
	webhook, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		return nil, errors.New("the signature library does not take it")
	}
	return &verifier{webhook: webhook}, nil
}

// verdict is nil when there is nothing to say, and a sentence for people in any case.
func (v *verifier) verdict(body []byte, headers http.Header) (*bool, string) {
	if v.webhook == nil {
		return nil, "unverified: the inbox was started without a secret"
	}
	err := v.webhook.Verify(body, headers)
	good := err == nil
	switch {
	case good:
		return &good, "signature verified"
	case errors.Is(err, standardwebhooks.ErrRequiredHeaders):
		return &good, "not signed: webhook-id, webhook-timestamp or webhook-signature is missing"
	case errors.Is(err, standardwebhooks.ErrMessageTooOld), errors.Is(err, standardwebhooks.ErrMessageTooNew):
		return &good, "refused signature: the timestamp is more than 5 minutes off, a replay looks like this"
	case errors.Is(err, standardwebhooks.ErrNoMatchingSignature):
		return &good, "forged: no signature matches the body and the secret"
	}
	return &good, "the signature headers are malformed"
}

// alertGroup is the body of Alertmanager's webhook, version 4.
type alertGroup struct {
	Version         string            `json:"version"`
	Status          string            `json:"status"` // firing, resolved
	CommonLabels    map[string]string `json:"commonLabels"`
	GroupLabels     map[string]string `json:"groupLabels"`
	TruncatedAlerts int               `json:"truncatedAlerts"`
	Alerts          []groupAlert      `json:"alerts"`
	// OneVault is what our own channel adds; other senders have none of it.
	OneVault struct {
		Test              bool `json:"test"`
		PossibleDuplicate bool `json:"possible_duplicate"`

		Answers []webhookAnswer `json:"answers"`
	} `json:"onevault"`
}

type groupAlert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
}

// readAlertGroup reports whether a body is Alertmanager's.
func readAlertGroup(raw []byte) (alertGroup, bool) {
	var group alertGroup
	err := json.Unmarshal(raw, &group)
	return group, err == nil && group.Version != "" && group.Status != "" && group.Alerts != nil
}

// title is what Alertmanager's own templates make of a group: [FIRING:2] name target; a test says so.
func (g alertGroup) title() string {
	firing := 0
	for _, a := range g.Alerts {
		if a.Status == "firing" {
			firing++
		}
	}
	state := strings.ToUpper(g.Status)
	switch {
	case g.OneVault.Test:
		state = "TEST"
	case firing > 0:
		state = fmt.Sprintf("FIRING:%d", firing)
	}
	words := []string{"[" + state + "]"}
	for _, label := range []string{"alertname", "target", "instance"} {
		if value := g.label(label); value != "" {
			words = append(words, value)
		}
	}
	return strings.Join(words, " ")
}

func (g alertGroup) label(name string) string {
	if value := g.CommonLabels[name]; value != "" {
		return value
	}
	return g.GroupLabels[name]
}

func (g alertGroup) severity() string {
	if g.OneVault.Test {
		return "" // nothing is wrong
	}
	if g.Status == "resolved" {
		return "RESOLVED"
	}
	return knownSeverity(g.label("severity"))
}

func (g alertGroup) plain() string {
	lines := []string{g.title()}
	for _, a := range g.Alerts {
		lines = append(lines, strings.TrimSpace(a.StatusWord()+" "+a.Name()+": "+a.Summary()))
	}
	return strings.Join(lines, "\n")
}

// Name, StatusWord, Since, Summary and OtherAnnotations are what the view shows of one alert.

func (a groupAlert) Name() string { return a.Labels["alertname"] }

func (a groupAlert) StatusWord() string { return strings.ToUpper(a.Status) }

func (a groupAlert) Since() string {
	since := a.StartsAt.UTC().Format("2006-01-02 15:04:05 UTC")
	if a.Status != "resolved" || a.EndsAt.Before(a.StartsAt) {
		return "since " + since
	}
	return fmt.Sprintf("%s, lasted %s", since, a.EndsAt.Sub(a.StartsAt).Round(time.Second))
}

func (a groupAlert) Summary() string {
	if summary := a.Annotations["summary"]; summary != "" {
		return summary
	}
	return a.Annotations["description"]
}

func (a groupAlert) OtherAnnotations() map[string]string {
	others := map[string]string{}
	for name, value := range a.Annotations {
		if value != a.Summary() {
			others[name] = value
		}
	}
	return others
}
