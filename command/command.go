// Package command carries what a person decided about alerts to where it takes effect: to the alerts'
// workflows, which answer at once, and where those cannot answer, to the vault, whose outbox tells them
// later. It owns that order of attempts; which change is legal is the workflow's and the vault's word.
package command

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"onevault/alert"
	"onevault/vault"
	"onevault/workflows"
)

// Action is what a person decided.
type Action string

const (
	Acknowledge   Action = alert.UpdateAcknowledge
	Resolve       Action = alert.UpdateResolve
	Unacknowledge Action = alert.UpdateUnacknowledge
	Snooze        Action = alert.UpdateSnooze
	Escalate      Action = alert.UpdateEscalate
	FalsePositive Action = alert.UpdateFalsePositive
	Silence       Action = alert.UpdateSilence
)

// stands reports whether an alert is as the action would leave it, so that asking again is no error. A snooze,
// a silence and an escalation are never there already: each is another.
func (a Action) stands(o Outcome) bool {
	switch a {
	case Acknowledge:
		return o.State == alert.StatusAcknowledged
	case Resolve:
		return o.State == alert.StatusResolved
	case Unacknowledge:
		return o.State == alert.StatusOpen || o.State == alert.StatusEscalated
	case FalsePositive:
		return o.State == alert.StatusResolved && o.FalsePositive
	case Snooze, Escalate, Silence:
	}
	return false
}

// pointless reports whether nobody need be asked: the alert stands as wanted, or can never.
func (a Action) pointless(l vault.ListedAlert) bool {
	over := l.State == alert.StatusResolved || l.State == alert.StatusSuppressed
	switch a {
	case Resolve:
		return l.State == alert.StatusResolved
	case FalsePositive:
		return l.FalsePositive && l.State == alert.StatusResolved
	case Snooze:
		return over || l.State == alert.StatusAcknowledged
	case Acknowledge:
		// One that ends by itself may be made to last longer.
		return over || l.State == alert.StatusAcknowledged && l.AcknowledgedUntil.IsZero()
	case Unacknowledge:
		return over || l.State != alert.StatusAcknowledged
	case Escalate, Silence:
	}
	return over
}

// Reasons why an action did not take effect, for errors.Is.
var (
	// ErrConflict: the alert's state does not allow the action.
	ErrConflict = errors.New("conflict")
	// ErrNotRunning: no workflow has that id, or it has ended.
	ErrNotRunning = errors.New("no such workflow is running")
	// ErrNotCarried: the workflow runs but does not carry the alert.
	ErrNotCarried = errors.New("the workflow does not carry the alert")
	// ErrNoAnswer: Temporal or the worker did not answer in time.
	ErrNoAnswer = errors.New("no answer")
)

// Workflows reaches the alerts' workflows.
type Workflows interface {
	// Update sends a command and returns the workflow's answer. Errors wrap ErrConflict, ErrNotRunning,
	// ErrNotCarried or ErrNoAnswer where one of them applies.
	Update(ctx context.Context, workflowID string, action Action, c alert.Command) (alert.CommandResult, error)
	// Carrying lists the running workflows that carry an active alert with this short id.
	Carrying(ctx context.Context, shortID string) ([]string, error)
	// Active counts the active alerts of a workflow.
	Active(ctx context.Context, workflowID string) (int, error)
}

// Outcome says what stands now for one alert.
type Outcome struct {
	ID             string       `json:"id"`
	State          alert.Status `json:"state"`
	Changed        bool         `json:"changed"` // by this command
	Actor          string       `json:"actor,omitempty"`
	At             time.Time    `json:"at,omitzero"`
	Until          time.Time    `json:"until,omitzero"` // the end of an acknowledgement or a snooze
	Level          int          `json:"level"`
	FalsePositive  bool         `json:"false_positive,omitempty"`
	CancelledLevel int          `json:"cancelled_level,omitempty"` // the escalation that will not come
	Silence        string       `json:"silence,omitempty"`         // the short id of the silence that mutes it: S-7F3K
	Through        string       `json:"through"`                   // workflow or vault
}

const (
	throughWorkflow = "workflow"
	throughVault    = "vault"
)

// OnlyInVault reports whether the workflow has yet to hear of the change.
func (o Outcome) OnlyInVault() bool { return o.Changed && o.Through == throughVault }

// maxParallel bounds the updates under way: a workflow answers in milliseconds, a dead one in seconds.
const maxParallel = 8

// Sender carries commands.
type Sender struct {
	Vault     *vault.Store
	Workflows Workflows
	// Vouches says that this process has verified who commands, and may have the vault record how: a worker.
	// Of others the vault records who opened the session.
	Vouches bool
}

// Plan is which alerts a command means, by the workflow that carries them.
type Plan struct {
	groups  []group
	settled []Outcome // nothing is to be done about these
}

// group is what one update is about.
type group struct {
	workflowID string
	alerts     []vault.ListedAlert // as the vault knows them; empty: found without it
	shortIDs   []string            // alerts found without the vault; with neither: all active ones
	active     int                 // how many that is
	vaultOnly  bool                // no workflow carries them
}

