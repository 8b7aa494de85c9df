package notify

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
)

// Prober is a Channel that can try its way to the provider without sending anything: the name resolves, the address
// is allowed, somebody answers, its certificate is trusted, and, where the protocol has a login of its own, the
// secret is accepted.
type Prober interface {
	// Probe returns nil when all of that holds. The error is fit for a row: it holds no secret.
	Probe(ctx context.Context) error
}

// Probe connects, secures the line and logs in, as before a mail, and says goodbye.
func (e *email) Probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	line := &phoneLine{guard: e.guard, tls: e.tlsConfig(), implicit: e.cfg.tls == tlsImplicit}
	defer line.hangUp()
	defer context.AfterFunc(ctx, line.hangUp)()
	_, session, err := e.connect(ctx, line)
	if err != nil {
		receipt := e.scrub.receipt(classifySMTPSession(timeoutOr(ctx, err)))
		return errors.New(receipt.Reason)
	}
	line.expireIn(quitTimeout)
	_ = session.Quit() // it has answered
	return nil
}

// Probe knocks at the receiver; whether it accepts the signature only a message shows.
func (w *webhook) Probe(ctx context.Context) error { return knock(ctx, w.client, w.url, w.scrub) }

// Probe knocks at Slack; whether the webhook still exists only a message shows.
func (s *slackWebhook) Probe(ctx context.Context) error { return knock(ctx, s.client, s.url, s.scrub) }

// knock connects to where a URL leads as the guarded client would, with TLS where it says so, and asks for nothing.
func knock(ctx context.Context, client *http.Client, u *url.URL, scrub scrubber) error {
	ctx, cancel := context.WithTimeout(ctx, 2*dialTimeout)
	defer cancel()
	transport, ok := client.Transport.(*observer).next.(*http.Transport)
	if !ok {
		return errors.New("this channel's client cannot connect without sending")
	}
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	conn, err := transport.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err == nil && u.Scheme == "https" {
		config := transport.TLSClientConfig.Clone()
		config.ServerName = u.Hostname()
		secured := tls.Client(conn, config)
		err = secured.HandshakeContext(ctx)
		_ = conn.Close() // nothing was sent that could be lost
	} else if err == nil {
		_ = conn.Close()
	}
	if err != nil {
		return errors.New(scrub.replacer.Replace(networkReason(err)))
	}
	return nil
}

// Probe asks Slack whose the token is.
func (s *slackBot) Probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	ctx, o := withOutcome(ctx)
	_, err := s.api.AuthTestContext(ctx)
	if err == nil {
		return nil
	}
	receipt := classifyHTTP(o, err)
	if word := slackWord(err); word != "" {
		receipt = slackRefusal(word)
	} else if receipt.Class == Accepted {
		receipt.Reason = "the answer is not Slack's; is api_base_url right?"
	}
	return errors.New(s.scrub.receipt(receipt).Reason)
}

// Probe knocks at Twilio; whether it accepts the token only a message shows.
func (t *twilio) Probe(ctx context.Context) error {
	return knock(ctx, t.http, t.cfg.api.url, t.scrub)
}

// Probe knocks at PagerDuty; whether it knows the routing key only an event shows.
func (p *pagerDuty) Probe(ctx context.Context) error {
	return knock(ctx, p.http, p.api.url, p.scrub)
}
