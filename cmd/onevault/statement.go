package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/cmd/onevault/output"
	"onevault/vault"
)

// statementOrders are the orders of a list, as they are typed.
var statementOrders = []string{"total", "mean", "io", "calls"}

// plottedDays is how far back `show` draws.
const plottedDays = 30

func (a *app) statementCommand() *cobra.Command {
	cmd := noun("statement", "See which statements cost most, why, and what to try", a.statementListCommand(), a.statementShowCommand())
	cmd.Long = `Statements are sampled from pg_stat_statements with every collection. Of each sample those are kept that rank among
the first 20 by total time, by mean time, by I/O (blocks read and temporary blocks) or by calls.`
	return cmd
}

func (a *app) statementListCommand() *cobra.Command {
	var (
		target, by, since string
		limit             int
	)
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the statements that come first in a period",
		Example: "  onevault statement list\n  onevault statement list --by io --since 7d --target pg-prod-3 -o wide",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains(statementOrders, by) {
				return usage(fmt.Errorf("--by %q is unknown: use %s", by, strings.Join(statementOrders, ", ")))
			}
			if limit < 1 || limit > 1000 {
				return usage(fmt.Errorf("--limit %d is out of range: use 1 to 1000", limit))
			}
			from, err := sinceTime(a.now(), since)
			if err != nil {
				return usage(err)
			}
			return a.listStatements(cmd.Context(), target, vault.StatementOrder(strings.ToUpper(by)), from, limit)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&by, "by", "total", "what puts a statement first: "+strings.Join(statementOrders, ", "))
	flags.StringVar(&target, "target", "", "only this target")
	flags.StringVar(&since, "since", "24h", "what it cost since: a duration (90m, 24h, 30d) or a time (2026-05-04 or RFC 3339)")
	flags.IntVar(&limit, "limit", 20, "how many")
	_ = cmd.RegisterFlagCompletionFunc("by", cobra.FixedCompletions(toCompletions(statementOrders), cobra.ShellCompDirectiveNoFileComp)) // fails for an unknown flag only
	return cmd
}

func (a *app) listStatements(ctx context.Context, target string, by vault.StatementOrder, since time.Time, limit int) error {
	store, err := a.vault(ctx)
	if err != nil {
		return err
	}
	list, err := store.Statements(ctx, target, by, since, a.now(), limit)
	if err != nil {
		return err
	}
	if err := output.List(a.printer(), list, statementColumns(a.now()), func(s vault.ListedStatement) string { return s.ID }); err != nil {
		return err
	}
	if len(list) == 0 {
		a.note("no statement was sampled since %s; `onevault doctor` says whether they can be read, and the first sample of a target is left out: it holds what was counted since months", output.Moment(since))
	}
	return nil
}

func statementColumns(now time.Time) []output.Column[vault.ListedStatement] {
	type row = vault.ListedStatement
	return []output.Column[row]{
		{Name: "ID", Cell: func(s row) output.Cell { return output.Text(s.ID) }},
		{Name: "TIME", Cell: func(s row) output.Cell { return output.Text(output.Milliseconds(s.TotalMS)) }},
		{Name: "SHARE", Cell: func(s row) output.Cell { return output.Text(output.Number(oneDecimal(s.Share), "%")) }},
		{Name: "CALLS", Cell: func(s row) output.Cell { return output.Text(output.Count(s.Calls)) }},
		{Name: "MEAN", Cell: meanCell},
		{Name: "VS 7D", Cell: changeCell},
		{Name: "I/O BLOCKS", Cell: func(s row) output.Cell { return output.Text(blockCount(blocks(s))) }},
		{Name: "TARGET", Wide: true, Cell: func(s row) output.Cell { return output.Text(s.Target) }},
		{Name: "DATABASE", Wide: true, Cell: func(s row) output.Cell { return output.Text(output.OrNone(s.Database)) }},
		{Name: "ROLE", Wide: true, Cell: func(s row) output.Cell { return output.Text(output.OrNone(s.Role)) }},
		{Name: "QUERYID", Wide: true, Cell: func(s row) output.Cell { return output.Text(output.OrNone(s.QueryID)) }},
		{Name: "RANKS", Wide: true, Cell: func(s row) output.Cell { return output.Text(ranksText(s)) }},
		{Name: "SAMPLED", Wide: true, Cell: func(s row) output.Cell { return output.Text(output.Age(now, s.SampledAt)) }},
		{Name: "ADVICE", Cell: adviceCell},
		{Name: "STATEMENT", Cell: func(s row) output.Cell { return output.Text(shortened(s.Text, 60)) }},
	}
}

