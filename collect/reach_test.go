package collect_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"onevault/collect"
	"onevault/pgserver"
)

// guardedServer is a server that asks for passwords, of this test alone.
func guardedServer(t *testing.T, config pgserver.Config) *pgserver.Server {
	t.Helper()
	config.Port = pgserver.AnyPort
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	server, err := pgserver.Start(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// withoutPassword is an address without its password, and the password.
func withoutPassword(t *testing.T, address string) (string, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal("the address of a test server is not a URL")
	}
	password, _ := u.User.Password()
	u.User = url.User(u.User.Username())
	return u.String(), password
}

// variables are an environment of one variable.
func variables(name, value string) collect.Secrets {
	return collect.Secrets{LookupEnv: func(asked string) (string, bool) { return value, asked == name }}
}

func openAddress(t *testing.T, address collect.Address, secrets collect.Secrets) *collect.Target {
	t.Helper()
	target, err := collect.OpenAddress("watched", address, secrets)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(target.Close)
	return target
}

// wantReason measures a target that must not be reachable, and returns how long that took.
func wantReason(t *testing.T, target *collect.Target, words ...string) time.Duration {
	t.Helper()
	started := time.Now()
	_, err := target.CollectHealth(t.Context(), healthQueries(t))
	took := time.Since(started)
	if err == nil {
		t.Fatalf("it is reachable, want %q", words)
	}
	for _, word := range append(words, "reach target watched: ") {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("got %q, want it to say %q", err, word)
		}
	}
	return took
}

func TestCollectHealth_SaysInPlainWordsWhyAServerKeepsItOut(t *testing.T) {
	t.Parallel()
	server := guardedServer(t, pgserver.Config{Ephemeral: true})
	admin := connect(t, server.URL("postgres"))
	exec(t, admin, "CREATE ROLE full LOGIN PASSWORD 'full-word' CONNECTION LIMIT 0")
	here, password := withoutPassword(t, server.URL("postgres"))
	as := func(role string) string { return strings.Replace(here, "postgres@", role+"@", 1) }

	target := openAddress(t, collect.Address{URL: here, PasswordEnv: "SECRET"}, variables("SECRET", password))
	if _, err := target.CollectHealth(t.Context(), healthQueries(t)); err != nil {
		t.Fatalf("with the right password: %v", err)
	}
	if v := target.ServerVersion(); v/10000 != server.Major() {
		t.Errorf("version %d, want %d", v, server.Major())
	}
	for name, c := range map[string]struct {
		address collect.Address
		secret  string
		words   []string
	}{
		"wrong password":   {collect.Address{URL: here, PasswordEnv: "SECRET"}, "s3cret-word", []string{"the password is refused", "28P01"}},
		"no password":      {collect.Address{URL: here}, "", []string{"28P01"}},
		"no such database": {collect.Address{URL: strings.Replace(here, "/postgres?", "/renamed?", 1), PasswordEnv: "SECRET"}, password, []string{"renamed or dropped", `"renamed"`, "3D000"}},
		"no slot":          {collect.Address{URL: as("full"), PasswordEnv: "SECRET"}, "full-word", []string{"out of connections", "53300"}},
		"no such variable": {collect.Address{URL: here, PasswordEnv: "OTHER"}, password, []string{"password_env: the variable OTHER is not set"}},
		"no such host":     {collect.Address{URL: "postgres://u@no-such-host.invalid/d"}, "", []string{"no-such-host.invalid"}},
		"nobody listens":   {collect.Address{URL: "postgres://u@127.0.0.1:1/d"}, "", []string{"127.0.0.1:1", "connection refused"}},
		"no TLS":           {collect.Address{URL: strings.Replace(here, "sslmode=disable", "sslmode=require", 1), PasswordEnv: "SECRET"}, password, []string{"TLS"}},
	} {
		target := openAddress(t, c.address, variables("SECRET", c.secret))
		wantReason(t, target, c.words...)
		_, err := target.CollectHealth(t.Context(), healthQueries(t))
		if c.secret != "" && strings.Contains(err.Error(), c.secret) {
			t.Errorf("%s: the password is repeated: %v", name, err)
		}
		if collect.Unresolved(err.Error()) != (name == "no such variable") {
			t.Errorf("%s: %v counts as a secret that is missing: %t", name, err, collect.Unresolved(err.Error()))
		}
	}
}

