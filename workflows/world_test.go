package workflows_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
	"onevault/workflows"
)

// world stands for everything outside the workflow: what it holds is what a vault and the providers
// would have seen. Time is skipped, so a test of hours takes milliseconds.
type world struct {
	t   *testing.T
	env *testsuite.TestWorkflowEnvironment

	mu       sync.Mutex
	changes  []activities.Change
	ledger   []activities.LedgerEntry
	sent     []sentMessage
	channels []alert.Channel

	brought     []activities.BringToStormInput
	endedStorms []activities.EndStormInput

	// What the outside does; nil: all goes well.
	onRecord func(activities.RecordHistoryInput) (activities.RecordHistoryOutput, error)
	onSend   func(activities.SendNotificationInput) (activities.SendNotificationOutput, error)
	onList   func() error
	// onMutes says what mutes an alert; nil: nothing ever does.
	onMutes func(key string) (*alert.Mute, error)
	// onStorm says to which storm the group belongs; nil: to none.
	onStorm func(activities.JoinStormInput) (*alert.Storm, error)
	// onBring takes what is left to a storm.
	onBring func(activities.BringToStormInput) error
	// confirmed are the recipients whose receipts came.
	confirmed []string
}

type sentMessage struct {
	activities.SendNotificationInput
	at time.Duration // since the start of the workflow
}

// The names of the methods are those of the activities that they stand for.

func (w *world) RecordHistory(_ context.Context, in activities.RecordHistoryInput) (activities.RecordHistoryOutput, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.onRecord != nil {
		out, err := w.onRecord(in)
		if err != nil || len(out.Results) > 0 {
			return out, err
		}
	}
	w.changes = append(w.changes, in.Changes...)
	w.ledger = append(w.ledger, in.Entries...)
	return activities.RecordHistoryOutput{}, nil
}

func (w *world) ListChannels(context.Context, activities.ListChannelsInput) (activities.ListChannelsOutput, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.onList != nil {
		if err := w.onList(); err != nil {
			return activities.ListChannelsOutput{}, err
		}
	}
	return activities.ListChannelsOutput{Channels: w.channels}, nil
}

func (w *world) FindMutes(_ context.Context, in activities.FindMutesInput) (activities.FindMutesOutput, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out activities.FindMutesOutput
	for _, key := range in.Alerts {
		if w.onMutes == nil {
			break
		}
		m, err := w.onMutes(key)
		if err != nil {
			return activities.FindMutesOutput{}, err
		}
		if m != nil {
			out.Mutes = append(out.Mutes, activities.MutedAlerts{Mute: *m, Alerts: []string{key}})
		}
	}
	return out, nil
}

func (w *world) JoinStorm(_ context.Context, in activities.JoinStormInput) (activities.JoinStormOutput, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.onStorm == nil {
		return activities.JoinStormOutput{}, nil
	}
	storm, err := w.onStorm(in)
	return activities.JoinStormOutput{Storm: storm}, err
}

func (w *world) BringToStorm(_ context.Context, in activities.BringToStormInput) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.brought = append(w.brought, in)
	if w.onBring == nil {
		return nil
	}
	return w.onBring(in)
}

func (w *world) EndStorm(_ context.Context, in activities.EndStormInput) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.endedStorms = append(w.endedStorms, in)
	return nil
}

func (w *world) SendNotification(_ context.Context, in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, sentMessage{in, w.env.Now().Sub(began)})
	if w.onSend != nil {
		return w.onSend(in)
	}
	return accepted(), nil
}

func accepted() activities.SendNotificationOutput {
	return activities.SendNotificationOutput{Receipt: activities.Receipt{Class: activities.Accepted, Proof: "HTTP 200"}, Final: true}
}

func failed(class activities.Class, retryAfter time.Duration, final bool) activities.SendNotificationOutput {
	return activities.SendNotificationOutput{Receipt: activities.Receipt{Class: class, Reason: "refused", RetryAfter: retryAfter}, Final: final}
}

var (
	began       = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	errVault    = temporal.NewApplicationError("connection refused", activities.ErrorVaultUnreachable)
	emailOnly   = []alert.Channel{{Key: "EMAIL", Type: "EMAIL", Recipients: []string{"ops@example.com"}, RetryAttempts: 2, RetryDelay: time.Minute}}
	emailSlack  = append(slices.Clone(emailOnly), alert.Channel{Key: "SLACK", Type: "SLACK", Recipients: []string{"#ops"}, RetryAttempts: 2, RetryDelay: time.Minute})
	connections = alert.Definition{
		Key: "HIGH_CONNECTIONS", Name: "High Connection Count", Category: "PERFORMANCE", Severity: alert.SeverityHigh,
		Condition: "connection_usage_pct > threshold_value", AutoResolve: true, EscalationEnabled: true, EscalationDelay: 15 * time.Minute,
	}
)

