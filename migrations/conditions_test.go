package migrations_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onevault/pgserver/pgtest"
)

func TestCondition_GivesOneOfFourResults(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	const inputs = `{"a": 5, "b": 2, "zero": 0, "half": 0.5, "big": 123456789012345678901234567890, "neg": -3, "word": "up", "void": null, "flag": true}`
	deep := strings.Repeat("(", 500) + "a > 1" + strings.Repeat(")", 500)
	long := "a > 1" + strings.Repeat(" || a > 1", 221) // 1994 characters
	for condition, want := range map[string]string{
		"a > 4": "TRUE", "a > 5": "FALSE", "a >= 5": "TRUE", "a < 5": "FALSE", "a <= 5": "TRUE", "a == 5": "TRUE", "a == 5.0": "TRUE", "a != 5": "FALSE",
		"  a\n>\t4 ": "TRUE", "a>4": "TRUE", "4 < a": "TRUE", "1 > 0": "TRUE",
		// Arithmetic, and which operator binds closer.
		"a + b * 2 == 9": "TRUE", "(a + b) * 2 == 14": "TRUE", "a - b - 1 == 2": "TRUE", "a / b == 2.5": "TRUE", "a % b == 1": "TRUE",
		"-a < 0": "TRUE", "neg < -2": "TRUE", "half * 2 == 1": "TRUE", "big + 1 > big": "TRUE", "a > b + 2 && b < a": "TRUE",
		"a > 9 && b > 9 || a == 5": "TRUE", "a == 5 || b > 9 && b < 0": "TRUE", "(a == 5 || b > 9) && b < 0": "FALSE",
		"!(a > 4)": "FALSE", "!(a > 9) && b == 2": "TRUE", "a > 4 == true": "ERROR",
		// Text compares as text, and with numbers not at all.
		`word == "up"`: "TRUE", `word == "down"`: "FALSE", `word != "down"`: "TRUE", `word == ""`: "FALSE",
		`word > 5`: "ERROR", `a == "5"`: "ERROR", `flag == true`: "TRUE", `word + 1 > 0`: "ERROR",
		// What cannot be computed is an error, never "fine".
		"a / zero > 1": "ERROR", "a % zero == 0": "ERROR", "a / (b - 2) > 1": "ERROR", "!(a / zero > 1)": "ERROR",
		"a > 1 || a / zero > 1": "TRUE", "a > 9 && a / zero > 1": "FALSE",
		// Missing and NULL inputs, wherever they stand.
		"nothing > 1": "NO_DATA", "void > 1": "NO_DATA", "a > 1 || nothing > 1": "NO_DATA", "!(nothing > 1)": "NO_DATA", "A > 4": "NO_DATA",
		"nothing == nothing": "NO_DATA", "threshold_value < a": "NO_DATA",
		deep: "TRUE", long: "TRUE", long + " || a": "ERROR",
		// Neither SQL nor any more of jsonpath can be said.
		"a = 5": "ERROR", "a": "ERROR", "": "ERROR", "a > 4; DROP SCHEMA monitoring": "ERROR", "a > (SELECT 1)": "ERROR", "pg_sleep(9) > 1": "ERROR",
		"a > 4 -- b": "FALSE", "a > 4 /* */": "ERROR", "$.a > 4": "ERROR", "a.b > 4": "ERROR", "a[0] > 4": "ERROR", "a ? (@ > 1)": "ERROR",
		"a.keyvalue() > 1": "ERROR", `word like_regex "u.*"`: "ERROR", "exists(a)": "ERROR", `a > 4 && "\"" == "x"`: "ERROR", "a > 'x'": "ERROR",
		"a > 1 and b > 1": "ERROR", "a > 0x10": "ERROR", "a > 1e3": "ERROR", "a > .5": "ERROR", "ä > 1": "ERROR", "a > 1 > 0": "ERROR", "((a > 1)": "ERROR",
		"last > 1": "NO_DATA", "strict > 1": "NO_DATA", "null == 1": "NO_DATA", `"a" == "a"`: "TRUE", `"it's" == "it's"`: "TRUE", `"$.a" == "$.a"`: "TRUE",
	} {
		if got := conditionResult(t, db, condition, inputs); got != want {
			t.Errorf("%s: %s, want %s", abbreviate(condition), got, want)
		}
	}
	for _, inputs := range []string{"null", `"text"`, "[1]", "7"} {
		if got := conditionResult(t, db, "a > 4", inputs); got != "NO_DATA" {
			t.Errorf("over %s: %s", inputs, got)
		}
	}
	if got := value[string](t, db, "SELECT result FROM monitoring.evaluate_condition('a > 4', NULL)"); got != "NO_DATA" {
		t.Errorf("over NULL: %s", got)
	}
	if got := value[string](t, db, "SELECT result FROM monitoring.evaluate_condition(NULL, '{}')"); got != "ERROR" {
		t.Errorf("no condition: %s", got)
	}
}

