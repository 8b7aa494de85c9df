package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"onevault/alert"
)

const (
	// maxWebhookAlerts bounds a body; the rest is counted in truncatedAlerts, as Alertmanager does.
	maxWebhookAlerts = 500
	// minSigningKey is the least a signature is worth anything with.
	minSigningKey = 16
)

// webhookConfig is the WEBHOOK shape: {"url"|"url_env"|"url_file", "secret_env"|"secret_file",
// "unsigned": true, "headers": {name: value}, "headers_env": {name: variable}}. As every shape it may hold
// "one_message_per_alert": true.
type webhookConfig struct {
	url, secret secretRef
	unsigned    bool
	headers     map[string]string
	headersEnv  map[string]string
}

func parseWebhook(f *fields) webhookConfig {
	c := webhookConfig{
		url: f.secretRef("url", true), secret: f.secretRef("secret", false), unsigned: f.boolean("unsigned"),
		headers: f.textMap("headers"), headersEnv: f.textMap("headers_env"),
	}
	if !c.url.present {
		f.fail("url", "it is missing; give the receiver's URL in url, url_env or url_file")
	}
	if c.url.inline != "" {
		if _, err := parseURL("url", string(c.url.inline)); err != nil {
			f.errs = append(f.errs, err)
		}
	}
	switch {
	case !c.secret.present && !c.unsigned:
		f.fail("secret_env", `it is missing, so receivers could not tell our messages from forged ones; name the variable that holds the secret, or state "unsigned": true`)
	case c.secret.present && c.unsigned:
		f.fail("unsigned", "it contradicts the secret that is given; remove one of the two")
	}
	checkHeaders(f, c)
	return c
}

