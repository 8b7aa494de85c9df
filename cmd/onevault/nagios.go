package main

import (
	"context"
	"fmt"
	"strings"

	"onevault/alert"
	"onevault/cmd/onevault/doctor"
	"onevault/cmd/onevault/output"
	"onevault/settings"
	"onevault/vault"
	"onevault/workflows"
)

// verdict is the answer to a monitoring system of another kind, in the convention that cron jobs, Nagios, Icinga and
// Checkmk share: one line of text, figures behind a bar, and an exit code. There 2, 3 and 4 mean other things than
// elsewhere in this program.
type verdict struct {
	code    int // 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN
	text    string
	figures []figure
}

const (
	nagiosOK = iota
	nagiosWarning
	nagiosCritical
	nagiosUnknown
)

// figure is one of a verdict's numbers: 'label'=value[unit];warn;crit
type figure struct {
	label, value, warn, crit string
}

// worsen raises the verdict to a code, and says why; UNKNOWN is worse than fine and better than known bad.
func (v *verdict) worsen(code int, format string, args ...any) {
	rank := map[int]int{nagiosOK: 0, nagiosUnknown: 1, nagiosWarning: 2, nagiosCritical: 3}
	if rank[code] > rank[v.code] {
		v.code = code
	}
	if v.text != "" {
		v.text += "; "
	}
	v.text += fmt.Sprintf(format, args...)
}

// line is what is printed; a bar in the text would end it.
func (v verdict) line() string {
	word := []string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}[v.code]
	text := strings.ReplaceAll(strings.Join(strings.Fields(output.Printable(v.text)), " "), "|", "/")
	figures := make([]string, len(v.figures))
	for i, f := range v.figures {
		figures[i] = "'" + strings.NewReplacer("'", "", "=", "_", "|", "/").Replace(f.label) + "'=" + f.value
		if f.warn != "" || f.crit != "" {
			figures[i] += ";" + f.warn + ";" + f.crit
		}
	}
	line := "ONEVAULT " + word + " - " + text
	if len(figures) > 0 {
		line += " | " + strings.Join(figures, " ")
	}
	return line
}

// judge runs one of the checks for other monitoring systems; what is empty stands for all that doctor looks at.
func (a *app) judge(ctx context.Context, what string) error {
	var v verdict
	switch what {
	case "alerts":
		v = a.judgeAlerts(ctx)
	case "delivery":
		v = a.judgeDelivery(ctx)
	default:
		v = a.judgeHealth(ctx, what)
	}
	fmt.Fprintln(a.out, a.withoutPassword(v.line()))
	if v.code != nagiosOK {
		return &silent{v.code}
	}
	return nil
}

// judgeHealth is doctor in one line; of the vault alone where that is asked for.
func (a *app) judgeHealth(ctx context.Context, what string) verdict {
	var findings []doctor.Finding
	if what == "vault" {
		findings = a.examineVault(ctx)
	} else {
		queue := a.setting("", settings.TaskQueue)
		if queue == "" {
			queue = workflows.DefaultTaskQueue
		}
		findings = a.examine(ctx, queue)
	}
	return judgeFindings(findings)
}

func judgeFindings(findings []doctor.Finding) verdict {
	var (
		v      verdict
		counts = map[doctor.Status]int{}
	)
	for _, status := range []doctor.Status{doctor.Fail, doctor.Warn} { // the worst first
		for _, f := range findings {
			if f.Status == status {
				v.worsen(map[doctor.Status]int{doctor.Fail: nagiosCritical, doctor.Warn: nagiosWarning}[status], "%s: %s", f.Check, f.Detail)
			}
		}
	}
	for _, f := range findings {
		counts[f.Status]++
	}
	if v.text == "" {
		v.text = fmt.Sprintf("%d checks", len(findings))
	}
	v.figures = []figure{
		{"ok", fmt.Sprint(counts[doctor.OK]), "", ""}, {"warnings", fmt.Sprint(counts[doctor.Warn]), "0", ""}, {"failures", fmt.Sprint(counts[doctor.Fail]), "", "0"},
	}
	return v
}

// unknown is the verdict of a question that nobody answered.
func (a *app) unknown(err error) verdict {
	f := a.explain(err)
	text := f.message
	if f.remedy != "" {
		text += "; " + f.remedy
	}
	return verdict{code: nagiosUnknown, text: text}
}

