package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"onevault/cmd/onevault/doctor"
	"onevault/cmd/onevault/output"
	"onevault/settings"
	"onevault/workflows"
)

func (a *app) doctorCommand() *cobra.Command {
	var taskQueue string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at everything that an alert needs on its way, and say what to do about what is wrong",
		Long: `Look at settings, vault, Temporal, workers, schedules, definitions and channels. It changes nothing.
Exit code 1 when a check FAILs: an alert may then not reach anybody.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if taskQueue = a.setting(taskQueue, settings.TaskQueue); taskQueue == "" {
				taskQueue = workflows.DefaultTaskQueue
			}
			findings := a.examine(cmd.Context(), taskQueue)
			if err := a.printFindings(findings); err != nil {
				return err
			}
			if doctor.Failed(findings) {
				return &silent{exitError}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&taskQueue, "task-queue", "", "the workers' task queue (default $"+settings.TaskQueue+" or onevault)")
	return cmd
}

func (a *app) examine(ctx context.Context, taskQueue string) []doctor.Finding {
	findings := append([]doctor.Finding{a.examineSettings(), a.examineLinks()}, a.examineVault(ctx)...)
	var (
		schedules []string
		outbox    time.Duration
	)
	if store, err := a.vault(ctx); err == nil {
		if targets, err := store.Targets(ctx, false); err == nil { // what failed was told just now
			schedules = doctor.TargetSchedules(targets)
		}
		if keep, err := store.KeepsOutbox(ctx); err == nil {
			outbox = keep
		}
	}
	options, err := a.temporalOptions()
	if err != nil {
		return append(findings, a.finding("temporal", err))
	}
	connected, err := a.mustTemporal(ctx)
	if err != nil {
		return append(findings, a.finding("temporal", err))
	}
	findings = append(findings, doctor.Temporal(ctx, connected, options.HostPort, options.Namespace, taskQueue, schedules, outbox, a.now)...)
	for i := range findings {
		findings[i].Detail = a.withoutPassword(findings[i].Detail)
	}
	return findings
}

func (a *app) examineVault(ctx context.Context) []doctor.Finding {
	store, err := a.vault(ctx)
	if err != nil {
		return []doctor.Finding{a.finding("vault", err)}
	}
	url, err := a.vaultURL()
	if err != nil {
		return []doctor.Finding{a.finding("vault", err)}
	}
	return doctor.Vault(ctx, url, store, a.now)
}

// finding turns an error of ours into a finding with the same remedy.
func (a *app) finding(check string, err error) doctor.Finding {
	f := a.explain(err)
	return doctor.Finding{Check: check, Status: doctor.Fail, Detail: a.withoutPassword(f.message), Remedy: f.remedy}
}

// examineSettings says where the addresses come from. One from the environment and one from a development
// start usually do not belong together.
func (a *app) examineSettings() doctor.Finding {
	finding := doctor.Finding{Check: "settings", Status: doctor.OK}
	vaultFrom := a.origin(a.databaseURL, settings.DatabaseURL)
	temporalFrom := a.origin(a.temporalAddress, settings.TemporalAddress)
	finding.Detail = "vault by " + vaultFrom + ", Temporal by " + temporalFrom
	if (vaultFrom == fromFile) != (temporalFrom == fromFile) && vaultFrom != fromNowhere && temporalFrom != fromNowhere {
		finding.Status = doctor.Warn
		finding.Remedy = "set both " + settings.DatabaseURL + " and " + settings.TemporalAddress + ", or neither"
	}
	if _, err := settings.ParseCIDRs(a.values.Get(settings.AllowedCIDRs)); err != nil {
		return a.finding("settings", err)
	}
	return finding
}

// examineLinks looks whether mails can be answered by a press.
func (a *app) examineLinks() doctor.Finding {
	allowed, err := settings.ParseCIDRs(a.values.Get(settings.AllowedCIDRs))
	if err != nil {
		return a.finding("links", err)
	}
	return doctor.Inbound(doctor.InboundSettings{
		PublicURL: a.values.Get(settings.PublicURL), LinkKey: a.values.Get(settings.LinkKey), LinkKeyFile: a.values.Get(settings.LinkKeyFile), AllowedCIDRs: allowed,
	})
}

const (
	fromFlag     = "flag"
	fromVariable = "variable"
	fromFile     = "the development start's file"
	fromNowhere  = "default"
)

func (a *app) origin(flag, variable string) string {
	switch {
	case flag != "":
		return fromFlag
	case os.Getenv(variable) != "":
		return fromVariable
	case a.values[variable] != "":
		return fromFile
	}
	return fromNowhere
}

// printFindings gives each finding a line, and its remedy the next one: side by side they would be wider than any
// terminal.
func (a *app) printFindings(findings []doctor.Finding) error {
	p := a.printer()
	if p.Format != output.Table {
		return output.List(p, findings, findingColumns(), func(f doctor.Finding) string { return f.Check + " " + string(f.Status) })
	}
	widest := 0
	for _, f := range findings {
		widest = max(widest, len(f.Check))
	}
	const statusWidth = len(doctor.Warn)
	for _, f := range findings {
		status := p.Paint(output.Cell{Text: fmt.Sprintf("%-*s", statusWidth, f.Status), Style: findingStyles[f.Status]})
		fmt.Fprintf(a.out, "%s  %-*s  %s\n", status, widest, f.Check, output.Printable(f.Detail))
		if f.Remedy != "" {
			fmt.Fprintf(a.out, "%*s  → %s\n", statusWidth+2+widest, "", output.Printable(f.Remedy))
		}
	}
	return nil
}

var findingStyles = map[doctor.Status]output.Style{doctor.OK: output.Good, doctor.Warn: output.Fair, doctor.Fail: output.Bad}

func findingColumns() []output.Column[doctor.Finding] {
	return []output.Column[doctor.Finding]{
		{Name: "CHECK", Cell: func(f doctor.Finding) output.Cell { return output.Text(f.Check) }},
		{Name: "STATUS", Cell: func(f doctor.Finding) output.Cell {
			return output.Cell{Text: string(f.Status), Style: findingStyles[f.Status]}
		}},
		{Name: "FOUND", Cell: func(f doctor.Finding) output.Cell { return output.Text(f.Detail) }},
		{Name: "REMEDY", Cell: func(f doctor.Finding) output.Cell { return output.Text(output.OrNone(f.Remedy)) }},
	}
}
