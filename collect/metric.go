package collect

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is what a metric's column holds.
type Kind string

// A value stands as it is. The others are counters, of which the vault makes a value of two samples: growth
// per time, growth in per cent of another counter's growth, growth per one of another counter's.
const (
	KindValue Kind = "value"
	KindRate  Kind = "rate"
	KindShare Kind = "share"
	KindMean  Kind = "mean"
)

// Categories of metrics, as the vault calls them.
var Categories = []string{"PERFORMANCE", "CAPACITY", "AVAILABILITY", "BACKUP", "SECURITY"}

// Metric is one column that a query measures, described by a line of its header. It bears the column's name.
type Metric struct {
	Name, Description string
	Unit, Category    string
	Kind              Kind
	Of                string        // the other counter's column, of a share and a mean
	Over              time.Duration // a rate is taken over this time, so that what happens once stays visible; 0: since the sample before
	Warning, Critical string        // a number, or a column that holds one; empty: none
	LowIsBad          bool
	Optional          bool   // NULL: the metric does not apply at the moment, and there is no sample
	Evidence          string // a jsonb column that is kept beside the value
}

// Query is one file of the catalogue, or of one's own: a header and one SELECT for each range of versions.
// docs/metrics.md describes the format.
type Query struct {
	Name      string // the file's name without .sql; of one's own the metric's
	Metrics   []Metric
	By        []string      // columns whose values label the rows; none: the SELECT yields one row
	Every     time.Duration // how often it runs; 0: at every collection
	From      string        // what it reads, for people
	On        string        // primary or standby; empty: both
	Table     string        // without it, the query does not apply
	Extension string        // without it, the metrics are unknown
	Role      string        // whoever is no member, cannot know the metrics
	Since     string        // a column: when the counters began
	Reason    string        // a column: why a value is NULL
	Empty     string        // why there may be no row, of a query without labels; empty: there must be one
	Rows      int           // the most rows that it may yield
	Scope     string        // cluster or database: what the numbers are about
	Variants  []Variant
	Own       bool // not built in
	Text      string
}

// Variant is the SELECT for the major versions From to To.
type Variant struct {
	From, To int
	SQL      string
}

// Versions that the catalogue knows. A newer server gets the variant whose range is open.
const (
	openVersion = 999
	// maxLabelledRows bounds the series of one query where its file says nothing.
	maxLabelledRows = 50
	maxRows         = 200
	maxLabels       = 5
	maxMetricFile   = 100_000
)

var (
	namePattern    = regexp.MustCompile(`^[a-z][a-z0-9_]{1,62}$`)
	metricPattern  = regexp.MustCompile(`^(\S+) +\[([^\]]*)\] +([^:]*): *(.*)$`)
	versionPattern = regexp.MustCompile(`^-- versions +(\S+)$`)
	rangePattern   = regexp.MustCompile(`^(\d{2})-(\d{2})?$`)
	columnNames    = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)
	relationName   = regexp.MustCompile(`^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$`)
)

// ParseQuery reads a file: header lines `-- field value` down to the first line that is none, then the SELECT,
// or several, each below its line `-- versions 14-16`. An error names file, line, value and remedy.
func ParseQuery(file, text string) (Query, error) {
	p := parser{file: file}
	p.query.Text = strings.ReplaceAll(text, "\r\n", "\n")
	if len(text) > maxMetricFile {
		return Query{}, p.fail("the file has %d bytes: a metric is one SELECT with its header, of up to %d", len(text), maxMetricFile)
	}
	lines := strings.Split(p.query.Text, "\n")
	for p.line < len(lines) {
		field, isHeader := strings.CutPrefix(strings.TrimRight(lines[p.line], " \t"), "-- ")
		if !isHeader || versionPattern.MatchString(lines[p.line]) {
			break
		}
		p.line++
		if err := p.take(field); err != nil {
			return Query{}, err
		}
	}
	if err := p.variants(lines[p.line:]); err != nil {
		return Query{}, err
	}
	return p.query, p.finish()
}

