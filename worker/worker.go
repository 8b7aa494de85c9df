package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	tlog "go.temporal.io/sdk/log"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/api"
	"onevault/archive"
	"onevault/collect"
	"onevault/migrations"
	"onevault/vault"
	"onevault/workflows"
)

// retryEvery is how long to wait before trying again what is not there yet.
const retryEvery = 2 * time.Second

// parts is what a running worker consists of.
type parts struct {
	config    Config
	log       *slog.Logger
	store     *vault.Store
	target    *collect.Target
	registry  *activities.Registry // of the targets beside local
	temporal  client.Client
	metrics   *api.TemporalMetrics
	pulse     *api.PulseMetrics
	alerts    *activities.Alerts
	incidents *activities.Incidents
	silences  *activities.Silences
	circuits  *activities.Circuits
	channels  *activities.Directory
	gate      *api.Inbound         // for what others send
	gathered  *prometheus.Registry // what /metrics shows
}

// Run works until the context ends, and then stops in order: nothing new is begun, what is under way is
// given ten seconds. A Temporal cluster or a vault that is down is waited for; only a setting that can
// never work is an error.
func Run(ctx context.Context, config Config, log *slog.Logger) error {
	if err := config.Validate(); err != nil {
		return err
	}
	p := &parts{config: config.withDefaults(), log: log, metrics: api.NewTemporalMetrics(), pulse: api.NewPulseMetrics(), circuits: activities.NewCircuits(activities.CircuitLimits{OpenFor: config.CircuitOpenFor, GiveUpAfter: config.CircuitGiveUp}, log)}
	defer p.close()
	if err := p.openVault(ctx); err != nil {
		return err
	}
	if err := p.openTemporal(); err != nil {
		return err
	}
	if err := p.openGate(); err != nil {
		return err
	}
	stopSlack, err := p.openSlack(ctx)
	if err != nil {
		return err
	}
	defer stopSlack()
	stopAPI, err := p.serveAPI()
	if err != nil {
		return err
	}
	defer stopAPI()

	if err := p.prepareCluster(ctx); err != nil {
		return ignoreStop(ctx, err)
	}
	w, err := p.register()
	if err != nil {
		return err
	}
	if err := w.Start(); err != nil {
		return fmt.Errorf("start the worker: %w", err)
	}
	defer w.Stop()
	if err := p.reconcileSchedules(ctx); err != nil {
		return ignoreStop(ctx, err)
	}
	relayed := make(chan struct{})
	go func() {
		defer close(relayed)
		newRelay(p.store, p.alerts, p.incidents, p.silences, p.temporal, log).run(ctx)
	}()
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		p.followTargets(ctx)
	}()
	log.Info("worker ready", "task_queue", p.config.TaskQueue, "collect_every", p.config.CollectEvery, "evaluate_every", p.config.EvaluateEvery)
	if p.config.OnReady != nil {
		p.config.OnReady()
	}
	<-ctx.Done()
	<-relayed
	<-followed
	return nil
}

// ignoreStop: being told to stop while waiting is no error.
func ignoreStop(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (p *parts) close() {
	if p.temporal != nil {
		p.temporal.Close()
	}
	if p.registry != nil {
		p.registry.Close()
	}
	if p.target != nil {
		p.target.Close()
	}
	if p.store != nil {
		p.store.Close()
	}
}

// openVault prepares the pools and refuses a schema that this build cannot use. A vault that is down
// is no reason not to start: alerts that are open must be heard of.
func (p *parts) openVault(ctx context.Context) error {
	var err error
	if p.store, err = vault.Open(ctx, p.config.DatabaseURL); err != nil {
		return err
	}
	if p.target, err = collect.OpenTarget(localTarget, p.config.DatabaseURL); err != nil {
		return err
	}
	p.registry = &activities.Registry{Vault: p.store, Secrets: collect.Secrets{Dirs: p.config.secretsDirs()}}
	checkCtx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	pending, err := migrations.Pending(checkCtx, p.config.DatabaseURL)
	switch {
	case vault.Unreachable(err):
		p.log.Warn("vault unreachable, starting without it", "error", err)
	case err != nil:
		return err
	case pending > 0:
		return fmt.Errorf("the vault lacks %d migrations: run `onevault migrate up` first", pending)
	}
	return nil
}

// openTemporal prepares a client that connects when it is first used.
func (p *parts) openTemporal() error {
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return fmt.Errorf("read Temporal's settings: %w", err)
	}
	if p.config.TemporalAddress != "" {
		options.HostPort = p.config.TemporalAddress
	}
	if p.config.Namespace != "" {
		options.Namespace = p.config.Namespace
	}
	if options.Namespace == "" {
		options.Namespace = client.DefaultNamespace
	}
	p.config.Namespace, p.config.TemporalAddress = options.Namespace, options.HostPort
	options.Logger = tlog.NewStructuredLogger(p.log)
	options.MetricsHandler = p.metrics.Handler()
	options.Identity = identity()
	options.DataConverter = workflows.DataConverter()
	if p.temporal, err = client.NewLazyClient(options); err != nil {
		return fmt.Errorf("prepare the connection to Temporal at %s: %w", options.HostPort, err)
	}
	return nil
}

func identity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	return fmt.Sprintf("onevault@%s:%d", host, os.Getpid())
}

