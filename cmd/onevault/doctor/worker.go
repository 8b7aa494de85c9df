package doctor

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"

	"onevault/activities"
	"onevault/workflows"
)

// checkWorker has a worker look at what only it can see: whether the channels' secrets are in its environment, whether
// it reaches their providers, what time it is there. The workflow that is started for it also shows Temporal's clock.
func checkWorker(ctx context.Context, c client.Client, taskQueue string, clock func() time.Time) []Finding {
	const check = "worker"
	ctx, cancel := context.WithTimeout(ctx, workflows.ExamineTimeout)
	defer cancel()
	before := clock()
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: fmt.Sprintf("doctor/%d", before.UnixNano()), TaskQueue: taskQueue, WorkflowExecutionTimeout: workflows.ExamineTimeout,
		StaticSummary: "onevault doctor asks a worker what it sees",
	}, workflows.ExamineWorkflowName)
	if err != nil {
		return []Finding{warn(check, "see Temporal's own health, and whether this client may start workflows", "it cannot be asked: %s", err)}
	}
	started := clock()
	var (
		found    activities.ExamineOutput
		findings []Finding
	)
	if err := run.Get(ctx, &found); err != nil {
		findings = append(findings, warn(check, "see its log, and the workflow "+run.GetID()+" in the Temporal UI; a worker of an older version does not know it",
			"it was asked and did not answer: %s", err))
	} else {
		findings = append(judgeSkew("clock of "+found.Host, "the worker's clock", before, found.At, clock()), judgeExamined(found)...)
	}
	described, err := c.DescribeWorkflowExecution(ctx, run.GetID(), run.GetRunID())
	if err != nil {
		return append(findings, warn("clock of temporal", "see Temporal's own health", "%s", err))
	}
	at := described.GetWorkflowExecutionInfo().GetStartTime().AsTime()
	return append(findings, judgeSkew("clock of temporal", "Temporal's clock", before, at, started)...)
}

// judgeExamined says what a worker found of each channel.
func judgeExamined(found activities.ExamineOutput) []Finding {
	var (
		findings []Finding
		reached  int
		untried  []string
	)
	for _, c := range found.Channels {
		check := "channel " + c.Key
		switch {
		case c.Unusable != "":
			findings = append(findings, fail(check, "do what it says on the workers' hosts, then `onevault channel test "+c.Key+"`", "on %s it cannot be used: %s", found.Host, c.Unusable))
		case c.Recipients == 0:
			findings = append(findings, fail(check, "name somebody in its configuration, or disable it", "it has no recipients: nobody is told by it"))
		case c.Unreachable != "":
			findings = append(findings, fail(check, "see the name service, the firewall and the provider's status page; a login that is refused needs a new secret", "from %s its provider cannot be used: %s", found.Host, c.Unreachable))
		case !c.Tried:
			untried = append(untried, c.Key)
		default:
			reached++
		}
	}
	if reached > 0 {
		findings = append(findings, ok("providers", "%s has the secrets of %d channels and reaches their providers", found.Host, reached))
	}
	if len(untried) > 0 {
		findings = append(findings, ok("providers", "cannot be tried without sending; `onevault channel test` does: %s", several(untried)))
	}
	return findings
}
