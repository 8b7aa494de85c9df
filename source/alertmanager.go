package source

import (
	"cmp"
	"fmt"
	"time"
)

// alertmanagerBody is version 4 of the webhook of Prometheus' Alertmanager, as far as it is read here.
type alertmanagerBody struct {
	Version         string              `json:"version"`
	TruncatedAlerts int                 `json:"truncatedAlerts"`
	Alerts          []alertmanagerAlert `json:"alerts"`
}

type alertmanagerAlert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     string            `json:"startsAt"`
	EndsAt       string            `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`
}

// ParseAlertmanager reads a request of Alertmanager's webhook_config, and says how many alerts it left out.
func ParseAlertmanager(body []byte, now time.Time) (alerts []Alert, truncated int, err error) {
	var parsed alertmanagerBody
	if err := decode(body, &parsed); err != nil {
		return nil, 0, err
	}
	if parsed.Version != "4" {
		return nil, 0, fmt.Errorf(`version is %q: this reads version "4" of Alertmanager's webhook`, text(parsed.Version, 20))
	}
	if err := checkCount(len(parsed.Alerts)); err != nil {
		return nil, 0, err
	}
	for i, a := range parsed.Alerts {
		one, err := a.alert(now)
		if err != nil {
			return nil, 0, fmt.Errorf("alerts[%d]: %w", i, err)
		}
		alerts = append(alerts, one)
	}
	return alerts, parsed.TruncatedAlerts, nil
}

func (a alertmanagerAlert) alert(now time.Time) (Alert, error) {
	labels := cleanLabels(a.Labels)
	name := text(labels["alertname"], maxName)
	switch {
	case name == "":
		return Alert{}, fmt.Errorf("labels.alertname is empty: name the alert in its rule")
	case a.Status != Firing && a.Status != Resolved:
		return Alert{}, fmt.Errorf(`status is %q: use "firing" or "resolved"`, text(a.Status, 20))
	case a.StartsAt == "":
		return Alert{}, fmt.Errorf("startsAt is missing")
	}
	starts, err := moment("startsAt", a.StartsAt, now)
	if err != nil {
		return Alert{}, err
	}
	var ends *time.Time
	if a.Status == Resolved { // of a firing one it is when it would end by itself
		if ends, err = moment("endsAt", a.EndsAt, now); err != nil {
			return Alert{}, err
		}
	}
	return Alert{
		Name: name, Status: a.Status, Severity: severityOf(labels["severity"]), StartsAt: starts, EndsAt: ends, Labels: labels,
		Fingerprint: cmp.Or(text(a.Fingerprint, 64), fingerprint("", a.Labels)),
		Reason:      reason(cmp.Or(a.Annotations["summary"], a.Annotations["message"], a.Annotations["description"]), labels, "alertname", "severity"),
		Description: text(a.Annotations["description"], maxText),
		RunbookURL:  webURL(cmp.Or(a.Annotations["runbook_url"], a.Annotations["runbook"])),
		Link:        webURL(a.GeneratorURL),
	}, nil
}
