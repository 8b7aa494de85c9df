// Package demo makes a real condition true on a real PostgreSQL and watches what OneVault does about
// it, step by step. It believes nothing that it did not see in the vault or in the inbox.
//
// It owns the connections that it takes and the one version of the definition that it may have to put,
// and gives both back however it ends. It refuses to run against anything but a development start:
// taking most of a server's connections is no way to treat one that others use.
package demo

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Definition is the alert that the demo makes fire.
const Definition = "SYSTEM_HIGH_CONNECTION_COUNT"

// The channels of a development start, in the order in which they are shown.
var channels = []string{"EMAIL", "SLACK", "WEBHOOK", "SMS", "VOICE", "PAGERDUTY"}

// Config says where the development start listens.
type Config struct {
	DatabaseURL string
	InboxURL    string
	UIURL       string   // empty: no links into the Temporal UI
	OneVault    string   // the command line's program
	Environment []string // of that program, NAME=value
	StepTimeout time.Duration
	Timeline    Timeline
}

// Timeline is told about the steps as they happen.
type Timeline interface {
	// Waiting: this step is being watched for.
	Waiting(step string)
	// Seen: the step happened, since after the condition became true.
	Seen(step string, since time.Duration, detail string)
	// Note is something that the reader should know.
	Note(text string)
}

// MissingStep is the error when a step was not observed.
type MissingStep struct {
	Step string
	Err  error // why
}

func (e *MissingStep) Error() string { return fmt.Sprintf("not observed: %s: %v", e.Step, e.Err) }

func (e *MissingStep) Unwrap() error { return e.Err }

// Result says where to look afterwards.
type Result struct {
	AlertID    string // short: A-7F3K
	WorkflowID string
	Took       time.Duration // from the condition to the last "resolved" message
}

// demo is one run.
type demo struct {
	Config
	vault *vault
	inbox *inboxClient
	load  *load

	condition condition
	began     time.Time // when the demo began, by the vault's clock
	trueAt    time.Time // when the condition was true
	after     int       // the inbox's messages up to this one are older
	alert     alertState
}

// Run makes the condition true, watches every step to the end and cleans up. The error is a
// *MissingStep when a step was not observed in time, or says why the demo could not begin.
func Run(ctx context.Context, cfg Config) (Result, error) {
	d := &demo{Config: cfg, inbox: &inboxClient{url: cfg.InboxURL}}
	if err := d.open(ctx); err != nil {
		return Result{}, err
	}
	// Cleaning up must work after an interrupt, too.
	defer d.close(context.WithoutCancel(ctx))
	if err := d.prepare(ctx); err != nil {
		return Result{}, err
	}
	for _, step := range d.steps() {
		d.Timeline.Waiting(step.name)
		if err := d.within(ctx, step.run); err != nil {
			return d.result(), &MissingStep{Step: step.name, Err: err}
		}
	}
	return d.result(), nil
}

type step struct {
	name string
	run  func(context.Context) error
}

func (d *demo) steps() []step {
	steps := []step{
		{"condition true", d.makeTrue},
		{"noticed", d.noticed},
		{"recorded", d.recorded},
	}
	for _, c := range channels {
		steps = append(steps, step{delivered(c), func(ctx context.Context) error { return d.told(ctx, c, "FIRED") }})
	}
	steps = append(steps,
		step{"acknowledged", d.acknowledge},
		step{"connections released", d.release},
		step{"resolved", d.resolved},
	)
	for _, c := range channels {
		steps = append(steps, step{toldResolved(c), func(ctx context.Context) error { return d.told(ctx, c, "RESOLVED") }})
	}
	return steps
}

var channelNames = map[string]string{"EMAIL": "e-mail", "SLACK": "Slack", "WEBHOOK": "webhook", "SMS": "SMS", "VOICE": "call", "PAGERDUTY": "PagerDuty"}

func delivered(channel string) string    { return channelNames[channel] + " delivered" }
func toldResolved(channel string) string { return channelNames[channel] + " told so" }

