package migrations_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onevault/pgserver/pgtest"
)

// The statements below testdata/guide are those of the Phase 2 deployment guide, unchanged: its SQL is a
// public interface.

// refusedByTheGuide are the statements that cannot do what they say, by the words they begin with.
var refusedByTheGuide = map[string]string{
	// The view calls these columns relname and indexrelname, in every version of PostgreSQL.
	"SELECT schemaname, tablename, indexname, idx_scan": "42703",
}

// guideBlocks lists the guide's blocks of SQL in its order.
func guideBlocks(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "guide", "*.sql"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no statements of the guide: %v", err)
	}
	slices.Sort(paths)
	return paths
}

// statementsOf splits a file at the semicolons that end a line, except those within a function's body.
func statementsOf(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var statements []string
	open := ""
	for part := range strings.SplitSeq(string(text), ";\n") {
		if open += part; strings.Count(open, "$$")%2 == 1 {
			open += ";\n"
			continue
		}
		if strings.TrimSpace(open) != "" {
			statements = append(statements, open)
		}
		open = ""
	}
	return statements
}

// withoutComments is what a statement begins with.
func withoutComments(statement string) string {
	for strings.HasPrefix(strings.TrimSpace(statement), "--") {
		_, statement, _ = strings.Cut(strings.TrimSpace(statement), "\n")
	}
	return strings.TrimSpace(statement)
}

// run runs one statement and returns its rows.
func run(t *testing.T, db database, statement string) ([]map[string]any, error) {
	t.Helper()
	rows, err := db.Query(t.Context(), statement)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToMap)
}

// guide runs the statements of one block of the guide, each in a transaction of its own, and returns
// their rows. The block is named by its file, without the number.
func guide(t *testing.T, db database, block string) [][]map[string]any {
	t.Helper()
	at := slices.IndexFunc(guideBlocks(t), func(path string) bool { return strings.HasSuffix(path, "_"+block+".sql") })
	if at < 0 {
		t.Fatalf("the guide has no block %s", block)
	}
	var results [][]map[string]any
	for _, statement := range statementsOf(t, guideBlocks(t)[at]) {
		result, err := run(t, db, statement)
		if err != nil {
			t.Fatalf("%s: %v: %s", block, err, statement)
		}
		results = append(results, result)
	}
	return results
}

func TestGuide_EveryStatementRunsUnchangedTwice(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	for round := range 2 {
		ran := 0
		for _, path := range guideBlocks(t) {
			for _, statement := range statementsOf(t, path) {
				ran++
				text := withoutComments(statement)
				_, err := run(t, db, statement)
				want := ""
				for words, code := range refusedByTheGuide {
					if strings.HasPrefix(text, words) {
						want = code
					}
				}
				var refusal *pgconn.PgError
				if got := ""; errors.As(err, &refusal) || err == nil {
					if refusal != nil {
						got = refusal.Code
					}
					if got != want {
						t.Errorf("round %d, %s: %q, want %q: %v\n%s", round+1, path, got, want, err, statement)
					}
				} else {
					t.Fatal(err)
				}
			}
		}
		if ran != 40 {
			t.Errorf("%d statements ran, the guide has 40", ran)
		}
	}
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.notification_config_s"); n != 2 {
		t.Errorf("%d versions of the guide's two channels", n)
	}
}

