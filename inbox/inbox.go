// Package inbox is the receiving end of a development start: a local SMTP server, Slack (an incoming
// webhook, and the Web API of an app), Twilio's messages and calls, PagerDuty's events and a generic webhook
// receiver, with one page that shows every message as its receiver would
// see it. The demo and the end-to-end tests use it as the proof that a message really arrived, and make
// it misbehave as real providers do.
//
// It owns what arrived, in memory and within caps. It refuses to relay anything, to keep anything on
// disk, to hold a password that a sender offers, and to run anything that a message brings along.
// It has no authentication: it belongs on a loopback or a private network.
package inbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// Caps. A page that somebody leaves open for a week must not take the laptop's memory.
const (
	defaultKeep  = 500      // messages, when Config.Keep is 0
	maxBody      = 2 << 20  // bytes of one message; answered with HTTP 413 or SMTP 552 beyond
	maxTotal     = 64 << 20 // bytes of all kept messages; the oldest go first
	maxRecipient = 100      // recipients of one e-mail
)

// Config says where to listen and what to believe. Addresses are host:port; port 0 picks a free one.
type Config struct {
	SMTPAddr      string        // default 127.0.0.1:0
	HTTPAddr      string        // default 127.0.0.1:0
	WebhookSecret string        // Standard Webhooks secret, whsec_<base64>; empty: nothing can be verified
	Slack         SlackApp      // the app of Slack's Web API; zero: any token writes, and nothing can be pressed
	Twilio        TwilioAccount // zero: any token is believed, and nobody is answered
	PagerDuty     PagerWebhook  // where what is done at PagerDuty is told; zero: nobody is told
	Keep          int           // messages kept, newest win; default 500
	Log           *slog.Logger  // default slog.Default()
}

// Server is a running inbox. All methods are safe for concurrent use.
type Server struct {
	log          *slog.Logger
	store        *store
	faults       *faults
	verifier     *verifier
	slack        *slackWorkspace
	twilio       TwilioAccount
	pagerWebhook PagerWebhook
	running      context.Context // of what the inbox sends by itself: it ends with the inbox

	pagerMu sync.Mutex
	pager   pagerService

	smtp         *smtp.Server
	smtpListener net.Listener
	http         *http.Server
	httpAddr     net.Addr

	cancel  context.CancelFunc // ends hanging deliveries and event streams
	serving sync.WaitGroup
	closed  sync.Once
	closing error
}

// Start listens on both addresses and serves until Close, or until ctx ends. An address in use is an
// error that names it; nothing is left listening after an error.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	v, err := newVerifier(cfg.WebhookSecret)
	if err != nil {
		return nil, fmt.Errorf("inbox: webhook secret: %w", err)
	}
	s := &Server{
		log:          cfg.Log,
		store:        newStore(instanceName(), cfg.Keep),
		faults:       &faults{planned: map[string][]Behaviour{}},
		verifier:     v,
		slack:        newSlackWorkspace(cfg.Slack),
		twilio:       cfg.Twilio,
		pagerWebhook: cfg.PagerDuty,
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.smtpListener, err = listen("SMTP", cfg.SMTPAddr); err != nil {
		return nil, err
	}
	httpListener, err := listen("HTTP", cfg.HTTPAddr)
	if err != nil {
		return nil, errors.Join(err, s.smtpListener.Close())
	}
	s.httpAddr = httpListener.Addr()

	run, cancel := context.WithCancel(ctx)
	s.running, s.cancel = run, cancel
	s.smtp = s.newSMTP()
	s.http = s.newHTTP(run)
	s.serve("smtp", func() error { return s.smtp.Serve(s.smtpListener) })
	s.serve("http", func() error { return s.http.Serve(httpListener) })
	context.AfterFunc(ctx, func() {
		if err := s.Close(); err != nil {
			s.log.Error("inbox did not close cleanly", "error", err)
		}
	})
	s.log.Info("inbox ready", "smtp_addr", s.SMTPAddr(), "url", s.HTTPURL())
	return s, nil
}

func listen(what, addr string) (net.Listener, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("inbox: listen for %s on %s: %w", what, addr, err)
	}
	return l, nil
}

// instanceName tells the page of a restarted server that its old messages are gone.
func instanceName() string {
	b := make([]byte, 4)
	_, _ = rand.Read(b) // crypto/rand.Read never returns an error
	return hex.EncodeToString(b)
}

func (s *Server) serve(name string, run func() error) {
	s.serving.Go(func() {
		err := run()
		if err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("inbox listener ended", "listener", name, "error", err)
		}
	})
}

// SMTPAddr is the host:port to send e-mail to.
func (s *Server) SMTPAddr() string { return s.smtpListener.Addr().String() }

// HTTPURL is the address of the page, without a trailing slash; the receivers are below it at
// /slack/... and /webhook/..., and the providers' interfaces at /twilio and /pagerduty.
func (s *Server) HTTPURL() string { return "http://" + s.httpAddr.String() }

// Messages returns what the receivers have, oldest first. Deliveries that were refused are not part
// of it: see Attempts.
func (s *Server) Messages() []Message {
	var received []Message
	for _, m := range s.Attempts() {
		if !m.Refused {
			received = append(received, m)
		}
	}
	return received
}

// Attempts returns every delivery that reached the inbox, oldest first, the refused ones included.
func (s *Server) Attempts() []Message {
	all, _ := s.store.after(0)
	return all
}

// Wait returns the oldest kept message that matches, at once or when it arrives. It sees what Messages
// shows. When ctx ends or the inbox closes first, the error says how many messages had arrived.
func (s *Server) Wait(ctx context.Context, match func(Message) bool) (Message, error) {
	return s.store.wait(ctx, func(m Message) bool { return !m.Refused && match(m) })
}

// Close stops listening and ends every connection; what was received can still be read. It may be
// called twice.
func (s *Server) Close() error {
	s.closed.Do(func() {
		s.cancel()
		s.store.close()
		smtpErr := s.smtp.Close()
		// go-smtp knows the listener only once Serve runs, which may not be yet.
		if err := s.smtpListener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			smtpErr = errors.Join(smtpErr, err)
		}
		// Handlers end with the cancelled context; the grace only covers answers that are being written.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		httpErr := s.http.Shutdown(ctx)
		if errors.Is(httpErr, context.DeadlineExceeded) {
			httpErr = s.http.Close()
		}
		s.serving.Wait()
		s.closing = errors.Join(smtpErr, httpErr)
	})
	return s.closing
}

// receive stores one delivery and says so in the log, with addresses of nobody and content of nothing.
func (s *Server) receive(m Message) Message {
	m = s.store.add(m)
	s.log.Info("inbox delivery", "channel", m.Channel, "seq", m.Seq, "key", m.Key, "copy", m.Copy,
		"refused", m.Refused, "fault", m.Fault)
	return m
}
