package pgserver

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": 15,
		"postgres (PostgreSQL) 17.2\n":                           17,
		"postgres (PostgreSQL) 18beta1\n":                        18,
		"postgres (PostgreSQL) 19devel\n":                        19,
	} {
		if got, err := parseVersion(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "mysqld 8.0", "postgres (PostgreSQL) x"} {
		if got, err := parseVersion(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func TestDiscover_PGBinDirIsTheOnlyAnswer(t *testing.T) {
	dir := fakeServer(t, "16.4")
	t.Setenv("PG_BINDIR", dir)
	found, err := Discover()
	if err != nil || !slices.Equal(found, []Installation{{dir, 16}}) {
		t.Errorf("got %v, %v; want %s alone", found, err, dir)
	}
}

func TestDiscover_RefusesAPGBinDirItCannotUse(t *testing.T) {
	for name, test := range map[string]struct{ dir, says string }{
		"old":   {fakeServer(t, "13.1"), "version 13"},
		"empty": {t.TempDir(), "no PostgreSQL server"},
	} {
		t.Setenv("PG_BINDIR", test.dir)
		_, err := Discover()
		wantError(t, err, "PG_BINDIR", test.dir, test.says)
		if errors.Is(err, ErrNoBinaries) {
			t.Errorf("%s: %v: installing a server would not help", name, err)
		}
	}
}

func TestDiscover_FindsPathNewestFirst(t *testing.T) {
	t.Setenv("PG_BINDIR", "")
	dir := fakeServer(t, "99.1")
	t.Setenv("PATH", dir)
	found, err := Discover()
	if err != nil || len(found) == 0 || found[0].Dir != dir {
		t.Errorf("got %v, %v; want %s first", found, err, dir)
	}
}

func TestChoose_TakesTheProgramsOfTheData(t *testing.T) {
	t.Setenv("PG_BINDIR", "")
	installed, err := Discover()
	fatalIf(t, err)
	t.Setenv("PATH", fakeServer(t, "99.1"))
	b, err := choose(Config{}, "data", installed[0].Major)
	if err != nil || b != installed[0] {
		t.Errorf("got %v, %v; want %v, although a newer one is there", b, err, installed[0])
	}
}

func TestChoose_TakesAnOlderVersionOnlyWhereItIsAskedFor(t *testing.T) {
	t.Parallel()
	dir := fakeServer(t, "14.23")
	_, err := choose(Config{BinDir: dir}, "data", 0)
	wantError(t, err, dir, "version 14", "at least 15")
	if b, err := choose(Config{BinDir: dir, MinMajor: 14}, "data", 0); err != nil || b.Major != 14 {
		t.Errorf("got %v, %v; want version 14", b, err)
	}
}

func TestErrNoBinaries_NamesEveryRemedy(t *testing.T) {
	t.Parallel()
	for _, remedy := range []string{
		"apt-get install -y --no-install-recommends postgresql", "brew install postgresql@17",
		"./pgserver/matrix -bindir 18", "PG_BINDIR", "ONEVAULT_DATABASE_URL",
	} {
		if !strings.Contains(ErrNoBinaries.Error(), remedy) {
			t.Errorf("%q is missing", remedy)
		}
	}
}

// fakeServer makes a directory whose postgres tells a version, and can do no more.
func fakeServer(t *testing.T, version string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	fatalIf(t, err)
	script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n"
	for _, name := range []string{"postgres", "initdb"} {
		fatalIf(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
	return dir
}
