package main

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
)

// sql runs a statement as somebody in psql would.
func (l life) sql(statement string, args ...any) {
	l.t.Helper()
	conn, err := pgx.Connect(l.t.Context(), l.url)
	if err != nil {
		l.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(l.t.Context(), statement, args...); err != nil {
		l.t.Fatal(err)
	}
}

// look evaluates a definition as if it were that moment, with these inputs.
func (l life) look(definition string, at time.Time, inputs string) {
	l.t.Helper()
	l.sql("SELECT monitoring.ensure_partitions('2026-04-27', '2026-05-11')")
	l.sql(`
		SELECT e.decision FROM monitoring.alert_definition_s AS d,
		       LATERAL monitoring.evaluate_definition(d, $1, 'local', NULL, $2, $3::jsonb, NULL) AS e
		 WHERE d.alert_definition_hk = util.hash_binary($1) AND d.load_end_date IS NULL`, definition, at, inputs)
}

// amend writes a new version of a definition, with some of it changed.
func (l life) amend(definition, change string) {
	l.t.Helper()
	l.sql(`
		INSERT INTO monitoring.alert_definition_s
		SELECT (jsonb_populate_record(d, to_jsonb(d) || $2::jsonb || jsonb_build_object('load_date', clock_timestamp(), 'load_end_date', NULL, 'record_source', 'TEST'))).*
		  FROM monitoring.alert_definition_s d WHERE d.alert_definition_hk = util.hash_binary($1) AND d.load_end_date IS NULL`, definition, change)
}

func (l life) only() string {
	l.t.Helper()
	ids := strings.Fields(l.cli("alert", "list", "--all", "-o", "name").out)
	if len(ids) != 1 {
		l.t.Fatalf("alerts: %v", ids)
	}
	return ids[0]
}

// dated hides what depends on when the database was made and on its alerts' keys.
func dated(text string) string {
	text = regexp.MustCompile(`version of [0-9-]+ [0-9:]+ UTC`).ReplaceAllString(text, "version of ...")
	text = regexp.MustCompile(`A-[0-9A-Z]{4}`).ReplaceAllString(text, "A-....")
	return regexp.MustCompile(`changed (at )?[0-9][^,\n]*`).ReplaceAllString(text, "changed ...")
}

func TestAlertExplain_SaysWhichComparisonDecided(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.amend(lag, `{"pending_minutes": 5, "suppression_window_minutes": 60}`)
	reading := func(minute int, bytes, seconds string) {
		l.look(lag, now.Add(time.Duration(minute-15)*time.Minute), `{"replication_lag_bytes": `+bytes+`, "replication_lag_s": `+seconds+`}`)
	}
	reading(0, "0", "1")
	reading(1, "1000", "45.25")
	reading(6, "1000", "88.5")
	reading(7, "1000", "99")
	reading(8, "1000", "12")
	id := l.only()
	golden(t, "alert-explain", dated(l.cli("alert", "explain", id).out))

	var shown struct {
		Alert       struct{ ID string }
		Explanation struct {
			Evidence    string
			Agrees      *bool
			Comparisons []struct {
				Left    string
				Decided bool
			}
		}
	}
	if err := json.Unmarshal([]byte(l.cli("alert", "explain", id, "-o", "json").out), &shown); err != nil {
		t.Fatal(err)
	}
	if c := shown.Explanation.Comparisons; shown.Alert.ID != id || shown.Explanation.Evidence != "EVALUATION" || !*shown.Explanation.Agrees ||
		len(c) != 2 || c[0].Decided || !c[1].Decided || c[1].Left != "88.5" {
		t.Errorf("as JSON: %+v", shown)
	}
}

func TestAlertExplain_ThatDoesNotAgreeFails(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.look(wraparound, now.Add(-time.Minute), `{"xid_age_pct": 81, "mxid_age_pct": 2}`)
	id := l.only()
	l.cli("alert", "explain", id).wants(t, exitDone, "xid_age_pct > threshold_value: 81 > 75", "evaluated again it is TRUE, as recorded")
	l.sql(`DO $$ BEGIN
	           SET LOCAL session_replication_role = replica;
	           UPDATE monitoring.alert_evaluation_s SET inputs = '{"xid_age_pct": 18, "mxid_age_pct": 2, "threshold_value": 75}';
	       END $$`)
	got := invocation{url: l.url, color: true}.run(t, "alert", "explain", id)
	got.wants(t, exitError, "\x1b[1;31mdoes not agree: ", "recorded was TRUE, evaluated again it is FALSE")
	l.cli("alert", "explain", id, "-o", "json").wants(t, exitError, `"agrees": false`)
}

func TestAlertExplain_OfWhatNobodyEvaluated(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.fire("local", connections, alert.SeverityHigh, 93, now.Add(-time.Minute)) // by a workflow: there is no evaluation
	l.cli("alert", "explain", l.only()).wants(t, exitDone, "connection_usage_pct > threshold_value: 93 > 75", "the evaluation itself is no longer kept")
	l.cli("alert", "explain", "A-0000").wants(t, exitNotFound, `no alert "A-0000"`)
	l.cli("alert", "explain").wants(t, exitUsage, "explain --definition KEY")
	l.cli("alert", "explain", "A-0000", "--definition", lag).wants(t, exitUsage, "explain --definition KEY")
	l.cli("alert", "explain", "A-0000", "--target", "x").wants(t, exitUsage, "--target goes with --definition")
}

func TestExplainDefinition_TellsNoAlertFromNobodyLooked(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	explain := func(args ...string) string {
		t.Helper()
		got := l.cli(append([]string{"alert", "explain", "--definition"}, args...)...)
		got.wants(t, exitDone)
		return got.out
	}
	if got := explain(lag); !strings.Contains(got, lag+": nobody has looked yet; that there is no alert means nothing") {
		t.Errorf("never evaluated:\n%s", got)
	}
	l.look(lag, now.Add(-time.Minute), `{"replication_lag_bytes": 9, "replication_lag_s": 1.5}`)
	// The vault's clock is months after these tests' moment.
	if got := explain(lag); !strings.Contains(got, lag+" on local: nobody looked since 2026-05-04 03:17:00 UTC (60s ago, ") {
		t.Errorf("evaluated long ago:\n%s", got)
	}
	l.look(wraparound, time.Now().Add(-time.Minute), `{"xid_age_pct": 3, "mxid_age_pct": 2}`)
	if got := explain(wraparound); !strings.Contains(got, wraparound+" on local: it does not fire, because xid_age_pct > threshold_value is false: 3 > 75 and mxid_age_pct > threshold_value is false: 2 > 75\n") {
		t.Errorf("a moment ago:\n%s", got)
	}
	l.look(connections, time.Now().Add(-time.Minute), `{}`)
	if got := explain(connections); !strings.Contains(got, "unknown: no value of connection_usage_pct at the last look") {
		t.Errorf("without data:\n%s", got)
	}
	if got := explain("VAULT_UNREACHABLE"); !strings.Contains(got, "the worker decides it by itself") {
		t.Errorf("the worker's own:\n%s", got)
	}
	if got := explain(wraparound, "--target", "elsewhere", "-o", "json"); !strings.Contains(got, `"state": "NOBODY_LOOKED"`) || !strings.Contains(got, `"comparisons": []`) {
		t.Errorf("elsewhere:\n%s", got)
	}
	l.cli("alert", "explain", "--definition", "NOTHING").wants(t, exitNotFound, `no alert definition "NOTHING"`, "onevault definition list")
}