func conditionResult(t *testing.T, db database, condition, inputs string) string {
	t.Helper()
	return value[string](t, db, "SELECT result FROM monitoring.evaluate_condition($1, $2::jsonb)", condition, inputs)
}

func abbreviate(text string) string {
	if len(text) > 60 {
		return text[:60] + "..."
	}
	return text
}

func TestCondition_SaysWhatIsMissingAndWhatItSaw(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	type verdict struct {
		Value  *float64
		Reason *string
	}
	for _, c := range []struct {
		condition, inputs string
		value             any
		reason            string
	}{
		{"threshold_value < a && b > 1", `{"threshold_value": 1, "a": 5, "b": 7}`, 5.0, ""},
		{"c > 1 || a > 1 || c > 2", `{}`, nil, "no value of a, c"},
		{`word == "up" && a > 1`, `{"word": "up", "a": 3}`, 3.0, ""},
		{"a / z > 1", `{"a": 3, "z": 0}`, 3.0, "zero"},
		{"a > > 1", `{"a": 3}`, nil, "malformed"},
	} {
		rows, err := db.Query(t.Context(), "SELECT evaluated_value::float8, reason FROM monitoring.evaluate_condition($1, $2::jsonb)", c.condition, c.inputs)
		if err != nil {
			t.Fatal(err)
		}
		v, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[verdict])
		if err != nil {
			t.Fatal(err)
		}
		if (v.Value == nil) != (c.value == nil) || v.Value != nil && *v.Value != c.value {
			t.Errorf("%s: value %v, want %v", c.condition, v.Value, c.value)
		}
		if (v.Reason == nil) != (c.reason == "") || v.Reason != nil && !strings.Contains(*v.Reason, c.reason) {
			t.Errorf("%s: reason %v, want one that says %q", c.condition, v.Reason, c.reason)
		}
	}
}

func TestCompile_RefusesWithThePlaceAndARemedy(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for condition, words := range map[string][]string{
		"":                        {"the condition is empty", "connection_usage_pct > threshold_value"},
		" \t\n":                   {"the condition is empty"},
		"a > 1 && $b":             {`cannot be read at "$b"`, "Allowed are"},
		"a = 1":                   {`cannot be read at "= 1"`},
		`a == "open`:              {`cannot be read at ""open"`},
		"a > > 1":                 {"is malformed", "Equality is =="},
		"a > 1 and b > 1":         {"is malformed", "Write && for and, || for or, ! for not"},
		"NOT a > 1":               {"is malformed", "Write && for and"},
		"(a > 1":                  {"is malformed"},
		"size() > 0":              {"is malformed"}, // a method of jsonpath
		"a > 1 b":                 {"is malformed"},
		"a + 1":                   {"compares nothing"},
		"true":                    {"compares nothing"},
		`"<"`:                     {"compares nothing"},
		strings.Repeat("a", 2001): {"2001 characters", "2000"},
	} {
		refused(t, db, "22023", words, "SELECT monitoring.compile_condition($1)", condition)
	}
	refused(t, db, "22023", []string{"empty"}, "SELECT monitoring.compile_condition(NULL)")
	got := value[string](t, db, "SELECT array_to_string((monitoring.compile_condition('b > threshold_value && a / b > 1 && true == true')).identifiers, ' ')")
	if got != "b threshold_value a b" {
		t.Errorf("identifiers are %q", got)
	}
}

