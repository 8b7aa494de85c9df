package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/cmd/onevault/output"
	"onevault/notify"
	"onevault/vault"
)

func (a *app) notificationCommand() *cobra.Command {
	return noun("notification", "See who was told, what that proved, and what became of it",
		a.notificationListCommand(), a.notificationShowCommand(), a.notificationBounceCommand())
}

// deliveryStatuses are the ledger's words for how a notification stands.
func deliveryStatuses() []string {
	return []string{"PENDING", "DIGESTED", "SENT", "DELIVERED", "FAILED", "BOUNCED", "SUPPRESSED"}
}

// certainties are its words for how sure it is that a message arrived.
func certainties() []string {
	return []string{"CONFIRMED", "ACCEPTED", "UNCERTAIN", "FAILED", "PENDING"}
}

func (a *app) notificationListCommand() *cobra.Command {
	var (
		filter            vault.NotificationFilter
		ofAlert, since    string
		statuses, certain []string
		uncertain         bool
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the notifications of the ledger, the newest first",
		Long: `List the notifications of the ledger, the newest first: one per alert, event, and recipient of a channel.

CERTAINTY says how sure it is that a message arrived: CONFIRMED by a receipt, ACCEPTED by the provider,
UNCERTAIN (nobody knows), FAILED, or PENDING. What these prove for each type of channel: docs/ledger.md,
and ` + "`onevault notification show`" + `.`,
		Example: "  onevault notification list --alert A-7F3K\n  onevault notification list --uncertain --since 24h -o json\n  onevault notification list --channel OPS_MAIL --status FAILED,BOUNCED",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if filter.Since, err = sinceTime(a.now(), since); err != nil {
				return usage(err)
			}
			if filter.Statuses, err = words("--status", statuses, deliveryStatuses()); err != nil {
				return err
			}
			if filter.Certainties, err = words("--certainty", certain, certainties()); err != nil {
				return err
			}
			if uncertain {
				filter.Certainties = append(filter.Certainties, "UNCERTAIN")
			}
			return a.listNotifications(cmd.Context(), ofAlert, filter)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&ofAlert, "alert", "", "of this alert only: its id")
	flags.StringVar(&filter.Channel, "channel", "", "by this channel only: its key")
	flags.StringSliceVar(&statuses, "status", nil, "with these statuses: "+strings.Join(deliveryStatuses(), ", "))
	flags.StringSliceVar(&certain, "certainty", nil, "with these certainties: "+strings.Join(certainties(), ", "))
	flags.BoolVar(&uncertain, "uncertain", false, "of which nobody knows whether they arrived: --certainty UNCERTAIN")
	flags.StringVar(&since, "since", "", "begun since: a duration (90m, 24h, 30d) or a time (2026-05-04 or RFC 3339)")
	flags.IntVar(&filter.Limit, "limit", 100, "at most so many; 0: all")
	return cmd
}

// words checks what somebody gave to a flag that takes some of a few words.
func words(flag string, given, known []string) ([]string, error) {
	for i, word := range given {
		given[i] = strings.ToUpper(strings.TrimSpace(word))
		if !slices.Contains(known, given[i]) {
			return nil, usage(fmt.Errorf("%s is %q: use %s", flag, word, strings.Join(known, ", ")))
		}
	}
	return given, nil
}

func (a *app) listNotifications(ctx context.Context, ofAlert string, filter vault.NotificationFilter) error {
	store, err := a.vault(ctx)
	if err != nil {
		return err
	}
	if ofAlert != "" {
		found, err := store.FindAlert(ctx, ofAlert)
		if err != nil {
			return err
		}
		filter.AlertKey = found.Key
	}
	list, more, err := store.Notifications(ctx, filter)
	if err != nil {
		return err
	}
	if err := output.List(a.printer(), list, notificationColumns(a.now()), func(n vault.Notification) string { return n.ID }); err != nil {
		return err
	}
	switch {
	case more:
		a.note("only the newest %d are shown; --limit 0 shows all", filter.Limit)
	case len(list) == 0:
		a.note("no notifications")
	}
	return nil
}

