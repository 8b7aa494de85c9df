package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestARule_IsTriedOnThePastAndOnStoriesBeforeItMayPage(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_BACKTEST")
	s.define(rule{}, holds)
	alert := s.awaitState("OPEN")
	s.awaitTold("FIRED", 3)

	type report struct {
		Pages       map[string]int `json:"pages"`
		Before      map[string]int `json:"pages_present"`
		Definitions []struct {
			Caught []struct{ ID string } `json:"caught"`
			Lost   []struct{ ID string } `json:"lost"`
		} `json:"definitions"`
	}
	try := func(what string) (r report) {
		t.Helper()
		text := w.must(t, "definition", "backtest", what, "--target", "local", "--since", "1h", "-o", "json")
		if err := json.Unmarshal([]byte(text), &r); err != nil || len(r.Definitions) != 1 {
			t.Fatalf("%v: %s", err, text)
		}
		return r
	}
	// Its next look lies on a whole minute.
	eventually(t, patience, "the real alert among those that the rule would have caught", func(context.Context) (bool, any, error) {
		r := try(s.key)
		return len(r.Definitions[0].Caught) == 1 && r.Definitions[0].Caught[0].ID == alert.ID, r, nil
	})

	// A rule that never fires loses it, says so, and has told nobody and changed nothing.
	stands := w.must(t, "definition", "export", s.key)
	deaf := regexp.MustCompile(`threshold: \S+`).ReplaceAllString(stands, "threshold: 1000000")
	file := filepath.Join(t.TempDir(), "deaf.yaml")
	if err := os.WriteFile(file, []byte(deaf), 0o600); err != nil {
		t.Fatal(err)
	}
	r := try(file)
	if lost := r.Definitions[0].Lost; len(lost) != 1 || lost[0].ID != alert.ID {
		t.Errorf("the real alert %s is not lost: %+v", alert.ID, r)
	}
	if webhook := s.channelKey("WEBHOOK"); r.Pages[webhook] != 0 || r.Before[webhook] == 0 {
		t.Errorf("the pages are %v, and were %v", r.Pages, r.Before)
	}

	// The same rule in a test of its own: what it would do is known before it is applied.
	tests := filepath.Join(t.TempDir(), "deaf.test.yaml")
	if err := os.WriteFile(tests, fmt.Appendf(nil, `version: 1
definitions: %s
tests:
  - name: a thousand sessions are heard
    definition: %s
    series: {total_connections: 10 1000x3}
    fires: [1m]
`, file, s.key), 0o600); err != nil {
		t.Fatal(err)
	}
	if failed := w.onevault(t, "definition", "test", tests); failed.code != 1 || !strings.Contains(failed.text, "it fires at no time, expected 1m") {
		t.Errorf("exit %d: %s", failed.code, failed.text)
	}
	if now := w.must(t, "definition", "export", s.key); now != stands {
		t.Errorf("the definition was changed: %s", now)
	}
	s.mustStates(alert.Key, "OPEN")
	s.mustReceive(alert.ID, "FIRED")
	w.must(t, "alert", "resolve", alert.ID, "-m", "the rule was tried")
	s.awaitState("RESOLVED")
}
