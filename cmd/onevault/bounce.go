package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"onevault/notify"
	"onevault/vault"
)

// What a mail server understands, from sysexits.h: the exit codes of this one command, because it is mail servers
// that run it.
const (
	exitNoReport = 65 // EX_DATAERR: do not try again
	exitTryAgain = 75 // EX_TEMPFAIL: keep the report and bring it later
)

func (a *app) notificationBounceCommand() *cobra.Command {
	var envelopeTo string
	cmd := &cobra.Command{
		Use:   "bounce < REPORT",
		Short: "Record a delivery report that a mail server sent back: the entry for bounces",
		Long: `Read one delivery report (RFC 3464) from standard input, find the mail that it is about, and record what it says
as a receipt: a bounce makes the notification FAILED, a report of success CONFIRMED. Bringing a report twice
is harmless. A mail server pipes what comes to the channel's bounce_address here; docs/ledger.md shows how.

Exit codes are those that mail servers understand: 0 recorded; 65 it is no such report, do not try again;
75 the vault cannot be used now, bring it later; 1 and 2 as everywhere.`,
		Example: "  onevault notification bounce --to bounces+1f0c...@example.com < report.eml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := notify.ParseReport(a.in, envelopeTo)
			if errors.Is(err, notify.ErrNoReport) {
				return &failure{exitNoReport, err.Error(), "nothing is recorded; answers of people and vacation programs end here"}
			}
			if err != nil {
				return &failure{exitNoReport, "the delivery report: " + err.Error(), "nothing is recorded"}
			}
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			effects, err := store.RecordReceipt(cmd.Context(), a.receiptOf(report))
			if vault.Unreachable(err) {
				return &failure{exitTryAgain, "the vault does not answer: " + unreachableCause(err), "the mail server brings the report again later"}
			}
			if err != nil {
				return err
			}
			for _, e := range effects {
				if e.Effect == "WAITING" {
					a.note("no mail of ours is known by %s yet; the report waits for it for a week", report.Reference)
					continue
				}
				fmt.Fprintf(a.out, "%s %s %s\n", e.ID, report.Action.Receipt(), e.Effect)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&envelopeTo, "to", "", "the address that the report came to, if the mail server knows it")
	return cmd
}

func (a *app) receiptOf(report notify.MailReport) vault.DeliveryReceipt {
	at := report.At
	if now := a.now(); at.IsZero() || at.After(now) { // the clock of somebody else's server
		at = now
	}
	details := map[string]string{"said": string(report.Action), "reason": report.Reason, "final_recipient": report.Recipient, "reported_by": report.Reporter}
	for name, value := range details {
		if value == "" {
			delete(details, name)
		}
	}
	return vault.DeliveryReceipt{Provider: "EMAIL", Reference: report.Reference, Status: report.Action.Receipt(), At: at, Details: details}
}
