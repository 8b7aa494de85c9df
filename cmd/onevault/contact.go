package main

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/cmd/onevault/contacts"
	"onevault/cmd/onevault/output"
	"onevault/vault"
)

func (a *app) contactCommand() *cobra.Command {
	return noun("contact", "See who is told and by which groups, and keep them in a file", a.contactListCommand(), a.contactShowCommand(),
		a.contactExportCommand(), a.contactLintCommand(), a.contactApplyCommand())
}

func (a *app) contactListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the contacts with their groups",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.foundContacts(cmd.Context(), nil)
			if err != nil {
				return err
			}
			if err := output.List(a.printer(), list, contactColumns(a.now()), func(c vault.ListedContact) string { return c.Key }); err != nil {
				return err
			}
			if len(list) == 0 {
				a.note("no contacts: channels tell the recipients of their configuration alone; `onevault contact apply FILE` brings some")
			}
			return nil
		},
	}
}

func contactColumns(now time.Time) []output.Column[vault.ListedContact] {
	type row = vault.ListedContact
	return []output.Column[row]{
		{Name: "CONTACT", Cell: func(c row) output.Cell { return output.Text(c.Key) }},
		{Name: "NAME", Cell: func(c row) output.Cell { return output.Text(c.Name) }},
		{Name: "GROUPS", Cell: func(c row) output.Cell { return output.Text(output.OrNone(strings.Join(c.Groups, ", "))) }},
		{Name: "REACHED BY", Cell: func(c row) output.Cell {
			return output.Text(output.OrNone(strings.Join(reachedBy(c.ContactSpec), ", ")))
		}},
		{Name: "QUIET", Cell: func(c row) output.Cell { return output.Text(output.OrNone(quietOf(c.ContactSpec))) }},
		{Name: "TIME ZONE", Cell: func(c row) output.Cell { return output.Text(c.TimeZone) }},
		{Name: "ENABLED", Wide: true, Cell: func(c row) output.Cell { return output.Text(strconv.FormatBool(c.Enabled)) }},
		{Name: "AUTHOR", Wide: true, Cell: func(c row) output.Cell { return output.Text(c.Author) }},
		{Name: "AGE", Wide: true, Cell: func(c row) output.Cell { return output.Text(output.Age(now, c.WrittenAt)) }},
	}
}

// reachedBy lists the types of channels that reach a contact, in the order in which they are tried.
func reachedBy(c vault.ContactSpec) []string {
	if len(c.Prefers) > 0 {
		return c.Prefers
	}
	var kinds []string
	if c.Phone != "" {
		kinds = append(kinds, "SMS", "VOICE")
	}
	if c.Slack != "" {
		kinds = append(kinds, "SLACK")
	}
	if c.Email != "" {
		kinds = append(kinds, "EMAIL")
	}
	return kinds
}

func quietOf(c vault.ContactSpec) string {
	if c.QuietFrom == "" {
		return ""
	}
	return c.QuietFrom + "-" + c.QuietUntil
}

func (a *app) contactShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show KEY",
		Short: "Show a contact: addresses, hours, groups",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := a.foundContacts(cmd.Context(), args)
			if err != nil {
				return err
			}
			c, printer := list[0], a.printer()
			if printer.Structured() {
				return printer.Value(c)
			}
			return printer.Pairs([][2]string{
				{"contact", c.Key},
				{"name", c.Name},
				{"enabled", strconv.FormatBool(c.Enabled)},
				{"groups", strings.Join(c.Groups, ", ")},
				{"e-mail", c.Email},
				{"telephone", c.Phone},
				{"Slack", c.Slack},
				{"PagerDuty", c.PagerDuty},
				{"tried by", strings.Join(reachedBy(c.ContactSpec), ", ")},
				{"time zone", c.TimeZone},
				{"quiet", quietOf(c.ContactSpec)},
				{"written", output.Moment(c.WrittenAt) + " by " + c.Author},
			})
		},
	}
}

func (a *app) foundContacts(ctx context.Context, keys []string) ([]vault.ListedContact, error) {
	store, err := a.vault(ctx)
	if err != nil {
		return nil, err
	}
	list, err := store.Contacts(ctx, keys)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if !slices.ContainsFunc(list, func(c vault.ListedContact) bool { return c.Key == key }) {
			return nil, &failure{exitNotFound, "the vault has no contact " + key, "see `onevault contact list`"}
		}
	}
	return list, nil
}

// existingGroups are the groups that there are, without those that only channels name.
func (a *app) existingGroups(ctx context.Context) ([]vault.GroupSpec, error) {
	store, err := a.vault(ctx)
	if err != nil {
		return nil, err
	}
	list, err := store.RecipientGroups(ctx)
	if err != nil {
		return nil, err
	}
	groups := []vault.GroupSpec{}
	for _, g := range list {
		if g.Exists {
			groups = append(groups, g.GroupSpec)
		}
	}
	return groups, nil
}

