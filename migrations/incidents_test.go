package migrations_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
	"onevault/incident"
	"onevault/pgserver/pgtest"
)

// alertOf opens an alert of its own definition with a severity on a target, and returns its hash key.
func alertOf(t *testing.T, db database, definition, severity, target string, tenant any) []byte {
	t.Helper()
	define(t, db, definition, columns{"alert_severity": severity})
	return value[[]byte](t, db, `SELECT monitoring.open_alert('ALERT||' || $1::text, util.hash_binary($1), $4, $3, 'OPEN', clock_timestamp() - interval '1 minute', 9, '{}', $2, NULL, 'test')`,
		definition, severity, target, tenant)
}

func tenant(t *testing.T, db database, name string) []byte {
	t.Helper()
	return value[[]byte](t, db, "INSERT INTO auth.tenant_h (tenant_hk, tenant_bk, record_source) VALUES (util.hash_binary($1), $1, 'TEST') RETURNING tenant_hk", name)
}

// incidentOf creates an incident as the guide's users do.
func incidentOf(t *testing.T, db database, alerts ...[]byte) []byte {
	t.Helper()
	return value[[]byte](t, db, "SELECT monitoring.create_incident_from_alerts($1, 'Primary is slow', 'everything waits')", alerts)
}

// incidentIn makes an incident that has reached a status.
func incidentIn(t *testing.T, db database, definition, status string) []byte {
	t.Helper()
	hk := incidentOf(t, db, alertOf(t, db, definition, "HIGH", "local", nil))
	if status == "INVESTIGATING" {
		exec(t, db, "SELECT monitoring.investigate_incident($1, 'erin')", hk)
	}
	if status == "RESOLVED" || status == "CLOSED" {
		exec(t, db, "SELECT monitoring.resolve_incident($1, 'erin')", hk)
	}
	if status == "CLOSED" {
		exec(t, db, "SELECT monitoring.close_incident($1, 'erin')", hk)
	}
	return hk
}

// incidentRow is the current version of an incident, as far as the tests look.
type incidentRow struct {
	Status, Severity, Priority string
	AssignedTo, CreatedBy      string
	Services                   []string
	RespondedBy, ResolvedBy    string
	Breach                     bool
	Response, Resolution       *int
	ChangedBy, Via, Summary    string
}

func currentIncident(t *testing.T, db database, hk []byte) incidentRow {
	t.Helper()
	rows, err := db.Query(t.Context(), `
		SELECT incident_status, incident_severity, incident_priority, coalesce(assigned_to, ''), created_by, affected_services,
		       coalesce(first_response_by, ''), coalesce(resolved_by, ''), sla_breach, response_time_minutes, resolution_time_minutes,
		       coalesce(changed_by, ''), coalesce(changed_via, ''), coalesce(resolution_summary, '')
		  FROM monitoring.incident_s WHERE incident_hk = $1 AND load_end_date IS NULL`, hk)
	if err != nil {
		t.Fatal(err)
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[incidentRow])
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func incidentVersions(t *testing.T, db database, hk []byte) int {
	t.Helper()
	return value[int](t, db, "SELECT count(*) FROM monitoring.incident_s WHERE incident_hk = $1", hk)
}

// incidentFacts lists the kinds of the outbox rows of an incident, in order.
func incidentFacts(t *testing.T, db database, hk []byte) string {
	t.Helper()
	return strings.Join(values[string](t, db, "SELECT kind FROM monitoring.outbox WHERE incident_hk = $1 ORDER BY outbox_id", hk), " ")
}

// age makes an incident as old as if it had been created so long ago: its history is loaded as it would stand.
func age(t *testing.T, db database, hk []byte, by time.Duration) {
	t.Helper()
	exec(t, db, `
		INSERT INTO monitoring.incident_s
		SELECT (jsonb_populate_record(s, jsonb_build_object('load_date', NULL, 'record_source', 'INCIDENT_WORKFLOW',
		           'created_timestamp', s.created_timestamp - $2::interval, 'changed_at', s.created_timestamp - $2::interval))).*
		  FROM monitoring.incident_s s WHERE incident_hk = $1 AND load_end_date IS NULL`, hk, by)
}

func TestCreateIncident_TakesSeverityTenantAndServicesFromItsAlerts(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	org := tenant(t, db, "ORG1")
	low := alertOf(t, db, "LOW_ONE", "LOW", "pg-2", org)
	high := alertOf(t, db, "HIGH_ONE", "HIGH", "pg-1", org)
	hk := value[[]byte](t, db, "SELECT monitoring.create_incident_from_alerts($1, '  Primary is slow ', 'why', 'erin')", [][]byte{low, high, low})

	got := currentIncident(t, db, hk)
	user := value[string](t, db, "SELECT session_user::text")
	if got.Status != "OPEN" || got.Severity != "HIGH" || got.Priority != "P2" || got.AssignedTo != "erin" || got.CreatedBy != user ||
		got.Via != "psql:"+user || !slices.Equal(got.Services, []string{"pg-1", "pg-2"}) || got.Breach || got.Response != nil {
		t.Errorf("created %+v", got)
	}
	if title := value[string](t, db, "SELECT incident_title FROM monitoring.incident_summary_dashboard"); title != "Primary is slow" {
		t.Errorf("title %q", title)
	}
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.alert_incident_l WHERE incident_hk = $1 AND tenant_hk = $2", hk, org); n != 2 {
		t.Errorf("%d links of the tenant, want 2: a repeated alert is one", n)
	}
	if got := value[[]byte](t, db, "SELECT tenant_hk FROM monitoring.incident_h WHERE incident_hk = $1", hk); !slices.Equal(got, org) {
		t.Errorf("tenant %x", got)
	}
	if got := incidentFacts(t, db, hk); got != "CREATED LINKED" {
		t.Errorf("the workflow hears %q", got)
	}
	id := value[string](t, db, "SELECT monitoring.incident_short_id($1)", hk)
	if want := "I-" + value[string](t, db, "SELECT left(monitoring.short_code($1), 4)", hk); id != want {
		t.Errorf("short id %s, want %s", id, want)
	}
	// By somebody who shares the role with others.
	other := value[[]byte](t, db, "SELECT monitoring.create_incident_from_alerts($1, 'Slow', NULL, NULL, NULL, 'dana')", [][]byte{low})
	if got := currentIncident(t, db, other); got.CreatedBy != "dana" || got.Severity != "LOW" || got.Priority != "P4" {
		t.Errorf("created %+v", got)
	}
}

