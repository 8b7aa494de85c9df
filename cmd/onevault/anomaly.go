package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/anomaly"
	"onevault/cmd/onevault/output"
	"onevault/vault"
)

func (a *app) anomalyCommand() *cobra.Command {
	cmd := noun("anomaly", "See which metrics are unusual for their hour, and how sensitively that is judged",
		a.anomalyListCommand(), a.anomalyShowCommand(), a.anomalySetCommand())
	cmd.Long = `Each sample of some metrics is compared with what the metric was in the same hour of the week within the last four
weeks: the median, and how far values usually are from it. The score is that distance counted in spreads; for normal
noise a spread is a standard deviation. Three samples in a row with a score of 6 make a metric ANOMALOUS, three usual
ones NORMAL again. Under a week of history it is LEARNING, and nothing is said.`
	return cmd
}

func (a *app) anomalyListCommand() *cobra.Command {
	var target string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the judged metrics, the unusual ones first",
		Example: "  onevault anomaly list\n  onevault anomaly list --target pg-prod-3 -o wide",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.anomalies(cmd.Context(), target)
			if err != nil {
				return err
			}
			if err := output.List(a.printer(), list, anomalyColumns(a.now(), !a.outIsTerminal), func(m vault.ListedAnomaly) string { return m.Metric }); err != nil {
				return err
			}
			if len(list) == 0 {
				a.note("no metric was judged within a day; it is done after each collection, see `onevault schedule list`")
			}
			if reason := stillLearning(list); reason != "" {
				a.note("LEARNING: %s", reason)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&target, "target", "", "only this target")
	return cmd
}

func (a *app) anomalies(ctx context.Context, target string) ([]vault.ListedAnomaly, error) {
	store, err := a.vault(ctx)
	if err != nil {
		return nil, err
	}
	return store.Anomalies(ctx, target, a.now())
}

// stillLearning is why the first of the metrics that are being learned is not judged.
func stillLearning(list []vault.ListedAnomaly) string {
	for _, m := range list {
		if m.State == anomaly.Learning {
			return output.Printable(m.Reason)
		}
	}
	return ""
}

func anomalyColumns(now time.Time, plain bool) []output.Column[vault.ListedAnomaly] {
	type row = vault.ListedAnomaly
	return []output.Column[row]{
		{Name: "METRIC", Cell: func(m row) output.Cell { return output.Text(m.Metric) }},
		{Name: "TARGET", Cell: func(m row) output.Cell { return output.Text(m.Target) }},
		{Name: "STATE", Cell: anomalyStateCell},
		{Name: "VALUE", Cell: func(m row) output.Cell { return output.Text(valueOf(m.Value, m.Unit)) }},
		{Name: "USUAL", Cell: func(m row) output.Cell { return output.Text(usualText(m)) }},
		{Name: "SCORE", Cell: func(m row) output.Cell { return output.Text(spreadsText(m.Score)) }},
		{Name: "SINCE", Cell: func(m row) output.Cell { return output.Text(output.Age(now, m.Since)) }},
		{Name: "LAST DAY", Cell: func(m row) output.Cell { return output.Text(output.Sparkline(m.Hours, sparkWidth, plain)) }},
		{Name: "MEDIAN", Wide: true, Cell: func(m row) output.Cell { return output.Text(roughly(m.Median, m.Unit)) }},
		{Name: "SPREAD", Wide: true, Cell: func(m row) output.Cell { return output.Text(roughly(m.Spread, m.Unit)) }},
		{Name: "LEARNED FROM", Wide: true, Cell: func(m row) output.Cell { return output.Text(learnedFrom(m)) }},
		{Name: "TELLS", Wide: true, Cell: func(m row) output.Cell { return output.Text(settingText(m)) }},
		{Name: "MEASURED", Wide: true, Cell: func(m row) output.Cell { return output.Text(output.Age(now, m.MeasuredAt)) }},
		{Name: "REASON", Wide: true, Cell: func(m row) output.Cell { return output.Text(output.OrNone(m.Reason)) }},
	}
}

func anomalyStateCell(m vault.ListedAnomaly) output.Cell {
	cell := output.Text(string(m.State))
	switch m.State {
	case anomaly.Anomalous:
		cell.Style = output.Fair
	case anomaly.Normal:
		cell.Style = output.Good
	case anomaly.Learning, anomaly.Unknown:
		cell.Style = output.Faint
	}
	return cell
}

// valueOf prints a value with its unit as the collection names it.
func valueOf(value *float64, unit string) string {
	switch unit {
	case "B":
		return output.Number(value, "bytes")
	case "B/s":
		if value == nil {
			return output.None
		}
		return output.Number(value, "bytes") + "/s"
	}
	return output.Number(value, unit)
}

