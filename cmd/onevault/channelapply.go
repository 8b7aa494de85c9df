package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"onevault/alert"
	"onevault/cmd/onevault/channels"
	"onevault/cmd/onevault/output"
	"onevault/cmd/onevault/yamlfile"
	"onevault/notify"
	"onevault/vault"
)

func (a *app) channelApplyCommand() *cobra.Command {
	var (
		dryRun bool
		actor  string
	)
	cmd := &cobra.Command{
		Use:   "apply FILE",
		Short: "Bring a file of channels into the vault: all of it or nothing",
		Long: `Bring a file of channels into the vault, all of it or nothing. Its fields are the columns of
monitoring.notification_config_s. What is equal is left alone; what differs gets a new version with its author. Templates are
tried on an example before anything is written. What is not in the file is left alone, too; write enabled: false to end a
channel. Secrets belong into variables or files that the configuration names: docs/channels.md.`,
		Example: "  onevault channel apply channels.yaml --dry-run\n  onevault channel apply channels.yaml && onevault channel test SLACK_OPS",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.applyChannels(cmd.Context(), args[0], actor, dryRun)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "check and show, write nothing")
	a.actorFlag(cmd, &actor)
	return cmd
}

func (a *app) applyChannels(ctx context.Context, name, actor string, dryRun bool) error {
	file, err := a.readChannels(name)
	if err != nil {
		return err
	}
	line := func(key string) int {
		return file[slices.IndexFunc(file, func(c channels.Channel) bool { return c.Key == key })].Line
	}
	var changes map[string]vault.ChannelChange
	if err := a.writeKept(ctx, name, actor, line, func(store *vault.Store, author string) (refused []vault.DefinitionRefusal, err error) {
		specs := each(file, func(c channels.Channel) vault.ChannelSpec { return c.ChannelSpec })
		changes, refused, err = store.PutChannels(ctx, specs, author, dryRun)
		return refused, err
	}); err != nil {
		return err
	}
	a.tellComparisons(each(file, func(c channels.Channel) comparison {
		change := changes[c.Key]
		return comparison{key: c.Key, text: c.Type + " " + c.Name, known: change != vault.ChannelAdded, same: change == vault.ChannelUnchanged}
	}))
	for _, c := range file {
		if changes[c.Key] != vault.ChannelUnchanged {
			for _, hint := range notify.Lint(configOf(c)) {
				a.note("%s", output.Printable(hint.Error()))
			}
		}
	}
	if dryRun {
		a.note("dry run: nothing was written")
	}
	return nil
}

// readChannels reads a file whose templates say something.
func (a *app) readChannels(name string) ([]channels.Channel, error) {
	text, err := a.readFile(name, "docs/channels.md shows one")
	if err != nil {
		return nil, err
	}
	file, problems := channels.Parse(text)
	for _, c := range file {
		for _, event := range []alert.Event{alert.EventFired, alert.EventResolved} {
			if _, err := notify.Preview(configOf(c), notify.Sample(event)); err != nil {
				problems = append(problems, yamlfile.Problem{Line: c.Line, Key: c.Key, Field: "configuration", Text: err.Error()})
				break
			}
		}
	}
	if len(problems) > 0 {
		return nil, a.fileProblems(name, problems)
	}
	return file, nil
}

func configOf(c channels.Channel) notify.Config {
	return notify.Config{Key: c.Key, Name: c.Name, Type: notify.Type(c.Type), Configuration: c.Configuration}
}