func TestCreateIncident_RefusesInASentence(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	one, two := tenant(t, db, "ORG1"), tenant(t, db, "ORG2")
	mine, yours, all := alertOf(t, db, "A", "LOW", "local", one), alertOf(t, db, "B", "LOW", "local", two), alertOf(t, db, "C", "LOW", "local", nil)
	create := "SELECT monitoring.create_incident_from_alerts($1::bytea[], $2, $3, $4, $5)"
	for _, c := range []struct {
		code  string
		words []string
		args  []any
	}{
		{"22023", []string{"p_alert_instance_hks is empty", "at least one alert"}, []any{[][]byte{}, "T", nil, nil, nil}},
		{"22023", []string{"p_alert_instance_hks is empty"}, []any{nil, "T", nil, nil, nil}},
		{"22023", []string{"contains NULL", "array_remove"}, []any{[][]byte{mine, nil}, "T", nil, nil, nil}},
		{"P0002", []string{"no alert with hash key 0102", "find_alert"}, []any{[][]byte{mine, {1, 2}}, "T", nil, nil, nil}},
		{"22023", []string{"p_incident_title is empty"}, []any{[][]byte{mine}, "  ", nil, nil, nil}},
		{"22023", []string{"p_incident_title is empty"}, []any{[][]byte{mine}, nil, nil, nil, nil}},
		{"22023", []string{"p_incident_title has 501 characters, at most 500"}, []any{[][]byte{mine}, strings.Repeat("x", 501), nil, nil, nil}},
		{"22023", []string{"p_incident_description has 10001"}, []any{[][]byte{mine}, "T", strings.Repeat("x", 10001), nil, nil}},
		{"22023", []string{"p_assigned_to has 101"}, []any{[][]byte{mine}, "T", nil, strings.Repeat("x", 101), nil}},
		{"22023", []string{"different tenants"}, []any{[][]byte{mine, yours}, "T", nil, nil, nil}},
		{"22023", []string{"different tenants"}, []any{[][]byte{mine, all}, "T", nil, nil, nil}},
		{"22023", []string{"another tenant", "A-"}, []any{[][]byte{mine, yours}, "T", nil, nil, one}},
		{"22023", []string{"is no tenant"}, []any{[][]byte{mine}, "T", nil, nil, []byte{1}}},
	} {
		refused(t, db, c.code, c.words, create, c.args...)
	}
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.incident_h"); n != 0 {
		t.Errorf("%d incidents", n)
	}
	// An alert of the whole system may join a tenant's.
	exec(t, db, create, [][]byte{mine, all}, "T", nil, nil, one)
}

func TestCreateIncident_AgainFindsItUntilItIsClosed(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := listen(t, address)
	a, b := alertOf(t, db, "A", "HIGH", "local", nil), alertOf(t, db, "B", "HIGH", "local", nil)
	first := incidentOf(t, db, a, b)
	db.heard()
	if again := incidentOf(t, db, b, a, b); !slices.Equal(again, first) {
		t.Errorf("a repeated call made %x beside %x", again, first)
	}
	if said := db.heard(); !strings.Contains(said, "NOTICE: incident I-") || !strings.Contains(said, "nothing to do") {
		t.Errorf("said %q", said)
	}
	if other := incidentOf(t, db, a); slices.Equal(other, first) {
		t.Error("another set of alerts has the same incident")
	}
	exec(t, db, "SELECT monitoring.resolve_incident($1, 'dana')", first)
	if again := incidentOf(t, db, a, b); !slices.Equal(again, first) {
		t.Error("a resolved incident is not found again")
	}
	exec(t, db, "SELECT monitoring.close_incident($1, 'dana')", first)
	second := incidentOf(t, db, a, b)
	if slices.Equal(second, first) {
		t.Fatal("a closed incident is found again")
	}
	if again := incidentOf(t, db, a, b); !slices.Equal(again, second) {
		t.Error("the second incident is not found again")
	}
	if n := value[int](t, db, "SELECT linked_alerts_count::integer FROM monitoring.incident_summary_dashboard WHERE short_id = monitoring.incident_short_id($1)", second); n != 2 {
		t.Errorf("%d alerts", n)
	}
}

func TestCreateIncident_ManyAtOnceMakeOne(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	a := alertOf(t, db, "A", "HIGH", "local", nil)
	made := make(chan string, 8)
	for range cap(made) {
		go func() {
			var hk string
			err := db.QueryRow(context.WithoutCancel(t.Context()), "SELECT encode(monitoring.create_incident_from_alerts(ARRAY[$1::bytea], 'T', NULL), 'hex')", a).Scan(&hk)
			made <- fmt.Sprint(hk, err)
		}()
	}
	first := <-made
	for range cap(made) - 1 {
		if next := <-made; next != first {
			t.Errorf("%s beside %s", next, first)
		}
	}
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.incident_s"); n != 1 {
		t.Errorf("%d versions", n)
	}
}

