package source

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// webhookAlert is OneVault's own form for whatever can send JSON: one of these, or {"alerts": [...]}.
type webhookAlert struct {
	Name        string            `json:"name"`        // required
	Status      string            `json:"status"`      // firing (default) or resolved
	Severity    string            `json:"severity"`    // critical, high, medium (default) or low, and their usual synonyms
	Key         string            `json:"key"`         // tells alerts of one name apart; default: name and labels
	StartsAt    string            `json:"starts_at"`   // RFC 3339; default: now
	EndsAt      string            `json:"ends_at"`     // of a resolved one; default: now
	Summary     string            `json:"summary"`     // one sentence for people
	Description string            `json:"description"` // what it means
	Labels      map[string]string `json:"labels"`      // silences match on them
	Value       *float64          `json:"value"`       // what was measured
	RunbookURL  string            `json:"runbook_url"` // what to do
	Link        string            `json:"link"`        // where the sender shows it
}

type webhookBody struct {
	webhookAlert
	Alerts []webhookAlert `json:"alerts"`
}

// ParseWebhook reads the generic form. notes say what was not understood and taken in all the same, since an alert
// with a mistake in it is worth more than none: fields that there are not, and words for a severity that nobody knows.
func ParseWebhook(body []byte, now time.Time) (alerts []Alert, notes []string, err error) {
	if trimmed := bytes.TrimSpace(body); len(trimmed) > 0 && trimmed[0] == '[' {
		return nil, nil, errors.New(`the body is a list: write {"alerts": [...]}, or one alert`)
	}
	var parsed webhookBody
	if err := decode(body, &parsed); err != nil {
		return nil, nil, err
	}
	if parsed.Alerts == nil {
		one, err := parsed.alert(now)
		if err != nil {
			return nil, nil, err
		}
		return []Alert{one}, parsed.notes("", body), nil
	}
	if parsed.Name != "" {
		return nil, nil, errors.New("name and alerts are both given: give one alert, or a list")
	}
	if err := checkCount(len(parsed.Alerts)); err != nil {
		return nil, nil, err
	}
	var (
		beside  map[string]json.RawMessage
		written struct {
			Alerts []json.RawMessage `json:"alerts"`
		}
	)
	if err := errors.Join(decode(body, &written), decode(body, &beside)); err != nil {
		return nil, nil, err
	}
	for _, field := range slices.Sorted(maps.Keys(beside)) {
		if !strings.EqualFold(field, "alerts") {
			notes = append(notes, text(field, 40)+" is passed over: beside alerts there is no field, each alert has its own")
		}
	}
	alerts = make([]Alert, 0, len(parsed.Alerts))
	for i, a := range parsed.Alerts {
		place := fmt.Sprintf("alerts[%d]", i)
		one, err := a.alert(now)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", place, err)
		}
		alerts = append(alerts, one)
		if len(notes) < maxNotes {
			notes = append(notes, a.notes(place+".", written.Alerts[i])...)
		}
	}
	return alerts, notes, nil
}

// maxNotes is about how many are worth reading.
const maxNotes = 20

// notes compares an alert with what was written; place is what its fields are named after.
func (a webhookAlert) notes(place string, written []byte) (notes []string) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(written, &fields) != nil {
		return nil // null, of which there are no fields
	}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		// As encoding/json finds them, whatever their case.
		if !slices.ContainsFunc(webhookFields, func(known string) bool { return strings.EqualFold(known, field) }) {
			notes = append(notes, fmt.Sprintf("%s%s is passed over: the fields are %s", place, text(field, 40), strings.Join(webhookFields, ", ")))
		}
	}
	if _, known := severityWord(a.Severity); !known {
		notes = append(notes, fmt.Sprintf("%sseverity is %q, taken as MEDIUM: write critical, high, medium or low", place, text(a.Severity, 40)))
	}
	return notes
}

// webhookFields are those of webhookAlert.
var webhookFields = func() []string {
	t := reflect.TypeFor[webhookAlert]()
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = t.Field(i).Tag.Get("json")
	}
	return names
}()

func (a webhookAlert) alert(now time.Time) (Alert, error) {
	name, labels := text(a.Name, maxName), cleanLabels(a.Labels)
	status := cmp.Or(a.Status, Firing)
	switch {
	case name == "":
		return Alert{}, errors.New("name is empty: say in a few words what is wrong, the same words each time")
	case status != Firing && status != Resolved:
		return Alert{}, fmt.Errorf(`status is %q: use "firing" or "resolved"`, text(a.Status, 20))
	case a.RunbookURL != "" && webURL(a.RunbookURL) == "":
		return Alert{}, fmt.Errorf("runbook_url is %q: write an address that begins with https://", text(a.RunbookURL, 100))
	case a.Link != "" && webURL(a.Link) == "":
		return Alert{}, fmt.Errorf("link is %q: write an address that begins with https://", text(a.Link, 100))
	}
	starts, err := moment("starts_at", a.StartsAt, now)
	if err != nil {
		return Alert{}, err
	}
	ends, err := moment("ends_at", a.EndsAt, now)
	if err != nil {
		return Alert{}, err
	}
	key := a.Key
	if key != "" {
		key = fingerprint(name, map[string]string{"key": key}) // keys of any length and case
	}
	return Alert{
		Name: name, Status: status, Severity: severityOf(cmp.Or(a.Severity, labels["severity"])), StartsAt: starts, EndsAt: ends, Labels: labels,
		Fingerprint: cmp.Or(key, fingerprint(name, a.Labels)), Value: a.Value,
		Reason: reason(a.Summary, labels, "severity"), Description: text(a.Description, maxText),
		RunbookURL: webURL(a.RunbookURL), Link: webURL(a.Link),
	}, nil
}
