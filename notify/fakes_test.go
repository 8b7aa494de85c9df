package notify

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"onevault/alert"
)

// The secrets of all tests. None may ever appear in a receipt, an error or a printed value.
const (
	tokenInPath  = "T0KENinPATH4711zz"
	tokenInQuery = "QUERYtok3nvalue99"
	headerToken  = "Bearer-hdr-5ecret-1"
	signingKey   = "whsec_c2lnbmluZy1rZXktb2YtdGhlLXRlc3RzLTAx"
	olderKey     = "whsec_b2xkZXItLWtleS1vZi10aGUtdGVzdHMtMDE="
	smtpPassword = "hunter2-5MTP-pass"
	pagerKey     = "R0utingKey4PagerDutyTests0123456"
	twilioAuth   = "7w1l10auth70k3n0f7he7e5750123456"
	twilioSID    = "AC0123456789abcdef0123456789abcdef"
)

var allSecrets = []string{
	tokenInPath, tokenInQuery, headerToken, signingKey, olderKey, smtpPassword, pagerKey, twilioAuth,
	base64.StdEncoding.EncodeToString([]byte(twilioSID + ":" + twilioAuth)),
}

var environment = map[string]string{
	"SMTP_PASSWORD": smtpPassword, "HOOK_SECRET": signingKey + " " + olderKey, "HOOK_AUTH": headerToken,
	"PAGERDUTY_KEY": pagerKey, "TWILIO_TOKEN": twilioAuth,
}

func lookup(name string) (string, bool) { v, ok := environment[name]; return v, ok }

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func testOptions(roots *x509.CertPool) Options {
	return Options{Allow: loopback, LookupEnv: lookup, Timeout: 20 * time.Second, RootCAs: roots}
}

// TestMain fails the package when anything of it is still running after its tests.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := leftGoroutines(5 * time.Second); left != "" && code == 0 {
		fmt.Println("goroutines left behind:\n" + left)
		code = 1
	}
	os.Exit(code)
}

func leftGoroutines(patience time.Duration) string {
	deadline := time.Now().Add(patience)
	for {
		buf := make([]byte, 1<<20)
		var left []string
		for _, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if !strings.Contains(stack, "TestMain") && (strings.Contains(stack, "onevault/notify") || strings.Contains(stack, "net/http.")) {
				left = append(left, stack)
			}
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return strings.Join(left, "\n\n")
		}
		runtime.Gosched()
		time.Sleep(5 * time.Millisecond) // between looks; the end of a goroutine cannot be awaited
	}
}

func ptr(v float64) *float64 { return &v }

var firedAt = time.Date(2026, 3, 1, 3, 6, 12, 0, time.UTC)

func firedMessage() Message {
	return Message{
		Key: "n/SYSTEM_HIGH_CONNECTION_COUNT/pg-prod-3/1", Event: alert.EventFired, Target: "pg-prod-3",
		WorkflowID: "alert/pg-prod-3/SYSTEM_HIGH_CONNECTION_COUNT", At: firedAt.Add(6*time.Minute + 3*time.Second),
		UIURL: "http://127.0.0.1:8233/namespaces/default/workflows/alert%2Fpg-prod-3",
		Definition: alert.Definition{
			Key: "SYSTEM_HIGH_CONNECTION_COUNT", Name: "High Connection Count", Category: "PERFORMANCE",
			Description: "Many sessions are open at once; new ones may be refused soon.",
			Severity:    alert.SeverityCritical, Condition: "active_connections > 150",
			Threshold: ptr(150), Operator: ">", RunbookURL: "https://wiki.example.com/runbooks/connections?a=1&b=2",
			Runbook: "New sessions are refused soon. Look at pg_stat_activity by application and state. End idle sessions, or add a pooler.",
		},
		Alerts: []alert.Alert{{
			Key: "pg-prod-3/SYSTEM_HIGH_CONNECTION_COUNT/1", ShortID: "A-7F3K", Target: "pg-prod-3",
			Status: alert.StatusOpen, Value: ptr(187), Unit: "count", TriggeredAt: firedAt,
		}},
	}
}

// fakeHTTP is a provider with one behaviour. It records requests and ends at the test's end, hanging
// handlers included.
type fakeHTTP struct {
	*httptest.Server
	entered  chan struct{} // closed when the first request has arrived
	mu       sync.Mutex
	requests []recorded
}

type recorded struct {
	Path   string
	Header http.Header
	Body   []byte
}

