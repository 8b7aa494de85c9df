// Package worker builds everything that a OneVault worker needs, registers it with Temporal, and runs
// it until it is told to stop: the activities and workflows, the schedules, the relay of the outbox,
// and the health endpoints. It holds no rule and no statement of its own.
package worker

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"time"

	"onevault/activities"
	"onevault/collect"
	"onevault/link"
	"onevault/settings"
	"onevault/workflows"
)

// Config is all that a worker is told.
type Config struct {
	DatabaseURL string // of the vault, which is also the watched target "local"

	// TemporalAddress and Namespace override Temporal's own environment (TEMPORAL_ADDRESS, ...).
	TemporalAddress string
	Namespace       string
	TaskQueue       string // default onevault

	CollectEvery  time.Duration // default 5m
	EvaluateEvery time.Duration // 0: each definition by its own frequency; otherwise all at this cadence

	DigestWithin   time.Duration // how long a message over the limit of a channel waits at most; default 15m
	CircuitOpenFor time.Duration // how long a destination that failed in a row is left alone; default 30s
	CircuitGiveUp  time.Duration // how long a message is refused by such a one before it is given up; default 1h

	// Timezone is where the daily report's days begin and its six o'clock strikes; default UTC.
	Timezone string

	AllowedCIDRs []netip.Prefix // private networks that channels may reach
	ArchiveDir   string         // where rows are archived before they leave the vault; empty: such rows stay
	SecretsDir   string         // files of the targets' secrets, beside collect.DefaultSecretsDirs; empty: only those
	ControlsDir  string         // *.sql files of compliance controls beside the built-in ones; empty: none
	APIAddr      string         // host:port of /healthz, /readyz and /metrics; empty: none
	InboundAddr  string         // host:port of what others tell us, where that is another one; empty: APIAddr
	Version      string         // of this build, for the manifests of archives
	UIURL        string         // base of the Temporal UI, for links in messages; empty: no links

	Slack SlackConfig // what is pressed in Slack; zero: nobody listens

	PublicURL      string         // under which others reach the API; empty: they cannot, and nothing says they could
	TrustedProxies []netip.Prefix // those that may say for whom they ask
	LinkKeys       string         // that sign such links, see link.ParseKeys; empty: none

	HeartbeatURL   string        // the outside watcher of the dead man's switch, a secret; empty: none
	HeartbeatEvery time.Duration // default 1m

	// OnReady, if set, is called once when everything runs.
	OnReady func()
}

// localTarget is the vault's own server.
const localTarget = activities.LocalTarget

// finestFrequency is the shortest frequency that a definition can have, and so the tick at which due
// definitions are looked for.
const finestFrequency = time.Minute

var queueName = regexp.MustCompile(`^[A-Za-z0-9_.:/-]{1,200}$`)

// withDefaults fills in what was left open.
func (c Config) withDefaults() Config {
	if c.TaskQueue == "" {
		c.TaskQueue = workflows.DefaultTaskQueue
	}
	if c.CollectEvery == 0 {
		c.CollectEvery = 5 * time.Minute
	}
	if c.Timezone == "" {
		c.Timezone = time.UTC.String()
	}
	return c
}

func (c Config) secretsDirs() []string {
	if c.SecretsDir == "" {
		return nil
	}
	return append([]string{c.SecretsDir}, collect.DefaultSecretsDirs...)
}

// Validate names the first setting that cannot work, its value and the remedy.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case c.DatabaseURL == "":
		return fmt.Errorf("ONEVAULT_DATABASE_URL is not set: give the vault's address, postgres://user:password@host:5432/onevault")
	case !queueName.MatchString(c.TaskQueue):
		return fmt.Errorf("ONEVAULT_TASK_QUEUE is %q: use letters, digits and _ . : / -", c.TaskQueue)
	case c.CollectEvery < time.Second:
		return fmt.Errorf("ONEVAULT_COLLECT_EVERY is %s: use at least 1s, usually 5m", c.CollectEvery)
	case c.EvaluateEvery != 0 && c.EvaluateEvery < time.Second:
		return fmt.Errorf("ONEVAULT_EVALUATE_EVERY is %s: use at least 1s, or leave it unset for the definitions' own frequencies", c.EvaluateEvery)
	case c.DigestWithin != 0 && (c.DigestWithin < time.Second || c.DigestWithin > time.Hour):
		return fmt.Errorf("%s is %s: use 1s to 1h, usually 15m", settings.DigestWithin, c.DigestWithin)
	case c.CircuitOpenFor != 0 && (c.CircuitOpenFor < time.Second || c.CircuitOpenFor > time.Hour):
		return fmt.Errorf("%s is %s: use 1s to 1h, usually 30s", settings.CircuitOpenFor, c.CircuitOpenFor)
	case c.CircuitGiveUp != 0 && (c.CircuitGiveUp < time.Second || c.CircuitGiveUp > 24*time.Hour):
		return fmt.Errorf("%s is %s: use 1s to 24h, usually 1h", settings.CircuitGiveUp, c.CircuitGiveUp)
	case c.ArchiveDir != "" && !filepath.IsAbs(c.ArchiveDir):
		return fmt.Errorf("ONEVAULT_ARCHIVE_DIR is %q: write an absolute path, such as /var/lib/onevault/archive", c.ArchiveDir)
	case c.SecretsDir != "" && !filepath.IsAbs(c.SecretsDir):
		return fmt.Errorf("ONEVAULT_SECRETS_DIR is %q: write an absolute path, such as /var/lib/onevault/secrets", c.SecretsDir)
	case c.ControlsDir != "" && !filepath.IsAbs(c.ControlsDir):
		return fmt.Errorf("ONEVAULT_CONTROLS_DIR is %q: write an absolute path, such as /etc/onevault/controls", c.ControlsDir)
	}
	if err := c.validateHeartbeat(); err != nil {
		return err
	}
	if _, err := settings.ParseTimezone(c.Timezone); err != nil {
		return err
	}
	if _, err := settings.ParsePublicURL(c.PublicURL, c.AllowedCIDRs); err != nil {
		return err
	}
	if _, err := c.linkKeys(); err != nil {
		return err
	}
	if c.InboundAddr != "" && c.APIAddr == "" {
		return fmt.Errorf("%s is set and %s is not: set both, or %s alone", settings.InboundAddr, settings.APIAddr, settings.APIAddr)
	}
	return c.Slack.validate(c.APIAddr)
}

// linkKeys are the zero value where none are set.
func (c Config) linkKeys() (link.Keys, error) {
	if c.LinkKeys == "" {
		return link.Keys{}, nil
	}
	keys, err := link.ParseKeys(c.LinkKeys)
	if err != nil {
		return link.Keys{}, fmt.Errorf("%s or %s: %w", settings.LinkKey, settings.LinkKeyFile, err)
	}
	return keys, nil
}
