package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// clusterDefaults tells Debian's packages whether to create and start a server of their own.
const clusterDefaults = "/etc/postgresql-common/createcluster.conf"

// mainCluster matches the line about it, commented out or not.
var mainCluster = regexp.MustCompile(`(?m)^#?[ \t]*create_main_cluster\b.*$`)

// InstallDebian installs the distribution's PostgreSQL server package on Debian and its kin, without the
// server on port 5432 that the package would start. Only root can; it takes a minute and the network.
// What it changes and runs, and the output of that, goes to progress. Start never calls it.
func InstallDebian(ctx context.Context, progress io.Writer) error {
	if _, err := os.Stat("/etc/debian_version"); err != nil {
		return errors.New("install postgresql: this is no Debian system")
	}
	if os.Geteuid() != 0 {
		return errors.New("install postgresql: only root can: run apt-get install -y --no-install-recommends postgresql as root")
	}
	return debian{clusterDefaults: clusterDefaults, progress: progress}.install(ctx)
}

type debian struct {
	clusterDefaults string
	progress        io.Writer
}

func (d debian) install(ctx context.Context) error {
	if err := d.refuseMainCluster(); err != nil {
		return fmt.Errorf("install postgresql: %w", err)
	}
	install := []string{
		"install", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", "postgresql",
	}
	first := d.aptGet(ctx, install...)
	if first == nil || ctx.Err() != nil {
		return first
	}
	// A fresh container has no package lists, an old machine stale ones.
	if err := d.aptGet(ctx, "update"); err != nil {
		return errors.Join(first, err)
	}
	return d.aptGet(ctx, install...)
}

// refuseMainCluster sets create_main_cluster = false, leaving the rest of the file as it is.
func (d debian) refuseMainCluster() error {
	const setting = "create_main_cluster = false"
	text, err := os.ReadFile(d.clusterDefaults)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	changed := mainCluster.ReplaceAll(text, []byte(setting))
	if !mainCluster.Match(text) {
		if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
			changed = append(changed, '\n')
		}
		changed = append(changed, setting+"\n"...)
	}
	if bytes.Equal(text, changed) {
		return nil
	}
	if _, err := fmt.Fprintf(d.progress, "+ echo '%s' >> %s\n", setting, d.clusterDefaults); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(d.clusterDefaults), 0o755); err != nil {
		return err
	}
	return os.WriteFile(d.clusterDefaults, changed, 0o644)
}

func (d debian) aptGet(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	// No questions, and what refuseMainCluster wrote stays as it is.
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "UCF_FORCE_CONFFOLD=1")
	cmd.Stdout, cmd.Stderr = d.progress, d.progress
	// dpkg must not be killed in the middle of a package.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	if _, err := fmt.Fprintln(d.progress, "+", cmd); err != nil {
		return fmt.Errorf("install postgresql: %w", err)
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", cmd, err)
	}
	return nil
}
