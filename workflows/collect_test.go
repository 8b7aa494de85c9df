package workflows_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"onevault/activities"
	"onevault/workflows"
)

// collector stands for a target and the vault.
type collector struct {
	healthErr, performanceErr, scoreErr error
	done                                []string
}

func (c *collector) CollectHealth(context.Context, activities.CollectHealthInput) (activities.CollectHealthOutput, error) {
	c.done = append(c.done, "health")
	return activities.CollectHealthOutput{Samples: 35}, c.healthErr
}

func (c *collector) CollectPerformance(context.Context, activities.CollectPerformanceInput) (activities.CollectPerformanceOutput, error) {
	c.done = append(c.done, "performance")
	return activities.CollectPerformanceOutput{Statements: 20}, c.performanceErr
}

func (c *collector) ScoreAnomalies(_ context.Context, in activities.ScoreAnomaliesInput) (activities.ScoreAnomaliesOutput, error) {
	c.done = append(c.done, "anomalies")
	if in.Target != "local" || in.At.IsZero() {
		return activities.ScoreAnomaliesOutput{}, temporal.NewNonRetryableApplicationError("asked for nothing", "Test", nil)
	}
	return activities.ScoreAnomaliesOutput{Scored: 12, Anomalous: []string{"transactions_per_s"}}, c.scoreErr
}

func collectWith(t *testing.T, c *collector) (workflows.CollectResult, error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := newEnvironment(&suite)
	env.RegisterActivity(c)
	env.ExecuteWorkflow(workflows.Collect, workflows.CollectInput{Target: "local", Every: time.Minute})
	var result workflows.CollectResult
	if err := env.GetWorkflowError(); err != nil {
		return result, err
	}
	if err := env.GetWorkflowResult(&result); err != nil {
		t.Fatal(err)
	}
	return result, nil
}

func TestCollect_MeasuresHealthThenStatementsAndJudgesThem(t *testing.T) {
	t.Parallel()
	c := &collector{}
	result, err := collectWith(t, c)
	if err != nil || result.Samples != 35 || result.Performance.Statements != 20 || result.Anomalies.Scored != 12 ||
		strings.Join(c.done, " ") != "health performance anomalies" {
		t.Errorf("ended with %+v, %v, having done %v", result, err, c.done)
	}
}

func TestCollect_AFailureOfOneHidesNotTheOther(t *testing.T) {
	t.Parallel()
	refused := func(word string) error {
		return temporal.NewNonRetryableApplicationError("no "+word, activities.ErrorVaultRefused, nil)
	}
	for name, c := range map[string]*collector{
		"health":      {healthErr: refused("health")},
		"performance": {performanceErr: refused("performance")},
		"anomalies":   {scoreErr: refused("anomalies")},
		"all":         {healthErr: refused("health"), performanceErr: refused("performance"), scoreErr: refused("anomalies")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := collectWith(t, c)
			if strings.Join(c.done, " ") != "health performance anomalies" {
				t.Errorf("only %v was measured", c.done)
			}
			for word, failed := range map[string]bool{"no health": c.healthErr != nil, "no performance": c.performanceErr != nil, "no anomalies": c.scoreErr != nil} {
				if failed && (err == nil || !strings.Contains(err.Error(), word)) {
					t.Errorf("ended with %v, which does not say %q", err, word)
				}
			}
		})
	}
}