// roughly prints a computed value with its unit: three digits say enough.
func roughly(value *float64, unit string) string {
	if value == nil || *value == 0 {
		return valueOf(value, unit)
	}
	step := math.Pow(10, math.Floor(math.Log10(math.Abs(*value)))-2)
	rounded := math.Round(*value/step) * step
	return valueOf(&rounded, unit)
}

// usualText is the usual range in words. What is never negative has no lower end below nothing.
func usualText(m vault.ListedAnomaly) string {
	switch {
	case m.Low == nil && m.High == nil:
		return output.None
	case m.High == nil:
		return "at least " + roughly(m.Low, m.Unit)
	case m.Low == nil || *m.Low <= 0 && m.Median != nil && *m.Median >= 0:
		return "at most " + roughly(m.High, m.Unit)
	}
	return roughly(m.Low, m.Unit) + " to " + roughly(m.High, m.Unit)
}

func spreadsText(score *float64) string {
	if score == nil {
		return output.None
	}
	return strconv.FormatFloat(*score, 'f', 1, 64)
}

func learnedFrom(m vault.ListedAnomaly) string {
	if m.Kind == "" {
		return output.None
	}
	words := map[anomaly.Kind]string{
		anomaly.HourOfWeekKind: "this hour of the week", anomaly.HourOfDayKind: "this hour of all days", anomaly.GlobalKind: "all hours",
	}
	return fmt.Sprintf("%s, %d samples", words[m.Kind], m.Samples)
}

func settingText(m vault.ListedAnomaly) string {
	if !m.Enabled {
		return "nothing any more"
	}
	return fmt.Sprintf("%s, score %s, %d in a row", m.Direction, strconv.FormatFloat(m.Sensitivity, 'g', -1, 64), m.Consecutive)
}

const (
	anomalyDays    = 3
	maxAnomalyDays = 35
)

func (a *app) anomalyShowCommand() *cobra.Command {
	var (
		target string
		past   int
	)
	cmd := &cobra.Command{
		Use:     "show METRIC",
		Short:   "Draw the last days of a metric within what was usual",
		Example: "  onevault anomaly show transactions_per_s --days 7",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if past < 1 || past > maxAnomalyDays {
				return usage(fmt.Errorf("--days is %d: use 1 to %d, scores are kept no longer by default", past, maxAnomalyDays))
			}
			return a.showAnomaly(cmd.Context(), target, args[0], past)
		},
	}
	cmd.Flags().StringVar(&target, "target", "", "of this target")
	cmd.Flags().IntVar(&past, "days", anomalyDays, "how far back to draw")
	return cmd
}

// shownAnomaly is a metric with its scored samples.
type shownAnomaly struct {
	vault.ListedAnomaly
	Scores []vault.ScoredSample `json:"scores"`
}

func (a *app) showAnomaly(ctx context.Context, target, metric string, past int) error {
	list, err := a.anomalies(ctx, target)
	if err != nil {
		return err
	}
	found, err := findAnomaly(list, metric)
	if err != nil {
		return err
	}
	scores, err := a.store.Scores(ctx, found.Target, found.Metric, a.now().AddDate(0, 0, -past), a.now())
	if err != nil {
		return err
	}
	p := a.printer()
	if done, err := p.Whole(shownAnomaly{found, scores}, found.Metric); done {
		return err
	}
	return a.drawAnomaly(found, scores)
}

func findAnomaly(list []vault.ListedAnomaly, metric string) (vault.ListedAnomaly, error) {
	var found []vault.ListedAnomaly
	var targets []string
	for _, m := range list {
		if m.Metric == metric {
			found, targets = append(found, m), append(targets, m.Target)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return vault.ListedAnomaly{}, &failure{
			code: exitNotFound, message: fmt.Sprintf("no metric %q was judged within a day", metric),
			remedy: "see `onevault anomaly list` for their names, and `onevault anomaly set` to have another one judged",
		}
	}
	return vault.ListedAnomaly{}, &failure{
		code: exitUsage, message: fmt.Sprintf("%q is judged on several targets: %s", metric, strings.Join(targets, ", ")), remedy: "give --target",
	}
}

func (a *app) drawAnomaly(m vault.ListedAnomaly, scores []vault.ScoredSample) error {
	p := a.printer()
	fmt.Fprintf(a.out, "%s on %s is %s, measured %s ago\n", output.Printable(m.Metric), output.Printable(m.Target),
		p.Paint(anomalyStateCell(m)), output.Age(a.now(), m.MeasuredAt))
	value := valueOf(m.Value, m.Unit)
	if m.Score != nil {
		value += fmt.Sprintf(", score %s", spreadsText(m.Score))
	}
	since := ""
	if !m.Since.IsZero() {
		since = fmt.Sprintf("%s (%s ago)", output.Moment(m.Since), output.Age(a.now(), m.Since))
	}
	usual := ""
	if m.Score != nil {
		usual = fmt.Sprintf("%s (median %s, spread %s)", usualText(m), roughly(m.Median, m.Unit), roughly(m.Spread, m.Unit))
	}
	baseline := ""
	if !m.Baseline.IsZero() {
		baseline = learnedFrom(m) + "; version of " + output.Moment(m.Baseline)
	}
	if err := p.Pairs([][2]string{
		{"what", m.Description}, {"value", value}, {"usual", usual}, {"deviating", since}, {"learned", baseline}, {"tells", settingText(m)}, {"reason", m.Reason},
	}); err != nil {
		return err
	}
	plot, l := anomalyPlot(m, scores)
	if len(plot.Curves[0].Points) < 2 {
		return nil // nothing to draw yet
	}
	fmt.Fprintln(a.out)
	if err := p.Draw(plot, !a.outIsTerminal); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.out, l.text(p, !a.outIsTerminal))
	return err
}

