package api_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"testing"
	"time"

	"onevault/alert"
	"onevault/vault"
)

// pagerEvent is a webhook as PagerDuty's documentation shows it.
func pagerEvent(id, kind, key, agent string, at time.Time) string {
	return fmt.Sprintf(`{"event":{"id":%q,"event_type":%q,"resource_type":"incident","occurred_at":%q,"agent":%s,"client":null,
		"data":{"id":"PGR0VU2","type":"incident","number":2,"status":"acknowledged","incident_key":%q,"title":"A little bump in the road"}}}`,
		id, kind, at.Format(time.RFC3339Nano), agent, key)
}

const (
	tenex  = `{"html_url":"https://acme.pagerduty.com/users/PLH1HKV","id":"PLH1HKV","summary":"Tenex Engineer","type":"user_reference"}`
	events = `{"id":"P1","summary":"Events API v2","type":"events_api_v2_inbound_integration_reference"}`
)

func pagerSignature(body, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprint(mac, body)
	return "v1=" + hex.EncodeToString(mac.Sum(nil))
}

func (a *answering) pager(channel, body string, signatures string) int {
	a.Helper()
	return a.send(http.MethodPost, "/pagerduty/"+channel, body, http.Header{
		"Content-Type": {"application/json"}, "X-Pagerduty-Signature": {signatures}, "X-Webhook-Id": {"whoever-repeats-it-changes-this"},
	}).status
}

func (a *answering) pagerSays(body string) {
	a.Helper()
	if status := a.pager("PAGER", body, pagerSignature(body, pagerKey)); status != http.StatusOK {
		a.Fatalf("answered %d: %s", status, body)
	}
}

func TestPagerDuty_WhatPeopleDoThereIsDoneHere(t *testing.T) {
	t.Parallel()
	a := newAnswering(t, nil)
	key := a.fire(a.clock().Add(-6 * time.Minute))
	a.pagerSays(pagerEvent("E0", "incident.acknowledged", key, events, a.clock()))
	a.pagerSays(pagerEvent("E1", "incident.resolved", key, "null", a.clock()))
	a.pagerSays(`{"event":{"id":"E2","event_type":"pagey.ping","resource_type":"pagey","occurred_at":"` + a.clock().Format(time.RFC3339) + `","agent":null,"data":{"message":"Hello","type":"ping"}}}`)
	if s := a.state(key).State; s != alert.StatusOpen {
		t.Fatalf("what nobody did made it %s", s)
	}
	acknowledged := pagerEvent("E3", "incident.acknowledged", key, tenex, a.clock())
	a.pagerSays(acknowledged)
	s := a.state(key)
	if s.State != alert.StatusAcknowledged || s.AcknowledgedBy != "Tenex Engineer" || s.ChangedVia != "pagerduty:PAGER/PLH1HKV (verified)" {
		t.Errorf("the vault says %s by %s via %s", s.State, s.AcknowledgedBy, s.ChangedVia)
	}
	a.pagerSays(pagerEvent("E4", "incident.unacknowledged", key, tenex, a.clock()))
	a.pagerSays(acknowledged) // it comes again, late
	if s := a.state(key).State; s != alert.StatusOpen {
		t.Errorf("the same event took effect twice: %s", s)
	}
	a.pagerSays(pagerEvent("E5", "incident.resolved", key, tenex, a.clock()))
	a.pagerSays(pagerEvent("E6", "incident.resolved", "of-another-system", tenex, a.clock()))
	if s := a.state(key); s.State != alert.StatusResolved || s.ResolvedBy != "Tenex Engineer" {
		t.Errorf("the vault says %s by %s", s.State, s.ResolvedBy)
	}
}

func TestPagerDuty_ForgedAndOldWebhooksChangeNothing(t *testing.T) {
	t.Parallel()
	a := newAnswering(t, nil)
	key := a.fire(a.clock().Add(-6 * time.Minute))
	body := pagerEvent("E1", "incident.acknowledged", key, tenex, a.clock())
	old := pagerEvent("E2", "incident.acknowledged", key, tenex, a.clock().Add(-8*24*time.Hour))
	for name, c := range map[string]struct {
		channel, body, signatures string
		status                    int
	}{
		"no signature":            {"PAGER", body, "", 403},
		"another secret":          {"PAGER", body, pagerSignature(body, "another-secret-of-16"), 403},
		"the empty secret":        {"PAGER", body, pagerSignature(body, ""), 403},
		"a channel without any":   {"DEAF", body, pagerSignature(body, ""), 403},
		"a channel of other type": {"SMS", body, pagerSignature(body, pagerKey), 403},
		"no channel":              {"NONE", body, pagerSignature(body, pagerKey), 403},
		"another body":            {"PAGER", body + " ", pagerSignature(body, pagerKey), 403},
		"no webhook":              {"PAGER", `{}`, pagerSignature(`{}`, pagerKey), 400},
		"of last week":            {"PAGER", old, pagerSignature(old, pagerKey), 403},
	} {
		if status := a.pager(c.channel, c.body, c.signatures); status != c.status {
			t.Errorf("%s: answered %d, want %d", name, status, c.status)
		}
	}
	if s := a.state(key).State; s != alert.StatusOpen {
		t.Fatalf("what is not PagerDuty's made it %s", s)
	}
	// While its secret is replaced PagerDuty signs with both.
	if status := a.pager("PAGER", body, pagerSignature(body, "the-new-one-that-we-lack")+","+pagerSignature(body, pagerKey)); status != http.StatusOK {
		t.Errorf("one of several signatures: %d", status)
	}
	if s := a.state(key).State; s != alert.StatusAcknowledged {
		t.Errorf("one of several signatures left it %s", s)
	}
	other := pagerEvent("E1", "incident.resolved", key, tenex, a.clock())
	if status := a.pager("PAGER", other, pagerSignature(other, pagerKey)); status != http.StatusConflict {
		t.Errorf("another event under an id that was used: %d", status)
	}
}

func TestPagerDuty_AnIncidentConfirmsTheDelivery(t *testing.T) {
	t.Parallel()
	a := newAnswering(t, nil)
	key := a.fire(a.clock().Add(-6 * time.Minute))
	entry := vault.LedgerEntry{
		AlertKey: key, ChannelKey: "PAGER", ChannelType: "PAGERDUTY", Recipient: "PAGER", Event: "FIRED", DeliveryKey: "d", Status: "PENDING", At: a.clock(),
	}
	if _, err := a.store.BeginNotifications(t.Context(), []vault.LedgerEntry{entry}); err != nil {
		t.Fatal(err)
	}
	entry.Status, entry.Class, entry.ExternalID = "DELIVERED", "ACCEPTED", key
	if _, err := a.store.RecordHistory(t.Context(), nil, []vault.LedgerEntry{entry}); err != nil {
		t.Fatal(err)
	}
	a.pagerSays(pagerEvent("E1", "incident.triggered", key, events, a.clock()))
	list, _, err := a.store.Notifications(t.Context(), vault.NotificationFilter{AlertKey: key})
	if err != nil || len(list) != 1 || list[0].Certainty != "CONFIRMED" {
		t.Errorf("the ledger says %+v, %v", list, err)
	}
}
