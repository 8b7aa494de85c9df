package alert

import (
	"slices"
	"strconv"
	"testing"
)

func TestGroup_MessageNamesWhatItShowsBeside(t *testing.T) {
	t.Parallel()
	ops, other := Recipient{Channel: "SLACK", Address: "#ops"}, Recipient{Channel: "SLACK", Address: "#dba"}
	at := func(r Recipient, id string) Recipient { r.ExternalID = id; return r }
	a, b, c := &Tracked{Alert: Alert{Key: "a", Status: StatusOpen}}, &Tracked{Alert: Alert{Key: "b", Status: StatusResolved}}, &Tracked{Alert: Alert{Key: "c", Status: StatusOpen}}
	g := &Group{Alerts: []*Tracked{b, a, c}}
	for _, tracked := range []*Tracked{a, b} {
		tracked.Tell(ops) // perhaps: nobody knows as what
		tracked.Tell(at(ops, "1"))
		tracked.Tell(ops) // and what is known stays
	}
	c.Tell(at(other, "1")) // the same id at another recipient is another message

	if id, beside := g.Message([]*Tracked{b}, ops); id != "1" || len(beside) != 1 || beside[0].Key != "a" {
		t.Errorf("got %q beside %v, want the message 1, which shows a as well", id, beside)
	}
	if id, beside := g.Message([]*Tracked{c}, ops); id != "" || beside != nil {
		t.Errorf("got %q beside %v for an alert that nobody was told of", id, beside)
	}
	if len(a.Told) != 1 {
		t.Errorf("told %v, want one entry for each recipient", a.Told)
	}
	parts := ByMessage([]*Tracked{c, a, b}, ops)
	if len(parts) != 2 || parts[0][0] != c || !slices.Equal(parts[1], []*Tracked{a, b}) {
		t.Errorf("parts %v, want c alone and a with b", parts)
	}
}

func TestGroup_MessageCarriesABoundedNumberTheActiveOnesFirst(t *testing.T) {
	t.Parallel()
	ops := Recipient{Channel: "SLACK", Address: "#ops", ExternalID: "1"}
	g := &Group{}
	for i := range 3 * maxBeside {
		tracked := &Tracked{Alert: Alert{Key: strconv.Itoa(i), Status: StatusResolved}}
		if i == 2*maxBeside {
			tracked.Status = StatusOpen
		}
		tracked.Tell(ops)
		g.Alerts = append(g.Alerts, tracked)
	}
	_, beside := g.Message(g.Alerts[:1], ops)
	if len(beside) != maxBeside || beside[0].Status != StatusOpen {
		t.Errorf("%d alerts beside, the first %s; want %d, the active one first", len(beside), beside[0].Status, maxBeside)
	}
}
