package definitions

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"onevault/alert"
	"onevault/cmd/onevault/yamlfile"
)

// Tests is a file of unit tests for definitions.
type Tests struct {
	// File names a file of definitions, and Inline holds them; without both it is the vault's that are tested.
	File   string
	Inline []Definition
	Tests  []Test
}

// Test is a story: what is measured, and what shall come of it.
type Test struct {
	Line       int
	Name       string
	Definition string
	// Labels are the label set that the expectations are about, of a definition that alerts by labels.
	Labels alert.Labels
	Step   time.Duration // between values; 0: as often as the definition is looked at
	Series []Series      // by their names
	For    time.Duration // how long to look; 0: to the end of the series and of what is expected
	Expect []Expectation
	// Fires and Clears are all moments at which the alert opens and ends; nil: they are not tested.
	Fires, Clears []time.Duration
}

// Series is what is measured of a metric, or of one series of a metric with labels; a gap is nil.
type Series struct {
	Metric string
	Labels alert.Labels
	Values []*float64
}

// Expectation is a state that shall hold at every look of [From, To].
type Expectation struct {
	From, To time.Duration
	State    string
}

// States are what an expectation can name: OK, PENDING, FIRING, SUPPRESSED.
func States() []string { return []string{"OK", "PENDING", "FIRING", "SUPPRESSED"} }

type testsFile struct {
	Version     int        `yaml:"version"`
	Definitions yaml.Node  `yaml:"definitions"`
	Tests       []testFile `yaml:"tests"`
}

type testFile struct {
	Name       string            `yaml:"name"`
	Definition string            `yaml:"definition"`
	Labels     alert.Labels      `yaml:"labels"`
	Step       string            `yaml:"step"`
	For        string            `yaml:"for"`
	Series     map[string]string `yaml:"series"`
	Expect     []struct {
		At    string `yaml:"at"`
		From  string `yaml:"from"`
		To    string `yaml:"to"`
		State string `yaml:"state"`
	} `yaml:"expect"`
	Fires  *[]string `yaml:"fires"`
	Clears *[]string `yaml:"clears"`
}

// lineOf finds the places in an error of the YAML decoder, and unknownField its words for a misspelt field.
var (
	lineOf       = regexp.MustCompile(`line (\d+): (.*)`)
	unknownField = regexp.MustCompile(`^field (\S+) not found in type .+$`)
)

// ParseTests reads a file of tests. With problems there are no tests.
func ParseTests(text []byte) (Tests, []Problem) {
	var (
		file     testsFile
		out      Tests
		problems []Problem
	)
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		if errors.Is(err, io.EOF) {
			return out, []Problem{{Text: "the file is empty", Remedy: "begin with `version: 1` and `tests:`; see docs/backtesting.md"}}
		}
		for _, found := range lineOf.FindAllStringSubmatch(err.Error(), -1) {
			line, _ := strconv.Atoi(found[1]) // digits
			problem := Problem{Line: line, Text: found[2]}
			if name := unknownField.FindStringSubmatch(found[2]); name != nil {
				problem.Field, problem.Text = name[1], "unknown field"
				problem.Remedy = yamlfile.Suggest(name[1], []string{"version", "definitions", "tests", "name", "definition", "labels", "step", "for", "series", "expect", "fires", "clears", "at", "from", "to", "state"})
			}
			problems = append(problems, problem)
		}
		if len(problems) == 0 {
			problems = []Problem{{Text: "this is no YAML of tests: " + strings.TrimPrefix(err.Error(), "yaml: ")}}
		}
		return out, problems
	}
	if file.Version != Version {
		problems = append(problems, Problem{Field: "version", Text: "is not 1", Remedy: "write `version: 1`"})
	}
	switch file.Definitions.Kind {
	case 0:
	case yaml.ScalarNode:
		out.File = file.Definitions.Value
	default:
		p := &parser{seen: map[string]int{}}
		for _, node := range file.Definitions.Content {
			p.definition(yamlfile.Resolve(node))
		}
		out.Inline, problems = p.definitions, append(problems, p.Problems...)
	}
	if len(file.Tests) == 0 {
		problems = append(problems, Problem{Field: "tests", Text: "missing, or empty", Remedy: "write a list: `tests:` and below it `- name: ...`"})
	}
	lines := linesOfTests(text)
	for i, given := range file.Tests {
		test, wrong := given.read()
		if i < len(lines) {
			test.Line = lines[i]
		}
		for _, w := range wrong {
			w.Line, w.Key = test.Line, test.Definition
			problems = append(problems, w)
		}
		out.Tests = append(out.Tests, test)
	}
	if len(problems) > 0 {
		return Tests{}, problems
	}
	return out, nil
}

func linesOfTests(text []byte) []int {
	var root struct {
		Tests []yaml.Node `yaml:"tests"`
	}
	if yaml.Unmarshal(text, &root) != nil {
		return nil
	}
	var lines []int
	for _, node := range root.Tests {
		lines = append(lines, node.Line)
	}
	return lines
}

