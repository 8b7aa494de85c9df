package alert

import (
	"fmt"
	"strings"
	"time"
)

// How long a look at a definition may be late before alerting does not count as working: so many cycles and a
// moment more.
const (
	PulseCycles = 3
	PulseSlack  = 30 * time.Second
)

// pulseOutbox is how long what happened in the vault may wait for its way to the workflows.
const pulseOutbox = 2 * time.Minute

// OverdueLook is a definition that nobody looked at on a target, though it is due.
type OverdueLook struct {
	Definition string        `json:"definition"`
	Target     string        `json:"target"`
	Since      time.Time     `json:"since"` // the last look, or when there was first something to look at
	Every      time.Duration `json:"every"`
}

// Pulse is what is known about alerting as a whole at one moment.
type Pulse struct {
	Now time.Time `json:"now"`
	// Overdue are the looks later than PulseCycles cycles and PulseSlack.
	Overdue []OverdueLook `json:"overdue,omitempty"`
	Enabled int           `json:"enabled"` // definitions that could fire
	// OldestUnrelayed is when the oldest change in the vault that no workflow heard of was made; zero: none waits.
	OldestUnrelayed time.Time `json:"oldest_unrelayed,omitzero"`
	// Arrived and Failed count the messages of the last hour by how they ended.
	Arrived int `json:"arrived"`
	Failed  int `json:"failed"`
}

// Withheld says why alerting cannot be relied on; empty: it works. The dead man's switch is sent only then.
func (p Pulse) Withheld() []string {
	var reasons []string
	if p.Enabled == 0 {
		reasons = append(reasons, "no definition is enabled, so that nothing can fire")
	}
	if len(p.Overdue) > 0 {
		reasons = append(reasons, "evaluation stands still: "+p.overdueText())
	}
	if waited := p.Now.Sub(p.OldestUnrelayed); !p.OldestUnrelayed.IsZero() && waited > pulseOutbox {
		reasons = append(reasons, fmt.Sprintf("the outbox is not relayed: a change waits for %s", waited.Round(time.Second)))
	}
	if p.Failed > 0 && p.Arrived == 0 {
		reasons = append(reasons, fmt.Sprintf("none of the %d messages of the last hour arrived", p.Failed))
	}
	return reasons
}

// overdueText names the first few.
func (p Pulse) overdueText() string {
	const shown = 3
	var names []string
	for _, o := range p.Overdue[:min(shown, len(p.Overdue))] {
		names = append(names, fmt.Sprintf("%s on %s not since %s, due every %s", o.Definition, o.Target, o.Since.UTC().Format("15:04:05 UTC"), o.Every))
	}
	if more := len(p.Overdue) - shown; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, "; ")
}
