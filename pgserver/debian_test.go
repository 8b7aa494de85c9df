package pgserver

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeAptGet puts an apt-get in PATH that fails its first fails calls of install, and returns the file
// in which it notes its calls.
func fakeAptGet(t *testing.T, fails string) string {
	t.Helper()
	dir := t.TempDir()
	calls := filepath.Join(dir, "calls")
	script := `#!/bin/sh
echo "$DEBIAN_FRONTEND $*" >> "` + calls + `"
echo "output of $1"
case $1 in install) [ "$(grep -c ' install ' "` + calls + `")" -gt ` + fails + ` ];; esac
`
	fatalIf(t, os.WriteFile(filepath.Join(dir, "apt-get"), []byte(script), 0o755))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return calls
}

func TestInstallDebian_UpdatesListsOnlyWhenNeeded(t *testing.T) {
	for fails, want := range map[string][]string{
		"0": {"install"},
		"1": {"install", "update", "install"},
		"9": {"install", "update", "install"},
	} {
		calls := fakeAptGet(t, fails)
		var progress bytes.Buffer
		err := debian{filepath.Join(t.TempDir(), "etc", "createcluster.conf"), &progress}.install(t.Context())
		if (err != nil) != (fails == "9") {
			t.Errorf("%s failures: %v", fails, err)
		}
		text, err := os.ReadFile(calls)
		fatalIf(t, err)
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		if len(lines) != len(want) {
			t.Fatalf("%s failures: ran %q, want %q", fails, lines, want)
		}
		for i, line := range lines {
			if !strings.HasPrefix(line, "noninteractive "+want[i]) {
				t.Errorf("%s failures: call %d is %q, want %s", fails, i, line, want[i])
			}
		}
		for _, said := range []string{"install -y --no-install-recommends", "create_main_cluster = false", "output of install"} {
			if !strings.Contains(progress.String(), said) {
				t.Errorf("progress does not tell %q:\n%s", said, &progress)
			}
		}
	}
}

func TestInstallDebian_KeepsTheRestOfTheClusterDefaults(t *testing.T) {
	fakeAptGet(t, "0")
	for before, want := range map[string]string{
		"ssl = on\n#create_main_cluster = true\nx = 1\n": "ssl = on\ncreate_main_cluster = false\nx = 1\n",
		"create_main_cluster = true\n":                   "create_main_cluster = false\n",
		"create_main_cluster = false\n":                  "create_main_cluster = false\n",
		"ssl = on\n":                                     "ssl = on\ncreate_main_cluster = false\n",
		"ssl = on":                                       "ssl = on\ncreate_main_cluster = false\n",
	} {
		path := filepath.Join(t.TempDir(), "createcluster.conf")
		fatalIf(t, os.WriteFile(path, []byte(before), 0o644))
		fatalIf(t, debian{path, &bytes.Buffer{}}.install(t.Context()))
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%q became %q, %v; want %q", before, got, err, want)
		}
	}
}
