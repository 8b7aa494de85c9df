package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"

	"onevault/alert"
	"onevault/notify"
	"onevault/report"
	"onevault/settings"
	"onevault/vault"
)

// Reports are the activities that make the daily report and mail it. The report itself stays in the vault:
// a history holds what it is about, never its pages.
type Reports struct {
	Vault    *vault.Store
	Channels *Directory
	Log      *slog.Logger
}

// The types that the report's workflow hands through.
type (
	// ReportDelivery is one report on its way to one recipient of one channel.
	ReportDelivery = vault.ReportDelivery
	// ReportOutcome is how an attempt ended.
	ReportOutcome = vault.ReportOutcome
)

// BuildReportInput says as of when a report is made, and in which time zone days begin.
type BuildReportInput struct {
	At       time.Time `json:"at"`
	Timezone string    `json:"timezone,omitempty"` // empty: UTC
}

// BuildReportOutput says what was recorded, and who asks for it.
type BuildReportOutput struct {
	Date     string          `json:"date"`
	From     time.Time       `json:"from"`
	To       time.Time       `json:"to"`
	Met      int             `json:"met"`
	Missed   []string        `json:"missed,omitempty"` // the goals' names
	SHA256   string          `json:"sha256"`           // of the HTML
	Channels []alert.Channel `json:"channels,omitempty"`
}

// BuildReport reads the period, judges it and records the report. Run again for the same moment it finds
// the report that it recorded: a retry mails what stands in the vault, although sizes have grown since.
func (a *Reports) BuildReport(ctx context.Context, in BuildReportInput) (BuildReportOutput, error) {
	zone, err := settings.ParseTimezone(in.Timezone)
	if err != nil {
		return BuildReportOutput{}, temporal.NewNonRetryableApplicationError(err.Error(), ErrorSettings, err)
	}
	r, err := a.report(ctx, report.Today(in.At, zone))
	if err != nil {
		return BuildReportOutput{}, classify(err)
	}
	page, err := r.HTML(zone)
	if err != nil {
		return BuildReportOutput{}, err
	}
	out := BuildReportOutput{Date: r.Date, From: r.From, To: r.To, SHA256: sha256Hex(page)}
	if err := a.Vault.RecordReport(ctx, r, out.SHA256); err != nil {
		return BuildReportOutput{}, classify(err)
	}
	for _, k := range r.KPIs {
		switch k.Verdict {
		case report.Met:
			out.Met++
		case report.Missed:
			out.Missed = append(out.Missed, k.Name)
		case report.Unknown:
		}
	}
	out.Channels, err = a.Channels.AskingForReport(ctx)
	return out, classify(err)
}

// report is the recorded one of exactly this period, or a new one.
func (a *Reports) report(ctx context.Context, p report.Period) (report.Report, error) {
	recorded, err := a.Vault.StoredReport(ctx, p.Date)
	if err == nil && recorded.From.Equal(p.From) && recorded.To.Equal(p.To) && recorded.TimeZone == p.TimeZone {
		return recorded, nil
	}
	if err != nil && !errors.Is(err, vault.ErrNotFound) {
		return report.Report{}, err
	}
	return a.Vault.Report(ctx, p)
}

// ErrorSettings: a setting of the worker is wrong; retrying cannot help.
const ErrorSettings = "Settings"

// AskingForReport returns the channels whose configuration asks for the daily report.
func (d *Directory) AskingForReport(ctx context.Context) ([]alert.Channel, error) {
	rows, err := d.Vault.ReportChannels(ctx)
	if err != nil {
		return nil, err
	}
	channels := make([]alert.Channel, 0, len(rows))
	for _, row := range rows {
		config := configOf(row)
		d.remember(config)
		channels = append(channels, d.describe(config))
	}
	return channels, nil
}

// SendReportInput is one attempt at one delivery.
type SendReportInput struct {
	Channel  alert.Channel  `json:"channel"`
	Delivery ReportDelivery `json:"delivery"`
	Attempt  int            `json:"attempt"` // 0 for the first
}

// SendReportOutput says what the attempt proved.
type SendReportOutput struct {
	Receipt notify.Receipt `json:"receipt"`
	Final   bool           `json:"final"`
	// Already: the ledger knew the end, and nothing was sent.
	Already bool `json:"already,omitempty"`
	// Unrecorded is the outcome when the vault did not take it; the workflow has it written later.
	Unrecorded *ReportOutcome `json:"unrecorded,omitempty"`
}

