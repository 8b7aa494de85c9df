package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"onevault/alert"
	"onevault/cmd/onevault/matcher"
	"onevault/cmd/onevault/output"
	"onevault/command"
	"onevault/incident"
	"onevault/settings"
	"onevault/vault"
)

func (a *app) incidentCommand() *cobra.Command {
	commands := []*cobra.Command{a.incidentListCommand(), a.incidentShowCommand(), a.incidentTimelineCommand(), a.incidentCreateCommand()}
	for _, action := range incidentActions() {
		commands = append(commands, a.incidentActionCommand(action))
	}
	return noun("incident", "Work on alerts together: create incidents, take, note, resolve and close them",
		append(commands, a.incidentLinkCommand(), a.incidentUnlinkCommand())...)
}

func (a *app) incidentListCommand() *cobra.Command {
	var (
		filter vault.IncidentFilter
		since  string
	)
	cmd := &cobra.Command{
		Use:   "list [MATCHER...]",
		Short: "List the incidents that are not closed, the most urgent first",
		Long: `List the incidents that are not closed, the most urgent first and the resolved ones last; with --all also
the closed ones, the newest first.

Matchers: ` + strings.Join(incidentFields(), ", ") + `, as in ` + "`onevault alert list`.",
		Example: "  onevault incident list priority=P1 sla!=ON_TRACK\n  onevault incident list --all --since 30d -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := matcher.Parse(args, incidentFields()...)
			if err != nil {
				return usage(err)
			}
			filter.Keep = func(l vault.ListedIncident) bool {
				return set.Match(func(field string) string { return incidentField(a.now(), l, field) })
			}
			if filter.Since, err = sinceTime(a.now(), since); err != nil {
				return usage(err)
			}
			return a.listIncidents(cmd.Context(), filter)
		},
	}
	cmd.Flags().BoolVar(&filter.All, "all", false, "closed incidents too")
	cmd.Flags().StringVar(&since, "since", "", "created since: a duration (90m, 24h, 30d) or a time (2026-05-04 or RFC 3339)")
	cmd.Flags().IntVar(&filter.Limit, "limit", 1000, "at most so many; 0: all")
	return cmd
}

func (a *app) listIncidents(ctx context.Context, filter vault.IncidentFilter) error {
	store, err := a.vault(ctx)
	if err != nil {
		return err
	}
	list, more, err := store.Incidents(ctx, filter)
	if err != nil {
		return err
	}
	if err := output.List(a.printer(), shownIncidents(a.now(), list), incidentColumns(a.now()), func(l shownIncident) string { return l.ID }); err != nil {
		return err
	}
	switch {
	case more:
		a.note("only the first %d are shown; --limit 0 shows all", filter.Limit)
	case len(list) == 0 && filter.All:
		a.note("no incidents")
	case len(list) == 0:
		a.note("no open incidents; --all shows the closed ones")
	}
	return nil
}

func (a *app) findIncident(ctx context.Context, id string) (*vault.Store, vault.ListedIncident, error) {
	store, err := a.vault(ctx)
	if err != nil {
		return nil, vault.ListedIncident{}, err
	}
	found, err := store.FindIncident(ctx, id)
	return store, found, err
}

func (a *app) incidentShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show all that stands about an incident: who has it, its limits, its alerts, its notes",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, found, err := a.findIncident(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			alerts, err := store.IncidentAlerts(cmd.Context(), found)
			if err != nil {
				return err
			}
			moments, err := store.IncidentTimeline(cmd.Context(), found)
			if err != nil {
				return err
			}
			return a.showIncident(found, alerts, moments)
		},
	}
}

func (a *app) incidentTimelineCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "timeline ID",
		Short: "Tell the life of an incident: each state, each note, each alert that came or left, and who",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, found, err := a.findIncident(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			moments, err := store.IncidentTimeline(cmd.Context(), found)
			if err != nil {
				return err
			}
			return output.List(a.printer(), moments, incidentMomentColumns(), incidentMomentName)
		},
	}
}

