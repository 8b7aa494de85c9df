package alert

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

var (
	stormBegan  = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	stormMail   = Channel{Key: "EMAIL", Type: "EMAIL", Recipients: []string{"ops@example.com"}}
	stormMailTo = Recipient{Channel: "EMAIL", Address: "ops@example.com"}
)

func stormOf(limit, atOnce int) *StormState {
	return NewStormState(Storm{Key: "STORM||TARGET||LOCAL", Kind: StormTarget, Name: "local", BeganAt: stormBegan, Limit: limit, AtOnce: atOnce})
}

func handover(i int, severity Severity, event Event, ledger string) Handover {
	key := fmt.Sprintf("a%d", i)
	return Handover{
		ID: key + "/" + ledger, Event: event, LedgerEvent: ledger, Hearers: []Channel{stormMail},
		Members: Members{
			Group: "alert/local/" + key, Definition: Definition{Key: key, Severity: severity},
			Alerts: []Member{{Alert: Alert{Key: key, Status: StatusOpen, TriggeredAt: stormBegan}, Ending: "RESOLVED"}},
		},
	}
}

// standsAs is news of a member that a handover brought.
func standsAs(h Handover, status Status) Members {
	news := h.Members
	news.Alerts = slices.Clone(news.Alerts)
	news.Alerts[0].Status = status
	return news
}

func TestStorm_TakesEachHandoverOnce(t *testing.T) {
	t.Parallel()
	s := stormOf(1, 0)
	h := handover(1, SeverityHigh, EventFired, "FIRED")
	if !s.Take(h, stormBegan) || s.Take(h, stormBegan) {
		t.Error("a handover that came twice is not taken once")
	}
	messages, taken := s.Next(stormBegan)
	if len(messages) != 1 || len(taken) != 1 || len(messages[0].Alerts) != 1 {
		t.Errorf("%d messages of %d handovers", len(messages), len(taken))
	}
}

func TestStorm_OfTwoEventsOfAnAlertTheLaterOneIsTold(t *testing.T) {
	t.Parallel()
	s := stormOf(1, 0)
	s.Take(handover(1, SeverityHigh, EventFired, "FIRED"), stormBegan)
	s.Take(handover(1, SeverityHigh, EventEscalated, "ESCALATED:1"), stormBegan)
	messages, _ := s.Next(stormBegan)
	if len(messages) != 1 || len(messages[0].Alerts) != 1 || messages[0].Event != EventEscalated || messages[0].Events["a1"] != "ESCALATED:1" {
		t.Errorf("people are told %+v", messages)
	}
}

func TestStorm_IsOverWithAllOfItOrUnderHalfOfItsLimit(t *testing.T) {
	t.Parallel()
	s := stormOf(4, 0)
	if s.Over() {
		t.Error("a storm that nobody has joined yet is over")
	}
	var all []Handover
	for i := range 5 {
		all = append(all, handover(i, SeverityHigh, EventFired, "FIRED"))
		s.Take(all[i], stormBegan)
	}
	if s.Over() {
		t.Error("it is over before anybody was told")
	}
	messages, _ := s.Next(stormBegan)
	s.Told(messages[0])
	for i, over := range []bool{false, false, false, true} { // 4, 3, 2 and then 1 of them open
		s.Hear(standsAs(all[i], StatusResolved))
		if s.Over() != over {
			t.Errorf("after %d ends it is over: %t", i+1, s.Over())
		}
	}
	end := s.End()
	if len(end) != 1 || len(end[0].Alerts) != 4 || end[0].To != stormMailTo || end[0].Summary.Open != 1 || !end[0].Summary.Over {
		t.Errorf("its end is %+v", end)
	}
	if left := s.Release(); !slices.Equal(left, []string{"alert/local/a4"}) {
		t.Errorf("it gives back %v", left)
	}
	s.Hear(standsAs(all[4], StatusAcknowledged)) // was on its way
	if len(s.Groups) != 0 {
		t.Error("it carries an alert that it gave back")
	}
	// What was left to an earlier run is told of at the end of this one.
	late := standsAs(all[4], StatusResolved)
	late.Channels, late.Alerts[0].Told = []Channel{stormMail}, []Recipient{stormMailTo}
	s.Hear(late)
	if end := s.End(); !s.Over() || len(end) != 1 || len(end[0].Alerts) != 1 {
		t.Errorf("of what an earlier run told nobody hears the end: %+v", end)
	}
}

func TestStorm_WorstIsFirstAndADeliveryIsMootOnceAllOfItIsAnswered(t *testing.T) {
	t.Parallel()
	s := stormOf(1, 0)
	low, worst := handover(1, SeverityLow, EventFired, "FIRED"), handover(2, SeverityCritical, EventFired, "FIRED")
	s.Take(low, stormBegan)
	s.Take(worst, stormBegan)
	messages, _ := s.Next(stormBegan)
	m := messages[0]
	if m.Alerts[0].Key != "a2" || m.Summary.Definitions[m.Summary.Of[0]].Severity != SeverityCritical {
		t.Errorf("the first is %s", m.Alerts[0].Key)
	}
	s.Hear(standsAs(worst, StatusAcknowledged))
	if !s.IsDue(m) {
		t.Error("one of two is answered, and nobody is to be told of the other")
	}
	muted := standsAs(low, StatusOpen)
	muted.Alerts[0].Mute = &Mute{Kind: MuteSilence}
	s.Hear(muted)
	if s.IsDue(m) {
		t.Error("what is answered and muted is still told")
	}
}

func TestStorm_DueMoments(t *testing.T) {
	t.Parallel()
	s := stormOf(1, 2)
	after := func(d time.Duration) time.Time { return stormBegan.Add(d) }
	s.Take(handover(1, SeverityHigh, EventFired, "FIRED"), stormBegan)
	if due := s.Due(); !due.Equal(after(StormGatherMost)) {
		t.Errorf("with one of two: due %s", due)
	}
	s.Take(handover(2, SeverityHigh, EventFired, "FIRED"), after(time.Second))
	if due := s.Due(); !due.Equal(after(StormGather)) {
		t.Errorf("with both: due %s", due)
	}
	s.Next(after(StormGather))
	if !s.Due().IsZero() {
		t.Error("nothing waits, and it is due")
	}
	joins := func(i int, severity Severity, fired, heard time.Duration) time.Time {
		h := handover(i, severity, EventFired, "FIRED")
		h.Members.Alerts[0].TriggeredAt = after(fired)
		s.Take(h, after(heard))
		due := s.Due()
		s.Pending = nil
		return due
	}
	if due := joins(3, SeverityHigh, time.Minute, time.Minute); !due.Equal(after(StormGather + StormQuiet)) {
		t.Errorf("what fired later is due %s", due)
	}
	if due := joins(4, SeverityCritical, time.Minute, time.Minute); !due.Equal(after(time.Minute + StormGather)) {
		t.Errorf("what is CRITICAL is due %s", due)
	}
	if due := joins(5, SeverityHigh, time.Second, time.Minute); !due.Equal(after(time.Minute + StormGatherMost)) {
		t.Errorf("what fired before people were told is due %s", due)
	}
}
