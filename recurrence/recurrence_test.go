package recurrence_test

import (
	"strings"
	"testing"
	"time"

	"onevault/recurrence"
)

func berlin(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func windows(t *testing.T, r recurrence.Rule, from, to string) string {
	t.Helper()
	moment := func(text string) time.Time {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	list, err := r.Windows(moment(from), moment(to))
	if err != nil {
		t.Fatalf("%s: %v", r.RRule, err)
	}
	var texts []string
	for _, w := range list {
		texts = append(texts, w.From.UTC().Format("01-02 15:04")+"/"+w.To.Sub(w.From).String())
	}
	return strings.Join(texts, ", ")
}

func at(year int, month time.Month, day, hour, minute int) time.Time {
	return time.Date(year, month, day, hour, minute, 0, 0, time.UTC)
}

func TestWindows_KeepTheTimeOfDayWhenClocksAreChanged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule           recurrence.Rule
		from, to, want string
	}{
		"once": {
			recurrence.Rule{Start: at(2026, 7, 5, 2, 0), Duration: time.Hour, Zone: berlin(t)},
			"2026-07-01T00:00:00Z", "2026-08-01T00:00:00Z", "07-05 00:00/1h0m0s",
		},
		"02:00 is 02:00 in winter and in summer": {
			recurrence.Rule{Start: at(2026, 3, 22, 2, 0), Duration: 3 * time.Hour, Zone: berlin(t), RRule: "FREQ=WEEKLY;BYDAY=SU"},
			// On 29 March 02:00 does not exist: it is 03:00.
			"2026-03-20T00:00:00Z", "2026-04-10T00:00:00Z", "03-22 01:00/3h0m0s, 03-29 01:00/3h0m0s, 04-05 00:00/3h0m0s",
		},
		"02:30 on a day without it is 03:30": {
			recurrence.Rule{Start: at(2026, 3, 28, 2, 30), Duration: time.Hour, Zone: berlin(t), RRule: "FREQ=DAILY;COUNT=3"},
			"2026-03-20T00:00:00Z", "2026-04-10T00:00:00Z", "03-28 01:30/1h0m0s, 03-29 01:30/1h0m0s, 03-30 00:30/1h0m0s",
		},
		"02:30 on a day that has it twice is the first": {
			recurrence.Rule{Start: at(2026, 10, 24, 2, 30), Duration: time.Hour, Zone: berlin(t), RRule: "FREQ=DAILY;COUNT=3"},
			"2026-10-20T00:00:00Z", "2026-11-10T00:00:00Z", "10-24 00:30/1h0m0s, 10-25 00:30/1h0m0s, 10-26 01:30/1h0m0s",
		},
		"the first Saturday of a month": {
			recurrence.Rule{Start: at(2026, 1, 3, 22, 0), Duration: 4 * time.Hour, Zone: time.UTC, RRule: "FREQ=MONTHLY;BYDAY=1SA"},
			"2026-02-01T00:00:00Z", "2026-04-10T00:00:00Z", "02-07 22:00/4h0m0s, 03-07 22:00/4h0m0s, 04-04 22:00/4h0m0s",
		},
		"an end in UTC counts by the clocks of the zone": {
			recurrence.Rule{Start: at(2026, 7, 1, 0, 30), Duration: time.Hour, Zone: berlin(t), RRule: "FREQ=DAILY;UNTIL=20260702T223000Z"},
			"2026-06-01T00:00:00Z", "2026-08-01T00:00:00Z", "06-30 22:30/1h0m0s, 07-01 22:30/1h0m0s, 07-02 22:30/1h0m0s",
		},
		"one that has begun and lasts is among them": {
			recurrence.Rule{Start: at(2026, 7, 1, 0, 0), Duration: 48 * time.Hour, Zone: time.UTC, RRule: "FREQ=WEEKLY"},
			"2026-07-09T12:00:00Z", "2026-07-10T00:00:00Z", "07-08 00:00/48h0m0s",
		},
	} {
		if got := windows(t, c.rule, c.from, c.to); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestWindows_RefuseRulesThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	for rule, word := range map[string]string{
		"FREQ=HOURLY":                           "within a day",
		"FREQ=SOMETIMES":                        "SOMETIMES",
		"BYDAY=SU":                              "FREQ",
		"FREQ=WEEKLY;BYDAY=XX":                  "XX",
		"DTSTART:20260101T000000Z\nFREQ=WEEKLY": "rule alone",
		"FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23;BYMINUTE=0,30": "more than",
	} {
		r := recurrence.Rule{Start: at(2026, 1, 1, 0, 0), Duration: time.Minute, Zone: time.UTC, RRule: rule}
		if _, err := r.Windows(at(2026, 1, 1, 0, 0), at(2026, 4, 1, 0, 0)); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v, want it to say %q", rule, err, word)
		}
	}
}

func TestWindows_OfARuleThatNeverComesEndToBeLookedFor(t *testing.T) {
	t.Parallel()
	done := make(chan error, 1)
	go func() {
		r := recurrence.Rule{Start: at(2026, 1, 1, 0, 0), Duration: time.Hour, Zone: time.UTC, RRule: "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}
		list, err := r.Windows(at(2026, 1, 1, 0, 0), at(2026, 4, 1, 0, 0))
		if len(list) > 0 {
			t.Errorf("on a 30 February: %v", list)
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it is still being looked for")
	}
}

func TestNext_IsFoundHoweverFarAheadAndNotWhereThereIsNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule recurrence.Rule
		want string
	}{
		"once":                        {recurrence.Rule{Start: at(2027, 3, 28, 2, 30)}, "2027-03-28 03:30 CEST"},
		"once, and over":              {recurrence.Rule{Start: at(2020, 3, 28, 2, 30)}, "never"},
		"it has begun":                {recurrence.Rule{Start: at(2026, 5, 4, 2, 30), RRule: "FREQ=DAILY"}, "2026-05-04 02:30 CEST"},
		"once a year":                 {recurrence.Rule{Start: at(2025, 10, 26, 2, 30), RRule: "FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU"}, "2026-10-25 02:30 CEST"},
		"29 February":                 {recurrence.Rule{Start: at(2026, 1, 1, 2, 30), RRule: "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"}, "2028-02-29 02:30 CET"},
		"30 February":                 {recurrence.Rule{Start: at(2026, 1, 1, 2, 30), RRule: "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}, "never"},
		"until a day that has passed": {recurrence.Rule{Start: at(2020, 1, 1, 2, 30), RRule: "FREQ=DAILY;UNTIL=20200301T000000Z"}, "never"},
		"counted, and used up":        {recurrence.Rule{Start: at(2020, 1, 1, 2, 30), RRule: "FREQ=DAILY;COUNT=3"}, "never"},
		"daily, from next year on":    {recurrence.Rule{Start: at(2027, 1, 1, 2, 30), RRule: "FREQ=DAILY"}, "2027-01-01 02:30 CET"},
		"daily, from decades ago":     {recurrence.Rule{Start: at(1990, 1, 1, 2, 30), RRule: "FREQ=DAILY"}, "2026-05-04 02:30 CEST"},
	} {
		c.rule.Zone, c.rule.Duration = berlin(t), time.Hour
		got := "never"
		w, found, err := c.rule.Next(time.Date(2026, 5, 4, 3, 0, 0, 0, berlin(t)))
		if found {
			got = w.From.In(berlin(t)).Format("2006-01-02 15:04 MST")
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, c.want)
		}
	}
}
