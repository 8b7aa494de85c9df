package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"onevault/pgserver/pgtest"
)

const ownDefinition = `version: 1
definitions:
  - key: OWN_LAG
    name: Our Lag
    category: PERFORMANCE
    severity: HIGH
    condition: avg(replication_lag_s, 15m) > threshold_value
    threshold: 30
`

func TestDefinition_ExportIsAppliedWithoutAnyChange(t *testing.T) {
	t.Parallel()
	i := invocation{url: pgtest.DB(t)}
	exported := i.run(t, "definition", "export")
	exported.wants(t, exitDone, "version: 1", "key: PG_REPLICATION_LAG", "threshold: 30")
	i.stdin = exported.out
	i.run(t, "definition", "lint", "-").wants(t, exitDone, "all in order")
	i.run(t, "definition", "diff", "-").wants(t, exitDone, "0 added, 0 changed, 0 disabled", "0 not in the file")
	i.run(t, "definition", "apply", "-").wants(t, exitDone, "0 added, 0 changed")
	i.run(t, "definition", "history", "PG_REPLICATION_LAG").wants(t, exitDone, "first version")
}

func TestDefinition_AppliedChangedAndRolledBackWithItsAuthors(t *testing.T) {
	t.Parallel()
	i := invocation{url: pgtest.DB(t)}
	file := filepath.Join(t.TempDir(), "own.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(ownDefinition)
	i.run(t, "definition", "diff", file).wants(t, exitError, "+ OWN_LAG", "1 added")
	i.run(t, "definition", "apply", file, "--dry-run").wants(t, exitDone, "nothing was written")
	i.run(t, "definition", "history", "OWN_LAG").wants(t, exitNotFound, "no definition OWN_LAG")
	i.run(t, "definition", "apply", file, "--actor", "dana").wants(t, exitDone, "+ OWN_LAG", "heard by nobody")
	write(strings.Replace(ownDefinition, "threshold: 30", "threshold: 60\n    pending: 5m", 1))
	i.run(t, "definition", "apply", file, "--actor", "erik").wants(t, exitDone, "~ OWN_LAG", "threshold: 30 -> 60", "pending: 0m -> 5m")
	i.run(t, "definition", "history", "OWN_LAG").wants(t, exitDone, "dana cli:", "erik cli:", "threshold: 30 -> 60; pending: 0m -> 5m", "first version")
	i.run(t, "definition", "rollback", "OWN_LAG").wants(t, exitDone, "threshold: 60 -> 30")
	i.run(t, "definition", "rollback", "OWN_LAG", "--to", "1").wants(t, exitDone, "nothing to do")
	i.run(t, "definition", "rollback", "OWN_LAG", "--to", "9").wants(t, exitUsage, "versions 1 to 3")
	i.run(t, "definition", "export", "OWN_LAG").wants(t, exitDone, "threshold: 30\n")
	i.run(t, "definition", "export", "NO_SUCH").wants(t, exitNotFound, "no definition NO_SUCH")
}

func TestDefinitionApply_OneThatIsRefusedLeavesAllAsTheyWere(t *testing.T) {
	t.Parallel()
	i := invocation{url: pgtest.DB(t)}
	i.stdin = ownDefinition + `  - key: OWN_TYPO
    name: Typo
    category: PERFORMANCE
    severity: HIGH
    condition: replication_lagg_s > 1
  - key: OWN_CALL
    name: Call
    category: PERFORMANCE
    severity: HIGH
    condition: avg(replication_lag_s) > 1
`
	for _, verb := range []string{"lint", "apply"} {
		i.run(t, "definition", verb, "-").wants(t, exitError,
			"-:9: OWN_TYPO: condition_logic", `unknown metric "replication_lagg_s"`, `Did you mean "replication_lag_s"?`,
			"-:14: OWN_CALL: the condition", "avg(replication_lag_s, 15m)", "2 problems in -")
	}
	i.run(t, "definition", "export", "OWN_LAG").wants(t, exitNotFound, "no definition OWN_LAG")
}

func TestDefinitionApply_MayNameOneThatComesLaterInTheFile(t *testing.T) {
	t.Parallel()
	i := invocation{url: pgtest.DB(t)}
	i.stdin = `version: 1
definitions:
  - {key: BOTH, name: Both, category: PERFORMANCE, severity: HIGH, condition: 'firing("LATER") == 1 && blocked_backends > 1'}
  - {key: LATER, name: Later, category: PERFORMANCE, severity: HIGH, condition: blocked_backends > 9}
`
	i.run(t, "definition", "apply", "-").wants(t, exitDone, "2 added")
}

func TestDefinitionApply_PruneDisablesAfterAsking(t *testing.T) {
	t.Parallel()
	i := invocation{url: pgtest.DB(t)}
	i.stdin = i.run(t, "definition", "export", "PG_REPLICATION_LAG").out
	i.run(t, "definition", "apply", "-", "--prune").wants(t, exitUsage, "add --yes")
	i.run(t, "definition", "apply", "-", "--prune", "--yes").wants(t, exitDone, "- DISK_WARNING", "enabled: true -> false")
	i.run(t, "definition", "list", "-o", "name").wants(t, exitDone, "PG_REPLICATION_LAG")
	if got := i.run(t, "definition", "list", "-o", "name"); strings.TrimSpace(got.out) != "PG_REPLICATION_LAG" {
		t.Errorf("enabled are %q", got.out)
	}
}

func TestDefinitionLint_OfflineLooksAtTheFormAlone(t *testing.T) {
	t.Parallel()
	nowhere := invocation{url: "postgres://u@127.0.0.1:1/x", stdin: ownDefinition}
	nowhere.run(t, "definition", "lint", "-", "--offline").wants(t, exitDone, "1 definitions are well-formed")
	nowhere.stdin = strings.Replace(ownDefinition, "treshold", "", 1) + "    treshold: 3\n"
	nowhere.run(t, "definition", "lint", "-", "--offline").wants(t, exitError, "-:9: OWN_LAG.treshold: unknown field", `did you mean "threshold"?`, "1 problem in -")
	nowhere.run(t, "definition", "lint", filepath.Join(t.TempDir(), "none.yaml")).wants(t, exitNotFound, "there is no file")
}