func newFakeHTTP(t *testing.T, withTLS bool, behave func(http.ResponseWriter, *http.Request, <-chan struct{})) *fakeHTTP {
	t.Helper()
	f := &fakeHTTP{entered: make(chan struct{})}
	stop := make(chan struct{})
	var once sync.Once
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		f.mu.Lock()
		f.requests = append(f.requests, recorded{r.URL.RequestURI(), r.Header.Clone(), body})
		f.mu.Unlock()
		once.Do(func() { close(f.entered) })
		r.Body = io.NopCloser(bytes.NewReader(body))
		behave(w, r, stop)
	}))
	f.Config.ErrorLog = log.New(io.Discard, "", 0)
	if withTLS {
		f.StartTLS()
	} else {
		f.Start()
	}
	t.Cleanup(func() { close(stop); f.CloseClientConnections(); f.Close() })
	return f
}

func (f *fakeHTTP) last(t *testing.T) recorded {
	t.Helper()
	requests := f.all()
	if len(requests) == 0 {
		t.Fatal("the provider received no request")
	}
	return requests[len(requests)-1]
}

func (f *fakeHTTP) all() []recorded {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

func (f *fakeHTTP) roots() *x509.CertPool {
	if f.Certificate() == nil {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AddCert(f.Certificate())
	return pool
}

func answer(status int, body string, headers ...string) func(http.ResponseWriter, *http.Request, <-chan struct{}) {
	return func(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func hang(_ http.ResponseWriter, r *http.Request, stop <-chan struct{}) {
	select {
	case <-stop:
	case <-r.Context().Done():
	}
}

func slowLoris(w http.ResponseWriter, r *http.Request, stop <-chan struct{}) {
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		if _, err := io.WriteString(w, " "); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		select {
		case <-stop:
			return
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

func resetConnection(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func truncated(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {
	conn, buf, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	_, _ = buf.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\no")
	_ = buf.Flush()
	_ = conn.Close()
}

func hugeBody(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {
	chunk := bytes.Repeat([]byte("a"), 1<<20)
	for range 256 {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

func gzipBomb(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	chunk := bytes.Repeat([]byte("a"), 1<<20)
	for range 64 {
		if _, err := z.Write(chunk); err != nil {
			return
		}
	}
	_ = z.Close()
}

// echo quotes everything it was sent, as badly written receivers do.
func echo(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
	w.WriteHeader(http.StatusUnauthorized)
	fmt.Fprintf(w, "%s %s %s ", r.URL.RequestURI(), r.Header.Get("Authorization"), r.Header.Get("X-Auth"))
	_, _ = io.Copy(w, r.Body)
}

// senders lists the envelope senders in order, with the reports that are asked for.
func (f *fakeSMTP) senders() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.from)
}

// fakeSMTP is a mail server with one behaviour, on go-smtp.
type fakeSMTP struct {
	addr    *net.TCPAddr
	entered chan struct{} // closed when DATA was read to its end
	mu      sync.Mutex
	mails   [][]byte
	rcpts   []string
	from    []string // envelope senders, one per recipient, with what reports are asked for
}

type smtpBehaviour struct {
	greeting         string // raw first line instead of a server
	silent           bool   // accepts and never speaks
	mail, rcpt, data error
	auth             error
	cut              string // "data", "quit" or "mail": where the connection is cut
	hangData         bool
	certificate      *tls.Certificate
	implicit         bool
}

func newFakeSMTP(t *testing.T, b smtpBehaviour) *fakeSMTP {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeSMTP{addr: listener.Addr().(*net.TCPAddr), entered: make(chan struct{})}
	if b.silent || b.greeting != "" {
		f.serveRaw(t, listener, b)
		return f
	}
	backend := &smtpBackend{fake: f, behaviour: b, stop: make(chan struct{})}
	server := smtp.NewServer(backend)
	server.EnableDSN = true
	server.Domain, server.ErrorLog = "mail.test", log.New(io.Discard, "", 0)
	if b.certificate != nil {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*b.certificate}}
	}
	listener = &cuttingListener{Listener: listener, at: b.cut}
	if b.implicit {
		listener = tls.NewListener(listener, server.TLSConfig)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		close(backend.stop)
		_ = listener.Close() // the server does not know it yet when no mail was sent
		_ = server.Close()
		if err := <-done; err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("fake SMTP server: %v", err)
		}
	})
	return f
}

func (f *fakeSMTP) serveRaw(t *testing.T, listener net.Listener, b smtpBehaviour) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		close(f.entered)
		_, _ = io.WriteString(conn, b.greeting)
		_, _ = io.Copy(io.Discard, conn)
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
}

// taken returns the mails that were accepted or at least read, and all recipients asked for.
func (f *fakeSMTP) taken() (mails [][]byte, rcpts []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.mails), slices.Clone(f.rcpts)
}

type smtpBackend struct {
	fake      *fakeSMTP
	behaviour smtpBehaviour
	stop      chan struct{}
}

func (b *smtpBackend) NewSession(c *smtp.Conn) (smtp.Session, error) {
	plain := &smtpSession{backend: b, conn: c}
	if b.behaviour.auth != nil {
		return &smtpAuthSession{plain}, nil
	}
	return plain, nil
}

type smtpSession struct {
	backend *smtpBackend
	conn    *smtp.Conn
	from    string
}

func (s *smtpSession) Reset()        {}
func (s *smtpSession) Logout() error { return nil }
func (s *smtpSession) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return s.backend.behaviour.mail
}

func (s *smtpSession) Rcpt(to string, options *smtp.RcptOptions) error {
	s.backend.fake.mu.Lock()
	defer s.backend.fake.mu.Unlock()
	var notify []string
	for _, when := range options.Notify {
		notify = append(notify, string(when))
	}
	s.backend.fake.from = append(s.backend.fake.from, s.from+" NOTIFY="+strings.Join(notify, ","))
	s.backend.fake.rcpts = append(s.backend.fake.rcpts, to)
	return s.backend.behaviour.rcpt
}

func (s *smtpSession) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	f := s.backend.fake
	f.mu.Lock()
	f.mails = append(f.mails, body)
	if len(f.mails) == 1 {
		close(f.entered)
	}
	f.mu.Unlock()
	if s.backend.behaviour.cut == "data" {
		_ = s.conn.Conn().Close()
	}
	if s.backend.behaviour.hangData {
		<-s.backend.stop
	}
	return s.backend.behaviour.data
}

// errAccept is the auth behaviour that takes the right password.
var errAccept = errors.New("accept")

type smtpAuthSession struct{ *smtpSession }

func (s *smtpAuthSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *smtpAuthSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if errors.Is(s.backend.behaviour.auth, errAccept) {
			if user == "alerts@onevault.com" && password == smtpPassword {
				return nil
			}
			return smtp.ErrAuthFailed
		}
		return s.backend.behaviour.auth
	}), nil
}