// SendReport writes the intent, mails the recorded report, and writes the outcome. Unlike a page a report
// waits for the vault: without the ledger's word nothing is sent. A mail that was delivered is not sent
// again; one whose outcome nobody knows is sent once more, and says so.
func (a *Reports) SendReport(ctx context.Context, in SendReportInput) (SendReportOutput, error) {
	stop := heartbeat(ctx)
	defer stop()
	letter, err := a.letter(ctx, in.Delivery)
	if err != nil {
		return SendReportOutput{}, err
	}
	at := time.Now().UTC().Truncate(time.Microsecond)
	finding, err := a.Vault.BeginReportDelivery(ctx, in.Delivery, at)
	switch {
	case err != nil:
		return SendReportOutput{}, classify(err)
	case finding == vault.FindingDelivered:
		return SendReportOutput{Final: true, Already: true, Receipt: notify.Receipt{Class: notify.Accepted, Proof: "delivered by an earlier attempt"}}, nil
	case finding == vault.FindingUncertain:
		return SendReportOutput{Final: true, Already: true, Receipt: notify.Receipt{Class: notify.Uncertain, Reason: "two attempts ended without a word; the mail may have arrived"}}, nil
	}
	letter.PossibleDuplicate = finding == vault.FindingUnknownOutcome

	// The intent is written: from here on the outcome must be, whatever becomes of the workflow.
	ctx = context.WithoutCancel(ctx)
	out := SendReportOutput{Receipt: a.send(ctx, in, letter)}
	out.Final = isFinal(SendNotificationInput{Channel: in.Channel, Attempt: in.Attempt, Uncertain: letter.PossibleDuplicate}, out.Receipt.Class)
	outcome := reportOutcome(out, letter, at)
	if err := a.end(ctx, in.Delivery, outcome); err != nil {
		a.Log.WarnContext(ctx, "outcome of a mailed report not recorded yet", "channel", in.Channel.Key, "error", err)
		out.Unrecorded = &outcome
	}
	return out, nil
}

func reportOutcome(out SendReportOutput, letter notify.Letter, at time.Time) ReportOutcome {
	status := "PENDING" // another attempt follows
	switch {
	case out.Receipt.Class == notify.Accepted:
		status = "DELIVERED"
	case out.Final:
		status = "FAILED"
	}
	return ReportOutcome{
		Status: status, Class: string(out.Receipt.Class), Reason: out.Receipt.Reason, Proof: out.Receipt.Proof,
		ExternalID: out.Receipt.ExternalID, SHA256: sha256Hex(string(letter.Attachments[0].Content)), At: at,
	}
}

// letter renders the report as it was recorded.
func (a *Reports) letter(ctx context.Context, d ReportDelivery) (notify.Letter, error) {
	stored, err := a.Vault.StoredReport(ctx, d.Date)
	if errors.Is(err, vault.ErrNotFound) {
		return notify.Letter{}, temporal.NewNonRetryableApplicationError(err.Error(), ErrorVaultRefused, err)
	}
	if err != nil {
		return notify.Letter{}, classify(err)
	}
	zone, err := settings.ParseTimezone(stored.TimeZone)
	if err != nil {
		return notify.Letter{}, temporal.NewNonRetryableApplicationError(err.Error(), ErrorSettings, err)
	}
	l, err := stored.Letter(zone)
	if err != nil {
		return notify.Letter{}, err
	}
	return notify.Letter{
		Key: vault.ReportKey(d.Date) + "/" + d.Channel, Subject: l.Subject, Text: l.Text, HTML: l.Summary,
		Attachments: []notify.Attachment{{Name: l.File, Type: "text/html; charset=utf-8", Content: []byte(l.HTML)}},
	}, nil
}

func (a *Reports) send(ctx context.Context, in SendReportInput, letter notify.Letter) notify.Receipt {
	channel, err := a.Channels.Open(ctx, in.Channel)
	if err != nil {
		return notify.Receipt{Class: notify.Misconfigured, Reason: err.Error()}
	}
	mailer, ok := notify.As[notify.Mailer](channel)
	if !ok {
		return notify.Receipt{Class: notify.Misconfigured, Reason: fmt.Sprintf("channel %s is no EMAIL channel any more: it cannot carry a report", in.Channel.Key)}
	}
	if !slices.Contains(channel.Recipients(), in.Delivery.Recipient) {
		return notify.Receipt{Class: notify.Misconfigured, Reason: fmt.Sprintf("channel %s no longer sends to %s", in.Channel.Key, in.Delivery.Recipient)}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return mailer.SendLetter(ctx, in.Delivery.Recipient, letter)
}

func (a *Reports) end(ctx context.Context, d ReportDelivery, outcome ReportOutcome) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return a.Vault.EndReportDelivery(ctx, d, outcome)
}

// RecordReportOutcomeInput is an outcome that the vault did not take at once.
type RecordReportOutcomeInput struct {
	Delivery ReportDelivery `json:"delivery"`
	Outcome  ReportOutcome  `json:"outcome"`
}

// RecordReportOutcomeOutput is empty.
type RecordReportOutcomeOutput struct{}

// RecordReportOutcome writes an outcome that SendReport could not.
func (a *Reports) RecordReportOutcome(ctx context.Context, in RecordReportOutcomeInput) (RecordReportOutcomeOutput, error) {
	return RecordReportOutcomeOutput{}, classify(a.Vault.EndReportDelivery(ctx, in.Delivery, in.Outcome))
}

func sha256Hex(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