// newEnvironment is a test environment that takes a machine with much else to do for what it is: a workflow
// that does not get on for a second is no deadlock there.
func newEnvironment(suite *testsuite.WorkflowTestSuite) *testsuite.TestWorkflowEnvironment {
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
	return env
}

func newWorld(t *testing.T, channels []alert.Channel) *world {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	w := &world{t: t, env: newEnvironment(&suite), channels: channels}
	w.env.SetStartTime(began)
	w.env.SetStartWorkflowOptions(clientOptions(workflows.AlertWorkflowID("local", connections.Key, "")))
	w.env.RegisterWorkflowWithOptions(workflows.Alert, workflow.RegisterOptions{Name: workflows.AlertWorkflowName})
	w.env.RegisterActivity(w)
	w.env.SetTestTimeout(20 * time.Second)
	return w
}

func (w *world) run() workflows.AlertResult {
	w.t.Helper()
	w.env.ExecuteWorkflow(workflows.AlertWorkflowName, activities.AlertGroupInput{Target: "local", DefinitionKey: connections.Key})
	if !w.env.IsWorkflowCompleted() {
		w.t.Fatal("workflow did not complete")
	}
	if err := w.env.GetWorkflowError(); err != nil {
		w.t.Fatalf("workflow failed: %v", err)
	}
	var result workflows.AlertResult
	if err := w.env.GetWorkflowResult(&result); err != nil {
		w.t.Fatal(err)
	}
	return result
}

// ---------------------------------------------------------------- what happens, and when

func (w *world) after(d time.Duration, do func()) { w.env.RegisterDelayedCallback(do, d) }

func (w *world) bring(d time.Duration, items ...alert.Transition) {
	w.after(d, func() { w.env.SignalWorkflow(alert.SignalTransitions, alert.Transitions{Items: items}) })
}

func fired(key string) alert.Transition {
	value := 91.0
	return alert.Transition{
		Seq: int64(len(key)) * 1000, Kind: alert.TransitionFired, At: began, Recorded: true, Definition: &connections,
		Alert: alert.Alert{Key: key, ShortID: alert.ShortID(key), Target: "local", Status: alert.StatusOpen, Value: &value, TriggeredAt: began},
	}
}

func ended(kind alert.TransitionKind, key, actor string) alert.Transition {
	return alert.Transition{Kind: kind, Alert: alert.Alert{Key: key}, Actor: actor, Via: "psql:" + actor, At: began.Add(time.Minute), Recorded: true}
}

// update sends a command and remembers its answer.
type answer struct {
	result alert.CommandResult
	err    error
}

func (w *world) update(d time.Duration, name string, c alert.Command) *answer {
	a := &answer{err: errors.New("the update was never answered")}
	w.after(d, func() {
		w.env.UpdateWorkflow(name, "", &testsuite.TestUpdateCallback{
			OnAccept: func() {},
			OnReject: func(err error) { a.err = err },
			OnComplete: func(result any, err error) {
				a.err = err
				if r, ok := result.(alert.CommandResult); ok {
					a.result = r
				}
			},
		}, c)
	})
	return a
}

// ---------------------------------------------------------------- what was seen

// events lists what was sent through a channel, in order.
func (w *world) events(channel string) []string {
	var events []string
	for _, m := range w.sent {
		if m.Channel.Key == channel {
			events = append(events, m.Event)
		}
	}
	return events
}

func (w *world) expectEvents(channel string, want ...string) {
	w.t.Helper()
	sent := slices.DeleteFunc(slices.Clone(w.sent), func(m sentMessage) bool { return m.Channel.Key != channel })
	// Of messages that go out together, which is sent first is left to chance.
	for i := range min(len(sent), len(want)) {
		for j := i + 1; j < len(sent) && sent[i].Event != want[i] && sent[j].at == sent[i].at; j++ {
			if sent[j].Event == want[i] {
				sent[i], sent[j] = sent[j], sent[i]
			}
		}
	}
	got := make([]string, 0, len(sent))
	for _, m := range sent {
		got = append(got, m.Event)
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("%s was told %v, want %v", channel, got, want)
	}
}

// recorded lists the changes that reached the vault, in order.
func (w *world) recorded() []string {
	var list []string
	for _, c := range w.changes {
		list = append(list, c.Change)
	}
	return list
}

func (w *world) expectRecorded(want ...string) {
	w.t.Helper()
	if got := w.recorded(); !slices.Equal(got, want) {
		w.t.Errorf("the vault holds %v, want %v", got, want)
	}
}
