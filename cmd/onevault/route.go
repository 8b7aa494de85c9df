package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/alert"
	"onevault/cmd/onevault/output"
	"onevault/notify"
	"onevault/settings"
	"onevault/vault"
)

// maxPages bounds what `route test` shows: without a policy an alert that nobody answers pages for ever.
const maxPages = 20

func (a *app) routeCommand() *cobra.Command {
	return noun("route", "See who would be paged", a.routeTestCommand())
}

// routedPage is one page to one channel, as `route test` shows it.
type routedPage struct {
	At         time.Time `json:"at"`
	After      string    `json:"after"`
	Level      int       `json:"level"`
	Repeat     int       `json:"repeat,omitempty"`
	Channel    string    `json:"channel"`
	Type       string    `json:"type"`
	Recipients []string  `json:"recipients"`
	Held       []string  `json:"held,omitempty"` // who is told later or not at all, and why
}

func (a *app) routeTestCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "test definition=KEY [severity=SEVERITY] [at=TIME]",
		Short: "Show who would be paged when, if an alert fired and nobody answered; nobody is told",
		Long: `Show who would be paged when, if an alert of a definition fired and nobody answered: by the rules that its workflow
follows, with the policy and the channels as they stand now. Nobody is told. With severity=, as if the definition had
that one; with at=, with the times of an alert that fires then (RFC 3339, 2026-11-23 03:12, or
03:12, the next one; without a zone in that of $` + settings.Timezone + `).`,
		Example: "  onevault route test definition=PG_REPLICATION_LAG severity=CRITICAL at=03:12",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			asked, err := routeArguments(args)
			if err != nil {
				return usage(err)
			}
			at := a.now().UTC()
			if asked["at"] != "" {
				if at, err = a.comingMoment(asked["at"]); err != nil {
					return usage(err)
				}
			}
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			route, err := store.RouteOfDefinition(cmd.Context(), asked["definition"], asked["severity"])
			if errors.Is(err, vault.ErrNotFound) {
				return noDefinition(asked["definition"])
			}
			if err != nil {
				return err
			}
			return a.showRoute(route, at, limit)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", maxPages, "at most so many pages")
	return cmd
}

// comingMoment reads a moment that may lie ahead; of a time of day the next one is meant.
func (a *app) comingMoment(text string) (time.Time, error) {
	zone, err := settings.ParseTimezone(a.values.Get(settings.Timezone))
	if err != nil {
		return time.Time{}, err
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC(), nil
	}
	if at, err := time.ParseInLocation("2006-01-02 15:04", text, zone); err == nil {
		return at.UTC(), nil
	}
	clock, err := time.Parse("15:04", text)
	if err != nil {
		return time.Time{}, fmt.Errorf("at=%s is no time: write 03:12, 2026-11-23 03:12 or RFC 3339", text)
	}
	now := a.now().In(zone)
	at := time.Date(now.Year(), now.Month(), now.Day(), clock.Hour(), clock.Minute(), 0, 0, zone)
	if at.Before(now) {
		at = at.AddDate(0, 0, 1)
	}
	return at.UTC(), nil
}

func routeArguments(args []string) (map[string]string, error) {
	known := []string{"definition", "severity", "at"}
	asked := map[string]string{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || !slices.Contains(known, name) || value == "" {
			return nil, fmt.Errorf("%q is none of definition=KEY, severity=SEVERITY, at=TIME", arg)
		}
		if asked[name] != "" {
			return nil, fmt.Errorf("%s= stands twice", name)
		}
		asked[name] = value
	}
	if asked["definition"] == "" {
		return nil, errors.New("say which definition: definition=KEY; `onevault definition list` names them")
	}
	asked["severity"] = strings.ToUpper(asked["severity"])
	if asked["severity"] != "" && alert.Severity(asked["severity"]).Rank() == 0 {
		return nil, fmt.Errorf("severity=%s is none of LOW, MEDIUM, HIGH, CRITICAL", asked["severity"])
	}
	return asked, nil
}

