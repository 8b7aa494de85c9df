package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/cmd/onevault/output"
	"onevault/forecast"
	"onevault/vault"
)

const (
	sparkWidth = 20
	plotWidth  = 72
	plotHeight = 17
)

// resourceTypes are the kinds of resources, as the vault calls them.
var resourceTypes = []string{"DISK", "TABLESPACE", "DATABASE", "TABLE", "INDEX", "WAL", "TEMP", "SEQUENCE"}

func (a *app) capacityCommand() *cobra.Command {
	var (
		target, name string
		types        []string
	)
	cmd := noun("capacity", "See what fills up, how fast, and when it would be full", a.capacityShowCommand())
	cmd.Long = `List what can fill up, the first to be full first, with its growth per day and the day on which nothing would be
left: Theil-Sen's slope over the daily medians of up to 60 days, with the earliest and the latest day of its interval
of 95 %. Under 7 days of history, or more than 5 years ahead, there is no date. In a terminal, the resource that is
full first is drawn below.`
	cmd.Example = "  onevault capacity --type DISK,SEQUENCE\n  onevault capacity show /var/lib/postgresql"
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		kinds, err := parseTypes(types)
		if err != nil {
			return usage(err)
		}
		if name != "" {
			return a.showResource(cmd.Context(), target, name, kinds)
		}
		return a.listResources(cmd.Context(), target, kinds)
	}
	flags := cmd.Flags()
	flags.StringVar(&target, "target", "", "only this target")
	flags.StringSliceVar(&types, "type", nil, "only these kinds: "+strings.Join(resourceTypes, ", "))
	flags.StringVar(&name, "resource", "", "only this resource, drawn with its forecast (as `show`)")
	return cmd
}

func (a *app) capacityShowCommand() *cobra.Command {
	var (
		target string
		types  []string
	)
	cmd := &cobra.Command{
		Use:     "show NAME",
		Short:   "Draw the history of a resource with its forecast",
		Long:    "Draw the history of a resource with its forecast. NAME is a name of the list, or the end of one: orders means shop.public.orders.",
		Example: "  onevault capacity show /var/lib/postgresql\n  onevault capacity show orders --type TABLE",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			kinds, err := parseTypes(types)
			if err != nil {
				return usage(err)
			}
			return a.showResource(cmd.Context(), target, args[0], kinds)
		},
	}
	cmd.Flags().StringVar(&target, "target", "", "of this target")
	cmd.Flags().StringSliceVar(&types, "type", nil, "of these kinds: "+strings.Join(resourceTypes, ", "))
	return cmd
}

