package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/alert"
	"onevault/cmd/onevault/output"
	"onevault/notify"
	"onevault/settings"
	"onevault/vault"
)

func (a *app) channelCommand() *cobra.Command {
	return noun("channel", "See, preview and test the notification channels, and bring them from a file", a.channels().command(a),
		a.channelApplyCommand(), a.channelPreviewCommand(), a.channelTestCommand())
}

func (a *app) channels() listing[shownChannel] {
	return listing[shownChannel]{
		short: "List the notification channels and how their last message ended",
		all:   "disabled channels too",
		rows: func(ctx context.Context, store *vault.Store, all bool) ([]shownChannel, error) {
			found, err := store.Channels(ctx, all)
			return each(found, showChannel), err
		},
		columns: channelColumns,
		name:    func(c shownChannel) string { return c.Key },
		none:    "no channels: nobody is told of any alert",
	}
}

// shownChannel is a channel as anybody may see it: its configuration without the secrets in it.
type shownChannel struct {
	Key           string          `json:"key"`
	Name          string          `json:"name"`
	Type          string          `json:"type"`
	Enabled       bool            `json:"enabled"`
	Severities    []string        `json:"severities,omitempty"` // absent: every severity
	Categories    []string        `json:"categories,omitempty"` // absent: every category
	Configuration json.RawMessage `json:"configuration"`
	RetryAttempts int             `json:"retry_attempts"`
	RetrySeconds  int             `json:"retry_delay_seconds"`
	Version       time.Time       `json:"version"`
	LastStatus    string          `json:"last_status,omitempty"` // of its newest notification
	LastClass     string          `json:"last_class,omitempty"`
	LastReason    string          `json:"last_reason,omitempty"`
	LastAt        time.Time       `json:"last_at,omitzero"`
}

func showChannel(c vault.ListedChannel) shownChannel {
	return shownChannel{
		Key: c.Key, Name: c.Name, Type: c.Type, Enabled: c.Enabled, Severities: c.Severities, Categories: c.Categories,
		Configuration: notify.Redact(notify.Config{Key: c.Key, Type: notify.Type(c.Type), Configuration: c.Configuration}).Configuration,
		RetryAttempts: c.RetryAttempts, RetrySeconds: c.RetryDelaySeconds, Version: c.Version,
		LastStatus: c.LastStatus, LastClass: c.LastClass, LastReason: c.LastReason, LastAt: c.LastAt,
	}
}

func channelColumns(now time.Time) []output.Column[shownChannel] {
	type row = shownChannel
	return []output.Column[row]{
		{Name: "CHANNEL", Cell: func(c row) output.Cell { return output.Text(c.Key) }},
		{Name: "TYPE", Cell: func(c row) output.Cell { return output.Text(c.Type) }},
		{Name: "NAME", Cell: func(c row) output.Cell { return output.Text(c.Name) }},
		{Name: "HEARS", Cell: func(c row) output.Cell { return output.Text(hears(c)) }},
		{Name: "LAST", Cell: func(c row) output.Cell {
			cell := deliveryCell(c.LastStatus)
			cell.Text = output.OrNone(cell.Text)
			return cell
		}},
		{Name: "AGE", Cell: func(c row) output.Cell { return output.Text(output.Age(now, c.LastAt)) }},
		{Name: "ENABLED", Wide: true, Cell: func(c row) output.Cell { return output.Text(strconv.FormatBool(c.Enabled)) }},
		{Name: "RETRIES", Wide: true, Cell: func(c row) output.Cell {
			return output.Text(fmt.Sprintf("%d after %ds", c.RetryAttempts, c.RetrySeconds))
		}},
		{Name: "REASON", Wide: true, Cell: func(c row) output.Cell { return output.Text(output.OrNone(c.LastReason)) }},
		{Name: "CONFIGURATION", Wide: true, Cell: func(c row) output.Cell { return output.Text(string(c.Configuration)) }},
	}
}

func hears(c shownChannel) string {
	text := "everything"
	if len(c.Severities) > 0 {
		text = strings.Join(c.Severities, ",")
	}
	if len(c.Categories) > 0 {
		text += " of " + strings.Join(c.Categories, ",")
	}
	return text
}

