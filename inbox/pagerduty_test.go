package inbox

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

const pagerKey = "R0123456789abcdef0123456789abcde"

func trigger(change func(map[string]any)) string {
	event := map[string]any{
		"routing_key": pagerKey, "event_action": "trigger", "dedup_key": "alert-1", "client": "OneVault",
		"links": []any{map[string]any{"href": "https://wiki.test/lag", "text": "Runbook"}},
		"payload": map[string]any{
			"summary": "[CRITICAL] Replication Lag on pg-prod-3", "source": "pg-prod-3", "severity": "critical",
			"custom_details": map[string]any{"Value": "412s (threshold > 120s)", "Note": "<b>bold</b>"},
		},
	}
	change(event)
	text, err := json.Marshal(event)
	if err != nil {
		panic(err) // strings and maps always marshal
	}
	return string(text)
}

func later(action string) string {
	return `{"routing_key": "` + pagerKey + `", "event_action": "` + action + `", "dedup_key": "alert-1"}`
}

func TestPagerDuty_OneAlertChangesInPlaceOverItsLife(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	asIs := func(map[string]any) {}
	var subjects, severities []string
	for _, body := range []string{trigger(asIs), trigger(asIs), later("acknowledge"), later("resolve"), later("acknowledge"), trigger(asIs)} {
		status, answer := post(t, s.HTTPURL()+"/pagerduty/v2/enqueue", body)
		if status != http.StatusAccepted || !strings.Contains(answer, `"status":"success"`) || !strings.Contains(answer, `"dedup_key":"alert-1"`) {
			t.Fatalf("answer %d %s", status, answer)
		}
	}
	for _, m := range s.Messages() {
		subjects, severities = append(subjects, m.Subject), append(severities, m.Severity)
		if m.Key != "alert-1" || m.Copy != 1 {
			t.Errorf("key %q, copy %d", m.Key, m.Copy)
		}
		if strings.Contains(m.Raw+m.Pretty+m.Text+m.HTML, pagerKey) {
			t.Error("the routing key is kept")
		}
	}
	const summary = "[CRITICAL] Replication Lag on pg-prod-3"
	if got, want := strings.Join(subjects, "|"), summary+"|"+summary+"|Acknowledged: "+summary+"|Resolved: "+summary+"|Resolved: "+summary+"|"+summary; got != want {
		t.Errorf("subjects %s\nwant %s", got, want)
	}
	if got := strings.Join(severities, " "); got != "CRITICAL CRITICAL CRITICAL RESOLVED RESOLVED CRITICAL" {
		t.Errorf("severities %s", got)
	}
	resolved := s.Messages()[3].HTML
	for _, want := range []string{`<span class="status">Resolved</span>`, "triggered again: the alert is open already", "acknowledged</li>", "resolved</li>", `<a href="https://wiki.test/lag">Runbook</a>`, "&lt;b&gt;bold&lt;/b&gt;"} {
		if !strings.Contains(resolved, want) {
			t.Errorf("the HTML lacks %s", want)
		}
	}
	if late := s.Messages()[4]; !strings.Contains(late.Text, "not open: nothing changes") {
		t.Errorf("an acknowledgement that came too late shows %s", late.Text)
	}
	if again := s.Messages()[5].HTML; strings.Contains(again, "resolved</li>") {
		t.Error("a trigger after the end goes on with the old alert")
	}
}

func TestPagerDuty_RefusesWhatPagerDutyRefuses(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	payload := func(name string, value any) func(map[string]any) {
		return func(e map[string]any) { e["payload"].(map[string]any)[name] = value }
	}
	for body, want := range map[string]string{
		`{"routing_key": `: "JSON cannot be parsed",
		trigger(func(e map[string]any) { delete(e, "routing_key") }):                          "'routing_key' is missing",
		trigger(func(e map[string]any) { e["routing_key"] = "short" }):                        "Length of 'routing_key' is incorrect",
		trigger(func(e map[string]any) { e["event_action"] = "shout" }):                       "'event_action' is incorrect",
		trigger(func(e map[string]any) { e["dedup_key"] = strings.Repeat("k", 256) }):         "'dedup_key' is too long",
		trigger(func(e map[string]any) { delete(e, "payload") }):                              "'payload' is missing",
		trigger(payload("summary", "")):                                                       "'payload.summary' is missing",
		trigger(payload("summary", strings.Repeat("s", 1025))):                                "'payload.summary' is too long",
		trigger(payload("source", "")):                                                        "'payload.source' is missing",
		trigger(payload("severity", "CRITICAL")):                                              "'payload.severity' is invalid",
		strings.Replace(later("resolve"), "alert-1", "", 1):                                   "'dedup_key' is missing",
		trigger(payload("custom_details", map[string]any{"x": strings.Repeat("x", 512<<10)})): "larger than 512 KB",
	} {
		status, answer := post(t, s.HTTPURL()+"/pagerduty/v2/enqueue", body)
		if status != http.StatusBadRequest || !strings.Contains(answer, want) || !strings.Contains(answer, "Event object is invalid") {
			t.Errorf("%.60s: %d %s, want %q", body, status, answer, want)
		}
	}
	if got := s.Messages(); len(got) != 0 {
		t.Errorf("refused, and yet it has %d messages", len(got))
	}
}

func TestPagerDuty_AnEventThatWasNotTakenChangesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	if err := s.Fail(PagerDuty, 1, Behaviour{Status: 503}); err != nil {
		t.Fatal(err)
	}
	asIs := func(map[string]any) {}
	if status, _ := post(t, s.HTTPURL()+"/pagerduty/v2/enqueue", trigger(asIs)); status != 503 {
		t.Errorf("answered %d, want the planned 503", status)
	}
	if status, _ := post(t, s.HTTPURL()+"/pagerduty/v2/enqueue", trigger(asIs)); status != http.StatusAccepted {
		t.Errorf("answered %d", status)
	}
	if m := await(t, s, anyMessage); strings.Contains(m.Text, "again") {
		t.Errorf("the refused event opened the alert: %s", m.Text)
	}
}
