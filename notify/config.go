package notify

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const defaultTimeout = 15 * time.Second

// Options is what the process, not the channel's row, decides.
type Options struct {
	// Allow lists networks that channels may reach although they are not public.
	Allow []netip.Prefix
	// LookupEnv resolves the *_env fields; nil is os.LookupEnv.
	LookupEnv func(string) (string, bool)
	// SecretsDir is the only directory that *_file fields may read; empty is /run/secrets.
	SecretsDir string
	// Timeout bounds one attempt; 0 is 15 s. The context's deadline holds as well.
	Timeout time.Duration
	// PublicURL is where providers reach the API's inbound side; nil: they cannot, so no callback is asked
	// for and no answer by telephone is offered.
	PublicURL *url.URL
	// RootCAs replaces the system's certificate authorities; nil keeps them.
	RootCAs *x509.CertPool
}

func (o Options) lookupEnv(name string) (string, bool) {
	if o.LookupEnv != nil {
		return o.LookupEnv(name)
	}
	return os.LookupEnv(name)
}

func (o Options) timeout() time.Duration {
	if o.Timeout > 0 {
		return o.Timeout
	}
	return defaultTimeout
}

// Open makes the channel of a configuration. It reaches no network. An error is a misconfiguration and
// names the channel, the field, its value unless that is a secret, and the remedy.
func Open(cfg Config, o Options) (Channel, error) {
	channel, err := open(cfg, o)
	if err != nil {
		return nil, fmt.Errorf("channel %s: %w", cfg.Key, err)
	}
	return channel, nil
}

func open(cfg Config, o Options) (Channel, error) {
	switch cfg.Type {
	case TypeEmail:
		return openEmail(cfg, o)
	case TypeSlack:
		return openSlack(cfg, o)
	case TypeWebhook:
		return openWebhook(cfg, o)
	case TypePagerDuty:
		return openPagerDuty(cfg, o)
	case TypeSMS:
		return openSMS(cfg, o)
	case TypeVoice:
		return openVoice(cfg, o)
	}
	return nil, unknownType(cfg.Type)
}

// perAlertField asks for a message about each alert, also where many fire together: for receivers that keep
// tickets, and not for people.
const perAlertField = "one_message_per_alert"

// PerAlert reports whether the channel wants a message for each alert. false where the row cannot be read:
// a channel that is misconfigured fails once and not a thousand times.
func (c Config) PerAlert() bool {
	var wish map[string]json.RawMessage
	return json.Unmarshal(c.Configuration, &wish) == nil && string(wish[perAlertField]) == "true"
}

func unknownType(t Type) error {
	return fmt.Errorf("channel_type: %q is unknown; use EMAIL, SLACK, SMS, VOICE, WEBHOOK or PAGERDUTY", t)
}

// Lint reports what is wrong or suspicious about a configuration without looking at the environment or
// the network: what Open would refuse, fields that nothing reads, and secrets that stand in the row where
// a variable could hold them. Empty means that nothing was found.
func Lint(cfg Config) []error {
	f := parseFields(cfg)
	switch cfg.Type {
	case TypeEmail:
		parseEmail(f)
	case TypeSlack:
		parseSlack(f)
	case TypeWebhook:
		parseWebhook(f)
	case TypePagerDuty:
		parsePagerDuty(f)
	case TypeSMS:
		parseSMS(f)
	case TypeVoice:
		parseVoice(f)
	default:
		return []error{fmt.Errorf("channel %s: %w", cfg.Key, unknownType(cfg.Type))}
	}
	f.lintDailyReport(cfg.Type)
	f.boolean(perAlertField)
	f.lintUnknown()
	var out []error
	for _, err := range append(f.errs, f.hints...) {
		out = append(out, fmt.Errorf("channel %s: %w", cfg.Key, err))
	}
	return out
}

// fields reads one configuration object field by field and gathers every complaint, so that a person
// corrects a row once and not once per mistake.
type fields struct {
	raw   map[string]json.RawMessage
	known []string
	errs  []error // Open refuses
	hints []error // Lint alone says
}

func parseFields(cfg Config) *fields {
	f := &fields{}
	if err := json.Unmarshal(cfg.Configuration, &f.raw); err != nil || f.raw == nil {
		f.errs = append(f.errs, errors.New("configuration: it is not a JSON object; see the examples of the deployment guide"))
	}
	if _, all := f.raw["$redacted"]; all {
		f.errs = append(f.errs, errors.New("configuration: this copy is redacted as a whole; read the channel's row"))
	}
	return f
}

func (f *fields) fail(name, format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf("%s: %s", name, fmt.Sprintf(format, args...)))
}

// err joins what Open must refuse.
func (f *fields) err() error { return errors.Join(f.errs...) }

func (f *fields) get(name string) (json.RawMessage, bool) {
	f.known = append(f.known, name)
	value, ok := f.raw[name]
	return value, ok && string(value) != "null"
}

func isRedacted(value json.RawMessage) bool {
	var mark struct {
		Redacted bool `json:"$redacted"`
	}
	return json.Unmarshal(value, &mark) == nil && mark.Redacted
}

