package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"onevault/cmd/onevault/definitions"
	"onevault/cmd/onevault/output"
	"onevault/vault"
)

// Definitions as code: a file is held against the vault, and brought into it.

func (a *app) definitionExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "export [KEY...]",
		Short:   "Write the definitions as they stand, or some of them, as a file for lint, diff and apply",
		Example: "  onevault definition export > definitions.yaml\n  onevault definition export PG_REPLICATION_LAG",
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			stands, err := store.DefinitionVersions(cmd.Context(), args, true)
			if err != nil {
				return err
			}
			if key := missing(args, stands, func(v vault.DefinitionVersion) string { return v.Key }); key != "" {
				return noDefinition(key)
			}
			return a.exportKept(definitions.Write(each(stands, func(v vault.DefinitionVersion) vault.DefinitionSpec { return v.DefinitionSpec })))
		},
	}
}

func noDefinition(key string) error {
	return &failure{exitNotFound, "the vault has no definition " + key, "see `onevault definition list --all`"}
}

func (a *app) definitionSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of a file of definitions, for editors",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.exportKept(definitions.Schema())
		},
	}
}

func (a *app) definitionLintCommand() *cobra.Command {
	var offline bool
	cmd := &cobra.Command{
		Use:   "lint FILE",
		Short: "Check a file of definitions: its form, and that the vault would take each of them; nothing is written",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := a.readDefinitions(args[0])
			if err != nil {
				return err
			}
			if offline {
				a.note("%s: %d definitions are well-formed; whether their conditions make sense only a vault can say", args[0], len(file))
				return nil
			}
			if err := a.putDefinitions(cmd.Context(), args[0], file, specsOf(file), "", true); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s: %d definitions, all in order\n", output.Printable(args[0]), len(file))
			return nil
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "without a vault: the form alone")
	return cmd
}

func specsOf(file []definitions.Definition) []vault.DefinitionSpec {
	return each(file, func(d definitions.Definition) vault.DefinitionSpec { return d.DefinitionSpec })
}

func (a *app) definitionDiffCommand() *cobra.Command {
	var prune bool
	cmd := &cobra.Command{
		Use:   "diff FILE",
		Short: "Show what applying a file would change (exit 1 when something would)",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, differences, err := a.compareDefinitions(cmd.Context(), args[0], prune)
			if err != nil {
				return err
			}
			if err := a.printDifferences(differences); err != nil {
				return err
			}
			if slices.ContainsFunc(differences, definitions.Difference.Touches) {
				return &silent{exitError}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&prune, "prune", false, pruneUsage)
	return cmd
}

const pruneUsage = "the file is all there is: disable what is not in it"

func (a *app) definitionApplyCommand() *cobra.Command {
	var (
		prune, dryRun, yes bool
		actor              string
	)
	cmd := &cobra.Command{
		Use:   "apply FILE",
		Short: "Bring a file of definitions into the vault: all of it or nothing",
		Long: `Bring a file of definitions into the vault, all of it or nothing. What is equal is left alone; what differs gets a new
version with its author, which takes effect at the next evaluation. Alerts that are open end under the version
that they began with. What is not in the file is left alone, too, unless --prune is given.`,
		Example: "  onevault definition apply definitions.yaml --dry-run\n  onevault definition export | onevault definition apply -",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, differences, err := a.compareDefinitions(cmd.Context(), args[0], prune)
			if err != nil {
				return err
			}
			if err := a.printDifferences(differences); err != nil {
				return err
			}
			var put []vault.DefinitionSpec
			disabled := 0
			for _, d := range differences {
				if d.Touches() {
					put = append(put, d.Put)
				}
				if d.Kind == definitions.Disabled {
					disabled++
				}
			}
			if disabled > 0 && !dryRun && !yes {
				if err := a.confirm(fmt.Sprintf("disable %d definitions that are not in the file", disabled)); err != nil {
					return err
				}
			}
			if err := a.putDefinitions(cmd.Context(), args[0], file, put, actor, dryRun); err != nil {
				return err
			}
			if dryRun {
				a.note("dry run: nothing was written")
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&dryRun, "dry-run", false, "check and show, write nothing")
	flags.BoolVar(&prune, "prune", false, pruneUsage)
	flags.BoolVarP(&yes, "yes", "y", false, "do not ask before disabling")
	a.actorFlag(cmd, &actor)
	return cmd
}

func (a *app) readDefinitions(name string) ([]definitions.Definition, error) {
	return readKept(a, "definition", name, definitions.Parse)
}

func (a *app) compareDefinitions(ctx context.Context, name string, prune bool) ([]definitions.Definition, []definitions.Difference, error) {
	file, err := a.readDefinitions(name)
	if err != nil {
		return nil, nil, err
	}
	store, err := a.vault(ctx)
	if err != nil {
		return nil, nil, err
	}
	stands, err := store.DefinitionVersions(ctx, nil, true)
	if err != nil {
		return nil, nil, err
	}
	return file, definitions.Compare(file, stands, prune), nil
}

func (a *app) printDifferences(differences []definitions.Difference) error {
	p := a.printer()
	if p.Structured() {
		if differences == nil {
			differences = []definitions.Difference{}
		}
		return p.Value(differences)
	}
	count := map[definitions.Kind]int{}
	for _, d := range differences {
		count[d.Kind]++
		if !d.Touches() {
			continue
		}
		mark, style := "~", output.Fair
		switch d.Kind {
		case definitions.Added:
			mark, style = "+", output.Good
		case definitions.Disabled:
			mark, style = "-", output.Bad
		case definitions.Changed, definitions.Unchanged, definitions.Absent:
		}
		note := ""
		if d.Open > 0 {
			note = fmt.Sprintf("   (%d open, ending as before)", d.Open)
		}
		fmt.Fprintf(a.out, "%s%s\n", p.Paint(output.Cell{Text: mark + " " + d.Key, Style: style}), note)
		if d.Kind == definitions.Added {
			fmt.Fprintf(a.out, "    %s %s: %s\n", d.Put.Severity, output.Printable(d.Put.Name), output.Printable(d.Put.Condition))
			continue
		}
		for _, c := range d.Changes {
			fmt.Fprintf(a.out, "    %s: %s -> %s\n", c.Field, p.Paint(output.Cell{Text: shown(c.From), Style: output.Poor}), p.Paint(output.Cell{Text: shown(c.To), Style: output.Good}))
		}
	}
	fmt.Fprintf(a.out, "%d added, %d changed, %d disabled, %d unchanged, %d not in the file\n", count[definitions.Added], count[definitions.Changed],
		count[definitions.Disabled], count[definitions.Unchanged], count[definitions.Absent])
	return nil
}

func shown(value string) string {
	if value == "" {
		return "(none)"
	}
	return output.Printable(value)
}

// putDefinitions has the vault take definitions, or say of each why not.
func (a *app) putDefinitions(ctx context.Context, name string, file []definitions.Definition, put []vault.DefinitionSpec, actor string, dryRun bool) error {
	var unheard []string
	line := func(key string) int {
		at := slices.IndexFunc(file, func(d definitions.Definition) bool { return d.Key == key })
		if at < 0 {
			return 0
		}
		return file[at].Line
	}
	err := a.writeKept(ctx, name, actor, line, func(store *vault.Store, author string) (refused []vault.DefinitionRefusal, err error) {
		refused, unheard, err = store.PutDefinitions(ctx, put, author, dryRun)
		return refused, err
	})
	if err != nil {
		return err
	}
	for _, key := range unheard {
		a.note("%s: heard by nobody: no enabled channel lets it through; see `onevault doctor`", output.Printable(key))
	}
	return nil
}
