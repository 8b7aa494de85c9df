package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"onevault/cmd/onevault-dev/temporalserver"
	"onevault/inbox"
	"onevault/migrations"
	"onevault/notify"
	"onevault/pgserver"
	"onevault/settings"
	"onevault/worker"
	"onevault/workflows"
)

// cadence is how often a development start collects and evaluates: something to see in seconds.
const cadence = 10 * time.Second

// leftoversEnd is how long what a killed start left behind may hold its ports.
const leftoversEnd = 3 * time.Second

// stack is everything that runs, in the order in which it was started.
type stack struct {
	options *options
	screen  io.Writer
	log     *slog.Logger
	dir     *dataDir
	started time.Time

	databaseURL     string
	temporalAddress string
	uiURL           string
	apiURL          string
	inbox           *inbox.Server
	slack           inbox.SlackApp // new at each start

	temporalFailed <-chan error
	workerEnded    chan error
	running        []part
}

// part is one thing that runs and how it ends.
type part struct {
	name string
	stop func() error
}

// runStack starts everything, calls use when it is ready, and ends everything in reverse order
// whatever happened.
func runStack(ctx context.Context, o *options, out io.Writer, use func(context.Context, *stack) error) (err error) {
	s := &stack{options: o, screen: out, started: time.Now(), workerEnded: make(chan error, 1)}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop before it was ready
		}
		return err
	}
	return use(ctx, s)
}

// start brings one part up after another; each may rely on those before it.
func (s *stack) start(ctx context.Context) error {
	steps := []func(context.Context) error{
		s.openDir, s.openLog, s.choosePorts, s.startPostgres, s.startTemporal, s.startInbox, s.fillVault, s.startWorker, s.writeEnvFile,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// wait returns when the context ends (nil), or when a part that must run gave up.
func (s *stack) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.temporalFailed:
		return err
	case err := <-s.workerEnded:
		s.workerEnded <- nil // for stop, which waits for it as well
		if err == nil {
			err = errors.New("it ended by itself")
		}
		return fmt.Errorf("worker: %w", err)
	}
}

// stop ends what runs, last started first, and reports all that went wrong.
func (s *stack) stop() error {
	var errs []error
	for _, p := range slices.Backward(s.running) {
		if err := p.stop(); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", p.name, err))
		}
	}
	s.running = nil
	return errors.Join(errs...)
}

func (s *stack) runs(name string, stop func() error) {
	s.running = append(s.running, part{name, stop})
}

func (s *stack) note(text string) { fmt.Fprintln(s.screen, text) }

func (s *stack) openDir(context.Context) error {
	dir, err := openDataDir(s.options)
	if err != nil {
		return err
	}
	s.dir = dir
	s.runs("data directory", dir.close)
	return nil
}

