package migrations_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/pgserver/pgtest"
)

// explained is one row of explain_condition.
type explained struct {
	Ordinal                 int
	Comparison              string
	Left                    *string
	Operator                string
	Right                   *string
	Result                  string
	Decided, DecidedByItsef bool
}

func explainCondition(t *testing.T, db database, condition, inputs string) []explained {
	t.Helper()
	rows, err := db.Query(t.Context(), "SELECT * FROM monitoring.explain_condition($1, $2::jsonb)", condition, inputs)
	if err != nil {
		t.Fatalf("%s: %v", condition, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[explained])
	if err != nil {
		t.Fatalf("%s: %v", condition, err)
	}
	return list
}

// line prints an explanation as a person would: * decided alone, + decided with others.
func line(list []explained) string {
	parts := make([]string, 0, len(list))
	for _, e := range list {
		mark := ""
		switch {
		case e.DecidedByItsef:
			mark = "*"
		case e.Decided:
			mark = "+"
		}
		side := func(v *string) string {
			if v == nil {
				return "?"
			}
			return *v
		}
		parts = append(parts, fmt.Sprintf("%s%s %s %s is %s", mark, side(e.Left), e.Operator, side(e.Right), e.Result))
	}
	return strings.Join(parts, "; ")
}

func TestExplain_SaysWhichComparisonDecided(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	const inputs = `{"a": 5, "b": 2, "zero": 0, "neg": -3, "word": "up", "void": null, "threshold_value": 4.50, "flag": true}`
	for condition, want := range map[string]string{
		"a > threshold_value":             "*5 > 4.5 is TRUE",
		"a > 9":                           "*5 > 9 is FALSE",
		"a > 4 && b > 1":                  "*5 > 4 is TRUE; *2 > 1 is TRUE",
		"a > 4 && b > 9":                  "5 > 4 is TRUE; *2 > 9 is FALSE",
		"a > 9 && b > 9":                  "+5 > 9 is FALSE; +2 > 9 is FALSE",
		"a > 4 || b > 9":                  "*5 > 4 is TRUE; 2 > 9 is FALSE",
		"a > 4 || b > 1":                  "+5 > 4 is TRUE; +2 > 1 is TRUE",
		"a > 9 || b > 9":                  "*5 > 9 is FALSE; *2 > 9 is FALSE",
		"!(a > 9)":                        "*5 > 9 is FALSE",
		"!(a > 4 || b > 1)":               "+5 > 4 is TRUE; +2 > 1 is TRUE",
		"!(a > 9 && b > 1)":               "*5 > 9 is FALSE; 2 > 1 is TRUE",
		"(a > 4 || b > 1) && neg < 0":     "+5 > 4 is TRUE; +2 > 1 is TRUE; *-3 < 0 is TRUE",
		"a == 5 || b > 9 && b < 0":        "*5 == 5 is TRUE; 2 > 9 is FALSE; 2 < 0 is FALSE",
		"(a == 5 || b > 9) && b < 0":      "5 == 5 is TRUE; 2 > 9 is FALSE; *2 < 0 is FALSE",
		"((a + b) * 2 > (1)) && !(b > 9)": "*14 > 1 is TRUE; *2 > 9 is FALSE",
		"-a < neg - b * 0.5":              "*-5 < -4 is TRUE",
		"a / 4 >= b % 2":                  "*1.25 >= 0 is TRUE",
		`word == "up"`:                    `*"up" == "up" is TRUE`,
		`word == "a || b"`:                `*"up" == "a || b" is FALSE`,
		"flag == true":                    "*true == true is TRUE",
		"a > 1 || nothing > 1":            "5 > 1 is TRUE; *? > 1 is NO_DATA",
		"void > 1 && nothing > 1":         "+? > 1 is NO_DATA; +? > 1 is NO_DATA",
		"a / zero > 1":                    "*? > 1 is ERROR",
		"a > 1 || a / zero > 1":           "*5 > 1 is TRUE; ? > 1 is ERROR",
		"a > 9 || a / zero > 1":           "5 > 9 is FALSE; *? > 1 is ERROR",
		"a / zero > 1 && b / zero > 1":    "+? > 1 is ERROR; +? > 1 is ERROR",
		"!(a / zero > 1) || word > 1":     `+? > 1 is ERROR; +"up" > 1 is ERROR`,
		"a>4\n\t&&\n  b   <  9  ":         "*5 > 4 is TRUE; *2 < 9 is TRUE",
	} {
		if got := line(explainCondition(t, db, condition, inputs)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", condition, got, want)
		}
	}
	if got := explainCondition(t, db, "(  a +  b  )*2 > threshold_value", inputs)[0].Comparison; got != "(  a +  b  )*2 > threshold_value" {
		t.Errorf("the comparison is not told in its own words: %q", got)
	}
	refused(t, db, "22023", []string{"malformed"}, "SELECT * FROM monitoring.explain_condition('a > > 1', '{}')")
	long := "a > 1" + strings.Repeat(" || a > 1", 221)
	if list := explainCondition(t, db, long, inputs); len(list) != 222 || !list[221].Decided {
		t.Errorf("of the longest condition %d comparisons are told", len(list))
	}
}

// formula is a condition as this test built it: a comparison, or && || ! over others.
type formula struct {
	op          string // &&, ||, !, or empty: a comparison
	left, right *formula
	number      int // of the comparison, from the left
	text        string
	sides       [2]float64
}

// builder makes random conditions whose meaning it knows.
type builder struct {
	*rand.Rand
	names  []string
	inputs map[string]float64
	count  int
}

func (b *builder) operand(depth int) (text string, value float64) {
	switch {
	case depth > 2 || b.IntN(3) == 0:
		if b.IntN(2) == 0 {
			v := float64(b.IntN(80)) / 8
			return strconv.FormatFloat(v, 'f', -1, 64), v
		}
		name := b.names[b.IntN(len(b.names))]
		return name, b.inputs[name]
	case b.IntN(6) == 0:
		text, value = b.operand(depth + 1)
		return "-(" + text + ")", -value
	}
	left, x := b.operand(depth + 1)
	right, y := b.operand(depth + 1)
	switch b.IntN(4) {
	case 0:
		return left + " + (" + right + ")", x + y
	case 1:
		return "(" + left + ")-(" + right + ")", x - y
	case 2:
		return "(" + left + ") * (" + right + ")", x * y
	}
	if y == 0 {
		x = math.NaN() // no value there either, whatever is done with it
	}
	return "(" + left + ") / (" + right + ")", x / y
}

func (b *builder) formula(depth int) *formula {
	if depth > 4 || b.IntN(3) == 0 && depth > 0 {
		left, x := b.operand(1 + b.IntN(2))
		right, y := b.operand(1 + b.IntN(2))
		op := []string{"==", "!=", ">", ">=", "<", "<="}[b.IntN(6)]
		b.count++
		return &formula{number: b.count, text: left + " " + op + " " + right, sides: [2]float64{x, y}}
	}
	f := &formula{op: []string{"&&", "||", "&&", "||", "!"}[b.IntN(5)], left: b.formula(depth + 1)}
	if f.op != "!" {
		f.right = b.formula(depth + 1)
	}
	return f
}

// write prints the formula; instead gives the text of a comparison.
func (f *formula) write(instead func(*formula) string) string {
	switch f.op {
	case "":
		return instead(f)
	case "!":
		return "!(" + f.left.write(instead) + ")"
	}
	side := func(s *formula) string {
		text := s.write(instead)
		// && binds closer than ||, and equal ones in a row need no parentheses.
		if s.op == "||" && f.op == "&&" {
			return "(" + text + ")"
		}
		return text
	}
	return side(f.left) + " " + f.op + " " + side(f.right)
}

func (f *formula) comparisons() []*formula {
	switch f.op {
	case "":
		return []*formula{f}
	case "!":
		return f.left.comparisons()
	}
	return append(f.left.comparisons(), f.right.comparisons()...)
}

// What explain says is held against evaluate_condition itself: what decided is enough, whatever the
// others were; what decided alone turns the result when it is turned.
func TestExplain_AgreesWithTheEvaluatorOverGeneratedConditions(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1))
	inputs := map[string]float64{"a": 5, "b": 2, "zero": 0, "neg": -3.5, "half": 0.5, "threshold_value": 4.25}
	const given = `{"a": 5, "b": 2, "zero": 0, "neg": -3.5, "half": 0.5, "threshold_value": 4.25}`
	var formulas []*formula
	var texts []string
	literally := func(f *formula) string { return f.text }
	for len(formulas) < 2500 {
		b := &builder{Rand: random, names: []string{"a", "b", "zero", "neg", "half", "threshold_value"}, inputs: inputs}
		f := b.formula(0)
		text := f.write(literally)
		if b.count <= 8 && len(text) < 1500 {
			formulas, texts = append(formulas, f), append(texts, text)
		}
	}
	whole := values[string](t, db, `
		SELECT e.result FROM unnest($1::text[]) WITH ORDINALITY AS u (c, o), LATERAL monitoring.evaluate_condition(c, $2::jsonb) AS e ORDER BY o`, texts, given)
	rows, err := db.Query(t.Context(), `
		SELECT o::int AS condition, x.* FROM unnest($1::text[]) WITH ORDINALITY AS u (c, o), LATERAL monitoring.explain_condition(c, $2::jsonb) AS x ORDER BY o, x.ordinal`, texts, given)
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		Condition int
		explained
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		t.Fatal(err)
	}
	byCondition := make([][]explained, len(formulas))
	for _, r := range list {
		byCondition[r.Condition-1] = append(byCondition[r.Condition-1], r.explained)
	}

	var (
		asked   []string
		wants   []string // "=X": must be X; "!X": must not be
		origins []int
		results = map[string]int{}
	)
	ask := func(i int, want string, instead func(*formula) string) {
		asked, wants, origins = append(asked, formulas[i].write(instead)), append(wants, want), append(origins, i)
	}
	for i, f := range formulas {
		results[whole[i]]++
		got, made := byCondition[i], f.comparisons()
		if len(got) != len(made) {
			t.Fatalf("seed %d: %s has %d comparisons, %d are told", seed, texts[i], len(made), len(got))
		}
		decided := 0
		for j, e := range got {
			checkSides(t, e, made[j])
			if e.Decided {
				decided++
			}
		}
		if decided == 0 {
			t.Errorf("seed %d: nothing decided %s (%s): %s", seed, texts[i], whole[i], line(got))
		}
		if whole[i] == "ERROR" {
			continue
		}
		for range 3 {
			ask(i, "="+whole[i], func(c *formula) string {
				if e := got[c.number-1]; e.Decided {
					return c.text
				}
				return []string{"1 == 1", "1 == 0", "1 / 0 == 1"}[random.IntN(3)]
			})
		}
		for j, e := range got {
			want := "=" + whole[i]
			if e.DecidedByItsef {
				want = "!" + whole[i]
			}
			if e.Result == "ERROR" {
				continue
			}
			ask(i, want, func(c *formula) string {
				if c.number != j+1 {
					return c.text
				}
				return map[string]string{"TRUE": "1 == 0", "FALSE": "1 == 1"}[e.Result]
			})
		}
	}
	answers := values[string](t, db, `
		SELECT e.result FROM unnest($1::text[]) WITH ORDINALITY AS u (c, o), LATERAL monitoring.evaluate_condition(c, $2::jsonb) AS e ORDER BY o`, asked, given)
	for i, answer := range answers {
		if is := answer == wants[i][1:]; is != (wants[i][0] == '=') {
			t.Errorf("seed %d: %s gives %s, want %s, by %s: %s", seed, asked[i], answer, wants[i], texts[origins[i]], line(byCondition[origins[i]]))
		}
	}
	if results["TRUE"] < 300 || results["FALSE"] < 300 || results["ERROR"] < 30 {
		t.Errorf("seed %d: the test does not tell anything apart: %v", seed, results)
	}
}

// checkSides compares the values that were told with this test's own arithmetic.
func checkSides(t *testing.T, e explained, f *formula) {
	t.Helper()
	if e.Comparison != f.text {
		t.Errorf("comparison %q is told as %q", f.text, e.Comparison)
	}
	for i, told := range []*string{e.Left, e.Right} {
		want := f.sides[i]
		if told == nil {
			if !math.IsNaN(want) {
				t.Errorf("%s: side %d is not told, want %v", f.text, i+1, want)
			}
			continue
		}
		got, err := strconv.ParseFloat(*told, 64)
		if err != nil || math.Abs(got-want) > 1e-6*math.Max(1, math.Abs(want)) {
			t.Errorf("%s: side %d is %s, want %v", f.text, i+1, *told, want)
		}
	}
}
