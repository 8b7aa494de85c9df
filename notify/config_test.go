package notify

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The guide's own rows, as its jsonb_build_object makes them.
const (
	guideEmail = `{"smtp_server":"smtp.company.com","smtp_port":587,"smtp_username":"alerts@onevault.com","smtp_password_env":"SMTP_PASSWORD",
		"from_address":"OneVault Alerts <alerts@onevault.com>","to_addresses":"[\"ops@onevault.com\", \"admin@onevault.com\"]"}`
	guideSlack = `{"webhook_url":"https://hooks.slack.com/services/YOUR/SLACK/WEBHOOK","channel":"#ops-alerts","username":"OneVault Monitor","icon_emoji":":warning:"}`
)

func row(kind Type, configuration string) Config {
	return Config{Key: "CHANNEL_A", Name: "Channel A", Type: kind, Configuration: json.RawMessage(configuration)}
}

func TestOpen_TakesTheGuidesRows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cfg  Config
		want []string
	}{
		{row(TypeEmail, guideEmail), []string{"ops@onevault.com", "admin@onevault.com"}},
		{row(TypeEmail, strings.Replace(guideEmail, `"[\"ops@onevault.com\", \"admin@onevault.com\"]"`, `["Ops <ops@onevault.com>","OPS@onevault.com"]`, 1)), []string{"ops@onevault.com"}},
		{row(TypeEmail, strings.Replace(guideEmail, `"[\"ops@onevault.com\", \"admin@onevault.com\"]"`, `"ops@onevault.com, b@onevault.com"`, 1)), []string{"ops@onevault.com", "b@onevault.com"}},
		{row(TypeSlack, guideSlack), []string{"#ops-alerts"}},
		{row(TypeSlack, `{"webhook_url":"https://hooks.slack.com/services/T/B/X"}`), []string{"https://hooks.slack.com/..."}},
		{row(TypeWebhook, `{"url":"https://user:pw@example.com/a/b?c=d","secret_env":"HOOK_SECRET"}`), []string{"https://example.com/..."}},
		{row(TypeWebhook, `{"url":"https://example.com","unsigned":true}`), []string{"https://example.com"}},
	} {
		if got := mustOpen(t, c.cfg, testOptions(nil)).Recipients(); !slices.Equal(got, c.want) {
			t.Errorf("Recipients = %q, want %q", got, c.want)
		}
		if found := Lint(c.cfg); len(found) > 0 {
			t.Errorf("Lint(%s) = %v, want nothing", c.cfg.Configuration, found)
		}
	}
}