// judgeAlerts counts the alerts that nobody has taken and nothing mutes: CRITICAL ones are critical, HIGH and MEDIUM
// ones a warning.
func (a *app) judgeAlerts(ctx context.Context) verdict {
	store, err := a.vault(ctx)
	if err != nil {
		return a.unknown(err)
	}
	list, _, err := store.Alerts(ctx, vault.AlertFilter{})
	if err == nil {
		err = store.AddMutes(ctx, list)
	}
	if err != nil {
		return a.unknown(err)
	}
	return judgeOpen(list)
}

func judgeOpen(list []vault.ListedAlert) verdict {
	var (
		v            verdict
		counts       = map[alert.Severity]int{}
		taken, muted int
	)
	for _, l := range list { // the worst first
		switch {
		case l.Mute != nil:
			muted++
			continue
		case l.State == alert.StatusAcknowledged:
			taken++
			continue
		}
		counts[l.Severity]++
		code := map[alert.Severity]int{alert.SeverityCritical: nagiosCritical, alert.SeverityHigh: nagiosWarning, alert.SeverityMedium: nagiosWarning}[l.Severity]
		if shown := counts[alert.SeverityCritical] + counts[alert.SeverityHigh] + counts[alert.SeverityMedium] + counts[alert.SeverityLow]; shown <= 5 {
			v.worsen(code, "%s %s %s on %s", l.ID, l.Severity, l.Name, l.Target)
		} else if shown == 6 {
			v.worsen(code, "and more")
		} else {
			v.code = max(v.code, code)
		}
	}
	if v.text == "" {
		v.text = "no alert waits for anybody"
	}
	v.figures = []figure{
		{"critical", fmt.Sprint(counts[alert.SeverityCritical]), "", "0"},
		{"high", fmt.Sprint(counts[alert.SeverityHigh]), "0", ""},
		{"medium", fmt.Sprint(counts[alert.SeverityMedium]), "0", ""},
		{"low", fmt.Sprint(counts[alert.SeverityLow]), "", ""},
		{"acknowledged", fmt.Sprint(taken), "", ""},
		{"muted", fmt.Sprint(muted), "", ""},
	}
	return v
}

// The guide's goal for each channel, and where it is lost.
const (
	goalDelivery = 99
	lostDelivery = 90
)

func (a *app) judgeDelivery(ctx context.Context) verdict {
	store, err := a.vault(ctx)
	if err != nil {
		return a.unknown(err)
	}
	rates, err := store.DeliveryRates(ctx)
	if err != nil {
		return a.unknown(err)
	}
	failing, err := store.FailingDeliveries(ctx)
	if err != nil {
		return a.unknown(err)
	}
	return judgeRates(rates, failing)
}

// judgeRates looks at the rate of a day, which few messages do not make, and at what failed in the last hour.
func judgeRates(rates []vault.DeliveryRate, failing []vault.FailingDelivery) verdict {
	var v verdict
	for _, r := range rates {
		if r.Percent == nil {
			continue
		}
		switch {
		case *r.Percent < lostDelivery:
			v.worsen(nagiosCritical, "%s delivered %.2f %% of %d in 24 hours", r.Channel, *r.Percent, r.Ended)
		case *r.Percent < goalDelivery:
			v.worsen(nagiosWarning, "%s delivered %.2f %% of %d in 24 hours", r.Channel, *r.Percent, r.Ended)
		}
		v.figures = append(v.figures, figure{r.Channel, fmt.Sprintf("%.2f%%", *r.Percent), fmt.Sprintf("%d:", goalDelivery), fmt.Sprintf("%d:", lostDelivery)})
	}
	failed, uncertain := 0, 0
	for _, f := range failing {
		failed, uncertain = failed+f.Failed, uncertain+f.Uncertain
		v.worsen(nagiosWarning, "%s: %d failed and %d uncertain in the last hour", f.Channel, f.Failed, f.Uncertain)
	}
	if v.text == "" {
		v.text = "messages arrive"
	}
	v.figures = append(v.figures, figure{"failed", fmt.Sprint(failed), "0", ""}, figure{"uncertain", fmt.Sprint(uncertain), "0", ""})
	return v
}