// legalIncident is the whole table of changes; what is not in it is refused.
var legalIncident = map[string]string{
	"OPEN":          "INVESTIGATING RESOLVED",
	"INVESTIGATING": "RESOLVED",
	"RESOLVED":      "INVESTIGATING CLOSED",
	"CLOSED":        "",
}

func TestIncident_OnlyLegalChangesHappenAlsoByHand(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	statuses := []string{"OPEN", "INVESTIGATING", "RESOLVED", "CLOSED"}
	byHand := `
		INSERT INTO monitoring.incident_s
		SELECT (jsonb_populate_record(s, jsonb_build_object('load_date', NULL, 'incident_status', $2::text, 'changed_by', 'frank', 'record_source', 'BY_HAND'))).*
		  FROM monitoring.incident_s s WHERE incident_hk = $1 AND load_end_date IS NULL`
	for _, from := range statuses {
		for _, to := range statuses {
			want := strings.Contains(" "+legalIncident[from]+" ", " "+to+" ")
			if got := value[bool](t, db, "SELECT monitoring.incident_transition_allowed($1, $2)", from, to); got != want {
				t.Errorf("%s to %s is allowed: %v, want %v", from, to, got, want)
			}
			hk := incidentIn(t, db, from+"_"+to, from)
			before := incidentFacts(t, db, hk)
			if from != to && !want {
				refused(t, db, "55000", []string{"I-", "is " + from + " and cannot become " + to}, byHand, hk, to)
				continue
			}
			exec(t, db, byHand, hk, to)
			got := currentIncident(t, db, hk)
			if got.Status != to {
				t.Errorf("%s to %s ended as %s", from, to, got.Status)
			}
			if from != to && incidentFacts(t, db, hk) != before+" CHANGED" {
				t.Errorf("%s to %s by hand: the workflow hears %q after %q", from, to, incidentFacts(t, db, hk), before)
			}
			if from == "OPEN" && to == "RESOLVED" && (got.ResolvedBy != "frank" || got.RespondedBy != "frank" || got.Resolution == nil || got.Response == nil) {
				t.Errorf("by hand without times: %+v", got)
			}
		}
	}
}

func TestIncident_CommandsTellWhoWasFirst(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := listen(t, address)
	hk := incidentOf(t, db, alertOf(t, db, "A", "HIGH", "local", nil))
	id := value[string](t, db, "SELECT monitoring.incident_short_id($1)", hk)
	for _, step := range []struct {
		call   string
		want   bool
		says   string
		status string
	}{
		{"close_incident($1, 'dana', 'too early')", false, id + " is OPEN and cannot become CLOSED: resolve it first", "OPEN"},
		{"reopen_incident($1, 'dana')", false, id + " is OPEN and cannot be reopened", "OPEN"},
		{"investigate_incident($1, 'dana', 'looking')", true, "", "INVESTIGATING"},
		{"investigate_incident($1, 'erin')", false, id + " is INVESTIGATING since ", "INVESTIGATING"},
		{"assign_incident($1, 'dana', 'erin')", true, "", "INVESTIGATING"},
		{"assign_incident($1, 'dana', 'erin')", false, id + " is assigned to erin already", "INVESTIGATING"},
		{"resolve_incident($1, 'dana', 'restarted')", true, "", "RESOLVED"},
		{"resolve_incident($1, 'erin')", false, id + " was resolved by dana at ", "RESOLVED"},
		{"investigate_incident($1, 'erin')", false, id + " was resolved by dana at ", "RESOLVED"},
		{"reopen_incident($1, 'erin', 'it is back')", true, "", "INVESTIGATING"},
		{"resolve_incident($1, 'erin', 'again')", true, "", "RESOLVED"},
		{"close_incident($1, 'frank', 'a long transaction')", true, "", "CLOSED"},
		{"close_incident($1, 'dana')", false, "closed by frank at ", "CLOSED"},
		{"reopen_incident($1, 'dana')", false, id + " was resolved by erin at ", "CLOSED"},
		{"assign_incident($1, 'dana', 'frank')", false, "CLOSED and cannot be assigned", "CLOSED"},
		{"incident_note($1, 'dana', 'for the review')", true, "", "CLOSED"},
	} {
		versions := incidentVersions(t, db, hk)
		got := value[bool](t, db, "SELECT monitoring."+step.call, hk)
		said := db.heard()
		if got != step.want || step.want == (said != "") || !strings.Contains(said, step.says) {
			t.Errorf("%s: %v, said %q", step.call, got, said)
		}
		if status := currentIncident(t, db, hk).Status; status != step.status {
			t.Errorf("%s: %s", step.call, status)
		}
		if !step.want && incidentVersions(t, db, hk) != versions {
			t.Errorf("%s: a version that changes nothing", step.call)
		}
	}
	if got := currentIncident(t, db, hk); got.Summary != "again" || got.RespondedBy != "dana" || got.ResolvedBy != "erin" {
		t.Errorf("ended as %+v", got)
	}
	if notes := values[string](t, db, "SELECT author || ': ' || note_text FROM monitoring.incident_note_s ORDER BY noted_at"); !slices.Equal(notes,
		[]string{"dana: looking", "erin: it is back", "dana: for the review"}) {
		t.Errorf("notes %q", notes)
	}
	if cause := value[string](t, db, "SELECT root_cause_analysis FROM monitoring.incident_s WHERE load_end_date IS NULL"); cause != "a long transaction" {
		t.Errorf("root cause %q", cause)
	}
	for _, call := range []string{
		"incident_note($1, ' ', 'x')", "incident_note($1, 'dana', ' ')", "incident_note($1, 'dana', NULL)", "assign_incident($1, 'dana', '')",
		"resolve_incident($1, NULL)", "incident_note($1, 'dana', repeat('x', 10001))", "resolve_incident($1, repeat('x', 101))",
	} {
		refused(t, db, "22023", nil, "SELECT monitoring."+call, hk)
	}
	refused(t, db, "P0002", []string{"no incident with hash key 01", "find_incident"}, "SELECT monitoring.resolve_incident('\\x01', 'dana')")
	refused(t, db, "P0002", []string{"hash key NULL"}, "SELECT monitoring.resolve_incident(NULL, 'dana')")
}

