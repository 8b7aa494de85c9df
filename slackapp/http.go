package slackapp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackutilsx"
)

const (
	// MaxBody is what one press may have: Slack sends the whole message with it, percent-encoded.
	MaxBody = 512 << 10
	// answerTime bounds telling the one who pressed.
	answerTime = 10 * time.Second
	maxAnswer  = 3000 // characters
)

// Interactivity is the handler of the app's request URL. It answers as soon as the signature is checked, and
// works on the press afterwards; the one who pressed hears of it through Slack. An empty secret is refused,
// because everybody could sign with it.
func (a *App) Interactivity(signingSecret string) (http.Handler, error) {
	if strings.TrimSpace(signingSecret) == "" {
		return nil, errors.New("the signing secret of the Slack app is empty; copy it from the app's page, Basic Information")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
		if err != nil {
			http.Error(w, "the body cannot be read", http.StatusBadRequest)
			return
		}
		if reason, err := verify(r.Header, body, signingSecret); err != nil {
			a.refuse(r.Context(), r, reason, err.Error())
			http.Error(w, "the signature is not Slack's", http.StatusUnauthorized)
			return
		}
		callback, err := parse(body)
		if err != nil {
			a.refuse(r.Context(), r, "MALFORMED", err.Error())
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusOK)
		if callback.Type == slack.InteractionTypeBlockActions {
			a.begin(r.Context(), r, callback)
		}
	}), nil
}

func verify(header http.Header, body []byte, secret string) (reason string, err error) {
	verifier, err := slack.NewSecretsVerifier(header, secret)
	switch {
	case errors.Is(err, slack.ErrExpiredTimestamp):
		return "REPLAYED", errors.New("the request is older than five minutes, or the clocks differ")
	case err != nil:
		return "SIGNATURE", errors.New("the request bears no signature of Slack's form")
	}
	if _, err := verifier.Write(body); err != nil {
		return "SIGNATURE", errors.New("the signature cannot be computed")
	}
	if verifier.Ensure() != nil {
		return "SIGNATURE", errors.New("the request is signed with another secret")
	}
	return "", nil
}

func parse(body []byte) (slack.InteractionCallback, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return slack.InteractionCallback{}, errors.New("the body is no form")
	}
	var callback slack.InteractionCallback
	if err := json.Unmarshal([]byte(form.Get("payload")), &callback); err != nil {
		return slack.InteractionCallback{}, errors.New("the form holds no payload of JSON")
	}
	return callback, nil
}

// newAnswerClient follows no redirect and uses no proxy from the environment.
func newAnswerClient() *http.Client {
	return &http.Client{
		Timeout:       answerTime,
		Transport:     &http.Transport{Proxy: nil, DisableKeepAlives: true, TLSHandshakeTimeout: answerTime},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// answer tells the one who pressed, and nobody else. What became of the alert everybody sees in the message,
// which the alert's workflow edits.
func (a *App) answer(ctx context.Context, responseURL string, sentences ...string) {
	text := []rune(slackutilsx.EscapeMessage(strings.Join(sentences, "\n")))
	if len(text) == 0 || responseURL == "" {
		return
	}
	if err := a.postAnswer(ctx, responseURL, string(text[:min(len(text), maxAnswer)])); err != nil {
		a.Log.WarnContext(ctx, "slack: the one who pressed was not answered", "error", err)
	}
}

func (a *App) postAnswer(ctx context.Context, responseURL, text string) error {
	if !a.believes(responseURL) {
		return errors.New("the response URL is not Slack's")
	}
	body, err := json.Marshal(map[string]any{"response_type": "ephemeral", "replace_original": false, "text": text})
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, responseURL, bytes.NewReader(body))
	if err != nil {
		return errors.New("the response URL cannot be used")
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := a.Answers.Do(req)
	var quoting *url.Error // it quotes the URL, which is as good as a password for half an hour
	if errors.As(err, &quoting) {
		err = quoting.Err
	}
	if err != nil {
		return fmt.Errorf("post the answer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("post the answer: HTTP %d", resp.StatusCode)
	}
	return nil
}

// believes knows where Slack hears answers. The URL comes in a signed request; this bounds what a stolen
// secret is good for.
func (a *App) believes(responseURL string) bool {
	for _, prefix := range append([]string{"https://hooks.slack.com/", "https://hooks.slack-gov.com/"}, a.AnswersAt...) {
		if strings.HasPrefix(responseURL, prefix) {
			return true
		}
	}
	return false
}