func (a *app) contactExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export [KEY...]",
		Short: "Write contacts as a file; without keys all, with their groups",
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := a.foundContacts(cmd.Context(), args)
			if err != nil {
				return err
			}
			specs := make([]vault.ContactSpec, len(list))
			for i, c := range list {
				specs[i] = c.ContactSpec
			}
			groups := []vault.GroupSpec{}
			if len(args) == 0 {
				if groups, err = a.existingGroups(cmd.Context()); err != nil {
					return err
				}
			}
			text, err := contacts.Write(specs, groups)
			if err != nil {
				return err
			}
			_, err = a.out.Write(text)
			return err
		},
	}
}

func (a *app) contactLintCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lint FILE",
		Short: "Check a file of contacts: its form, and that the vault would take each; nothing is written",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := a.readContacts(args[0])
			if err != nil {
				return err
			}
			if err := a.putContacts(cmd.Context(), args[0], file, "", true); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s: %d contacts and %d groups, all in order\n", output.Printable(args[0]), len(file.Contacts), len(file.Groups))
			return nil
		},
	}
}

func (a *app) contactApplyCommand() *cobra.Command {
	var (
		dryRun bool
		actor  string
	)
	cmd := &cobra.Command{
		Use:   "apply FILE",
		Short: "Bring a file of contacts and groups into the vault: all of it or nothing",
		Long: `Bring a file of contacts and groups into the vault, all of it or nothing. What is equal is left alone; what differs gets
a new version with its author, and holds from the next message on. The members of a group are exactly those of the file.
What is not in the file is left alone; write enabled: false for somebody who is to be told nothing any more.`,
		Example: "  onevault contact apply contacts.yaml --dry-run\n  onevault contact export | onevault contact apply -",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := a.readContacts(args[0])
			if err != nil {
				return err
			}
			stands, err := a.foundContacts(cmd.Context(), nil)
			if err != nil {
				return err
			}
			groups, err := a.existingGroups(cmd.Context())
			if err != nil {
				return err
			}
			if err := a.putContacts(cmd.Context(), args[0], file, actor, dryRun); err != nil {
				return err
			}
			a.tellContacts(file, stands, groups)
			if dryRun {
				a.note("dry run: nothing was written")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "check and show, write nothing")
	a.actorFlag(cmd, &actor)
	return cmd
}

// tellContacts says what became, or with a dry run would become, of each contact and group of a file.
func (a *app) tellContacts(file contacts.File, stands []vault.ListedContact, groups []vault.GroupSpec) {
	unchanged := 0
	say := func(key, what string, known, same bool) {
		switch {
		case !known:
			fmt.Fprintf(a.out, "+ %s   %s\n", key, output.Printable(what))
		case same:
			unchanged++
		default:
			fmt.Fprintf(a.out, "~ %s   %s\n", key, output.Printable(what))
		}
	}
	for _, c := range file.Contacts {
		at := slices.IndexFunc(stands, func(s vault.ListedContact) bool { return s.Key == c.Key })
		say(c.Key, c.Name, at >= 0, at >= 0 && sameContact(c, stands[at].ContactSpec))
	}
	for _, g := range file.Groups {
		at := slices.IndexFunc(groups, func(s vault.GroupSpec) bool { return s.Key == g.Key })
		say(g.Key, output.OrNone(strings.Join(g.Members, ", ")), at >= 0, at >= 0 && slices.Equal(g.Members, groups[at].Members))
	}
	fmt.Fprintf(a.out, "%d unchanged\n", unchanged)
}

func sameContact(a, b vault.ContactSpec) bool {
	if len(a.Prefers) == 0 && len(b.Prefers) == 0 {
		a.Prefers, b.Prefers = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

func (a *app) readContacts(name string) (contacts.File, error) {
	text, err := a.readFile(name, "`onevault contact export > "+name+"` writes one")
	if err != nil {
		return contacts.File{}, err
	}
	file, problems := contacts.Parse(text)
	if len(problems) > 0 {
		return contacts.File{}, a.fileProblems(name, problems)
	}
	return file, nil
}

func (a *app) putContacts(ctx context.Context, name string, file contacts.File, actor string, dryRun bool) error {
	author, err := a.author(actor)
	if err != nil {
		return err
	}
	store, err := a.vault(ctx)
	if err != nil {
		return err
	}
	refused, err := store.PutContacts(ctx, file.Contacts, file.Groups, author, dryRun)
	if err != nil || len(refused) == 0 {
		return err
	}
	return a.fileProblems(name, problemsOf(refused, func(key string) int { return file.Lines[key] }))
}