func (p *parts) register() (sdkworker.Worker, error) {
	links, err := p.links()
	if err != nil {
		return nil, err
	}
	directory := p.channels
	p.alerts = &activities.Alerts{
		Vault: p.store, Channels: directory, Temporal: p.temporal, Log: p.log,
		TaskQueue: p.config.TaskQueue, AlertWorkflow: workflows.AlertWorkflowName,
	}
	p.incidents = &activities.Incidents{
		Vault: p.store, Temporal: p.temporal, TaskQueue: p.config.TaskQueue, IncidentWorkflow: workflows.IncidentWorkflowName,
	}
	p.silences = &activities.Silences{
		Vault: p.store, Channels: directory, Temporal: p.temporal, TaskQueue: p.config.TaskQueue, SilenceWorkflow: workflows.SilenceWorkflowName,
	}
	w := sdkworker.New(p.temporal, p.config.TaskQueue, sdkworker.Options{
		MaxConcurrentWorkflowTaskPollers: 10,
		MaxConcurrentActivityTaskPollers: 10,
		// More than the destinations of a site can fill with messages that hang: see activities.CircuitLimits.
		MaxConcurrentActivityExecutionSize: 4000,
		WorkerStopTimeout:                  10 * time.Second,
		// How long a task waits for the worker that knows its workflow: a killed one costs no more than this.
		StickyScheduleToStartTimeout: 3 * time.Second,
	})
	for _, t := range workflows.Types() {
		w.RegisterWorkflowWithOptions(t.Workflow, workflow.RegisterOptions{Name: t.Name})
	}
	collection := &activities.Collection{Vault: p.store, Targets: map[string]*collect.Target{localTarget: p.target}, Registry: p.registry, ControlsDir: p.config.ControlsDir}
	for _, group := range []any{
		p.alerts,
		p.incidents,
		p.silences,
		&activities.Storms{Vault: p.store, Temporal: p.temporal, TaskQueue: p.config.TaskQueue, StormWorkflow: workflows.StormWorkflowName},
		&activities.Notifications{
			Vault: p.store, Channels: directory, Log: p.log, UIURL: p.config.UIURL, Namespace: p.config.Namespace, Links: links, Circuits: p.circuits,
			Temporal: p.temporal, TaskQueue: p.config.TaskQueue, DigestWorkflow: workflows.DigestWorkflowName, DigestWithin: p.config.DigestWithin,
		},
		&activities.Reports{Vault: p.store, Channels: directory, Log: p.log},
		collection,
		&activities.Security{Vault: p.store, Collection: collection, Log: p.log},
		p.retention(),
		p.heartbeats(),
		&activities.Examinations{Vault: p.store, Channels: directory},
	} {
		w.RegisterActivityWithOptions(group, activity.RegisterOptions{})
	}
	return w, nil
}

// retention archives below the directory that is set, as the host that it runs on.
func (p *parts) retention() *activities.Retention {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	r := &activities.Retention{Vault: p.store, Host: host, Version: p.config.Version}
	if p.config.ArchiveDir == "" {
		p.log.Warn("no directory for archives: rows that are to be archived before they leave will stay", "set", "ONEVAULT_ARCHIVE_DIR")
		return r
	}
	dir := archive.NewDir(p.config.ArchiveDir)
	r.Archive = &dir
	return r
}

// serveAPI answers health checks from the first moment, also while Temporal or the vault are waited for.
func (p *parts) serveAPI() (stop func(), err error) {
	if p.config.APIAddr == "" {
		return func() {}, nil
	}
	p.gathered.MustRegister(p.metrics, p.pulse, api.DeliveryMetrics(p.deliveries), api.CircuitMetrics(p.circuitStates), api.PoolMetrics("vault", p.store.Pool()))
	server, err := api.New(api.Config{Addr: p.config.APIAddr, InboundAddr: p.config.InboundAddr, Inbound: p.gate, Registry: p.gathered, Log: p.log, Checks: map[string]func(context.Context) error{
		"vault":    p.store.Ping,
		"temporal": p.checkTemporal,
		"worker":   p.checkPollers,
	}})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(ctx); err != nil {
			p.log.Error("health endpoints ended", "error", err)
		}
	}()
	return func() { cancel(); <-served }, nil
}

func (p *parts) checkTemporal(ctx context.Context) error {
	_, err := p.temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
	return err
}

// checkPollers asks Temporal whether somebody polls our queue: a worker that runs and polls nothing is
// not ready.
func (p *parts) checkPollers(ctx context.Context) error {
	answer, err := p.temporal.DescribeTaskQueue(ctx, p.config.TaskQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return err
	}
	if len(answer.GetPollers()) == 0 {
		return errors.New("nobody polls task queue " + p.config.TaskQueue)
	}
	return nil
}

// prepareCluster waits for Temporal, and makes the search attributes known to it.
func (p *parts) prepareCluster(ctx context.Context) error {
	return p.insist(ctx, "Temporal at "+p.config.TemporalAddress, func(ctx context.Context) error {
		if _, err := p.temporal.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: p.config.Namespace}); err != nil {
			return fmt.Errorf("namespace %s: %w", p.config.Namespace, err)
		}
		return p.registerSearchAttributes(ctx)
	})
}

// insist repeats what depends on another server until it works or the worker is stopped, and says so
// the first time and then once a minute.
func (p *parts) insist(ctx context.Context, what string, try func(context.Context) error) error {
	said := time.Time{}
	for {
		tryCtx, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := try(tryCtx)
		cancel()
		if err == nil {
			if !said.IsZero() {
				p.log.Info("usable again", "what", what)
			}
			return nil
		}
		if time.Since(said) > time.Minute {
			said = time.Now()
			p.log.Warn("not usable yet, trying on", "what", what, "every", retryEvery, "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryEvery):
		}
	}
}
