package source_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"onevault/source"
)

var now = time.Date(2026, 5, 4, 3, 30, 0, 0, time.UTC)

// ofAlertmanager is what Alertmanager 0.28 sends, with fields that this reads, and others.
const ofAlertmanager = `{
  "receiver": "onevault", "status": "firing", "version": "4", "groupKey": "{}:{alertname=\"Up\"}", "truncatedAlerts": 3,
  "groupLabels": {"alertname": "Up"}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am:9093", "notificationReason": "first",
  "alerts": [
    {"status": "firing", "labels": {"alertname": "Up", "severity": "page", "instance": "db-1"},
     "annotations": {"summary": "db-1 is\ndown", "description": "No answer for 5 minutes", "runbook_url": "https://wiki.example.com/up"},
     "startsAt": "2026-05-04T03:12:00.123456789Z", "endsAt": "0001-01-01T00:00:00Z",
     "generatorURL": "http://prom:9090/graph?g0.expr=up", "fingerprint": "c8c7ae64a2e2a4a3"},
    {"status": "resolved", "labels": {"alertname": "Up", "instance": "db-2"}, "annotations": {},
     "startsAt": "2026-05-04T03:00:00Z", "endsAt": "2026-05-04T03:20:00Z", "generatorURL": "javascript:alert(1)", "fingerprint": ""}
  ]}`

func TestParseAlertmanager_ReadsVersion4AndPassesOverTheRest(t *testing.T) {
	t.Parallel()
	alerts, truncated, err := source.ParseAlertmanager([]byte(ofAlertmanager), now)
	if err != nil {
		t.Fatal(err)
	}
	a, b := alerts[0], alerts[1]
	if a.Name != "Up" || a.Status != source.Firing || a.Severity != "CRITICAL" || a.Fingerprint != "c8c7ae64a2e2a4a3" || a.EndsAt != nil ||
		!a.StartsAt.Equal(time.Date(2026, 5, 4, 3, 12, 0, 123456000, time.UTC)) || a.Reason != "db-1 is down (instance=db-1)" ||
		a.RunbookURL != "https://wiki.example.com/up" || a.Link == "" || a.Description != "No answer for 5 minutes" || a.Labels["instance"] != "db-1" {
		t.Errorf("first: %+v", a)
	}
	if b.Status != source.Resolved || b.Severity != "MEDIUM" || len(b.Fingerprint) != 32 || b.EndsAt == nil || b.Link != "" || b.Reason != "(instance=db-2)" {
		t.Errorf("second: %+v", b)
	}
	if truncated != 3 {
		t.Errorf("truncated = %d", truncated)
	}
}

func TestParse_NamesWhatCannotBeMeant(t *testing.T) {
	t.Parallel()
	alertmanager := func(body []byte) error { _, _, err := source.ParseAlertmanager(body, now); return err }
	webhook := func(body []byte) error { _, _, err := source.ParseWebhook(body, now); return err }
	for _, c := range []struct {
		parse      func([]byte) error
		body, want string
	}{
		{alertmanager, `{`, "the body is no JSON"},
		{alertmanager, `{"version":"3","alerts":[{}]}`, `version is "3"`},
		{alertmanager, `{"version":"4","alerts":[]}`, "alerts is empty"},
		{alertmanager, `{"version":"4","alerts":[{"status":"firing","startsAt":"2026-05-04T03:12:00Z"}]}`, "alerts[0]: labels.alertname is empty"},
		{alertmanager, `{"version":"4","alerts":[{"status":"maybe","labels":{"alertname":"Up"}}]}`, `alerts[0]: status is "maybe"`},
		{alertmanager, `{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"Up"}}]}`, "startsAt is missing"},
		{alertmanager, `{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"Up"},"startsAt":"2026-05-04T09:00:00Z"}]}`, "startsAt is 2026-05-04T09:00:00Z, which is in the future"},
		{alertmanager, `{"version":"4","alerts":[{"labels":{"alertname":5}}]}`, "alerts.labels is a JSON number: write a text in quotes"},
		{alertmanager, `{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"Up"},"startsAt":"yesterday"}]}`, `alerts[0]: startsAt is "yesterday": write RFC 3339`},
		{webhook, `{"name":5}`, "name is a JSON number: write a text in quotes"},
		{webhook, `{"name":"a","value":"3"}`, "value is a JSON string: write a number without quotes"},
		{webhook, `{"name":"a","value":1e999}`, "value is a JSON number 1e999: write a number"},
		{webhook, `{"name":"a","labels":[]}`, "labels is a JSON array: write an object"},
		{webhook, `{"name":"a","starts_at":5}`, "starts_at is a JSON number: write a text in quotes"},
		{webhook, `{"name":"a","starts_at":"yesterday"}`, `starts_at is "yesterday": write RFC 3339, such as`},
		{webhook, `{"alerts":{}}`, "alerts is a JSON object: write a list"},
		{webhook, `5`, "the body is a JSON number: write an object"},
		{webhook, `{}`, "name is empty"},
		{webhook, `[]`, "the body is a list"},
		{webhook, `{"alerts":[]}`, "alerts is empty"},
		{webhook, `{"name":"a","alerts":[{}]}`, "name and alerts are both given"},
		{webhook, `{"alerts":[{"name":"a"},{"name":"b","status":"open"}]}`, `alerts[1]: status is "open"`},
		{webhook, `{"name":"a","link":"javascript:alert(1)"}`, `link is "javascript:alert(1)"`},
		{webhook, `{"name":"a","runbook_url":"wiki"}`, `runbook_url is "wiki"`},
		{webhook, `{"alerts":[` + strings.Repeat(`{"name":"a"},`, 1000) + `{"name":"a"}]}`, "alerts holds 1001, more than 1000"},
	} {
		if err := c.parse([]byte(c.body)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80s: %v, want %q", c.body, err, c.want)
		}
	}
}

