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
	return noun("contact", "See who is told and by which groups, and keep them in a file", a.contacts().command(a), a.contactShowCommand(),
		a.contactExportCommand(), a.keptContacts().lintCommand(a), a.keptContacts().applyCommand(a))
}

func (a *app) contacts() listing[vault.ListedContact] {
	return listing[vault.ListedContact]{
		short: "List the contacts with their groups",
		rows: func(ctx context.Context, store *vault.Store, _ bool) ([]vault.ListedContact, error) {
			return store.Contacts(ctx, nil)
		},
		columns: contactColumns,
		name:    contactKey,
		none:    "no contacts: channels tell the recipients of their configuration alone; `onevault contact apply FILE` brings some",
	}
}

func contactKey(c vault.ListedContact) string { return c.Key }

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
		RunE: a.onVault(func(ctx context.Context, store *vault.Store, args []string) error {
			list, err := foundContacts(ctx, store, args)
			if err != nil {
				return err
			}
			c, printer := list[0], a.printer()
			if done, err := printer.Whole(c, c.Key); done {
				return err
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
		}),
	}
}

func foundContacts(ctx context.Context, store *vault.Store, keys []string) ([]vault.ListedContact, error) {
	list, err := store.Contacts(ctx, keys)
	if err != nil {
		return nil, err
	}
	if key := missing(keys, list, contactKey); key != "" {
		return nil, &failure{exitNotFound, "the vault has no contact " + key, "see `onevault contact list`"}
	}
	return list, nil
}

// existingGroups are the groups that there are, without those that only channels name.
func existingGroups(ctx context.Context, store *vault.Store) ([]vault.GroupSpec, error) {
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
		RunE: a.onVault(func(ctx context.Context, store *vault.Store, args []string) error {
			list, err := foundContacts(ctx, store, args)
			if err != nil {
				return err
			}
			groups := []vault.GroupSpec{}
			if len(args) == 0 {
				if groups, err = existingGroups(ctx, store); err != nil {
					return err
				}
			}
			return a.exportKept(contacts.Write(each(list, func(c vault.ListedContact) vault.ContactSpec { return c.ContactSpec }), groups))
		}),
	}
}

func (a *app) keptContacts() kept[contacts.File] {
	return kept[contacts.File]{
		noun:    "contact",
		plural:  "contacts and groups",
		example: "contacts.yaml",
		about: `Bring a file of contacts and groups into the vault, all of it or nothing. What is equal is left alone; what differs gets
a new version with its author, and holds from the next message on. The members of a group are exactly those of the file.
What is not in the file is left alone; write enabled: false for somebody who is to be told nothing any more.`,
		parse: contacts.Parse,
		count: func(f contacts.File) string {
			return fmt.Sprintf("%d contacts and %d groups", len(f.Contacts), len(f.Groups))
		},
		line: func(f contacts.File, key string) int { return f.Lines[key] },
		put: func(ctx context.Context, store *vault.Store, f contacts.File, author string, dryRun bool) ([]vault.DefinitionRefusal, error) {
			return store.PutContacts(ctx, f.Contacts, f.Groups, author, dryRun)
		},
		compare: compareContacts,
	}
}

func compareContacts(ctx context.Context, store *vault.Store, file contacts.File) ([]comparison, error) {
	stands, err := store.Contacts(ctx, nil)
	if err != nil {
		return nil, err
	}
	groups, err := existingGroups(ctx, store)
	if err != nil {
		return nil, err
	}
	var compared []comparison
	for _, c := range file.Contacts {
		at := slices.IndexFunc(stands, func(s vault.ListedContact) bool { return s.Key == c.Key })
		compared = append(compared, comparison{c.Key, c.Name, at >= 0, at >= 0 && sameContact(c, stands[at].ContactSpec)})
	}
	for _, g := range file.Groups {
		at := slices.IndexFunc(groups, func(s vault.GroupSpec) bool { return s.Key == g.Key })
		compared = append(compared, comparison{g.Key, output.OrNone(strings.Join(g.Members, ", ")), at >= 0, at >= 0 && slices.Equal(g.Members, groups[at].Members)})
	}
	return compared, nil
}

func sameContact(a, b vault.ContactSpec) bool {
	if len(a.Prefers) == 0 && len(b.Prefers) == 0 {
		a.Prefers, b.Prefers = nil, nil
	}
	return reflect.DeepEqual(a, b)
}