func (a *app) channelTestCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "test NAME",
		Short: "Send a marked test message through a channel and show what that proved",
		Long: `Send a marked test message to each recipient of a channel, from this process: it needs the channel's
secrets and ONEVAULT_ALLOWED_CIDRS in its own environment, as the worker has them in its. The ledger holds
no trace of a test, because a test belongs to no alert. Exit code 1 unless every recipient accepted.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.testChannel(cmd.Context(), args[0])
		},
	}
}

// tested is what one test message proved.
type tested struct {
	Channel    string  `json:"channel"`
	Recipient  string  `json:"recipient"`
	Class      string  `json:"class"`
	Proof      string  `json:"proof,omitempty"`
	Reason     string  `json:"reason,omitempty"`
	ExternalID string  `json:"external_id,omitempty"`
	DurationMS float64 `json:"duration_ms"`
}

func (a *app) testChannel(ctx context.Context, key string) error {
	store, err := a.vault(ctx)
	if err != nil {
		return err
	}
	row, err := store.Channel(ctx, key)
	if err != nil {
		return withRemedy(err, "see the channels: onevault channel list --all")
	}
	allowed, err := a.allowedNetworks()
	if err != nil {
		return err
	}
	publicURL, err := settings.ParsePublicURL(a.values.Get(settings.PublicURL), allowed)
	if err != nil {
		return usage(err)
	}
	channel, err := notify.Open(notify.Config{
		Key: row.Key, Name: row.Name, Type: notify.Type(row.Type), Configuration: row.Configuration,
	}, notify.Options{Allow: allowed, LookupEnv: a.lookupSecret, PublicURL: publicURL})
	if err != nil {
		return err
	}
	results, accepted := a.sendTests(ctx, row.Key, channel)
	if err := output.List(a.printer(), results, testedColumns(), func(t tested) string { return t.Recipient + " " + t.Class }); err != nil {
		return err
	}
	if !accepted {
		return &silent{exitError}
	}
	return nil
}

// allowedNetworks are the private networks that a test may reach. Against the vault of a development
// start that is its own host, where its inbox listens.
func (a *app) allowedNetworks() ([]netip.Prefix, error) {
	text := a.values.Get(settings.AllowedCIDRs)
	if text == "" && a.origin(a.databaseURL, settings.DatabaseURL) == fromFile {
		text = "127.0.0.0/8,::1/128"
	}
	networks, err := settings.ParseCIDRs(text)
	if err != nil {
		return nil, usage(err)
	}
	return networks, nil
}

// lookupSecret finds a channel's secret in the environment, or in the file of a development start.
func (a *app) lookupSecret(name string) (string, bool) {
	value := a.values.Get(name)
	return value, value != ""
}

func (a *app) sendTests(ctx context.Context, key string, channel notify.Channel) (results []tested, accepted bool) {
	accepted = true
	batch := rand.Text()
	for i, recipient := range channel.Recipients() {
		receipt := channel.Send(ctx, recipient, notify.Message{
			Key:    fmt.Sprintf("test-%s-%d", strings.ToLower(batch), i+1),
			Event:  alert.EventTest,
			Target: hostName(),
			Definition: alert.Definition{
				Key: "TEST", Name: "Test message", Category: "TEST", Severity: alert.SeverityLow,
				Description: "A test of the channel " + key + ": nothing is wrong.",
			},
			At: a.now(),
		})
		accepted = accepted && receipt.Class == notify.Accepted
		results = append(results, tested{
			Channel: key, Recipient: recipient, Class: string(receipt.Class), Proof: receipt.Proof, Reason: receipt.Reason,
			ExternalID: receipt.ExternalID, DurationMS: float64(receipt.Duration.Microseconds()) / 1000,
		})
	}
	return results, accepted
}

// hostName says where a test came from, if the host knows.
func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown host"
	}
	return name
}

func testedColumns() []output.Column[tested] {
	return []output.Column[tested]{
		{Name: "RECIPIENT", Cell: func(t tested) output.Cell { return output.Text(t.Recipient) }},
		{Name: "OUTCOME", Cell: func(t tested) output.Cell {
			style := output.Bad
			if t.Class == string(notify.Accepted) {
				style = output.Good
			}
			return output.Cell{Text: t.Class, Style: style}
		}},
		{Name: "TOOK", Cell: func(t tested) output.Cell { return output.Text(fmt.Sprintf("%.0f ms", t.DurationMS)) }},
		{Name: "PROOF OR REASON", Cell: func(t tested) output.Cell { return output.Text(proofOrReason(t.Proof, t.Reason, false)) }},
	}
}