func (a *app) showRoute(route vault.RouteOf, at time.Time, limit int) error {
	if limit < 1 {
		return usage(errors.New("--limit is less than 1"))
	}
	rows := map[string]vault.Channel{}
	carried := func(channels []vault.Channel) []alert.Channel {
		list := make([]alert.Channel, len(channels))
		for i, c := range channels {
			rows[c.Key] = c
			list[i] = alert.Channel{Key: c.Key, Name: c.Name, Type: c.Type}
		}
		return list
	}
	pages := alert.Route(route.Definition, carried(route.Hearers), carried(route.Named), at, limit+1)
	more := len(pages) > limit
	list := []routedPage{}
	for _, page := range pages[:min(len(pages), limit)] {
		for _, key := range page.Channels {
			recipients, held, err := reachedAt(rows[key], route, page.At)
			if err != nil {
				return err
			}
			list = append(list, routedPage{
				At: page.At, After: output.Span(page.At.Sub(at)), Level: page.Level, Repeat: page.Repeat,
				Channel: key, Type: rows[key].Type, Recipients: recipients, Held: held,
			})
		}
	}
	if err := output.List(a.printer(), list, routeColumns(route.Definition.Policy), func(p routedPage) string { return p.Channel }); err != nil {
		return err
	}
	switch {
	case len(list) == 0:
		return &failure{exitError, route.Definition.Key + " is heard by nobody: no enabled channel lets it through", "see `onevault channel list` and `onevault doctor`"}
	case route.Definition.Policy != nil:
		a.note("by policy %s", route.Definition.Policy.Key)
	case route.Definition.EscalationEnabled:
		a.note("by no policy: everybody again after each %s", output.Span(route.Definition.EscalationDelay))
	default:
		a.note("by no policy, and it does not escalate")
	}
	if more {
		a.note("and so on; --limit shows more")
	}
	return nil
}

// reachedAt lists whom a channel reaches at a moment, contacts by their keys, and of whom the hours hold it back.
func reachedAt(c vault.Channel, route vault.RouteOf, at time.Time) (recipients, held []string, err error) {
	channel := alert.Channel{Key: c.Key, Type: c.Type, Recipients: recipientsOf(c)}
	for _, r := range route.Reach {
		if r.Channel == c.Key {
			channel.Contacts, channel.Restrictions = r.Contacts, r.Restrictions
		}
	}
	channel.Join()
	recipients = []string{}
	for _, address := range channel.Recipients {
		shown := address
		if p, known := channel.ContactAt(address); known {
			shown = p.Key + " (" + address + ")"
		}
		recipients = append(recipients, shown)
		hold, err := channel.HoldOf(address, route.Definition.Severity, at)
		if err != nil {
			return nil, nil, err
		}
		if hold != nil {
			held = append(held, shown+": "+hold.Reason)
		}
	}
	return recipients, held, nil
}

// recipientsOf lists whom a channel reaches, where its secrets are not needed to know that.
func recipientsOf(c vault.Channel) []string {
	opened, err := notify.Open(notify.Config{Key: c.Key, Name: c.Name, Type: notify.Type(c.Type), Configuration: c.Configuration}, notify.Options{})
	if err != nil {
		return []string{}
	}
	return opened.Recipients()
}

func routeColumns(policy *alert.Policy) []output.Column[routedPage] {
	type row = routedPage
	return []output.Column[row]{
		{Name: "AFTER", Cell: func(p row) output.Cell { return output.Text(p.After) }},
		{Name: "AT", Cell: func(p row) output.Cell { return output.Text(output.Moment(p.At)) }},
		{Name: "WHY", Cell: func(p row) output.Cell {
			text := policy.Place(p.Level)
			if p.Repeat > 0 {
				text += fmt.Sprintf(", once more (%d)", p.Repeat)
			}
			return output.Text(text)
		}},
		{Name: "CHANNEL", Cell: func(p row) output.Cell { return output.Text(p.Channel) }},
		{Name: "TYPE", Cell: func(p row) output.Cell { return output.Text(p.Type) }},
		{Name: "RECIPIENTS", Cell: func(p row) output.Cell { return output.Text(output.OrNone(strings.Join(p.Recipients, ", "))) }},
		{Name: "HELD", Cell: func(p row) output.Cell { return output.Text(output.OrNone(strings.Join(p.Held, "; "))) }},
	}
}
