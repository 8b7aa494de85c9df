package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"onevault/source"
	"onevault/vault"
)

const (
	// sourceBody holds a thousand alerts of Alertmanager with many labels.
	sourceBody = 4 << 20
	// minToken is how long what proves a source has to be: shorter can be guessed.
	minToken = 16
	// takeTimeout is how long a storm may take on a busy vault; what was taken in by then stays taken in.
	takeTimeout = 2 * time.Minute
	// maxWebhookID is what a receipt's column holds.
	maxWebhookID = 200
)

// Sources take in the alerts of other systems. Each proves itself by the secret that its row names, which is
// read at each request, so that a new one needs no restart.
type Sources struct {
	Inbound *Inbound
	Vault   *vault.Store
	// Secret reads what a row names: a variable or a file; field is for the error.
	Secret func(field, variable, file string) (string, error)
	Log    *slog.Logger
	Now    func() time.Time
}

// Routes are one for each format.
func (s *Sources) Routes() []Route {
	return []Route{
		{Pattern: "POST /sources/alertmanager/{source}", Provider: ProviderSource, MaxBody: sourceBody, Handler: s.take(s.readAlertmanager)},
		{Pattern: "POST /sources/webhook/{source}", Provider: ProviderSource, MaxBody: sourceBody, Handler: s.take(s.readWebhook)},
	}
}

// readFunc reads one format; notes are for whoever sent it.
type readFunc func(name string, body []byte) (alerts []source.Alert, notes []string, err error)

func (s *Sources) readAlertmanager(name string, body []byte) ([]source.Alert, []string, error) {
	alerts, truncated, err := source.ParseAlertmanager(body, s.Now())
	if truncated > 0 {
		s.Log.Warn("a source left out alerts: raise max_alerts of its webhook_config, at most to 1000", "source", name, "left_out", truncated)
	}
	return alerts, nil, err
}

func (s *Sources) readWebhook(name string, body []byte) ([]source.Alert, []string, error) {
	alerts, notes, err := source.ParseWebhook(body, s.Now())
	if len(notes) > 0 {
		s.Log.Warn("what a source sent is understood in part: its answer says so, too", "source", name, "notes", notes)
	}
	return alerts, notes, err
}

// taken answers a request.
type taken struct {
	Alerts []vault.SourceOutcome `json:"alerts"`
	Notes  []string              `json:"notes,omitempty"` // what was not understood
}

func (s *Sources) take(read readFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		src, body, delivery, ok := s.prove(w, r)
		if !ok {
			return
		}
		provider := ProviderSource + "/" + src.Name
		alerts, notes, err := read(src.Name, body)
		if err != nil {
			s.Log.Warn("what a source sent cannot be meant", "source", src.Name, "error", err)
			s.Inbound.Refuse(w, r, Refusal{Provider: provider, Reason: ReasonMalformed, Status: http.StatusBadRequest, Say: err.Error(), Detail: "the source is proved, and its body cannot be meant"})
			return
		}
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(takeTimeout)); err != nil {
			s.Log.Warn("the time to answer a source is not extended", "source", src.Name, "error", err)
		}
		work := func(ctx context.Context) (Outcome, error) {
			outcomes, err := s.Vault.TakeIn(ctx, src.Name, inVaultsWords(alerts), "source:"+src.Name+" (verified)")
			return Outcome{Status: http.StatusOK, Body: taken{outcomes, notes}}, err
		}
		if delivery == nil {
			out, err := work(r.Context())
			s.answer(w, r, provider, out, err)
			return
		}
		out, _, err := s.Inbound.Once(r.Context(), *delivery, work)
		s.answer(w, r, provider, out, err)
	})
}

// answer says what came of it. 503 has the source send it again, which is harmless.
func (s *Sources) answer(w http.ResponseWriter, r *http.Request, provider string, out Outcome, err error) {
	switch {
	case err == nil:
		s.Inbound.Answer(w, out.Status, out.Body)
	case errors.Is(err, ErrDifferent):
		s.Inbound.Refuse(w, r, Refusal{Provider: provider, Reason: ReasonReplayed, Status: http.StatusConflict, Say: "this webhook-id was used before, for another body"})
	case errors.Is(err, ErrUnderWay):
		w.Header().Set("Retry-After", "5")
		s.Inbound.Answer(w, http.StatusServiceUnavailable, map[string]string{"error": "the same is being taken in; try again"})
	default:
		s.Log.Error("alerts of a source not taken in", "provider", provider, "error", err)
		w.Header().Set("Retry-After", "5")
		s.Inbound.Answer(w, http.StatusServiceUnavailable, map[string]string{"error": "the vault cannot take it in now; try again"})
	}
}