// TestOpen_SaysWhatToCorrect holds one mistake each, and the words that the error must contain.
func TestOpen_SaysWhatToCorrect(t *testing.T) {
	t.Parallel()
	email := func(change string, value string) string {
		var f map[string]json.RawMessage
		if err := json.Unmarshal([]byte(guideEmail), &f); err != nil {
			t.Fatal(err)
		}
		if f[change] = json.RawMessage(value); value == "" {
			delete(f, change)
		}
		out, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	sms := func(change, value string) string {
		f := map[string]json.RawMessage{
			"account_sid": json.RawMessage(`"` + twilioSID + `"`), "auth_token_env": json.RawMessage(`"TWILIO_TOKEN"`),
			"from_number": json.RawMessage(`"+4930100000"`), "to_numbers": json.RawMessage(`["+4930123456"]`),
		}
		f[change] = json.RawMessage(value)
		out, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	for _, c := range []struct {
		name string
		cfg  Config
		says []string
		pure bool // Lint says it as well
	}{
		{"no object", row(TypeEmail, `[1]`), []string{"configuration", "JSON object"}, true},
		{"null", row(TypeSlack, `null`), []string{"configuration", "JSON object"}, true},
		{"unknown type", row("TEAMS", `{}`), []string{`"TEAMS"`, "EMAIL, SLACK, SMS, VOICE, WEBHOOK or PAGERDUTY"}, true},
		{"no server", row(TypeEmail, email("smtp_server", "")), []string{"smtp_server: it is missing"}, true},
		{"server with port", row(TypeEmail, email("smtp_server", `"mail:25"`)), []string{`"mail:25"`, "smtp_port"}, true},
		{"port word", row(TypeEmail, email("smtp_port", `"abc"`)), []string{"smtp_port", "abc", "1 to 65535"}, true},
		{"port zero", row(TypeEmail, email("smtp_port", `0`)), []string{"smtp_port", "1 to 65535"}, true},
		{"port too large", row(TypeEmail, email("smtp_port", `70000`)), []string{"70000"}, true},
		{"from", row(TypeEmail, email("from_address", `"nobody"`)), []string{"from_address", `"nobody"`}, true},
		{"no recipients", row(TypeEmail, email("to_addresses", `[]`)), []string{"to_addresses", "at least one"}, true},
		{"empty recipients", row(TypeEmail, email("to_addresses", `""`)), []string{"to_addresses", "at least one"}, true},
		{"bad recipient", row(TypeEmail, email("to_addresses", `["a@b.c","x"]`)), []string{"to_addresses", `"x"`}, true},
		{"recipients number", row(TypeEmail, email("to_addresses", `7`)), []string{"to_addresses", "array of strings"}, true},
		{"header injection", row(TypeEmail, email("to_addresses", `["a@b.c\r\nBcc: d@e.f"]`)), []string{"to_addresses"}, true},
		{"tls word", row(TypeEmail, email("tls", `"maybe"`)), []string{`"maybe"`, "starttls, implicit or none"}, true},
		{"password in clear text", row(TypeEmail, email("tls", `"none"`)), []string{"tls", "clear text"}, true},
		{"no password", row(TypeEmail, email("smtp_password_env", "")), []string{"smtp_password_env", "smtp_username is set"}, true},
		{"password in the row", row(TypeEmail, email("smtp_password", `"`+smtpPassword+`"`)), []string{"smtp_password", "does not belong into the row"}, true},
		{"password as variable name", row(TypeEmail, email("smtp_password_env", `"`+smtpPassword+`"`)), []string{"smtp_password_env", "[A-Z][A-Z0-9_]*"}, true},
		{"the worker's credentials", row(TypeEmail, email("smtp_password_env", `"ONEVAULT_DATABASE_URL"`)), []string{"ONEVAULT_DATABASE_URL", "worker itself"}, true},
		{"variable unset", row(TypeEmail, email("smtp_password_env", `"NOT_SET"`)), []string{"NOT_SET is not set", "restart"}, false},
		{"private server", row(TypeEmail, email("smtp_server", `"192.168.1.1"`)), []string{"smtp_server", "192.168.1.1", "ONEVAULT_ALLOWED_CIDRS"}, false},
		{"slack without URL", row(TypeSlack, `{"channel":"#a"}`), []string{"webhook_url: it is missing"}, true},
		{"slack redacted", Redact(row(TypeSlack, guideSlack)), []string{"webhook_url", "removed from this copy", "webhook_url_env"}, false},
		{"slack URL", row(TypeSlack, `{"webhook_url":"hooks.slack.com/`+tokenInPath+`"}`), []string{"webhook_url", "https://host/path"}, true},
		{"webhook without secret", row(TypeWebhook, `{"url":"https://example.com/a"}`), []string{"secret_env", `"unsigned": true`}, true},
		{"webhook with both", row(TypeWebhook, `{"url":"https://example.com/a","secret_env":"HOOK_SECRET","unsigned":true}`), []string{"unsigned", "contradicts"}, true},
		{"webhook short secret", row(TypeWebhook, `{"url":"https://example.com/a","secret_env":"SHORT"}`), []string{"secret", "shorter than 16"}, false},
		{"webhook broken secret", row(TypeWebhook, `{"url":"https://example.com/a","secret_env":"BROKEN"}`), []string{"secret", "not base64"}, false},
		{"webhook own header", row(TypeWebhook, `{"url":"https://example.com/a","unsigned":true,"headers":{"webhook-signature":"x"}}`), []string{"headers", `"webhook-signature"`}, true},
		{"webhook header break", row(TypeWebhook, `{"url":"https://example.com/a","unsigned":true,"headers":{"X-A":"b\r\nc: d"}}`), []string{"headers", "line break"}, true},
		{"webhook clear text", row(TypeWebhook, `{"url":"http://8.8.8.8/a","unsigned":true}`), []string{"url", "without encryption"}, false},
		{"webhook metadata", row(TypeWebhook, `{"url":"http://169.254.169.254/latest","unsigned":true}`), []string{"url", "link-local"}, false},
		{"webhook scheme", row(TypeWebhook, `{"url":"file:///etc/passwd","unsigned":true}`), []string{"url", "https://host/path"}, true},
		{"pagerduty without key", row(TypePagerDuty, `{}`), []string{"routing_key_env: it is missing"}, true},
		{"pagerduty key in the row", row(TypePagerDuty, `{"routing_key":"`+pagerKey+`"}`), []string{"routing_key", "does not belong into the row"}, true},
		{"pagerduty key of another kind", row(TypePagerDuty, `{"routing_key_env":"SHORT"}`), []string{"routing_key", "32 letters and digits"}, false},
		{"pagerduty elsewhere", row(TypePagerDuty, `{"routing_key_env":"PAGERDUTY_KEY","api_base_url":"https://8.8.8.8"}`), []string{"api_base_url", "8.8.8.8 is not the provider's", "ONEVAULT_ALLOWED_CIDRS"}, false},
		{"pagerduty look-alike", row(TypePagerDuty, `{"routing_key_env":"PAGERDUTY_KEY","api_base_url":"https://user:pw@pagerduty.com/?x=1"}`), []string{"api_base_url", "host and path alone"}, true},
		{"sms without all", row(TypeSMS, `{}`), []string{"account_sid: it is missing", "auth_token_env: it is missing", "from_number: it is missing", "to_numbers: it is missing"}, true},
		{"sms account", row(TypeSMS, sms("account_sid", `"AC12"`)), []string{"account_sid", `"AC12"`, "32 hexadecimal digits"}, true},
		{"sms token in the row", row(TypeSMS, sms("auth_token", `"`+twilioAuth+`"`)), []string{"auth_token", "does not belong into the row"}, true},
		{"sms token of another kind", row(TypeSMS, sms("auth_token_env", `"SHORT"`)), []string{"auth_token", "32 letters and digits"}, false},
		{"sms number", row(TypeSMS, sms("to_numbers", `["+4930123456","030 123"]`)), []string{"to_numbers", `"030123"`, "+4930123456"}, true},
		{"sms no numbers", row(TypeSMS, sms("to_numbers", `[]`)), []string{"to_numbers", "at least one"}, true},
		{"sms sender", row(TypeSMS, sms("from_number", `"much too long a name"`)), []string{"from_number", `"much too long a name"`}, true},
		{"sms service", row(TypeSMS, sms("messaging_service_sid", `"MG1"`)), []string{"messaging_service_sid", `"MG1"`}, true},
		{"voice sender", row(TypeVoice, sms("from_number", `"OneVault"`)), []string{"from_number", `"OneVault" can make no call`}, true},
		{"voice voice", row(TypeVoice, sms("voice", `"<Amy>"`)), []string{"voice", `"<Amy>"`}, true},
		{"voice language", row(TypeVoice, sms("language", `"English"`)), []string{"language", `"English"`, "en-GB"}, true},
		{"twilio elsewhere", row(TypeSMS, sms("api_base_url", `"http://8.8.8.8"`)), []string{"api_base_url", "8.8.8.8"}, false},
		{"several at once", row(TypeEmail, `{}`), []string{"smtp_server", "to_addresses", "from_address"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := testOptions(nil)
			o.LookupEnv = func(name string) (string, bool) {
				switch name {
				case "SHORT":
					return "tooShort", true
				case "BROKEN":
					return "whsec_%%%", true
				}
				return lookup(name)
			}
			_, err := Open(c.cfg, o)
			if err == nil {
				t.Fatal("Open succeeds, want an error")
			}
			linted := fmt.Sprint(Lint(c.cfg))
			for _, word := range append(c.says, "channel CHANNEL_A") {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("Open says %q, want %q in it", err, word)
				}
				if c.pure && !strings.Contains(linted, word) {
					t.Errorf("Lint says %q, want %q in it", linted, word)
				}
			}
			for _, s := range append(allSecrets, "tooShort") {
				if strings.Contains(err.Error()+linted, s) {
					t.Errorf("the error shows the secret %q: %v %s", s, err, linted)
				}
			}
		})
	}
}

func TestLint_HintsAtWhatOpenAccepts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cfg  Config
		says string
	}{
		{row(TypeSlack, `{"webhook_url":"https://example.com/x","chanel":"#ops"}`), "chanel: nothing reads this field"},
		{row(TypeWebhook, `{"url":"https://example.com/x","unsigned":true,"headers":{"Authorization":"Basic abc"}}`), "headers_env"},
		{row(TypeEmail, strings.Replace(guideEmail, "587", "465", 1)), "implicit"},
		{row(TypePagerDuty, `{"routing_key_env":"K","integration_key_env":"K"}`), "integration_key_env: nothing reads this field"},
	} {
		if got := fmt.Sprint(Lint(c.cfg)); !strings.Contains(got, c.says) {
			t.Errorf("Lint = %s, want %q in it", got, c.says)
		}
	}
}

