// Package source reads what other alerting systems send, and says it in OneVault's words. It owns the
// formats; it refuses networks, clocks and rows: `now` is an argument. A field that a format does not have is
// passed over, as Alertmanager's own receivers do, and of OneVault's own form that is said; a value that cannot be meant
// is an error that names it.
package source

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxAlerts bounds one request; Alertmanager's max_alerts keeps it below.
	MaxAlerts = 1000

	maxName   = 200
	maxReason = 600
	maxText   = 2000
	maxLabels = 64
	// clockSkew is how far ahead another system's clock may be.
	clockSkew = 10 * time.Minute
)

// The states of an alert at its source.
const (
	Firing   = "firing"
	Resolved = "resolved"
)

// Alert is one alert as its source reports it.
type Alert struct {
	Name        string
	Status      string // Firing or Resolved
	Severity    string // CRITICAL, HIGH, MEDIUM or LOW
	Fingerprint string // the same for the same series of firings
	StartsAt    *time.Time
	EndsAt      *time.Time // nil: not said
	Labels      map[string]string
	Reason      string // what people read: the summary, and the labels
	Value       *float64
	Description string
	RunbookURL  string
	Link        string // where the source shows it
}

// severityOf reads the words that people use; MEDIUM where none is known.
func severityOf(word string) string {
	severity, _ := severityWord(word)
	return severity
}

func severityWord(word string) (severity string, known bool) {
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "critical", "page", "emergency", "fatal", "disaster", "p1", "sev1":
		return "CRITICAL", true
	case "high", "error", "major", "p2", "sev2":
		return "HIGH", true
	case "", "medium", "warning", "warn", "minor", "p3", "sev3":
		return "MEDIUM", true
	case "info", "informational", "low", "notice", "none", "debug", "p4", "p5", "sev4", "sev5":
		return "LOW", true
	}
	return "MEDIUM", false
}

// text makes one clean line of at most so many characters.
func text(s string, limit int) string {
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)), " ")
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return s
}

// webURL is s when it is an absolute web address, otherwise nothing.
func webURL(s string) string {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") || len(s) > maxText {
		return ""
	}
	return u.String()
}

// reason is the summary with the labels that tell one alert of a name from another.
func reason(summary string, labels map[string]string, leftOut ...string) string {
	var told []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if !slices.Contains(leftOut, name) {
			told = append(told, name+"="+labels[name])
		}
	}
	if len(told) > 0 {
		summary = strings.TrimSpace(summary + " (" + strings.Join(told, ", ") + ")")
	}
	return text(summary, maxReason)
}

func cleanLabels(labels map[string]string) map[string]string {
	clean := make(map[string]string, len(labels))
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if len(clean) == maxLabels {
			break
		}
		clean[text(name, maxName)] = text(labels[name], maxReason)
	}
	return clean
}

// fingerprint names a series by its name and labels, for a source that has no id of its own.
func fingerprint(name string, labels map[string]string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q", name)
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(h, " %q=%q", label, labels[label])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// moment reads a time that somebody else's clock gave; none, and the year 1 that stands for none, is nil.
func moment(field, written string, now time.Time) (*time.Time, error) {
	if written == "" {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339, written)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s is %q: write RFC 3339, such as 2026-01-05T03:12:00Z", field, text(written, 40))
	case at.Year() <= 1:
		return nil, nil
	case at.After(now.Add(clockSkew)):
		return nil, fmt.Errorf("%s is %s, which is in the future: set the clocks of both hosts", field, at.UTC().Format(time.RFC3339))
	}
	at = at.UTC().Truncate(time.Microsecond)
	return &at, nil
}

// wrongKind says in the words of JSON which field holds what it cannot, and names no type of this program.
func wrongKind(err *json.UnmarshalTypeError) error {
	field := strings.TrimPrefix(err.Field, "webhookAlert.") // the form of one alert alone is embedded
	if field == "" {
		field = "the body"
	}
	want := "an object"
	switch kind := err.Type.Kind(); {
	case kind == reflect.String:
		want = "a text in quotes"
	case kind == reflect.Float64 || kind == reflect.Int:
		want = "a number without quotes"
	case kind == reflect.Slice:
		want = "a list"
	}
	return fmt.Errorf("%s is a JSON %s: write %s", field, err.Value, want)
}

func decode(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		var (
			syntax *json.SyntaxError
			kind   *json.UnmarshalTypeError
		)
		switch {
		case errors.As(err, &syntax):
			return fmt.Errorf("the body is no JSON: %s at byte %d", syntax.Error(), syntax.Offset)
		case errors.As(err, &kind):
			return wrongKind(kind)
		}
		return fmt.Errorf("the body cannot be read: %w", err)
	}
	return nil
}

func checkCount(n int) error {
	switch {
	case n == 0:
		return errors.New("alerts is empty: send one at least")
	case n > MaxAlerts:
		return fmt.Errorf("alerts holds %d, more than %d: send fewer at once (max_alerts of Alertmanager's webhook_config)", n, MaxAlerts)
	}
	return nil
}
