package notify

import (
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// probe tries a channel's way; empty: nothing is wrong.
func probe(t *testing.T, channel Channel) string {
	t.Helper()
	prober, able := As[Prober](channel)
	if !able {
		t.Fatalf("%s cannot be tried", channel)
	}
	err := prober.Probe(t.Context())
	if err == nil {
		return ""
	}
	for _, secret := range allSecrets {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("a secret is shown: %v", err)
		}
	}
	return err.Error()
}

func TestProbe_OfAMailServerTriesTheLoginAndSendsNothing(t *testing.T) {
	t.Parallel()
	certificate, roots := testCertificate(t)
	login := []string{"smtp_username", "alerts@onevault.com", "smtp_password_env", "SMTP_PASSWORD"}
	for name, c := range map[string]struct {
		server smtpBehaviour
		tls    string
		login  []string
		roots  *x509.CertPool
		want   string // empty: fine
	}{
		"clear text":       {tls: tlsNone},
		"login":            {smtpBehaviour{certificate: certificate, auth: errAccept}, tlsStart, login, roots, ""},
		"expired password": {smtpBehaviour{certificate: certificate, auth: smtpError(535, "expired "+smtpPassword)}, tlsStart, login, roots, "does not accept the login"},
		"untrusted":        {smtpBehaviour{certificate: certificate}, tlsStart, nil, x509.NewCertPool(), "not trusted"},
		"too busy":         {smtpBehaviour{greeting: "421 too busy\r\n"}, tlsNone, nil, nil, "too busy"},
	} {
		fake := newFakeSMTP(t, c.server)
		channel := mustOpen(t, config(t, TypeEmail, emailFields(fake.addr, c.tls, c.login...)), testOptions(c.roots))
		if got := probe(t, channel); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if mails, rcpts := fake.taken(); len(mails)+len(rcpts) > 0 {
			t.Errorf("%s: %d mails were sent to %q", name, len(mails), rcpts)
		}
	}
}

func TestProbe_OfAURLKnocksAndAsksForNothing(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	plain, secured := httptest.NewServer(handler), httptest.NewUnstartedServer(handler)
	secured.Config.ErrorLog = log.New(io.Discard, "", 0)
	secured.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secured.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secured.Certificate())
	for name, c := range map[string]struct {
		url     string
		options Options
		want    string
	}{
		"plain":     {plain.URL, testOptions(nil), ""},
		"secured":   {secured.URL, testOptions(roots), ""},
		"untrusted": {secured.URL, testOptions(x509.NewCertPool()), "not trusted"},
		"refused":   {"http://" + closedPort(t), testOptions(nil), "refused"},
		"no name":   {"https://nowhere.invalid", testOptions(nil), "nowhere.invalid cannot be resolved"},
		"loopback":  {"https://localhost", Options{LookupEnv: lookup}, "ONEVAULT_ALLOWED_CIDRS"},
	} {
		for _, channel := range []Channel{
			mustOpen(t, config(t, TypeWebhook, map[string]any{"url": c.url + "/hook/" + tokenInPath, "unsigned": true}), c.options),
			mustOpen(t, config(t, TypeSlack, map[string]any{"webhook_url": c.url + "/services/" + tokenInPath}), c.options),
		} {
			if got := probe(t, channel); c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("%s by %s: %q, want %q", name, channel, got, c.want)
			}
		}
	}
	if asked.Load() != 0 {
		t.Errorf("%d requests were made", asked.Load())
	}
}