// anomalyPlot draws a metric over the ends of what was usual.
func anomalyPlot(m vault.ListedAnomaly, scores []vault.ScoredSample) (output.Plot, legend) {
	measured := output.Curve{Style: output.Note, Mark: '*'}
	low, high := output.Curve{Style: output.Faint, Mark: ':', Dotted: true}, output.Curve{Style: output.Faint, Mark: ':', Dotted: true}
	for _, s := range scores {
		x := dayNumber(s.At)
		if s.Value != nil {
			measured.Points = append(measured.Points, output.Point{X: x, Y: *s.Value})
		}
		if s.High != nil {
			high.Points = append(high.Points, output.Point{X: x, Y: *s.High})
		}
		if s.Low != nil && (*s.Low > 0 || s.Median == nil || *s.Median < 0) {
			low.Points = append(low.Points, output.Point{X: x, Y: *s.Low})
		}
	}
	curves := []output.Curve{measured}
	l := legend{{measured, "measured"}}
	for _, end := range []output.Curve{high, low} {
		if len(end.Points) > 0 {
			curves = append(curves, end)
		}
	}
	if len(curves) > 1 {
		l = append(l, legend{{high, "ends of what is usual"}}...)
	}
	return output.Plot{
		Curves: curves, Width: plotWidth, Height: plotHeight,
		XLabel: func(x float64) string { return time.Unix(int64(x*86400), 0).UTC().Format("2006-01-02 15:04") },
		YLabel: func(y float64) string { return valueOf(&y, m.Unit) },
	}, l
}

func (a *app) anomalySetCommand() *cobra.Command {
	var (
		direction, zone             string
		score, leastSpread, leastPc float64
		samples                     int
		off, on                     bool
	)
	cmd := &cobra.Command{
		Use:   "set METRIC",
		Short: "Change how sensitively a metric is judged, or have another one judged",
		Long: `Change how sensitively a metric is judged, on all targets, or have another health metric judged. What is not given
stays as it is. The setting is a new version in the vault and takes effect at the next sample; floors and time zone
with the next baseline.`,
		Example: "  onevault anomaly set wal_bytes_per_s --score 8\n  onevault anomaly set replica_count --direction LOW --least-spread 0.1\n  onevault anomaly set temp_bytes_per_s --off",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			change, flags := map[string]any{}, cmd.Flags()
			for flag, value := range map[string]any{
				"direction": strings.ToUpper(direction), "score": score, "samples": samples,
				"least-spread": leastSpread, "least-percent": leastPc, "time-zone": zone,
			} {
				if flags.Changed(flag) {
					change[strings.ReplaceAll(flag, "-", "_")] = value
				}
			}
			var enabled *bool
			if on || off {
				enabled = &on
			}
			switch {
			case on && off:
				return usage(errors.New("--on and --off: give one of them"))
			case len(change) == 0 && enabled == nil:
				return usage(errors.New("nothing is to be changed: give --score, --direction, --off or another flag"))
			}
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			if err := store.SetAnomaly(cmd.Context(), args[0], change, enabled); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "set how %s is judged\n", output.Printable(args[0]))
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&direction, "direction", "", "what is unusual: HIGH, LOW or BOTH")
	flags.Float64Var(&score, "score", 0, "from how many spreads on (6)")
	flags.IntVar(&samples, "samples", 0, "how many samples in a row (3)")
	flags.Float64Var(&leastSpread, "least-spread", 0, "the smallest spread, in the metric's unit (0)")
	flags.Float64Var(&leastPc, "least-percent", 0, "the smallest spread in per cent of the median (5)")
	flags.StringVar(&zone, "time-zone", "", "whose hours of the week (UTC)")
	flags.BoolVar(&off, "off", false, "judge it no longer")
	flags.BoolVar(&on, "on", false, "judge it again")
	return cmd
}
