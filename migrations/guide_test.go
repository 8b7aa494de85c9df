package migrations_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"onevault/pgserver/pgtest"
)

// The statements below testdata/guide are those of the Phase 2 deployment guide, unchanged: its SQL is a
// public interface.

// guide runs the statements of one block of the guide, each in a transaction of its own, and returns
// their rows.
func guide(t *testing.T, db database, block string) [][]map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "guide", block+".sql"))
	if err != nil {
		t.Fatal(err)
	}
	var results [][]map[string]any
	for statement := range strings.SplitSeq(string(text), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		rows, err := db.Query(t.Context(), statement)
		if err != nil {
			t.Fatalf("%s: %v: %s", block, err, statement)
		}
		result, err := pgx.CollectRows(rows, pgx.RowToMap)
		if err != nil {
			t.Fatalf("%s: %v: %s", block, err, statement)
		}
		results = append(results, result)
	}
	return results
}

func TestGuide_EveryStatementWorksAndMeansWhatItSays(t *testing.T) {
	t.Parallel()
	conn := listen(t, pgtest.DB(t))

	definitions := guide(t, conn, "2.2_default_definitions")
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

	guide(t, conn, "3.1_email_channel")
	guide(t, conn, "3.2_slack_channel")
	hearers := values[string](t, conn, `
		SELECT m.channel_key FROM monitoring.matching_channels(util.hash_binary('SYSTEM_HIGH_CONNECTION_COUNT'), 'HIGH', 'PERFORMANCE', NULL) AS m`)
	if fmt.Sprint(hearers) != "[EMAIL_NOTIFICATIONS_PRIMARY SLACK_NOTIFICATIONS_OPS]" {
		t.Errorf("a HIGH alert is heard by %v", hearers)
	}
	if said := conn.heard(); said != "" {
		t.Errorf("the guide's channels raise %q", said)
	}

	health := guide(t, conn, "testing_1_health")
	if len(health[0]) < 30 || len(health[1]) < len(health[0]) || len(health[2]) != len(health[0]) {
		t.Errorf("%d metrics collected, %d stored, %d on the dashboard", len(health[0]), len(health[1]), len(health[2]))
	}

	// What the server of the tests really does at this moment is left out of the story from here on.
	exec(t, conn, `
		UPDATE monitoring.alert_definition_s SET load_end_date = clock_timestamp()
		 WHERE load_end_date IS NULL AND alert_definition_hk <> util.hash_binary('BACKUP_FAILURE_ALERT')`)

	// No alert is open: the acknowledgement of none answers false, with a notice.
	if answer := guide(t, conn, "testing_2_alerts")[2][0]["acknowledge_alert"]; answer != false || !strings.Contains(conn.heard(), "no alert was given") {
		t.Errorf("acknowledging no alert gave %v", answer)
	}
	exec(t, conn, "INSERT INTO backup_mgmt.backup_execution_h VALUES (util.hash_binary('B1'), 'B1', NULL, now(), 'TEST')")
	exec(t, conn, `
		INSERT INTO backup_mgmt.backup_execution_s (backup_hk, hash_diff, backup_type, backup_start_time, backup_status, record_source)
		VALUES (util.hash_binary('B1'), '\x', 'FULL', now(), 'FAILED', 'TEST')`)
	alerts := guide(t, conn, "testing_2_alerts")
	if len(alerts[1]) != 1 || alerts[1][0]["alert_name"] != "Backup Failure Alert" || alerts[1][0]["alert_status"] != "OPEN" {
		t.Errorf("the dashboard shows %v", alerts[1])
	}
	if answer := alerts[2][0]["acknowledge_alert"]; answer != true {
		t.Errorf("acknowledging the open alert gave %v", answer)
	}
	if row := guide(t, conn, "testing_2_alerts")[1][0]; row["alert_status"] != "ACKNOWLEDGED" || row["acknowledged_by"] != "test_user" {
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

	firing := guide(t, conn, "troubleshooting_2_not_firing")
	if len(firing[0]) != 1 || len(firing[1]) != 1 || len(firing[2]) != 1 || firing[2][0]["last_alert_time"] == nil {
		t.Errorf("why the alert fires is explained by %v", firing)
	}
	delivery := guide(t, conn, "troubleshooting_3_delivery")
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
