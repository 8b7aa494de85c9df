package migrations_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onevault/pgserver/pgtest"
)

// history is large enough that a plan which reads all of it is the worse one, and small enough for a test:
// 5 weeks of 60 metrics every 2 hours, 6,000 alerts of two versions and 12,000 notifications, few of them
// recent, and 2,000 incidents, few of them open.
const history = `
SET session_replication_role = replica;
SELECT monitoring.ensure_partitions((now() - interval '36 days')::date, (now() + interval '14 days')::date);

INSERT INTO monitoring.system_health_metric_h (health_metric_hk, health_metric_bk)
SELECT util.hash_binary('m' || i), 'm' || i FROM generate_series(1, 60) AS i;
INSERT INTO monitoring.system_health_metric_s (health_metric_hk, load_date, hash_diff, metric_name, metric_category, metric_value, measurement_timestamp, additional_context)
SELECT util.hash_binary('m' || i), t, '\x', 'm' || i, 'PERFORMANCE', i, t, jsonb_build_object('as wide as in life', repeat('x', 80))
  FROM generate_series(now() - interval '35 days', now(), interval '2 hours') AS t, generate_series(1, 60) AS i;

CREATE TEMPORARY TABLE given AS
SELECT util.hash_binary('a' || n) AS hk, 'a' || n AS bk, d.alert_definition_hk, now() - interval '35 days' * (6000 - n) / 6000 AS at, n
  FROM generate_series(1, 6000) AS n
  JOIN (SELECT row_number() OVER (ORDER BY alert_definition_hk) - 1 AS i, count(*) OVER () AS all_of_them, alert_definition_hk
          FROM monitoring.alert_definition_s WHERE load_end_date IS NULL) AS d ON d.i = n % d.all_of_them;
INSERT INTO monitoring.alert_instance_h (alert_instance_hk, alert_instance_bk, alert_definition_hk) SELECT hk, bk, alert_definition_hk FROM given;
INSERT INTO monitoring.alert_instance_s (alert_instance_hk, load_date, load_end_date, hash_diff, alert_status, triggered_timestamp, trigger_details)
SELECT hk, at, CASE WHEN n <= 5980 THEN at + interval '1 minute' END, '\x'::bytea, 'OPEN', at, jsonb_build_object('as wide as in life', repeat('x', 80)) FROM given
UNION ALL
SELECT hk, at + interval '1 minute', NULL, '\x', 'RESOLVED', at, jsonb_build_object('as wide as in life', repeat('x', 80)) FROM given WHERE n <= 5980;

INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk) VALUES (util.hash_binary('c'), 'c');
INSERT INTO monitoring.notification_log_h (notification_log_hk, notification_log_bk, alert_instance_hk, notification_config_hk)
SELECT util.hash_binary('l' || bk), 'l' || bk, hk, util.hash_binary('c') FROM given;
INSERT INTO monitoring.notification_log_s (notification_log_hk, load_date, load_end_date, hash_diff, sent_timestamp, delivery_status, channel_used, message_content)
SELECT util.hash_binary('l' || bk), at + interval '1 second' * i, CASE WHEN i = 0 THEN at + interval '1 second' END, '\x', at,
       (ARRAY['PENDING', 'DELIVERED'])[1 + i], 'EMAIL', repeat('x', 300)
  FROM given, generate_series(0, 1) AS i;

INSERT INTO monitoring.incident_h (incident_hk, incident_bk) SELECT util.hash_binary('i' || n), 'i' || n FROM generate_series(1, 2000) AS n;
INSERT INTO monitoring.incident_s (incident_hk, load_date, hash_diff, incident_title, incident_status, incident_severity, incident_priority, created_timestamp)
SELECT util.hash_binary('i' || n), now() - interval '20 minutes' * n, '\x', repeat('x', 80), CASE WHEN n <= 8 THEN 'OPEN' ELSE 'CLOSED' END, 'HIGH', 'P2',
       now() - interval '20 minutes' * n
  FROM generate_series(1, 2000) AS n;
INSERT INTO monitoring.alert_incident_l (link_alert_incident_hk, alert_instance_hk, incident_hk)
SELECT util.hash_binary(encode(hk, 'hex') || '||' || encode(util.hash_binary('i' || n % 2000), 'hex')), hk, util.hash_binary('i' || n % 2000) FROM given WHERE n % 2000 > 0;
INSERT INTO monitoring.alert_incident_eff_s (link_alert_incident_hk, load_date, hash_diff, effective_from)
SELECT link_alert_incident_hk, now(), '\x', now() FROM monitoring.alert_incident_l;
`