func (a *app) incidentCreateCommand() *cobra.Command {
	var (
		n      vault.NewIncident
		events []string
	)
	cmd := &cobra.Command{
		Use:   "create --title TITLE [ALERT...]",
		Short: "Create an incident of alerts, of security events, or of both",
		Long: `Create an incident of alerts, given by their ids (A-7F3K), of security events (--event S-7F3K), or of both. Its
severity is the worst of the alerts', without alerts the worst of the events'. The same alerts (without alerts:
the same events) have one incident until that is closed: creating it again finds it.`,
		Example: `  onevault incident create --title "Primary does not answer" --assign dana A-7F3K A-9XYZ
  onevault incident create --title "Who is knocking?" --event S-7F3K --event S-9XYZ`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args)+len(events) == 0 {
				return usage(errors.New("requires at least 1 arg(s): an alert, or a security event by --event"))
			}
			if strings.TrimSpace(n.Title) == "" {
				return usage(errors.New("--title is missing or empty: give a title by which people will speak of it"))
			}
			return a.createIncident(cmd.Context(), n, args, events)
		},
	}
	cmd.Flags().StringArrayVar(&events, "event", nil, "a security event, S-7F3K; may be given several times")
	cmd.Flags().StringVarP(&n.Title, "title", "t", "", "what people will call it")
	cmd.Flags().StringVarP(&n.Description, "description", "d", "", "what is known")
	cmd.Flags().StringVar(&n.AssignedTo, "assign", "", "who is to work on it; by itself no response")
	a.actorFlag(cmd, &n.Actor)
	return cmd
}

func (a *app) actorFlag(cmd *cobra.Command, actor *string) {
	cmd.Flags().StringVar(actor, "actor", "", "who acts (default $"+settings.Actor+", else your login)")
}

// sign says who acts and how that is known, as for alerts.
func (a *app) sign(actor, text string) (incident.Command, error) {
	signed := alert.Command{Actor: actor}
	if err := a.signCommand(&signed); err != nil {
		return incident.Command{}, err
	}
	return incident.Command{Actor: signed.Actor, Via: signed.Via, Text: strings.TrimSpace(text)}, nil
}

func (a *app) createIncident(ctx context.Context, n vault.NewIncident, ids, events []string) error {
	signed, err := a.sign(n.Actor, "")
	if err != nil {
		return err
	}
	n.Actor, n.Via = signed.Actor, signed.Via
	store, found, err := a.findSecurityEvents(ctx, events)
	if err != nil {
		return err
	}
	n.Events = found
	if n.Alerts, err = findAlerts(ctx, store, ids); err != nil {
		return err
	}
	made, created, err := store.CreateIncident(ctx, n)
	if err != nil {
		return err
	}
	return a.printIncident(made.Incident, created, func() string {
		if created {
			return fmt.Sprintf("created %s, %s, of %s", made.ID, made.Priority, whatOf(made.Alerts, distinctEvents(n.Events)))
		}
		of := "events"
		if len(ids) > 0 {
			of = "alerts"
		}
		return fmt.Sprintf("%s of these %s was created by %s %s ago already (%s)", made.ID, of, made.CreatedBy,
			output.Age(a.now(), made.CreatedAt), made.Title)
	})
}

func distinctEvents(events []vault.SecurityEvent) int {
	keys := map[string]bool{}
	for _, event := range events {
		keys[event.Key] = true
	}
	return len(keys)
}

// whatOf counts what an incident is of.
func whatOf(alerts, events int) string {
	var parts []string
	if alerts > 0 {
		parts = append(parts, fmt.Sprintf("%d %s", alerts, plural(alerts, "alert")))
	}
	if events > 0 {
		parts = append(parts, fmt.Sprintf("%d security %s", events, plural(events, "event")))
	}
	return strings.Join(parts, " and ")
}