func oneDecimal(value *float64) *float64 {
	if value == nil {
		return nil
	}
	rounded := math.Round(*value*10) / 10
	return &rounded
}

func blockCount(n *int64) string {
	if n == nil {
		return output.None
	}
	return output.Count(*n)
}

// blocks are those that a statement read from outside shared buffers, and its temporary ones.
func blocks(s vault.ListedStatement) *int64 {
	if s.Read == nil || s.Temp == nil {
		return nil
	}
	sum := *s.Read + *s.Temp
	return &sum
}

var ratingStyles = map[string]output.Style{"EXCELLENT": output.Plain, "GOOD": output.Plain, "POOR": output.Fair, "CRITICAL": output.Bad}

func meanCell(s vault.ListedStatement) output.Cell {
	if s.MeanMS == nil {
		return output.Text(output.None)
	}
	return output.Cell{Text: output.Milliseconds(*s.MeanMS), Style: ratingStyles[s.Rating]}
}

// changeCell compares the mean with that of the 7 days before. Half as much again is worth a look.
func changeCell(s vault.ListedStatement) output.Cell {
	switch {
	case s.MeanMS == nil:
		return output.Text(output.None)
	case s.PastMeanMS == nil:
		return output.Cell{Text: "new", Style: output.Fair}
	case *s.PastMeanMS == 0:
		return output.Text(output.None)
	}
	ratio := *s.MeanMS / *s.PastMeanMS
	switch {
	case ratio >= 10:
		return output.Cell{Text: fmt.Sprintf("x%.0f", ratio), Style: output.Bad}
	case ratio >= 1.5:
		return output.Cell{Text: fmt.Sprintf("%+.0f%%", 100*(ratio-1)), Style: output.Fair}
	}
	return output.Text(fmt.Sprintf("%+.0f%%", 100*(ratio-1)))
}

func ranksText(s vault.ListedStatement) string {
	var words []string
	for _, rank := range []struct {
		name  string
		place int
	}{{"total", s.RankTotal}, {"mean", s.RankMean}, {"io", s.RankIO}, {"calls", s.RankCalls}} {
		if rank.place > 0 {
			words = append(words, fmt.Sprintf("%s %d", rank.name, rank.place))
		}
	}
	return output.OrNone(strings.Join(words, ", "))
}

// adviceCell names what the first suggestion is about, and how many there are beside it.
func adviceCell(s vault.ListedStatement) output.Cell {
	if len(s.Suggestions) == 0 {
		return output.Cell{Text: output.None, Style: output.Faint}
	}
	text := kindText(s.Suggestions[0])
	if more := len(s.Suggestions) - 1; more > 0 {
		text += fmt.Sprintf(" +%d", more)
	}
	return output.Cell{Text: text, Style: output.Note}
}

func kindText(s vault.Suggestion) string {
	if kind := s.Kind(); kind != "" {
		return strings.ReplaceAll(strings.ToLower(kind), "_", " ")
	}
	return "see it"
}

// shortened is the beginning of a text on one line.
func shortened(text string, most int) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	if text == "" {
		return "(its text is not known)"
	}
	return text
}

func (a *app) statementShowCommand() *cobra.Command {
	var target, since string
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show a statement: its text, what it cost, how that changed, what to try, and its plan",
		Long: fmt.Sprintf(`Show a statement: its text, what it cost since --since, its mean against the median of the 7 days before, drawn over %d
days, what to try with the numbers that speak for it, and the planner's plan where one could be asked for.
ID is one of the list, or a queryid of pg_stat_statements.`, plottedDays),
		Example: "  onevault statement show S-3F9A01BC\n  onevault statement show 5437297862132870431 --target pg-prod-3 --since 7d",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := sinceTime(a.now(), since)
			if err != nil {
				return usage(err)
			}
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			found, err := store.Statement(cmd.Context(), target, args[0], from, a.now().AddDate(0, 0, -plottedDays), a.now())
			if err != nil {
				return err
			}
			return a.showStatement(found, from)
		},
	}
	cmd.Flags().StringVar(&target, "target", "", "of this target")
	cmd.Flags().StringVar(&since, "since", "24h", "what it cost since: a duration (90m, 24h, 30d) or a time (2026-05-04 or RFC 3339)")
	return cmd
}

