package notify

import (
	"strings"
	"testing"
	"time"

	"onevault/alert"
)

func aboutSlots(slots ...string) Message {
	now := time.Date(2026, 5, 4, 3, 12, 0, 0, time.UTC)
	m := Message{
		Event: alert.EventFired, At: now, Target: "pg-prod-3",
		Definition: alert.Definition{Key: "PG_SLOT_INACTIVE", Name: "Inactive Replication Slot", Severity: alert.SeverityHigh},
	}
	for _, slot := range slots {
		m.Alerts = append(m.Alerts, alert.Alert{Key: slot, ShortID: "A-" + strings.ToUpper(slot), Labels: alert.Labels{"slot": slot}, TriggeredAt: now})
	}
	return m
}

func TestPage_OfOneLabelSetNamesItWithTheTarget(t *testing.T) {
	t.Parallel()
	p := newPage(aboutSlots("archive"))
	if want := "[HIGH] Inactive Replication Slot on pg-prod-3 (slot=archive)"; p.Subject != want {
		t.Errorf("subject %q, want %q", p.Subject, want)
	}
	if want := "Inactive Replication Slot on pg-prod-3 (slot=archive) fired."; p.Lede != want {
		t.Errorf("lede %q, want %q", p.Lede, want)
	}
	if p := newPage(aboutSlots("x\r\nBcc: all@example.com")); strings.ContainsAny(p.Subject, "\r\n") {
		t.Errorf("a label breaks the subject: %q", p.Subject)
	}
}

func TestPage_OfSeveralLabelSetsTellsWhichAlertIsAboutWhich(t *testing.T) {
	t.Parallel()
	p := newPage(aboutSlots("archive", "spare"))
	if want := "[HIGH] Inactive Replication Slot on pg-prod-3 (2 alerts)"; p.Subject != want {
		t.Errorf("subject %q, want %q", p.Subject, want)
	}
	for i, want := range []string{"slot=archive, for ", "slot=spare, for "} {
		if !strings.HasPrefix(p.Listed[i].When, want) {
			t.Errorf("line %d says %q, want it to begin with %q", i, p.Listed[i].When, want)
		}
	}
}

func TestWebhook_CarriesTheLabelsOfAnAlertButNoneThatWouldReplaceOurs(t *testing.T) {
	t.Parallel()
	m := aboutSlots("archive")
	m.Alerts[0].Labels["severity"] = "none"
	got := newWebhookAlert(m, m.Alerts[0]).Labels
	if got["slot"] != "archive" || got["severity"] != "high" {
		t.Errorf("labels %v", got)
	}
}
