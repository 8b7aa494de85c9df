package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"onevault/cmd/onevault/output"
	"onevault/migrations"
)

// build is what this binary is.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Time    string `json:"time,omitempty"` // of the commit
	Changed bool   `json:"changed,omitempty"`
	Go      string `json:"go"`
	Schema  string `json:"schema"` // fingerprint of the migrations
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say what this binary is",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			switch p := a.printer(); {
			case p.Structured():
				return p.Value(b)
			case p.Format == output.Name:
				_, err := fmt.Fprintln(a.out, b.Version)
				return err
			default:
				_, err := fmt.Fprintln(a.out, b.line())
				return err
			}
		},
	}
}

func thisBuild() build {
	b := build{Version: version, Go: runtime.Version(), Schema: migrations.Fingerprint()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Commit = setting.Value
		case "vcs.time":
			b.Time = setting.Value
		case "vcs.modified":
			b.Changed = setting.Value == "true"
		}
	}
	return b
}

func (b build) line() string {
	text := "onevault " + b.Version
	if b.Commit != "" {
		text += " commit " + b.Commit[:min(12, len(b.Commit))]
		if b.Changed {
			text += " with changes"
		}
	}
	return text + ", " + b.Go + ", schema " + b.Schema
}
