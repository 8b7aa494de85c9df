package api_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"onevault/pgserver/pgtest"
	"onevault/vault"
)

// example is a command of the documentation, and what it prints there.
type example struct{ command, prints string }

var exampleBlocks = regexp.MustCompile("(?s)```sh\n(.*?)```\n```json\n(.*?)```\n")

func documented(t *testing.T) []example {
	t.Helper()
	text, err := os.ReadFile("../docs/inbound.md")
	if err != nil {
		t.Fatal(err)
	}
	var list []example
	for _, m := range exampleBlocks.FindAllStringSubmatch(string(text), -1) {
		list = append(list, example{m[1], m[2]})
	}
	if n := strings.Count(string(text), "```sh\n"); n != len(list) || n == 0 {
		t.Fatalf("the page has %d commands, and %d of them say what they print", n, len(list))
	}
	return list
}

// pattern reads four dots as what differs each time.
func (e example) pattern() *regexp.Regexp {
	quoted := regexp.QuoteMeta(strings.TrimSpace(e.prints))
	return regexp.MustCompile("^" + strings.ReplaceAll(quoted, regexp.QuoteMeta("...."), `[0-9A-Za-z]+`) + "$")
}

func TestDocs_TheExamplesDoWhatThePageSays(t *testing.T) {
	t.Parallel()
	w := newWorldAt(t, pgtest.DB(t), nil)
	w.secrets = map[string]string{"ALERTMANAGER_TOKEN": bearer, "BACKUPS_SECRET": signing}
	for _, s := range []vault.Source{
		{Name: "prometheus", TokenEnv: "ALERTMANAGER_TOKEN", MaxDefinitions: 200}, {Name: "backups", SecretEnv: "BACKUPS_SECRET", MaxDefinitions: 20},
	} {
		if _, err := w.store.PutSource(t.Context(), s, "dana"); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range documented(t) {
		shell := exec.CommandContext(t.Context(), "sh", "-eu", "-c", e.command)
		shell.Env = append(os.Environ(), "ONEVAULT_PUBLIC_URL="+w.base, "ALERTMANAGER_TOKEN="+bearer, "BACKUPS_SECRET="+signing)
		printed, err := shell.CombinedOutput()
		if err != nil || !e.pattern().MatchString(strings.TrimSpace(string(printed))) {
			t.Errorf("%s\nprints\n%s(%v)\nand the page says\n%s", e.command, printed, err, e.prints)
		}
	}
}