func notificationColumns(now time.Time) []output.Column[vault.Notification] {
	type row = vault.Notification
	return []output.Column[row]{
		{Name: "ID", Cell: func(n row) output.Cell { return output.Text(n.ID) }},
		{Name: "AGE", Cell: func(n row) output.Cell { return output.Text(output.Age(now, n.At)) }},
		{Name: "ALERT", Cell: func(n row) output.Cell { return output.Text(n.Alert) }},
		{Name: "EVENT", Cell: func(n row) output.Cell { return output.Text(output.OrNone(n.Event)) }},
		{Name: "CHANNEL", Cell: func(n row) output.Cell { return output.Text(n.Channel) }},
		{Name: "RECIPIENT", Cell: func(n row) output.Cell { return output.Text(output.OrNone(n.Recipient)) }},
		{Name: "CERTAINTY", Cell: func(n row) output.Cell { return certaintyCell(n.Certainty) }},
		{Name: "STATUS", Cell: func(n row) output.Cell { return deliveryCell(n.Status) }},
		{Name: "ATTEMPTS", Cell: func(n row) output.Cell { return output.Text(strconv.Itoa(n.Attempt + 1)) }},
		{Name: "PROOF OR REASON", Cell: func(n row) output.Cell {
			return output.Text(proofOrReason(proofOf(n), n.Reason, n.PossibleDuplicate))
		}},
		{Name: "CLASS", Wide: true, Cell: func(n row) output.Cell { return output.Text(output.OrNone(n.Class)) }},
		{Name: "RECEIPT", Wide: true, Cell: func(n row) output.Cell { return output.Text(output.OrNone(receiptText(n))) }},
		{Name: "PROVIDER'S ID", Wide: true, Cell: func(n row) output.Cell { return output.Text(output.OrNone(n.ExternalID)) }},
		{Name: "TOOK", Wide: true, Cell: func(n row) output.Cell { return output.Text(fmt.Sprintf("%d ms", n.DurationMS)) }},
		{Name: "BEGUN", Wide: true, Cell: func(n row) output.Cell { return output.Text(output.Moment(n.At)) }},
	}
}

// proofOf leaves the provider's acceptance out where a receipt has contradicted it.
func proofOf(n vault.Notification) string {
	if n.Certainty == "FAILED" {
		return ""
	}
	return n.Proof
}

func receiptText(n vault.Notification) string {
	if n.ReceiptStatus == "" {
		return ""
	}
	return n.ReceiptStatus + " by " + n.ReceiptProvider + ", " + output.Moment(n.ReceiptAt)
}

func certaintyCell(certainty string) output.Cell {
	style := map[string]output.Style{
		"CONFIRMED": output.Good, "ACCEPTED": output.Good, "UNCERTAIN": output.Poor, "FAILED": output.Bad, "PENDING": output.Fair,
	}[certainty]
	return output.Cell{Text: output.OrNone(certainty), Style: style}
}

