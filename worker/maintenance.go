package worker

import (
	"context"
	"fmt"
	"time"

	"onevault/recurrence"
	"onevault/vault"
)

const (
	// WriteAhead is how far the windows of a maintenance are written.
	WriteAhead = 90 * 24 * time.Hour
	// writeAgain is how much of it must be left; below that they are written anew.
	writeAgain = 60 * 24 * time.Hour
)

// PlanWindows computes the windows of a maintenance that recurs, as far as WriteAhead. The vault computes the one
// of a maintenance that does not, so its are only shown.
func PlanWindows(m *vault.Maintenance, now time.Time) error {
	rule, err := ruleOf(*m)
	if err != nil {
		return err
	}
	until := now.Add(WriteAhead).UTC().Truncate(time.Second)
	to := until
	if m.RRule == "" {
		to = now.AddDate(100, 0, 0)
	}
	found, err := rule.Windows(now, to)
	if err != nil {
		return err
	}
	m.Windows = make([]vault.Window, len(found))
	for i, w := range found {
		m.Windows[i] = vault.Window(w)
	}
	m.WindowsUntil = time.Time{}
	if m.RRule != "" {
		m.WindowsUntil = until
	}
	return nil
}

// NextWindow is the first window of a maintenance that ends after a moment, also one that is not written yet.
// False: it has none any more.
func NextWindow(m vault.Maintenance, from time.Time) (vault.Window, bool, error) {
	rule, err := ruleOf(m)
	if err != nil {
		return vault.Window{}, false, err
	}
	window, found, err := rule.Next(from)
	return vault.Window(window), found, err
}

func ruleOf(m vault.Maintenance) (recurrence.Rule, error) {
	zone, err := time.LoadLocation(m.TimeZone)
	if err != nil || m.TimeZone == "Local" {
		return recurrence.Rule{}, fmt.Errorf("there is no time zone %q: give one by its place, such as Europe/Berlin", m.TimeZone)
	}
	return recurrence.Rule{Start: m.StartsOn, Zone: zone, Duration: m.Duration, RRule: m.RRule}, nil
}

// writeWindows writes the windows of the maintenances ahead that need it: they were planned in psql, or time went
// on. A rule that cannot be computed is recorded with its error, and left until somebody changes it.
func (r *relay) writeWindows(ctx context.Context) error {
	now := time.Now()
	list, err := r.store.MaintenancesToWrite(ctx, now.Add(writeAgain))
	if err != nil {
		return err
	}
	for _, m := range list {
		if err := PlanWindows(&m, now); err != nil {
			m.Windows, m.WindowsUntil, m.WindowsError = nil, time.Time{}, err.Error()
			r.log.Warn("windows of a maintenance cannot be computed", "maintenance", m.Name, "error", err)
		}
		if _, err := r.store.WriteWindows(ctx, m); err != nil {
			return err
		}
	}
	return nil
}
