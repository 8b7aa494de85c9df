package activities

import (
	"context"
	"errors"
	"strings"
	"testing"

	"onevault/alert"
	"onevault/notify"
)

// askable is a provider that can be asked for a message.
type askable struct {
	notify.Channel
	found bool
	err   error
	asked []string
}

func (a *askable) Reconcile(_ context.Context, recipient string, m notify.Message) (bool, notify.Receipt, error) {
	a.asked = append(a.asked, recipient+" "+m.Key)
	return a.found, notify.Receipt{Proof: "found at the provider", ExternalID: "id-1"}, a.err
}

func TestReconcile_WhatTheProviderHasIsNotSentAgain(t *testing.T) {
	t.Parallel()
	w := vaultDown(t)
	in := SendNotificationInput{Channel: alert.Channel{Key: "CHAT"}, Recipient: "#alerts"}
	message := notify.Message{Key: "key-1"}
	has := &askable{found: true}
	receipt, found := w.notifications.ask(t.Context(), has, in, message)
	if !found || receipt.Class != notify.Accepted || receipt.ExternalID != "id-1" || len(has.asked) != 1 || has.asked[0] != "#alerts key-1" {
		t.Errorf("found %t, %+v, asked %q", found, receipt, has.asked)
	}
	if _, found := w.notifications.ask(t.Context(), &askable{}, in, message); found {
		t.Error("found what the provider does not have")
	}
	if _, found := w.notifications.ask(t.Context(), &askable{found: true, err: errors.New("no answer")}, in, message); found {
		t.Error("found although the provider did not answer")
	}
	if !strings.Contains(w.log.String(), "no answer") {
		t.Errorf("nobody is told that the provider did not answer: %s", w.log)
	}
	var cannot struct{ notify.Channel }
	if _, found := w.notifications.ask(t.Context(), cannot, in, message); found {
		t.Error("found with nobody to ask")
	}
}

func TestOutcomesOf_SaysDeliveredOnlyWhereTheProviderHasTheLastWord(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"EMAIL": "DELIVERED", "SLACK": "DELIVERED", "WEBHOOK": "DELIVERED", "PAGERDUTY": "DELIVERED", "SMS": "SENT", "VOICE": "SENT",
	} {
		in := SendNotificationInput{Channel: alert.Channel{Key: "C", Type: kind}, Message: notify.Message{Alerts: []alert.Alert{{Key: "A"}}}}
		entries := outcomesOf(in, SendNotificationOutput{Receipt: notify.Receipt{Class: notify.Accepted}, Final: true}, in.Message.At)
		if len(entries) != 1 || entries[0].Status != want {
			t.Errorf("%s: %+v, want %s", kind, entries, want)
		}
	}
}