// withHistory returns a vault that is in use for five weeks.
func withHistory(t *testing.T) *pgxpool.Pool {
	t.Helper()
	db := pgtest.Pool(t)
	conn := connect(t, db.Config().ConnString())
	if _, err := conn.PgConn().Exec(t.Context(), history).ReadAll(); err != nil {
		t.Fatal(err)
	}
	exec(t, conn, "VACUUM (ANALYZE)") // autovacuum's work
	if err := conn.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	return db
}

// node is a part of a plan, as EXPLAIN (FORMAT JSON) tells it.
type node struct {
	Type     string `json:"Node Type"`
	Relation string `json:"Relation Name"`
	Plans    []node `json:"Plans"`
}

// scans lists every access to a table in a plan.
func (n node) scans() []node {
	var list []node
	if n.Relation != "" {
		list = append(list, n)
	}
	for _, below := range n.Plans {
		list = append(list, below.scans()...)
	}
	return list
}

// planOf returns the scans of one of the guide's statements, which are kept where they are measured.
func planOf(t *testing.T, db database, statement string) []node {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "bench", "testdata", statement+".sql"))
	if err != nil {
		t.Fatal(err)
	}
	var plans []struct{ Plan node }
	// Nothing is executed; what the moment of the start excludes is left out of the plan.
	if err := json.Unmarshal(value[[]byte](t, db, "EXPLAIN (FORMAT JSON) "+string(text)), &plans); err != nil {
		t.Fatal(err)
	}
	scans := plans[0].Plan.scans()
	if len(scans) == 0 {
		t.Fatalf("%s reads nothing: %+v", statement, plans)
	}
	return scans
}

// Whatever of the guide asks about some of the rows finds them by an index, and never reads a table that
// grows with the age of the vault.
func TestIndexes_TheGuidesQueriesReadNoGrowingTableFromEndToEnd(t *testing.T) {
	t.Parallel()
	db := withHistory(t)
	for statement, tables := range map[string][]string{
		"daily_report_alerts":        {"alert_instance_s"},
		"alert_effectiveness":        {"alert_instance_s"},
		"notification_delivery":      {"notification_log_s"},
		"delivery_failures":          {"notification_log_s"},
		"active_alerts_dashboard":    {"alert_instance_s", "alert_instance_h"},
		"definitions_last_alert":     {"alert_instance_s", "alert_instance_h"},
		"acknowledge_an_open_alert":  {"alert_instance_s"},
		"incident_summary_dashboard": {"incident_s", "alert_incident_l", "alert_incident_eff_s"},
	} {
		t.Run(statement, func(t *testing.T) {
			t.Parallel()
			read := map[string]bool{}
			for _, scan := range planOf(t, db, statement) {
				read[scan.Relation] = true
				if scan.Type == "Seq Scan" && slices.Contains(tables, scan.Relation) {
					t.Errorf("reads %s from end to end", scan.Relation)
				}
			}
			for _, table := range tables {
				if !read[table] {
					t.Errorf("does not read %s: the test is about another statement", table)
				}
			}
		})
	}
}

// part is one week of the health samples.
type part struct {
	Name   string
	Ends   bool // before the window of the query begins
	Rows   int
	Inside int // the window
}

// partsOf tells the weeks, and how many of their samples lie since a moment.
func partsOf(t *testing.T, db database, since string) map[string]part {
	t.Helper()
	rows, err := db.Query(t.Context(), fmt.Sprintf(`
		SELECT p.name, to_timestamp(right(p.name, 8), 'YYYYMMDD') + interval '7 days' <= %[1]s AS ends,
		       count(s.*) AS rows, count(s.*) FILTER (WHERE s.measurement_timestamp >= %[1]s) AS inside
		  FROM (SELECT inhrelid AS id, inhrelid::regclass::text AS qualified, (SELECT relname::text FROM pg_class WHERE oid = inhrelid) AS name
		          FROM pg_inherits WHERE inhparent = 'monitoring.system_health_metric_s'::regclass) AS p
		  LEFT JOIN monitoring.system_health_metric_s s ON s.tableoid = p.id
		 GROUP BY p.name`, since))
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[part])
	if err != nil {
		t.Fatal(err)
	}
	parts, ended := map[string]part{}, 0
	for _, p := range list {
		parts[p.Name] = p
		if p.Ends && p.Rows > 0 {
			ended++
		}
	}
	if ended < 3 {
		t.Fatalf("only %d weeks with samples lie before %s: %+v", ended, since, list)
	}
	return parts
}