// A worker's own credentials never reach the server of a row.
func TestOpenAddress_TakesNoPasswordFromTheWorkersOwnEnvironment(t *testing.T) {
	server := guardedServer(t, pgserver.Config{Ephemeral: true})
	here, password := withoutPassword(t, server.URL("postgres"))
	t.Setenv("PGPASSWORD", password)
	wantReason(t, openAddress(t, collect.Address{URL: here}, collect.Secrets{}), "28P01")
}

func TestOpenAddress_FollowsAPasswordThatChanges(t *testing.T) {
	t.Parallel()
	server := guardedServer(t, pgserver.Config{Ephemeral: true})
	admin := connect(t, server.URL("postgres"))
	here, _ := withoutPassword(t, server.URL("postgres"))
	exec(t, admin, "CREATE ROLE watcher LOGIN PASSWORD 'first-word'")
	here = strings.Replace(here, "postgres@", "watcher@", 1)
	dir := t.TempDir()
	for name, c := range map[string]struct {
		address collect.Address
		text    func(password string) string
	}{
		"password": {collect.Address{URL: here, PasswordFile: filepath.Join(dir, "password")}, func(p string) string { return p + "\n" }},
		"url":      {collect.Address{URLFile: filepath.Join(dir, "url")}, func(p string) string { return strings.Replace(here, "watcher@", "watcher:"+p+"@", 1) }},
	} {
		path := filepath.Join(dir, name)
		exec(t, admin, "ALTER ROLE watcher PASSWORD 'first-word'")
		write(t, path, c.text("first-word"), 0o600)
		target := openAddress(t, c.address, collect.Secrets{Dirs: []string{dir}})
		if _, err := target.CollectHealth(t.Context(), healthQueries(t)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		exec(t, admin, "ALTER ROLE watcher PASSWORD 'second-word'")
		exec(t, admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'watcher'")
		wantReason(t, target)
		write(t, path, c.text("second-word"), 0o600)
		if _, err := target.CollectHealth(t.Context(), healthQueries(t)); err != nil {
			t.Errorf("%s: the new password is not taken: %v", name, err)
		}
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // the umask is the machine's
		t.Fatal(err)
	}
}

func TestOpenAddress_RefusesFilesThatAreNoSecret(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	write(t, in("fine"), "word", 0o640)
	write(t, in("readable"), "word", 0o644)
	write(t, in("writable"), "word", 0o620)
	write(t, in("empty"), " \n", 0o600)
	write(t, in("lines"), "A=1\nB=2\n", 0o600)
	write(t, filepath.Join(elsewhere, "other"), "word", 0o600)
	if err := os.Symlink(filepath.Join(elsewhere, "other"), in("link")); err != nil {
		t.Fatal(err)
	}
	for path, words := range map[string][]string{
		in("fine"):                           {"connection refused"}, // the file is no reason
		in("readable"):                       {"0644", "chmod 0600"},
		in("writable"):                       {"0620", "chmod 0600"},
		in("empty"):                          {"is empty"},
		in("lines"):                          {"several lines"},
		in("missing"):                        {"password_file: ", "no such file"},
		in("link"):                           {"password_file: "},
		dir:                                  {"is no file"},
		filepath.Join(elsewhere, "other"):    {"lies in none of", "ONEVAULT_SECRETS_DIR"},
		in("../" + filepath.Base(elsewhere)): {"lies in none of"},
	} {
		target := openAddress(t, collect.Address{URL: "postgres://u@127.0.0.1:1/d", PasswordFile: path}, collect.Secrets{Dirs: []string{dir}})
		wantReason(t, target, words...)
	}
}

func TestAddress_RefusesWhatCouldNeverWorkAndRepeatsNoPassword(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		address collect.Address
		want    string // empty: it is fine
	}{
		{collect.Address{URL: "postgres://u@h/d?sslmode=verify-full&sslrootcert=/etc/ca.pem"}, ""},
		{collect.Address{URL: "postgresql://u@/d?host=/var/run/postgresql"}, ""},
		{collect.Address{URLFile: "/etc/onevault/x"}, ""},
		{collect.Address{}, "or one variable or file"},
		{collect.Address{URL: "postgres://u@h/d", URLEnv: "X"}, "or one variable or file"},
		{collect.Address{URL: "postgres://u:s3cret-word@h/d"}, "history"},
		{collect.Address{URL: "postgres://u@h/d?password=s3cret-word"}, "holds a password"},
		{collect.Address{URL: "postgres://u:s3cret-word@h:port/d"}, "no PostgreSQL URL"},
		{collect.Address{URL: "host=h password=s3cret-word"}, "no PostgreSQL URL"},
		{collect.Address{URL: "mysql://u@h/d"}, "no PostgreSQL URL"},
		{collect.Address{URL: "postgres://h/d"}, "lacks its user"},
		{collect.Address{URL: "postgres://u@h"}, "database"},
		{collect.Address{URL: "postgres://u@h/d?passfile=/x"}, `"passfile"`},
		{collect.Address{URL: "postgres://u@h/d", PasswordEnv: "s3cret-word"}, "no name of a variable"},
		{collect.Address{URL: "postgres://u@h/d", PasswordEnv: "PGPASSWORD"}, "worker's own"},
		{collect.Address{URL: "postgres://u@h/d", PasswordEnv: "PGPASS_PROD"}, ""},
		{collect.Address{URLEnv: "ONEVAULT_DATABASE_URL"}, "worker's own"},
		{collect.Address{URLEnv: "ONEVAULT_LINK_KEY"}, "worker's own"},
		{collect.Address{URL: "postgres://u@h/d", PasswordEnv: "A", PasswordFile: "/b"}, "both given"},
		{collect.Address{URLEnv: "A", PasswordEnv: "B"}, "leave password_env"},
	} {
		err := c.address.Validate()
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret-word")) {
			t.Errorf("%+v: %v, want %q", c.address, err, c.want)
		}
	}
}

