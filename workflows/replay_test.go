package workflows_test

import (
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"onevault/workflows"
)

// Every fixture is the history of one story, recorded on a real server by `go test ./e2e -export CASE`. They
// stand for the workflows that may be running when a new version is deployed: a change that breaks one
// needs workflow.GetVersion, and a fixture of its own; a recorded one is never rewritten to fit.
func TestCommittedHistories_Replay(t *testing.T) {
	t.Parallel()
	for _, path := range fixtures(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			replayer := worker.NewWorkflowReplayer()
			replayer.RegisterWorkflowWithOptions(workflows.Alert, workflow.RegisterOptions{Name: workflows.AlertWorkflowName})
			replayer.RegisterWorkflowWithOptions(workflows.Collect, workflow.RegisterOptions{Name: workflows.CollectWorkflowName})
			replayer.RegisterWorkflowWithOptions(workflows.Security, workflow.RegisterOptions{Name: workflows.SecurityWorkflowName})
			replayer.RegisterWorkflowWithOptions(workflows.Report, workflow.RegisterOptions{Name: workflows.ReportWorkflowName})
			replayer.RegisterWorkflowWithOptions(workflows.Retain, workflow.RegisterOptions{Name: workflows.RetainWorkflowName})
			replayer.RegisterWorkflowWithOptions(workflows.Incident, workflow.RegisterOptions{Name: workflows.IncidentWorkflowName})
			replayer.RegisterWorkflowWithOptions(workflows.Silence, workflow.RegisterOptions{Name: workflows.SilenceWorkflowName})
			quiet := tlog.NewStructuredLogger(slog.New(slog.DiscardHandler))
			if err := replayer.ReplayWorkflowHistoryFromJSONFile(quiet, path); err != nil {
				t.Errorf("running workflows would be stuck after this change: %v", err)
			}
		})
	}
}

// aPlace is a path or a host name of the machine that a history was recorded on.
var aPlace = regexp.MustCompile(`/(tmp|root|home|work|var)/[^"\s]*|onevault@[^":\s]+:[0-9]+|cli:[a-z]+@[^":\s]+`)

// nowhere are the words that stand for the places in a fixture.
var nowhere = regexp.MustCompile(`^(onevault@host:1|cli:[a-z]+@host)$`)

func TestCommittedHistories_NameNoMachine(t *testing.T) {
	t.Parallel()
	for _, path := range fixtures(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var tree any
		if err := json.Unmarshal(text, &tree); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, found := range places(tree) {
			t.Errorf("%s holds %q", path, found)
		}
	}
}

// places looks at every text of a history, and into its payloads.
func places(value any) (found []string) {
	switch v := value.(type) {
	case map[string]any:
		for _, inner := range v {
			found = append(found, places(inner)...)
		}
	case []any:
		for _, inner := range v {
			found = append(found, places(inner)...)
		}
	case string:
		if payload, err := base64.StdEncoding.DecodeString(v); err == nil && strings.HasPrefix(string(payload), "{") {
			v = string(payload)
		}
		found = slices.DeleteFunc(aPlace.FindAllString(v, -1), nowhere.MatchString)
	}
	return found
}

func fixtures(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "history", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatal("no recorded history: go test ./e2e -export CASE makes them")
	}
	return paths
}
