package e2e_test

import (
	"context"
	"strings"
	"testing"
)

// The complaint: "missing data resolves an alert or goes unseen". A metric cannot be measured any more. What is open
// on it stays open, it is said that nothing is known, who asked to be told of that is told, and only a measurement
// that says so is an end.
func TestMissingData_ResolvesNothingAndIsSeen(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_MISSING")
	asks := s.key + "_ASKS"
	s.defineAs(rule{}, clears, asks)
	s.withColumns(asks, `{"no_data_state": "ALERT", "no_data_minutes": 0}`)
	s.define(rule{}, holds)
	opened := s.awaitState("OPEN")
	s.awaitTold("FIRED", 3)

	for _, key := range []string{s.key, asks} {
		if _, err := w.db.Exec(t.Context(), `
			SELECT count(*) FROM monitoring.record_health_samples('local', NULL, clock_timestamp(), 5, jsonb_build_array(jsonb_build_object(
			    'name', $1::text, 'category', 'PERFORMANCE', 'low_is_bad', false, 'source', 'story', 'error', 'permission denied for function of the story')))`,
			levelOf(key)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, patience, "three looks that know nothing and hold the alert", func(ctx context.Context) (bool, any, error) {
		var looks int
		err := w.db.QueryRow(ctx, `
			SELECT count(*) FROM monitoring.alert_evaluation_s
			 WHERE alert_definition_hk = util.hash_binary($1) AND result = 'NO_DATA' AND decision = 'HOLDING'`, s.key).Scan(&looks)
		return looks >= 3, looks, err
	})
	s.mustStates(opened.Key, "OPEN")
	s.mustReceive(opened.ID, "FIRED")
	if said := w.must(t, "alert", "explain", "--definition", s.key, "--target", "local"); !strings.Contains(said, "NO_DATA") || !strings.Contains(said, levelOf(s.key)) {
		t.Errorf("explain does not say what is missing:\n%s", said)
	}
	w.awaitState(t, asks, "OPEN")
	w.awaitTold(t, asks, "FIRED", 3)

	s.defineAs(rule{}, clears, s.key, asks)
	s.awaitState("RESOLVED")
	s.awaitTold("RESOLVED", 3)
	s.mustReceive(opened.ID, "FIRED", "RESOLVED")
}

// withColumns puts another version of a definition, with some columns changed.
func (s *story) withColumns(definition, columns string) {
	s.t.Helper()
	if _, err := s.w.db.Exec(s.t.Context(), `
		INSERT INTO monitoring.alert_definition_s
		SELECT (jsonb_populate_record(d, jsonb_build_object('load_date', NULL) || $2::jsonb)).*
		  FROM monitoring.alert_definition_s d
		 WHERE d.alert_definition_hk = util.hash_binary($1) AND d.load_end_date IS NULL`, definition, columns); err != nil {
		s.t.Fatalf("change definition %s: %v", definition, err)
	}
}