// A frozen server takes connections and answers nothing: it costs one timeout, and what follows in the same
// round none.
func TestCollectHealth_AFrozenServerCostsOneTimeout(t *testing.T) {
	t.Parallel()
	server := guardedServer(t, pgserver.Config{Ephemeral: true})
	target := openTarget(t, server.URL("postgres"))
	freeze(t, server, true)
	started := time.Now()
	wantReason(t, target, "does not answer in time")
	if took := time.Since(started); took < 2*time.Second {
		t.Errorf("given up after %s", took)
	}
	started = time.Now()
	if _, err := target.SampleStatements(t.Context()); err == nil || time.Since(started) > time.Second {
		t.Errorf("the next question took %s, %v; want the same answer at once", time.Since(started), err)
	}
	freeze(t, server, false)
	deadline := time.Now().Add(time.Minute)
	for {
		_, err := target.CollectHealth(t.Context(), healthQueries(t))
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it answers again, but: %v", err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func freeze(t *testing.T, server *pgserver.Server, frozen bool) {
	t.Helper()
	signal := syscall.SIGCONT
	if frozen {
		signal = syscall.SIGSTOP
		t.Cleanup(func() { _ = syscall.Kill(server.PID(), syscall.SIGCONT) }) // or it could not be stopped
	}
	if err := syscall.Kill(server.PID(), signal); err != nil {
		t.Fatal(err)
	}
}