// ownHeaders are ours to set: a row must not replace the signature or the framing.
var ownHeaders = []string{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature", "Content-Type", "Content-Length", "Host", "Transfer-Encoding", "Connection", "User-Agent"}

func checkHeaders(f *fields, c webhookConfig) {
	for _, name := range slices.Sorted(maps.Keys(c.headers)) {
		checkHeaderName(f, "headers", name)
		if strings.ContainsAny(c.headers[name], "\r\n\x00") {
			f.fail("headers", "the value of %s holds a line break", name)
		}
		if secretName.MatchString(name) || strings.EqualFold(name, "Cookie") {
			f.hints = append(f.hints, fmt.Errorf("headers: %s stands in the row as plain text; name a variable in headers_env instead", name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.headersEnv)) {
		checkHeaderName(f, "headers_env", name)
		if variable := c.headersEnv[name]; !envName.MatchString(variable) || reservedEnv.MatchString(variable) {
			f.fail("headers_env", "%s must name a variable of the form [A-Z][A-Z0-9_]* that is not a credential of the worker itself", name)
		}
	}
}

func checkHeaderName(f *fields, field, name string) {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	isToken := name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
	if !isToken || slices.Contains(ownHeaders, canonical) || strings.HasPrefix(canonical, "Ce-") {
		f.fail(field, "%q cannot be set here; choose another header", oneLine(name, 60))
	}
}

// webhook posts the body that Alertmanager posts, so that existing receivers work unchanged, signed as
// Standard Webhooks describe and with CloudEvents' binary headers.
type webhook struct {
	url     *url.URL
	keys    [][]byte // newest first; empty when unsigned was stated
	headers map[string]secret
	client  *http.Client
	timeout time.Duration
	scrub   scrubber
	name    string // the channel's key, Alertmanager's receiver
	now     func() time.Time
}

func openWebhook(cfg Config, o Options) (Channel, error) {
	f := parseFields(cfg)
	c := parseWebhook(f)
	if err := f.err(); err != nil {
		return nil, err
	}
	target, err := loadURL(c.url, o)
	if err != nil {
		return nil, err
	}
	headers, err := loadHeaders(c, o)
	if err != nil {
		return nil, err
	}
	signing, err := c.secret.load(o)
	if err != nil {
		return nil, err
	}
	keys, err := signingKeys(signing)
	if err != nil {
		return nil, err
	}
	known := append(urlSecrets(target), signing)
	for _, part := range strings.Fields(string(signing)) {
		known = append(known, secret(part))
	}
	for _, value := range headers {
		known = append(known, value)
	}
	return &webhook{
		url: target, keys: keys, headers: headers, client: newHTTPClient(guardFor(target, o), o.RootCAs),
		timeout: o.timeout(), scrub: newScrubber(known...), name: cfg.Key, now: time.Now,
	}, nil
}

// loadURL resolves the destination of an HTTP channel and judges it as far as that needs no network.
func loadURL(ref secretRef, o Options) (*url.URL, error) {
	text, err := ref.load(o)
	if err != nil {
		return nil, err
	}
	u, err := parseURL(ref.field, string(text))
	if err != nil {
		return nil, err
	}
	return u, guardFor(u, o).checkLiteral(ref.field, u.Hostname())
}

func loadHeaders(c webhookConfig, o Options) (map[string]secret, error) {
	out := map[string]secret{}
	for name, value := range c.headers {
		out[name] = secret(value)
	}
	for name, variable := range c.headersEnv {
		value, err := secretRef{field: "headers_env." + name, env: variable}.load(o)
		if err != nil {
			return nil, err
		}
		if strings.ContainsAny(string(value), "\r\n\x00") {
			return nil, fmt.Errorf("headers_env: the value for %s holds a line break", name)
		}
		out[name] = value
	}
	return out, nil
}

// signingKeys reads one secret, or several separated by white space while receivers change over. A value
// that starts with whsec_ is base64 as Standard Webhooks write it; any other is used byte for byte.
func signingKeys(s secret) ([][]byte, error) {
	var keys [][]byte
	for _, text := range strings.Fields(string(s)) {
		key := []byte(text)
		if encoded, ok := strings.CutPrefix(text, "whsec_"); ok {
			decoded, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				return nil, errors.New("secret: what follows whsec_ is not base64; make one with: echo whsec_$(openssl rand -base64 32)")
			}
			key = decoded
		}
		if len(key) < minSigningKey {
			return nil, fmt.Errorf("secret: it is shorter than %d bytes; make one with: echo whsec_$(openssl rand -base64 32)", minSigningKey)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func (w *webhook) Recipients() []string { return []string{displayURL(w.url)} }

func (w *webhook) Send(ctx context.Context, _ string, m Message) Receipt {
	start := time.Now()
	receipt := w.send(ctx, m)
	receipt.Duration = time.Since(start)
	return w.scrub.receipt(receipt)
}

func (w *webhook) send(ctx context.Context, m Message) Receipt {
	body, err := json.Marshal(w.body(m))
	if err != nil {
		return Receipt{Class: Permanent, Reason: "the message cannot be written as JSON: " + oneLine(err.Error(), 200)}
	}
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	receipt := classifyHTTP(post(ctx, w.client, w.url, w.header(m, body), body, false))
	receipt.Content = clip(m.HideAnswers(string(body))) // before it is cut: half a link is not found any more
	if receipt.Class == Accepted {
		receipt.ExternalID = headerSafe(m.Key)
	}
	return receipt
}

// post makes one request and reads the beginning of the answer: of a failure for the reason, of a success
// only when bodyProves says that the status alone is not the receiver's word. An answer that breaks off
// gives an error beside an outcome with a status; the outcome counts.
func post(ctx context.Context, client *http.Client, u *url.URL, header http.Header, body []byte, bodyProves bool) (*outcome, error) {
	ctx, o := withOutcome(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return o, err
	}
	req.Header = header
	resp, err := client.Do(req)
	if err != nil {
		return o, err
	}
	defer resp.Body.Close()
	if statusClass(resp.StatusCode) == Accepted && !bodyProves {
		return o, nil
	}
	_, err = io.ReadAll(io.LimitReader(resp.Body, maxSnippet))
	return o, err
}

func (w *webhook) header(m Message, body []byte) http.Header {
	h := http.Header{}
	for name, value := range w.headers {
		h.Set(name, string(value))
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("User-Agent", "OneVault")
	id, now := headerSafe(m.Key), w.now()
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	if len(w.keys) > 0 {
		h.Set("webhook-signature", sign(w.keys, id, now, body))
	}
	h.Set("ce-specversion", "1.0")
	h.Set("ce-id", id)
	h.Set("ce-type", "onevault.alert."+headerSafe(strings.ToLower(string(m.Event))))
	h.Set("ce-source", "/onevault/"+url.PathEscape(m.Target))
	h.Set("ce-subject", headerSafe(m.WorkflowID))
	h.Set("ce-time", m.At.UTC().Format(time.RFC3339Nano))
	return h
}

// sign makes one signature per key, so that a receiver may change to the new secret at any moment.
func sign(keys [][]byte, id string, at time.Time, body []byte) string {
	signatures := make([]string, 0, len(keys))
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%d.", id, at.Unix())
		mac.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(signatures, " ")
}

// headerSafe percent-encodes what CloudEvents does not allow in a header: everything but visible ASCII,
// the quote and the percent sign.
func headerSafe(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// webhookBody is version 4 of Alertmanager's webhook body with our extras beside it.
type webhookBody struct {
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   int               `json:"truncatedAlerts"`
	Status            string            `json:"status"` // firing or resolved
	Receiver          string            `json:"receiver"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Alerts            []webhookAlert    `json:"alerts"`
	OneVault          webhookExtras     `json:"onevault"`
}

type webhookAlert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"` // the zero time while it fires
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"` // 16 hex digits, the same for all messages of an alert
}

type webhookExtras struct {
	Key               string           `json:"key"`
	Event             alert.Event      `json:"event"`
	Test              bool             `json:"test"`
	At                time.Time        `json:"at"`
	Target            string           `json:"target"`
	WorkflowID        string           `json:"workflow_id"`
	Definition        alert.Definition `json:"definition"`
	Alerts            []alert.Alert    `json:"alerts"`
	PossibleDuplicate bool             `json:"possible_duplicate"`
	// Storm is how the storm stands that the message tells of; left out: it tells of one group.
	Storm *alert.StormSummary `json:"storm,omitempty"`
	Note  string              `json:"note,omitempty"`
	// Answers are links by which the receiver answers: it posts to one.
	Answers []webhookAnswer `json:"answers,omitempty"`
}

type webhookAnswer struct {
	Verb string `json:"verb"` // acknowledge or resolve
	URL  string `json:"url"`
}

func (w *webhook) body(m Message) webhookBody {
	shown := m.Alerts[:min(len(m.Alerts), maxWebhookAlerts)]
	body := webhookBody{
		Version: "4", GroupKey: m.WorkflowID, TruncatedAlerts: len(m.Alerts) - len(shown),
		Status: firingOr(m.Event == alert.EventResolved), Receiver: w.name,
		GroupLabels:  map[string]string{"alertname": m.Definition.Key, "instance": m.Target},
		CommonLabels: commonLabels(m), CommonAnnotations: commonAnnotations(m),
		ExternalURL: m.UIURL, Alerts: []webhookAlert{},
		OneVault: webhookExtras{
			Key: m.Key, Event: m.Event, Test: m.Event == alert.EventTest, At: m.At.UTC(), Target: m.Target,
			WorkflowID: m.WorkflowID, Definition: m.Definition, Alerts: shown, PossibleDuplicate: m.PossibleDuplicate, Note: oneLine(m.Note, maxNote),
			Storm: m.Storm,
		},
	}
	for _, a := range m.Answers {
		body.OneVault.Answers = append(body.OneVault.Answers, webhookAnswer{Verb: a.Verb, URL: a.URL})
	}
	for i, a := range shown {
		body.Alerts = append(body.Alerts, newWebhookAlert(ofStorm(m, i), a))
	}
	return body
}

func firingOr(resolved bool) string {
	if resolved {
		return "resolved"
	}
	return "firing"
}

func commonLabels(m Message) map[string]string {
	labels := map[string]string{
		"alertname": m.Definition.Key, "instance": m.Target,
		"severity": strings.ToLower(string(m.Definition.Severity)), "category": m.Definition.Category,
	}
	if m.Event == alert.EventTest {
		labels["test"] = "true"
	}
	maps.DeleteFunc(labels, func(_, value string) bool { return value == "" })
	return labels
}

func commonAnnotations(m Message) map[string]string {
	notes := map[string]string{
		"summary": newPage(m).Subject, "description": m.Definition.Description, "condition": m.Definition.Condition,
		"runbook_url": m.Definition.RunbookURL, "runbook": m.Definition.Runbook,
	}
	maps.DeleteFunc(notes, func(_, value string) bool { return value == "" })
	return notes
}

func newWebhookAlert(m Message, a alert.Alert) webhookAlert {
	m = m.about(a)
	labels, notes := commonLabels(m), commonAnnotations(m)
	for name, value := range a.Labels {
		if _, ours := labels[name]; !ours {
			labels[name] = value
		}
	}
	labels["alert_id"] = a.ShortID
	if a.Tenant != "" {
		labels["tenant"] = a.Tenant
	}
	if v := number(a.Value, a.Unit); v != "" {
		notes["value"] = v
	}
	if t := threshold(m.Definition, a.Unit); t != "" {
		notes["threshold"] = t
	}
	sum := sha256.Sum256([]byte(a.Key))
	return webhookAlert{
		Status: firingOr(a.Status == alert.StatusResolved), Labels: labels, Annotations: notes,
		StartsAt: a.TriggeredAt.UTC(), EndsAt: a.ResolvedAt.UTC(), GeneratorURL: m.UIURL, Fingerprint: hex.EncodeToString(sum[:8]),
	}
}
