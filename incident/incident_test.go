package incident_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/incident"
)

var created = time.Date(2026, 5, 4, 3, 12, 0, 0, time.UTC)

func open() incident.Incident {
	return incident.Incident{ID: "I-7F3K", Status: incident.StatusOpen, CreatedAt: created, Alerts: 2, ActiveAlerts: 2}
}

// in is an incident that reached a status a minute after the step before.
func in(s incident.Status) incident.Incident {
	i := open()
	steps := map[incident.Status][]incident.Kind{
		incident.StatusInvestigating: {incident.Taken},
		incident.StatusResolved:      {incident.Resolved},
		incident.StatusClosed:        {incident.Resolved, incident.Closed},
	}
	for n, kind := range steps[s] {
		i.Apply(incident.Change{Kind: kind, At: created.Add(time.Duration(n+1) * time.Minute), Actor: "dana"})
	}
	return i
}

func TestApply_MakesLegalChangesOnly(t *testing.T) {
	t.Parallel()
	statuses := []incident.Status{incident.StatusOpen, incident.StatusInvestigating, incident.StatusResolved, incident.StatusClosed}
	leads := map[incident.Kind][]incident.Status{ // to which status each change leads, from each of the above; "" not at all
		incident.Taken:    {incident.StatusInvestigating, "", "", ""},
		incident.Reopened: {"", "", incident.StatusInvestigating, ""},
		incident.Resolved: {incident.StatusResolved, incident.StatusResolved, "", ""},
		incident.Closed:   {"", "", incident.StatusClosed, ""},
		incident.Noted:    {incident.StatusInvestigating, incident.StatusInvestigating, incident.StatusResolved, incident.StatusClosed},
		incident.Assigned: {incident.StatusInvestigating, incident.StatusInvestigating, incident.StatusResolved, ""},
	}
	for kind, to := range leads {
		for n, from := range statuses {
			i := in(from)
			before := i
			changed := i.Apply(incident.Change{Kind: kind, At: created.Add(time.Hour), Actor: "erin", Text: "erin"})
			want := to[n]
			if changed != (want != "") {
				t.Errorf("%s of %s changed: %v", kind, from, changed)
			}
			if want == "" {
				want = from
				if i.ResolvedAt != before.ResolvedAt || i.AssignedTo != before.AssignedTo || i.FirstResponseAt != before.FirstResponseAt {
					t.Errorf("%s of %s left %+v", kind, from, i)
				}
			}
			if i.Status != want {
				t.Errorf("%s of %s ended as %s, want %s", kind, from, i.Status, want)
			}
			if i.Status != incident.StatusOpen && i.FirstResponseBy == "" {
				t.Errorf("%s of %s: nobody responded", kind, from)
			}
		}
	}
}

func TestCheck_AllowsWhatStandsAlreadyAndRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status incident.Status
		kind   incident.Kind
		words  string // of the refusal; empty: in order
	}{
		{incident.StatusOpen, incident.Closed, "is OPEN and cannot become CLOSED; resolve it first"},
		{incident.StatusInvestigating, incident.Closed, "is INVESTIGATING and cannot become CLOSED"},
		{incident.StatusOpen, incident.Reopened, "nothing to reopen"},
		{incident.StatusResolved, incident.Taken, "was resolved by dana at 2026-05-04 03:13:00 UTC; reopen it"},
		{incident.StatusClosed, incident.Taken, "was closed by dana at 2026-05-04 03:14:00 UTC"},
		{incident.StatusClosed, incident.Reopened, "was closed by dana"},
		{incident.StatusClosed, incident.Assigned, "was closed by dana"},
		{incident.StatusInvestigating, incident.Taken, ""},
		{incident.StatusResolved, incident.Resolved, ""},
		{incident.StatusClosed, incident.Resolved, ""},
		{incident.StatusClosed, incident.Closed, ""},
		{incident.StatusClosed, incident.Noted, ""},
	} {
		err := in(c.status).Check(c.kind, incident.Command{Actor: "erin", Text: "x"})
		switch {
		case c.words == "" && err != nil:
			t.Errorf("%s of %s: %v", c.kind, c.status, err)
		case c.words != "" && (!errors.Is(err, incident.ErrConflict) || !strings.Contains(err.Error(), c.words)):
			t.Errorf("%s of %s: %v, want %q", c.kind, c.status, err, c.words)
		}
	}
}

