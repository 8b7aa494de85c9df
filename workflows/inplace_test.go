package workflows_test

import (
	"slices"
	"testing"
	"time"

	"onevault/activities"
	"onevault/alert"
)

var slackApp = []alert.Channel{{Key: "SLACK", Type: "SLACK", Recipients: []string{"C0123456789"}, RetryAttempts: 2, RetryDelay: time.Minute, InPlace: true}}

// posts answers as a provider does that gives each new message an id and keeps that of a continued one.
func posts(in activities.SendNotificationInput) activities.SendNotificationOutput {
	out := accepted()
	if out.Receipt.ExternalID = in.Message.Prior; out.Receipt.ExternalID == "" {
		out.Receipt.ExternalID = "C0123456789/" + in.Message.Key
	}
	return out
}

func TestAlert_TellsLaterEventsInThePlaceOfTheFirstMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slackApp)
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		return posts(in), nil
	}
	w.bring(0, fired("K1"))
	w.update(20*time.Minute, alert.UpdateResolve, alert.Command{Actor: "dana"})
	w.run()

	w.expectEvents("SLACK", "FIRED", "ESCALATED:1", "RESOLVED")
	for i, want := range []string{"", "C0123456789/K1/FIRED", "C0123456789/K1/FIRED"} {
		if got := w.sent[i].Message.Prior; got != want {
			t.Errorf("%s continues %q, want %q", w.sent[i].Event, got, want)
		}
	}
}

func TestAlert_EditsEachMessageForItsOwnAlerts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slackApp)
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		return posts(in), nil
	}
	w.bring(0, fired("K1"), fired("K22"))
	w.bring(time.Minute, fired("K333"))
	w.update(2*time.Minute, alert.UpdateResolve, alert.Command{Actor: "dana", Alerts: []string{"K1"}})
	w.update(3*time.Minute, alert.UpdateResolve, alert.Command{Actor: "dana"})
	w.run()

	type edit struct{ prior, about, beside string }
	var edits []edit
	keys := func(alerts []alert.Alert) (joined string) {
		for _, a := range alerts {
			joined += a.Key + " "
		}
		return joined
	}
	for _, s := range w.sent {
		if s.Event == "RESOLVED" {
			edits = append(edits, edit{s.Message.Prior, keys(s.Message.Alerts), keys(s.Message.Beside)})
		}
	}
	want := []edit{
		{"C0123456789/K1/FIRED", "K1 ", "K22 "},
		{"C0123456789/K1/FIRED", "K22 ", "K1 "},
		{"C0123456789/K333/FIRED", "K333 ", ""},
	}
	if !slices.Equal(edits, want) {
		t.Errorf("edits %+v, want %+v", edits, want)
	}
}

// A provider that keeps the first message waiting must not be given a second one for the same alert.
func TestAlert_WhatIsToldSecondWaitsForTheFirstMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slackApp)
	tries := 0
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		tries++
		if tries == 1 {
			return failed(activities.NotSent, 15*time.Minute+time.Second, false), nil // beyond the escalation
		}
		return posts(in), nil
	}
	w.bring(0, fired("K1"))
	w.update(20*time.Minute, alert.UpdateResolve, alert.Command{Actor: "dana"})
	w.run()

	var told []string
	for _, s := range w.sent {
		told = append(told, s.Event+" "+s.Message.Prior)
	}
	want := []string{"FIRED ", "ESCALATED:1 ", "FIRED C0123456789/K1/ESCALATED:1", "RESOLVED C0123456789/K1/ESCALATED:1"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// A channel that does not tell in place gives ids as well; nothing is parted by them.
func TestAlert_IdsOfOtherChannelsPartNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		return posts(in), nil
	}
	w.bring(0, fired("K1"))
	w.bring(time.Minute, fired("K22"))
	w.update(2*time.Minute, alert.UpdateResolve, alert.Command{Actor: "dana"})
	w.run()

	w.expectEvents("EMAIL", "FIRED", "FIRED", "RESOLVED")
	for _, s := range w.sent {
		if s.Message.Prior != "" || s.Message.Beside != nil {
			t.Errorf("%s continues %q beside %v, want a message of its own", s.Event, s.Message.Prior, s.Message.Beside)
		}
	}
}

// Two events at the same moment write one message, one after the other.
func TestAlert_EventsOfOneMomentShareAMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slackApp)
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		return posts(in), nil
	}
	w.bring(0, fired("K1"), alert.Transition{Kind: alert.TransitionNotify, Alert: alert.Alert{Key: "K1"}})
	w.update(time.Minute, alert.UpdateResolve, alert.Command{Actor: "dana"})
	w.run()

	var first string
	for i, s := range w.sent {
		if i == 0 {
			first = "C0123456789/" + s.Message.Key
			continue
		}
		if s.Message.Prior != first {
			t.Errorf("%s continues %q, want %q", s.Event, s.Message.Prior, first)
		}
	}
	if len(w.sent) != 3 {
		t.Errorf("%d messages, want three of one alert", len(w.sent))
	}
}
