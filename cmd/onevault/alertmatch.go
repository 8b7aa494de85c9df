package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"onevault/cmd/onevault/matcher"
	"onevault/vault"
)

// alertsMeant turns matchers into the ids of the alerts that need somebody and match. Ids stay as they are; no id
// holds an equals sign or a tilde.
func (a *app) alertsMeant(ctx context.Context, args []string) ([]string, error) {
	isMatcher := func(arg string) bool { return strings.ContainsAny(arg, "=~") }
	if !slices.ContainsFunc(args, isMatcher) {
		return args, nil
	}
	if slices.ContainsFunc(args, func(arg string) bool { return !isMatcher(arg) }) {
		return nil, usage(errors.New("ids and matchers cannot be mixed: name the alerts by ids, or say by matchers which ones are meant"))
	}
	set, err := matcher.Parse(args, alertFields()...)
	if err != nil {
		return nil, usage(err)
	}
	store, err := a.vault(ctx)
	if err != nil {
		return nil, err
	}
	list, _, err := store.Alerts(ctx, vault.AlertFilter{Keep: func(l vault.ListedAlert) bool {
		return set.Match(func(field string) string { return alertField(l, field) })
	}})
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(list))
	for _, l := range list {
		ids = append(ids, l.Key)
	}
	if len(ids) == 0 {
		return nil, &failure{code: exitNotFound, message: "no open alert matches " + strings.Join(args, " "), remedy: "see them: onevault alert list"}
	}
	return ids, nil
}