// Whatever somebody writes, a condition is refused with one code or compiles; and what compiles gives one
// of four results and no exception.
func TestCompile_AnyTextIsRefusedOrCompiles(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	pieces := []string{
		"a", "b", "threshold_value", "missing", "true", "false", "null", "1", "0", "2.5", `"text"`, `""`, `"`, "'", "\\", "$", "@", "?", ".", ",", ";", "[0]",
		"avg(a, 5m)", "max(b,1h,1d ago)", `firing("A")`, "avg(", "firing(", "5m", "ago", "+", "-", "*", "/", "%", "(", ")", "(", ")", ">", "<", ">=", "<=", "==", "!=", "=", "!", "&&", "||", "&", "|", " ", "\n", "--", "/*", "*/",
		"strict", "lax", "last", "exists", "is unknown", "like_regex", "starts with", "SELECT", "$health$", "{}", "é", "\U0001F9A5", "\x01", "%s", "%", "::int",
	}
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	operands, arithmetic := pieces[:4], []string{"+", "-", "*", "/", "%"}
	comparisons := []string{">", "<", ">=", "<=", "==", "!="}
	conditions := make([]string, 4000)
	for i := range conditions {
		var text strings.Builder
		if i%2 == 0 { // what somebody could mean; every second of these is spoilt below
			fmt.Fprintf(&text, "%s %s %s %s %s ", pick(operands), pick(arithmetic), pick(operands), pick(comparisons), pick(operands))
		}
		for range random.IntN(12) * (i % 4) {
			text.WriteString(pick(pieces))
			if random.IntN(2) == 0 {
				text.WriteByte(' ')
			}
		}
		conditions[i] = text.String()
	}
	exec(t, db, `
		CREATE FUNCTION pg_temp.outcome_of(p_condition text) RETURNS text LANGUAGE plpgsql AS $$
		BEGIN
		    PERFORM monitoring.compile_condition(p_condition);
		    RETURN (monitoring.evaluate_condition(p_condition, '{"a": 5, "b": 0, "threshold_value": 2.5}')).result;
		EXCEPTION WHEN OTHERS THEN
		    RETURN SQLSTATE;
		END $$`)
	outcomes := values[string](t, db, "SELECT pg_temp.outcome_of(c) FROM unnest($1::text[]) WITH ORDINALITY AS u (c, o) ORDER BY o", conditions)
	count := map[string]int{}
	for i, outcome := range outcomes {
		count[outcome]++
		switch outcome {
		case "22023", "TRUE", "FALSE", "NO_DATA", "ERROR":
		default:
			t.Errorf("seed %d: %q gave %s", seed, conditions[i], outcome)
		}
	}
	if count["22023"] < 1000 || len(conditions)-count["22023"] < 1000 {
		t.Errorf("the test does not tell anything apart: %v", count)
	}
}