func (d *demo) within(ctx context.Context, run func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d.StepTimeout, fmt.Errorf("waited %s", d.StepTimeout))
	defer cancel()
	return run(ctx)
}

func (d *demo) open(ctx context.Context) error {
	var err error
	if d.after, err = d.inbox.position(ctx); err != nil {
		return err
	}
	if d.vault, err = openVault(ctx, d.DatabaseURL); err != nil {
		return err
	}
	d.load = &load{databaseURL: d.DatabaseURL}
	return nil
}

func (d *demo) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	d.load.release(ctx)
	if d.condition.lifted {
		if err := d.vault.restoreSuppression(ctx); err != nil {
			d.Timeline.Note(fmt.Sprintf("the definition keeps suppression_window_minutes = 0: %v; the next demo puts it back", err))
		} else {
			d.Timeline.Note("the definition has its suppression window again")
		}
	}
	d.vault.close(ctx)
}

// prepare waits for what an earlier run left behind, and lifts the suppression of a repeated firing
// where it would hide this one.
func (d *demo) prepare(ctx context.Context) error {
	var err error
	if d.condition, err = d.vault.condition(ctx); err != nil {
		return err
	}
	if err := d.awaitEarlierAlert(ctx); err != nil {
		return err
	}
	d.began, err = d.vault.now(ctx)
	if err != nil {
		return err
	}
	if !d.condition.suppressed {
		return nil
	}
	d.Timeline.Note(fmt.Sprintf("%q fired a short while ago, and its definition suppresses a repetition within %d minutes; "+
		"for this demo it gets a version without, and its own one back at the end", d.condition.name, d.condition.window))
	if err := d.vault.liftSuppression(ctx); err != nil {
		return err
	}
	d.condition.lifted = true
	return nil
}

// awaitEarlierAlert waits until the alert of an earlier run is resolved, as it is one evaluation after
// its connections were released.
func (d *demo) awaitEarlierAlert(ctx context.Context) error {
	told := false
	err := d.within(ctx, func(ctx context.Context) error {
		return poll(ctx, func(ctx context.Context) (bool, error) {
			id, err := d.vault.unresolved(ctx)
			if err != nil || id == "" {
				return err == nil, err
			}
			if !told {
				d.Timeline.Note(fmt.Sprintf("alert %s of an earlier firing is not resolved yet; waiting for that", id))
				told = true
			}
			return false, nil
		})
	})
	if err != nil {
		return fmt.Errorf("an earlier %q stays unresolved: close other programs' connections to this PostgreSQL, or end it with onevault alert resolve: %w", d.condition.name, err)
	}
	return nil
}

// makeTrue takes connections until the condition holds, a little above the threshold and below the
// next definition's.
func (d *demo) makeTrue(ctx context.Context) error {
	goal := d.condition.threshold + 5
	for {
		u, err := d.vault.usage(ctx)
		if err != nil {
			return err
		}
		if u.percent() >= goal {
			d.trueAt = time.Now()
			d.Timeline.Seen("condition true", 0, fmt.Sprintf("%d of %d connection slots taken, %.0f %% > %.0f %%",
				u.taken, u.slots, u.percent(), d.condition.threshold))
			return nil
		}
		if err := d.load.take(ctx, u.missing(goal)); err != nil {
			return err
		}
	}
}

func (d *demo) noticed(ctx context.Context) error {
	var e evaluation
	err := poll(ctx, func(ctx context.Context) (found bool, err error) {
		e, found, err = d.vault.firstTrue(ctx, d.began)
		return found, err
	})
	if err != nil {
		return err
	}
	d.Timeline.Seen("noticed", e.at.Sub(d.trueAt), fmt.Sprintf("evaluated TRUE at %.1f %%, decision %s", e.value, e.decision))
	return nil
}