// An INSERT by hand that says neither who nor when: the login did it, now, and commands go on as before.
func TestIncident_ByHandWithoutAnActorIsTheLogins(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := listen(t, address)
	hk := incidentOf(t, db, alertOf(t, db, "A", "HIGH", "local", nil))
	exec(t, db, `
		INSERT INTO monitoring.incident_s
		SELECT (jsonb_populate_record(s, jsonb_build_object('load_date', NULL, 'incident_status', 'INVESTIGATING', 'assigned_to', 'erin',
		                                                    'changed_by', NULL, 'changed_via', NULL, 'changed_at', NULL, 'record_source', 'BY_HAND'))).*
		  FROM monitoring.incident_s s WHERE incident_hk = $1 AND load_end_date IS NULL`, hk)
	login := value[string](t, db, "SELECT session_user")
	if got := currentIncident(t, db, hk); got.RespondedBy != login {
		t.Errorf("responded: %q, want %q", got.RespondedBy, login)
	}
	if via := value[string](t, db, "SELECT changed_by || ' ' || changed_via FROM monitoring.incident_s WHERE load_end_date IS NULL"); via != login+" psql:"+login {
		t.Errorf("changed by %q", via)
	}
	db.heard()
	if got := value[*bool](t, db, "SELECT monitoring.assign_incident($1, 'dana', 'erin')", hk); got == nil || *got {
		t.Errorf("assigned once more: %v", got)
	}
	if said := db.heard(); !strings.Contains(said, "is assigned to erin already") {
		t.Errorf("said %q", said)
	}
}

func TestIncident_FirstResponseIsANoteAnAssignmentOrTakingIt(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for i, call := range []string{
		"incident_note($1, 'dana', 'looking')", "assign_incident($1, 'dana', 'erin')", "investigate_incident($1, 'dana')", "resolve_incident($1, 'dana')",
	} {
		hk := incidentOf(t, db, alertOf(t, db, fmt.Sprint("D", i), "HIGH", "local", nil))
		age(t, db, hk, 12*time.Minute+30*time.Second)
		exec(t, db, "SELECT monitoring."+call, hk)
		got := currentIncident(t, db, hk)
		if got.Status == "OPEN" || got.RespondedBy != "dana" || got.Response == nil || *got.Response != 12 || got.Breach {
			t.Errorf("after %s: %+v", call, got)
		}
	}
}

// No worker runs in this test: every number comes from the times.
func TestIncident_LateIsLateWithoutAWorker(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	type late struct {
		age    time.Duration
		call   string
		breach bool
	}
	for i, c := range []late{
		{29 * time.Minute, "investigate_incident($1, 'dana')", false},
		{31 * time.Minute, "investigate_incident($1, 'dana')", true},
		{31 * time.Minute, "incident_note($1, 'dana', 'late')", true},
		{31 * time.Minute, "resolve_incident($1, 'dana')", true},
	} {
		hk := incidentOf(t, db, alertOf(t, db, fmt.Sprint("R", i), "HIGH", "local", nil))
		age(t, db, hk, c.age)
		exec(t, db, "SELECT monitoring."+c.call, hk)
		if got := currentIncident(t, db, hk); got.Breach != c.breach {
			t.Errorf("%s after %s: %+v", c.call, c.age, got)
		}
	}
	for i, c := range []late{{3*time.Hour + 59*time.Minute, "", false}, {4*time.Hour + time.Minute, "", true}} {
		hk := incidentOf(t, db, alertOf(t, db, fmt.Sprint("S", i), "HIGH", "local", nil))
		exec(t, db, "SELECT monitoring.investigate_incident($1, 'dana')", hk)
		age(t, db, hk, c.age)
		exec(t, db, "SELECT monitoring.resolve_incident($1, 'dana')", hk)
		got := currentIncident(t, db, hk)
		if want := int(c.age.Minutes()); got.Resolution == nil || *got.Resolution != want {
			t.Errorf("resolved after %s: %+v", c.age, got)
		}
		// Investigated before it was made older, so the response is early; the resolution decides.
		if breached := value[bool](t, db, "SELECT resolution_breached_at IS NOT NULL FROM monitoring.incident_s WHERE incident_hk = $1 AND load_end_date IS NULL", hk); breached != c.breach {
			t.Errorf("resolved after %s: breached %v", c.age, breached)
		}
	}
}

