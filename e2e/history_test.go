package e2e_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"

	"google.golang.org/protobuf/encoding/protojson"

	"onevault/workflows"
)

// history reads a workflow's history from the server; runID may be empty for the newest run.
func history(ctx context.Context, c client.Client, workflowID, runID string) (*historypb.History, error) {
	events := c.GetWorkflowHistory(ctx, workflowID, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	h := &historypb.History{}
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			return nil, fmt.Errorf("read the history of %s: %w", workflowID, err)
		}
		h.Events = append(h.Events, event)
	}
	return h, nil
}

// exportHistory writes the history of the story's workflow as a fixture of the replay test.
func (s *story) exportHistory(name string) { s.t.Helper(); s.exportHistoryOf(s.key, name) }

func (s *story) exportHistoryOf(definition, name string) {
	s.t.Helper()
	if *export == "" || !regexp.MustCompile("^("+*export+")$").MatchString(name) {
		return
	}
	id := workflows.AlertWorkflowID("local", definition, "")
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := s.w.temporal.GetWorkflow(ctx, id, "").Get(ctx, nil); err != nil {
		s.t.Fatalf("the end of %s: %v", id, err)
	}
	h, err := history(ctx, s.w.temporal, id, "")
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := protojson.Marshal(h)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err = scrub(text)
	if err != nil {
		s.t.Fatal(err)
	}
	path, err := addFixture("alert-"+name, text)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Logf("wrote %s with %d events", path, len(h.GetEvents()))
}

// addFixture writes a fixture under the first free name: alert-cleared.json, alert-cleared-2.json, ... A
// recorded one stands for workflows that may still run, so it stays.
func addFixture(name string, text []byte) (string, error) {
	for i := 1; ; i++ {
		path := filepath.Join("..", "workflows", "testdata", "history", name+".json")
		if i > 1 {
			path = strings.TrimSuffix(path, ".json") + fmt.Sprintf("-%d.json", i)
		}
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = file.Write(text)
		return path, errors.Join(err, file.Close())
	}
}

// scrub takes out of a history what belongs to the machine that it was recorded on, so that a fixture
// says the same wherever it comes from.
func scrub(text []byte) ([]byte, error) {
	var tree any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	scrubbed, err := json.MarshalIndent(scrubValue("", tree, host), "", " ")
	return append(scrubbed, '\n'), err
}

// sticky is the name of a worker's own task queue, which begins with its host.
var sticky = regexp.MustCompile(`^.+:[0-9a-f-]{36}$`)

func scrubValue(name string, value any, host string) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = scrubValue(key, inner, host)
		}
	case []any:
		for i, inner := range v {
			v[i] = scrubValue(name, inner, host)
		}
	case string:
		return scrubText(name, v, host)
	}
	return value
}

func scrubText(name, text, host string) string {
	switch {
	case name == "identity":
		return "onevault@host:1"
	case name == "name" && sticky.MatchString(text):
		return "host:00000000-0000-0000-0000-000000000000"
	case name == "data":
		if payload, err := base64.StdEncoding.DecodeString(text); err == nil {
			return base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(string(payload), "@"+host, "@host")))
		}
	}
	return text
}
