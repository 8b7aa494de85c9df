package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/cmd/onevault/output"
	"onevault/settings"
	"onevault/vault"
)

func (a *app) sourceCommand() *cobra.Command {
	cmd := noun("source", "See, set and remove the systems whose alerts are taken in: Alertmanager, or whatever sends JSON",
		a.sources().command(a), a.sourceApplyCommand(),
		a.removeCommand("Refuse what a system sends from now on; its open alerts stay until somebody resolves them",
			func(ctx context.Context, store *vault.Store, name, by string) error {
				return store.RemoveSource(ctx, name, by)
			}))
	cmd.Long = `A source is a system that sends alerts to the workers' API: Prometheus' Alertmanager, or anything that can send JSON.
Each proves itself by a bearer token, or by the signature of Standard Webhooks. Its row holds no secret: it names a variable or a
file of the workers. See docs/inbound.md.`
	return cmd
}

func (a *app) sources() listing[shownSource] {
	return listing[shownSource]{
		short: "List the sources, where they send to, and how many definitions their alerts have created",
		all:   "removed ones too",
		rows: func(ctx context.Context, store *vault.Store, all bool) ([]shownSource, error) {
			found, err := store.Sources(ctx, all)
			return each(found, a.showSource), err
		},
		columns: sourceColumns,
		name:    func(s shownSource) string { return s.Name },
		none:    "no sources; add one: onevault source apply prometheus --token-env ALERTMANAGER_TOKEN",
	}
}

// shownSource is a source with the address that it sends to.
type shownSource struct {
	vault.Source
	Address string `json:"address"` // of the generic form; Alertmanager's has its name in place of webhook
}

func (a *app) showSource(s vault.Source) shownSource {
	base := strings.TrimRight(a.values.Get(settings.PublicURL), "/")
	return shownSource{Source: s, Address: base + "/sources/webhook/" + s.Name}
}

func sourceColumns(now time.Time) []output.Column[shownSource] {
	type row = shownSource
	return []output.Column[row]{
		{Name: "SOURCE", Cell: func(s row) output.Cell { return output.Text(s.Name) }},
		{Name: "STATE", Cell: func(s row) output.Cell { return output.Text(s.State) }},
		{Name: "PROVED BY", Cell: func(s row) output.Cell { return output.Text(proofText(s.Source)) }},
		{Name: "DEFINITIONS", Cell: func(s row) output.Cell {
			cell := output.Cell{Text: strconv.Itoa(s.Definitions) + " of " + strconv.Itoa(s.MaxDefinitions)}
			if s.Definitions >= s.MaxDefinitions {
				cell.Style = output.Fair
			}
			return cell
		}},
		{Name: "TARGET", Cell: func(s row) output.Cell {
			if s.TargetLabel == "" {
				return output.Text(s.Name)
			}
			return output.Text("label " + s.TargetLabel)
		}},
		{Name: "CHANGED", Cell: func(s row) output.Cell { return output.Text(output.Age(now, s.Version) + " ago") }},
		{Name: "ADDRESS", Wide: true, Cell: func(s row) output.Cell { return output.Text(s.Address) }},
		{Name: "BY", Wide: true, Cell: func(s row) output.Cell { return output.Text(s.ChangedBy) }},
		{Name: "DESCRIPTION", Wide: true, Cell: func(s row) output.Cell { return output.Text(output.OrNone(s.Description)) }},
	}
}

func proofText(s vault.Source) string {
	switch {
	case s.TokenEnv != "":
		return "token in $" + s.TokenEnv
	case s.TokenFile != "":
		return "token in " + s.TokenFile
	case s.SecretEnv != "":
		return "signature, $" + s.SecretEnv
	}
	return "signature, " + s.SecretFile
}

func (a *app) sourceApplyCommand() *cobra.Command {
	var (
		s   vault.Source
		who string
	)
	cmd := &cobra.Command{
		Use:   "apply NAME",
		Short: "Let a system send alerts, or change how; what is not given has its default",
		Long: `Let a system send alerts. Give exactly one proof: where its bearer token is, or where the secret is with which it signs as
Standard Webhooks says. Variables and files are the workers'; files lie below /run/secrets, /etc/onevault or $` + settings.SecretsDir + `.
The first alert of a name and severity creates a definition of category EXTERNAL, which can be changed, disabled and silenced like
any other; --max-definitions bounds how many. The alerts stand on the target that --target-label names, else under the source's name.`,
		Example: "  onevault source apply prometheus --token-env ALERTMANAGER_TOKEN --target-label server\n" +
			"  onevault source apply backups --secret-file /etc/onevault/backups.secret --max-definitions 20 --description \"nightly backups\"",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, by, err := a.vaultAs(cmd.Context(), who)
			if err != nil {
				return err
			}
			s.Name = args[0]
			changed, err := store.PutSource(cmd.Context(), s, by)
			if err != nil {
				return err
			}
			if !changed {
				fmt.Fprintln(a.out, s.Name+" stands like this already")
				return nil
			}
			fmt.Fprintln(a.out, "applied "+s.Name)
			base := strings.TrimRight(a.values.Get(settings.PublicURL), "/")
			a.note("it sends to %s/sources/alertmanager/%s, or %s/sources/webhook/%s", base, s.Name, base, s.Name)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&s.TokenEnv, "token-env", "", "the workers' variable that holds its bearer token, such as ALERTMANAGER_TOKEN")
	flags.StringVar(&s.TokenFile, "token-file", "", "the file that holds it, such as /etc/onevault/alertmanager.token (mode 0600)")
	flags.StringVar(&s.SecretEnv, "secret-env", "", "the workers' variable that holds the secret with which it signs, whsec_...")
	flags.StringVar(&s.SecretFile, "secret-file", "", "the file that holds that secret")
	flags.StringVar(&s.TargetLabel, "target-label", "", "the label of its alerts that names a watched server")
	flags.IntVar(&s.MaxDefinitions, "max-definitions", 200, "how many definitions its alerts may create; what is beyond shares one for each severity")
	flags.StringVar(&s.Description, "description", "", "what it is, and whom to ask about it")
	a.actorFlag(cmd, &who)
	return cmd
}