func (f testFile) read() (Test, []Problem) {
	t := Test{Name: f.Name, Definition: f.Definition, Labels: f.Labels}
	var problems []Problem
	wrong := func(field, remedy, format string, args ...any) {
		problems = append(problems, Problem{Field: field, Text: fmt.Sprintf(format, args...), Remedy: remedy})
	}
	moment := func(field, text string) time.Duration {
		at, err := timeAfter(text)
		if err != nil {
			wrong(field, "write how long after the beginning: 0m, 15m, 2h, 1d", "%v", err)
		}
		return at
	}
	if f.Name == "" {
		wrong("name", "say what shall be true", "missing")
	}
	if f.Definition == "" {
		wrong("definition", "name the key of the definition", "missing")
	}
	if f.Step != "" {
		if t.Step = moment("step", f.Step); t.Step == 0 {
			wrong("step", "write 5m", "is no time at all")
		}
	}
	if f.For != "" {
		t.For = moment("for", f.For)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Series)) {
		metric, labels, err := readSeriesName(name)
		if err != nil {
			wrong("series."+name, `write the metric, and of one with labels all of them: "slot_retained_bytes{slot=standby_1, type=physical}"`, "%v", err)
		}
		values, err := readSeries(f.Series[name])
		if err != nil {
			wrong("series."+name, "write numbers, _ for no measurement, and 50x10 for ten times 50", "%v", err)
		}
		t.Series = append(t.Series, Series{metric, labels, values})
	}
	for _, e := range f.Expect {
		var x Expectation
		switch {
		case e.At != "" && e.From+e.To == "":
			x.From = moment("expect.at", e.At)
			x.To = x.From
		case e.At == "" && e.From != "" && e.To != "":
			x.From, x.To = moment("expect.from", e.From), moment("expect.to", e.To)
			if x.To < x.From {
				wrong("expect.to", "write the earlier one as from", "is before from")
			}
		default:
			wrong("expect", "write `at: 15m`, or `from: 15m` and `to: 30m`", "has neither one moment nor a span")
		}
		if x.State = strings.ToUpper(e.State); !slices.Contains(States(), x.State) {
			wrong("expect.state", suggestWord(e.State, States()), "is %q", e.State)
		}
		t.Expect = append(t.Expect, x)
	}
	for field, list := range map[string]struct {
		given *[]string
		to    *[]time.Duration
	}{"fires": {f.Fires, &t.Fires}, "clears": {f.Clears, &t.Clears}} {
		if list.given == nil {
			continue
		}
		*list.to = []time.Duration{}
		for _, text := range *list.given {
			*list.to = append(*list.to, moment(field, text))
		}
	}
	if len(t.Expect) == 0 && t.Fires == nil && t.Clears == nil {
		wrong("expect", "write `expect:`, `fires:` or `clears:`; `fires: []` says that it never does", "nothing is expected, so nothing could fail")
	}
	return t, problems
}

var momentPattern = regexp.MustCompile(`^(\d{1,6})(s|m|h|d)$`)

// timeAfter reads a time after the beginning: 90s, 15m, 2h, 1d.
func timeAfter(text string) (time.Duration, error) {
	parts := momentPattern.FindStringSubmatch(strings.TrimSpace(text))
	if parts == nil {
		return 0, fmt.Errorf("is %q", text)
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		return 0, fmt.Errorf("is %q", text)
	}
	unit := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[parts[2]]
	return time.Duration(n) * unit, nil
}

var (
	seriesPattern = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)\s*(?:\{(.*)\})?$`)
	labelPattern  = regexp.MustCompile(`^\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?:"([^"]*)"|([^",{}]*?))\s*(?:,|$)`)
)

// readSeriesName reads slot_retained_bytes{slot=standby_1, type="physical"}.
func readSeriesName(text string) (metric string, labels alert.Labels, err error) {
	parts := seriesPattern.FindStringSubmatch(strings.TrimSpace(text))
	if parts == nil {
		return "", nil, errors.New("is not the name of a series")
	}
	labels = alert.Labels{}
	for rest := parts[2]; strings.TrimSpace(rest) != ""; {
		label := labelPattern.FindStringSubmatch(rest)
		if label == nil {
			return "", nil, fmt.Errorf("has the labels %q", parts[2])
		}
		if _, twice := labels[label[1]]; twice {
			return "", nil, fmt.Errorf("names the label %s twice", label[1])
		}
		labels[label[1]] = label[2] + label[3]
		rest = rest[len(label[0]):]
	}
	return parts[1], labels, nil
}

var valuePattern = regexp.MustCompile(`^(_|[+-]?\d+(?:\.\d+)?)(?:x(\d{1,5}))?$`)

// maxValues bounds a series: four weeks of minutes.
const maxValues = 28 * 24 * 60

// readSeries reads 0 0 50x10 _ 0; a gap is nil.
func readSeries(text string) ([]*float64, error) {
	var values []*float64
	for _, word := range strings.Fields(text) {
		parts := valuePattern.FindStringSubmatch(word)
		if parts == nil {
			return nil, fmt.Errorf("holds %q", word)
		}
		times := 1
		if parts[2] != "" {
			times, _ = strconv.Atoi(parts[2]) // at most five digits
		}
		var value *float64
		if parts[1] != "_" {
			number, err := strconv.ParseFloat(parts[1], 64)
			if err != nil {
				return nil, fmt.Errorf("holds %q", word)
			}
			value = &number
		}
		if times == 0 || len(values)+times > maxValues {
			return nil, fmt.Errorf("holds %q: a series has 1 to %d values", word, maxValues)
		}
		for range times {
			values = append(values, value)
		}
	}
	if len(values) == 0 {
		return nil, errors.New("is empty")
	}
	return values, nil
}