func (d *demo) recorded(ctx context.Context) error {
	err := poll(ctx, func(ctx context.Context) (found bool, err error) {
		d.alert, found, err = d.vault.alertSince(ctx, d.began)
		return found, err
	})
	if err != nil {
		return err
	}
	if d.alert.status == "SUPPRESSED" {
		return fmt.Errorf("alert %s was recorded as SUPPRESSED: %s", d.alert.shortID, d.alert.suppression)
	}
	d.Timeline.Seen("recorded", d.alert.opened.Sub(d.trueAt), fmt.Sprintf("alert %s is OPEN in the vault", d.alert.shortID))
	return nil
}

// told waits until a channel's message about an event arrived in the inbox and its delivery stands in
// the vault's ledger.
func (d *demo) told(ctx context.Context, channel, event string) error {
	var ledger delivery
	err := poll(ctx, func(ctx context.Context) (found bool, err error) {
		ledger, found, err = d.vault.delivered(ctx, d.alert.key, channel, event)
		return found, err
	})
	if err != nil {
		return fmt.Errorf("no row in the vault says that its provider took it: %w", err)
	}
	var arrived message
	err = poll(ctx, func(ctx context.Context) (found bool, err error) {
		arrived, found, err = d.inbox.find(ctx, d.after, channel, d.alert, event == "RESOLVED")
		return found, err
	})
	if err != nil {
		return fmt.Errorf("the vault says that it was taken, the inbox has nothing: %w", err)
	}
	name := delivered(channel)
	if event == "RESOLVED" {
		name = toldResolved(channel)
	}
	d.Timeline.Seen(name, arrived.last().Sub(d.trueAt), fmt.Sprintf("%s; ledger: %s", arrived.To, ledger.proof))
	return nil
}

// acknowledge answers the page as a person would: with the command line.
func (d *demo) acknowledge(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, d.OneVault, "alert", "ack", d.alert.shortID, "-m", "the demo is looking")
	cmd.Env = d.Environment
	out, err := cmd.CombinedOutput()
	said := firstLine(string(out))
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args[:4], " "), err, said)
	}
	state, err := d.awaitStatus(ctx, "ACKNOWLEDGED")
	if err != nil {
		return err
	}
	d.Timeline.Seen("acknowledged", state.changed.Sub(d.trueAt), said)
	return nil
}

func (d *demo) release(ctx context.Context) error {
	taken := d.load.release(ctx)
	var u usage
	err := poll(ctx, func(ctx context.Context) (below bool, err error) {
		u, err = d.vault.usage(ctx)
		return u.percent() < d.condition.threshold, err
	})
	if err != nil {
		return err
	}
	d.Timeline.Seen("connections released", time.Since(d.trueAt), fmt.Sprintf("%d given back, %.0f %% taken", taken, u.percent()))
	return nil
}

func (d *demo) resolved(ctx context.Context) error {
	state, err := d.awaitStatus(ctx, "RESOLVED")
	if err != nil {
		return err
	}
	d.Timeline.Seen("resolved", state.changed.Sub(d.trueAt), "by "+state.resolvedBy)
	return nil
}

func (d *demo) awaitStatus(ctx context.Context, status string) (alertState, error) {
	var state alertState
	err := poll(ctx, func(ctx context.Context) (bool, error) {
		var err error
		state, err = d.vault.alert(ctx, d.alert.key)
		return state.status == status, err
	})
	if err != nil && state.status != "" {
		return state, fmt.Errorf("alert %s is %s: %w", d.alert.shortID, state.status, err)
	}
	return state, err
}

func (d *demo) result() Result {
	if d.alert.shortID == "" {
		return Result{}
	}
	return Result{AlertID: d.alert.shortID, WorkflowID: d.alert.workflowID, Took: time.Since(d.trueAt)}
}

// poll asks every 100 ms: what the vault and the inbox show is a state, and the clock of the steps is
// theirs, so the pause costs no precision.
func poll(ctx context.Context, seen func(context.Context) (bool, error)) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := seen(ctx)
		if done || (err != nil && ctx.Err() == nil && !errors.Is(err, pgx.ErrNoRows)) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
