package command

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"onevault/alert"
	"onevault/workflows"
)

const (
	// updateTimeout is when a worker that does not answer counts as gone; it answers in milliseconds.
	updateTimeout = 5 * time.Second
	queryTimeout  = 2 * time.Second
)

// Temporal reaches the workflows of a cluster. Connect is called once or never: a cluster that is away
// must not be in the way of what the vault can do.
type Temporal struct {
	Connect func(context.Context) (client.Client, error)
}

func (t Temporal) connect(ctx context.Context) (client.Client, error) {
	c, err := t.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	return c, nil
}

// Update implements Workflows.
func (t Temporal) Update(ctx context.Context, workflowID string, action Action, c alert.Command) (alert.CommandResult, error) {
	temporalClient, err := t.connect(ctx)
	if err != nil {
		return alert.CommandResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	handle, err := temporalClient.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID:   workflowID,
		UpdateName:   string(action),
		Args:         []any{c},
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err != nil {
		return alert.CommandResult{}, classify(err)
	}
	var result alert.CommandResult
	if err := handle.Get(ctx, &result); err != nil {
		return alert.CommandResult{}, classify(err)
	}
	return result, nil
}

// shortID keeps a typed id from becoming part of another query.
var shortID = regexp.MustCompile(`^A-[0-9A-HJKMNP-TV-Z]{4}$`)

// Carrying implements Workflows.
func (t Temporal) Carrying(ctx context.Context, id string) ([]string, error) {
	if !shortID.MatchString(id) {
		return nil, fmt.Errorf("%q is no short id like A-7F3K, and only those can be found without the vault", id)
	}
	temporalClient, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	found, err := temporalClient.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: fmt.Sprintf("%s = '%s' AND ExecutionStatus = 'Running'", workflows.AttributeAlerts.GetName(), id),
	})
	if err != nil {
		return nil, classify(err)
	}
	var ids []string
	for _, execution := range found.GetExecutions() {
		ids = append(ids, execution.GetExecution().GetWorkflowId())
	}
	return ids, nil
}

// Active implements Workflows.
func (t Temporal) Active(ctx context.Context, workflowID string) (int, error) {
	status, err := t.Status(ctx, workflowID)
	if err != nil {
		return 0, err
	}
	active := 0
	for _, a := range status.Alerts {
		if a.Active() {
			active++
		}
	}
	return active, nil
}

// Status asks a workflow what stands; errors are those of Update.
func (t Temporal) Status(ctx context.Context, workflowID string) (alert.GroupStatus, error) {
	temporalClient, err := t.connect(ctx)
	if err != nil {
		return alert.GroupStatus{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	value, err := temporalClient.QueryWorkflow(ctx, workflowID, "", alert.QueryStatus)
	if err != nil {
		return alert.GroupStatus{}, classify(err)
	}
	var status alert.GroupStatus
	if err := value.Get(&status); err != nil {
		return alert.GroupStatus{}, fmt.Errorf("read the status of %s: %w", workflowID, err)
	}
	return status, nil
}

// classify tells the errors apart that a caller treats differently. Of a workflow's other refusals the
// message is left; all else stays as it is.
func classify(err error) error {
	var (
		refused     *temporal.ApplicationError
		notFound    *serviceerror.NotFound
		unavailable *serviceerror.Unavailable
		deadline    *serviceerror.DeadlineExceeded
		timedOut    *client.WorkflowUpdateServiceTimeoutOrCanceledError
	)
	switch {
	case errors.As(err, &refused) && refused.Type() == workflows.ErrorConflict:
		return fmt.Errorf("%w: %s", ErrConflict, refused.Message())
	case errors.As(err, &refused) && refused.Type() == workflows.ErrorNotFound:
		return fmt.Errorf("%w: %s", ErrNotCarried, refused.Message())
	case errors.As(err, &refused): // its type and whether Temporal would retry it say nothing to a person
		return errors.New(refused.Message())
	case errors.As(err, &notFound):
		return ErrNotRunning
	case errors.As(err, &unavailable), errors.As(err, &deadline), errors.As(err, &timedOut), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	return err
}
