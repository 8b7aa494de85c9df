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
	"onevault/cmd/onevault/output"
	"onevault/cmd/onevault/yamlfile"
	"onevault/vault"
)

// Files that people keep beside the vault: each is read, held against what stands, and brought in as a whole.

// kept is a kind of such files; F is what one of them says.
type kept[F any] struct {
	noun    string // of the commands
	plural  string // what a file holds
	example string // what people call one
	about   string // apply: what it does, beyond that it is all or nothing
	parse   func(text []byte) (F, []yamlfile.Problem)
	count   func(file F) string
	line    func(file F, key string) int
	put     func(ctx context.Context, store *vault.Store, file F, author string, dryRun bool) ([]vault.DefinitionRefusal, error)
	// compare holds a file against what stands; it is asked before anything is written.
	compare func(ctx context.Context, store *vault.Store, file F) ([]comparison, error)
}

// comparison is what becomes of one thing of a file.
type comparison struct {
	key, text   string
	known, same bool
}

func (k kept[F]) lintCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "lint FILE",
		Short: "Check a file of " + k.plural + ": its form, and that the vault would take each; nothing is written",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := readKept(a, k.noun, args[0], k.parse)
			if err != nil {
				return err
			}
			if err := k.write(cmd.Context(), a, args[0], file, "", true); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s: %s, all in order\n", output.Printable(args[0]), k.count(file))
			return nil
		},
	}
}

func (k kept[F]) applyCommand(a *app) *cobra.Command {
	var (
		dryRun bool
		actor  string
	)
	cmd := &cobra.Command{
		Use:     "apply FILE",
		Short:   "Bring a file of " + k.plural + " into the vault: all of it or nothing",
		Long:    k.about,
		Example: fmt.Sprintf("  onevault %[1]s apply %[2]s --dry-run\n  onevault %[1]s export | onevault %[1]s apply -", k.noun, k.example),
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := readKept(a, k.noun, args[0], k.parse)
			if err != nil {
				return err
			}
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			compared, err := k.compare(cmd.Context(), store, file)
			if err != nil {
				return err
			}
			if err := k.write(cmd.Context(), a, args[0], file, actor, dryRun); err != nil {
				return err
			}
			a.tellComparisons(compared)
			if dryRun {
				a.note("dry run: nothing was written")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "check and show, write nothing")
	a.actorFlag(cmd, &actor)
	return cmd
}

func (k kept[F]) write(ctx context.Context, a *app, name string, file F, actor string, dryRun bool) error {
	return a.writeKept(ctx, name, actor, func(key string) int { return k.line(file, key) },
		func(store *vault.Store, author string) ([]vault.DefinitionRefusal, error) {
			return k.put(ctx, store, file, author, dryRun)
		})
}

// tellComparisons says what became, or with a dry run would become, of each thing of a file.
func (a *app) tellComparisons(compared []comparison) {
	unchanged := 0
	for _, c := range compared {
		switch {
		case !c.known:
			fmt.Fprintf(a.out, "+ %s   %s\n", c.key, output.Printable(c.text))
		case c.same:
			unchanged++
		default:
			fmt.Fprintf(a.out, "~ %s   %s\n", c.key, output.Printable(c.text))
		}
	}
	fmt.Fprintf(a.out, "%d unchanged\n", unchanged)
}

// readKept reads a file, or stdin for "-", and says all that is wrong with its form.
func readKept[F any](a *app, noun, name string, parse func([]byte) (F, []yamlfile.Problem)) (F, error) {
	var none F
	text, err := a.readFile(name, "`onevault "+noun+" export > "+name+"` writes one")
	if err != nil {
		return none, err
	}
	file, problems := parse(text)
	if len(problems) > 0 {
		return none, a.fileProblems(name, problems)
	}
	return file, nil
}

// writeKept has the vault take what a file says under its author's name, or say of each part why not; line finds the
// line of a key.
func (a *app) writeKept(ctx context.Context, name, actor string, line func(key string) int,
	put func(store *vault.Store, author string) ([]vault.DefinitionRefusal, error),
) error {
	author, err := a.author(actor)
	if err != nil {
		return err
	}
	store, err := a.vault(ctx)
	if err != nil {
		return err
	}
	refused, err := put(store, author)
	if err != nil || len(refused) == 0 {
		return err
	}
	return a.fileProblems(name, problemsOf(refused, line))
}

// exportKept writes the file of what stands.
func (a *app) exportKept(text []byte, err error) error {
	if err != nil {
		return err
	}
	_, err = a.out.Write(text)
	return err
}

// missing is the first of the keys that nothing of a list has; empty: none.
func missing[T any](keys []string, list []T, key func(T) string) string {
	for _, k := range keys {
		if !slices.ContainsFunc(list, func(t T) bool { return key(t) == k }) {
			return k
		}
	}
	return ""
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
	return &failure{code: exitError, message: fmt.Sprintf("%d %s in %s", len(problems), plural(len(problems), "problem"), name)}
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