// parser is a file while it is read. line counts those that were read.
type parser struct {
	file  string
	line  int
	query Query
}

func (p *parser) fail(format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", p.file, max(p.line, 1), fmt.Sprintf(format, args...))
}

// take reads one header line without its dashes.
func (p *parser) take(header string) error {
	field, value, _ := strings.Cut(header, " ")
	value = strings.TrimSpace(value)
	q := &p.query
	switch field {
	case "metric":
		metric, err := p.metric(value)
		q.Metrics = append(q.Metrics, metric)
		return err
	case "by":
		for name := range strings.SplitSeq(value, ",") {
			q.By = append(q.By, strings.TrimSpace(name))
		}
		return p.checkNames("by", q.By)
	case "every":
		every, err := time.ParseDuration(value)
		if err != nil || every < time.Second || every > 24*time.Hour || every%time.Second != 0 {
			return p.fail("every is %q: write a time of whole seconds between 1s and 24h, such as 60s or 1h", value)
		}
		q.Every = every
		return nil
	case "rows":
		rows, err := strconv.Atoi(value)
		if err != nil || rows < 1 || rows > maxRows {
			return p.fail("rows is %q: write the most rows that the SELECT yields, 1 to %d", value, maxRows)
		}
		q.Rows = rows
		return nil
	case "on":
		return p.choose(&q.On, field, value, "primary", "standby")
	case "scope":
		return p.choose(&q.Scope, field, value, "cluster", "database")
	case "requires":
		return p.requires(value)
	case "from":
		q.From = value
		if value == "" || len(value) > 100 {
			return p.fail("from is %q: name what the SELECT reads, in up to 100 bytes", value)
		}
		return nil
	case "empty":
		q.Empty = value
		if value == "" {
			return p.fail("empty says nothing: write when there is no row, such as `-- empty archive_mode is off`")
		}
		return nil
	case "since", "reason":
		into := map[string]*string{"since": &q.Since, "reason": &q.Reason}[field]
		*into = value
		return p.checkNames(field, []string{value})
	}
	return p.fail("%q is no header field: use metric, by, every, from, on, scope, requires, since, reason, empty, rows, versions; an empty line ends the header, and comments of any kind follow it", field)
}

func (p *parser) choose(into *string, field, value string, words ...string) error {
	if !slices.Contains(words, value) {
		return p.fail("%s is %q: use %s", field, value, strings.Join(words, " or "))
	}
	*into = value
	return nil
}

func (p *parser) checkNames(field string, names []string) error {
	if len(names) > maxLabels {
		return p.fail("%s names %d columns, at most %d are allowed", field, len(names), maxLabels)
	}
	for i, name := range names {
		if !columnNames.MatchString(name) || slices.Contains(names[:i], name) {
			return p.fail("%s names the column %q: use each once, in small letters, digits and _", field, name)
		}
	}
	return nil
}

func (p *parser) requires(value string) error {
	what, name, _ := strings.Cut(value, " ")
	name = strings.TrimSpace(name)
	switch {
	case what == "table" && relationName.MatchString(name):
		p.query.Table = name
	case what == "extension" && columnNames.MatchString(name):
		p.query.Extension = name
	case what == "role" && columnNames.MatchString(name):
		p.query.Role = name
	default:
		return p.fail("requires is %q: write `table SCHEMA.NAME`, `extension NAME` or `role NAME`", value)
	}
	return nil
}

