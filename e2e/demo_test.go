package e2e_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// demoSteps are what the demo's timeline has to say, in this order.
var demoSteps = []string{"condition true", "noticed", "recorded", "acknowledged", "connections released", "resolved"}

var shortID = regexp.MustCompile(`\bA-[0-9A-Z]{4,8}\b`)

func TestDemo_IsSeenToItsEndTwiceInARow(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	for round := range 2 {
		r := execute(t, "demo", program.dev, nil, "demo", "--data-dir", w.dir, "--step-timeout", "2m")
		if r.code != 0 {
			t.Fatalf("demo %d: exit code %d\n%s\nlog of %s:\n%s", round+1, r.code, r.text, w.dev.name, w.dev.out.tail())
		}
		at := 0
		for _, step := range demoSteps {
			found := strings.Index(r.text[at:], step)
			if found < 0 {
				t.Fatalf("demo %d does not say %q after %q:\n%s", round+1, step, r.text[:at], r.text)
			}
			at += found
		}
		id := shortID.FindString(r.text)
		if id == "" {
			t.Fatalf("demo %d names no alert:\n%s", round+1, r.text)
		}
		w.checkDemo(t, id)
		t.Logf("demo %d\n%s", round+1, r.text)
	}
}

// checkDemo looks for itself at what the demo claims: the states, and all six channels told of both ends.
func (w *world) checkDemo(t *testing.T, id string) {
	t.Helper()
	const definition = "SYSTEM_HIGH_CONNECTION_COUNT"
	versions, err := w.versions(t.Context(), definition)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(versions, func(v version) bool { return v.ID == id })
	if at < 0 {
		t.Fatalf("the vault does not know %s: %v", id, versions)
	}
	key := versions[at].Key
	if got, want := states(versions, key), []string{"OPEN", "ACKNOWLEDGED", "RESOLVED"}; !slices.Equal(got, want) {
		t.Errorf("states of %s are %v, want %v", id, got, want)
	}
	entries, err := w.ledger(t.Context(), definition)
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range []string{"FIRED", "RESOLVED"} {
		told := 0
		for _, e := range current(entries) {
			if e.Alert == key && e.Event == event && e.arrived() {
				told++
			}
		}
		if told != 6 {
			t.Errorf("%d channels were told that %s is %s, want 6: %v", told, id, event, entries)
		}
	}
}
