package notify

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	defaultSecretsDir = "/run/secrets"
	maxSecret         = 64 << 10
)

var (
	envName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	// reservedEnv are the worker's own credentials: whoever may write a channel's row could otherwise have
	// them sent to a server of his choice.
	reservedEnv = regexp.MustCompile(`^(PG|TEMPORAL_|ONEVAULT_DATABASE|ONEVAULT_LINK)`)
	// secretName catches in-row secrets of shapes that this build does not know (PagerDuty, SMS, typos).
	secretName = regexp.MustCompile(`(?i)(password|passwd|secret|token|api_?key|routing_?key|integration_?key|credential|auth)`)
	tokenLike  = regexp.MustCompile(`[A-Za-z0-9_\-]{12,}`)
	redacted   = json.RawMessage(`{"$redacted":true}`)
)

// secret is a value that must not be printed: every verb gives the same placeholder. fmt asks no method
// of an unexported field, so a type that holds one prints itself as well.
type secret string

const hidden = "[secret]"

func (secret) Format(s fmt.State, _ rune)   { _, _ = io.WriteString(s, hidden) } // fmt keeps the error itself
func (secret) LogValue() slog.Value         { return slog.StringValue(hidden) }
func (secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// secretRef says where a secret is: in the row (only where the guide's shape has it there), in an
// environment variable, or in a file of the secrets directory.
type secretRef struct {
	field             string
	inline            secret
	env, file         string
	redacted, present bool
}

// Format prints where the secret is, never the secret.
func (r secretRef) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "%s (env %q, file %q)", r.field, r.env, r.file) // fmt keeps the error itself
}

// load returns the secret, or an error that names the field and the remedy.
func (r secretRef) load(o Options) (secret, error) {
	switch {
	case r.env != "":
		value, ok := o.lookupEnv(r.env)
		if !ok || strings.TrimSpace(value) == "" {
			return "", fmt.Errorf("%s_env: the variable %s is not set; set it in the worker's environment and restart the worker", r.field, r.env)
		}
		return secret(strings.TrimSpace(value)), nil
	case r.file != "":
		value, err := readSecretFile(o.SecretsDir, r.file)
		if err != nil {
			return "", fmt.Errorf("%s_file: %w", r.field, err)
		}
		return value, nil
	case r.redacted:
		return "", fmt.Errorf("%s: the secret was removed from this copy of the configuration; it is in the channel's row only, so the vault must be reachable, or give it by %s_env or %s_file", r.field, r.field, r.field)
	}
	return r.inline, nil
}

// readSecretFile reads name inside dir. The directory is opened as a root, so that neither ".." nor a
// symbolic link in a channel's row reaches another file of the host.
func readSecretFile(dir, name string) (secret, error) {
	if dir == "" {
		dir = defaultSecretsDir
	}
	if filepath.IsAbs(name) {
		relative, err := filepath.Rel(dir, name)
		if err != nil {
			return "", fmt.Errorf("secret file %s: %w", name, err)
		}
		name = relative
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("the secrets directory: %w", err)
	}
	defer root.Close()
	file, err := root.Open(name)
	if err != nil {
		return "", fmt.Errorf("secret file in %s: %w", dir, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxSecret))
	if err != nil {
		return "", fmt.Errorf("secret file %s: %w", name, err)
	}
	value := strings.TrimSpace(string(data))
	if value == "" {
		return "", fmt.Errorf("secret file %s in %s is empty", name, dir)
	}
	return secret(value), nil
}

// scrubber removes known secrets from text that others wrote: a receiver may quote what it was sent.
type scrubber struct{ replacer *strings.Replacer }

func newScrubber(secrets ...secret) scrubber {
	var pairs []string
	for _, s := range secrets {
		// Below four characters the cure would mangle ordinary words.
		if len(s) >= 4 {
			pairs = append(pairs, string(s), "[secret]")
		}
	}
	return scrubber{strings.NewReplacer(pairs...)}
}

func (s scrubber) receipt(r Receipt) Receipt {
	r.Proof = s.replacer.Replace(r.Proof)
	r.Reason = s.replacer.Replace(r.Reason)
	r.ExternalID = s.replacer.Replace(r.ExternalID)
	r.Content = s.replacer.Replace(r.Content)
	return r
}