func TestNext_IsTheEarliestMomentAtWhichSomethingHappensByItself(t *testing.T) {
	t.Parallel()
	late := open()
	late.Apply(incident.Change{Kind: incident.Limit, At: created.Add(31 * time.Minute)})
	for name, c := range map[string]struct {
		i     incident.Incident
		after time.Time
		want  time.Duration // after the creation; 0: nothing
		actor string
	}{
		"open":                     {open(), time.Time{}, incident.ResponseLimit + time.Microsecond, incident.ActorResponse},
		"open, response handled":   {open(), created.Add(time.Hour), incident.ResolutionLimit + time.Microsecond, incident.ActorResolution},
		"open and late":            {late, time.Time{}, incident.ResolutionLimit + time.Microsecond, incident.ActorResolution},
		"investigating":            {in(incident.StatusInvestigating), time.Time{}, incident.ResolutionLimit + time.Microsecond, incident.ActorResolution},
		"resolved":                 {in(incident.StatusResolved), time.Time{}, time.Minute + incident.CloseAfter, incident.ActorClose},
		"closed":                   {in(incident.StatusClosed), time.Time{}, 0, ""},
		"investigating, all known": {in(incident.StatusInvestigating), created.Add(5 * time.Hour), 0, ""},
	} {
		got := c.i.Next(c.after)
		if c.want == 0 != got.At.IsZero() || c.want != 0 && got.At.Sub(created) != c.want || got.Actor != c.actor {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestLimit_PassesAfterItsLastMicrosecond(t *testing.T) {
	t.Parallel()
	i := open()
	if i.Apply(incident.Change{Kind: incident.Limit, At: created.Add(incident.ResponseLimit)}) || i.SLABreach {
		t.Error("30 minutes are not more than 30 minutes")
	}
	next := i.Next(time.Time{})
	if !i.Apply(incident.Change{Kind: incident.Limit, At: next.At}) || !i.SLABreach || i.SLA(next.At) != incident.OverdueResponse {
		t.Errorf("at its deadline: %+v", i)
	}
	if i.Apply(incident.Change{Kind: incident.Limit, At: next.At}) {
		t.Error("the same limit passed twice")
	}
}

func TestFollow_WhatAlertsBringAbout(t *testing.T) {
	t.Parallel()
	at := func(minutes int) time.Time { return created.Add(time.Duration(minutes) * time.Minute) }
	acked := func(i incident.Incident) incident.Incident {
		i.AlertAcknowledgedAt, i.AlertAcknowledgedBy = at(5), "erin"
		return i
	}
	ended := func(i incident.Incident, when time.Time) incident.Incident {
		i.ActiveAlerts, i.LastAlertResolvedAt = 0, when
		return i
	}
	without := open()
	without.Alerts, without.ActiveAlerts = 0, 0
	reopened := in(incident.StatusResolved)
	reopened.Apply(incident.Change{Kind: incident.Reopened, At: at(10), Actor: "dana"})
	for name, c := range map[string]struct {
		i    incident.Incident
		want []string // kinds, with the minute
	}{
		"nothing":                    {open(), nil},
		"answered":                   {acked(open()), []string{"INVESTIGATING 03:17"}},
		"answered and ended":         {ended(acked(open()), at(8)), []string{"INVESTIGATING 03:17", "RESOLVED 03:20"}},
		"ended":                      {ended(open(), at(8)), []string{"RESOLVED 03:20"}},
		"ended before its creation":  {ended(open(), at(-8)), []string{"RESOLVED 03:12"}},
		"answered, at it already":    {acked(in(incident.StatusInvestigating)), nil},
		"without alerts":             {without, nil},
		"ended before the reopening": {ended(reopened, at(8)), nil},
		"ended after the reopening":  {ended(reopened, at(12)), []string{"RESOLVED 03:24"}},
		"ended, resolved already":    {ended(in(incident.StatusResolved), at(8)), nil},
		"answered and ended, closed": {ended(acked(in(incident.StatusClosed)), at(8)), nil},
		"one of two ended":           {func() incident.Incident { i := open(); i.ActiveAlerts, i.LastAlertResolvedAt = 1, at(8); return i }(), nil},
	} {
		var got []string
		for i := c.i; len(got) < 5; {
			change, ok := i.Follow()
			if !ok {
				break
			}
			got = append(got, string(change.Kind)+" "+change.At.Format("15:04"))
			if !i.Apply(change) {
				t.Errorf("%s: %+v is not legal", name, change)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
