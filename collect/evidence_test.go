package collect_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"onevault/pgserver/pgtest"
)

// blocked is a session of the evidence of longest_lock_wait_s.
type blocked struct {
	PID       int     `json:"pid"`
	BlockedBy []int   `json:"blocked_by"`
	Wait      float64 `json:"wait_s"`
	User      string  `json:"user"`
	State     string  `json:"state"`
	Query     string  `json:"query"`
}

// A chain of three: one holds a row, one waits for it, and one waits behind that.
func TestBlocking_TellsWhoBlocksWhomWithoutTheirData(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	root, middle, last := connect(t, address), connect(t, address), connect(t, address)
	exec(t, root, "CREATE TABLE accounts (id integer PRIMARY KEY, owner text)")
	exec(t, root, "INSERT INTO accounts VALUES (41, 'nobody')")
	exec(t, root, "BEGIN")
	pid := func(conn database) int { return column[int](t, conn, "SELECT pg_backend_pid()")[0] }
	rootPID, middlePID, lastPID := pid(root), pid(middle), pid(last)
	exec(t, root, "/* token=s3cret-word */ UPDATE accounts SET owner = E'\\'s3cret-word' WHERE id = 41")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() {
		_, err := middle.Exec(ctx, "UPDATE accounts SET owner = $s$s3cret-word$s$ WHERE id = 41")
		done <- err
	}()
	watcher := connect(t, address)
	awaitRow(t, watcher, fmt.Sprintf("SELECT 1 FROM pg_stat_activity WHERE pid = %d AND wait_event_type = 'Lock'", middlePID))
	go func() {
		_, err := last.Exec(ctx, "TRUNCATE accounts")
		done <- err
	}()
	awaitRow(t, watcher, fmt.Sprintf("SELECT 1 FROM pg_stat_activity WHERE pid = %d AND wait_event_type = 'Lock'", lastPID))

	// A wait is told in tenths of a second.
	awaitRow(t, watcher, fmt.Sprintf("SELECT 1 FROM pg_stat_activity WHERE pid = %d AND query_start < clock_timestamp() - interval '0.2 s'", middlePID))

	samples := collectOnce(t, asNewRole(t, address, "pg_monitor"))
	longest := find(t, samples, "longest_lock_wait_s")
	if longest.Value == nil || *longest.Value <= 0 || longest.Error != "" {
		t.Fatalf("the longest wait: %v, %s", longest.Value, longest.Error)
	}
	at := time.Now().Truncate(time.Microsecond)
	store := openVault(t, address)
	recordHealth(t, store, at, samples)
	kept := column[string](t, store.Pool(), `
		SELECT additional_context ->> 'evidence' FROM monitoring.system_health_metric_s WHERE metric_name = 'longest_lock_wait_s' AND measurement_timestamp = $1`, at)
	if len(kept) != 1 || strings.Contains(kept[0], "s3cret") || strings.Contains(kept[0], "id = 41") {
		t.Fatalf("kept: %s", kept)
	}
	var chain []blocked
	if err := json.Unmarshal([]byte(kept[0]), &chain); err != nil {
		t.Fatal(err)
	}
	byPID := map[int]blocked{}
	for _, session := range chain {
		byPID[session.PID] = session
	}
	if got := byPID[rootPID]; got.BlockedBy != nil || got.State != "idle in transaction" || !strings.Contains(got.Query, "UPDATE accounts SET owner =") {
		t.Errorf("the root: %+v", got)
	}
	if got := byPID[middlePID]; len(got.BlockedBy) != 1 || got.BlockedBy[0] != rootPID || got.Wait <= 0 || got.User == "" {
		t.Errorf("the middle: %+v", got)
	}
	if got := byPID[lastPID]; len(got.BlockedBy) == 0 || !strings.Contains(got.Query, "TRUNCATE accounts") {
		t.Errorf("the last: %+v", got)
	}
	// Other tests share the server, so there may be more.
	if roots := find(t, samples, "blocking_sessions"); roots.Value == nil || *roots.Value < 1 {
		t.Errorf("blocking sessions: %v", roots.Value)
	}
	exec(t, root, "ROLLBACK")
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	cancel()
}