// cuttingListener cuts a connection when the client says a word.
type cuttingListener struct {
	net.Listener
	at string
}

func (l *cuttingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &cuttingConn{Conn: conn, word: map[string]string{"quit": "QUIT", "mail": "MAIL FROM"}[l.at]}, nil
}

type cuttingConn struct {
	net.Conn
	word string
}

func (c *cuttingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.word != "" && bytes.HasPrefix(p[:n], []byte(c.word)) {
		_ = c.Conn.Close()
		return 0, io.EOF
	}
	return n, err
}

func smtpError(code int, text string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCodeNotSet, Message: text}
}

func config(t *testing.T, kind Type, fields map[string]any) Config {
	t.Helper()
	raw, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return Config{Key: string(kind) + "_TEST", Name: "Test " + string(kind), Type: kind, Configuration: raw}
}

func emailFields(addr *net.TCPAddr, tlsMode string, more ...string) map[string]any {
	fields := map[string]any{
		"smtp_server": addr.IP.String(), "smtp_port": addr.Port, "from_address": "OneVault Alerts <alerts@onevault.com>",
		"to_addresses": `["ops@onevault.com", "admin@onevault.com"]`, "tls": tlsMode,
	}
	for i := 0; i+1 < len(more); i += 2 {
		fields[more[i]] = more[i+1]
	}
	return fields
}

func mustOpen(t *testing.T, cfg Config, o Options) Channel {
	t.Helper()
	channel, err := Open(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	return channel
}

// sendUntil sends, and cancels the attempt as soon as entered is closed: for providers that hang.
func sendUntil(t *testing.T, channel Channel, entered <-chan struct{}, m Message) Receipt {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if entered != nil {
		go func() {
			select {
			case <-entered:
			case <-ctx.Done():
			}
			cancel()
		}()
	}
	r := channel.Send(ctx, channel.Recipients()[0], m)
	if entered != nil && r.Duration > 10*time.Second {
		t.Errorf("Send went on for %v although its context had ended", r.Duration)
	}
	return r
}