// text reads an optional string.
func (f *fields) text(name string) string {
	value, ok := f.get(name)
	if !ok {
		return ""
	}
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		f.fail(name, "it must be a string")
	}
	return strings.TrimSpace(s)
}

func (f *fields) required(name, remedy string) string {
	s := f.text(name)
	if s == "" {
		f.fail(name, "it is missing; %s", remedy)
	}
	return s
}

// port reads a TCP port given as number or string; 0 when absent.
func (f *fields) port(name string) int {
	value, ok := f.get(name)
	if !ok {
		return 0
	}
	port, err := strconv.ParseUint(strings.Trim(string(value), `"`), 10, 16)
	if err != nil || port == 0 {
		f.fail(name, "%s is not a port; use a number from 1 to 65535", oneLine(string(value), 40))
		return 0
	}
	return int(port)
}

func (f *fields) boolean(name string) bool {
	value, ok := f.get(name)
	if !ok {
		return false
	}
	var b bool
	if err := json.Unmarshal(value, &b); err != nil {
		f.fail(name, "it must be true or false")
	}
	return b
}

func (f *fields) textMap(name string) map[string]string {
	value, ok := f.get(name)
	if !ok {
		return nil
	}
	if isRedacted(value) {
		f.fail(name, "it was removed from this copy of the configuration; the vault must be reachable, or give the values by %s_env", name)
		return nil
	}
	var m map[string]string
	if err := json.Unmarshal(value, &m); err != nil {
		f.fail(name, "it must be an object of strings")
	}
	return m
}

// secretRef reads the places of one secret: name itself only when inline is allowed.
func (f *fields) secretRef(name string, inline bool) secretRef {
	ref := secretRef{field: name, env: f.text(name + "_env"), file: f.text(name + "_file")}
	if ref.env != "" && !envName.MatchString(ref.env) {
		f.fail(name+"_env", "the name must have the form [A-Z][A-Z0-9_]*; a secret itself does not belong here")
	}
	if reservedEnv.MatchString(ref.env) {
		f.fail(name+"_env", "%s is a credential of the worker itself; use a variable of the channel's own", ref.env)
	}
	value, given := f.get(name)
	switch {
	case given && isRedacted(value):
		ref.redacted = true
	case given && !inline:
		f.fail(name, "a secret does not belong into the row; name a variable in %s_env or a file in %s_file", name, name)
	case given:
		ref.inline = secret(f.text(name))
	}
	ref.present = ref.env != "" || ref.file != "" || ref.inline != "" || ref.redacted
	return ref
}

// addresses reads mail addresses: an array, a string that holds a JSON array (as the guide's
// jsonb_build_object makes it), or a string with a comma-separated list. Duplicates are dropped.
func (f *fields) addresses(name string) []*mail.Address {
	value, ok := f.get(name)
	if !ok {
		f.fail(name, `it is missing; give an array like ["ops@example.com"]`)
		return nil
	}
	var out []*mail.Address
	seen := map[string]bool{}
	for _, text := range f.addressTexts(name, value) {
		list, err := mail.ParseAddressList(text)
		if err != nil {
			f.fail(name, "%q is not a mail address", oneLine(text, 100))
			continue
		}
		for _, a := range list {
			if !seen[strings.ToLower(a.Address)] {
				seen[strings.ToLower(a.Address)] = true
				out = append(out, a)
			}
		}
	}
	if len(out) == 0 && len(f.errs) == 0 {
		f.fail(name, `it is empty; give at least one address like ["ops@example.com"]`)
	}
	return out
}

func (f *fields) addressTexts(name string, value json.RawMessage) []string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		text = strings.TrimSpace(text)
		if text == "" {
			return nil
		}
		if !strings.HasPrefix(text, "[") {
			return []string{text}
		}
		value = json.RawMessage(text)
	}
	var list []string
	if err := json.Unmarshal(value, &list); err != nil {
		f.fail(name, `it must be an array of strings, or a string that holds one, like ["ops@example.com"]`)
	}
	return list
}

// lintUnknown hints at fields that nothing reads: usually a typing error that disables what it meant.
func (f *fields) lintUnknown() {
	for name := range f.raw {
		if !slices.Contains(f.known, name) {
			slices.Sort(f.known)
			f.hints = append(f.hints, fmt.Errorf("%s: nothing reads this field; known are %s", oneLine(name, 60), strings.Join(slices.Compact(f.known), ", ")))
		}
	}
}

// parseURL checks a destination. The value is not quoted in errors: it may be a secret.
func parseURL(field, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("%s: it is not a URL; it must look like https://host/path", field)
	}
	return u, nil
}

// guardFor gives the guard of a URL: without https only allow-listed addresses pass.
func guardFor(u *url.URL, o Options) addressGuard {
	return addressGuard{allow: o.Allow, clearText: u.Scheme == "http"}
}

// checkLiteral judges a host that is an address already, so that a mistake is found before the first page.
func (g addressGuard) checkLiteral(field, host string) error {
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return nil // a name: judged when it is resolved
	}
	if err := g.check(addr); err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	return nil
}
