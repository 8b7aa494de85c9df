package main

import (
	"strings"
	"testing"
	"time"

	"onevault/alert"
)

func TestParseSpan(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"1m": time.Minute, "90m": 90 * time.Minute, "2h": 2 * time.Hour, "1h30m": 90 * time.Minute, "30d": 720 * time.Hour} {
		if got, err := parseSpan(text); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "2", "0m", "-1h", "30s", "90s", "31d", "1e9d", "2 h", "h", "99999999999d"} {
		if got, err := parseSpan(text); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}

// Without Temporal the vault carries out what was asked, and the workflow hears of it later.
func TestAlertVerbs_WorkThroughTheVaultAndSayWhatStands(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	id := alert.ShortID(l.fire("pg-prod-3", connections, alert.SeverityHigh, 93, now.Add(-time.Minute)))
	for _, step := range []struct {
		args string
		code int
		says []string
	}{
		{"ack " + id + " --for 30s", exitUsage, []string{"whole minutes"}},
		{"snooze " + id + " -m why", exitUsage, []string{"--duration 30m"}},
		{"snooze " + id + " -d 30m", exitUsage, []string{"why nobody should be paged"}},
		{"false-positive " + id, exitUsage, []string{"why it should not have fired"}},
		{"unack " + id, exitDone, []string{"is OPEN already: nobody has it"}},
		{"snooze " + id + " -d 30m -m deploying", exitDone, []string{"snoozed " + id, "until"}},
		{"ack " + id + " --for 2h", exitDone, []string{"acknowledged " + id, "until"}},
		{"ack " + id + " --for 1h", exitDone, []string{"already", "until"}},
		{"ack " + id + " --for 3h", exitDone, []string{"acknowledged " + id}},
		{"snooze " + id + " -d 30m -m deploying", exitConflict, []string{"acknowledged by", "nobody is paged"}},
		{"unack " + id + " -m away", exitDone, []string{"taken back " + id}},
		{"escalate " + id, exitDone, []string{"escalated " + id}},
		{"false-positive " + id + " -m backup", exitDone, []string{"called a false positive " + id}},
		{"false-positive " + id + " -m backup", exitDone, []string{"already"}},
		{"escalate " + id, exitConflict, []string{"resolved by"}},
		{"unack " + id, exitConflict, []string{"resolved by"}},
		{"unack A-ZZZZ", exitNotFound, []string{"A-ZZZZ"}},
	} {
		args := []string{"alert", "--temporal-address", "127.0.0.1:1"}
		got := l.cli(append(args, strings.Fields(step.args)...)...)
		if got.code != step.code {
			t.Fatalf("alert %s: exit code %d, want %d: %s%s", step.args, got.code, step.code, got.out, got.err)
		}
		for _, want := range step.says {
			if !strings.Contains(got.out+got.err, want) {
				t.Errorf("alert %s says %q, want %q in it", step.args, got.out+got.err, want)
			}
		}
	}
	shown := l.cli("alert", "timeline", id).out
	for _, want := range []string{"snoozed", "until", "away", "RESOLVED", "ESCALATED to level 1"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the timeline does not say %q:\n%s", want, shown)
		}
	}
	if shown := l.cli("alert", "show", id).out; !strings.Contains(shown, "false positive") {
		t.Errorf("alert show says\n%s", shown)
	}
}
