package inbox

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const alertBody = `{"version":"4","status":"firing","groupLabels":{"alertname":"High Connection Count"},
"commonLabels":{"target":"pg-prod-3","severity":"critical"},"truncatedAlerts":3,
"alerts":[{"status":"firing","labels":{"alertname":"High Connection Count","<b>x":"1"},
"annotations":{"summary":"96 % > 80 %","runbook_url":"https://wiki.test/r","evil":"javascript:alert(1)"},
"startsAt":"2026-05-04T03:12:07Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"javascript:alert(2)"}]}`

// postSigned signs with the secret at the time given; an empty secret leaves the request unsigned.
func postSigned(t *testing.T, s *Server, secret, id, body string, at time.Time) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.HTTPURL()+"/webhook/ops", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer hunter2")
	if secret != "" {
		webhook, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		signature, err := webhook.Sign(id, at, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("webhook-id", id)
		req.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
		req.Header.Set("webhook-signature", signature)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("post: %v", err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("status %d", res.StatusCode)
	}
}

func TestWebhook_VerdictOnSignatures(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	now := time.Now()
	for name, c := range map[string]struct {
		ours, theirs string
		at           time.Time
		want         *bool
		verdict      string
	}{
		"genuine":       {testSecret, testSecret, now, &yes, "signature verified"},
		"forged":        {testSecret, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", now, &no, "forged"},
		"replayed":      {testSecret, testSecret, now.Add(-time.Hour), &no, "5 minutes off"},
		"not signed":    {testSecret, "", now, &no, "not signed"},
		"no own secret": {"", testSecret, now, nil, "without a secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, Config{WebhookSecret: c.ours})
			postSigned(t, s, c.theirs, "msg_1", `{"a":1}`, c.at)
			m := await(t, s, anyMessage)
			if (m.Verified == nil) != (c.want == nil) || (c.want != nil && *m.Verified != *c.want) {
				t.Errorf("verified %v, want %v", m.Verified, c.want)
			}
			if !strings.Contains(m.Verdict, c.verdict) {
				t.Errorf("verdict %q, want %q", m.Verdict, c.verdict)
			}
		})
	}
}

func TestWebhook_AlteredBodyIsForged(t *testing.T) {
	t.Parallel()
	v, err := newVerifier(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	signature, err := v.webhook.Sign("msg_1", now, []byte(`{"severity":"LOW"}`))
	if err != nil {
		t.Fatal(err)
	}
	headers := http.Header{}
	headers.Set("webhook-id", "msg_1")
	headers.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	headers.Set("webhook-signature", signature)
	if good, verdict := v.verdict([]byte(`{"severity":"CRITICAL"}`), headers); good == nil || *good {
		t.Errorf("an altered body passed: %s", verdict)
	}
}

func TestWebhook_HidesCredentialsAndCountsCopies(t *testing.T) {
	t.Parallel()
	s := start(t, Config{WebhookSecret: testSecret})
	postSigned(t, s, testSecret, "msg_1", `{"n":12345678901234567890}`, time.Now())
	postSigned(t, s, testSecret, "msg_1", `{"n":12345678901234567890}`, time.Now())
	second := await(t, s, func(m Message) bool { return m.Copy == 2 })
	if second.Key != "msg_1" || second.To != "/webhook/ops" {
		t.Errorf("key %q, to %q", second.Key, second.To)
	}
	if got := second.Headers["Authorization"]; len(got) != 1 || got[0] != "(hidden)" {
		t.Errorf("Authorization is kept as %q", got)
	}
	if second.Pretty != "{\n  \"n\": 12345678901234567890\n}" {
		t.Errorf("pretty %q", second.Pretty)
	}
}

func TestWebhook_SummarisesAlertmanagerBodies(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	postSigned(t, s, "", "", alertBody, time.Now())
	m := await(t, s, anyMessage)
	if want := "[FIRING:1] High Connection Count pg-prod-3"; m.Subject != want {
		t.Errorf("subject %q, want %q", m.Subject, want)
	}
	if m.Severity != "CRITICAL" {
		t.Errorf("severity %q", m.Severity)
	}
	if want := "FIRING High Connection Count: 96 % > 80 %"; !strings.Contains(m.Text, want) {
		t.Errorf("text %q lacks %q", m.Text, want)
	}
	for _, want := range []string{"96 % &gt; 80 %", `<a href="https://wiki.test/r">`, "since 2026-05-04 03:12:07 UTC", "and 3 more"} {
		if !strings.Contains(m.HTML, want) {
			t.Errorf("the HTML lacks %s", want)
		}
	}
	for _, hostile := range []string{"<b>x", `href="javascript`} {
		if strings.Contains(m.HTML, hostile) {
			t.Errorf("the HTML holds %s", hostile)
		}
	}
	postSigned(t, s, "", "", strings.ReplaceAll(alertBody, "firing", "resolved"), time.Now())
	resolved := await(t, s, func(m Message) bool { return m.Seq == 2 })
	if resolved.Severity != "RESOLVED" || !strings.HasPrefix(resolved.Subject, "[RESOLVED]") {
		t.Errorf("severity %q, subject %q", resolved.Severity, resolved.Subject)
	}
}

func TestWebhook_TestMessagesLookHarmless(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	postSigned(t, s, "", "", `{"version":"4","status":"firing","commonLabels":{"alertname":"HIGH_LOAD","severity":"critical"},
		"alerts":[],"onevault":{"test":true,"possible_duplicate":true}}`, time.Now())
	m := await(t, s, anyMessage)
	if m.Subject != "[TEST] HIGH_LOAD" || m.Severity != "" {
		t.Errorf("subject %q, severity %q", m.Subject, m.Severity)
	}
	for _, want := range []string{"A test of the channel", "may have arrived already"} {
		if !strings.Contains(m.HTML, want) {
			t.Errorf("the HTML lacks %q: %s", want, m.HTML)
		}
	}
}