// metric reads NAME [UNIT] CATEGORY OPTIONS: DESCRIPTION.
func (p *parser) metric(value string) (Metric, error) {
	match := metricPattern.FindStringSubmatch(value)
	if match == nil {
		return Metric{}, p.fail("metric is %q: write `-- metric NAME [UNIT] CATEGORY: description`, such as `-- metric queue_length [count] PERFORMANCE warning 100 critical 1000: Jobs that wait`", value)
	}
	m := Metric{Name: match[1], Unit: match[2], Description: match[4], Kind: KindValue}
	words := strings.Fields(match[3])
	switch {
	case !namePattern.MatchString(m.Name):
		return m, p.fail("metric is called %q: use 2 to 63 small letters, digits and _, with a letter first", m.Name)
	case m.Unit == "" || len(m.Unit) > 20:
		return m, p.fail("the unit of %s is %q: write 1 to 20 bytes, such as count, s, ms, B, %%, 1/s", m.Name, m.Unit)
	case m.Description == "":
		return m, p.fail("%s has no description: write it behind the colon", m.Name)
	case slices.ContainsFunc(p.query.Metrics, func(other Metric) bool { return other.Name == m.Name }):
		return m, p.fail("metric %s is given twice: keep one line", m.Name)
	case len(words) == 0 || !slices.Contains(Categories, words[0]):
		return m, p.fail("the category of %s is %q: use %s", m.Name, cmp.Or(strings.Join(words[:min(len(words), 1)], ""), "missing"), strings.Join(Categories, ", "))
	}
	m.Category = words[0]
	return m, p.options(&m, words[1:])
}

func (p *parser) options(m *Metric, words []string) error {
	for len(words) > 0 {
		used, err := p.option(m, words)
		if err != nil {
			return err
		}
		words = words[used:]
	}
	if m.Kind == KindRate && perSeconds(m.Unit) == 0 {
		return p.fail("the unit of the rate %s is %q: end it in /s, /min, /h or /d", m.Name, m.Unit)
	}
	return nil
}

// option reads the first option of words, and tells how many words it takes.
func (p *parser) option(m *Metric, words []string) (int, error) {
	next := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	switch word := words[0]; word {
	case "low":
		m.LowIsBad = true
		return 1, nil
	case "optional":
		m.Optional = true
		return 1, nil
	case "warning", "critical":
		limit := next(1)
		if number, err := strconv.ParseFloat(limit, 64); (err != nil || number >= 1e20 || number <= -1e20 || number != number) && !columnNames.MatchString(limit) {
			return 0, p.fail("%s of %s is %q: write a number, or the column that holds it", word, m.Name, limit)
		}
		*map[string]*string{"warning": &m.Warning, "critical": &m.Critical}[word] = limit
		return 2, nil
	case "evidence":
		m.Evidence = next(1)
		return 2, p.checkNames("evidence of "+m.Name, []string{m.Evidence})
	case "share", "mean":
		if next(1) != "of" {
			return 0, p.fail("%s of %s names no counter: write `%s of COLUMN`", word, m.Name, word)
		}
		m.Kind, m.Of = Kind(word), next(2)
		return 3, p.checkNames(word+" of "+m.Name, []string{m.Of})
	case "rate":
		m.Kind = KindRate
		if next(1) != "over" {
			return 1, nil
		}
		over, err := time.ParseDuration(next(2))
		if err != nil || over < time.Second || over > time.Hour {
			return 0, p.fail("rate over %q of %s: write a time between 1s and 1h", next(2), m.Name)
		}
		m.Over = over
		return 3, nil
	default:
		return 0, p.fail("%q is no option of %s: use rate, rate over TIME, share of COLUMN, mean of COLUMN, low, warning N, critical N, optional, evidence COLUMN; a colon begins the description", word, m.Name)
	}
}

// perSeconds is the time that the unit of a rate names, in seconds; 0: it names none.
func perSeconds(unit string) int {
	_, per, _ := strings.Cut(unit, "/")
	return map[string]int{"s": 1, "min": 60, "h": 3600, "d": 86400}[per]
}

