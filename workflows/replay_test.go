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
			replayer := newReplayer(t)
			for _, registered := range workflows.Types() {
				replayer.RegisterWorkflowWithOptions(registered.Workflow, workflow.RegisterOptions{Name: registered.Name})
			}
			quiet := tlog.NewStructuredLogger(slog.New(slog.DiscardHandler))
			if err := replayer.ReplayWorkflowHistoryFromJSONFile(quiet, path); err != nil {
				t.Errorf("running workflows would be stuck after this change: %v", err)
			}
		})
	}
}

// newReplayer reads payloads as the worker does, packed ones too.
func newReplayer(t *testing.T) worker.WorkflowReplayer {
	t.Helper()
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{DataConverter: workflows.DataConverter()})
	if err != nil {
		t.Fatal(err)
	}
	return replayer
}

func TestCommittedHistories_AreThereForEachType(t *testing.T) {
	t.Parallel()
	recorded := map[string]bool{}
	for _, path := range fixtures(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var history struct {
			Events []struct {
				Started struct {
					Type struct{ Name string } `json:"workflowType"`
				} `json:"workflowExecutionStartedEventAttributes"`
			}
		}
		if err := json.Unmarshal(text, &history); err != nil || len(history.Events) == 0 {
			t.Fatalf("%s: %d events, %v", path, len(history.Events), err)
		}
		recorded[history.Events[0].Started.Type.Name] = true
	}
	for _, registered := range workflows.Types() {
		if !recorded[registered.Name] {
			t.Errorf("no history of a %s is recorded: go test ./e2e -export CASE makes one", registered.Name)
		}
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
