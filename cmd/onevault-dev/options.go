package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"onevault/settings"
)

// options is what the command line and the environment say.
type options struct {
	dataDir         string
	ephemeral       bool
	postgresRestart time.Duration
	noWorker        bool

	postgres, temporal, ui, api, inbox, smtp portChoice

	databaseURL     string // ONEVAULT_DATABASE_URL: use this one, start none
	temporalAddress string // TEMPORAL_ADDRESS: use this one, start none
	uiURL           string // ONEVAULT_UI_URL, of a Temporal that is not ours
}

func (o *options) register(flags *pflag.FlagSet) {
	flags.StringVar(&o.dataDir, "data-dir", "", "where everything is kept (default /var/lib/onevault as root, else under the user's cache)")
	flags.BoolVar(&o.ephemeral, "ephemeral", false, "remove the data at the end; without --data-dir they stand in a temporary directory")
	flags.DurationVar(&o.postgresRestart, "postgres-restart", 30*time.Second, "start PostgreSQL again this long after it died by itself; 0 leaves it dead")
	flags.BoolVar(&o.noWorker, "no-worker", false, "start no worker: `onevault worker` runs as a process of its own")
	o.postgres = portChoice{use: "PostgreSQL", flag: "postgres-port", port: 15432}
	o.temporal = portChoice{use: "Temporal", flag: "temporal-port", port: 7233}
	o.ui = portChoice{use: "the Temporal UI", flag: "ui-port", port: 8233}
	o.api = portChoice{use: "the API", flag: "api-port", port: 8080}
	o.inbox = portChoice{use: "the inbox", flag: "inbox-port", port: 8025}
	o.smtp = portChoice{use: "the inbox's SMTP", flag: "smtp-port", port: 1025}
	for _, c := range o.ports() {
		flags.IntVar(&c.port, c.flag, c.port, "port of "+c.use+"; 0 picks a free one")
	}
}

func (o *options) ports() []*portChoice {
	return []*portChoice{&o.postgres, &o.temporal, &o.ui, &o.api, &o.inbox, &o.smtp}
}

// complete checks the flags and adds what the environment says.
func (o *options) complete(flags *pflag.FlagSet) error {
	for _, c := range o.ports() {
		c.explicit = flags.Changed(c.flag)
		if c.port < 0 || c.port > 65535 {
			return fmt.Errorf("--%s %d: want 1 to 65535, or 0 for any free port", c.flag, c.port)
		}
	}
	if o.postgresRestart < 0 {
		return fmt.Errorf("--postgres-restart %s: want a time to wait, or 0 for never", o.postgresRestart)
	}
	o.databaseURL = os.Getenv(settings.DatabaseURL)
	o.temporalAddress = os.Getenv(settings.TemporalAddress)
	o.uiURL = os.Getenv(settings.UIURL)
	if o.ephemeral && o.dataDir == "" {
		return nil
	}
	return o.completeDataDir()
}

func (o *options) completeDataDir() error {
	var err error
	if o.dataDir == "" {
		o.dataDir, err = settings.DefaultDataDir()
	} else {
		o.dataDir, err = filepath.Abs(o.dataDir)
	}
	return err
}