func TestIncident_WhoRespondsInTimeMayTakeLongerToResolve(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for definition, c := range map[string]struct {
		response, resolution time.Duration
		breach               string // which limit
	}{
		"D1": {5 * time.Minute, 3 * time.Hour, ""},
		"D2": {5 * time.Minute, 5 * time.Hour, "resolution"},
		"D3": {45 * time.Minute, 3 * time.Hour, "response"},
		"D4": {45 * time.Minute, 5 * time.Hour, "response resolution"},
	} {
		hk := incidentOf(t, db, alertOf(t, db, definition, "HIGH", "local", nil))
		record := func(change string, after time.Duration) {
			exec(t, db, `
				SELECT monitoring.record_incident_change($1, jsonb_build_object('change', $2::text, 'actor', 'dana',
				           'at', (SELECT created_timestamp + $3::interval FROM monitoring.incident_s WHERE incident_hk = $1 AND load_end_date IS NULL)))`, hk, change, after)
		}
		record("INVESTIGATING", c.response)
		record("RESOLVED", c.resolution)
		got := value[string](t, db, `
			SELECT concat_ws(' ', CASE WHEN response_breached_at IS NOT NULL THEN 'response' END, CASE WHEN resolution_breached_at IS NOT NULL THEN 'resolution' END)
			  FROM monitoring.incident_s WHERE incident_hk = $1 AND load_end_date IS NULL`, hk)
		row := currentIncident(t, db, hk)
		if got != c.breach || row.Breach != (c.breach != "") || *row.Response != int(c.response.Minutes()) || *row.Resolution != int(c.resolution.Minutes()) {
			t.Errorf("responded after %s, resolved after %s: breached %q, %+v", c.response, c.resolution, got, row)
		}
	}
}

func TestIncident_BreachStaysTrueAndATimerAddsNothingThatDidNotHappen(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	hk := incidentOf(t, db, alertOf(t, db, "D", "HIGH", "local", nil))
	limit := func(after time.Duration) bool {
		return value[bool](t, db, `
			SELECT changed FROM monitoring.record_incident_change($1, jsonb_build_object('change', 'LIMIT', 'actor', 'limit passed', 'via', 'workflow',
			           'at', (SELECT created_timestamp + $2::interval FROM monitoring.incident_s WHERE incident_hk = $1 AND load_end_date IS NULL)))`, hk, after)
	}
	if limit(30 * time.Minute) {
		t.Error("30 minutes are not more than 30 minutes")
	}
	if !limit(30*time.Minute + time.Microsecond) {
		t.Error("the limit of the response did not pass")
	}
	versions := incidentVersions(t, db, hk)
	if limit(30*time.Minute + time.Microsecond) {
		t.Error("the same limit passed twice")
	}
	if got := currentIncident(t, db, hk); !got.Breach || got.ChangedBy != "limit passed" || got.Status != "OPEN" || incidentVersions(t, db, hk) != versions {
		t.Errorf("after the limit: %+v", got)
	}
	if facts := incidentFacts(t, db, hk); facts != "CREATED LINKED" {
		t.Errorf("the workflow hears of its own: %q", facts)
	}
	exec(t, db, "SELECT monitoring.resolve_incident($1, 'dana')", hk)
	if limit(5 * time.Hour) {
		t.Error("a resolved incident is overdue")
	}
	if got := currentIncident(t, db, hk); !got.Breach {
		t.Errorf("the breach is forgotten: %+v", got)
	}
}

func TestIncident_WhatAWorkflowRecordsTwiceIsOneVersion(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	hk := incidentOf(t, db, alertOf(t, db, "D", "HIGH", "local", nil))
	at := time.Now().UTC().Truncate(time.Microsecond)
	for i, change := range []string{"NOTED", "ASSIGNED", "RESOLVED", "REOPENED", "RESOLVED", "CLOSED"} {
		written := map[string]any{"change": change, "at": at.Add(time.Duration(i) * time.Second), "actor": "dana", "via": "cli:dana@host", "text": "of " + change}
		var versions []int
		for range 2 {
			if !value[bool](t, db, "SELECT changed FROM monitoring.record_incident_change($1, $2)", hk, written) {
				t.Errorf("%s is said to be refused", change)
			}
			versions = append(versions, incidentVersions(t, db, hk))
		}
		if versions[0] != versions[1] || versions[0] != i+2 {
			t.Errorf("%s: %v versions", change, versions)
		}
	}
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.incident_note_s"); n != 2 {
		t.Errorf("%d notes, want that of NOTED and that of REOPENED", n)
	}
	if facts := incidentFacts(t, db, hk); facts != "CREATED LINKED" {
		t.Errorf("the workflow hears of its own: %q", facts)
	}
}