// urlSecrets lists the parts of a URL that an answer or an error could quote, longest first.
func urlSecrets(u *url.URL) []secret {
	out := []secret{secret(u.String())}
	if u.RawQuery != "" {
		out = append(out, secret(u.RequestURI()), secret(u.RawQuery))
	}
	if tokenLike.MatchString(u.Path) || u.RawQuery != "" {
		out = append(out, secret(u.Path))
	}
	for _, part := range tokenLike.FindAllString(u.Path, -1) {
		out = append(out, secret(part))
	}
	for _, values := range u.Query() {
		for _, v := range values {
			out = append(out, secret(v))
		}
	}
	if u.User != nil {
		password, _ := u.User.Password()
		out = append(out, secret(u.User.String()), secret(password))
	}
	return out
}

// displayURL is what a row or a log may say of a URL: where it leads, not what opens it.
func displayURL(u *url.URL) string {
	if u.Path == "" || u.Path == "/" {
		return u.Scheme + "://" + u.Host
	}
	return u.Scheme + "://" + u.Host + "/..."
}

// Sensitive lists the configuration fields of a type whose values may be secrets. A webhook's url is one
// only when it holds credentials (see Redact).
func Sensitive(t Type) []string {
	switch t {
	case TypeEmail:
		return []string{"smtp_password"}
	case TypeSlack:
		return []string{"webhook_url", "bot_token"}
	case TypeWebhook:
		return []string{"url", "headers", "secret"}
	case TypeSMS, TypeVoice:
		return []string{"auth_token"}
	case TypePagerDuty:
		return []string{"routing_key", "webhook_secret"}
	}
	return nil
}

// Redact returns the configuration without the secrets that stand in it, each replaced by
// {"$redacted":true}: the copy that may travel in a workflow's input or appear on a screen. Names of
// variables and files stay, so that such a copy still opens where its secrets are given that way. A
// webhook's url stays when it is plain: no user, no query, no part of the path that looks like a token.
func Redact(cfg Config) Config {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(cfg.Configuration, &fields); err != nil || fields == nil {
		cfg.Configuration = redacted
		return cfg
	}
	for name, value := range fields {
		if isSensitive(cfg.Type, name, value) {
			fields[name] = redacted
		}
	}
	out, err := json.Marshal(maps.Clone(fields))
	if err != nil { // unreachable: every value came out of a JSON document
		out = redacted
	}
	cfg.Configuration = out
	return cfg
}

func isSensitive(t Type, name string, value json.RawMessage) bool {
	if strings.HasSuffix(name, "_env") || strings.HasSuffix(name, "_file") {
		return false
	}
	if t == TypeWebhook && name == "url" {
		return !plainURL(value)
	}
	return slices.Contains(Sensitive(t), name) || secretName.MatchString(name) || strings.HasSuffix(name, "webhook_url")
}

func plainURL(value json.RawMessage) bool {
	var text string
	if json.Unmarshal(value, &text) != nil {
		return false
	}
	u, err := url.Parse(text)
	return err == nil && u.User == nil && u.RawQuery == "" && u.Fragment == "" && !tokenLike.MatchString(u.Path)
}

// String, GoString and LogValue keep the row's secrets out of logs that print a whole configuration.
func (c Config) String() string { return string(c.Type) + " " + c.Key }

// GoString is String, for %#v.
func (c Config) GoString() string { return c.String() }

// LogValue is String, for slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Channels print as what they are, because fmt would otherwise walk into their fields.
func (w *webhook) String() string        { return "WEBHOOK " + displayURL(w.url) }
func (w *webhook) GoString() string      { return w.String() }
func (s *slackWebhook) String() string   { return "SLACK " + displayURL(s.url) }
func (s *slackWebhook) GoString() string { return s.String() }
func (s *slackBot) String() string       { return "SLACK " + s.cfg.channel }
func (s *slackBot) GoString() string     { return s.String() }
func (e *email) String() string          { return "EMAIL " + e.cfg.host }
func (e *email) GoString() string        { return e.String() }
