package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"onevault/pgserver"
)

// goThat puts a go in PATH that is this script.
func goThat(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	fatalIf(t, os.WriteFile(filepath.Join(dir, "go"), []byte("#!/bin/sh\n"+script), 0o755))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

var two = []pgserver.Installation{{Dir: "/sixteen", Major: 16}, {Dir: "/eighteen", Major: 18}}

func TestRun_TestsEachVersionOnThatVersionAlone(t *testing.T) {
	t.Setenv("ONEVAULT_TEST_POSTGRES_URL", "postgres://another")
	goThat(t, `
echo "$PG_BINDIR $ONEVAULT_TEST_PG_MAJOR $ONEVAULT_TEST_PG_TARGETS [$ONEVAULT_TEST_POSTGRES_URL] $*"
printf 'ok  \tonevault/vault\t1.5s\n'`)
	var out bytes.Buffer
	m := matrix{
		vaults: two, targets: []pgserver.Installation{{Dir: "/fourteen", Major: 14}},
		packages: []string{"./vault"}, flags: []string{"-run", "A|B"}, out: &out, progress: os.Stderr,
	}
	fatalIf(t, m.run(t.Context()))
	for _, want := range []string{
		"/sixteen 16 /fourteen:/sixteen:/eighteen [] test -run A|B ./vault\n",
		"/eighteen 18 /fourteen:/sixteen:/eighteen [] test -run A|B ./vault\n",
		"PostgreSQL 16  ok    onevault/vault  1.5s\nPostgreSQL 18  ok    onevault/vault  1.5s\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, &out)
		}
	}
}

func TestRun_AnyFailureFailsTheMatrixAndTheOtherVersionsAreTested(t *testing.T) {
	for name, script := range map[string]string{
		"a test":                `printf -- '--- FAIL: TestX (0.00s)\nFAIL\nFAIL\tonevault/vault\t1.5s\nFAIL\n'; exit 1`,
		"a build":               `printf 'FAIL\tonevault/vault [build failed]\nFAIL\n'; exit 1`,
		"go itself, in silence": `exit 2`,
		"nothing was tested":    `printf '?   \tonevault/vault\t[no test files]\n'`,
	} {
		goThat(t, `if [ "$ONEVAULT_TEST_PG_MAJOR" = 18 ]; then printf 'ok  \tonevault/vault\t1s\n'; exit 0; fi
`+script)
		var out bytes.Buffer
		err := matrix{vaults: two, packages: []string{"./vault"}, out: &out, progress: os.Stderr}.run(t.Context())
		if !errors.Is(err, errTestsFailed) {
			t.Errorf("%s: got %v, want %v", name, err, errTestsFailed)
		}
		if !strings.Contains(out.String(), "PostgreSQL 18  ok") {
			t.Errorf("%s: the other version was not tested:\n%s", name, &out)
		}
	}
}

func TestNeedServer_FindsThePackagesWithSQL(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	packages, err := needServer(t.Context())
	fatalIf(t, err)
	for _, want := range []string{"onevault/migrations", "onevault/collect", "onevault/vault", "onevault/activities", "onevault/pgserver"} {
		if !slices.Contains(packages, want) {
			t.Errorf("%s is not among %q", want, packages)
		}
	}
	if slices.Contains(packages, "onevault/e2e") || slices.Contains(packages, "onevault/alert") {
		t.Errorf("got %q: those of e2e need built binaries, those of alert no server", packages)
	}
}

func TestMajors_RefusesWhatIsNoVersionOfAVault(t *testing.T) {
	t.Parallel()
	for _, list := range []string{"14", "18.4", "newest", "16 x"} {
		_, err := majors("-versions", list, nil, oldestVault)
		wantError(t, err, "-versions", "from 15 on")
	}
	if got, err := majors("-versions", "18,16 18", nil, oldestVault); err != nil || !slices.Equal(got, []int{16, 18}) {
		t.Errorf("got %v, %v", got, err)
	}
}