func TestIncidentDashboard_CountsEffectiveLinksAndSaysWhatIsOverdue(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	a, b, c := alertOf(t, db, "A", "LOW", "pg-1", nil), alertOf(t, db, "B", "LOW", "pg-1", nil), alertOf(t, db, "C", "CRITICAL", "pg-2", nil)
	hk := incidentOf(t, db, a, b)
	if n := value[int](t, db, "SELECT linked_alerts_count::integer FROM monitoring.incident_summary_dashboard"); n != 2 {
		t.Errorf("%d alerts at the beginning", n)
	}
	row := func() string {
		return value[string](t, db, "SELECT concat_ws(' ', incident_priority, incident_status, linked_alerts_count, sla_status) FROM monitoring.incident_summary_dashboard")
	}
	add := func(alerts ...[]byte) int {
		return value[int](t, db, "SELECT monitoring.add_alerts_to_incident($1, $2, 'dana', 'the same cause')", hk, alerts)
	}
	remove := func(alerts ...[]byte) int {
		return value[int](t, db, "SELECT monitoring.remove_alerts_from_incident($1, $2, 'dana', 'not it')", hk, alerts)
	}
	for _, step := range []struct {
		change func(...[]byte) int
		alerts [][]byte
		n      int
		row    string
	}{
		{add, [][]byte{a, c}, 1, "P1 OPEN 3 ON_TRACK"},
		{add, [][]byte{c}, 0, "P1 OPEN 3 ON_TRACK"},
		{remove, [][]byte{a, b}, 2, "P1 OPEN 1 ON_TRACK"},
		{remove, [][]byte{a}, 0, "P1 OPEN 1 ON_TRACK"},
		{add, [][]byte{a}, 1, "P1 OPEN 2 ON_TRACK"},
	} {
		if n := step.change(step.alerts...); n != step.n || row() != step.row {
			t.Errorf("%d alerts and %q, want %d and %q", n, row(), step.n, step.row)
		}
	}
	if got := currentIncident(t, db, hk); !slices.Equal(got.Services, []string{"pg-1", "pg-2"}) || got.Severity != "CRITICAL" {
		t.Errorf("%+v", got)
	}
	if spans := values[string](t, db, `
		SELECT count(*) || ' ' || bool_or(effective_to IS NULL) FROM monitoring.alert_incident_eff_s e
		  JOIN monitoring.alert_incident_l l USING (link_alert_incident_hk) WHERE l.alert_instance_hk = $1`, a); spans[0] != "3 true" {
		t.Errorf("the history of a link: %q", spans)
	}
	age(t, db, hk, 31*time.Minute)
	if got := row(); got != "P1 OPEN 2 OVERDUE_RESPONSE" {
		t.Errorf("after 31 minutes: %q", got)
	}
	exec(t, db, "SELECT monitoring.investigate_incident($1, 'dana')", hk)
	if got := row(); got != "P1 INVESTIGATING 2 ON_TRACK" {
		t.Errorf("once taken: %q", got)
	}
	age(t, db, hk, 4*time.Hour)
	if got := row(); got != "P1 INVESTIGATING 2 OVERDUE_RESOLUTION" {
		t.Errorf("after four hours: %q", got)
	}
	exec(t, db, "SELECT monitoring.resolve_incident($1, 'dana')", hk)
	if got := row(); got != "P1 RESOLVED 2 ON_TRACK" {
		t.Errorf("resolved: %q", got)
	}
	// What goes on cannot be resolved.
	if n := add(b); n != 1 || row() != "P1 INVESTIGATING 3 OVERDUE_RESOLUTION" {
		t.Errorf("%d joined a resolved incident: %q", n, row())
	}
	exec(t, db, "SELECT monitoring.resolve_incident($1, 'dana')", hk)
	exec(t, db, "SELECT monitoring.close_incident($1, 'dana')", hk)
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.incident_summary_dashboard"); n != 0 {
		t.Error("a closed incident is still on the dashboard")
	}
	for _, call := range []string{"add_alerts_to_incident", "remove_alerts_from_incident"} {
		refused(t, db, "55000", []string{"was closed by dana at"}, "SELECT monitoring."+call+"($1, $2)", hk, [][]byte{a})
	}
}

func TestIncident_HearsOfItsAlertsWhateverChangesThem(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	a, b := alertOf(t, db, "A", "HIGH", "local", nil), alertOf(t, db, "B", "HIGH", "local", nil)
	first, second, left := incidentOf(t, db, a, b), incidentOf(t, db, a), incidentOf(t, db, b)
	exec(t, db, "SELECT monitoring.remove_alerts_from_incident($1, ARRAY[$2::bytea], 'dana')", left, b)
	before := incidentFacts(t, db, left)

	exec(t, db, "SELECT monitoring.acknowledge_alert($1, 'dana')", a)                                                           // psql
	recordChanges(t, db, change{"alert_key": "ALERT||A", "change": "NOTIFIED", "at": "2026-05-04T03:12:00Z", "count": 1})       // counts only
	recordChanges(t, db, change{"alert_key": "ALERT||B", "change": "RESOLVED", "at": time.Now(), "actor": "condition cleared"}) // a workflow
	exec(t, db, `
		INSERT INTO monitoring.alert_instance_s
		SELECT (jsonb_populate_record(s, jsonb_build_object('load_date', NULL, 'alert_status', 'RESOLVED', 'resolved_timestamp', clock_timestamp()))).*
		  FROM monitoring.alert_instance_s s WHERE alert_instance_hk = $1 AND load_end_date IS NULL`, a) // by hand

	if got := incidentFacts(t, db, first); got != "CREATED LINKED ALERT ALERT ALERT" {
		t.Errorf("the first hears %q", got)
	}
	if got := incidentFacts(t, db, second); got != "CREATED LINKED ALERT ALERT" {
		t.Errorf("the second hears %q", got)
	}
	if got := incidentFacts(t, db, left); got != before {
		t.Errorf("the one that the alert left hears %q", got)
	}
	said := values[string](t, db, "SELECT concat_ws(' ', payload ->> 'alert', payload ->> 'status') FROM monitoring.outbox WHERE incident_hk = $1 AND kind = 'ALERT' ORDER BY outbox_id", first)
	if want := []string{alert.ShortID("ALERT||A") + " ACKNOWLEDGED", alert.ShortID("ALERT||B") + " RESOLVED", alert.ShortID("ALERT||A") + " RESOLVED"}; !slices.Equal(said, want) {
		t.Errorf("facts %q, want %q", said, want)
	}
	type standing struct {
		Alerts, Active int
		Acknowledged   string
	}
	rows, err := db.Query(t.Context(), "SELECT alerts, active_alerts, coalesce(alert_acknowledged_by, '') FROM monitoring.incident_current WHERE incident_hk = $1", first)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[standing]); err != nil || got != (standing{2, 0, "dana"}) {
		t.Errorf("its alerts say %+v, %v", got, err)
	}
}

