package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"onevault/inbox"
	"onevault/workflows"
)

func TestDailyReport_IsMailedOnceToTheChannelThatAsks(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_REPORT")
	asking := emailTo(t, s.inbox)
	asking["to_addresses"], asking["daily_report"] = []string{"lead@example.com"}, true
	s.channel("REPORT", "EMAIL", asking, 3, 1)
	// A receiver that is busy first is tried again.
	if err := s.inbox.Fail(inbox.Email, 1, inbox.Behaviour{Status: 451}); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "something was measured", func(ctx context.Context) (seen bool, there any, err error) {
		err = w.db.QueryRow(ctx, "SELECT EXISTS (SELECT FROM monitoring.system_health_metric_s WHERE metric_name = 'connection_usage_pct')").Scan(&seen)
		return seen, nil, err
	})
	w.must(t, "schedule", "trigger", "report")
	s.awaitReported(1)

	mails := s.reports()
	if len(mails) != 1 || mails[0].To != "lead@example.com" || len(mails[0].Attachments) != 1 ||
		!regexp.MustCompile(`^onevault-report-\d{4}-\d{2}-\d{2}\.html \(text/html, \d+ bytes\)$`).MatchString(mails[0].Attachments[0]) {
		t.Fatalf("arrived: %+v", mails)
	}
	for _, wanted := range []string{"--- System Health Summary ---", "--- Alert Summary ---", "connection_usage_pct", "MTTA"} {
		if !strings.Contains(mails[0].Text, wanted) {
			t.Errorf("the mail does not say %q:\n%s", wanted, mails[0].Text)
		}
	}
	first := w.newestReport(t)
	if first.Delivered != 1 || first.Date == "" {
		t.Errorf("the run ended with %+v", first)
	}
	w.must(t, "report", "show", first.Date)

	// The same day once more: the figures are recorded anew, nobody is told twice.
	w.must(t, "schedule", "trigger", "report")
	eventually(t, patience, "a second run has ended", func(context.Context) (bool, any, error) {
		newest, err := w.reportRun(t.Context())
		return err == nil && newest.id != first.id, newest, err
	})
	if second := w.newestReport(t); second.Already != 1 || second.Delivered != 0 {
		t.Errorf("the second run ended with %+v", second)
	}
	if got := len(s.reports()); got != 1 {
		t.Errorf("%d mails arrived, want 1", got)
	}
	var list []struct {
		Date      string `json:"date"`
		Delivered int    `json:"delivered"`
	}
	if err := json.Unmarshal([]byte(w.must(t, "report", "list", "-o", "json")), &list); err != nil || len(list) != 1 || list[0].Delivered != 1 {
		t.Errorf("listed %+v, %v", list, err)
	}
	w.exportRun(t, "report", first.id, "")
}

// reports are the reports in the story's inbox.
func (s *story) reports() []inbox.Message {
	var found []inbox.Message
	for _, m := range s.inbox.Messages() {
		if m.Channel == inbox.Email && strings.HasPrefix(m.Subject, "OneVault report ") {
			found = append(found, m)
		}
	}
	return found
}

// awaitReported waits until the ledger holds so many delivered mails of the story's channel.
func (s *story) awaitReported(n int) {
	s.t.Helper()
	eventually(s.t, patience, "the report was mailed", func(ctx context.Context) (bool, any, error) {
		var ledger []string
		err := s.w.db.QueryRow(ctx, `
			SELECT array_agg(concat_ws(' ', d.delivery_status, d.outcome_class, d.failure_reason) ORDER BY d.load_date)
			  FROM monitoring.report_delivery_h h
			  JOIN monitoring.report_delivery_s d USING (report_delivery_hk)
			 WHERE h.notification_config_hk = util.hash_binary($1)`, s.channelKey("REPORT")).Scan(&ledger)
		delivered := 0
		for _, state := range ledger {
			if strings.HasPrefix(state, "DELIVERED") {
				delivered++
			}
		}
		return delivered == n, ledger, err
	})
	// The receiver has it before the ledger says so.
}

// reportRun is the newest run of the report that has ended.
type reportRun struct{ id, run string }

func (w *world) reportRun(ctx context.Context) (reportRun, error) {
	found, err := w.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: "WorkflowType = '" + workflows.ReportWorkflowName + "'",
	})
	if err != nil {
		return reportRun{}, err
	}
	for _, e := range found.GetExecutions() { // the newest first
		if e.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
			return reportRun{e.GetExecution().GetWorkflowId(), e.GetExecution().GetRunId()}, nil
		}
	}
	return reportRun{}, fmt.Errorf("none of %d runs has ended", len(found.GetExecutions()))
}

// endedReport is how a run of the report ended.
type endedReport struct {
	workflows.ReportResult

	id string
}

func (w *world) newestReport(t *testing.T) endedReport {
	t.Helper()
	var ended endedReport
	eventually(t, patience, "a run of the report has ended", func(ctx context.Context) (bool, any, error) {
		newest, err := w.reportRun(ctx)
		if err != nil {
			return false, nil, err
		}
		ended.id = newest.id
		return true, nil, w.temporal.GetWorkflow(ctx, newest.id, newest.run).Get(ctx, &ended.ReportResult)
	})
	return ended
}

// exportNewest is exportRun for the newest run of a type that has ended well, which it waits for.
func (w *world) exportNewest(t *testing.T, name, workflowType string) {
	t.Helper()
	eventually(t, patience, "a run of "+workflowType+" has ended well", func(ctx context.Context) (bool, any, error) {
		found, err := w.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Query: "WorkflowType = '" + workflowType + "' AND ExecutionStatus = 'Completed'",
		})
		if err != nil || len(found.GetExecutions()) == 0 {
			return false, nil, err
		}
		newest := found.GetExecutions()[0].GetExecution()
		w.exportRun(t, name, newest.GetWorkflowId(), newest.GetRunId())
		return true, nil, nil
	})
}

// exportRun writes the history of a workflow as a fixture of the replay test; run may be empty for the newest run.
func (w *world) exportRun(t *testing.T, name, id, run string) {
	t.Helper()
	if *export == "" || !regexp.MustCompile("^("+*export+")$").MatchString(name) {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	h, err := history(ctx, w.temporal, id, run)
	if err != nil {
		t.Fatal(err)
	}
	text, err := protojson.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	if text, err = scrub(text); err != nil {
		t.Fatal(err)
	}
	path, err := addFixture(name, text)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("wrote %s with %d events", path, len(h.GetEvents()))
}
