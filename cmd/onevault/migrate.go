package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"onevault/cmd/onevault/output"
	"onevault/migrations"
)

func (a *app) migrateCommand() *cobra.Command {
	return noun("migrate", "Bring the vault to the schema of this build", a.migrateUpCommand(), a.migrateStatusCommand(), a.migrateRepairCommand(), a.migrateDownCommand())
}

func (a *app) migrateUpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "up",
		Short: "Apply what is missing; any number of these may run at once",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			url, err := a.checkedVaultURL(cmd.Context())
			if err != nil {
				return err
			}
			steps := 0
			err = migrations.Up(cmd.Context(), url, func(line string) {
				steps++
				fmt.Fprintln(a.out, line)
			})
			if err == nil && steps == 0 {
				fmt.Fprintln(a.out, "nothing to do: the vault is up to date")
			}
			return err
		},
	}
}

func (a *app) migrateRepairCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "repair",
		Short: "Put OneVault's functions back where somebody replaced or dropped them",
		Long: `Put OneVault's functions back where somebody replaced or dropped them, and apply what is missing.

` + "`onevault doctor`" + ` names them. A function that the deployment guide lets you replace, such as
monitoring.detect_security_events, may stay replaced: OneVault then runs both.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			url, err := a.checkedVaultURL(cmd.Context())
			if err != nil {
				return err
			}
			steps := 0
			err = migrations.Repair(cmd.Context(), url, func(line string) {
				steps++
				fmt.Fprintln(a.out, line)
			})
			if err == nil && steps == 0 {
				fmt.Fprintln(a.out, "nothing to repair: every function is ours")
			}
			return err
		},
	}
}

// checkedVaultURL is the vault's address, well-formed: a parser's complaint would repeat the password.
func (a *app) checkedVaultURL(ctx context.Context) (string, error) {
	if _, err := a.vault(ctx); err != nil {
		return "", err
	}
	return a.vaultURL()
}

// shownStep is a migration as its status shows it.
type shownStep struct {
	Version   int64     `json:"version"`
	Name      string    `json:"name"`
	AppliedAt time.Time `json:"applied_at,omitzero"`
}

func (a *app) migrateStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "List the migrations and which are applied",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			url, err := a.checkedVaultURL(cmd.Context())
			if err != nil {
				return err
			}
			steps, err := migrations.Status(cmd.Context(), url)
			if err != nil {
				return err
			}
			list := make([]shownStep, len(steps))
			for i, step := range steps {
				list[i] = shownStep(step)
			}
			return output.List(a.printer(), list, stepColumns(), func(s shownStep) string { return s.Name })
		},
	}
}

func stepColumns() []output.Column[shownStep] {
	return []output.Column[shownStep]{
		{Name: "VERSION", Cell: func(s shownStep) output.Cell { return output.Text(strconv.FormatInt(s.Version, 10)) }},
		{Name: "NAME", Cell: func(s shownStep) output.Cell { return output.Text(s.Name) }},
		{Name: "APPLIED", Cell: func(s shownStep) output.Cell {
			if s.AppliedAt.IsZero() {
				return output.Cell{Text: "pending", Style: output.Fair}
			}
			return output.Text(output.Moment(s.AppliedAt))
		}},
	}
}

func (a *app) migrateDownCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Take back the newest migration, with the data that it holds",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			url, err := a.checkedVaultURL(cmd.Context())
			if err != nil {
				return err
			}
			if !yes {
				if err := a.confirm("take back the newest migration and delete its data"); err != nil {
					return err
				}
			}
			step, err := migrations.Down(cmd.Context(), url)
			if err != nil {
				return err
			}
			fmt.Fprintln(a.out, "took back "+step.Name)
			return nil
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}