// No worker runs: the answer to an alert counts all the same, and the take that is written again is known.
func TestIncident_AnswerToAnAlertIsTheFirstResponseAlsoWithoutAWorker(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for _, call := range []string{"incident_note($1, 'dana', 'looking')", "investigate_incident($1, 'dana')", "resolve_incident($1, 'dana')"} {
		alert := alertOf(t, db, "D_"+call[:3], "HIGH", "local", nil)
		hk := incidentOf(t, db, alert)
		exec(t, db, "SELECT monitoring.acknowledge_alert($1, 'frank')", alert)
		exec(t, db, "SELECT monitoring."+call, hk)
		answered := value[time.Time](t, db, "SELECT acknowledged_timestamp FROM monitoring.alert_instance_s WHERE alert_instance_hk = $1 AND load_end_date IS NULL", alert)
		responded := value[time.Time](t, db, "SELECT first_response_timestamp FROM monitoring.incident_s WHERE incident_hk = $1 AND load_end_date IS NULL", hk)
		if got := currentIncident(t, db, hk); got.RespondedBy != "frank" || !responded.Equal(answered) {
			t.Errorf("%s after frank's answer at %s: %+v at %s", call, answered, got, responded)
		}
	}
	alert := alertOf(t, db, "AGAIN", "HIGH", "local", nil)
	hk := incidentOf(t, db, alert)
	exec(t, db, "SELECT monitoring.acknowledge_alert($1, 'frank')", alert)
	take := `SELECT changed FROM monitoring.record_incident_change($1, jsonb_build_object('change', 'INVESTIGATING', 'actor', 'dana', 'at', $2::timestamptz))`
	at := time.Now().Add(time.Second).Truncate(time.Microsecond)
	for range 2 {
		if !value[bool](t, db, take, hk, at) {
			t.Error("the take that is written again is said to change nothing")
		}
	}
	if n := incidentVersions(t, db, hk); n != 2 {
		t.Errorf("%d versions", n)
	}

	// A timer that runs out first, when the worker is back, makes no breach of an answer in time.
	alert = alertOf(t, db, "TIMER", "HIGH", "local", nil)
	hk = incidentOf(t, db, alert)
	age(t, db, hk, 40*time.Minute)
	exec(t, db, `INSERT INTO monitoring.alert_incident_eff_s (link_alert_incident_hk, hash_diff, effective_from)
		SELECT link_alert_incident_hk, '\x', e.effective_from - interval '40 minutes'
		  FROM monitoring.alert_incident_eff_s e JOIN monitoring.alert_incident_l l USING (link_alert_incident_hk)
		 WHERE l.incident_hk = $1 AND e.load_end_date IS NULL`, hk)
	exec(t, db, "SELECT monitoring.change_alert_state($1, 'ACKNOWLEDGED', now() - interval '15 minutes', 'frank', 'test', NULL, NULL)", alert)
	limit := `SELECT changed FROM monitoring.record_incident_change($1, jsonb_build_object('change', 'LIMIT', 'actor', 'response limit passed', 'at', now()))`
	if changed := value[bool](t, db, limit, hk); changed || currentIncident(t, db, hk).Breach {
		t.Errorf("the limit passed after an answer in time: %v, %+v", changed, currentIncident(t, db, hk))
	}
	exec(t, db, "SELECT monitoring.incident_note($1, 'dana', 'looking')", hk)
	if got := currentIncident(t, db, hk); got.Breach || got.RespondedBy != "frank" || *got.Response != 25 {
		t.Errorf("noted at last: %+v", got)
	}
}

func TestIncident_AnswerBeforeItWasCreatedIsNoResponse(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	a := alertOf(t, db, "A", "HIGH", "local", nil)
	exec(t, db, "SELECT monitoring.acknowledge_alert($1, 'dana')", a)
	hk := incidentOf(t, db, a)
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.incident_current WHERE incident_hk = $1 AND alert_acknowledged_at IS NULL", hk); n != 1 {
		t.Error("an acknowledgement of before counts as a response to the incident")
	}
}

func TestFindIncident_ByWhatPeopleHave(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	hk := incidentOf(t, db, alertOf(t, db, "A", "HIGH", "local", nil))
	id := value[string](t, db, "SELECT monitoring.incident_short_id($1)", hk)
	code := value[string](t, db, "SELECT monitoring.short_code($1)", hk)
	bk := value[string](t, db, "SELECT incident_bk FROM monitoring.incident_h")
	for _, text := range []string{id, strings.ToLower(id), " " + id + " ", code, "I-" + code, "incident/" + id, bk, fmt.Sprintf("%x", hk), fmt.Sprintf("\\x%x", hk)} {
		if got := value[[]byte](t, db, "SELECT monitoring.find_incident($1)", text); !slices.Equal(got, hk) {
			t.Errorf("%q finds %x", text, got)
		}
	}
	for _, text := range []string{"I-ZZZZZZZZ", "nothing", "", strings.Repeat("0", 64)} {
		refused(t, db, "P0002", []string{"no incident", "onevault incident list"}, "SELECT monitoring.find_incident($1)", text)
	}
}