func TestIndexes_QueriesOfAWindowReadItsWeeksOnly(t *testing.T) {
	t.Parallel()
	db := withHistory(t)
	for statement, since := range map[string]string{
		"daily_report_health": "(CURRENT_DATE - INTERVAL '1 day')",
		"system_dashboard":    "(CURRENT_TIMESTAMP - INTERVAL '1 hour')",
		"load_test_count":     "(CURRENT_TIMESTAMP - INTERVAL '1 minute')",
	} {
		t.Run(statement, func(t *testing.T) {
			t.Parallel()
			parts := partsOf(t, db, since)
			weeks := 0
			for _, scan := range planOf(t, db, statement) {
				p, isPart := parts[scan.Relation]
				if !isPart {
					continue
				}
				weeks++
				if p.Ends {
					t.Errorf("reads %s, which ended before %s", p.Name, since)
				}
				// Where the window is most of the week, all of it is read best.
				if scan.Type == "Seq Scan" && p.Rows > 1000 && p.Inside*4 < p.Rows {
					t.Errorf("reads %s from end to end, for %d of its %d samples", p.Name, p.Inside, p.Rows)
				}
			}
			if weeks == 0 {
				t.Error("reads no week of samples")
			}
		})
	}
}

// The one query that counts all samples reads an index instead of them.
func TestIndexes_TheCountOfAllSamplesReadsAnIndexOnly(t *testing.T) {
	t.Parallel()
	db := withHistory(t)
	parts := partsOf(t, db, "CURRENT_TIMESTAMP")
	full := 0
	for _, scan := range planOf(t, db, "monitoring_health") {
		if p := parts[scan.Relation]; p.Rows > 1000 {
			full++
			if scan.Type != "Index Only Scan" {
				t.Errorf("%s is read by %s", p.Name, scan.Type)
			}
		}
	}
	if full < 4 {
		t.Errorf("%d weeks are read", full)
	}
}

// What runs at every collection and evaluation costs the same however old the vault is. EXPLAIN does not
// look into functions, but counts the pages that they touch.
func TestIndexes_CollectionAndEvaluationTouchTheNewestSamplesOnly(t *testing.T) {
	t.Parallel()
	db := withHistory(t)
	pages := value[int](t, db, `
		SELECT sum(relpages)::integer FROM pg_class
		 WHERE oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'monitoring.system_health_metric_s'::regclass)`)
	// Each series costs the depth of an index, a row and its hub, whatever was measured before.
	most := max(pages/5, 5*value[int](t, db, "SELECT count(*) FROM monitoring.system_health_metric_h WHERE target_name = 'local'"))
	if most > pages/2 {
		t.Fatalf("a table of %d pages is too small to tell the newest samples from all", pages)
	}
	for _, call := range []string{
		"monitoring.latest_disk_sample()",
		"monitoring.condition_inputs('system_health', 'local', NULL, interval '10 minutes', now())",
	} {
		conn := connect(t, db.Config().ConnString())
		touched := func() int {
			var plans []struct {
				Plan struct {
					Hit  int `json:"Shared Hit Blocks"`
					Read int `json:"Shared Read Blocks"`
				}
			}
			if err := json.Unmarshal(value[[]byte](t, conn, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT "+call), &plans); err != nil {
				t.Fatal(err)
			}
			return plans[0].Plan.Hit + plans[0].Plan.Read
		}
		touched() // the first call in a session reads the catalogs
		if n := touched(); n == 0 || n > most {
			t.Errorf("%s touches %d pages, of a table of %d", strings.SplitN(call, "(", 2)[0], n, pages)
		}
	}
}