func TestRedact_LeavesNoSecretAndOpensWhereNoneIsNeeded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		cfg   Config
		opens bool
	}{
		{"guide e-mail", row(TypeEmail, guideEmail), true},
		{"password in the row", row(TypeEmail, `{"smtp_password":"`+smtpPassword+`"}`), false},
		{"misspelt password", row(TypeEmail, `{"smtp_pasword_secret":"`+smtpPassword+`"}`), false},
		{"slack", row(TypeSlack, `{"webhook_url":"https://hooks.slack.com/services/`+tokenInPath+`"}`), false},
		{"slack by variable", row(TypeSlack, `{"webhook_url_env":"SLACK_URL"}`), true},
		{"webhook token in path", row(TypeWebhook, `{"url":"https://example.com/`+tokenInPath+`","unsigned":true}`), false},
		{"webhook token in query", row(TypeWebhook, `{"url":"https://example.com/?k=`+tokenInQuery+`","unsigned":true}`), false},
		{"webhook user", row(TypeWebhook, `{"url":"https://u:`+tokenInQuery+`@example.com/","unsigned":true}`), false},
		{"webhook header", row(TypeWebhook, `{"url":"https://example.com/a","unsigned":true,"headers":{"X-Auth":"`+headerToken+`"}}`), false},
		{"plain webhook", row(TypeWebhook, `{"url":"https://example.com/hooks/dba","secret_env":"HOOK_SECRET"}`), true},
		{"pagerduty", row(TypePagerDuty, `{"routing_key":"`+pagerKey+`"}`), false},
		{"pagerduty by variable", row(TypePagerDuty, `{"routing_key_env":"PAGERDUTY_KEY"}`), true},
		{"sms", row(TypeSMS, `{"account_sid":"`+twilioSID+`","auth_token":"`+twilioAuth+`","from_number":"+4930100000","to_numbers":["+4930123456"]}`), false},
		{"sms by variable", row(TypeSMS, `{"account_sid":"`+twilioSID+`","auth_token_env":"TWILIO_TOKEN","from_number":"+4930100000","to_numbers":["+4930123456"]}`), true},
		{"not JSON", row(TypeSlack, `"`+tokenInPath+`"`), false},
	} {
		before := string(c.cfg.Configuration)
		got := Redact(c.cfg)
		for _, s := range allSecrets {
			if strings.Contains(string(got.Configuration), s) {
				t.Errorf("%s: %s shows a secret", c.name, got.Configuration)
			}
		}
		if string(c.cfg.Configuration) != before {
			t.Errorf("%s: Redact changed its argument", c.name)
		}
		o := testOptions(nil)
		o.LookupEnv = func(name string) (string, bool) {
			if name == "SLACK_URL" {
				return "https://hooks.slack.com/services/x", true
			}
			return lookup(name)
		}
		if _, err := Open(got, o); (err == nil) != c.opens {
			t.Errorf("%s: Open of the redacted copy: %v, want success %v", c.name, err, c.opens)
		}
	}
}

