package alert_test

import (
	"strings"
	"testing"
	"time"

	"onevault/alert"
)

func TestPulse_IsWithheldWhenAlertingCannotBeReliedOn(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 3, 12, 0, 0, time.UTC)
	late := func(definition string) alert.OverdueLook {
		return alert.OverdueLook{Definition: definition, Target: "local", Since: now.Add(-time.Hour), Every: 5 * time.Minute}
	}
	fine := alert.Pulse{Now: now, Enabled: 40}
	for name, c := range map[string]struct {
		change func(*alert.Pulse)
		want   string // empty: it is sent
	}{
		"fine":            {func(*alert.Pulse) {}, ""},
		"nothing enabled": {func(p *alert.Pulse) { p.Enabled = 0 }, "no definition is enabled"},
		"a late look":     {func(p *alert.Pulse) { p.Overdue = []alert.OverdueLook{late("A")} }, "A on local not since 02:12:00 UTC, due every 5m0s"},
		"many late looks": {func(p *alert.Pulse) {
			p.Overdue = []alert.OverdueLook{late("A"), late("B"), late("C"), late("D"), late("E")}
		}, "and 2 more"},
		"a moment's queue":   {func(p *alert.Pulse) { p.OldestUnrelayed = now.Add(-2 * time.Minute) }, ""},
		"a long queue":       {func(p *alert.Pulse) { p.OldestUnrelayed = now.Add(-121 * time.Second) }, "a change waits for 2m1s"},
		"some failed":        {func(p *alert.Pulse) { p.Failed, p.Arrived = 30, 1 }, ""},
		"all failed":         {func(p *alert.Pulse) { p.Failed = 2 }, "none of the 2 messages"},
		"nothing was sent":   {func(p *alert.Pulse) { p.Failed, p.Arrived = 0, 0 }, ""},
		"everything at once": {func(p *alert.Pulse) { p.Failed, p.Enabled = 2, 0 }, "no definition is enabled"},
	} {
		p := fine
		c.change(&p)
		got := strings.Join(p.Withheld(), "\n")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
