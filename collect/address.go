package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Address says where a target is, and where its secret is: never the secret itself. Exactly one of URL,
// URLEnv and URLFile is set; with URL at most one of PasswordEnv and PasswordFile.
type Address struct {
	URL                       string // postgres://user@host:5432/database?sslmode=verify-full, without a password
	PasswordEnv, PasswordFile string // where the password is: a variable of this process, or an absolute path
	URLEnv, URLFile           string // where the whole address is, its password included
}

// Secrets is where references lead. A file must lie in one of Dirs, so that whoever may write a target's
// row cannot have any file of the host sent to a server of their choice.
type Secrets struct {
	LookupEnv func(string) (string, bool) // nil: os.LookupEnv
	Dirs      []string                    // nil: DefaultSecretsDirs
}

// DefaultSecretsDirs are where the files of secrets lie: containers have the first, hosts the second.
var DefaultSecretsDirs = []string{"/run/secrets", "/etc/onevault"}

// mountedSecrets is filled by container runtimes, which make its files readable by everybody in the container.
const mountedSecrets = "/run/secrets"

const maxSecret = 8 << 10

var (
	variableName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	// ownVariables are the worker's credentials, and what its own libpq reads.
	ownVariables = regexp.MustCompile(`^(PG[A-Z]+$|TEMPORAL_|ONEVAULT_DATABASE|ONEVAULT_LINK)`)
	// addressParameters are what an address may set; the collector sets the rest.
	addressParameters = []string{"sslmode", "sslrootcert", "sslcert", "sslkey", "sslsni", "host", "port", "target_session_attrs"}
	unresolved        = regexp.MustCompile(`(^|: )(password|url)_(env|file): `)
)

// addressShape is what to write instead.
const addressShape = "write postgres://user@host:5432/database?sslmode=verify-full"

// Validate refuses what could never be reached, and what holds a secret itself. No error repeats a password.
func (a Address) Validate() error {
	given := 0
	for _, source := range []string{a.URL, a.URLEnv, a.URLFile} {
		if source != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return errors.New("give the address without its password, or one variable or file that holds all of it")
	case a.PasswordEnv != "" && a.PasswordFile != "":
		return errors.New("password_env and password_file are both given: give one")
	case a.URL == "" && (a.PasswordEnv != "" || a.PasswordFile != ""):
		return errors.New("the whole address holds its password: leave password_env and password_file out")
	}
	for field, name := range map[string]string{"password_env": a.PasswordEnv, "url_env": a.URLEnv} {
		switch {
		case name == "":
		case !variableName.MatchString(name):
			return fmt.Errorf("%s is no name of a variable: write its name and no value, such as PGPASS_PROD", field)
		case ownVariables.MatchString(name):
			return fmt.Errorf("%s is %s, which is the worker's own: give the secret of a target a variable of its own, such as PGPASS_PROD", field, name)
		}
	}
	if a.URL == "" {
		return nil
	}
	parsed, err := parseAddress(a.URL)
	if err != nil {
		return err
	}
	if _, has := parsed.User.Password(); has {
		return errors.New("the address holds a password: leave it out and name where it is, password_env or password_file; what was typed may stand in a shell's history or a log, so change that password")
	}
	return nil
}

// parseAddress reads a whole address. Its errors repeat nothing of it but the name of a parameter.
func parseAddress(text string) (*url.URL, error) {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Scheme != "postgres" && parsed.Scheme != "postgresql" {
		return nil, errors.New("the address is no PostgreSQL URL: " + addressShape)
	}
	for name := range parsed.Query() {
		if strings.HasSuffix(strings.ToLower(name), "password") {
			return nil, errors.New("the address holds a password in its parameters: leave it out and name where it is, password_env or password_file")
		}
		if !slices.Contains(addressParameters, name) {
			return nil, fmt.Errorf("the address has the parameter %q, which is none of a target: use %s", name, strings.Join(addressParameters, ", "))
		}
	}
	if parsed.User.Username() == "" || len(parsed.Path) < 2 || parsed.Host == "" && parsed.Query().Get("host") == "" {
		return nil, errors.New("the address lacks its user, host or database: " + addressShape)
	}
	return parsed, nil
}

// Unresolved reports whether a reason, as CollectHealth and Check give it, is that a secret is not where the
// target's row says.
func Unresolved(reason string) bool { return unresolved.MatchString(reason) }