// openLog sends everything to a file and what somebody should know to the terminal as well.
func (s *stack) openLog(context.Context) error {
	file, err := os.OpenFile(s.dir.file("onevault.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	s.runs("log", file.Close)
	s.log = slog.New(slog.NewMultiHandler(
		slog.NewJSONHandler(file, &slog.HandlerOptions{Level: slog.LevelInfo}),
		newTerminalLog(os.Stderr),
	))
	return nil
}

func (s *stack) choosePorts(context.Context) error {
	var patience time.Duration
	if s.dir.unclean {
		patience = leftoversEnd
	}
	o := s.options
	choices := []*portChoice{&o.api, &o.inbox, &o.smtp}
	if o.databaseURL == "" {
		choices = append(choices, &o.postgres)
	}
	if o.temporalAddress == "" {
		choices = append(choices, &o.temporal, &o.ui)
	}
	for _, c := range choices {
		if err := c.choose(patience, s.note); err != nil {
			return err
		}
	}
	return nil
}

func (s *stack) startPostgres(ctx context.Context) error {
	if s.options.databaseURL != "" {
		s.databaseURL = s.options.databaseURL
		return nil
	}
	config := pgserver.Config{Dir: s.dir.file("postgres"), Port: s.options.postgres.port, Settings: map[string]string{
		// The worker reads of its log which log-ins failed. A file for each day of the week, of every version's format.
		"logging_collector": "on", "log_destination": "stderr,csvlog", "log_connections": "on",
		"log_filename": "postgresql-%a.log", "log_truncate_on_rotation": "on", "log_rotation_size": "0",
	}}
	p, err := startPostgres(ctx, config, s.options.postgresRestart, s.log, s.screen)
	if err != nil {
		return err
	}
	s.databaseURL = p.url()
	s.runs("PostgreSQL", p.stop)
	return nil
}

func (s *stack) startTemporal(ctx context.Context) error {
	if s.options.temporalAddress != "" {
		s.temporalAddress, s.uiURL = s.options.temporalAddress, s.options.uiURL
		return nil
	}
	server, err := temporalserver.Start(ctx, temporalserver.Config{
		Dir:              s.dir.file("temporal"),
		Port:             s.options.temporal.port,
		UIPort:           s.options.ui.port,
		SearchAttributes: searchAttributes(),
	})
	if err != nil {
		return err
	}
	s.temporalAddress, s.uiURL, s.temporalFailed = server.Address(), server.UIURL(), server.Failed()
	s.runs("Temporal", server.Stop)
	return nil
}

func (s *stack) startInbox(ctx context.Context) error {
	secret, err := s.dir.webhookSecret()
	if err != nil {
		return err
	}
	if err := os.Setenv(webhookSecretVariable, secret); err != nil {
		return fmt.Errorf("hand the webhook secret to the worker: %w", err)
	}
	if err := setProviderSecrets(); err != nil {
		return err
	}
	s.slack = inbox.SlackApp{
		Token: "xoxb-" + rand.Text(), SigningSecret: rand.Text(), RequestURL: "http://" + loopback(s.options.api.port) + "/slack/interactivity",
	}
	if err := os.Setenv(slackTokenVariable, s.slack.Token); err != nil {
		return fmt.Errorf("hand the Slack token to the worker: %w", err)
	}
	s.inbox, err = inbox.Start(context.WithoutCancel(ctx), inbox.Config{
		SMTPAddr:      loopback(s.options.smtp.port),
		HTTPAddr:      loopback(s.options.inbox.port),
		WebhookSecret: secret,
		Slack:         s.slack,
		Twilio: inbox.TwilioAccount{
			AuthToken: os.Getenv(twilioTokenVariable), ReplyURL: "http://" + loopback(s.options.api.port) + notify.TwilioReplyPath,
		},
		PagerDuty: inbox.PagerWebhook{
			URL: "http://" + loopback(s.options.api.port) + "/pagerduty/" + pagerChannel, Secret: os.Getenv(pagerSecretVariable),
		},
		Log: s.log,
	})
	if err != nil {
		return err
	}
	s.runs("inbox", s.inbox.Close)
	return nil
}

// fillVault brings the database to this version and points the channels at the inbox.
func (s *stack) fillVault(ctx context.Context) error {
	progress := func(step string) { s.log.Info("migrated", "step", step) }
	if err := migrations.Up(ctx, s.databaseURL, progress); err != nil {
		return err
	}
	return putChannels(ctx, s.databaseURL, s.inbox.SMTPAddr(), s.inbox.HTTPURL())
}

// startWorker returns when the worker polls. The worker has a context of its own, so that it ends
// before what it needs does.
func (s *stack) startWorker(ctx context.Context) error {
	if s.options.noWorker {
		return nil
	}
	networks, err := settings.ParseCIDRs(allowedNetworks())
	if err != nil {
		return usageError{err}
	}
	keys, err := s.dir.linkKey()
	if err != nil {
		return err
	}
	heartbeat, beats, err := settings.ReadHeartbeat(os.Getenv)
	if err != nil {
		return usageError{err}
	}
	run, end := context.WithCancel(context.WithoutCancel(ctx))
	ready := make(chan struct{})
	api := loopback(s.options.api.port)
	s.apiURL = "http://" + api
	go func() {
		s.workerEnded <- worker.Run(run, worker.Config{
			DatabaseURL:     s.databaseURL,
			TemporalAddress: s.temporalAddress,
			Namespace:       namespace(),
			TaskQueue:       taskQueue(),
			CollectEvery:    cadence,
			EvaluateEvery:   cadence,
			AllowedCIDRs:    networks,
			ArchiveDir:      s.dir.file("archive"),
			APIAddr:         api,
			UIURL:           s.uiURL,
			PublicURL:       s.apiURL,
			LinkKeys:        keys,
			Slack:           s.slackConfig(),
			HeartbeatURL:    heartbeat,
			HeartbeatEvery:  beats,
			OnReady:         func() { close(ready) },
		}, s.log)
	}()
	s.runs("worker", func() error {
		end()
		return <-s.workerEnded
	})
	select {
	case <-ready:
		return nil
	case err := <-s.workerEnded:
		s.workerEnded <- nil
		if err == nil {
			err = errors.New("it ended before it was ready")
		}
		return fmt.Errorf("start the worker: %w", err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// slackConfig lets whoever presses in the inbox's Slack command alerts.
func (s *stack) slackConfig() worker.SlackConfig {
	return worker.SlackConfig{
		SigningSecret: s.slack.SigningSecret, People: map[string]string{inbox.SlackUser: "dev"},
		AnswersAt: []string{s.inbox.HTTPURL() + "/slack/response/"},
	}
}

func (s *stack) writeEnvFile(context.Context) error {
	return settings.WriteEnvFile(s.dir.path, s.addresses())
}

// addresses are the variables of the contract, and what `onevault channel test` needs to reach the inbox
// as the worker does. The file is its owner's alone.
func (s *stack) addresses() settings.Values {
	return settings.Values{
		settings.AllowedCIDRs:    allowedNetworks(),
		webhookSecretVariable:    os.Getenv(webhookSecretVariable),
		twilioTokenVariable:      os.Getenv(twilioTokenVariable),
		pagerSecretVariable:      os.Getenv(pagerSecretVariable),
		pagerKeyVariable:         os.Getenv(pagerKeyVariable),
		slackTokenVariable:       s.slack.Token,
		settings.DatabaseURL:     s.databaseURL,
		settings.TemporalAddress: s.temporalAddress,
		settings.UIURL:           s.uiURL,
		settings.APIURL:          s.apiURL,
		settings.PublicURL:       s.apiURL,
		settings.LinkKeyFile:     s.dir.file("link-key"),
		settings.InboxURL:        s.inbox.HTTPURL(),

		settings.SlackSigningSecret: s.slack.SigningSecret,
		settings.SlackPeople:        inbox.SlackUser + "=dev",
	}
}

// allowedNetworks adds the loopback, where the inbox is, to what the user allows.
func allowedNetworks() string {
	return strings.TrimPrefix(os.Getenv(settings.AllowedCIDRs)+",127.0.0.0/8,::1/128", ",")
}

func namespace() string {
	if name := os.Getenv("TEMPORAL_NAMESPACE"); name != "" {
		return name
	}
	return temporalserver.Namespace
}

func taskQueue() string {
	if name := os.Getenv("ONEVAULT_TASK_QUEUE"); name != "" {
		return name
	}
	return workflows.DefaultTaskQueue
}

// searchAttributes are those by which people filter alerts in the Temporal UI.
func searchAttributes() map[string]enumspb.IndexedValueType {
	attributes := map[string]enumspb.IndexedValueType{}
	for _, key := range workflows.SearchAttributes() {
		attributes[key.GetName()] = key.GetValueType()
	}
	return attributes
}
