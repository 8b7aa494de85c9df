package activities

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/testsuite"

	"onevault/inbox"
	"onevault/notify"
	"onevault/vault"
)

// reporter is a world with the activities of the report.
type reporter struct {
	*world
	reports *Reports
}

func newReporter(t *testing.T) *reporter {
	t.Helper()
	w := newWorld(t)
	r := &reporter{world: w, reports: &Reports{Vault: w.store, Channels: w.directory, Log: w.notifications.Log}}
	w.env = new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
	w.env.RegisterActivity(r.reports)
	return r
}

// asks puts an e-mail channel that asks for the report, and ends in the inbox.
func (r *reporter) asks() {
	r.Helper()
	host, port, ok := strings.Cut(r.inbox.SMTPAddr(), ":")
	if !ok {
		r.Fatal(r.inbox.SMTPAddr())
	}
	r.put("MAIL", notify.TypeEmail, map[string]any{
		"smtp_server": host, "smtp_port": port, "tls": "none", "from_address": "OneVault <onevault@example.com>",
		"to_addresses": []string{"ops@example.com", "lead@example.com"}, "daily_report": true,
	})
}

func (r *reporter) build(at time.Time) BuildReportOutput {
	r.Helper()
	value, err := r.env.ExecuteActivity(r.reports.BuildReport, BuildReportInput{At: at})
	if err != nil {
		r.Fatal(err)
	}
	var out BuildReportOutput
	if err := value.Get(&out); err != nil {
		r.Fatal(err)
	}
	return out
}

func (r *reporter) mail(built BuildReportOutput, recipient, attempt string) SendReportOutput {
	r.Helper()
	value, err := r.env.ExecuteActivity(r.reports.SendReport, SendReportInput{
		Channel: built.Channels[0], Delivery: ReportDelivery{Date: built.Date, Channel: "MAIL", Recipient: recipient, Attempt: attempt},
	})
	if err != nil {
		r.Fatal(err)
	}
	var out SendReportOutput
	if err := value.Get(&out); err != nil {
		r.Fatal(err)
	}
	return out
}

func (r *reporter) wantDeliveries(want ...string) {
	r.Helper()
	rows, err := r.store.Pool().Query(r.Context(), `
		SELECT concat_ws(' ', recipient_address, delivery_status, outcome_class, CASE WHEN possible_duplicate THEN '?' END)
		  FROM monitoring.report_delivery_s ORDER BY load_date`)
	if err != nil {
		r.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		r.Fatal(err)
	}
	if !slices.Equal(got, want) {
		r.Errorf("ledger %q, want %q", got, want)
	}
}

func TestSendReport_MailsTheRecordedReportOnce(t *testing.T) {
	t.Parallel()
	r := newReporter(t)
	r.asks()
	at := time.Now().UTC().Truncate(time.Microsecond)
	built := r.build(at)
	if again := r.build(at); again.SHA256 != built.SHA256 {
		t.Errorf("made again it is %s, and was %s", again.SHA256, built.SHA256)
	}
	if len(built.Channels) != 1 || len(built.Channels[0].Recipients) != 2 {
		t.Fatalf("built %+v", built)
	}
	first := r.mail(built, "ops@example.com", "run/0")
	if first.Receipt.Class != notify.Accepted || !first.Final || first.Already || first.Unrecorded != nil {
		t.Errorf("mailed: %+v", first)
	}
	if second := r.mail(built, "ops@example.com", "run/1"); !second.Already || !second.Final {
		t.Errorf("mailed again: %+v", second)
	}
	r.wantReceived(1)
	r.wantDeliveries("ops@example.com PENDING", "ops@example.com DELIVERED ACCEPTED")
	m := r.inbox.Messages()[0]
	if m.Channel != inbox.Email || !strings.HasPrefix(m.Subject, "OneVault report "+built.Date) || !strings.Contains(m.Text, "--- System Health Summary ---") ||
		!strings.Contains(m.HTML, "is attached") || len(m.Attachments) != 1 || !strings.HasPrefix(m.Attachments[0], "onevault-report-"+built.Date+".html (text/html") {
		t.Errorf("arrived: %q, attachments %q\n%s", m.Subject, m.Attachments, m.Text)
	}
	if page := attached(t, m.Raw); sha256Hex(page) != built.SHA256 || !strings.Contains(page, "<svg") && !strings.Contains(page, "nothing was measured") {
		t.Errorf("what is attached is not the page that was recorded (%d bytes)", len(page))
	}
}

