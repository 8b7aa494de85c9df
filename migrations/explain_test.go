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
	for len(formulas) < 1200 {
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
	if results["TRUE"] < 140 || results["FALSE"] < 140 || results["ERROR"] < 14 {
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

// why is what these tests look at of an explanation.
type why struct {
	Evidence, Note, Decision, Condition, Recorded, Result *string
	Agrees                                                *bool
	Disagreement                                          *string
	Newer, Looks, True                                    int
	Last                                                  *string
}

func explainAlert(t *testing.T, db database, alertKey string) why {
	t.Helper()
	rows, err := db.Query(t.Context(), `
		SELECT evidence, evidence_note, decision, condition, recorded_result, result, agrees, disagreement, newer_versions, looks, looks_true, last_decision
		  FROM monitoring.explain_alert(util.hash_binary($1))`, alertKey)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[why])
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func text(v *string) string {
	if v == nil {
		return ""
	}
	return *v
}

// onlyAlert is the business key of the one alert there is.
func onlyAlert(t *testing.T, db database) string {
	t.Helper()
	return value[string](t, db, "SELECT alert_instance_bk FROM monitoring.alert_instance_h")
}

func TestExplainAlert_EvaluatesAgainUnderTheVersionThatFired(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	at := noon()
	define(t, db, "D", columns{"condition_logic": "blocked_backends > threshold_value || deadlocks_per_h > 99", "pending_minutes": 2})
	inputs := `{"blocked_backends": 9.12345, "deadlocks_per_h": 1}`
	wantDecision(t, db, "D", at, inputs, "TRUE", "PENDING")
	wantDecision(t, db, "D", at.Add(minutes(2)), inputs, "TRUE", "FIRED")
	define(t, db, "D", columns{"threshold_value": 50})
	define(t, db, "D", columns{"threshold_value": 60})
	wantDecision(t, db, "D", at.Add(minutes(3)), `{"blocked_backends": 70}`, "TRUE", "HOLDING")
	wantDecision(t, db, "D", at.Add(minutes(4)), good, "FALSE", "RESOLVED")
	wantDecision(t, db, "D", at.Add(minutes(5)), good, "FALSE", "NONE")
	got := explainAlert(t, db, onlyAlert(t, db))
	if text(got.Evidence) != "EVALUATION" || text(got.Decision) != "FIRED" || text(got.Recorded) != "TRUE" || got.Agrees == nil || !*got.Agrees ||
		text(got.Condition) != "blocked_backends > threshold_value || deadlocks_per_h > 99" || got.Newer != 2 ||
		got.Looks != 2 || got.True != 1 || text(got.Last) != "NONE" {
		t.Errorf("got %+v (%s %s)", got, text(got.Evidence), text(got.Disagreement))
	}
	type marks struct{ Since, Held, Cleared, Changed time.Time }
	rows, err := db.Query(t.Context(), `
		SELECT result_since, held_until, cleared_at, definition_changed_at FROM monitoring.explain_alert(util.hash_binary($1))`, onlyAlert(t, db))
	if err != nil {
		t.Fatal(err)
	}
	m, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[marks])
	if err != nil {
		t.Fatal(err)
	}
	if !m.Since.Equal(at) || !m.Held.Equal(at.Add(minutes(3))) || !m.Cleared.Equal(at.Add(minutes(4))) || m.Changed.IsZero() {
		t.Errorf("marks %+v", m)
	}
}

func TestExplainAlert_SaysWhatDoesNotAgree(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ change, want string }{
		"inputs":    {`inputs = '{"blocked_backends": 2, "threshold_value": 3}'`, "evaluated again it is FALSE"},
		"value":     {`evaluated_value = 10`, "recorded was the value 10, evaluated again it is 9"},
		"threshold": {`inputs = inputs || '{"threshold_value": 8}'`, "the definition's version says 3"},
		"result":    {`result = 'NO_DATA'`, "recorded was NO_DATA, evaluated again it is TRUE"},
		"version":   {`definition_load_date = definition_load_date - interval '1 day'`, "has no version of"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := connect(t, pgtest.DB(t))
			define(t, db, "D", nil)
			wantDecision(t, db, "D", noon(), bad, "TRUE", "FIRED")
			exec(t, db, "SET session_replication_role = replica") // past the triggers, as somebody who tampers
			exec(t, db, "UPDATE monitoring.alert_evaluation_s SET "+c.change)
			got := explainAlert(t, db, onlyAlert(t, db))
			if got.Agrees == nil || *got.Agrees || !strings.Contains(text(got.Disagreement), c.want) {
				t.Errorf("it says %q, want %q", text(got.Disagreement), c.want)
			}
		})
	}
}