func findAlerts(ctx context.Context, store *vault.Store, ids []string) ([]vault.ListedAlert, error) {
	list := make([]vault.ListedAlert, len(ids))
	for i, id := range ids {
		var err error
		if list[i], err = store.FindAlert(ctx, id); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// incidentAction is a verb of `incident` that changes one.
type incidentAction struct {
	verb, update string
	kind         incident.Kind
	short        string
	message      string // what -m is
	argument     string // the name of a second argument that is the text; empty: there is none
}

func incidentActions() []incidentAction {
	return []incidentAction{
		{"take", incident.UpdateTake, incident.Taken, "Take an incident: somebody is at it", "what the others should know", ""},
		{"note", incident.UpdateNote, incident.Noted, "Write a note; on an open incident it is the first response", "the note, instead of TEXT", "TEXT"},
		{"assign", incident.UpdateAssign, incident.Assigned, "Give an incident to somebody", "", "PERSON"},
		{"resolve", incident.UpdateResolve, incident.Resolved, "Resolve an incident; its alerts stay as they are", "what it was and what was done", ""},
		{"reopen", incident.UpdateReopen, incident.Reopened, "Take a resolved incident up again", "why", ""},
		{"close", incident.UpdateClose, incident.Closed, "Close a resolved incident for good", "the root cause", ""},
	}
}

func (a *app) incidentActionCommand(action incidentAction) *cobra.Command {
	var actor, message string
	cmd := &cobra.Command{
		Use:   strings.TrimSpace(action.verb + " ID " + action.argument),
		Short: action.short,
		Long: action.short + `.

The incident's workflow answers; where it cannot, the change is made in the vault and the workflow hears of
it when it runs. While the vault is down a whole short id (I-7F3K) still works.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 2 && message != "":
				return usage(fmt.Errorf("two texts: %q and, by -m, %q", args[1], message))
			case len(args) == 2:
				message = args[1]
			case action.argument != "" && message == "":
				return usage(fmt.Errorf("%s is missing: onevault incident %s %s %s", action.argument, action.verb, args[0], action.argument))
			}
			signed, err := a.sign(actor, message)
			if err != nil {
				return err
			}
			return a.actOnIncident(cmd.Context(), action, args[0], signed)
		},
	}
	if action.argument != "" {
		cmd.Args = cobra.RangeArgs(1, 2)
	}
	if action.message != "" {
		cmd.Flags().StringVarP(&message, "message", "m", "", action.message)
	}
	a.actorFlag(cmd, &actor)
	return cmd
}

func (a *app) actOnIncident(ctx context.Context, action incidentAction, id string, c incident.Command) error {
	store, err := a.vault(ctx)
	if err != nil {
		return err
	}
	sender := &command.Incidents{Vault: store, Update: command.Temporal{Connect: a.connectTemporal}.UpdateIncident}
	outcome, err := sender.Carry(ctx, id, action.update, action.kind, c)
	if err != nil {
		return incidentFailure(err)
	}
	if err := a.printOutcome(action, c, outcome); err != nil {
		return err
	}
	if i := outcome.Incident; action.kind == incident.Resolved && outcome.Changed && i.ActiveAlerts > 0 {
		a.note("%d of its %d alerts %s on; see `onevault incident show %s`", i.ActiveAlerts, i.Alerts, goes(i.ActiveAlerts), i.ID)
	}
	return nil
}

func (a *app) printOutcome(action incidentAction, c incident.Command, o command.IncidentOutcome) error {
	p := a.printer()
	if done, err := p.Whole(o, o.Incident.ID); done {
		return err
	}
	_, err := fmt.Fprintln(a.out, output.Printable(describeIncidentOutcome(a.now(), action, c, o)))
	return err
}

// printIncident writes an incident after a command: as a value, as its id, or in a sentence.
func (a *app) printIncident(i incident.Incident, changed bool, sentence func() string) error {
	p := a.printer()
	if done, err := p.Whole(incident.Answer{Incident: i, Changed: changed}, i.ID); done {
		return err
	}
	_, err := fmt.Fprintln(a.out, output.Printable(sentence()))
	return err
}

// incidentFailure gives an error of a command on an incident its code and its remedy.
func incidentFailure(err error) error {
	switch {
	case errors.Is(err, command.ErrConflict):
		message := afterLast(err.Error(), incident.ErrConflict.Error()+": ")
		return &failure{code: exitConflict, message: message, remedy: "see `onevault incident show` for what stands now"}
	case errors.Is(err, incident.ErrUsage):
		return usage(errors.New(strings.TrimPrefix(err.Error(), incident.ErrUsage.Error()+": ")))
	case errors.Is(err, command.ErrNotRunning):
		return &failure{code: exitNotFound, message: err.Error(), remedy: "see `onevault incident list` when the vault is back"}
	}
	return err
}

func (a *app) incidentLinkCommand() *cobra.Command {
	var actor, reason string
	var events []string
	cmd := &cobra.Command{
		Use:   "link ID [ALERT...]",
		Short: "Add alerts or security events to an incident; an alert that goes on reopens a resolved incident",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args)+len(events) < 2:
				return usage(errors.New("requires at least 2 arg(s): the incident, and an alert or a security event by --event"))
			case len(events) > 0:
				if err := a.linkEvents(cmd.Context(), args[0], events, actor); err != nil || len(args) == 1 {
					return err
				}
			}
			return a.changeLinks(cmd.Context(), args, actor, reason, (*vault.Store).LinkAlerts, "joined", "belonged to it before")
		},
	}
	cmd.Flags().StringArrayVar(&events, "event", nil, "a security event, S-7F3K; may be given several times")
	cmd.Flags().StringVarP(&reason, "message", "m", "", "why they belong to it")
	a.actorFlag(cmd, &actor)
	return cmd
}

func (a *app) linkEvents(ctx context.Context, id string, ids []string, actor string) error {
	signed, err := a.sign(actor, "")
	if err != nil {
		return err
	}
	store, found, err := a.findIncident(ctx, id)
	if err != nil {
		return err
	}
	_, events, err := a.findSecurityEvents(ctx, ids)
	if err != nil {
		return err
	}
	n, err := store.LinkSecurityEvents(ctx, found, events, signed.Actor, signed.Via)
	if err != nil {
		return linkFailure(err)
	}
	return a.printIncident(found.Incident, n > 0, func() string {
		return fmt.Sprintf("%d security %s joined %s", n, plural(n, "event"), found.ID)
	})
}

func (a *app) incidentUnlinkCommand() *cobra.Command {
	var actor, reason string
	cmd := &cobra.Command{
		Use:   "unlink ID ALERT...",
		Short: "Remove alerts from an incident; that they belonged to it stays known",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeLinks(cmd.Context(), args, actor, reason, (*vault.Store).UnlinkAlerts, "left", "did not belong to it")
		},
	}
	cmd.Flags().StringVarP(&reason, "message", "m", "", "why they do not belong to it")
	a.actorFlag(cmd, &actor)
	return cmd
}

type linkFunc func(*vault.Store, context.Context, vault.ListedIncident, []vault.ListedAlert, string, string) (int, error)

func (a *app) changeLinks(ctx context.Context, args []string, actor, reason string, change linkFunc, done, before string) error {
	signed, err := a.sign(actor, reason)
	if err != nil {
		return err
	}
	store, found, err := a.findIncident(ctx, args[0])
	if err != nil {
		return err
	}
	alerts, err := findAlerts(ctx, store, args[1:])
	if err != nil {
		return err
	}
	n, err := change(store, ctx, found, alerts, signed.Actor, signed.Text)
	if err != nil {
		return linkFailure(err)
	}
	now, err := store.FindIncident(ctx, found.HashKey)
	if err != nil {
		return err
	}
	return a.printIncident(now.Incident, n > 0, func() string {
		text := fmt.Sprintf("%d %s %s %s", n, plural(n, "alert"), done, now.ID)
		if rest := len(distinct(alerts)) - n; rest > 0 {
			text += fmt.Sprintf("; %d %s", rest, before)
		}
		return text + fmt.Sprintf("; it has %d, %d of them going on", now.Alerts, now.ActiveAlerts)
	})
}

// linkFailure: a closed incident is a conflict of state, which the vault refuses with 55000.
func linkFailure(err error) error {
	var refused *vault.Refusal
	if errors.As(err, &refused) && refused.Code == "55000" {
		return &failure{code: exitConflict, message: refused.Message, remedy: refused.Hint}
	}
	return err
}

func distinct(alerts []vault.ListedAlert) map[string]bool {
	keys := map[string]bool{}
	for _, found := range alerts {
		keys[found.Key] = true
	}
	return keys
}
