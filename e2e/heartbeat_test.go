package e2e_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onevault/settings"
	"onevault/workflows"
)

// A watcher outside hears from OneVault as long as alerting works. When nobody evaluates any more it hears nothing,
// though workers, Temporal and the vault are all up: that silence is what it raises the alarm for.
func TestHeartbeat_StopsWithEvaluation(t *testing.T) {
	t.Parallel()
	r := startRig(t, "heartbeat")
	var heard atomic.Int64
	watcher := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		if q.URL.Path != "/ping/"+slackToken {
			t.Errorf("%s %s", q.Method, q.URL.Path)
		}
		heard.Add(1)
	}))
	t.Cleanup(watcher.Close)
	awaitReady(t, r.startWorker(settings.HeartbeatURL+"="+watcher.URL+"/ping/"+slackToken, settings.HeartbeatEvery+"=2s"))
	hears := func(after int64) {
		t.Helper()
		eventually(t, patience, "the watcher hears again", func(context.Context) (bool, any, error) { return heard.Load() > after, heard.Load(), nil })
	}
	hears(0)
	if text := r.onevault(t, "doctor").text; !strings.Contains(text, "the outside watcher is told; it heard from us") {
		t.Errorf("doctor does not say that the watcher is told:\n%s", text)
	}

	r.exportNewest(t, "heartbeat", workflows.HeartbeatWorkflowName)
	r.exportNewest(t, "examine", workflows.ExamineWorkflowName)
	r.exportNewest(t, "evaluate", workflows.EvaluateWorkflowName)

	r.must(t, "schedule", "pause", "evaluate", "-m", "a story")
	eventually(t, 3*time.Minute, "doctor says why the watcher is told nothing", func(context.Context) (bool, any, error) {
		got := r.onevault(t, "doctor")
		return got.code == 1 && strings.Contains(got.text, "evaluation stands still"), got.text, nil
	})
	last := heard.Load()
	time.Sleep(10 * time.Second) // five beats; what must not come can only be waited for
	if now := heard.Load(); now != last {
		t.Errorf("the watcher heard %d times more", now-last)
	}

	r.must(t, "schedule", "resume", "evaluate")
	hears(last)
	found, err := r.leaks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range found {
		t.Errorf("a secret can be read in %s", place)
	}
}
