package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/inbox"
)

// A condition comes and goes. It is one alert with one id, each of its first openings and ends is told once,
// and from the third opening on people hear that it flaps and then nothing more, however often it changes.
func TestFlapping_IsOneAlertAndOneMessageInsteadOfTwenty(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_FLAP")
	c := s.comesAndGoes()

	c.come()
	first := s.awaitState("OPEN")
	s.awaitTold("FIRED", 3)
	c.goAway()
	s.awaitState("RESOLVED")
	s.awaitTold("RESOLVED", 3)

	c.come()
	s.awaitTold("REOPENED:1", 3)
	c.goAway()
	s.awaitTold("RESOLVED:1", 3)

	c.come()
	s.awaitTold("FLAPPING:2", 3)
	for range 3 {
		c.goAway()
		c.awaitLook("FALSE", "cleared, but flapping")
		c.come()
		c.awaitLook("TRUE", "")
	}
	s.mustStates(first.Key, "OPEN", "RESOLVED", "OPEN", "RESOLVED", "OPEN")
	if n := len(s.inbox.Attempts()); n != 5*3 {
		t.Errorf("%d deliveries were attempted, want 15", n)
	}
	if list := w.must(t, "alert", "list"); !lineWith(list, first.ID, "flapping") {
		t.Errorf("alert list does not say that %s flaps:\n%s", first.ID, list)
	}
	for _, command := range []string{"show", "explain"} {
		if shown := w.must(t, "alert", command, first.ID); !strings.Contains(shown, "opened 3 times within 30 minutes") || !strings.Contains(shown, "2 times, last") {
			t.Errorf("alert %s says\n%s", command, shown)
		}
	}

	// People may end it at any time, and what they ended stays ended.
	c.goAway()
	c.awaitLook("FALSE", "cleared, but flapping")
	w.must(t, "alert", "resolve", first.ID, "-m", "the job that did it is gone")
	s.awaitTold("RESOLVED:2", 3)
	s.mustStates(first.Key, "OPEN", "RESOLVED", "OPEN", "RESOLVED", "OPEN", "RESOLVED")
	want := []string{"FIRED", "RESOLVED", "REOPENED:1", "RESOLVED:1", "FLAPPING:2", "RESOLVED:2"}
	if got := s.received(inbox.Webhook, first.ID); !slices.Equal(got, want) {
		t.Errorf("the webhook was told %v, want %v", got, want)
	}
	versions, err := w.versions(t.Context(), s.key)
	if err != nil || len(keysOf(versions)) != 1 {
		t.Errorf("%d alerts, want 1 (%v)", len(keysOf(versions)), err)
	}
}

// lineWith reports whether a line of a text holds all of some words.
func lineWith(text string, words ...string) bool {
	for line := range strings.Lines(text) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			return true
		}
	}
	return false
}

// visitor is a condition that is true while a session of its name is connected.
type visitor struct {
	s    *story
	name string
	conn *pgx.Conn
}

// comesAndGoes defines an alert on a metric of the story's own: how many sessions bear its name.
func (s *story) comesAndGoes() *visitor {
	s.t.Helper()
	c := &visitor{s: s, name: strings.ToLower(s.key)}
	query := fmt.Sprintf("SELECT count(*) AS %s FROM pg_stat_activity WHERE application_name = '%s'", c.name, c.name)
	if _, err := s.w.db.Exec(s.t.Context(), `SELECT monitoring.apply_metric($1, 'Sessions of a story', 'count', 'PERFORMANCE', $2)`, c.name, query); err != nil {
		s.t.Fatalf("put metric %s: %v", c.name, err)
	}
	s.define(rule{}, clears)
	// The same with another condition, and with what this story is about.
	if _, err := s.w.db.Exec(s.t.Context(), `
		INSERT INTO monitoring.alert_definition_s
		SELECT (jsonb_populate_record(d, jsonb_build_object('load_date', NULL, 'condition_logic', $2 || ' > 0', 'threshold_value', NULL,
		                                                    'reopen_minutes', 60, 'flap_count', 3))).*
		  FROM monitoring.alert_definition_s d
		 WHERE d.alert_definition_hk = util.hash_binary($1) AND d.load_end_date IS NULL`, s.key, c.name); err != nil {
		s.t.Fatalf("put definition %s: %v", s.key, err)
	}
	return c
}

func (c *visitor) come() {
	c.s.t.Helper()
	config := c.s.w.db.Config().ConnConfig.Copy()
	config.RuntimeParams["application_name"] = c.name
	conn, err := pgx.ConnectConfig(c.s.t.Context(), config)
	if err != nil {
		c.s.t.Fatal(err)
	}
	c.conn = conn
}

func (c *visitor) goAway() {
	c.s.t.Helper()
	if err := c.conn.Close(c.s.t.Context()); err != nil {
		c.s.t.Fatal(err)
	}
}

// awaitLook waits for a look from now on that gave a result and was decided for a reason.
func (c *visitor) awaitLook(result, because string) {
	c.s.t.Helper()
	since := time.Now()
	eventually(c.s.t, patience, "a look that is "+result, func(ctx context.Context) (bool, any, error) {
		var looked bool
		err := c.s.w.db.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM monitoring.alert_evaluation_s
			                WHERE alert_definition_hk = util.hash_binary($1) AND evaluated_at > $2 AND decision = 'HOLDING'
			                  AND result = $3 AND starts_with(coalesce(decision_reason, ''), $4))`, c.s.key, since, result, because).Scan(&looked)
		return looked, nil, err
	})
}
