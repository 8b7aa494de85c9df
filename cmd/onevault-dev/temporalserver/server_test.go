package temporalserver_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"onevault/cmd/onevault-dev/temporalserver"
)

const taskQueue = "test"

// greet is the least that shows a working cluster: a workflow task, a timer, a result.
func greet(ctx workflow.Context, name string) (string, error) {
	if err := workflow.Sleep(ctx, time.Millisecond); err != nil {
		return "", err
	}
	return "hello " + name, nil
}

// waits runs until it is told to end; it is what a restart has to find again.
func waits(ctx workflow.Context) (string, error) {
	var word string
	workflow.GetSignalChannel(ctx, "end").Receive(ctx, &word)
	return word, nil
}

func start(t *testing.T, cfg temporalserver.Config) *temporalserver.Server {
	t.Helper()
	s, err := temporalserver.Start(t.Context(), cfg)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	return s
}

func stop(t *testing.T, s *temporalserver.Server) {
	t.Helper()
	if err := s.Stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
}

// connect gives a client with a running worker for the workflows of this file.
func connect(t *testing.T, s *temporalserver.Server) (client.Client, func()) {
	t.Helper()
	c, err := client.DialContext(t.Context(), client.Options{
		HostPort: s.Address(), Namespace: temporalserver.Namespace, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	w := worker.New(c, taskQueue, worker.Options{})
	w.RegisterWorkflowWithOptions(greet, workflow.RegisterOptions{Name: "greet"})
	w.RegisterWorkflowWithOptions(waits, workflow.RegisterOptions{Name: "waits"})
	if err := w.Start(); err != nil {
		t.Fatalf("start worker: %v", err)
	}
	return c, func() { w.Stop(); c.Close() }
}

func result(t *testing.T, run client.WorkflowRun) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got string
	if err := run.Get(ctx, &got); err != nil {
		t.Fatalf("result of %s: %v", run.GetID(), err)
	}
	return got
}

func execute(t *testing.T, c client.Client, id, name string, args ...any) client.WorkflowRun {
	t.Helper()
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: taskQueue}, name, args...)
	if err != nil {
		t.Fatalf("execute %s: %v", name, err)
	}
	return run
}

func TestServer_RestartOnOtherPortsContinuesWorkflows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()

	first := start(t, temporalserver.Config{Dir: dir})
	c, disconnect := connect(t, first)
	if got := result(t, execute(t, c, "greeted", "greet", "vault")); got != "hello vault" {
		t.Fatalf("greet = %q", got)
	}
	execute(t, c, "open", "waits")
	disconnect()
	stop(t, first)

	second := start(t, temporalserver.Config{Dir: dir})
	defer stop(t, second)
	c, disconnect = connect(t, second)
	defer disconnect()
	if got := result(t, c.GetWorkflow(t.Context(), "greeted", "")); got != "hello vault" {
		t.Errorf("result of the closed workflow after the restart = %q", got)
	}
	if err := c.SignalWorkflow(t.Context(), "open", "", "end", "done"); err != nil {
		t.Fatalf("signal the open workflow after the restart: %v", err)
	}
	if got := result(t, c.GetWorkflow(t.Context(), "open", "")); got != "done" {
		t.Errorf("result of the workflow that was open = %q", got)
	}
}

func TestServer_SearchAttributesAreUsableAndGrowWithTheNextStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keyword, number := enumspb.INDEXED_VALUE_TYPE_KEYWORD, enumspb.INDEXED_VALUE_TYPE_INT

	first := start(t, temporalserver.Config{Dir: dir, SearchAttributes: map[string]enumspb.IndexedValueType{"AlertState": keyword}})
	stop(t, first)
	second := start(t, temporalserver.Config{Dir: dir, SearchAttributes: map[string]enumspb.IndexedValueType{
		"AlertState": keyword, "AlertLevel": number,
	}})
	defer stop(t, second)
	c, disconnect := connect(t, second)
	defer disconnect()

	count, err := c.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: temporalserver.Namespace, Query: `AlertState = "OPEN" AND AlertLevel > 0`,
	})
	if err != nil {
		t.Fatalf("query by the registered attributes: %v", err)
	}
	if count.GetCount() != 0 {
		t.Errorf("count = %d, want 0", count.GetCount())
	}
}

func TestServer_KeepsClosedWorkflowsForAWeek(t *testing.T) {
	t.Parallel()
	s := start(t, temporalserver.Config{Dir: t.TempDir()})
	defer stop(t, s)
	c, disconnect := connect(t, s)
	defer disconnect()

	ns, err := c.WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: temporalserver.Namespace})
	if err != nil {
		t.Fatalf("describe namespace: %v", err)
	}
	if got := ns.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration(); got != temporalserver.Retention {
		t.Errorf("retention = %s, want %s", got, temporalserver.Retention)
	}
}

func TestServer_WebUIServesItsPageAndReachesTheServer(t *testing.T) {
	t.Parallel()
	s := start(t, temporalserver.Config{Dir: t.TempDir()})
	defer stop(t, s)

	if page := get(t, s.UIURL()+"/namespaces/default/workflows"); !strings.Contains(page, "<html") {
		t.Errorf("the UI's page is not HTML: %.200s", page)
	}
	if namespaces := get(t, s.UIURL()+"/api/v1/namespaces"); !strings.Contains(namespaces, `"default"`) {
		t.Errorf("the UI's API does not list the namespace: %.200s", namespaces)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatalf("get %s: %v", url, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read %s: %v", url, err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("get %s: %s: %.200s", url, resp.Status, body)
	}
	return string(body)
}

func TestStart_NamesThePortInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port

	for use, cfg := range map[string]temporalserver.Config{
		"Temporal":    {Dir: t.TempDir(), Port: port},
		"Temporal UI": {Dir: t.TempDir(), UIPort: port},
	} {
		s, err := temporalserver.Start(t.Context(), cfg)
		if err == nil {
			stop(t, s)
			t.Fatalf("%s started on a port in use", use)
		}
		inUse, ok := errors.AsType[*temporalserver.PortError](err)
		if !ok || inUse.Port != port || inUse.Use != use {
			t.Errorf("error = %v, want a PortError for %s on %d", err, use, port)
		}
	}
}

func TestStart_BuildsTheDatabaseAgainAfterAnUnfinishedFirstStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "temporal.db.new"), []byte("half a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, temporalserver.Config{Dir: dir})
	defer stop(t, s)
	if _, err := os.Stat(filepath.Join(dir, "temporal.db.new")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the unfinished database is still there: %v", err)
	}
}

func TestStart_RefusesADamagedDatabaseAndKeepsIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "temporal.db")
	damage := strings.Repeat("not a database ", 1000)
	if err := os.WriteFile(file, []byte(damage), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := temporalserver.Start(t.Context(), temporalserver.Config{Dir: dir})
	if err == nil {
		stop(t, s)
		t.Fatal("started on a damaged database")
	}
	if !strings.Contains(err.Error(), file) {
		t.Errorf("error %q does not name the file", err)
	}
	if kept, err := os.ReadFile(file); err != nil || string(kept) != damage {
		t.Errorf("the damaged file was changed (%v)", err)
	}
}
