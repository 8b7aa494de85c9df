package e2e_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"google.golang.org/protobuf/encoding/protojson"

	"onevault/incident"
)

// anIncidentID is how the command line names an incident.
var anIncidentID = regexp.MustCompile(`I-[0-9A-HJKMNP-TV-Z]{4,8}`)

// TestIncident_FollowsItsAlertsThroughADeathOfTheWorker: alerts fire, somebody makes an incident of them,
// answers one in psql, the worker is killed, the conditions clear, a new worker carries on, people end it.
func TestIncident_FollowsItsAlertsThroughADeathOfTheWorker(t *testing.T) {
	t.Parallel()
	r := startRig(t, "incident")
	s := tell(t, &r.world, "E2E_INCIDENT")
	worker := r.startWorker()
	awaitReady(t, worker)
	r.awaitSamples()
	keys := []string{s.key + "_01", s.key + "_02"}
	s.defineAs(rule{}, holds, keys...)
	var alerts []version
	for _, key := range keys {
		alerts = append(alerts, r.awaitState(t, key, "OPEN"))
	}

	said := r.must(t, "incident", "create", "--title", "Too many connections", "--description", "since the release", alerts[0].ID, alerts[1].ID)
	id := anIncidentID.FindString(said)
	if !strings.Contains(said, "created "+id+", P2, of 2 alerts") {
		t.Fatalf("create said %q", said)
	}
	took := r.awaitIncident(t, id, func(st incident.Standing) bool {
		return st.Incident.Status == incident.StatusOpen && st.Incident.Alerts == 2
	})
	t.Logf("its workflow runs after %s", took.Round(time.Millisecond))
	// The same again is the same, and no second workflow.
	if again := r.must(t, "incident", "create", "--title", "Too many connections", alerts[1].ID, alerts[0].ID); !strings.Contains(again, id+" of these alerts was created by dana") {
		t.Errorf("the same alerts again: %q", again)
	}

	s.acknowledgeInPsql(alerts[0], "erin")
	took = r.awaitIncident(t, id, func(st incident.Standing) bool {
		return st.Incident.Status == incident.StatusInvestigating && st.Unrecorded == 0
	})
	t.Logf("the acknowledgement in psql is its first response after %s", took.Round(time.Millisecond))
	if row := r.incidentRow(t, id); row.Status != "INVESTIGATING" || row.RespondedBy != "erin" || row.Via != "alert "+alerts[0].ID {
		t.Errorf("the vault says %+v", row)
	}
	r.must(t, "incident", "note", id, "the pool of the new release leaks")
	r.must(t, "incident", "assign", id, "frank")

	// The worker dies; what happens meanwhile is not lost.
	worker.kill()
	noted := r.onevault(t, "incident", "note", id, "rolled back")
	if noted.code != 0 || !strings.Contains(noted.text, "in the vault; its workflow hears of it when it runs") {
		t.Errorf("a note without a worker: %d, %q", noted.code, noted.text)
	}
	s.defineAs(rule{}, clears, keys...)
	awaitReady(t, r.startWorker())
	for _, key := range keys {
		r.awaitState(t, key, "RESOLVED")
	}
	r.awaitIncident(t, id, func(st incident.Standing) bool {
		return st.Incident.Status == incident.StatusResolved && st.Unrecorded == 0
	})
	if row := r.incidentRow(t, id); row.ResolvedBy != incident.ActorAlerts || row.Breach || row.Response == nil || row.Resolution == nil || row.AssignedTo != "frank" {
		t.Errorf("the vault says %+v", row)
	}

	// Lost with its cluster, it is started again, and does nothing twice.
	first := r.runOf(t, "incident/"+id)
	if err := r.temporal.TerminateWorkflow(t.Context(), "incident/"+id, first, "as if the cluster were lost"); err != nil {
		t.Fatal(err)
	}
	r.exportIncident(t, "incident/"+id, first, "killed-worker")
	took = r.awaitIncident(t, id, func(st incident.Standing) bool { return st.Incident.Status == incident.StatusResolved })
	t.Logf("started again %s after it was terminated", took.Round(time.Millisecond))

	if got := r.onevault(t, "incident", "resolve", id); got.code != 0 || !strings.Contains(got.text, "was resolved by "+incident.ActorAlerts) {
		t.Errorf("a second resolution: %d, %q", got.code, got.text)
	}
	if got := r.onevault(t, "incident", "take", id); got.code != 4 || !strings.Contains(got.text, "reopen it if it is not over") {
		t.Errorf("taking what is over: %d, %q", got.code, got.text)
	}
	if got := r.must(t, "incident", "reopen", id, "-m", "it leaks again"); !strings.Contains(got, "reopened "+id+" by dana\n") {
		t.Errorf("reopen said %q", got)
	}
	if got := r.onevault(t, "incident", "close", id); got.code != 4 || !strings.Contains(got.text, "resolve it first") {
		t.Errorf("closing what goes on: %d, %q", got.code, got.text)
	}
	r.must(t, "incident", "resolve", id, "-m", "pool size corrected")
	if got := r.must(t, "incident", "close", id, "-m", "a leak in the pool"); !strings.Contains(got, "closed "+id+" by dana\n") {
		t.Errorf("close said %q", got)
	}
	r.awaitEnd(t, "incident/"+id)

	r.mustIncidentStates(t, id, "OPEN", "INVESTIGATING", "RESOLVED", "INVESTIGATING", "RESOLVED", "CLOSED")
	timeline := r.must(t, "incident", "timeline", id)
	for _, part := range []string{"the pool of the new release leaks", "rolled back", "assigned to frank", "REOPENED", "it leaks again", "a leak in the pool", alerts[0].ID} {
		if strings.Count(timeline, part) != 1 {
			t.Errorf("the timeline tells %q %d times:\n%s", part, strings.Count(timeline, part), timeline)
		}
	}
	if got := r.must(t, "incident", "list"); strings.Contains(got, id) {
		t.Errorf("a closed incident is listed:\n%s", got)
	}
	var waiting int
	if err := r.db.QueryRow(t.Context(), "SELECT count(*) FROM monitoring.outbox WHERE incident_hk IS NOT NULL AND relayed_at IS NULL").Scan(&waiting); err != nil || waiting != 0 {
		t.Errorf("%d facts wait, %v", waiting, err)
	}
	r.exportIncident(t, "incident/"+id, "", "reopened")
}

