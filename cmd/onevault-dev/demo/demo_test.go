package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestUsage_MissingReachesTheGoalAndNotMore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		usage usage
		goal  float64
		want  int
	}{
		{usage{taken: 4, slots: 147}, 80, 114}, // 118 of 147 are 80.3 %
		{usage{taken: 118, slots: 147}, 80, 0},
		{usage{taken: 140, slots: 147}, 80, 0},
		{usage{taken: 0, slots: 10}, 80, 8},
	} {
		got := c.usage.missing(c.goal)
		if got != c.want {
			t.Errorf("%+v to %g %%: %d more, want %d", c.usage, c.goal, got, c.want)
		}
		after := usage{taken: c.usage.taken + got, slots: c.usage.slots}
		if after.percent() < c.goal {
			t.Errorf("%+v with %d more is only %.1f %%", c.usage, got, after.percent())
		}
	}
}

func TestInbox_FindsTheMessageOfTheAlertAndOfTheEvent(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/messages" || r.URL.Query().Get("after") != "7" || r.URL.Query().Get("channel") != "SLACK" {
			http.Error(w, "unexpected "+r.URL.String(), http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, `{"seq": 10, "messages": [
			{"to": "#other", "subject": "A-0000 is on", "severity": "HIGH"},
			{"to": "#fired", "text": "alert A-7F3K", "severity": "HIGH"},
			{"to": "#resolved", "raw": "alert A-7F3K", "severity": "RESOLVED"},
			{"to": "+12025550199", "key": "ALERT||2/FIRED", "text": "Alert A, 7, F, 3, L", "severity": "HIGH"}]}`)
	}))
	defer server.Close()
	c := &inboxClient{url: server.URL}

	for resolved, want := range map[bool]string{false: "#fired", true: "#resolved"} {
		m, found, err := c.find(t.Context(), 7, "SLACK", alertState{businessKey: "ALERT||1", shortID: "A-7F3K"}, resolved)
		if err != nil || !found || m.To != want {
			t.Errorf("resolved %t: %+v, %t, %v; want %s", resolved, m, found, err, want)
		}
	}
	if m, found, err := c.find(t.Context(), 7, "SLACK", alertState{businessKey: "ALERT||2", shortID: "A-7F3L"}, false); err != nil || !found || m.To != "+12025550199" {
		t.Errorf("by its key: %+v, %t, %v", m, found, err)
	}
	if _, found, err := c.find(t.Context(), 7, "SLACK", alertState{businessKey: "ALERT||9", shortID: "A-9999"}, false); found || err != nil {
		t.Errorf("found a message of an alert that nobody was told about (%v)", err)
	}
	if _, _, err := c.find(t.Context(), 8, "SLACK", alertState{businessKey: "ALERT||1", shortID: "A-7F3K"}, false); err == nil {
		t.Error("an answer of 400 is no error")
	}
}

func TestPoll_SaysWhyItEnded(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	if err := poll(t.Context(), func(context.Context) (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Errorf("error = %v, want the one of the question", err)
	}
	late := errors.New("waited too long")
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, late)
	defer cancel()
	if err := poll(ctx, func(context.Context) (bool, error) { return false, nil }); !errors.Is(err, late) {
		t.Errorf("error = %v, want the cause of the end", err)
	}
}