// Count is how many alerts the plan would change.
func (p Plan) Count() int {
	n := 0
	for _, g := range p.groups {
		n += max(len(g.alerts), len(g.shortIDs), g.active)
	}
	return n
}

// Plan finds what the ids mean: short ids, hash keys, business keys, or ids of alert workflows, for which
// the vault is not asked. Each id that means nothing, or whose alert is in a state that forbids the
// action, adds an error; the plan holds the rest.
func (s *Sender) Plan(ctx context.Context, action Action, ids []string) (Plan, []error) {
	var (
		plan  Plan
		fails []error
		seen  = map[string]bool{}
	)
	for _, id := range ids {
		if workflows.IsAlertWorkflowID(id) {
			plan.add(group{workflowID: id, active: s.countActive(ctx, id)})
			continue
		}
		found, err := s.Vault.FindAlert(ctx, id)
		if vault.Unreachable(err) {
			g, err := s.findWithoutVault(ctx, id, err)
			if err != nil {
				fails = append(fails, err)
				continue
			}
			plan.add(g)
			continue
		}
		if err != nil {
			fails = append(fails, err)
			continue
		}
		if seen[found.Key] {
			continue
		}
		seen[found.Key] = true
		if err := plan.addFound(action, found); err != nil {
			fails = append(fails, err)
		}
	}
	return plan, fails
}

// countActive is for the question before a bulk action alone. A workflow that does not answer counts as
// one alert; the update itself then says why.
func (s *Sender) countActive(ctx context.Context, workflowID string) int {
	n, err := s.Workflows.Active(ctx, workflowID)
	if err != nil {
		return 1
	}
	return n
}

// findWithoutVault asks Temporal who carries an alert: acknowledging must work while the vault is down.
func (s *Sender) findWithoutVault(ctx context.Context, id string, vaultErr error) (group, error) {
	id = shortIDOf(id)
	carrying, err := s.Workflows.Carrying(ctx, id)
	switch {
	case err != nil:
		return group{}, fmt.Errorf("find alert %s: the vault does not answer (%w), and neither does Temporal (%w)", id, vaultErr, err)
	case len(carrying) != 1:
		return group{}, fmt.Errorf("find alert %s: the vault does not answer, and %d running workflows carry it: %w", id, len(carrying), vaultErr)
	}
	return group{workflowID: carrying[0], shortIDs: []string{id}}, nil
}

func (p *Plan) addFound(action Action, a vault.ListedAlert) error {
	o := outcomeOf(a)
	if action.pointless(a) {
		if err := judge(action, o); err != nil {
			return err
		}
		p.settled = append(p.settled, o)
		return nil
	}
	p.add(group{workflowID: a.WorkflowID, alerts: []vault.ListedAlert{a}, vaultOnly: a.State == alert.StatusSuppressed || a.State == alert.StatusResolved})
	return nil
}

// add merges what one update can carry.
func (p *Plan) add(g group) {
	for i := range p.groups {
		known := &p.groups[i]
		if known.workflowID == g.workflowID && known.vaultOnly == g.vaultOnly &&
			(len(known.alerts) > 0) == (len(g.alerts) > 0) && (len(known.shortIDs) > 0) == (len(g.shortIDs) > 0) {
			known.alerts = append(known.alerts, g.alerts...)
			known.shortIDs = append(known.shortIDs, g.shortIDs...)
			return
		}
	}
	p.groups = append(p.groups, g)
}

// Carry brings the command to every alert of the plan. Outcomes and errors together answer all of them.
func (s *Sender) Carry(ctx context.Context, action Action, plan Plan, c alert.Command) ([]Outcome, []error) {
	var (
		waiting  sync.WaitGroup
		slots    = make(chan struct{}, maxParallel)
		outcomes = make([][]Outcome, len(plan.groups))
		errs     = make([]error, len(plan.groups))
	)
	for i, g := range plan.groups {
		slots <- struct{}{}
		waiting.Go(func() {
			defer func() { <-slots }()
			outcomes[i], errs[i] = s.carryGroup(ctx, action, g, c)
		})
	}
	waiting.Wait()

	var (
		done  = plan.settled
		fails []error
	)
	for i := range plan.groups {
		if errs[i] != nil {
			fails = append(fails, errs[i])
		}
		for _, o := range outcomes[i] {
			if err := judge(action, o); err != nil {
				fails = append(fails, err)
				continue
			}
			done = append(done, o)
		}
	}
	return done, fails
}

