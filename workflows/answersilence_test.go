package workflows_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"onevault/activities"
	"onevault/alert"
	"onevault/workflows"
)

// silencing stands for the vault's keeping of silences: what it was given, and whether it answers.
type silencing struct {
	w     *world
	asked []activities.AddSilenceInput
	fails error
}

func (s *silencing) AddSilence(_ context.Context, in activities.AddSilenceInput) (activities.AddSilenceOutput, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.asked = append(s.asked, in)
	if s.fails != nil {
		return activities.AddSilenceOutput{}, s.fails
	}
	m := alert.Mute{Kind: alert.MuteSilence, ID: "S-7F3K", Until: in.EndsAt, By: in.By, Comment: in.Comment}
	s.w.onMutes = func(string) (*alert.Mute, error) { return &m, nil }
	return activities.AddSilenceOutput{ID: "S-7F3K"}, nil
}

func newSilencing(t *testing.T) *silencing {
	t.Helper()
	s := &silencing{w: newWorld(t, emailOnly)}
	s.w.env.RegisterActivity(s)
	return s
}

func TestSilence_AskedOfAnAlertKeepsItFromPagingAndThenItGoesOnWhereItStood(t *testing.T) {
	t.Parallel()
	s := newSilencing(t)
	w := s.w
	w.bring(0, fired("K1"))
	silenced := w.update(5*time.Minute, alert.UpdateSilence, alert.Command{Actor: "dana", Via: "slack:U123 (verified)", Notes: "CHG-812", Minutes: 60})
	w.bring(2*time.Hour, ended(alert.TransitionResolved, "K1", "condition cleared"))
	w.run()
	if silenced.err != nil || silenced.result.Silence != "S-7F3K" || len(silenced.result.Alerts) != 1 {
		t.Fatalf("answered %+v, %v", silenced.result, silenced.err)
	}
	until := began.Add(65 * time.Minute)
	if got := silenced.result.Alerts[0]; !got.Changed || got.Actor != "dana" || !got.Until.Equal(until) || got.CancelledLevel != 1 {
		t.Errorf("answered %+v, want it silenced by dana until %s and level 1 cancelled", got, until)
	}
	in := s.asked[0]
	if !slices.Equal(in.Matchers, []string{"definition=" + connections.Key, "target=local"}) || !in.EndsAt.Equal(until) || in.Critical ||
		in.By != "dana" || in.Via != "slack:U123 (verified)" || in.Comment != "CHG-812" || in.Request == "" {
		t.Errorf("the vault was asked for %+v", in)
	}
	w.expectEvents("EMAIL", "FIRED", "ESCALATED:1", "ESCALATED:2", "ESCALATED:3", "RESOLVED")
	if at := w.sentAt("EMAIL")[1]; at != 80*time.Minute {
		t.Errorf("level 1 was paged after %s, want a whole delay after the end of the silence", at)
	}
}

func TestSilence_IsRefusedWhereItLacksSomethingOrWouldMuteNothing(t *testing.T) {
	t.Parallel()
	s := newSilencing(t)
	critical := fired("K1")
	d := connections
	d.Severity = alert.SeverityCritical
	critical.Definition = &d
	s.w.bring(0, critical)
	refusals := map[string]struct {
		c    alert.Command
		want string
	}{
		"no time":   {alert.Command{Actor: "dana", Notes: "CHG-812"}, "minutes is 0"},
		"too long":  {alert.Command{Actor: "dana", Notes: "CHG-812", Minutes: alert.MaxMinutes + 1}, "give 1 to 43200"},
		"no reason": {alert.Command{Actor: "dana", Minutes: 60}, "notes is empty"},
		"nobody":    {alert.Command{Notes: "CHG-812", Minutes: 60}, "say who acts"},
		"critical":  {alert.Command{Actor: "dana", Notes: "CHG-812", Minutes: 60}, "which a silence spares; set critical"},
	}
	answers := map[string]*answer{}
	for name, refusal := range refusals {
		answers[name] = s.w.update(time.Minute, alert.UpdateSilence, refusal.c)
	}
	meant := s.w.update(2*time.Minute, alert.UpdateSilence, alert.Command{Actor: "dana", Notes: "CHG-812", Minutes: 60, Critical: true})
	s.w.bring(3*time.Minute, ended(alert.TransitionResolved, "K1", "condition cleared"))
	s.w.run()
	for name, answered := range answers {
		if want := refusals[name].want; answered.err == nil || !strings.Contains(answered.err.Error(), want) {
			t.Errorf("%s: answered %+v, %v, want it refused: %s", name, answered.result, answered.err, want)
		}
	}
	if meant.err != nil || len(s.asked) != 1 || !s.asked[0].Critical {
		t.Errorf("answered %v; the vault was asked %+v, want once and with the critical", meant.err, s.asked)
	}
}

func TestSilence_OfAVaultThatDoesNotAnswerOrRefusesIsAnErrorAndPagingGoesOn(t *testing.T) {
	t.Parallel()
	for name, failing := range map[string]struct {
		fails      error
		kind, want string
	}{
		"down":    {errVault, activities.ErrorVaultUnreachable, "snooze works without it"},
		"refuses": {temporal.NewNonRetryableApplicationError("ends_at lies too far ahead", activities.ErrorVaultRefused, nil), workflows.ErrorUsage, "lies too far ahead"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSilencing(t)
			s.fails = failing.fails
			s.w.bring(0, fired("K1"))
			answered := s.w.update(5*time.Minute, alert.UpdateSilence, alert.Command{Actor: "dana", Notes: "CHG-812", Minutes: 60})
			s.w.bring(20*time.Minute, ended(alert.TransitionResolved, "K1", "condition cleared"))
			s.w.run()
			if answered.err == nil || !strings.Contains(answered.err.Error(), failing.want) || !strings.Contains(answered.err.Error(), failing.kind) {
				t.Errorf("answered %v, want %s: %s", answered.err, failing.kind, failing.want)
			}
			s.w.expectEvents("EMAIL", "FIRED", "ESCALATED:1", "RESOLVED")
			for _, in := range s.asked {
				if in.Request != s.asked[0].Request {
					t.Errorf("an attempt that is repeated is another wish: %q, %q", in.Request, s.asked[0].Request)
				}
			}
		})
	}
}
