package inbox

import (
	"errors"
	"net/smtp"
	"net/textproto"
	"slices"
	"strings"
	"testing"
)

// alternative is what a real mailer sends: nested parts, three transfer encodings, an encoded subject.
var alternative = strings.ReplaceAll(`From: =?utf-8?q?OneVault_=E2=9A=A0?= <alerts@onevault.test>
To: ops@example.test
Subject: =?utf-8?q?CRITICAL_pg-prod-3_Verbindungen_96_=25_=E2=80=94_B=C3=BCro?=
Message-ID: <a7f3k.fired@onevault>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: quoted-printable

96 =25 of connections =E2=80=94 a soft=
 line break
--inner
Content-Type: text/html; charset=iso-8859-1
Content-Transfer-Encoding: base64

PHA+Qvxybzwv
cD4=
--inner--
--outer
Content-Type: application/pdf
Content-Disposition: attachment; filename="report.pdf"
Content-Transfer-Encoding: base64

JVBERg==
--outer--
`, "\n", "\r\n")

func send(t *testing.T, s *Server, content string, to ...string) error {
	t.Helper()
	if len(to) == 0 {
		to = []string{"ops@example.test"}
	}
	return smtp.SendMail(s.SMTPAddr(), nil, "alerts@onevault.test", to, []byte(content))
}

func mustSend(t *testing.T, s *Server, content string, to ...string) {
	t.Helper()
	if err := send(t, s, content, to...); err != nil {
		t.Fatalf("send: %v", err)
	}
}

func TestEmail_ArrivesDecoded(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	mustSend(t, s, alternative, "ops@example.test", "dana@example.test")
	m := await(t, s, anyMessage)
	for _, check := range []struct{ what, got, want string }{
		{"channel", m.Channel, Email},
		{"from", m.From, "OneVault ⚠ <alerts@onevault.test>"},
		{"to", m.To, "ops@example.test, dana@example.test"},
		{"subject", m.Subject, "CRITICAL pg-prod-3 Verbindungen 96 % — Büro"},
		{"text", m.Text, "96 % of connections — a soft line break"},
		{"html", m.HTML, "<p>Büro</p>"},
		{"key", m.Key, "<a7f3k.fired@onevault>"},
		{"severity", m.Severity, "CRITICAL"},
		{"raw", m.Raw, alternative},
	} {
		if check.got != check.want {
			t.Errorf("%s: got %q, want %q", check.what, check.got, check.want)
		}
	}
	if want := []string{"report.pdf (application/pdf, 4 bytes)"}; !slices.Equal(m.Attachments, want) {
		t.Errorf("attachments %q, want %q", m.Attachments, want)
	}
}

func TestEmail_ThatIsMalformedIsShownAllTheSame(t *testing.T) {
	t.Parallel()
	deep := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n", 40)
	for name, content := range map[string]string{
		"no header":        "this is no e-mail",
		"bad content type": "Subject: x\r\nContent-Type: ;;;\r\n\r\nbody",
		"truncated base64": "Subject: x\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nAAA",
		"no boundary":      "Subject: x\r\nContent-Type: multipart/mixed\r\n\r\nbody",
		"nested too deep":  deep,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := readMail([]byte(content))
			if !strings.Contains(m.Text, "(a part of this message could not be decoded") && !strings.Contains(m.Text, "no readable header") {
				t.Errorf("the text does not say what is wrong: %q", m.Text)
			}
			if m.Raw != content {
				t.Errorf("raw was changed")
			}
		})
	}
}

func TestEmail_AcceptsCredentialsAndKeepsNone(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	auth := smtp.PlainAuth("", "alerts", "hunter2", "127.0.0.1")
	if err := smtp.SendMail(s.SMTPAddr(), auth, "a@b.test", []string{"c@d.test"}, []byte("Subject: x\r\n\r\ny")); err != nil {
		t.Fatalf("send: %v", err)
	}
	m := await(t, s, anyMessage)
	if strings.Contains(m.Raw+m.Text+m.From, "hunter2") || len(m.Headers["Authorization"]) > 0 {
		t.Errorf("the password was kept: %+v", m)
	}
}

func TestEmail_BeyondTheCapIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	line := strings.Repeat("x", 998) + "\r\n"
	wantCode(t, send(t, s, "Subject: large\r\n\r\n"+strings.Repeat(line, maxBody/1000+1)), 552)
	if n := len(s.Messages()); n != 0 {
		t.Errorf("%d messages were received", n)
	}
}

// wantCode fails unless err is the server's answer with that code.
func wantCode(t *testing.T, err error, code int) {
	t.Helper()
	var answer *textproto.Error
	if !errors.As(err, &answer) || answer.Code != code {
		t.Errorf("error %v, want SMTP %d", err, code)
	}
}