func (a *app) showStatement(s vault.ShownStatement, since time.Time) error {
	p := a.printer()
	if done, err := p.Whole(s, s.ID); done {
		return err
	}
	fmt.Fprintf(a.out, "%s on %s, database %s, role %s, queryid %s\n\n", s.ID, output.Printable(s.Target), output.Printable(output.OrNone(s.Database)),
		output.Printable(output.OrNone(s.Role)), output.OrNone(s.QueryID))
	text := strings.TrimSpace(s.Text)
	if text == "" {
		text = shortened("", 0)
	}
	for line := range strings.Lines(text) {
		fmt.Fprintln(a.out, "  "+output.Printable(strings.TrimRight(line, "\n")))
	}
	fmt.Fprintln(a.out)
	if err := p.Pairs(statementPairs(s, a.now(), since)); err != nil {
		return err
	}
	if err := a.drawStatement(s); err != nil {
		return err
	}
	if err := a.showSuggestions(s); err != nil {
		return err
	}
	return a.showPlan(s)
}

func statementPairs(s vault.ShownStatement, now, since time.Time) [][2]string {
	if s.Samples == 0 {
		last := "never sampled"
		if !s.SampledAt.IsZero() {
			last = output.Age(now, s.SampledAt) + " ago"
		}
		return [][2]string{{"samples", fmt.Sprintf("not among the top since %s; last %s", output.Moment(since), last)}}
	}
	share := ""
	if s.Share != nil {
		share = fmt.Sprintf(", %s of the time of all", output.Number(oneDecimal(s.Share), "%"))
	}
	return [][2]string{
		{"samples", fmt.Sprintf("%d since %s, the last %s ago", s.Samples, output.Moment(since), output.Age(now, s.SampledAt))},
		{"time", output.Milliseconds(s.TotalMS) + share},
		{"calls", output.Count(s.Calls)},
		{"mean", meanText(s)},
		{"ranks", ranksText(s.ListedStatement)},
		{"rows", perCall(s.Rows, s.Calls)},
		{"blocks", blocksText(s)},
		{"temporary", nonZero(s.Temp, " blocks")},
		{"I/O", spent(s.IOMS)},
		{"planning", spent(s.PlanMS)},
		{"compiling", spent(s.JITMS)},
	}
}

func meanText(s vault.ShownStatement) string {
	if s.MeanMS == nil {
		return output.None
	}
	text := output.Milliseconds(*s.MeanMS) + ", " + s.Rating
	if s.PastMeanMS == nil {
		return text + "; not measured in the 7 days before"
	}
	return fmt.Sprintf("%s; %s against %s, the median of %d of the 7 days before", text, changeCell(s.ListedStatement).Text, output.Milliseconds(*s.PastMeanMS), s.PastDays)
}

func perCall(n *int64, calls int64) string {
	if n == nil || calls == 0 {
		return ""
	}
	each := math.Round(float64(*n)/float64(calls)*100) / 100
	return fmt.Sprintf("%s, %s per call", output.Count(*n), output.Number(&each, ""))
}

func blocksText(s vault.ShownStatement) string {
	if s.Hit == nil || s.Read == nil || *s.Hit+*s.Read == 0 {
		return ""
	}
	ratio := math.Round(1000*float64(*s.Hit)/float64(*s.Hit+*s.Read)) / 10
	return fmt.Sprintf("%s from shared buffers, %s from outside (%s hit)", output.Count(*s.Hit), output.Count(*s.Read), output.Number(&ratio, "%"))
}

func nonZero(n *int64, unit string) string {
	if n == nil || *n == 0 {
		return ""
	}
	return output.Count(*n) + unit
}

func spent(ms *float64) string {
	if ms == nil || *ms == 0 {
		return ""
	}
	return output.Milliseconds(*ms)
}

