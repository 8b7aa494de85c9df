package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"onevault/cmd/onevault/definitions"
	"onevault/cmd/onevault/output"
	"onevault/vault"
)

// historyEntry is a version with what it changed.
type historyEntry struct {
	// Number counts from 1, the first version.
	Number int `json:"number"`
	vault.DefinitionVersion
	Changes []definitions.Change `json:"changes"` // against the version before
}

func (a *app) definitionHistoryCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "history KEY",
		Short: "List the versions of a definition, the newest first: who changed what, and when",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			versions, err := store.DefinitionVersions(cmd.Context(), args, false)
			if err != nil {
				return err
			}
			if len(versions) == 0 {
				return noDefinition(args[0])
			}
			return output.List(a.printer(), entriesOf(versions), historyColumns(), func(e historyEntry) string { return strconv.Itoa(e.Number) })
		},
	}
}

// entriesOf numbers versions, which come newest first.
func entriesOf(versions []vault.DefinitionVersion) []historyEntry {
	entries := make([]historyEntry, len(versions))
	for i, v := range versions {
		entries[i] = historyEntry{Number: len(versions) - i, DefinitionVersion: v, Changes: []definitions.Change{}}
		if i+1 < len(versions) {
			entries[i].Changes = definitions.ChangesBetween(versions[i+1].DefinitionSpec, v.DefinitionSpec)
		}
	}
	return entries
}

func historyColumns() []output.Column[historyEntry] {
	return []output.Column[historyEntry]{
		{Name: "VERSION", Cell: func(e historyEntry) output.Cell { return output.Text(strconv.Itoa(e.Number)) }},
		{Name: "WRITTEN", Cell: func(e historyEntry) output.Cell { return output.Text(output.Moment(e.WrittenAt)) }},
		{Name: "BY", Cell: func(e historyEntry) output.Cell { return output.Text(output.OrNone(e.Author)) }},
		{Name: "OPEN", Cell: func(e historyEntry) output.Cell { return output.Text(strconv.Itoa(e.Open)) }},
		{Name: "CHANGED", Cell: func(e historyEntry) output.Cell {
			if len(e.Changes) == 0 {
				if e.Number == 1 {
					return output.Text("first version")
				}
				return output.Text("nothing but its author")
			}
			said := make([]string, len(e.Changes))
			for i, c := range e.Changes {
				said[i] = fmt.Sprintf("%s: %s -> %s", c.Field, shown(c.From), shown(c.To))
			}
			return output.Text(strings.Join(said, "; "))
		}},
		{Name: "SOURCE", Wide: true, Cell: func(e historyEntry) output.Cell { return output.Text(e.RecordSource) }},
	}
}

func (a *app) definitionRollbackCommand() *cobra.Command {
	var (
		to     int
		dryRun bool
		actor  string
	)
	cmd := &cobra.Command{
		Use:   "rollback KEY",
		Short: "Write an older version of a definition anew: the one before, or --to one of its history",
		Long: `Write an older version of a definition anew. History is not rewritten: the rollback is a version of its own, with its
author, and can be rolled back in turn.`,
		Example: "  onevault definition rollback PG_REPLICATION_LAG\n  onevault definition rollback PG_REPLICATION_LAG --to 3",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			versions, err := store.DefinitionVersions(cmd.Context(), args, false)
			if err != nil {
				return err
			}
			if len(versions) == 0 {
				return noDefinition(args[0])
			}
			back, err := versionFor(versions, to)
			if err != nil {
				return usage(err)
			}
			difference := definitions.Difference{
				Key: args[0], Kind: definitions.Changed, Put: back.DefinitionSpec, Open: versions[0].Open,
				Changes: definitions.ChangesBetween(versions[0].DefinitionSpec, back.DefinitionSpec),
			}
			if len(difference.Changes) == 0 {
				a.note("%s stands as it stood then; nothing to do", args[0])
				return nil
			}
			if err := a.printDifferences([]definitions.Difference{difference}); err != nil {
				return err
			}
			return a.putDefinitions(cmd.Context(), args[0], nil, []vault.DefinitionSpec{back.DefinitionSpec}, actor, dryRun)
		},
	}
	cmd.Flags().IntVar(&to, "to", 0, "the version's number in `onevault definition history` (default: the one before the present)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "check and show, write nothing")
	a.actorFlag(cmd, &actor)
	return cmd
}

// versionFor is the version with a number; 0: the one before the newest. They come newest first.
func versionFor(versions []vault.DefinitionVersion, number int) (vault.DefinitionVersion, error) {
	if number == 0 {
		number = len(versions) - 1
		if number == 0 {
			return vault.DefinitionVersion{}, errors.New("there is no version before the present one")
		}
	}
	if number < 1 || number > len(versions) {
		return vault.DefinitionVersion{}, fmt.Errorf("--to is %d: the history has versions 1 to %d", number, len(versions))
	}
	return versions[len(versions)-number], nil
}