// TestIncident_IsWorkedOnWhileTheVaultIsDown: its workflow answers by its id alone, and what was done is
// in the vault, in order, when that is back.
func TestIncident_IsWorkedOnWhileTheVaultIsDown(t *testing.T) {
	t.Parallel()
	r := startRig(t, "incidentvault")
	s := tell(t, &r.world, "E2E_INCIDENT_VAULT")
	awaitReady(t, r.startWorker())
	r.awaitSamples()
	s.define(rule{}, holds)
	opened := s.awaitState("OPEN")
	id := anIncidentID.FindString(r.must(t, "incident", "create", "--title", "Is it the network?", opened.ID))
	r.awaitIncident(t, id, func(st incident.Standing) bool { return st.Incident.Alerts == 1 })

	r.killPostgres()
	for _, args := range [][]string{{"note", id, "the vault is down as well"}, {"assign", strings.ToLower(id), "erin"}, {"resolve", id, "-m", "a switch was restarted"}} {
		if got := r.onevault(t, append([]string{"incident"}, args...)...); got.code != 0 {
			t.Errorf("%v while the vault is down: %d, %q", args, got.code, got.text)
		}
	}
	r.awaitIncident(t, id, func(st incident.Standing) bool {
		return st.Incident.Status == incident.StatusResolved && st.Unrecorded == 3 && st.WaitsFor == "vault"
	})
	r.startPostgres()
	took := r.awaitIncident(t, id, func(st incident.Standing) bool { return st.Unrecorded == 0 })
	t.Logf("all recorded %s after the vault was started", took.Round(time.Millisecond))
	if row := r.incidentRow(t, id); row.Status != "RESOLVED" || row.RespondedBy != "dana" || row.AssignedTo != "erin" || row.ResolvedBy != "dana" {
		t.Errorf("the vault says %+v", row)
	}
	r.must(t, "incident", "close", id)
	r.awaitEnd(t, "incident/"+id)
	r.mustIncidentStates(t, id, "OPEN", "INVESTIGATING", "RESOLVED", "CLOSED")
	r.exportIncident(t, "incident/"+id, "", "vault-down")
}