// drawStatement draws the mean of each day; one day is no line.
func (a *app) drawStatement(s vault.ShownStatement) error {
	if len(s.Days) < 2 {
		return nil
	}
	p := a.printer()
	mean := output.Curve{Style: output.Note, Mark: '*'}
	for _, day := range s.Days {
		mean.Points = append(mean.Points, output.Point{X: dayNumber(day.Day), Y: day.TotalMS / float64(day.Calls)})
	}
	l := legend{{mean, "mean of a day"}}
	curves := []output.Curve{mean}
	if s.PastMeanMS != nil {
		first, last := mean.Points[0].X, mean.Points[len(mean.Points)-1].X
		median := output.Curve{Points: []output.Point{{X: first, Y: *s.PastMeanMS}, {X: last, Y: *s.PastMeanMS}}, Style: output.Faint, Mark: '-', Dotted: true}
		l = append(l, legend{{median, "median of the 7 days before"}}...)
		curves = append(curves, median)
	}
	fmt.Fprintln(a.out)
	err := p.Draw(output.Plot{
		Curves: curves, Width: plotWidth, Height: 9,
		XLabel: func(x float64) string { return time.Unix(int64(math.Round(x*86400)), 0).UTC().Format(time.DateOnly) },
		YLabel: output.Milliseconds,
	}, !a.outIsTerminal)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.out, l.text(p, !a.outIsTerminal))
	return err
}

func (a *app) showSuggestions(s vault.ShownStatement) error {
	for _, suggestion := range s.Suggestions {
		if err := a.section(kindText(suggestion), slices.Concat([][2]string{{"try", suggestion.Text}}, suggestionPairs(suggestion))); err != nil {
			return err
		}
	}
	return nil
}

// suggestionPairs is the evidence of a suggestion without what its title says.
func suggestionPairs(s vault.Suggestion) [][2]string {
	return slices.DeleteFunc(evidencePairs(s.Evidence), func(pair [2]string) bool { return pair[0] == "kind" })
}

// planNode is what is drawn of a node of a plan.
type planNode struct {
	Type      string     `json:"Node Type"`
	Join      string     `json:"Join Type"`
	Operation string     `json:"Operation"`
	Subplan   string     `json:"Subplan Name"`
	Schema    string     `json:"Schema"`
	Relation  string     `json:"Relation Name"`
	Index     string     `json:"Index Name"`
	Cost      float64    `json:"Total Cost"`
	Rows      float64    `json:"Plan Rows"`
	IndexCond string     `json:"Index Cond"`
	Filter    string     `json:"Filter"`
	HashCond  string     `json:"Hash Cond"`
	Plans     []planNode `json:"Plans"`
}

func (a *app) showPlan(s vault.ShownStatement) error {
	switch {
	case s.PlanProblem != "":
		fmt.Fprintf(a.out, "\nno plan is known: %s\n", output.Printable(s.PlanProblem))
		return nil
	case len(s.Plan) == 0:
		return nil
	}
	var root planNode
	if err := json.Unmarshal(s.Plan, &root); err != nil {
		return fmt.Errorf("read the plan of %s: %w", s.ID, err)
	}
	fmt.Fprintf(a.out, "\nplan for any parameters, of %s ago\n", output.Age(a.now(), s.PlanAt))
	var text strings.Builder
	root.draw(&text, 1)
	_, err := fmt.Fprint(a.out, text.String())
	return err
}

// draw writes a node as EXPLAIN does, and what is below it further in.
func (n planNode) draw(text *strings.Builder, depth int) {
	indent := strings.Repeat("  ", depth)
	if n.Subplan != "" {
		fmt.Fprintf(text, "%s%s:\n", indent, output.Printable(n.Subplan))
	}
	words := []string{n.Type}
	if n.Join != "" && n.Join != "Inner" {
		words = append(words, n.Join)
	}
	if n.Operation != "" && n.Operation != "Select" {
		words = append(words, n.Operation)
	}
	if n.Index != "" {
		words = append(words, "using", n.Index)
	}
	if n.Relation != "" {
		words = append(words, "on", n.Schema+"."+n.Relation)
	}
	fmt.Fprintf(text, "%s%s  (cost %.0f, rows %.0f)\n", indent, output.Printable(strings.Join(words, " ")), n.Cost, n.Rows)
	for _, condition := range [][2]string{{"Index Cond", n.IndexCond}, {"Hash Cond", n.HashCond}, {"Filter", n.Filter}} {
		if condition[1] != "" {
			fmt.Fprintf(text, "%s    %s: %s\n", indent, condition[0], output.Printable(condition[1]))
		}
	}
	for _, child := range n.Plans {
		child.draw(text, depth+1)
	}
}
