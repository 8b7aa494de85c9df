package doctor

import (
	"time"

	"go.temporal.io/sdk/client"
)

// lateDaily is how long after a day's run is due its absence is said: a run may be caught up for half a day.
const lateDaily = 13 * time.Hour

// judgeDaily looks at a schedule that runs at an hour of each day.
func judgeDaily(now time.Time, id string, s *client.ScheduleDescription) Finding {
	check := "schedule " + id
	last, words := s.Info.CreatedAt, "never ran, created"
	if n := len(s.Info.RecentActions); n > 0 {
		last, words = s.Info.RecentActions[n-1].ActualTime, "ran last"
	}
	if now.Sub(last) > 24*time.Hour+lateDaily {
		return fail(check, "see the workflow "+id+" in the Temporal UI; `onevault schedule trigger "+id+"` runs it now", "%s %s, though it is due every day", words, age(now, last))
	}
	return ok(check, "%s %s", words, age(now, last))
}