// The id is that of the workflow, so it must never mean two.
func TestIncidentShortID_IsGivenOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	hk := incidentOf(t, db, alertOf(t, db, "A", "HIGH", "local", nil))
	code := value[string](t, db, "SELECT monitoring.short_code($1)", hk)
	exec(t, db, "INSERT INTO monitoring.incident_h (incident_hk, incident_bk, short_id) VALUES (util.hash_binary('TAKEN'), 'TAKEN', 'I-' || $1 || 'X')", code[:5])

	// A second set of alerts whose key begins with the same characters is too rare to wait for: take its id first.
	b := alertOf(t, db, "B", "HIGH", "local", nil)
	tx, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next := value[string](t, tx, "SELECT monitoring.short_code(monitoring.create_incident_from_alerts(ARRAY[$1::bytea], 'T', NULL))", b)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	exec(t, db, "INSERT INTO monitoring.incident_h (incident_hk, incident_bk, short_id) VALUES (util.hash_binary('FIRST'), 'FIRST', 'I-' || $1)", next[:4])
	second := incidentOf(t, db, b)
	if got := value[string](t, db, "SELECT monitoring.incident_short_id($1)", second); got != "I-"+next[:5] {
		t.Errorf("the id of the second is %s, want I-%s", got, next[:5])
	}
	if got := value[[]byte](t, db, "SELECT monitoring.find_incident($1)", "I-"+next[:5]); !slices.Equal(got, second) {
		t.Error("the longer id does not find it")
	}
	if got := value[string](t, db, "SELECT incident_bk FROM monitoring.incident_h WHERE incident_hk = monitoring.find_incident($1)", "I-"+next[:4]); got != "FIRST" {
		t.Errorf("the shorter id finds %s", got)
	}
}

func TestIncidentNotes_AreAppendedAndNotRepeated(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	hk := incidentOf(t, db, alertOf(t, db, "A", "HIGH", "local", nil))
	for range 2 { // the answer to the first was lost
		exec(t, db, "SELECT monitoring.incident_note($1, 'dana', 'looking')", hk)
	}
	exec(t, db, "SELECT monitoring.incident_note($1, 'erin', 'looking')", hk)
	// By hand; the workflow hears of it.
	exec(t, db, "INSERT INTO monitoring.incident_note_s (incident_hk, hash_diff, note_text) VALUES ($1, '\\x', 'by hand')", hk)
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.incident_note_s"); n != 3 {
		t.Errorf("%d notes, want 3", n)
	}
	if got := incidentFacts(t, db, hk); got != "CREATED LINKED NOTED CHANGED NOTED NOTED" {
		t.Errorf("the workflow hears %q", got)
	}
	refused(t, db, "22023", []string{"note_text is empty"}, "INSERT INTO monitoring.incident_note_s (incident_hk, hash_diff, note_text) VALUES ($1, '\\x', ' ')", hk)
	refused(t, db, "55000", []string{"history"}, "UPDATE monitoring.incident_note_s SET note_text = 'x'")
	refused(t, db, "55000", []string{"history"}, "DELETE FROM monitoring.incident_note_s")
}

func TestConditions_MayAskAboutIncidents(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	inputs := func() string {
		return value[string](t, db, `
			SELECT string_agg(i.value::text, ' ' ORDER BY i.key)
			  FROM jsonb_each(monitoring.condition_inputs('incidents', 'local', NULL, '10 minutes', clock_timestamp())) AS i`)
	}
	if got := inputs(); got != "0 0 0 0" { // overdue resolution, overdue response, open, breached
		t.Errorf("without incidents: %s", got)
	}
	overdue := incidentOf(t, db, alertOf(t, db, "A", "HIGH", "local", nil))
	age(t, db, overdue, 31*time.Minute)
	late := incidentOf(t, db, alertOf(t, db, "B", "HIGH", "local", nil))
	exec(t, db, "SELECT monitoring.investigate_incident($1, 'dana')", late)
	age(t, db, late, 5*time.Hour)
	incidentIn(t, db, "C", "RESOLVED")
	incidentIn(t, db, "D", "CLOSED")
	incidentIn(t, db, "E", "INVESTIGATING")
	if got := inputs(); got != "1 1 3 2" {
		t.Errorf("inputs %s, want 1 1 3 2", got)
	}
	define(t, db, "INCIDENT_SLA_BREACH", columns{"metric_source": "incidents", "condition_logic": "sla_breached_open_incidents > threshold_value", "threshold_value": 0})
	if got := value[string](t, db, "SELECT decision FROM monitoring.evaluate_due('local', '0') WHERE definition_key = 'INCIDENT_SLA_BREACH'"); got != "FIRED" {
		t.Errorf("a breached incident: %s", got)
	}
}

func TestIncident_LimitsOfTheVaultAndOfTheWorkflowAreTheSame(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for function, want := range map[string]time.Duration{"incident_response_limit": incident.ResponseLimit, "incident_resolution_limit": incident.ResolutionLimit} {
		if got := value[time.Duration](t, db, "SELECT monitoring."+function+"()"); got != want {
			t.Errorf("%s is %s in the vault and %s in the workflow", function, got, want)
		}
	}
}

func TestIncident_IsRecordedWithAWorkersRightsAlone(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	owner := connect(t, address)
	hk := incidentOf(t, owner, alertOf(t, owner, "D", "HIGH", "local", nil))
	worker, _ := member(t, address, "onevault_worker")
	at := time.Now().UTC().Truncate(time.Microsecond)
	for i, change := range []string{"NOTED", "ASSIGNED", "RESOLVED", "REOPENED", "RESOLVED", "CLOSED"} {
		written := map[string]any{"change": change, "at": at.Add(time.Duration(i) * time.Second), "actor": "dana", "via": "cli:dana@host", "text": "of " + change}
		if !value[bool](t, worker, "SELECT changed FROM monitoring.record_incident_change($1, $2)", hk, written) {
			t.Errorf("%s is refused", change)
		}
	}
	if got := value[string](t, worker, "SELECT incident_status FROM monitoring.incident_current WHERE incident_hk = $1", hk); got != "CLOSED" {
		t.Errorf("ended as %s", got)
	}
}