// The same for what a machine comes up with: go test ./migrations -run '^$' -fuzz FuzzCompile -fuzztime 30s. White
// space around it changes nothing.
func FuzzCompile_AnyTextIsRefusedOrCompiles(f *testing.F) {
	for _, seed := range []string{
		"a > threshold_value", "(a + b) * 2 == 14 || !(a / b > 1)", `firing("A") == 1 && word != "up"`, "avg(a, 1h) > 2 * avg(a, 1h, 7d ago)",
		"forecast(a, 4h) >= 10 && rate(b,5m) % 2 == 0", "a > > 1", `a == "open`, "a > 4; DROP SCHEMA monitoring", "a ? (@ > 1)", "strict > 1", "- - a < -1",
	} {
		f.Add(seed)
	}
	db := pgtest.Pool(f)
	f.Fuzz(func(t *testing.T, condition string) {
		if !utf8.ValidString(condition) || strings.ContainsRune(condition, 0) {
			t.Skip("PostgreSQL takes no such text")
		}
		rows, err := db.Query(t.Context(), `
			SELECT e.result, e.reason
			  FROM monitoring.compile_condition($1) AS c,
			       monitoring.evaluate_condition($1, '{"a": 5, "b": 0, "word": "up", "threshold_value": 2.5}') AS e`, condition)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Result, Reason *string }])
		var refusal *pgconn.PgError
		switch {
		case errors.As(err, &refusal) && refusal.Code == "22023":
			if value[string](t, db, "SELECT result FROM monitoring.evaluate_condition($1, '{}')", condition) != "ERROR" {
				t.Errorf("%q is refused, and evaluates", condition)
			}
			return
		case err != nil:
			t.Fatalf("%q: %v", condition, err)
		case len(got) != 1 || got[0].Result == nil || !slices.Contains([]string{"TRUE", "FALSE", "NO_DATA", "ERROR"}, *got[0].Result):
			t.Fatalf("%q gives %v", condition, got)
		case (*got[0].Result == "NO_DATA" || *got[0].Result == "ERROR") != (got[0].Reason != nil):
			t.Fatalf("%q is %s, and says %v", condition, *got[0].Result, got[0].Reason)
		}
		if padded := conditionResult(t, db, "\t"+condition+" \n", `{"a": 5, "b": 0, "word": "up", "threshold_value": 2.5}`); padded != *got[0].Result && len(condition) < 1997 {
			t.Errorf("%q is %s, and with spaces around it %s", condition, *got[0].Result, padded)
		}
	})
}

func TestDefinition_ThatCouldNeverBeEvaluatedIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	exec(t, db, "INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk) VALUES (util.hash_binary('D'), 'D')")
	for _, c := range []struct {
		given columns
		words []string
	}{
		{columns{"condition_logic": "connection_use > threshold_value"}, []string{`unknown metric "connection_use"`, `Did you mean "connection_usage_pct"?`, "monitoring.condition_identifier"}},
		{columns{"condition_logic": "disk_use_pct > 1"}, []string{`Did you mean "disk_usage_pct"?`}},
		{columns{"condition_logic": "replication_lag > 1"}, []string{`Did you mean "replication_lag_`}},
		{columns{"condition_logic": "CONNECTION_USAGE_PCT > 1"}, []string{`Did you mean "connection_usage_pct"?`}},
		{columns{"condition_logic": "blocked_backends >> 1"}, []string{"condition", "malformed"}},
		{columns{"condition_logic": "1 = 1; DROP TABLE x"}, []string{"cannot be read at"}},
		{columns{"condition_logic": ""}, []string{"empty"}},
		{columns{"clear_condition_logic": "blocked > 1"}, []string{"clear_condition_logic", `unknown metric "blocked"`}},
		{columns{"clear_condition_logic": "blocked_backends <"}, []string{"malformed"}},
		{columns{"threshold_value": nil}, []string{"threshold_value is NULL", "Set threshold_value"}},
		{columns{"metric_source": "system_helth"}, []string{`metric_source "system_helth"`, "Use one of: anomaly, backup_failures, capacity, compliance, "}},
		{columns{"metric_source": nil}, []string{`metric_source "NULL"`}},
		{columns{"metric_source": "backup_failures"}, []string{`unknown metric "blocked_backends"`}},
		{columns{"alert_name": "  "}, []string{"alert_name is empty"}},
		{columns{"condition_logic": "blocked_backends / 0 > threshold_value"}, []string{"divides by zero", "divide by something else"}},
		{columns{"clear_condition_logic": "blocked_backends % 0.0 == 1"}, []string{"clear_condition_logic", "divides by zero"}},
		{columns{"threshold_operator": "<"}, []string{`threshold_operator of alert definition "Name of D" is <`, "compares by >", "write >"}},
		{columns{"condition_logic": "threshold_value < blocked_backends", "threshold_operator": "<"}, []string{"compares by >"}},
		{columns{"condition_logic": "blocked_backends == threshold_value", "threshold_operator": ">"}, []string{"is >", "compares by =", "write ="}},
	} {
		sql, args := definitionRow("D", c.given)
		refused(t, db, "22023", c.words, sql, args...)
	}
	for column, wrong := range map[string]any{
		"alert_severity": "URGENT", "threshold_operator": "=>", "no_data_state": "MAYBE", "evaluation_frequency_minutes": 0,
		"escalation_delay_minutes": 0, "pending_minutes": -1, "lookback_minutes": 0,
	} {
		sql, args := definitionRow("D", columns{column: wrong})
		refused(t, db, "23514", []string{"alert_definition_s_"}, sql, args...)
	}
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.alert_definition_s WHERE alert_definition_hk = util.hash_binary('D')"); n != 0 {
		t.Errorf("%d refused definitions are there", n)
	}
}