func TestExplainAlert_WithoutTheEvaluation(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	define(t, db, "D", nil)
	wantDecision(t, db, "D", noon(), bad, "TRUE", "FIRED")
	kept := onlyAlert(t, db)
	exec(t, db, "SET session_replication_role = replica")
	exec(t, db, "DELETE FROM monitoring.alert_evaluation_s") // as retention drops it, with its partition
	exec(t, db, "SET session_replication_role = origin")
	got := explainAlert(t, db, kept)
	if text(got.Evidence) != "TRIGGER_DETAILS" || got.Agrees == nil || !*got.Agrees || text(got.Result) != "TRUE" || !strings.Contains(text(got.Note), "no longer kept") {
		t.Errorf("from the copy in the alert: %+v", got)
	}
	got = explainAlert(t, db, openAlert(t, db, "BY_HAND", noon()))
	if text(got.Evidence) != "NONE" || got.Agrees != nil || !strings.Contains(text(got.Note), "no evaluation opened it") {
		t.Errorf("of one that nobody evaluated: %+v", got)
	}
	key := "ALERT||LOCAL||VAULT_UNREACHABLE||X"
	exec(t, db, `
		SELECT monitoring.record_alert_changes(jsonb_build_array(jsonb_build_object('change', 'OPEN', 'alert_key', $1::text,
		           'definition_key', 'VAULT_UNREACHABLE', 'target', 'local', 'at', now(), 'severity', 'CRITICAL', 'value', 1, 'via', 'worker',
		           'details', '{"condition": "vault_unreachable == 1", "reason": "no route to host"}'::jsonb)))`, key)
	got = explainAlert(t, db, key)
	if text(got.Evidence) != "WORKER" || got.Agrees != nil || !strings.Contains(text(got.Note), "the worker decided by itself") {
		t.Errorf("of the worker's own: %+v", got)
	}
	refused(t, db, "P0002", []string{"no alert with hash key", "find_alert"}, `SELECT monitoring.explain_alert('\x00')`)
}

// verdicts of explain_definition, one per target.
func verdicts(t *testing.T, db database, key string, target any) string {
	t.Helper()
	return strings.Join(values[string](t, db, `
		SELECT concat_ws(' ', target_name, verdict) FROM monitoring.explain_definition($1, $2)`, key, target), ", ")
}

func TestExplainDefinition_TellsNoAlertFromNobodyLooked(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	now := time.Now().UTC().Truncate(time.Microsecond)
	quiet := func(key string) {
		define(t, db, key, nil)
		wantDecision(t, db, key, now.Add(-minutes(2)), good, "FALSE", "NONE")
	}
	quiet("QUIET")
	define(t, db, "STALE", nil)
	wantDecision(t, db, "STALE", now.Add(-minutes(17)), good, "FALSE", "NONE")
	define(t, db, "NEVER", nil)
	define(t, db, "FIRING", nil)
	wantDecision(t, db, "FIRING", now.Add(-minutes(2)), bad, "TRUE", "FIRED")
	define(t, db, "PENDING", columns{"pending_minutes": 10})
	wantDecision(t, db, "PENDING", now.Add(-minutes(2)), bad, "TRUE", "PENDING")
	define(t, db, "BLIND", nil)
	wantDecision(t, db, "BLIND", now.Add(-minutes(2)), "{}", "NO_DATA", "NONE")
	define(t, db, "BROKEN", columns{"condition_logic": "1 / blocked_backends > 0"})
	wantDecision(t, db, "BROKEN", now.Add(-minutes(2)), good, "ERROR", "NONE")
	define(t, db, "MUTED", columns{"suppression_window_minutes": 60})
	wantDecision(t, db, "MUTED", now.Add(-minutes(9)), bad, "TRUE", "FIRED")
	wantDecision(t, db, "MUTED", now.Add(-minutes(8)), good, "FALSE", "RESOLVED")
	wantDecision(t, db, "MUTED", now.Add(-minutes(2)), bad, "TRUE", "SUPPRESSED")
	quiet("OFF")
	define(t, db, "OFF", columns{"is_enabled": false})
	for key, want := range map[string]string{
		"QUIET": "local NOT_MET", "STALE": "local NOBODY_LOOKED", "NEVER": "NOBODY_LOOKED", "FIRING": "local FIRING", "PENDING": "local PENDING",
		"BLIND": "local NO_DATA", "BROKEN": "local ERROR", "MUTED": "local SUPPRESSED", "OFF": "local DISABLED", "VAULT_UNREACHABLE": "WORKER",
	} {
		if got := verdicts(t, db, key, nil); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	if got := verdicts(t, db, "QUIET", "elsewhere"); got != "elsewhere NOBODY_LOOKED" {
		t.Errorf("where it was never looked at: %s", got)
	}
	fires := value[time.Time](t, db, "SELECT fires_at FROM monitoring.explain_definition('PENDING')")
	muted := value[time.Time](t, db, "SELECT suppressed_until FROM monitoring.explain_definition('MUTED')")
	due := value[time.Time](t, db, "SELECT next_due FROM monitoring.explain_definition('QUIET')")
	if !fires.Equal(now.Add(minutes(8))) || !muted.Equal(now.Add(minutes(51))) || !due.Equal(now.Add(minutes(3))) {
		t.Errorf("pending until %s, suppressed until %s, next due %s; now %s", fires, muted, due, now)
	}
	refused(t, db, "P0002", []string{`no alert definition "NOTHING"`, "onevault definition list"}, "SELECT monitoring.explain_definition('NOTHING')")
}
