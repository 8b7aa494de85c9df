package workflows_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/activities"
	"onevault/alert"
)

// silenced mutes every alert from `from` until `until`, counted from the start of the workflow; each change of it
// is brought as the outbox brings it.
func (w *world) silenced(from, until time.Duration) {
	m := alert.Mute{Kind: alert.MuteSilence, ID: "S-7F3K", Until: began.Add(until), By: "dana", Comment: "CHG-812"}
	w.onMutes = func(string) (*alert.Mute, error) {
		if at := w.env.Now(); at.Before(began.Add(from)) || !at.Before(m.Until) {
			return nil, nil
		}
		return &m, nil
	}
}

func mutesChanged(key string) alert.Transition {
	return alert.Transition{Kind: alert.TransitionMutes, Alert: alert.Alert{Key: key}, Recorded: true}
}

// suppressed lists the reasons for which the ledger says that somebody was not told.
func (w *world) suppressed() (reasons []string) {
	for _, e := range w.ledger {
		if e.Status == "SUPPRESSED" {
			reasons = append(reasons, e.Event+" "+e.ChannelKey+": "+e.Reason)
		}
	}
	return reasons
}

// sentAt lists when a channel was sent something.
func (w *world) sentAt(channel string) (at []time.Duration) {
	for _, m := range w.sent {
		if m.Channel.Key == channel {
			at = append(at, m.at.Truncate(time.Minute))
		}
	}
	return at
}

func TestMute_FiringUnderASilenceIsToldToNobodyUntilItEndsAndThenOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailSlack)
	w.silenced(0, 2*time.Hour)
	w.bring(0, fired("a"))
	w.bring(2*time.Hour+5*time.Minute, ended(alert.TransitionResolved, "a", "condition cleared"))
	w.run()
	for _, channel := range []string{"EMAIL", "SLACK"} {
		w.expectEvents(channel, "FIRED", "RESOLVED")
		if at := w.sentAt(channel); len(at) == 0 || at[0] != 2*time.Hour {
			t.Errorf("%s was told at %v, first at the end of the silence is right", channel, at)
		}
	}
	const why = "silenced until 2026-03-01 05:00:00 UTC by dana (S-7F3K): CHG-812"
	if got := w.suppressed(); !slices.Equal(got, []string{"FIRED EMAIL: " + why, "FIRED SLACK: " + why}) {
		t.Errorf("the ledger says %q", got)
	}
	w.expectRecorded("NOTIFIED", "NOTIFIED") // and no ESCALATED
}

func TestMute_NothingEscalatesUnderASilenceAndTheDelayCountsFromItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.silenced(5*time.Minute, 2*time.Hour) // told before, escalation due after 15 minutes
	w.bring(0, fired("a"))
	w.bring(2*time.Hour+20*time.Minute, ended(alert.TransitionResolved, "a", "dana"))
	w.run()
	w.expectEvents("EMAIL", "FIRED", "ESCALATED:1", "RESOLVED")
	if at := w.sentAt("EMAIL"); len(at) < 2 || at[1] != 2*time.Hour+15*time.Minute {
		t.Errorf("escalated at %v, want 15 minutes after the silence", at)
	}
}

func TestMute_WhatIsAcknowledgedOrResolvedMeanwhileIsToldToNobody(t *testing.T) {
	t.Parallel()
	for _, kind := range []alert.TransitionKind{alert.TransitionAcknowledged, alert.TransitionResolved} {
		w := newWorld(t, emailOnly)
		w.silenced(0, time.Hour)
		w.bring(0, fired("a"))
		w.bring(30*time.Minute, ended(kind, "a", "dana"))
		w.bring(3*time.Hour, ended(alert.TransitionResolved, "a", "dana"))
		w.run()
		w.expectEvents("EMAIL")
	}
}

func TestMute_ARemovedSilenceTellsAtOnceAndALongerOneWaits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		until, told time.Duration
	}{"removed": {30 * time.Minute, 30 * time.Minute}, "extended": {5 * time.Hour, 5 * time.Hour}} {
		w := newWorld(t, emailOnly)
		w.silenced(0, 2*time.Hour)
		w.bring(0, fired("a"))
		w.after(30*time.Minute, func() { w.silenced(0, c.until) })
		w.bring(30*time.Minute+time.Second, mutesChanged("a"))
		w.bring(5*time.Hour+5*time.Minute, ended(alert.TransitionResolved, "a", "dana"))
		w.run()
		if at := w.sentAt("EMAIL"); len(at) == 0 || at[0] != c.told {
			t.Errorf("%s: told at %v, want %s", name, at, c.told)
		}
	}
}

