package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"onevault/alert"
	"onevault/cmd/onevault/output"
	"onevault/notify"
)

func (a *app) channelPreviewCommand() *cobra.Command {
	var event string
	cmd := &cobra.Command{
		Use:   "preview NAME",
		Short: "Show what a channel would send, with its own templates, without sending it",
		Long: `Show what a channel would send about an example alert, as its receiver reads it: with the templates of its
configuration, within the limits of its provider. Nothing is sent and no secret is needed. Templates that cannot be used
are an error that says why.

Events: ` + strings.Join(eventNames(), ", ") + `.`,
		Example: "  onevault channel preview SLACK_OPS\n  onevault channel preview SLACK_OPS --event RESOLVED",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			chosen := alert.Event(strings.ToUpper(event))
			for _, known := range notify.Events() {
				if known == chosen {
					return a.previewChannel(cmd.Context(), args[0], chosen)
				}
			}
			return usage(fmt.Errorf("--event %q is none of %s", event, strings.Join(eventNames(), ", ")))
		},
	}
	cmd.Flags().StringVar(&event, "event", string(alert.EventFired), "what the message is about")
	return cmd
}

func eventNames() []string {
	names := make([]string, 0, len(notify.Events()))
	for _, event := range notify.Events() {
		names = append(names, string(event))
	}
	return names
}

// previewed is `channel preview` for programs.
type previewed struct {
	Channel string `json:"channel"`
	Type    string `json:"type"`
	Event   string `json:"event"`
	Content string `json:"content"`
}

func (a *app) previewChannel(ctx context.Context, key string, event alert.Event) error {
	store, err := a.vault(ctx)
	if err != nil {
		return err
	}
	row, err := store.Channel(ctx, key)
	if err != nil {
		return withRemedy(err, "see the channels: onevault channel list --all")
	}
	content, err := notify.Preview(notify.Config{
		Key: row.Key, Name: row.Name, Type: notify.Type(row.Type), Configuration: row.Configuration,
	}, notify.Sample(event))
	if err != nil {
		return err
	}
	p := a.printer()
	if p.Structured() || p.Format == output.Name {
		shown := previewed{Channel: row.Key, Type: row.Type, Event: string(event), Content: content}
		return output.List(p, []previewed{shown}, nil, func(p previewed) string { return p.Channel })
	}
	for line := range strings.Lines(content) {
		if _, err := fmt.Fprintln(a.out, output.Printable(strings.TrimRight(line, "\n"))); err != nil {
			return fmt.Errorf("write the preview: %w", err)
		}
	}
	return nil
}
