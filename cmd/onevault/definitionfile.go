package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"onevault/alert"
	"onevault/cmd/onevault/definitions"
	"onevault/cmd/onevault/output"
	"onevault/cmd/onevault/yamlfile"
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
			for _, key := range args {
				if !slices.ContainsFunc(stands, func(v vault.DefinitionVersion) bool { return v.Key == key }) {
					return noDefinition(key)
				}
			}
			specs := make([]vault.DefinitionSpec, len(stands))
			for i, v := range stands {
				specs[i] = v.DefinitionSpec
			}
			text, err := definitions.Write(specs)
			if err != nil {
				return err
			}
			_, err = a.out.Write(text)
			return err
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
			text, err := definitions.Schema()
			if err != nil {
				return err
			}
			_, err = a.out.Write(text)
			return err
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
			if err := a.putDefinitions(cmd.Context(), args[0], file, specsOf(file), true); err != nil {
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
	specs := make([]vault.DefinitionSpec, len(file))
	for i, d := range file {
		specs[i] = d.DefinitionSpec
	}
	return specs
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
			if err := a.putDefinitionsAs(cmd.Context(), args[0], file, put, actor, dryRun); err != nil {
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

// readDefinitions reads a file, or stdin for "-", and says all that is wrong with its form.
func (a *app) readDefinitions(name string) ([]definitions.Definition, error) {
	text, err := a.readFile(name, "`onevault definition export > "+name+"` writes one")
	if err != nil {
		return nil, err
	}
	file, problems := definitions.Parse(text)
	if len(problems) > 0 {
		return nil, a.fileProblems(name, problems)
	}
	return file, nil
}

// readFile reads a file of definitions, tests or policies, or stdin for "-"; remedy says where to find one.
func (a *app) readFile(name, remedy string) ([]byte, error) {
	var (
		text []byte
		err  error
	)
	if name == "-" {
		text, err = io.ReadAll(io.LimitReader(a.in, maxFile+1))
	} else {
		text, err = os.ReadFile(name)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, &failure{exitNotFound, "there is no file " + name, remedy}
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", name, err)
	case len(text) > maxFile:
		return nil, &failure{exitError, fmt.Sprintf("%s has more than %d bytes", name, maxFile), "split it: each file is applied by itself"}
	}
	return text, nil
}

// maxFile bounds a file, in bytes: some thousands of definitions.
const maxFile = 4 << 20

// fileProblems tells each problem with its place, as compilers do.
func (a *app) fileProblems(name string, problems []yamlfile.Problem) error {
	if a.printer().Structured() {
		if err := a.printer().Value(problems); err != nil {
			return err
		}
		return &silent{exitError}
	}
	for _, p := range problems {
		place := name
		if p.Line > 0 {
			place = fmt.Sprintf("%s:%d", name, p.Line)
		}
		subject := strings.Trim(p.Key+"."+p.Field, ".")
		if subject != "" {
			subject += ": "
		}
		fmt.Fprintf(a.errOut, "%s: %s\n", place, output.Printable(subject+p.Text))
		if p.Remedy != "" {
			fmt.Fprintf(a.errOut, "  %s\n", output.Printable(p.Remedy))
		}
	}
	return &failure{code: exitError, message: fmt.Sprintf("%d problems in %s", len(problems), name)}
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

// putDefinitions writes with the name of whoever is logged in; see putDefinitionsAs.
func (a *app) putDefinitions(ctx context.Context, name string, file []definitions.Definition, put []vault.DefinitionSpec, dryRun bool) error {
	return a.putDefinitionsAs(ctx, name, file, put, "", dryRun)
}

// putDefinitionsAs has the vault take definitions, or say of each why not.
func (a *app) putDefinitionsAs(ctx context.Context, name string, file []definitions.Definition, put []vault.DefinitionSpec, actor string, dryRun bool) error {
	author, err := a.author(actor)
	if err != nil {
		return err
	}
	store, err := a.vault(ctx)
	if err != nil {
		return err
	}
	refused, unheard, err := store.PutDefinitions(ctx, put, author, dryRun)
	if err != nil {
		return err
	}
	if len(refused) > 0 {
		return a.fileProblems(name, problemsOf(refused, func(key string) int {
			at := slices.IndexFunc(file, func(d definitions.Definition) bool { return d.Key == key })
			if at < 0 {
				return 0
			}
			return file[at].Line
		}))
	}
	for _, key := range unheard {
		a.note("%s: heard by nobody: no enabled channel lets it through; see `onevault doctor`", output.Printable(key))
	}
	return nil
}

// problemsOf says where in a file stands what the vault refused; line finds the line of a key.
func problemsOf(refused []vault.DefinitionRefusal, line func(key string) int) []yamlfile.Problem {
	problems := make([]yamlfile.Problem, len(refused))
	for i, r := range refused {
		problems[i] = yamlfile.Problem{Key: r.Key, Line: line(r.Key), Text: r.Err.Error()}
		if refusal := (*vault.Refusal)(nil); errors.As(r.Err, &refusal) {
			problems[i].Text, problems[i].Remedy = refusal.Message, refusal.Hint
		}
	}
	return problems
}

// author is who stands in a version that this command line writes: the actor where one is given, and how it is known.
func (a *app) author(actor string) (string, error) {
	c := alert.Command{Actor: actor}
	if err := a.signCommand(&c); err != nil {
		return "", err
	}
	author := c.Via
	if c.Actor != login() {
		author = c.Actor + " " + c.Via
	}
	if runes := []rune(author); len(runes) > 100 {
		author = string(runes[:100])
	}
	return author, nil
}
