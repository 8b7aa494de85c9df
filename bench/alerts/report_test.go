//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestReport_AMissedGoalFailsTheRunAndAComparisonDoesNot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		figures []figure
		code    int
	}{
		"nothing was measured":         {nil, 0},
		"a goal is met":                {[]figure{{Goal: "under 1 s", Met: true}}, 0},
		"a peer's figure has no goal":  {[]figure{{Value: 7}}, 0},
		"one of two goals is not met":  {[]figure{{Goal: "0", Met: true}, {Goal: "under 5 %"}}, 1},
		"what is lost counts as other": {[]figure{{Measure: "lost", Goal: "0", Value: 1}}, 1},
	} {
		r := report{Figures: c.figures}
		var out bytes.Buffer
		r.print(&out)
		if r.code() != c.code || strings.Contains(out.String(), missed) != (c.code == 1) {
			t.Errorf("%s: code %d, want %d\n%s", name, r.code(), c.code, out.String())
		}
	}
}

func TestCountOf_TellsLostDoubledAndMarkedApart(t *testing.T) {
	t.Parallel()
	list := []message{
		{alerts: []string{"a"}},
		{alerts: []string{"b"}},
		{alerts: []string{"b"}, duplicate: true},
		{alerts: []string{"c"}},
		{alerts: []string{"c"}},
		{alerts: []string{"d"}, duplicate: true},
	}
	if got := countOf(list); got != (count{told: 4, twice: 2, twiceUnmarked: 1}) {
		t.Errorf("got %+v, want 4 told of, b and c twice, c without a word", got)
	}
}

func TestReceiver_ReadsBothSides(t *testing.T) {
	t.Parallel()
	r, err := startReceiver()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	}()
	post := func(path string, body any) {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.Post(r.address+path, "application/json", bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(response.Status, err)
		}
	}
	type fields = map[string]any
	post(peersPath, fields{"status": "firing", "alerts": []fields{{"labels": fields{"id": "7"}}}})
	post("/BENCH", fields{
		"status": "resolved", "truncatedAlerts": 4500, "onevault": fields{"possible_duplicate": true},
		"alerts": []fields{{"labels": fields{"alert_id": "A-7F3K"}, "fingerprint": "00ff"}},
	})
	list, err := r.await(t.Context(), "/BENCH", func(list []message) bool { return len(list) == 1 })
	if err != nil {
		t.Fatal(err)
	}
	m := list[0]
	if m.status != "resolved" || m.told() != 4501 || m.alerts[0] != "00ff" || !m.duplicate || time.Since(m.at) > time.Minute {
		t.Errorf("OneVault's is read as %+v", m)
	}
	if theirs, _ := r.of(peersPath); len(theirs) != 1 || theirs[0].alerts[0] != "7" || theirs[0].duplicate {
		t.Errorf("Alertmanager's is read as %+v", theirs)
	}
}

func TestParse_RefusesWhatItCannotMeasure(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-only", "storms"}, {"-alerts", "1"}, {"-alerts", "20000"}, {"-rest", "1s"}, {"storm"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