func TestOpen_ReadsSecretFilesOfTheSecretsDirectoryOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secrets := filepath.Join(dir, "secrets")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(secrets, 0o700); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(secrets, "hook"), signingKey+"\n")
	write(filepath.Join(secrets, "empty"), "\n")
	write(filepath.Join(dir, "outside"), signingKey)
	if err := os.Symlink(filepath.Join(dir, "outside"), filepath.Join(secrets, "link")); err != nil {
		t.Fatal(err)
	}
	for name, ok := range map[string]bool{
		"hook": true, filepath.Join(secrets, "hook"): true,
		"../outside": false, filepath.Join(dir, "outside"): false, "link": false, "empty": false, "missing": false,
	} {
		cfg := config(t, TypeWebhook, map[string]any{"url": "https://example.com/a", "secret_file": name})
		_, err := Open(cfg, Options{SecretsDir: secrets})
		if (err == nil) != ok {
			t.Errorf("secret_file %s: err = %v, want success %v", name, err, ok)
		}
		if err != nil && !strings.Contains(err.Error(), "secret_file") {
			t.Errorf("err = %v, want it to name secret_file", err)
		}
	}
}

func TestConfig_PrintsWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	cfg := row(TypeSlack, `{"webhook_url":"https://example.com/`+tokenInPath+`"}`)
	for _, text := range []string{fmt.Sprint(cfg), fmt.Sprintf("%+v", cfg), fmt.Sprintf("%#v", cfg), cfg.LogValue().String()} {
		if text != "SLACK CHANNEL_A" {
			t.Errorf("printed %q", text)
		}
	}
}
