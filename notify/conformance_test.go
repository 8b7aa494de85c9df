package notify

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

type httpBehaviour struct {
	name           string
	behave         func(http.ResponseWriter, *http.Request, <-chan struct{})
	slack, webhook Class
	pager, phone   Class // PagerDuty; SMS and VOICE
	retryAfter     time.Duration
	hangs          bool
	tls, untrusted bool
}

// httpBehaviours is the one table of what a provider over HTTP may do and what that proves. The channels
// differ where a 2xx comes without Slack's word: there the status is the receipt of a webhook only.
var httpBehaviours = []httpBehaviour{
	{name: "200 ok", behave: answer(200, "ok"), slack: Accepted, webhook: Accepted, pager: Uncertain, phone: Uncertain},
	{name: "200 ok over TLS", behave: answer(200, "ok"), tls: true, slack: Accepted, webhook: Accepted, pager: Uncertain, phone: Uncertain},
	{name: "201 Twilio", behave: answer(201, twilioQueued), slack: Uncertain, webhook: Accepted, pager: Uncertain, phone: Accepted},
	{name: "201 Twilio over TLS", behave: answer(201, twilioQueued), tls: true, slack: Uncertain, webhook: Accepted, pager: Uncertain, phone: Accepted},
	{name: "201 empty JSON", behave: answer(201, `{}`), slack: Uncertain, webhook: Accepted, pager: Uncertain, phone: Accepted},
	{name: "201 malformed JSON", behave: answer(201, `{"sid":`), slack: Uncertain, webhook: Accepted, pager: Uncertain, phone: Accepted},
	{name: "202 PagerDuty", behave: answer(202, pagerDutyTook), slack: Uncertain, webhook: Accepted, pager: Accepted, phone: Uncertain},
	{name: "202 PagerDuty over TLS", behave: answer(202, pagerDutyTook), tls: true, slack: Uncertain, webhook: Accepted, pager: Accepted, phone: Uncertain},
	{name: "202 empty", behave: answer(202, ``), slack: Uncertain, webhook: Accepted, pager: Accepted, phone: Uncertain},
	{name: "202 refused", behave: answer(202, `{"status":"invalid event","message":"no","errors":["a","b"]}`), slack: Uncertain, webhook: Accepted, pager: Uncertain, phone: Uncertain},
	{name: "200 PagerDuty refused", behave: answer(200, `{"status":"invalid event","message":"no","errors":[]}`), slack: Uncertain, webhook: Accepted, pager: Uncertain, phone: Uncertain},
	{name: "302 empty JSON", behave: answer(302, `{}`), slack: Misconfigured, webhook: Misconfigured, pager: Misconfigured, phone: Misconfigured},
	{name: "400 PagerDuty", behave: answer(400, `{"status":"invalid event","message":"Event object is invalid","errors":["'payload.summary' is missing"]}`, jsonAnswer...), slack: Permanent, webhook: Permanent, pager: Permanent, phone: Permanent},
	{name: "400 PagerDuty key", behave: answer(400, `{"status":"invalid event","message":"Event object is invalid","errors":["'routing_key' is invalid"]}`, jsonAnswer...), slack: Permanent, webhook: Permanent, pager: Misconfigured, phone: Permanent},
	{name: "400 Twilio", behave: answer(400, `{"code":21211,"message":"The 'To' number is not valid","more_info":"https://www.twilio.com/docs/errors/21211","status":400}`, jsonAnswer...), slack: Permanent, webhook: Permanent, pager: Permanent, phone: Permanent},
	{name: "200 ok false", behave: answer(200, `{"ok":false,"error":"invalid_auth"}`), slack: Uncertain, webhook: Accepted, pager: Uncertain, phone: Uncertain},
	{name: "200 blank error", behave: answer(200, `{"ok":false,"error":""}`), slack: Uncertain, webhook: Accepted, pager: Uncertain, phone: Uncertain},
	{name: "200 empty JSON", behave: answer(200, `{}`), slack: Uncertain, webhook: Accepted, pager: Uncertain, phone: Uncertain},
	{name: "200 empty", behave: answer(200, ``), slack: Uncertain, webhook: Accepted, pager: Uncertain, phone: Uncertain},
	{name: "200 HTML", behave: answer(200, `<html>captive portal</html>`), slack: Uncertain, webhook: Accepted, pager: Uncertain, phone: Uncertain},
	{name: "200 malformed JSON", behave: answer(200, `{"ok":tr`), slack: Uncertain, webhook: Accepted, pager: Uncertain, phone: Uncertain},
	{name: "302", behave: answer(302, "", "Location", "/elsewhere"), slack: Misconfigured, webhook: Misconfigured, pager: Misconfigured, phone: Misconfigured},
	{name: "307", behave: answer(307, "", "Location", "/elsewhere"), slack: Misconfigured, webhook: Misconfigured, pager: Misconfigured, phone: Misconfigured},
	{name: "400", behave: answer(400, "invalid_payload"), slack: Permanent, webhook: Permanent, pager: Permanent, phone: Permanent},
	{name: "401", behave: answer(401, "no"), slack: Misconfigured, webhook: Misconfigured, pager: Misconfigured, phone: Misconfigured},
	{name: "403", behave: answer(403, "invalid_token"), slack: Misconfigured, webhook: Misconfigured, pager: Misconfigured, phone: Misconfigured},
	{name: "404", behave: answer(404, "no_service"), slack: Misconfigured, webhook: Misconfigured, pager: Misconfigured, phone: Misconfigured},
	{name: "404 HTML", behave: answer(404, "<html>none</html>"), slack: Misconfigured, webhook: Misconfigured, pager: Misconfigured, phone: Misconfigured},
	{name: "408", behave: answer(408, ""), slack: Transient, webhook: Transient, pager: Transient, phone: Transient},
	{name: "410", behave: answer(410, "channel_is_archived"), slack: Misconfigured, webhook: Misconfigured, pager: Misconfigured, phone: Misconfigured},
	{name: "413", behave: answer(413, ""), slack: Permanent, webhook: Permanent, pager: Permanent, phone: Permanent},
	{name: "425", behave: answer(425, ""), slack: Transient, webhook: Transient, pager: Transient, phone: Transient},
	{name: "429 seconds", behave: answer(429, "", "Retry-After", "7"), slack: NotSent, webhook: NotSent, pager: NotSent, phone: NotSent, retryAfter: 7 * time.Second},
	{name: "429 date", behave: retryAtDate, slack: NotSent, webhook: NotSent, pager: NotSent, phone: NotSent, retryAfter: time.Hour},
	{name: "429 bare", behave: answer(429, ""), slack: NotSent, webhook: NotSent, pager: NotSent, phone: NotSent},
	{name: "500", behave: answer(500, "rollup_error"), slack: Transient, webhook: Transient, pager: Transient, phone: Transient},
	{name: "502 HTML", behave: answer(502, "<html>bad gateway</html>"), slack: Transient, webhook: Transient, pager: Transient, phone: Transient},
	{name: "503 seconds", behave: answer(503, "", "Retry-After", "5"), slack: Transient, webhook: Transient, pager: Transient, phone: Transient, retryAfter: 5 * time.Second},
	{name: "hang", behave: hang, hangs: true, slack: Uncertain, webhook: Uncertain, pager: Uncertain, phone: Uncertain},
	{name: "slow loris", behave: slowLoris, hangs: true, slack: Uncertain, webhook: Accepted, pager: Uncertain, phone: Uncertain},
	{name: "reset", behave: resetConnection, slack: Uncertain, webhook: Uncertain, pager: Uncertain, phone: Uncertain},
	{name: "truncated", behave: truncated, slack: Uncertain, webhook: Accepted, pager: Uncertain, phone: Uncertain},
	{name: "huge body", behave: hugeBody, slack: Uncertain, webhook: Accepted, pager: Uncertain, phone: Uncertain},
	{name: "gzip bomb", behave: gzipBomb, slack: Uncertain, webhook: Accepted, pager: Uncertain, phone: Uncertain},
	{name: "untrusted TLS", behave: answer(200, "ok"), tls: true, untrusted: true, slack: NotSent, webhook: NotSent, pager: NotSent, phone: NotSent},
	{name: "echo", behave: echo, slack: Misconfigured, webhook: Misconfigured, pager: Misconfigured, phone: Misconfigured},
}

