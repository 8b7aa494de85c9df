package doctor

import (
	"context"
	"errors"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"onevault/workflows"
)

// answerTimeout bounds each question to Temporal.
const answerTimeout = 5 * time.Second

// Schedules are those without which nothing fires.
func Schedules() []string { return []string{"collect", "evaluate"} }

// quietSchedules are the others of the vault's own server, but for retain: of them only what is wrong is told.
func quietSchedules() []string { return []string{"security", "capacity", "compliance", "report"} }

// Temporal checks a cluster to which a connection was made. The schedules are those of targets beside local:
// of them only what is wrong is told. outbox is how long the vault keeps its rows; 0: it does not say.
func Temporal(ctx context.Context, c client.Client, address, namespace, taskQueue string, schedules []string, outbox time.Duration, clock func() time.Time) []Finding {
	now := clock()
	findings := []Finding{ok("temporal", "%s answers", address)}
	space := checkNamespace(ctx, c, namespace, outbox)
	findings = append(findings, space...)
	if Failed(space) {
		return findings // the rest lives in the namespace
	}
	pollers := checkPollers(ctx, c, taskQueue)
	findings = append(findings, checkSearchAttributes(ctx, c, namespace), pollers)
	if pollers.Status == OK {
		findings = append(findings, checkWorker(ctx, c, taskQueue, clock)...)
	}
	for _, id := range Schedules() {
		findings = append(findings, checkSchedule(ctx, c, id, now))
	}
	for _, id := range schedules {
		if found := checkSchedule(ctx, c, id, now); found.Status != OK {
			findings = append(findings, found)
		}
	}
	for _, id := range quietSchedules() {
		if found := checkSchedule(ctx, c, id, now); found.Status != OK {
			found.Status = Warn // nothing about an alert waits for it
			findings = append(findings, found)
		}
	}
	findings = append(findings, checkHeartbeat(ctx, c, now))
	return append(findings, checkRetain(ctx, c)...)
}

func checkNamespace(ctx context.Context, c client.Client, namespace string, outbox time.Duration) []Finding {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	found, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	var missing *serviceerror.NamespaceNotFound
	switch {
	case errors.As(err, &missing):
		return []Finding{fail("namespace", "temporal operator namespace create --namespace "+namespace+", or set TEMPORAL_NAMESPACE", "%q does not exist", namespace)}
	case err != nil:
		return []Finding{fail("namespace", "see Temporal's own health and your credentials", "%s", err)}
	}
	return []Finding{
		ok("namespace", "%s exists", namespace),
		judgeKeeping(namespace, found.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration(), outbox),
	}
}

func checkSearchAttributes(ctx context.Context, c client.Client, namespace string) Finding {
	const check = "search attributes"
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	known, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return warn(check, "allow this client to list them, or ask the cluster's operator", "%s", err)
	}
	var missing []string
	for _, attribute := range workflows.SearchAttributes() {
		if _, there := known.GetCustomAttributes()[attribute.GetName()]; !there {
			missing = append(missing, attribute.GetName())
		}
	}
	if len(missing) > 0 {
		return fail(check, "start a worker, which adds them, or: temporal operator search-attribute create --namespace "+namespace, "not registered: %s", several(missing))
	}
	return ok(check, "all %d are registered", len(workflows.SearchAttributes()))
}

func checkPollers(ctx context.Context, c client.Client, taskQueue string) Finding {
	const check = "workers"
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	identities := map[string]bool{}
	for _, kind := range []enumspb.TaskQueueType{enumspb.TASK_QUEUE_TYPE_WORKFLOW, enumspb.TASK_QUEUE_TYPE_ACTIVITY} {
		found, err := c.DescribeTaskQueue(ctx, taskQueue, kind)
		if err != nil {
			return fail(check, "see Temporal's own health", "%s", err)
		}
		if len(found.GetPollers()) == 0 {
			return fail(check, "start one: onevault worker (or set ONEVAULT_TASK_QUEUE to the queue that they listen on)", "none listens on the task queue %s", taskQueue)
		}
		for _, poller := range found.GetPollers() {
			identities[poller.GetIdentity()] = true
		}
	}
	return ok(check, "%d listening on the task queue %s", len(identities), taskQueue)
}

func checkSchedule(ctx context.Context, c client.Client, id string, now time.Time) Finding {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	found, err := c.ScheduleClient().GetHandle(ctx, id).Describe(ctx)
	var missing *serviceerror.NotFound
	switch {
	case errors.As(err, &missing):
		return fail("schedule "+id, "start a worker, which creates it", "it does not exist")
	case err != nil:
		return fail("schedule "+id, "see Temporal's own health", "%s", err)
	}
	return judgeSchedule(now, id, found)
}

func judgeSchedule(now time.Time, id string, s *client.ScheduleDescription) Finding {
	check := "schedule " + id
	if s.Schedule.State != nil && s.Schedule.State.Paused {
		return fail(check, "onevault schedule resume "+id, "it is paused: %s", s.Schedule.State.Note)
	}
	every := time.Duration(0)
	if s.Schedule.Spec != nil {
		for _, interval := range s.Schedule.Spec.Intervals {
			every = max(every, interval.Every)
		}
		if len(s.Schedule.Spec.Calendars)+len(s.Schedule.Spec.CronExpressions) > 0 {
			return judgeDaily(now, id, s)
		}
	}
	last := s.Info.CreatedAt
	words := "never ran, created"
	if n := len(s.Info.RecentActions); n > 0 {
		last, words = s.Info.RecentActions[n-1].ActualTime, "ran last"
	}
	if every > 0 && now.Sub(last) > missedCycles*every+time.Minute {
		return fail(check, "see the workflow "+id+" in the Temporal UI: an older run may still be going", "%s %s, though it is due every %s", words, age(now, last), every)
	}
	return ok(check, "%s %s", words, age(now, last))
}