func TestParseWebhook_OneAlertNeedsANameOnly(t *testing.T) {
	t.Parallel()
	alerts, notes, err := source.ParseWebhook([]byte(`{"name": "Disk full"}`), now)
	if err != nil {
		t.Fatal(err)
	}
	if a := alerts[0]; a.Name != "Disk full" || a.Status != source.Firing || a.Severity != "MEDIUM" || a.StartsAt != nil || a.Fingerprint == "" || len(notes) > 0 {
		t.Errorf("%+v", a)
	}
}

func TestParseWebhook_TakesInWhatItUnderstandsInPartAndSaysSo(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]string{
		`{"name": "Disk full", "severty": "critical"}`:                  {"severty is passed over: the fields are name, status, severity"},
		`{"name": "Disk full", "SEVERITY": "warning"}`:                  nil,
		`{"name": "Disk full", "severity": "hihg"}`:                     {`severity is "hihg", taken as MEDIUM`},
		`{"alerts": [{"name": "a"}, {"name": "b", "lables": {}}]}`:      {"alerts[1].lables is passed over"},
		`{"alerts": [{"name": "a", "x": 1, "severity": "y"}], "z": {}}`: {"z is passed over: beside alerts", "alerts[0].x is passed over", `alerts[0].severity is "y"`},
	} {
		alerts, notes, err := source.ParseWebhook([]byte(body), now)
		if err != nil || len(alerts) == 0 || len(notes) != len(want) {
			t.Errorf("%s: %d alerts, %q, %v", body, len(alerts), notes, err)
			continue
		}
		for i := range want {
			if !strings.HasPrefix(notes[i], want[i]) {
				t.Errorf("%s: says %q, want %q", body, notes[i], want[i])
			}
		}
	}
}

func TestParseWebhook_TellsAlertsOfOneNameApartByKeyOrLabels(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, body := range []string{
		`{"name":"Disk full"}`, `{"name":"Disk full","key":"a"}`, `{"name":"Disk full","key":"A"}`,
		`{"name":"Disk full","labels":{"host":"a"}}`, `{"name":"Disk full","labels":{"host":"b"}}`, `{"name":"Disk empty","key":"a"}`,
	} {
		alerts, _, err := source.ParseWebhook([]byte(body), now)
		if err != nil {
			t.Fatal(err)
		}
		if other, known := seen[alerts[0].Fingerprint]; known {
			t.Errorf("%s and %s are the same alert", body, other)
		}
		seen[alerts[0].Fingerprint] = body
	}
	again, _, err := source.ParseWebhook([]byte(`{"name":"Disk full","key":"a","labels":{"host":"c"},"status":"resolved"}`), now)
	if err != nil || seen[again[0].Fingerprint] == "" {
		t.Errorf("with its key it is known again whatever its labels: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(ofAlertmanager))
	f.Add([]byte(`{"name":"a","labels":{"x":"\u0000"},"value":1e400}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		alerts, _, err := source.ParseAlertmanager(body, now)
		if err != nil {
			alerts, _, err = source.ParseWebhook(body, now)
		}
		if err != nil {
			return
		}
		for _, a := range alerts {
			if a.Name == "" || a.Fingerprint == "" || a.Severity == "" || strings.ContainsRune(fmt.Sprint(a), 0) {
				t.Errorf("%q yields %+v", body, a)
			}
		}
	})
}