// What the providers themselves say of a success, and how they label what they say.
const (
	twilioQueued  = `{"sid":"SM0123456789abcdef0123456789abcdef","status":"queued","error_code":null}`
	pagerDutyTook = `{"status":"success","message":"Event processed","dedup_key":"k"}`
)

var jsonAnswer = []string{"Content-Type", "application/json; charset=utf-8"}

func retryAtDate(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {
	w.Header().Set("Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
	w.WriteHeader(http.StatusTooManyRequests)
}

// httpChannels are the channels with a secret in every place that may hold one.
var httpChannels = []struct {
	kind   Type
	want   func(httpBehaviour) Class
	fields func(base string) map[string]any
}{
	{TypeSlack, func(b httpBehaviour) Class { return b.slack }, func(base string) map[string]any {
		return map[string]any{"webhook_url": base + "/services/" + tokenInPath, "channel": "#ops-alerts", "username": "OneVault Monitor", "icon_emoji": ":warning:"}
	}},
	{TypeWebhook, func(b httpBehaviour) Class { return b.webhook }, func(base string) map[string]any {
		return map[string]any{
			"url": base + "/hook/" + tokenInPath + "?key=" + tokenInQuery, "secret_env": "HOOK_SECRET",
			"headers": map[string]string{"X-Auth": headerToken}, "headers_env": map[string]string{"Authorization": "HOOK_AUTH"},
		}
	}},
	{TypePagerDuty, func(b httpBehaviour) Class { return b.pager }, func(base string) map[string]any {
		return map[string]any{"routing_key_env": "PAGERDUTY_KEY", "api_base_url": base}
	}},
	{TypeSMS, func(b httpBehaviour) Class { return b.phone }, twilioFields},
	{TypeVoice, func(b httpBehaviour) Class { return b.phone }, twilioFields},
}

func twilioFields(base string) map[string]any {
	return map[string]any{
		"account_sid": twilioSID, "auth_token_env": "TWILIO_TOKEN", "from_number": "+4930100000",
		"to_numbers": []string{"+49 30 123456"}, "api_base_url": base,
	}
}

func TestHTTPChannels_ClassifyEveryProviderBehaviour(t *testing.T) {
	t.Parallel()
	for _, ch := range httpChannels {
		for _, b := range httpBehaviours {
			t.Run(string(ch.kind)+"/"+b.name, func(t *testing.T) {
				t.Parallel()
				fake := newFakeHTTP(t, b.tls, b.behave)
				roots := fake.roots()
				if b.untrusted {
					roots = x509.NewCertPool()
				}
				var entered chan struct{}
				if b.hangs && ch.want(b) != Accepted {
					entered = fake.entered
				}
				channel := mustOpen(t, config(t, ch.kind, ch.fields(fake.URL)), testOptions(roots))
				r := sendUntil(t, channel, entered, firedMessage())
				checkReceipt(t, r, ch.want(b))
				if d := b.retryAfter - r.RetryAfter; d < 0 || d > time.Minute || (b.retryAfter < time.Minute && d != 0) {
					t.Errorf("RetryAfter = %v, want %v", r.RetryAfter, b.retryAfter)
				}
				if n := len(fake.all()); n > 1 {
					t.Errorf("%d requests were made, want one", n)
				}
				checkNoSecret(t, channel, r)
			})
		}
	}
}

// TestHTTPChannels_NothingListens covers what goes wrong before there is a provider.
func TestHTTPChannels_NothingListens(t *testing.T) {
	t.Parallel()
	refused := closedPort(t)
	for _, ch := range httpChannels {
		for _, c := range []struct {
			name, base string
			options    Options
			want       Class
			says       string
		}{
			{"refused", "http://" + refused, testOptions(nil), NotSent, "refused"},
			{"unknown name", "https://nowhere.invalid", testOptions(nil), NotSent, "nowhere.invalid cannot be resolved"},
			{"name of a loopback address", "https://localhost", Options{LookupEnv: lookup}, Misconfigured, "ONEVAULT_ALLOWED_CIDRS"},
		} {
			t.Run(string(ch.kind)+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				channel := mustOpen(t, config(t, ch.kind, ch.fields(c.base)), c.options)
				r := sendUntil(t, channel, nil, firedMessage())
				checkReceipt(t, r, c.want)
				if !strings.Contains(r.Reason, c.says) {
					t.Errorf("Reason = %q, want it to say %q", r.Reason, c.says)
				}
				checkNoSecret(t, channel, r)
			})
		}
	}
}

func TestEmail_ClassifiesEveryServerBehaviour(t *testing.T) {
	t.Parallel()
	certificate, roots := testCertificate(t)
	login := []string{"smtp_username", "alerts@onevault.com", "smtp_password_env", "SMTP_PASSWORD"}
	for _, c := range []struct {
		name   string
		server smtpBehaviour
		tls    string
		login  bool
		roots  *x509.CertPool
		hangs  bool
		want   Class
		says   string
	}{
		{name: "accepted in clear text", tls: tlsNone, want: Accepted, says: "SMTP 250"},
		{name: "accepted by STARTTLS with login", server: smtpBehaviour{certificate: certificate, auth: errAccept}, tls: tlsStart, login: true, roots: roots, want: Accepted},
		{name: "accepted by implicit TLS with login", server: smtpBehaviour{certificate: certificate, implicit: true, auth: errAccept}, tls: tlsImplicit, login: true, roots: roots, want: Accepted},
		{name: "421 greeting", server: smtpBehaviour{greeting: "421 too busy\r\n"}, tls: tlsNone, want: Transient, says: "too busy"},
		{name: "554 greeting", server: smtpBehaviour{greeting: "554 go away\r\n"}, tls: tlsNone, want: Permanent},
		{name: "450 sender", server: smtpBehaviour{mail: smtpError(450, "later")}, tls: tlsNone, want: Transient},
		{name: "530 sender", server: smtpBehaviour{mail: smtpError(530, "login first")}, tls: tlsNone, want: Misconfigured},
		{name: "451 recipient", server: smtpBehaviour{rcpt: smtpError(451, "greylisted")}, tls: tlsNone, want: Transient},
		{name: "550 recipient", server: smtpBehaviour{rcpt: smtpError(550, "no such user")}, tls: tlsNone, want: Permanent, says: "no such user"},
		{name: "452 mail", server: smtpBehaviour{data: smtpError(452, "disk full")}, tls: tlsNone, want: Transient},
		{name: "552 mail", server: smtpBehaviour{data: smtpError(552, "too large")}, tls: tlsNone, want: Permanent},
		{name: "535", server: smtpBehaviour{certificate: certificate, auth: smtpError(535, "wrong "+smtpPassword)}, tls: tlsStart, login: true, roots: roots, want: Misconfigured, says: "smtp_username"},
		{name: "no AUTH offered", server: smtpBehaviour{certificate: certificate}, tls: tlsStart, login: true, roots: roots, want: Misconfigured},
		{name: "no STARTTLS offered", tls: tlsStart, want: Misconfigured, says: "STARTTLS"},
		{name: "untrusted certificate", server: smtpBehaviour{certificate: certificate}, tls: tlsStart, roots: x509.NewCertPool(), want: NotSent, says: "not trusted"},
		{name: "untrusted certificate, implicit", server: smtpBehaviour{certificate: certificate, implicit: true}, tls: tlsImplicit, roots: x509.NewCertPool(), want: NotSent, says: "not trusted"},
		{name: "cut at MAIL", server: smtpBehaviour{cut: "mail"}, tls: tlsNone, want: NotSent},
		{name: "cut after DATA", server: smtpBehaviour{cut: "data"}, tls: tlsNone, want: Uncertain},
		{name: "hang after DATA", server: smtpBehaviour{hangData: true}, tls: tlsNone, hangs: true, want: Uncertain},
		{name: "hang at greeting", server: smtpBehaviour{silent: true}, tls: tlsNone, hangs: true, want: NotSent},
		{name: "cut at QUIT", server: smtpBehaviour{cut: "quit"}, tls: tlsNone, want: Accepted},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fake := newFakeSMTP(t, c.server)
			fields := emailFields(fake.addr, c.tls)
			if c.login {
				fields = emailFields(fake.addr, c.tls, login...)
			}
			channel := mustOpen(t, config(t, TypeEmail, fields), testOptions(c.roots))
			var entered chan struct{}
			if c.hangs {
				entered = fake.entered
			}
			r := sendUntil(t, channel, entered, firedMessage())
			checkReceipt(t, r, c.want)
			if !strings.Contains(r.Reason+r.Proof, c.says) {
				t.Errorf("receipt says %q %q, want %q in it", r.Proof, r.Reason, c.says)
			}
			checkNoSecret(t, channel, r)
		})
	}
}