func TestMute_ANewSilenceStopsARetryAndOwesTheMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	down := true
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		if down {
			return failed(activities.Transient, 10*time.Minute, false), nil
		}
		return accepted(), nil
	}
	w.bring(0, fired("a"))
	w.after(time.Minute, func() { w.silenced(time.Minute, time.Hour); down = false })
	w.bring(time.Minute+time.Second, mutesChanged("a"))
	w.bring(62*time.Minute, ended(alert.TransitionResolved, "a", "dana"))
	w.run()
	if at := w.sentAt("EMAIL"); !slices.Equal(at, []time.Duration{0, time.Hour, 62 * time.Minute}) {
		t.Errorf("sent at %v: one attempt, then nothing until the silence ends", at)
	}
	if got := w.suppressed(); len(got) != 1 || !strings.Contains(got[0], "silenced until") {
		t.Errorf("the ledger says %q", got)
	}
}

func TestMute_WhileTheVaultIsDownNothingIsMuted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.onMutes = func(string) (*alert.Mute, error) { return nil, errVault }
	w.bring(0, fired("a"))
	w.bring(time.Minute, ended(alert.TransitionResolved, "a", "dana"))
	w.run()
	w.expectEvents("EMAIL", "FIRED", "RESOLVED")
}

func TestMute_EndsWhenWhatMutesIsNotKnownAnyMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.silenced(0, 5*time.Hour)
	w.bring(0, fired("a"))
	w.after(time.Hour, func() { w.onMutes = func(string) (*alert.Mute, error) { return nil, errVault } })
	w.bring(time.Hour+time.Second, mutesChanged("a"))
	w.bring(2*time.Hour, ended(alert.TransitionResolved, "a", "dana"))
	w.run()
	if at := w.sentAt("EMAIL"); len(at) == 0 || at[0] != time.Hour {
		t.Errorf("told at %v: a page too many is better than one too few", at)
	}
}

func TestMute_OnlyTheMutedOfABatchAreHeldBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	m := alert.Mute{Kind: alert.MuteMaintenance, ID: "sundays", Until: began.Add(time.Hour), By: "dana", Comment: "patching"}
	w.onMutes = func(key string) (*alert.Mute, error) {
		if key == "b" && w.env.Now().Before(m.Until) {
			return &m, nil
		}
		return nil, nil
	}
	b := fired("b")
	b.Seq++
	w.bring(0, fired("a"), b)
	w.bring(time.Minute, ended(alert.TransitionAcknowledged, "a", "dana"))
	w.bring(61*time.Minute, ended(alert.TransitionResolved, "a", "dana"), ended(alert.TransitionResolved, "b", "dana"))
	w.run()
	var told []string
	for _, s := range w.sent {
		keys := []string{}
		for _, a := range s.Message.Alerts {
			keys = append(keys, a.Key)
		}
		slices.Sort(keys)
		told = append(told, s.Event+" "+strings.Join(keys, ","))
	}
	if !slices.Equal(told, []string{"FIRED a", "FIRED b", "RESOLVED a,b"}) {
		t.Errorf("told %q", told)
	}
	if got := w.suppressed(); !slices.Equal(got, []string{"FIRED EMAIL: maintenance sundays until 2026-03-01 04:00:00 UTC, planned by dana: patching"}) {
		t.Errorf("the ledger says %q", got)
	}
}

func TestMute_AnInhibitedAlertIsToldWhenItsSourceEndsEvenIfTheNewsAreLost(t *testing.T) {
	t.Parallel()
	for name, heard := range map[string]bool{"heard": true, "lost": false} {
		w := newWorld(t, emailOnly)
		m := alert.Mute{Kind: alert.MuteInhibition, ID: "TARGET_DOWN", By: "A-7F3K", Comment: "says it already"}
		w.onMutes = func(string) (*alert.Mute, error) {
			if w.env.Now().Before(began.Add(20 * time.Minute)) {
				return &m, nil
			}
			return nil, nil
		}
		w.bring(0, fired("a"))
		want := 30 * time.Minute // the second time that it asks by itself
		if heard {
			w.bring(20*time.Minute+time.Second, mutesChanged("a"))
			want = 20 * time.Minute
		}
		w.bring(31*time.Minute, ended(alert.TransitionResolved, "a", "dana"))
		w.run()
		if at := w.sentAt("EMAIL"); len(at) == 0 || at[0] != want {
			t.Errorf("%s: told at %v, want %s", name, at, want)
		}
	}
}