// parseTypes reads kinds of resources in any case; none: all.
func parseTypes(given []string) ([]string, error) {
	var kinds []string
	for _, word := range given {
		kind := strings.ToUpper(strings.TrimSpace(word))
		if !slices.Contains(resourceTypes, kind) {
			return nil, fmt.Errorf("--type %q is unknown: use %s", word, strings.Join(resourceTypes, ", "))
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

func (a *app) resources(ctx context.Context, target string, kinds []string) ([]vault.ListedResource, error) {
	store, err := a.vault(ctx)
	if err != nil {
		return nil, err
	}
	list, err := store.Capacity(ctx, target, a.now())
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(r vault.ListedResource) bool { return len(kinds) > 0 && !slices.Contains(kinds, r.Type) }), nil
}

func (a *app) listResources(ctx context.Context, target string, kinds []string) error {
	list, err := a.resources(ctx, target, kinds)
	if err != nil {
		return err
	}
	p := a.printer()
	if err := output.List(p, list, resourceColumns(a.now(), !a.outIsTerminal), resourceName); err != nil {
		return err
	}
	problems, err := a.store.CapacityProblems(ctx, target, a.now())
	if err != nil {
		return err
	}
	for _, problem := range problems {
		a.note("%s, %s ago, could not be measured: %s", output.Printable(problem.Target), output.Age(a.now(), problem.At), output.Printable(problem.Text))
	}
	switch {
	case len(list) == 0 && len(problems) == 0:
		a.note("nothing was measured within 7 days; it is once an hour, see `onevault schedule list`")
	case a.outIsTerminal && !p.Structured() && p.Format != output.Name && list[0].FullOn != "":
		fmt.Fprintln(a.out)
		return a.drawResource(list[0])
	}
	return nil
}

func resourceName(r vault.ListedResource) string { return r.Name }

// showResource draws the one resource that is meant.
func (a *app) showResource(ctx context.Context, target, name string, kinds []string) error {
	list, err := a.resources(ctx, target, kinds)
	if err != nil {
		return err
	}
	found, err := findResource(list, name)
	if err != nil {
		return err
	}
	p := a.printer()
	if done, err := p.Whole(found, found.Name); done {
		return err
	}
	return a.drawResource(found)
}

// findResource takes a whole name before the end of one.
func findResource(list []vault.ListedResource, name string) (vault.ListedResource, error) {
	for _, matches := range []func(r vault.ListedResource) bool{
		func(r vault.ListedResource) bool { return r.Name == name },
		func(r vault.ListedResource) bool {
			return strings.HasSuffix(strings.ToLower(r.Name), "."+strings.ToLower(name))
		},
	} {
		var found []vault.ListedResource
		for _, r := range list {
			if matches(r) {
				found = append(found, r)
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			var names []string
			for _, r := range found {
				names = append(names, r.Type+" "+r.Name+" on "+r.Target)
			}
			return vault.ListedResource{}, &failure{
				code: exitUsage, message: fmt.Sprintf("%q means several resources: %s", name, strings.Join(names, ", ")),
				remedy: "give the whole name, --type, or --target",
			}
		}
	}
	return vault.ListedResource{}, &failure{
		code: exitNotFound, message: fmt.Sprintf("no resource %q was measured within 7 days", name),
		remedy: "see `onevault capacity` for their names",
	}
}

func resourceColumns(now time.Time, plain bool) []output.Column[vault.ListedResource] {
	type row = vault.ListedResource
	return []output.Column[row]{
		{Name: "RESOURCE", Cell: func(r row) output.Cell { return output.Text(r.Name) }},
		{Name: "TYPE", Cell: func(r row) output.Cell { return output.Text(r.Type) }},
		{Name: "SIZE", Cell: func(r row) output.Cell { return sizeCell(now, r) }},
		{Name: "USED", Cell: usedCell},
		{Name: "GROWTH/DAY", Cell: func(r row) output.Cell { return output.Text(growthText(r)) }},
		{Name: "FULL", Cell: func(r row) output.Cell { return fullCell(now, r) }},
		{Name: "TREND", Cell: func(r row) output.Cell { return output.Text(output.Sparkline(values(r), sparkWidth, plain)) }},
		{Name: "TARGET", Wide: true, Cell: func(r row) output.Cell { return output.Text(r.Target) }},
		{Name: "LEFT", Wide: true, Cell: func(r row) output.Cell { return output.Text(leftText(r)) }},
		{Name: "DAYS", Wide: true, Cell: func(r row) output.Cell { return output.Text(strconv.Itoa(len(r.History))) }},
		{Name: "METHOD", Wide: true, Cell: func(r row) output.Cell { return output.Text(output.OrNone(r.Method)) }},
		{Name: "MEASURED", Wide: true, Cell: func(r row) output.Cell { return output.Text(output.Age(now, r.MeasuredAt)) }},
	}
}

// stale is how old a size may be that is measured once an hour.
const stale = 3 * time.Hour

// sizeCell says how old a size is that was not measured lately: of what is gone, is no longer among the largest, or
// cannot be measured.
func sizeCell(now time.Time, r vault.ListedResource) output.Cell {
	size := amount(r, float64(r.Size))
	if now.Sub(r.MeasuredAt) > stale {
		return output.Cell{Text: size + ", " + output.Age(now, r.MeasuredAt) + " ago", Style: output.Faint}
	}
	return output.Text(size)
}

// amount is a size in the unit of a resource.
func amount(r vault.ListedResource, size float64) string {
	if r.Type == "SEQUENCE" {
		return output.Number(&size, "values")
	}
	return output.Number(&size, "bytes")
}

func values(r vault.ListedResource) []float64 {
	list := make([]float64, len(r.History))
	for i, day := range r.History {
		list[i] = day.Value
	}
	return list
}

func usedCell(r vault.ListedResource) output.Cell {
	cell := output.Text(output.Number(r.Utilization, "%"))
	switch used := r.Utilization; {
	case used == nil:
	case r.Critical != nil && *used >= *r.Critical:
		cell.Style = output.Bad
	case r.Warning != nil && *used >= *r.Warning:
		cell.Style = output.Fair
	}
	return cell
}

func leftText(r vault.ListedResource) string {
	if r.Available == nil {
		return output.None
	}
	return amount(r, float64(*r.Available))
}

func growthText(r vault.ListedResource) string {
	switch {
	case r.Growth == nil:
		return output.None
	case r.Trend == string(forecast.Stable):
		return "stable"
	}
	return signed(r, *r.Growth)
}

// signed is a growth with its sign.
func signed(r vault.ListedResource, growth float64) string {
	if growth < 0 {
		return "-" + amount(r, -growth)
	}
	return "+" + amount(r, growth)
}

func fullCell(now time.Time, r vault.ListedResource) output.Cell {
	switch {
	case r.FullOn != "" && r.Method == string(forecast.Measured):
		return output.Cell{Text: "full now", Style: output.Bad}
	case r.FullOn != "":
		return output.Cell{Text: r.FullOn + " (" + between(r) + ")", Style: urgency(now, r)}
	case r.Trend == "":
		return output.Cell{Text: tooLittle(r), Style: output.Faint}
	case r.Available == nil:
		return output.Cell{Text: "no limit", Style: output.Faint}
	}
	return output.Cell{Text: "not foreseen", Style: output.Faint}
}

func tooLittle(r vault.ListedResource) string {
	return fmt.Sprintf("too little history: %d of %d days", len(r.History), forecast.MinDays)
}

func between(r vault.ListedResource) string {
	if r.Latest == "" {
		return r.Earliest + " or later"
	}
	return r.Earliest + " to " + r.Latest
}

// urgency is by the earliest day: within a week somebody must act, within a month plan.
func urgency(now time.Time, r vault.ListedResource) output.Style {
	earliest, err := time.Parse(time.DateOnly, r.Earliest)
	switch {
	case err != nil:
		return output.Plain
	case earliest.Before(now.AddDate(0, 0, 7)):
		return output.Bad
	case earliest.Before(now.AddDate(0, 0, 30)):
		return output.Fair
	}
	return output.Plain
}

// drawResource says how a resource stands, and draws it.
func (a *app) drawResource(r vault.ListedResource) error {
	p := a.printer()
	f := forecast.Of(r.History, room(r), r.MeasuredAt)
	fmt.Fprintf(a.out, "%s %s on %s, measured %s ago\n", r.Type, output.Printable(r.Name), output.Printable(r.Target), output.Age(a.now(), r.MeasuredAt))
	if err := p.Pairs([][2]string{
		{"used", usedText(r)}, {"growth", growthSentence(r, f)}, {"full", fullSentence(a.now(), r)}, {"left out", resetText(f)},
	}); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	plot, legend := resourcePlot(r, f)
	if err := p.Draw(plot, !a.outIsTerminal); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.out, legend.text(p, !a.outIsTerminal))
	return err
}

func room(r vault.ListedResource) *float64 {
	if r.Available == nil {
		return nil
	}
	left := float64(*r.Available)
	return &left
}

func usedText(r vault.ListedResource) string {
	text := amount(r, float64(r.Size))
	if r.Available != nil && r.Utilization != nil {
		text += fmt.Sprintf(" of %s (%s), %s left", amount(r, float64(r.Size)+float64(*r.Available)), output.Number(r.Utilization, "%"), leftText(r))
	}
	return text
}

func growthSentence(r vault.ListedResource, f forecast.Forecast) string {
	if r.Growth == nil {
		return tooLittle(r)
	}
	text := fmt.Sprintf("%s a day (%s to %s) over %d days", signed(r, *r.Growth), signed(r, f.Low), signed(r, f.High), f.Days)
	if r.Trend == string(forecast.Stable) {
		text = "stable: " + text
	}
	return text
}

func fullSentence(now time.Time, r vault.ListedResource) string {
	switch {
	case r.FullOn == "" && r.Trend == "":
		return "" // said of its growth
	case r.FullOn == "" || r.Method == string(forecast.Measured):
		return fullCell(now, r).Text
	}
	full, err := time.Parse(time.DateOnly, r.FullOn)
	if err != nil {
		return r.FullOn
	}
	return fmt.Sprintf("%s, in %d days (%s)", r.FullOn, int(math.Round(full.Sub(now.UTC().Truncate(24*time.Hour)).Hours()/24)), between(r))
}

func resetText(f forecast.Forecast) string {
	if f.Reset.IsZero() {
		return ""
	}
	return "the fall on " + f.Reset.Format(time.DateOnly) + ": before and after it are judged apart"
}

// legend says what the curves are.
type legend []struct {
	output.Curve
	says string
}

func (l legend) text(p output.Printer, plain bool) string {
	words := make([]string, len(l))
	for i, curve := range l {
		mark := string(curve.Mark)
		switch {
		case !plain && curve.Dotted:
			mark = "⠁⠁"
		case !plain:
			mark = "⠉⠉"
		}
		words[i] = p.Paint(output.Cell{Text: mark, Style: curve.Style}) + " " + curve.says
	}
	return strings.Join(words, "   ")
}

// resourcePlot draws the days of a resource, how it goes on, between which bounds, and where it ends.
func resourcePlot(r vault.ListedResource, f forecast.Forecast) (output.Plot, legend) {
	now := output.Point{X: dayNumber(r.MeasuredAt), Y: float64(r.Size)}
	history := output.Curve{Style: output.Note, Mark: '*'}
	for _, day := range r.History {
		history.Points = append(history.Points, output.Point{X: min(dayNumber(day.Day)+0.5, now.X), Y: day.Value})
	}
	l := legend{{history, "median of a day"}}
	if f.Trend == forecast.Growing || f.Trend == forecast.Shrinking {
		first := history.Points[0].X
		end := now.X + max((now.X-first)/2, forecast.MinDays)
		limit := math.Inf(1)
		if !f.Full.IsZero() {
			end = dayNumber(f.Full)
			if !f.Latest.IsZero() {
				end = min(dayNumber(f.Latest), end+(end-first)/3)
			}
			limit = now.Y + float64(*r.Available)
		}
		ahead := func(slope float64, style output.Style, mark byte) output.Curve {
			return output.Curve{Points: []output.Point{now, reach(now, slope, end, limit)}, Style: style, Mark: mark, Dotted: true}
		}
		l = append(l, legend{
			{ahead(f.Slope, output.Fair, '.'), "forecast"},
			{ahead(f.High, output.Faint, ':'), "95 % interval"},
		}...)
		low := ahead(f.Low, output.Faint, ':')
		curves := []output.Curve{history, l[1].Curve, l[2].Curve, low}
		if !math.IsInf(limit, 1) {
			full := output.Curve{Points: []output.Point{{X: first, Y: limit}, {X: end, Y: limit}}, Style: output.Bad, Mark: '-'}
			l = append(l, legend{{full, "full: " + amount(r, limit)}}...)
			curves = append(curves, full)
		}
		return plotOf(r, curves), l
	}
	return plotOf(r, []output.Curve{history}), l
}

func plotOf(r vault.ListedResource, curves []output.Curve) output.Plot {
	return output.Plot{
		Curves: curves, Width: plotWidth, Height: plotHeight,
		XLabel: func(x float64) string { return time.Unix(int64(x*86400), 0).UTC().Format(time.DateOnly) },
		YLabel: func(y float64) string { return amount(r, y) },
	}
}

// reach is how far a line goes: to the end of the plot, to the limit, or to nothing.
func reach(from output.Point, slope, end, limit float64) output.Point {
	x := end
	switch {
	case slope > 0:
		x = min(x, from.X+(limit-from.Y)/slope)
	case slope < 0:
		x = min(x, from.X-from.Y/slope)
	}
	return output.Point{X: x, Y: from.Y + (x-from.X)*slope}
}

// dayNumber counts days since 1970, with their part.
func dayNumber(at time.Time) float64 { return float64(at.Unix()) / 86400 }