func TestEmail_NothingListens(t *testing.T) {
	t.Parallel()
	port := func(address string) *net.TCPAddr {
		addr, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return addr
	}
	closed := port(closedPort(t))
	for _, c := range []struct {
		name, host string
		options    Options
		want       Class
	}{
		{"refused", "127.0.0.1", testOptions(nil), NotSent},
		{"unknown name", "nowhere.invalid", testOptions(nil), NotSent},
		{"name of a loopback address", "localhost", Options{}, Misconfigured},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fields := emailFields(closed, tlsStart)
			fields["smtp_server"] = c.host
			r := sendUntil(t, mustOpen(t, config(t, TypeEmail, fields), c.options), nil, firedMessage())
			checkReceipt(t, r, c.want)
		})
	}
}

// checkReceipt holds for every channel: the class is the expected one and has its proof or its reason.
func checkReceipt(t *testing.T, r Receipt, want Class) {
	t.Helper()
	if r.Class != want {
		t.Errorf("Class = %s, want %s (proof %q, reason %q)", r.Class, want, r.Proof, r.Reason)
	}
	if r.Class == Accepted && (r.Proof == "" || r.Reason != "") {
		t.Errorf("accepted with proof %q and reason %q, want a proof alone", r.Proof, r.Reason)
	}
	if r.Class != Accepted && (r.Reason == "" || r.Proof != "") {
		t.Errorf("%s with proof %q and reason %q, want a reason alone", r.Class, r.Proof, r.Reason)
	}
	if !strings.Contains(r.Content, "High Connection Count") {
		t.Errorf("Content = %q, want the text as sent", r.Content)
	}
	if r.Duration <= 0 {
		t.Error("Duration is missing")
	}
}

func checkNoSecret(t *testing.T, channel Channel, r Receipt) {
	t.Helper()
	shown := fmt.Sprintf("%+v %#v %v %+v %#v", r, r, channel, channel, channel) + strings.Join(channel.Recipients(), " ")
	for _, s := range allSecrets {
		if strings.Contains(shown, s) {
			t.Errorf("the secret %q is shown: %s", s, shown)
		}
	}
}

// closedPort is an address where nothing listens any more.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// testCertificate borrows httptest's certificate for 127.0.0.1.
func testCertificate(t *testing.T) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return &server.TLS.Certificates[0], pool
}
