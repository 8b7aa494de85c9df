package doctor

import (
	"fmt"
	"time"
)

// shortestKeeping is what the schedules of a day need: each run is told how the one before it ended.
const shortestKeeping = 48 * time.Hour

// judgeKeeping compares how long Temporal keeps what has ended with how long the vault keeps the rows that led to it.
// outbox 0: the vault does not say.
func judgeKeeping(namespace string, keeps, outbox time.Duration) Finding {
	remedy := fmt.Sprintf("temporal operator namespace update --namespace %s --retention %dh", namespace, int(max(outbox, shortestKeeping).Hours()))
	switch {
	case keeps < shortestKeeping:
		return warn("history", remedy, "Temporal forgets workflows %s after their end: a run of a daily schedule cannot see how the one before it ended", keeps)
	case keeps < outbox:
		return warn("history", remedy+`, or keep the outbox for less (monitor_config_s, RETENTION)`,
			"Temporal forgets workflows %s after their end, and the outbox names them for %s: what became of such a row cannot be looked up", keeps, outbox)
	}
	return ok("history", "Temporal keeps workflows for %s after their end", keeps)
}