func TestGuide_EveryStatementWorksAndMeansWhatItSays(t *testing.T) {
	t.Parallel()
	conn := listen(t, pgtest.DB(t))

	definitions := guide(t, conn, "configure_default_alert_definitions")
	names := map[any]bool{}
	for _, row := range definitions[0] {
		names[row["alert_name"]] = row["is_enabled"].(bool)
	}
	for _, want := range []string{"High Connection Count", "Database Size Warning", "Backup Failure Alert"} {
		if !names[want] {
			t.Errorf("no enabled definition %q", want)
		}
	}
	if len(definitions[1]) < 15 {
		t.Errorf("%d definitions were evaluated", len(definitions[1]))
	}

	guide(t, conn, "email_notification")
	guide(t, conn, "slack_notification")
	hearers := values[string](t, conn, `
		SELECT m.channel_key FROM monitoring.matching_channels(util.hash_binary('SYSTEM_HIGH_CONNECTION_COUNT'), 'HIGH', 'PERFORMANCE', NULL) AS m`)
	if fmt.Sprint(hearers) != "[EMAIL_NOTIFICATIONS_PRIMARY SLACK_NOTIFICATIONS_OPS]" {
		t.Errorf("a HIGH alert is heard by %v", hearers)
	}
	if said := conn.heard(); strings.Count(said, "recipient_groups names") != 2 || strings.Count(said, "WARNING") != 2 {
		t.Errorf("the guide's channels name groups that there are not yet; it said %q", said)
	}

	health := guide(t, conn, "test_system_health_monitoring")
	if len(health[0]) < 30 || len(health[1]) < len(health[0]) || len(health[2]) != len(health[0])+2 {
		t.Errorf("%d metrics collected, %d stored, %d on the dashboard", len(health[0]), len(health[1]), len(health[2]))
	}

	performance := guide(t, conn, "test_performance_monitoring")
	// Those that rank first by their mean, their I/O or their calls are stored beside them.
	if len(performance[0]) != 10 || len(performance[1]) < 10 || len(performance[1]) > 40 || performance[0][0]["performance_rating"] == nil {
		t.Errorf("%d statements collected, %d stored", len(performance[0]), len(performance[1]))
	}
	for i, collected := range performance[0] {
		if stored := performance[1][i]; stored["query_hash"] != collected["query_hash"] || fmt.Sprint(stored["total_time_ms"]) != fmt.Sprint(collected["total_time_ms"]) {
			t.Errorf("place %d by total time: %v collected, %v stored", i+1, collected, stored)
		}
	}
	guide(t, conn, "test_security_event_detection")
	if looks := value[int](t, conn, "SELECT count(*) FROM monitoring.security_detection WHERE findings IS NOT NULL AND failed = '{}'"); looks != 1 {
		t.Errorf("%d looks for security events", looks)
	}

	// What the server of the tests really does at this moment is left out of the story from here on.
	exec(t, conn, `
		UPDATE monitoring.alert_definition_s SET load_end_date = clock_timestamp()
		 WHERE load_end_date IS NULL AND alert_definition_hk <> util.hash_binary('BACKUP_FAILURE_ALERT')`)

	// No alert is open: the acknowledgement of none answers false, with a notice.
	if answer := guide(t, conn, "test_alert_evaluation")[2][0]["acknowledge_alert"]; answer != false || !strings.Contains(conn.heard(), "no alert was given") {
		t.Errorf("acknowledging no alert gave %v", answer)
	}
	exec(t, conn, "INSERT INTO backup_mgmt.backup_execution_h VALUES (util.hash_binary('B1'), 'B1', NULL, now(), 'TEST')")
	exec(t, conn, `
		INSERT INTO backup_mgmt.backup_execution_s (backup_hk, hash_diff, backup_type, backup_start_time, backup_status, record_source)
		VALUES (util.hash_binary('B1'), '\x', 'FULL', now(), 'FAILED', 'TEST')`)
	alerts := guide(t, conn, "test_alert_evaluation")
	if len(alerts[1]) != 1 || alerts[1][0]["alert_name"] != "Backup Failure Alert" || alerts[1][0]["alert_status"] != "OPEN" {
		t.Errorf("the dashboard shows %v", alerts[1])
	}
	if answer := alerts[2][0]["acknowledge_alert"]; answer != true {
		t.Errorf("acknowledging the open alert gave %v", answer)
	}
	if row := guide(t, conn, "test_alert_evaluation")[1][0]; row["alert_status"] != "ACKNOWLEDGED" || row["acknowledged_by"] != "test_user" {
		t.Errorf("after the acknowledgement the dashboard shows %v", row)
	}

	exec(t, conn, `
		SELECT monitoring.record_notification(jsonb_build_object('alert_key', alert_instance_bk, 'channel_key', 'SLACK_NOTIFICATIONS_OPS',
		           'channel_type', 'SLACK', 'recipient', '#ops-alerts', 'event', 'FIRED', 'delivery_key', 'k', 'status', 'DELIVERED',
		           'attempt', 0, 'at', now(), 'class', 'ACCEPTED', 'duration_ms', 12))
		  FROM monitoring.active_alerts_dashboard`)
	metrics := guide(t, conn, "monitoring_queries")
	if row := metrics[0][0]; row["recent_collections"].(int64) < 30 || row["normal_metrics"].(int64) < 10 {
		t.Errorf("the health of monitoring is %v", row)
	}
	if len(metrics[1]) != 1 || metrics[1][0]["alert_category"] != "BACKUP" || metrics[1][0]["total_alerts"] != int64(1) {
		t.Errorf("alerts per category: %v", metrics[1])
	}
	if len(metrics[2]) != 1 || metrics[2][0]["channel_used"] != "SLACK" || metrics[2][0]["successful_deliveries"] != int64(1) {
		t.Errorf("deliveries per channel: %v", metrics[2])
	}

	firing := guide(t, conn, "alerts_not_firing")
	if len(firing[0]) != 1 || len(firing[1]) != 1 || len(firing[2]) != 1 || firing[2][0]["last_alert_time"] == nil {
		t.Errorf("why the alert fires is explained by %v", firing)
	}
	delivery := guide(t, conn, "notification_delivery_issues")
	if len(delivery[0]) != 2 || len(delivery[1]) != 1 {
		t.Errorf("%d channels, %d kinds of delivery", len(delivery[0]), len(delivery[1]))
	}
}

func TestGuide_LoadTestLosesNoMeasurement(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	const sessions = 100
	var (
		wg       sync.WaitGroup
		returned [sessions]int
	)
	for i := range sessions {
		wg.Go(func() {
			conn, err := pgx.Connect(t.Context(), address)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close(t.Context())
			if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM monitoring.collect_system_health_metrics()").Scan(&returned[i]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range returned {
		sum += n
	}
	conn := connect(t, address)
	stored := value[int](t, conn, `
		SELECT COUNT(*) as metric_collections_last_minute
		FROM monitoring.system_health_metric_s
		WHERE measurement_timestamp >= CURRENT_TIMESTAMP - INTERVAL '1 minute'
		AND load_end_date IS NULL`)
	if stored != sum || sum < sessions*30 {
		t.Errorf("%d rows stored of %d measured by %d sessions", stored, sum, sessions)
	}
	if uneven := values[string](t, conn, `
		SELECT metric_name || ' ' || count(*) FROM monitoring.system_health_metric_s GROUP BY metric_name HAVING count(*) <> $1`, sessions); len(uneven) > 0 {
		t.Errorf("metrics that not every session stored: %v", uneven)
	}
	if hubs, names := value[int](t, conn, "SELECT count(*) FROM monitoring.system_health_metric_h"),
		value[int](t, conn, "SELECT count(DISTINCT metric_name) FROM monitoring.system_health_metric_s"); hubs != names {
		t.Errorf("%d hubs for %d metrics", hubs, names)
	}
}