func (s *Sender) carryGroup(ctx context.Context, action Action, g group, c alert.Command) ([]Outcome, error) {
	if g.vaultOnly {
		return s.recordInVault(ctx, action, g, c)
	}
	c.Alerts = g.shortIDs
	for _, a := range g.alerts {
		c.Alerts = append(c.Alerts, a.Key)
	}
	result, err := s.Workflows.Update(ctx, g.workflowID, action, c)
	if err == nil {
		return outcomesOf(action, result), nil
	}
	// What the workflow cannot take the vault can, if it was there to find the alert; the outbox tells
	// the workflow. Both have the same guard, so an update that arrives after all changes nothing.
	elsewhere := errors.Is(err, ErrNotRunning) || errors.Is(err, ErrNotCarried) || errors.Is(err, ErrNoAnswer)
	if elsewhere && len(g.alerts) > 0 {
		outcomes, vaultErr := s.recordInVault(ctx, action, g, c)
		if vaultErr != nil {
			return outcomes, fmt.Errorf("%w (%w)", vaultErr, err)
		}
		return outcomes, nil
	}
	return nil, fmt.Errorf("%s %s: %w", action, g.workflowID, err)
}

func (s *Sender) recordInVault(ctx context.Context, action Action, g group, c alert.Command) ([]Outcome, error) {
	if action == Silence {
		return s.silenceInVault(ctx, g, c)
	}
	var outcomes []Outcome
	for _, a := range g.alerts {
		changed, err := s.record(ctx, action, a, c)
		if err != nil {
			return outcomes, err
		}
		now, err := s.Vault.FindAlert(ctx, a.HashKey)
		if err != nil {
			return outcomes, err
		}
		o := outcomeOf(now)
		o.Changed = changed
		if changed && now.ChangedBy != "" {
			o.Actor, o.At = now.ChangedBy, now.ChangedAt
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

func (s *Sender) record(ctx context.Context, action Action, a vault.ListedAlert, c alert.Command) (bool, error) {
	lasts := time.Duration(c.Minutes) * time.Minute
	if s.Vouches {
		return s.Vault.AnswerAlert(ctx, a, vault.Answer{Command: string(action), Actor: c.Actor, Notes: c.Notes, Via: c.Via, Lasts: lasts})
	}
	switch action {
	case Resolve:
		return s.Vault.ResolveAlert(ctx, a, c.Actor, c.Notes)
	case Unacknowledge:
		return s.Vault.UnacknowledgeAlert(ctx, a, c.Actor, c.Notes)
	case Snooze:
		return s.Vault.SnoozeAlert(ctx, a, c.Actor, lasts, c.Notes)
	case Escalate:
		return s.Vault.EscalateAlert(ctx, a, c.Actor, c.Notes)
	case FalsePositive:
		return s.Vault.MarkFalsePositive(ctx, a, c.Actor, c.Notes)
	case Acknowledge, Silence:
	}
	if lasts > 0 {
		return s.Vault.AcknowledgeAlertFor(ctx, a, c.Actor, lasts, c.Notes)
	}
	return s.Vault.AcknowledgeAlert(ctx, a, c.Actor, c.Notes)
}

// judge turns an outcome that is not what was asked for into an error: too late, or not possible.
func judge(action Action, o Outcome) error {
	if o.Changed || action.stands(o) {
		return nil
	}
	const stamp = "2006-01-02 15:04:05 UTC"
	switch {
	case o.State == alert.StatusResolved:
		return fmt.Errorf("%w: %s was resolved by %s at %s", ErrConflict, o.ID, o.Actor, o.At.UTC().Format(stamp))
	case o.State == alert.StatusAcknowledged:
		return fmt.Errorf("%w: %s was acknowledged by %s at %s, so that nobody is paged", ErrConflict, o.ID, o.Actor, o.At.UTC().Format(stamp))
	case action == Acknowledge || action == Resolve:
		return fmt.Errorf("%w: %s is %s and cannot become %s", ErrConflict, o.ID, o.State, map[Action]alert.Status{
			Acknowledge: alert.StatusAcknowledged, Resolve: alert.StatusResolved,
		}[action])
	}
	return fmt.Errorf("%w: %s is %s", ErrConflict, o.ID, o.State)
}

// outcomeOf says what the vault knows of an alert, as an answer to a command that changed nothing.
func outcomeOf(a vault.ListedAlert) Outcome {
	o := Outcome{ID: a.ID, State: a.State, Actor: a.AcknowledgedBy, At: a.AcknowledgedAt, Through: throughVault, Level: a.Level, FalsePositive: a.FalsePositive}
	o.Until = a.AcknowledgedUntil
	if a.State == alert.StatusOpen || a.State == alert.StatusEscalated {
		o.Until = a.SnoozedUntil
	}
	if a.State == alert.StatusResolved {
		o.Actor, o.At = a.ResolvedBy, a.ResolvedAt
	}
	return o
}

func outcomesOf(action Action, result alert.CommandResult) []Outcome {
	outcomes := make([]Outcome, len(result.Alerts))
	for i, a := range result.Alerts {
		outcomes[i] = Outcome{
			ID: a.ShortID, State: a.Status, Changed: a.Changed, Actor: a.Actor, At: a.At,
			CancelledLevel: a.CancelledLevel, Through: throughWorkflow, Silence: result.Silence,
			Until: a.Until, Level: a.Level, FalsePositive: action == FalsePositive && a.Changed,
		}
	}
	return outcomes
}