// config is how to connect at this moment: secrets are read each time, so that a new password needs no restart.
func (a Address) config(secrets Secrets) (*pgx.ConnConfig, error) {
	whole := a.URL
	if whole == "" {
		text, err := secrets.Read("url", a.URLEnv, a.URLFile)
		if err != nil {
			return nil, err
		}
		if _, err := parseAddress(text); err != nil {
			return nil, fmt.Errorf("url_env or url_file: %w", err)
		}
		whole = text
	}
	config, err := pgx.ParseConfig(whole)
	if err != nil {
		return nil, fmt.Errorf("the address cannot be used: %w", plain(err))
	}
	if a.URL == "" {
		return config, nil
	}
	// The parser takes the worker's own PGPASSWORD or .pgpass where an address has no password.
	config.Password = ""
	if a.PasswordEnv != "" || a.PasswordFile != "" {
		config.Password, err = secrets.Read("password", a.PasswordEnv, a.PasswordFile)
	}
	return config, err
}

// Read returns a secret of one line, from a variable or a file, or an error that names the field and the remedy.
func (s Secrets) Read(field, variable, file string) (string, error) {
	if variable == "" {
		text, err := s.readFile(file)
		if err != nil {
			return "", fmt.Errorf("%s_file: %w", field, err)
		}
		return text, nil
	}
	lookup := s.LookupEnv
	if lookup == nil {
		lookup = os.LookupEnv
	}
	value, there := lookup(variable)
	if value = strings.TrimSpace(value); !there || value == "" {
		return "", fmt.Errorf("%s_env: the variable %s is not set; set it in the worker's environment and restart the worker", field, variable)
	}
	return value, nil
}

// readFile opens the directory as a root, so that neither ".." nor a symbolic link leads out of it.
func (s Secrets) readFile(path string) (string, error) {
	dirs := s.Dirs
	if dirs == nil {
		dirs = DefaultSecretsDirs
	}
	for _, dir := range dirs {
		name, err := filepath.Rel(dir, path)
		if err != nil || !filepath.IsLocal(name) {
			continue
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			return "", fmt.Errorf("%s cannot be read: %w", path, plain(err))
		}
		defer root.Close()
		return readSecret(root, name, path)
	}
	return "", fmt.Errorf("%s lies in none of %s; put it there, or set ONEVAULT_SECRETS_DIR to its directory", path, strings.Join(dirs, ", "))
}

func readSecret(root *os.Root, name, path string) (string, error) {
	file, err := root.Open(name)
	if err != nil {
		return "", fmt.Errorf("%s cannot be read: %w", path, plain(err))
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", fmt.Errorf("%s cannot be read: %w", path, plain(err))
	}
	if err := checkMode(path, info); err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(file, maxSecret))
	if err != nil {
		return "", fmt.Errorf("%s cannot be read: %w", path, plain(err))
	}
	text := strings.TrimSpace(string(data))
	switch {
	case text == "":
		return "", fmt.Errorf("%s is empty", path)
	case strings.ContainsAny(text, "\n\r"):
		return "", fmt.Errorf("%s has several lines: it shall hold the secret and nothing else", path)
	}
	return text, nil
}

// checkMode: the owner's, and readable by a group at most.
func checkMode(path string, info fs.FileInfo) error {
	shared := info.Mode().Perm() & 0o027
	if strings.HasPrefix(path, mountedSecrets+"/") {
		shared &^= 0o004
	}
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no file", path)
	case shared != 0:
		return fmt.Errorf("%s has the mode %04o, so that others may read or change it: chmod 0600 (or 0640 for a group)", path, info.Mode().Perm())
	}
	return nil
}

// follow makes each new connection of a pool go where the address leads at that moment.
func (a Address) follow(config *pgxpool.Config, secrets Secrets) {
	config.BeforeConnect = func(_ context.Context, connect *pgx.ConnConfig) error {
		current, err := a.config(secrets)
		if err != nil {
			return errors.New(err.Error()) // as a whole: its innermost cause alone would not name the field
		}
		connect.Host, connect.Port, connect.Database = current.Host, current.Port, current.Database
		connect.User, connect.Password = current.User, current.Password
		connect.TLSConfig, connect.Fallbacks, connect.ValidateConnect = current.TLSConfig, current.Fallbacks, current.ValidateConnect
		return nil
	}
}