func TestDefinition_WhoseMessagesCompareAsItsConditionDoesIsTaken(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for _, given := range []columns{
		{"condition_logic": "threshold_value < blocked_backends", "threshold_operator": ">"},
		{"condition_logic": "blocked_backends >= threshold_value || deadlocks_per_h > threshold_value", "threshold_operator": ">"},
		{"condition_logic": "!(blocked_backends <= threshold_value)", "threshold_operator": ">"},
		{"condition_logic": "blocked_backends > 2 * threshold_value", "threshold_operator": ">="}, // what is not read is not judged
		{"condition_logic": "blocked_backends / 0.5 > threshold_value && blocked_backends % 10 > 0", "threshold_operator": ">"},
		{"condition_logic": "blocked_backends > threshold_value", "threshold_operator": nil},
		{"condition_logic": "blocked_backends > threshold_value", "threshold_operator": "<", "is_enabled": false},
	} {
		define(t, db, "D", given)
	}
}

func TestDefinition_ThatNobodyWouldHearIsWarnedOf(t *testing.T) {
	t.Parallel()
	db := listen(t, pgtest.DB(t))
	warning := `WARNING: alert definition "Name of D" (severity LOW, category PERFORMANCE) is heard by nobody`
	define(t, db, "D", columns{"alert_severity": "LOW"})
	if said := db.heard(); !strings.Contains(said, warning) {
		t.Errorf("said %q", said)
	}
	define(t, db, "D", columns{"alert_severity": "LOW", "is_enabled": false})
	if said := db.heard(); said != "" {
		t.Errorf("of a disabled definition it said %q", said)
	}
	putChannel(t, db, "C", columns{"severity_filter": []string{"LOW"}})
	define(t, db, "D", columns{"alert_severity": "LOW", "runbook_url": "https://example.com"})
	if said := db.heard(); said != "" {
		t.Errorf("with a channel it said %q", said)
	}
	define(t, db, "D", columns{"alert_severity": "LOW", "notification_channels": []string{"EMAIL"}})
	if said := db.heard(); !strings.Contains(said, warning) {
		t.Errorf("restricted to another channel it said %q", said)
	}
}

func TestMetricNames_OfDefaultDefinitionsAreKnown(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for _, condition := range values[string](t, db, `
		SELECT format('%s: %s', d.alert_name, i) FROM monitoring.alert_definition_s d,
		       LATERAL unnest((monitoring.compile_condition(d.condition_logic)).identifiers) AS i
		 WHERE i <> 'threshold_value'
		   AND NOT EXISTS (SELECT FROM monitoring.condition_identifier c WHERE c.metric_source = d.metric_source AND c.identifier = i)`) {
		t.Error(fmt.Sprint(condition, " is unknown"))
	}
}
