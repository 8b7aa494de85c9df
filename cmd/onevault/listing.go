package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"onevault/cmd/onevault/output"
	"onevault/vault"
)

// listing is what a `list` of rows of the vault has of its own; what all of them share is here.
type listing[T any] struct {
	use     string // empty: list
	short   string
	all     string // what --all adds; empty: there is no such flag
	rows    func(ctx context.Context, store *vault.Store, all bool) ([]T, error)
	columns func(now time.Time) []output.Column[T]
	name    func(T) string
	none    string // what an empty list means; empty: it speaks for itself
}

func (l listing[T]) command(a *app) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: l.short,
		Args:  cobra.NoArgs,
		RunE: a.onVault(func(ctx context.Context, store *vault.Store, _ []string) error {
			list, err := l.rows(ctx, store, all)
			if err != nil {
				return err
			}
			return printList(a, list, l.columns(a.now()), l.name, l.none)
		}),
	}
	if l.use != "" {
		cmd.Use = l.use
	}
	if l.all != "" {
		cmd.Flags().BoolVar(&all, "all", false, l.all)
	}
	return cmd
}

// printList writes rows in the format that was asked for, and says to a person what it means that there are none.
func printList[T any](a *app, rows []T, columns []output.Column[T], name func(T) string, none string) error {
	if err := output.List(a.printer(), rows, columns, name); err != nil {
		return err
	}
	if len(rows) == 0 && none != "" {
		a.note("%s", none)
	}
	return nil
}

// onVault is a command that does nothing before it has the vault.
func (a *app) onVault(run func(ctx context.Context, store *vault.Store, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		store, err := a.vault(cmd.Context())
		if err != nil {
			return err
		}
		return run(cmd.Context(), store, args)
	}
}

// removeCommand is `remove NAME`, of what a person takes away under their own name.
func (a *app) removeCommand(short string, remove func(ctx context.Context, store *vault.Store, name, by string) error) *cobra.Command {
	var who string
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, by, err := a.vaultAs(cmd.Context(), who)
			if err != nil {
				return err
			}
			if err := remove(cmd.Context(), store, args[0], by); err != nil {
				return err
			}
			fmt.Fprintln(a.out, "removed "+args[0])
			return nil
		},
	}
	a.actorFlag(cmd, &who)
	return cmd
}

// vaultAs is the vault, and who changes it: from the flag, the variable, or the login.
func (a *app) vaultAs(ctx context.Context, given string) (*vault.Store, string, error) {
	signed, err := a.sign(given, "")
	if err != nil {
		return nil, "", err
	}
	store, err := a.vault(ctx)
	return store, signed.Actor, err
}

// each is a list with every item turned into another.
func each[T, S any](list []T, turn func(T) S) []S {
	turned := make([]S, len(list))
	for i, t := range list {
		turned[i] = turn(t)
	}
	return turned
}