// variants reads what stands below the header.
func (p *parser) variants(lines []string) error {
	current := Variant{From: oldestMajor, To: openVersion}
	var body []string
	begun := false
	end := func() error {
		current.SQL = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(strings.Join(body, "\n")), ";"))
		if statement(current.SQL) == "" {
			if begun {
				return p.fail("the SELECT for the versions %s is missing", current.versions())
			}
			return nil // comments before the first variant
		}
		p.query.Variants = append(p.query.Variants, current)
		return nil
	}
	for _, line := range lines {
		p.line++
		match := versionPattern.FindStringSubmatch(line)
		if match == nil {
			body = append(body, line)
			continue
		}
		if err := end(); err != nil {
			return err
		}
		next, err := p.versionRange(match[1])
		if err != nil {
			return err
		}
		current, body, begun = next, nil, true
	}
	return end()
}

func (p *parser) versionRange(text string) (Variant, error) {
	match := rangePattern.FindStringSubmatch(text)
	if match == nil {
		return Variant{}, p.fail("versions is %q: write the first and the last major version, such as 14-16, or 17- for 17 and newer", text)
	}
	v := Variant{To: openVersion}
	v.From, _ = strconv.Atoi(match[1]) // two digits
	if match[2] != "" {
		v.To, _ = strconv.Atoi(match[2])
	}
	if v.To < v.From {
		return Variant{}, p.fail("versions is %q: the last version stands before the first one", text)
	}
	for _, other := range p.query.Variants {
		if v.From <= other.To && other.From <= v.To {
			return Variant{}, p.fail("versions %s overlaps %s: each version has one SELECT", text, other.versions())
		}
	}
	return v, nil
}

func (v Variant) versions() string {
	if v.To == openVersion {
		return fmt.Sprintf("%d-", v.From)
	}
	return fmt.Sprintf("%d-%d", v.From, v.To)
}

// Versions names the major versions that a query has a SELECT for, such as 14-16, 17-.
func (q Query) Versions() string {
	var list []string
	for _, v := range q.Variants {
		list = append(list, v.versions())
	}
	return strings.Join(list, ", ")
}

// statement is SQL without what stands before its first word: comments and empty lines.
func statement(sql string) string {
	var kept []string
	for line := range strings.Lines(sql) {
		if len(kept) > 0 || !strings.HasPrefix(line, "--") && strings.TrimSpace(line) != "" {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// finish looks at the file as a whole.
func (p *parser) finish() error {
	q := &p.query
	q.Scope = cmp.Or(q.Scope, "cluster")
	switch {
	case len(q.Metrics) == 0:
		return p.fail("the file names no metric: write `-- metric NAME [UNIT] CATEGORY: description` at its top")
	case len(q.Variants) == 0:
		return p.fail("the SELECT is missing: write it below the header")
	case q.Rows > 1 && len(q.By) == 0:
		return p.fail("rows is %d, but nothing tells the rows apart: name the columns that do, `-- by database`", q.Rows)
	case q.Empty != "" && len(q.By) > 0:
		return p.fail("empty is needed by queries without labels only: one with `by` may yield no row")
	}
	if q.Rows == 0 {
		q.Rows = 1
		if len(q.By) > 0 {
			q.Rows = maxLabelledRows
		}
	}
	for _, v := range q.Variants {
		if word := strings.ToUpper(strings.Fields(statement(v.SQL))[0]); word != "SELECT" && word != "WITH" && word != "VALUES" {
			return p.fail("the statement for the versions %s begins with %q: write one SELECT", v.versions(), word)
		}
	}
	return nil
}

// columns are all that the SELECT must yield, each once.
func (q Query) columns() []string {
	list := slices.Clone(q.By)
	for _, m := range q.Metrics {
		list = append(list, m.Name, m.Of, m.Evidence)
		for _, limit := range []string{m.Warning, m.Critical} {
			if columnNames.MatchString(limit) {
				list = append(list, limit)
			}
		}
	}
	list = append(list, q.Since, q.Reason)
	list = slices.DeleteFunc(list, func(name string) bool { return name == "" })
	slices.Sort(list)
	return slices.Compact(list)
}