// attached decodes the base64 of the last part.
func attached(t *testing.T, raw string) string {
	t.Helper()
	_, body, ok := strings.Cut(raw[strings.LastIndex(raw, "Content-Disposition: attachment"):], "\r\n\r\n")
	if !ok {
		t.Fatal("no attachment")
	}
	body, _, _ = strings.Cut(body, "\r\n--")
	page, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\r", "", "\n", "").Replace(body))
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

func TestSendReport_AfterAnAttemptWithoutAWordIsSentOnceMoreAndSaysSo(t *testing.T) {
	t.Parallel()
	r := newReporter(t)
	r.asks()
	built := r.build(time.Now().UTC())
	died := ReportDelivery{Date: built.Date, Channel: "MAIL", Recipient: "ops@example.com", Attempt: "run/0"}
	if _, err := r.store.BeginReportDelivery(t.Context(), died, time.Now().UTC().Truncate(time.Microsecond)); err != nil {
		t.Fatal(err)
	}
	if out := r.mail(built, "ops@example.com", "run/1"); out.Receipt.Class != notify.Accepted || out.Already {
		t.Errorf("mailed: %+v", out)
	}
	r.wantDeliveries("ops@example.com PENDING", "ops@example.com PENDING ?", "ops@example.com DELIVERED ACCEPTED ?")
	if text := r.inbox.Messages()[0].Text; !strings.HasPrefix(text, "You may have had this mail before") {
		t.Errorf("the receiver is not told: %.100q", text)
	}
}

func TestSendReport_RefusedMailIsAReceiptAndNotAnError(t *testing.T) {
	t.Parallel()
	r := newReporter(t)
	r.asks()
	built := r.build(time.Now().UTC())
	if err := r.inbox.Fail(inbox.Email, 1, inbox.Behaviour{Status: 451}); err != nil {
		t.Fatal(err)
	}
	if out := r.mail(built, "lead@example.com", "run/0"); out.Receipt.Class != notify.Transient || out.Final {
		t.Errorf("refused for now: %+v", out)
	}
	if out := r.mail(built, "gone@example.com", "run/0"); out.Receipt.Class != notify.Misconfigured || !out.Final || !strings.Contains(out.Receipt.Reason, "no longer sends to gone@example.com") {
		t.Errorf("a recipient that is gone: %+v", out)
	}
	r.wantDeliveries("lead@example.com PENDING", "lead@example.com PENDING TRANSIENT", "gone@example.com PENDING", "gone@example.com FAILED CONFIG")
}

func TestSendReport_WithoutTheVaultSendsNothing(t *testing.T) {
	t.Parallel()
	r := newReporter(t)
	r.asks()
	built := r.build(time.Now().UTC())
	down := &Reports{Vault: deadVault(t), Channels: r.directory, Log: r.reports.Log}
	env := new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
	env.RegisterActivity(down)
	_, err := env.ExecuteActivity(down.SendReport, SendReportInput{Channel: built.Channels[0], Delivery: vault.ReportDelivery{Date: built.Date, Channel: "MAIL", Recipient: "ops@example.com", Attempt: "run/0"}})
	if err == nil || !strings.Contains(err.Error(), ErrorVaultUnreachable) {
		t.Errorf("got %v", err)
	}
	r.wantReceived(0)
}

func TestBuildReport_RefusesATimeZoneThatIsNone(t *testing.T) {
	t.Parallel()
	r := newReporter(t)
	_, err := r.env.ExecuteActivity(r.reports.BuildReport, BuildReportInput{At: time.Now(), Timezone: "Mars/Olympus"})
	if err == nil || !strings.Contains(err.Error(), "Mars/Olympus") || !strings.Contains(err.Error(), "Europe/Berlin") {
		t.Errorf("got %v", err)
	}
}
