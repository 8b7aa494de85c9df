// Package settings is where the parts of OneVault find each other on one machine: the environment
// variables of the contract, and the file that a development start leaves for the next terminal.
//
// It owns the names, the default directory and the file's format. It refuses to interpret the values:
// each package checks its own. The file may hold a password, so it is readable by its owner only, and
// no error here repeats a value.
package settings

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The variables that a development start writes.
const (
	DatabaseURL     = "ONEVAULT_DATABASE_URL"
	TemporalAddress = "TEMPORAL_ADDRESS"
	UIURL           = "ONEVAULT_UI_URL"
	APIURL          = "ONEVAULT_API_URL"
	InboxURL        = "ONEVAULT_INBOX_URL"
)

// dataDirVariable names another default directory, for one who runs several development starts.
const dataDirVariable = "ONEVAULT_DATA_DIR"

// systemDir is root's default: /root is closed to the account that PostgreSQL runs as.
const systemDir = "/var/lib/onevault"

// DefaultDataDir is where a development start keeps its data unless it is told otherwise:
// $ONEVAULT_DATA_DIR, else /var/lib/onevault as root, else onevault under the user's cache directory.
func DefaultDataDir() (string, error) {
	if dir := os.Getenv(dataDirVariable); dir != "" {
		return filepath.Abs(dir)
	}
	if os.Geteuid() == 0 {
		return systemDir, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a directory for the data (set %s): %w", dataDirVariable, err)
	}
	return filepath.Join(cache, "onevault"), nil
}

// EnvFile is the file of a data directory that says where its development start listens.
func EnvFile(dir string) string { return filepath.Join(dir, "onevault.env") }

// Values are variables by name.
type Values map[string]string

// Get is the value of a variable: the environment's where it is set, else the file's, else empty.
func (v Values) Get(name string) string {
	if value, ok := os.LookupEnv(name); ok && value != "" {
		return value
	}
	return v[name]
}

// Load reads the file of the default directory. Without a file the result is empty: then only the
// environment speaks (see Values.Get). An account without a home, such as one that a mail server runs a
// program as, has no development start.
func Load() (Values, error) {
	dir, err := DefaultDataDir()
	if err != nil {
		return Values{}, nil //nolint:nilerr // see above
	}
	values, err := ReadEnvFile(dir)
	// A file of another account (root's) is none of ours.
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return Values{}, nil
	}
	return values, err
}

var name = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)

// WriteEnvFile replaces the file of a data directory, as a whole or not at all. A POSIX shell can
// source it: one NAME='value' per line, in the order of the names.
func WriteEnvFile(dir string, vars map[string]string) error {
	var text strings.Builder
	text.WriteString("# Written by onevault-dev; replaced at each start, removed at its end.\n")
	for _, key := range slices.Sorted(maps.Keys(vars)) {
		if !name.MatchString(key) {
			return fmt.Errorf("write %s: %q is not the name of a variable", EnvFile(dir), key)
		}
		if strings.ContainsAny(vars[key], "\n\r\x00") {
			return fmt.Errorf("write %s: the value of %s is more than one line", EnvFile(dir), key)
		}
		fmt.Fprintf(&text, "%s='%s'\n", key, strings.ReplaceAll(vars[key], `'`, `'\''`))
	}
	if err := replaceFile(EnvFile(dir), text.String()); err != nil {
		return fmt.Errorf("write %s: %w", EnvFile(dir), err)
	}
	return nil
}

// replaceFile writes beside the file and renames, so that a reader sees the old or the new one.
func replaceFile(path, text string) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".onevault.env-*") // 0600
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// ReadEnvFile reads the file of a data directory; the error is fs.ErrNotExist where there is none.
func ReadEnvFile(dir string) (Values, error) {
	file, err := os.Open(EnvFile(dir))
	if err != nil {
		return nil, fmt.Errorf("read the development start's addresses: %w", err)
	}
	defer file.Close()
	values, err := parse(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", EnvFile(dir), err)
	}
	return values, nil
}

func parse(r io.Reader) (Values, error) {
	values := Values{}
	lines := bufio.NewScanner(r)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, quoted, ok := strings.Cut(line, "=")
		if !ok || !name.MatchString(key) {
			return nil, errors.New("line " + strconv.Itoa(number) + " is not NAME='value'")
		}
		values[key] = unquote(quoted)
	}
	return values, lines.Err()
}

// unquote takes what WriteEnvFile wrote, and a bare value as somebody may have typed it.
func unquote(text string) string {
	if len(text) >= 2 && strings.HasPrefix(text, "'") && strings.HasSuffix(text, "'") {
		return strings.ReplaceAll(text[1:len(text)-1], `'\''`, `'`)
	}
	return text
}
