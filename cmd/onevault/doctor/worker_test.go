package doctor

import (
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"onevault/activities"
	"onevault/workflows"
)

func TestJudgeExamined_SaysWhatStandsBetweenAWorkerAndPeople(t *testing.T) {
	t.Parallel()
	fine := activities.ExaminedChannel{Key: "MAIL", Recipients: 1, Tried: true}
	found := judgeExamined(activities.ExamineOutput{Host: "worker-1", Channels: []activities.ExaminedChannel{
		fine,
		{Key: "HOOK", Unusable: "the variable HOOK_SECRET is not set"},
		{Key: "EMPTY", Tried: true},
		{Key: "FAR", Recipients: 1, Tried: true, Unreachable: "its TLS certificate is not trusted: expired"},
		{Key: "TEXT", Recipients: 2},
	}})
	expect(t, found, OK, "worker-1 has the secrets of 1 channels")
	expect(t, found, Fail, "on worker-1 it cannot be used: the variable HOOK_SECRET is not set")
	expect(t, found, Fail, "it has no recipients")
	expect(t, found, Fail, "certificate is not trusted: expired")
	expect(t, found, OK, "cannot be tried without sending; `onevault channel test` does: TEXT")
}

func TestJudgeKeeping_ComparesTemporalWithTheOutbox(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	expect(t, []Finding{judgeKeeping("onevault", 7*day, 7*day)}, OK, "168h")
	expect(t, []Finding{judgeKeeping("onevault", 7*day, 0)}, OK, "168h")
	expect(t, []Finding{judgeKeeping("onevault", 7*day, 30*day)}, Warn, "--namespace onevault --retention 720h")
	expect(t, []Finding{judgeKeeping("onevault", day, 7*day)}, Warn, "--retention 168h")
	expect(t, []Finding{judgeKeeping("onevault", day, 0)}, Warn, "a daily schedule")
}

func TestJudgeHeartbeat(t *testing.T) {
	t.Parallel()
	sent := workflows.HeartbeatResult{LastSentAt: now.Add(-time.Minute), BeatOutput: activities.BeatOutput{Sent: true}}
	expect(t, []Finding{judgeHeartbeat(now, sent, nil)}, OK, "it heard from us 1m0s ago")
	withheld := workflows.HeartbeatResult{LastSentAt: now.Add(-time.Hour), BeatOutput: activities.BeatOutput{Withheld: []string{"evaluation stands still: X"}}}
	expect(t, []Finding{judgeHeartbeat(now, withheld, nil)}, Fail, "alerting does not work (it heard from us 1h0m0s ago): evaluation stands still: X")
	expect(t, []Finding{judgeHeartbeat(now, workflows.HeartbeatResult{BeatOutput: activities.BeatOutput{Problem: "HTTP 404"}}, nil)}, Fail, "does not take it (it never heard from us): HTTP 404")
	expect(t, []Finding{judgeHeartbeat(now, workflows.HeartbeatResult{}, errors.New("no worker"))}, Fail, "no worker")
}

func TestJudgeSchedule_OfADayIsLateAfterOneMissedRun(t *testing.T) {
	t.Parallel()
	daily := func(ago time.Duration) *client.ScheduleDescription {
		return &client.ScheduleDescription{
			Schedule: client.Schedule{Spec: &client.ScheduleSpec{Calendars: []client.ScheduleCalendarSpec{{}}}, State: &client.ScheduleState{}},
			Info:     client.ScheduleInfo{CreatedAt: now.Add(-90 * 24 * time.Hour), RecentActions: []client.ScheduleActionResult{{ActualTime: now.Add(-ago)}}},
		}
	}
	expect(t, []Finding{judgeSchedule(now, "report", daily(25*time.Hour))}, OK, "ran last 25h0m0s ago")
	expect(t, []Finding{judgeSchedule(now, "report", daily(38*time.Hour))}, Fail, "onevault schedule trigger report")
}