// prove finds the source of a request and proves it; ok false: the request was refused. With a delivery the
// same request is to be taken in once; a bearer token proves no id, and its alerts are known by themselves.
func (s *Sources) prove(w http.ResponseWriter, r *http.Request) (src *vault.Source, body []byte, delivery *Delivery, ok bool) {
	src, err := s.Vault.Source(r.Context(), r.PathValue("source"))
	if err != nil {
		s.answer(w, r, ProviderSource, Outcome{}, err)
		return nil, nil, nil, false
	}
	if src == nil {
		// A stranger is not told which names there are.
		s.unproved(w, r, ProviderSource, ReasonUnknownSender, "no source of that name")
		return nil, nil, nil, false
	}
	provider := ProviderSource + "/" + src.Name
	byToken := src.TokenEnv != "" || src.TokenFile != ""
	// Before the body is read: a stranger's costs nothing.
	if byToken && !s.hasToken(w, r, src, provider) {
		return nil, nil, nil, false
	}
	if body, ok = s.Inbound.Body(w, r, provider); !ok {
		return nil, nil, nil, false
	}
	if !byToken {
		if delivery = s.hasSigned(w, r, src, provider, body); delivery == nil {
			return nil, nil, nil, false
		}
	}
	return src, body, delivery, true
}

func (s *Sources) hasToken(w http.ResponseWriter, r *http.Request, src *vault.Source, provider string) bool {
	token, err := s.secret("token", src.TokenEnv, src.TokenFile)
	if err != nil {
		s.unusable(w, r, provider, src.Name, err)
		return false
	}
	given, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer || !same(given, token) {
		s.unproved(w, r, provider, ReasonSignature, "the bearer token is missing or wrong")
		return false
	}
	return true
}

// hasSigned is the delivery that a source signed; nil: the request was refused.
func (s *Sources) hasSigned(w http.ResponseWriter, r *http.Request, src *vault.Source, provider string, body []byte) *Delivery {
	secret, err := s.secret("secret", src.SecretEnv, src.SecretFile)
	if err != nil {
		s.unusable(w, r, provider, src.Name, err)
		return nil
	}
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil { // its text may quote the secret
		s.unusable(w, r, provider, src.Name, errors.New("the signing secret is no base64 after whsec_"))
		return nil
	}
	id := r.Header.Get(standardwebhooks.HeaderWebhookID)
	switch err := hook.Verify(body, r.Header); {
	case errors.Is(err, standardwebhooks.ErrMessageTooOld), errors.Is(err, standardwebhooks.ErrMessageTooNew):
		s.unproved(w, r, provider, ReasonReplayed, "the signature's time is more than five minutes off")
		return nil
	case err != nil, len(id) > maxWebhookID:
		s.unproved(w, r, provider, ReasonSignature, "the signature is missing or wrong")
		return nil
	}
	return &Delivery{Provider: provider, ID: id, Digest: sha256.Sum256(body), Sender: "source:" + src.Name + " (verified)"}
}

func (s *Sources) secret(field, variable, file string) (string, error) {
	secret, err := s.Secret(field, variable, file)
	if err == nil && len(strings.TrimPrefix(secret, "whsec_")) < minToken {
		return "", fmt.Errorf("%s has less than %d characters: it could be guessed", field, minToken)
	}
	return secret, err
}

// same compares without telling by its time how much of it was right.
func same(given, token string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func (s *Sources) unproved(w http.ResponseWriter, r *http.Request, provider string, reason Reason, detail string) {
	w.Header().Set("WWW-Authenticate", "Bearer")
	s.Inbound.Refuse(w, r, Refusal{Provider: provider, Reason: reason, Status: http.StatusUnauthorized, Say: "the sender is not proved", Detail: detail})
}

// unusable is the worker's own fault: the source is to try again, and the log says what to do.
func (s *Sources) unusable(w http.ResponseWriter, r *http.Request, provider, name string, err error) {
	s.answer(w, r, provider, Outcome{}, fmt.Errorf("prove source %s: %w", name, err))
}

func inVaultsWords(alerts []source.Alert) []vault.SourceAlert {
	list := make([]vault.SourceAlert, len(alerts))
	for i, a := range alerts {
		list[i] = vault.SourceAlert{
			Name: a.Name, Status: a.Status, Severity: a.Severity, Fingerprint: a.Fingerprint, StartsAt: a.StartsAt, EndsAt: a.EndsAt,
			Labels: a.Labels, Reason: a.Reason, Value: a.Value, Description: a.Description, RunbookURL: a.RunbookURL, Link: a.Link,
		}
	}
	return list
}