// awaitIncident asks an incident's workflow until its answer is right, and returns how long that took.
func (w *world) awaitIncident(t *testing.T, id string, right func(incident.Standing) bool) time.Duration {
	t.Helper()
	return eventually(t, patience, "the workflow of "+id+" stands as wanted", func(ctx context.Context) (bool, any, error) {
		var standing incident.Standing
		value, err := w.temporal.QueryWorkflow(ctx, "incident/"+id, "", incident.QueryStatus)
		if err != nil {
			return false, nil, err
		}
		if err := value.Get(&standing); err != nil {
			return false, nil, err
		}
		description, err := w.temporal.DescribeWorkflowExecution(ctx, "incident/"+id, "")
		if err != nil {
			return false, nil, err
		}
		running := description.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
		return running && right(standing), standing, nil
	})
}

// awaitEnd waits until a workflow has ended by itself.
func (w *world) awaitEnd(t *testing.T, workflowID string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := w.temporal.GetWorkflow(ctx, workflowID, "").Get(ctx, nil); err != nil {
		t.Errorf("the end of %s: %v", workflowID, err)
	}
}

// incidentState is the current row of an incident.
type incidentState struct {
	Status, RespondedBy, ResolvedBy, AssignedTo, Via string
	Breach                                           bool
	Response, Resolution                             *int
}

func (w *world) incidentRow(t *testing.T, id string) incidentState {
	t.Helper()
	var s incidentState
	err := w.db.QueryRow(t.Context(), `
		SELECT incident_status, coalesce(first_response_by, ''), coalesce(resolved_by, ''), coalesce(assigned_to, ''), coalesce(changed_via, ''),
		       sla_breach, response_time_minutes, resolution_time_minutes
		  FROM monitoring.incident_s WHERE incident_hk = monitoring.find_incident($1) AND load_end_date IS NULL`, id).
		Scan(&s.Status, &s.RespondedBy, &s.ResolvedBy, &s.AssignedTo, &s.Via, &s.Breach, &s.Response, &s.Resolution)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mustIncidentStates compares the statuses of an incident, in the order of their recording.
func (w *world) mustIncidentStates(t *testing.T, id string, want ...string) {
	t.Helper()
	var got []string
	err := w.db.QueryRow(t.Context(), `
		SELECT array_agg(incident_status ORDER BY load_date)
		  FROM (SELECT incident_status, load_date, lag(incident_status) OVER (ORDER BY load_date) AS before
		          FROM monitoring.incident_s WHERE incident_hk = monitoring.find_incident($1)) AS v
		 WHERE before IS DISTINCT FROM incident_status`, id).Scan(&got)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("states of %s are %v, want %v", id, got, want)
	}
}

func (w *world) runOf(t *testing.T, workflowID string) string {
	t.Helper()
	description, err := w.temporal.DescribeWorkflowExecution(t.Context(), workflowID, "")
	if err != nil {
		t.Fatal(err)
	}
	return description.GetWorkflowExecutionInfo().GetExecution().GetRunId()
}

// exportIncident writes the history of a run of an incident's workflow as a fixture of the replay test;
// runID may be empty for the newest.
func (w *world) exportIncident(t *testing.T, workflowID, runID, name string) {
	t.Helper()
	if *export == "" || !regexp.MustCompile("^("+*export+")$").MatchString("incident-"+name) {
		return
	}
	h, err := history(t.Context(), w.temporal, workflowID, runID)
	if err != nil {
		t.Fatal(err)
	}
	text, err := protojson.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	text, scrubErr := scrub(text)
	path, addErr := addFixture("incident-"+name, text)
	if err := errors.Join(scrubErr, addErr); err != nil {
		t.Fatal(err)
	}
	t.Logf("wrote %s with %d events", path, len(h.GetEvents()))
}
