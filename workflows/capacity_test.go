package workflows_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"onevault/activities"
	"onevault/workflows"
)

// measurer stands for the target and the vault.
type measurer struct {
	errs []error // of the attempts, in their order; then all is well
	seen []activities.CollectCapacityInput
	out  activities.CollectCapacityOutput
}

func (m *measurer) CollectCapacity(_ context.Context, in activities.CollectCapacityInput) (activities.CollectCapacityOutput, error) {
	m.seen = append(m.seen, in)
	if n := len(m.seen); n <= len(m.errs) {
		return activities.CollectCapacityOutput{}, m.errs[n-1]
	}
	return m.out, nil
}

func capacityWith(t *testing.T, m *measurer) (activities.CollectCapacityOutput, error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := newEnvironment(&suite)
	env.SetStartTime(began)
	env.RegisterActivity(m)
	env.ExecuteWorkflow(workflows.Capacity, workflows.CapacityInput{Target: "local", Every: time.Hour})
	var out activities.CollectCapacityOutput
	if err := env.GetWorkflowError(); err != nil {
		return out, err
	}
	if err := env.GetWorkflowResult(&out); err != nil {
		t.Fatal(err)
	}
	return out, nil
}

func TestCapacity_RetriesUnderTheMomentAtWhichItBegan(t *testing.T) {
	t.Parallel()
	m := &measurer{errs: []error{errVault, errVault, errVault}, out: activities.CollectCapacityOutput{Resources: 60, Recorded: 60, Problems: []string{"TEMP: no"}}}
	out, err := capacityWith(t, m)
	if err != nil || out.Recorded != 60 || !slices.Equal(out.Problems, m.out.Problems) {
		t.Errorf("got %+v, %v", out, err)
	}
	want := activities.CollectCapacityInput{Target: "local", At: began, Every: time.Hour}
	if !slices.Equal(m.seen, []activities.CollectCapacityInput{want, want, want, want}) {
		t.Errorf("the attempts saw %+v", m.seen)
	}
}

func TestCapacity_ATargetThatIsDownIsSaidInTheResult(t *testing.T) {
	t.Parallel()
	m := &measurer{out: activities.CollectCapacityOutput{Error: "reach target local: connection refused"}}
	if out, err := capacityWith(t, m); err != nil || out.Error != m.out.Error || len(m.seen) != 1 {
		t.Errorf("got %+v, %v after %d attempts", out, err, len(m.seen))
	}
}

func TestCapacity_AVaultThatRefusesFailsTheRunAtOnce(t *testing.T) {
	t.Parallel()
	refused := temporal.NewNonRetryableApplicationError("value out of range", activities.ErrorVaultRefused, nil)
	m := &measurer{errs: []error{refused}}
	if _, err := capacityWith(t, m); err == nil || len(m.seen) != 1 {
		t.Errorf("got %v after %d attempts", err, len(m.seen))
	}
}

func TestCapacity_AVaultThatStaysAwayFailsTheRunBeforeTheNext(t *testing.T) {
	t.Parallel()
	m := &measurer{errs: slices.Repeat([]error{errVault}, 1000)}
	if _, err := capacityWith(t, m); err == nil || len(m.seen) < 10 || len(m.seen) > 100 {
		t.Errorf("got %v after %d attempts", err, len(m.seen))
	}
}