func (a *app) notificationShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show a notification: its intent, each attempt with what it proved, each receipt, and what that means",
		Long: `Show all that the ledger holds of one notification: an intent before each attempt, an outcome after it, and
every receipt that came later, with how certain it is that the message arrived and what that word means for
this type of channel. An ID is N-7F3K9QXM or its beginning, as ` + "`onevault notification list`" + ` shows it.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			found, err := store.FindNotification(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			entries, err := store.NotificationEntries(cmd.Context(), found)
			if err != nil {
				return err
			}
			return a.showNotification(shownNotification{found, notify.MeaningOf(notify.Type(found.ChannelType)), entries})
		},
	}
}

// shownNotification is `notification show` for programs.
type shownNotification struct {
	vault.Notification
	Meaning notify.Meaning            `json:"meaning"`
	Entries []vault.NotificationEntry `json:"entries"`
}

func (a *app) showNotification(n shownNotification) error {
	p := a.printer()
	if done, err := p.Whole(n, n.ID); done {
		return err
	}
	fmt.Fprintf(a.out, "%s  %s  %s to %s by %s\n\n", n.ID, p.Paint(certaintyCell(n.Certainty)), output.Printable(n.Event),
		output.Printable(n.Recipient), output.Printable(n.Channel))
	duplicate := ""
	if n.PossibleDuplicate {
		duplicate = "possible: an earlier attempt may have arrived as well"
	}
	if err := p.Pairs([][2]string{
		{"alert", n.Alert},
		{"status", n.Status},
		{"means", meaningOf(n.Notification, n.Meaning)},
		{"proof", proofOf(n.Notification)},
		{"reason", n.Reason},
		{"receipt", receiptText(n.Notification)},
		{"duplicate", duplicate},
		{"provider's id", n.ExternalID},
	}); err != nil {
		return err
	}
	fmt.Fprintln(a.out, "\nwhat was recorded:")
	return output.List(p, n.Entries, entryColumns(), nil)
}

// meaningOf puts the certainty of a notification into words.
func meaningOf(n vault.Notification, m notify.Meaning) string {
	switch n.Certainty {
	case "CONFIRMED":
		return "a receipt says that it arrived: " + m.Confirmed
	case "ACCEPTED":
		if m.Confirmed == "" {
			return m.Accepted + "; no receipt follows"
		}
		return m.Accepted + "; it is confirmed by: " + m.Confirmed
	case "UNCERTAIN":
		return "an attempt ended without an answer: " + m.Uncertain
	case "FAILED":
		return "it did not arrive, or came back"
	case "PENDING":
		return "an attempt is under way, or another follows"
	}
	return "it was held back or withdrawn, and nobody was told by it"
}

func entryColumns() []output.Column[vault.NotificationEntry] {
	type row = vault.NotificationEntry
	return []output.Column[row]{
		{Name: "RECORDED (UTC)", Cell: func(e row) output.Cell { return output.Text(e.RecordedAt.Format("2006-01-02 15:04:05.000")) }},
		{Name: "WHAT", Cell: func(e row) output.Cell { return output.Text(entryKind(e)) }},
		{Name: "STATUS", Cell: func(e row) output.Cell { return deliveryCell(e.Status) }},
		{Name: "CLASS", Cell: func(e row) output.Cell { return output.Text(output.OrNone(e.Class)) }},
		{Name: "DETAILS", Cell: func(e row) output.Cell { return output.Text(output.OrNone(entryDetails(e))) }},
		{Name: "HAPPENED", Wide: true, Cell: func(e row) output.Cell { return output.Text(output.Moment(e.At)) }},
		{Name: "CONTENT", Wide: true, Cell: func(e row) output.Cell { return output.Text(output.OrNone(e.Content)) }},
	}
}

func entryKind(e vault.NotificationEntry) string {
	attempt := "attempt " + strconv.Itoa(e.Attempt+1)
	switch {
	case e.Kind == "INTENT":
		return attempt + " begun"
	case e.Kind == "RECEIPT" && e.Late:
		return "receipt " + e.Receipt + ", late"
	case e.Kind == "RECEIPT":
		return "receipt " + e.Receipt
	}
	return attempt + " ended"
}

func entryDetails(e vault.NotificationEntry) string {
	var parts []string
	if e.Kind == "RECEIPT" {
		parts = append(parts, "by "+e.Provider)
		var details map[string]any
		if json.Unmarshal(e.Details, &details) != nil {
			return parts[0] + ", " + string(e.Details) // no object: shown as it is
		}
		for _, name := range slices.Sorted(maps.Keys(details)) {
			parts = append(parts, fmt.Sprintf("%s %v", name, details[name]))
		}
		return strings.Join(parts, ", ")
	}
	if e.DurationMS > 0 {
		parts = append(parts, fmt.Sprintf("%d ms", e.DurationMS))
	}
	for _, part := range []string{e.Proof, e.Reason} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if e.ExternalID != "" {
		parts = append(parts, "provider's id "+e.ExternalID)
	}
	if e.PossibleDuplicate {
		parts = append(parts, "possible duplicate")
	}
	return strings.Join(parts, ", ")
}
