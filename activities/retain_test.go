package activities

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"onevault/archive"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

// attic is a vault with old rows, and a directory for archives.
type attic struct {
	*testing.T
	store *vault.Store
	db    *pgxpool.Pool
	dir   string
	r     *Retention
	env   *testsuite.TestActivityEnvironment
}

func newAttic(t *testing.T) *attic {
	t.Helper()
	store, err := vault.Open(t.Context(), pgtest.DB(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	dir := filepath.Join(t.TempDir(), "archive")
	place := archive.NewDir(dir)
	a := &attic{T: t, store: store, db: store.Pool(), dir: dir}
	a.r = &Retention{Vault: store, Archive: &place, Host: "here", Version: "test"}
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(tlog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	a.env = suite.NewTestActivityEnvironment()
	a.env.RegisterActivity(a.r)
	return a
}

func (a *attic) exec(sql string, args ...any) {
	a.Helper()
	if _, err := a.db.Exec(a.Context(), sql, args...); err != nil {
		a.Fatalf("%s: %v", sql, err)
	}
}

func scalar[T any](a *attic, sql string, args ...any) T {
	a.Helper()
	var v T
	if err := a.db.QueryRow(a.Context(), sql, args...).Scan(&v); err != nil {
		a.Fatalf("%s: %v", sql, err)
	}
	return v
}

// fill puts samples of health metrics into the week of a day so long ago: per hour four, with every kind
// of text that a CSV has to carry.
func (a *attic) fill(daysAgo, hours int) (week time.Time) {
	a.Helper()
	week = scalar[time.Time](a, "SELECT date_trunc('week', now() - make_interval(days => $1), 'UTC')", daysAgo).UTC()
	a.exec(`SELECT monitoring.ensure_partitions_of('system_health_metric_s', $1, $1::timestamptz + interval '1 hour')`, week)
	a.exec(`
		INSERT INTO monitoring.system_health_metric_h (health_metric_hk, health_metric_bk)
		SELECT util.hash_binary(k), k FROM unnest(ARRAY['LOCAL||HEALTH||ONE||SYSTEM', 'LOCAL||HEALTH||TWO||SYSTEM']) AS k ON CONFLICT DO NOTHING`)
	a.exec(`
		INSERT INTO monitoring.system_health_metric_s (
		    health_metric_hk, load_date, hash_diff, metric_name, metric_category, metric_value, measurement_timestamp, status, additional_context, data_source)
		SELECT util.hash_binary(k), at + interval '1 second', sha256(at::text::bytea), lower(split_part(k, '||', 3)), 'PERFORMANCE',
		       CASE WHEN n % 7 = 0 THEN NULL ELSE n + 0.1234 END, at, CASE WHEN n % 7 = 0 THEN 'UNKNOWN' ELSE 'NORMAL' END,
		       jsonb_build_object('error', E'line one\nline "two", ünï', 'n', n), CASE n % 3 WHEN 0 THEN '' WHEN 1 THEN NULL ELSE E'a,"b"\r\nc' END
		  FROM unnest(ARRAY['LOCAL||HEALTH||ONE||SYSTEM', 'LOCAL||HEALTH||TWO||SYSTEM']) AS k,
		       generate_series(0, $2 * 4 - 1) AS n, LATERAL (SELECT $1::timestamptz + n * interval '15 minutes' AS at) AS t`, week, hours)
	return week
}

// digest is a fingerprint of a table's rows between two moments, whole rows in any order.
func (a *attic) digest(table string, from, to time.Time) string {
	a.Helper()
	return scalar[string](a, "SELECT row_digest FROM monitoring.digest_of($1, $2, $3)", table, from, to)
}

// plan is what has expired of a table.
func (a *attic) plan(table string) []RetainedPart {
	a.Helper()
	value, err := a.env.ExecuteActivity(a.r.PlanRetention, PlanRetentionInput{})
	if err != nil {
		a.Fatal(err)
	}
	var out PlanRetentionOutput
	if err := value.Get(&out); err != nil {
		a.Fatal(err)
	}
	var list []RetainedPart
	for _, p := range out.Parts {
		if p.Table == table && !p.Empty {
			list = append(list, p)
		}
	}
	return list
}

func (a *attic) only(table string) RetainedPart {
	a.Helper()
	parts := a.plan(table)
	if len(parts) != 1 {
		a.Fatalf("expired of %s: %v, want one part", table, parts)
	}
	return parts[0]
}

func (a *attic) archive(p RetainedPart) (ArchivePartOutput, error) {
	a.Helper()
	value, err := a.env.ExecuteActivity(a.r.ArchivePart, ArchivePartInput{p})
	if err != nil {
		return ArchivePartOutput{}, err
	}
	var out ArchivePartOutput
	if err := value.Get(&out); err != nil {
		a.Fatal(err)
	}
	return out, nil
}

func (a *attic) drop(p RetainedPart, name string) (int64, error) {
	a.Helper()
	value, err := a.env.ExecuteActivity(a.r.DropPart, DropPartInput{p, name})
	if err != nil {
		return 0, err
	}
	var out DropPartOutput
	if err := value.Get(&out); err != nil {
		a.Fatal(err)
	}
	return out.Rows, nil
}

// leave archives and drops, which must work.
func (a *attic) leave(p RetainedPart) ArchivePartOutput {
	a.Helper()
	out, err := a.archive(p)
	if err != nil {
		a.Fatal(err)
	}
	if rows, err := a.drop(p, out.Name); err != nil || rows != out.Rows {
		a.Fatalf("dropped %d of %d rows: %v", rows, out.Rows, err)
	}
	return out
}

func (a *attic) statuses(name string) string {
	a.Helper()
	return scalar[string](a, `SELECT coalesce(string_agg(archive_status, ' ' ORDER BY load_date), '') FROM monitoring.archive_s WHERE archive_hk = util.hash_binary($1)`, name)
}

func (a *attic) path(name string) string { return filepath.Join(a.dir, name) + ".csv.zst" }

func (a *attic) wantError(err error, words ...string) {
	a.Helper()
	if err == nil {
		a.Fatalf("no error, want one that says %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			a.Errorf("got %q, want it to say %q", err, word)
		}
	}
}

func TestRetention_WhatLeavesComesBackIdentical(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	week := a.fill(60, 48)
	to := week.AddDate(0, 0, 7)
	before := a.digest("system_health_metric_s", week, to)
	part := a.only("system_health_metric_s")
	if !part.From.Equal(week) || !part.To.Equal(to) || !part.Archive {
		t.Fatalf("planned %+v, want the week of %s", part, week)
	}

	out := a.leave(part)
	if got := a.statuses(out.Name); got != "WRITTEN VERIFIED DROPPED" {
		t.Errorf("the archive's life is %q", got)
	}
	if n := scalar[int](a, "SELECT count(*) FROM monitoring.partitions() WHERE partition_name = $1", part.Partition); n != 0 || out.Rows != 384 {
		t.Errorf("%d partitions left of %d rows", n, out.Rows)
	}
	if n := scalar[int](a, "SELECT sum(sample_count) FROM monitoring.system_health_metric_hourly_s WHERE load_end_date IS NULL AND hour_start >= $1 AND hour_start < $2", week, to); n != 384 {
		t.Errorf("the hours count %d samples, want 384", n)
	}
	if len(a.plan("system_health_metric_s")) != 0 {
		t.Error("what left is planned again")
	}

	until := time.Now().Add(24 * time.Hour)
	for round, inserted := range []int64{384, 0} {
		_, restored, err := RestoreArchive(t.Context(), a.store, a.path(out.Name), until)
		if err != nil {
			t.Fatal(err)
		}
		if restored.Rows != 384 || restored.Inserted != inserted || restored.Keys != 0 {
			t.Errorf("restore %d: %+v", round+1, restored)
		}
	}
	if after := a.digest("system_health_metric_s", week, to); after != before {
		t.Errorf("the rows that came back are others: %s, were %s", after, before)
	}
	if len(a.plan("system_health_metric_s")) != 0 {
		t.Error("restored rows are to leave again at once")
	}

	// When the hold is over they leave again, into the same archive.
	a.exec("SELECT monitoring.note_archive(h.archive_bk, 'RESTORED', s.table_name, s.partition_name, s.range_from, s.range_to, s.row_count, s.row_digest, s.host_name, s.manifest, s.file_name, s.file_bytes, s.csv_bytes, s.csv_sha256, now()) FROM monitoring.archive_s s JOIN monitoring.archive_h h USING (archive_hk) WHERE s.load_end_date IS NULL")
	again := a.leave(a.only("system_health_metric_s"))
	if again.Name != out.Name {
		t.Errorf("archived as %s, want %s: the rows are the same", again.Name, out.Name)
	}
	if n := scalar[int](a, "SELECT sum(sample_count) FROM monitoring.system_health_metric_hourly_s WHERE load_end_date IS NULL"); n != 384 {
		t.Errorf("the hours count %d samples after the second time, want 384", n)
	}
}

func TestRetention_RestoresIntoAVaultThatKnowsNothing(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	week := a.fill(60, 3)
	tenant := "INSERT INTO auth.tenant_h (tenant_hk, tenant_bk, record_source) VALUES (util.hash_binary('ACME'), 'ACME', 'TEST')"
	a.exec(tenant)
	a.exec("SELECT monitoring.ensure_partitions_of('alert_evaluation_s', $1, $1::timestamptz + interval '1 hour')", week)
	a.exec(`INSERT INTO monitoring.alert_evaluation_s (alert_definition_hk, hash_diff, target_name, tenant_hk, evaluated_at, definition_load_date, result, result_since, inputs, decision)
		SELECT alert_definition_hk, '\x01', 'local', util.hash_binary('ACME'), $1, $1, 'FALSE', $1, '{"a": 1}', 'NONE' FROM monitoring.alert_definition_h LIMIT 1`, week.Add(time.Hour))
	before := a.digest("system_health_metric_s", week, week.AddDate(0, 0, 7)) + a.digest("alert_evaluation_s", week, week.AddDate(0, 0, 7))
	health, evaluations := a.leave(a.only("system_health_metric_s")), a.leave(a.only("alert_evaluation_s"))

	b := newAttic(t)
	b.dir = a.dir
	for _, c := range []struct {
		out  ArchivePartOutput
		keys int64
	}{{health, 2}, {evaluations, 1}} { // the definition is one that every vault has, the tenant is not
		_, restored, err := RestoreArchive(t.Context(), b.store, b.path(c.out.Name), time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if restored.Inserted != c.out.Rows || restored.Keys != c.keys {
			t.Errorf("%s: %+v, want all %d rows and %d keys", c.out.Name, restored, c.out.Rows, c.keys)
		}
	}
	if after := b.digest("system_health_metric_s", week, week.AddDate(0, 0, 7)) + b.digest("alert_evaluation_s", week, week.AddDate(0, 0, 7)); after != before {
		t.Errorf("the other vault has other rows: %s, were %s", after, before)
	}
}

func TestRetention_AgainAtEveryStepEndsTheSame(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	week := a.fill(60, 30)
	before := a.digest("system_health_metric_s", week, week.AddDate(0, 0, 7))
	part := a.only("system_health_metric_s")

	// Dead while it wrote: half of a file, no manifest.
	place := filepath.Join(a.dir, "system_health_metric_s")
	if err := os.MkdirAll(place, 0o750); err != nil {
		t.Fatal(err)
	}
	for _, leftover := range []string{".csv.zst.tmp", ".monitoring.system_health_metric_h.keys.csv.zst", ".csv.zst", ".json.tmp"} {
		if err := os.WriteFile(filepath.Join(place, part.Partition+leftover), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first, err := a.archive(part)
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(place, "*.tmp")); len(left) > 0 {
		t.Errorf("leftovers stay: %v", left)
	}
	// Dead after the record, and before Temporal heard of it.
	second, err := a.archive(part)
	if err != nil || second != first {
		t.Errorf("archived again as %+v, %v; want %+v", second, err, first)
	}
	if got := a.statuses(first.Name); got != "WRITTEN VERIFIED WRITTEN VERIFIED" {
		t.Errorf("the archive's life is %q", got)
	}
	for range 3 { // dead after the drop
		if rows, err := a.drop(part, first.Name); err != nil || rows != first.Rows {
			t.Errorf("dropped %d rows, %v; want %d each time", rows, err, first.Rows)
		}
	}
	if _, _, err := RestoreArchive(t.Context(), a.store, a.path(first.Name), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if after := a.digest("system_health_metric_s", week, week.AddDate(0, 0, 7)); after != before {
		t.Errorf("%s came back, %s left", after, before)
	}
}

func TestRetention_RowsThatCameAfterTheArchiveAreNotDropped(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	week := a.fill(60, 2)
	part := a.only("system_health_metric_s")
	out, err := a.archive(part)
	if err != nil {
		t.Fatal(err)
	}
	a.exec(`INSERT INTO monitoring.system_health_metric_s (health_metric_hk, hash_diff, metric_name, metric_category, metric_value, measurement_timestamp)
		VALUES (util.hash_binary('LOCAL||HEALTH||ONE||SYSTEM'), '\x01', 'one', 'PERFORMANCE', 5, $1)`, week.Add(time.Hour+time.Second))
	_, err = a.drop(part, out.Name)
	var failure *temporal.ApplicationError
	if !errors.As(err, &failure) || failure.Type() != ErrorRowsChanged {
		t.Fatalf("got %v, want %s", err, ErrorRowsChanged)
	}
	again := a.leave(part)
	if again.Rows != out.Rows+1 {
		t.Errorf("archived %d rows, then %d", out.Rows, again.Rows)
	}
	if n := scalar[int](a, "SELECT sum(sample_count) FROM monitoring.system_health_metric_hourly_s WHERE load_end_date IS NULL"); int64(n) != again.Rows {
		t.Errorf("the hours count %d samples, want %d", n, again.Rows)
	}
	// The former file is kept, under another name.
	if _, err := archive.Verify(filepath.Join(a.dir, again.Name) + ".replaced-1.json"); err != nil {
		t.Errorf("the first archive is gone: %v", err)
	}
}

// In such a transaction the digest would be taken of what stood before the late row came, and the row
// would go with its partition.
func TestRetention_ATransactionThatSeesNoLateRowsDropsNothing(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	week := a.fill(60, 2)
	part := a.only("system_health_metric_s")
	out, err := a.archive(part)
	if err != nil {
		t.Fatal(err)
	}
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		tx, err := a.db.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(context.Background())                                                      // where the test failed before its own
		if _, err := tx.Exec(t.Context(), "SELECT count(*) FROM monitoring.archive_s"); err != nil { // its snapshot
			t.Fatal(err)
		}
		a.exec(`INSERT INTO monitoring.system_health_metric_s (health_metric_hk, hash_diff, metric_name, metric_category, metric_value, measurement_timestamp)
			VALUES (util.hash_binary('LOCAL||HEALTH||ONE||SYSTEM'), '\x01', 'one', 'PERFORMANCE', 5, $1)`, week.Add(time.Hour+time.Second))
		_, err = tx.Exec(t.Context(), "SELECT monitoring.drop_archived($1)", out.Name)
		a.wantError(err, "drop_archived in a transaction that is "+strings.ToUpper(string(level)))
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// What the worker does is not such a transaction, whatever the database's default is.
	a.exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = ''serializable''', current_database()); END $$`)
	a.db.Reset()
	if left := a.leave(part); left.Rows != out.Rows+2 {
		t.Errorf("%d rows left, want %d", left.Rows, out.Rows+2)
	}
}

func TestRetention_NothingUnverifiedOrYoungIsDropped(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	a.fill(60, 2)
	part := a.only("system_health_metric_s")
	_, err := a.drop(part, "system_health_metric_s/"+part.Partition)
	a.wantError(err, "unknown", "its rows stay")

	out, err := a.archive(part)
	if err != nil {
		t.Fatal(err)
	}
	a.exec(`INSERT INTO monitoring.monitor_config_s (monitor_config_hk, hash_diff, config_name, config_type, config_value)
		VALUES (util.hash_binary(util.bk('RETENTION', 'system_health_metric_s')), '\x', 'system_health_metric_s', 'RETENTION', '{"keep": "90 days"}')`)
	_, err = a.drop(part, out.Name)
	a.wantError(err, "are to be kept", "90 days")
	if len(a.plan("system_health_metric_s")) != 0 {
		t.Error("what is to be kept for 90 days is planned after 60")
	}
	a.exec(`INSERT INTO monitoring.monitor_config_s (monitor_config_hk, hash_diff, config_name, config_type, config_value, is_enabled)
		VALUES (util.hash_binary(util.bk('RETENTION', 'system_health_metric_s')), '\x', 'system_health_metric_s', 'RETENTION', '{"keep": "8 days"}', false)`)
	_, err = a.drop(part, out.Name)
	a.wantError(err, "are to be kept", "for ever")
}

func TestRetention_WithoutADirectoryNothingLeaves(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	week := a.fill(60, 2)
	a.r.Archive = nil
	part := a.only("system_health_metric_s")
	_, err := a.archive(part)
	a.wantError(err, "ONEVAULT_ARCHIVE_DIR")
	// Unless it is said that these rows need none.
	a.exec(`INSERT INTO monitoring.monitor_config_s (monitor_config_hk, hash_diff, config_name, config_type, config_value)
		VALUES (util.hash_binary(util.bk('RETENTION', 'system_health_metric_s')), '\x', 'system_health_metric_s', 'RETENTION', '{"keep": "35 days", "archive": false}')`)
	out := a.leave(a.only("system_health_metric_s"))
	if got := a.statuses(out.Name); got != "WAIVED DROPPED" {
		t.Errorf("the record says %q", got)
	}
	if n := scalar[int](a, "SELECT sum(sample_count) FROM monitoring.system_health_metric_hourly_s WHERE hour_start >= $1", week); n != 16 {
		t.Errorf("the hours count %d samples, want 16", n)
	}
}

// closedVersions gives a channel versions that ended in two months long ago, and a current one.
func (a *attic) closedVersions() (first time.Time) {
	a.Helper()
	first = scalar[time.Time](a, "SELECT date_trunc('month', now() - interval '8 years', 'UTC')").UTC()
	a.exec(`INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk) VALUES (util.hash_binary('C'), 'C')`)
	a.exec(`
		INSERT INTO monitoring.notification_config_s (notification_config_hk, load_date, load_end_date, hash_diff, channel_name, channel_type, configuration)
		SELECT util.hash_binary('C'), at, at + interval '1 day', '\x', 'version ' || n, 'SMS', '{"to": "a, \"b\""}'
		  FROM generate_series(0, 39) AS n, LATERAL (SELECT $1::timestamptz + n * interval '1 day' AS at) AS t`, first)
	a.exec(`
		INSERT INTO monitoring.notification_config_s (notification_config_hk, load_date, hash_diff, channel_name, channel_type, configuration)
		VALUES (util.hash_binary('C'), $1::timestamptz + interval '40 days', '\x', 'the one that stands', 'SLACK', '{"webhook_url_env": "URL"}')`, first)
	return first
}

func TestRetention_ClosedVersionsLeaveAndTheCurrentOneStays(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	first := a.closedVersions()
	end := first.AddDate(0, 3, 0)
	before := a.digest("notification_config_s", first, end)
	parts := a.plan("notification_config_s")
	if len(parts) != 2 {
		t.Fatalf("planned %v, want two months", parts)
	}
	var left int64
	var outs []ArchivePartOutput
	for _, p := range parts {
		out := a.leave(p)
		left += out.Rows
		outs = append(outs, out)
	}
	if names := scalar[string](a, "SELECT string_agg(channel_name, ',') FROM monitoring.notification_config_s"); names != "the one that stands" || left != 40 {
		t.Errorf("%d versions left, there remain %q", left, names)
	}
	for _, out := range outs {
		for range 2 {
			if _, _, err := RestoreArchive(t.Context(), a.store, a.path(out.Name), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if after := a.digest("notification_config_s", first, end); after != before {
		t.Errorf("%s came back, %s left", after, before)
	}
	if n := scalar[int](a, "SELECT count(*) FROM monitoring.notification_config_s"); n != 41 {
		t.Errorf("%d versions, want 41", n)
	}
	if len(a.plan("notification_config_s")) != 0 {
		t.Error("restored versions are to leave again at once")
	}
}

func TestRetention_NobodyDeletesClosedVersionsByHand(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	first := a.closedVersions()
	part := a.plan("notification_config_s")[0]
	out, err := a.archive(part)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), a.db.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	try := func(sql string, args ...any) error { _, err := conn.Exec(t.Context(), sql, args...); return err }

	all := "DELETE FROM monitoring.notification_config_s"
	a.wantError(try(all), "is history and cannot be deleted")
	// Even with the setting that drop_archived makes, nothing goes but what is archived, verified and expired.
	if err := try("SELECT set_config('onevault.purging_archive', $1, false)", out.Name); err != nil {
		t.Fatal(err)
	}
	a.wantError(try(all), "is history and cannot be deleted")
	a.wantError(try(all+" WHERE load_end_date IS NULL"), "is history and cannot be deleted")
	a.wantError(try(all+" WHERE load_end_date >= $1", part.To), "is history and cannot be deleted")
	a.wantError(try("DELETE FROM monitoring.monitor_config_s"), "is history and cannot be deleted")
	a.wantError(try("TRUNCATE monitoring.notification_config_s"), "is history and cannot be deleted")
	if n := scalar[int](a, "SELECT count(*) FROM monitoring.notification_config_s"); n != 41 {
		t.Errorf("%d versions remain of 41", n)
	}
	// Nor can an archive be made up.
	a.wantError(try(`SELECT monitoring.note_archive('x', 'VERIFIED', 'notification_config_s', NULL, $1, $2, 40, '')`, first, part.To),
		"archive_status", "cannot become VERIFIED after nothing")
}

// Whoever can write a file can write its sums as well. It brings back what retention takes, and nothing else.
func TestRestore_RefusesWhatRetentionNeverTook(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	first := a.closedVersions()
	write := func(name string, m archive.Manifest, columns, csv string) string {
		t.Helper()
		source := archive.Source{Schema: "monitoring", Table: m.Table, Copy: func(w io.Writer) (int64, error) {
			_, err := io.WriteString(w, columns+"\n"+csv)
			return int64(strings.Count(csv, "\n")), err
		}}
		for _, c := range strings.Split(columns, ",") {
			source.Columns = append(source.Columns, archive.Column{Name: c, Type: "text"})
		}
		d := archive.NewDir(t.TempDir())
		if _, err := d.Write(name, m, []archive.Source{source}); err != nil {
			t.Fatal(err)
		}
		return d.Path(name)
	}
	hk := scalar[string](a, `SELECT util.hash_binary('C')::text`)
	const columns = "notification_config_hk,load_date,load_end_date,hash_diff,channel_name,channel_type,configuration"
	row := func(end string) string {
		return fmt.Sprintf("%s,%s,%s,\\x01,forged,SMS,{}\n", hk, first.Add(time.Minute).Format(time.RFC3339), end)
	}
	month := archive.Manifest{Table: "notification_config_s", From: first, To: first.AddDate(0, 1, 0)}
	for title, c := range map[string]struct {
		path string
		word string
	}{
		"a version that stands": {write("notification_config_s/notification_config_s_v1", month, columns, row("")), "1 rows have a load_end_date that is not from"},
		"of another month":      {write("notification_config_s/notification_config_s_v2", month, columns, row(month.To.Format(time.RFC3339))), "1 rows have a load_end_date"},
		"all months at once": {write("notification_config_s/notification_config_s_v3",
			archive.Manifest{Table: month.Table, From: first, To: first.AddDate(100, 0, 0)}, columns, row(month.To.Format(time.RFC3339))), "neither a week of a partition nor a month"},
		"a hundred thousand partitions": {write("system_health_metric_s/x", archive.Manifest{
			Table: "system_health_metric_s", Partition: "system_health_metric_s_p00010101", From: time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC),
		}, "health_metric_hk", ""), "neither a week"},
		"another partition's name": {write("system_health_metric_s/y", archive.Manifest{
			Table: "system_health_metric_s", Partition: "alert_instance_s", From: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 1, 12, 0, 0, 0, 0, time.UTC),
		}, "health_metric_hk", ""), "neither a week"},
	} {
		t.Run(title, func(t *testing.T) {
			_, _, err := RestoreArchive(t.Context(), a.store, c.path, time.Now().Add(time.Hour))
			if err == nil || !strings.Contains(err.Error(), c.word) {
				t.Errorf("got %v, want an error that says %q", err, c.word)
			}
		})
	}
	if n := scalar[int](a, "SELECT count(*) FROM monitoring.notification_config_s WHERE channel_name = 'forged'"); n != 0 {
		t.Errorf("%d forged rows", n)
	}
}

// What was legal in its time comes back, even if it would be refused today, and tells nobody anything.
func TestRestore_OldVersionsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	first := scalar[time.Time](a, "SELECT date_trunc('month', now() - interval '8 years', 'UTC')").UTC()
	a.exec("ALTER TABLE monitoring.alert_definition_s DISABLE TRIGGER USER; ALTER TABLE monitoring.notification_config_s DISABLE TRIGGER USER; ALTER TABLE monitoring.incident_s DISABLE TRIGGER USER")
	a.exec(`
		INSERT INTO monitoring.alert_definition_s (alert_definition_hk, load_date, load_end_date, hash_diff, alert_name, alert_category, alert_severity,
		                                           metric_source, condition_logic, record_source)
		SELECT alert_definition_hk, $1::timestamptz, $1::timestamptz + interval '1 day', '\x01', 'as we once had it', 'X', 'LOW', 'a source of then', 'its words', 'SETUP_SCRIPT'
		  FROM monitoring.alert_definition_h LIMIT 1`, first)
	a.exec("INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk) VALUES (util.hash_binary('C'), 'C')")
	a.exec(`
		INSERT INTO monitoring.notification_config_s (notification_config_hk, load_date, load_end_date, hash_diff, channel_name, channel_type, configuration)
		VALUES (util.hash_binary('C'), $1, $1::timestamptz + interval '1 day', '\x01', 'of then', 'EMAIL', '{}')`, first)
	a.exec("INSERT INTO monitoring.incident_h (incident_hk, incident_bk) VALUES (util.hash_binary('I'), 'I')")
	a.exec(`
		INSERT INTO monitoring.incident_s (incident_hk, load_date, load_end_date, hash_diff, incident_title, incident_severity, incident_priority, incident_status, created_timestamp)
		VALUES (util.hash_binary('I'), $1, $1::timestamptz + interval '1 day', '\x01', 'of then', 'LOW', 'P4', 'OPEN', $1)`, first)
	a.exec("ALTER TABLE monitoring.alert_definition_s ENABLE TRIGGER USER; ALTER TABLE monitoring.notification_config_s ENABLE TRIGGER USER; ALTER TABLE monitoring.incident_s ENABLE TRIGGER USER")
	told := scalar[int](a, "SELECT count(*) FROM monitoring.outbox")
	for _, table := range []string{"alert_definition_s", "notification_config_s", "incident_s"} {
		out := a.leave(a.only(table))
		_, restored, err := RestoreArchive(t.Context(), a.store, a.path(out.Name), time.Now().Add(time.Hour))
		if err != nil || restored.Inserted != 1 {
			t.Errorf("%s: %+v, %v", table, restored, err)
		}
	}
	if n := scalar[int](a, "SELECT count(*) FROM monitoring.outbox"); n != told {
		t.Errorf("%d workflows would hear of what came back", n-told)
	}
}

func TestRetention_ALateRowCorrectsItsHour(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	week := a.fill(14, 5)
	prepare := func() PrepareRetentionOutput {
		t.Helper()
		value, err := a.env.ExecuteActivity(a.r.PrepareRetention, PrepareRetentionInput{})
		if err != nil {
			t.Fatal(err)
		}
		var out PrepareRetentionOutput
		if err := value.Get(&out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	roll := func(h RetainedHours) int64 {
		t.Helper()
		value, err := a.env.ExecuteActivity(a.r.RollUp, RollUpInput{h})
		if err != nil {
			t.Fatal(err)
		}
		var out RollUpOutput
		if err := value.Get(&out); err != nil {
			t.Fatal(err)
		}
		return out.Written
	}
	out := prepare()
	if len(out.Hours) != 1 || !out.Hours[0].From.Equal(week) {
		t.Fatalf("to roll up: %+v, want the week of %s", out.Hours, week)
	}
	for round, want := range []int64{10, 0, 0} {
		if got := roll(out.Hours[0]); got != want {
			t.Errorf("round %d wrote %d hours, want %d", round+1, got, want)
		}
	}
	if out := prepare(); len(out.Hours) != 0 || out.Partitions != 0 {
		t.Errorf("nothing came and there is to do: %+v", out)
	}

	a.exec(`INSERT INTO monitoring.system_health_metric_s (health_metric_hk, load_date, hash_diff, metric_name, metric_category, metric_value, measurement_timestamp, status)
		VALUES (util.hash_binary('LOCAL||HEALTH||ONE||SYSTEM'), now() + interval '2 hours', '\x01', 'one', 'PERFORMANCE', 1000, $1, 'CRITICAL')`, week.Add(time.Hour+time.Second))
	if out = prepare(); len(out.Hours) != 1 {
		t.Fatalf("a late row is not noticed: %+v", out)
	}
	if got := roll(out.Hours[0]); got != 1 {
		t.Errorf("%d hours written for one late row", got)
	}
	got := scalar[string](a, `
		SELECT string_agg(format('%s %s %s %s', sample_count, max_value, critical_count, load_end_date IS NULL), ', ' ORDER BY load_date)
		  FROM monitoring.system_health_metric_hourly_s
		 WHERE health_metric_hk = util.hash_binary('LOCAL||HEALTH||ONE||SYSTEM') AND hour_start = $1`, week.Add(time.Hour))
	if got != "4 6.1234 0 f, 5 1000.0000 1 t" {
		t.Errorf("the hour has the rows %q", got)
	}
	if n := scalar[int](a, "SELECT count(*) FROM monitoring.system_health_metric_hourly_s WHERE hash_diff <> monitoring.hash_diff_of(to_jsonb(system_health_metric_hourly_s), 'health_metric_hk')"); n != 0 {
		t.Errorf("%d rows bear a hash that is not theirs", n)
	}

	// All samples of an hour retracted: the hour is no more.
	a.exec("UPDATE monitoring.system_health_metric_s SET load_end_date = now() + interval '3 hours' WHERE measurement_timestamp >= $1 AND measurement_timestamp < $2 AND load_end_date IS NULL",
		week.Add(2*time.Hour), week.Add(3*time.Hour))
	roll(prepare().Hours[0])
	if n := scalar[int](a, "SELECT count(*) FROM monitoring.system_health_metric_hourly_s WHERE load_end_date IS NULL"); n != 8 {
		t.Errorf("%d hours stand, want 8", n)
	}
}

func TestRestore_RefusesADamagedFileAndSaysWhatDiffers(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	week := a.fill(60, 24)
	out := a.leave(a.only("system_health_metric_s"))
	path := a.path(out.Name)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		damage func([]byte) []byte
		word   string
	}{
		"one bit":   {func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, "SHA-256"},
		"cut short": {func(b []byte) []byte { return b[:len(b)-100] }, "size in bytes"},
		"longer":    {func(b []byte) []byte { return append(b, 0) }, "size in bytes"},
	} {
		if err := os.WriteFile(path, c.damage(append([]byte{}, whole...)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := RestoreArchive(t.Context(), a.store, path, time.Now().Add(time.Hour))
		if err == nil || !strings.Contains(err.Error(), "is damaged: its "+c.word) {
			t.Errorf("%s: got %v, want it refused for its %s", name, err, c.word)
		}
	}
	if n := scalar[int](a, "SELECT count(*) FROM monitoring.system_health_metric_s WHERE measurement_timestamp >= $1 AND measurement_timestamp < $2", week, week.AddDate(0, 0, 7)); n != 0 {
		t.Errorf("%d rows of a damaged file were restored", n)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, _, err = RestoreArchive(t.Context(), a.store, path, time.Now().Add(time.Hour))
	a.wantError(err, "no such file")
}

func TestRestore_RefusesAnArchiveThatWritesElsewhere(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	a.fill(60, 2)
	out := a.leave(a.only("system_health_metric_s"))
	manifest := filepath.Join(a.dir, out.Name) + ".json"
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.Replace(string(text), `"table": "system_health_metric_h"`, `"table": "monitor_config_h"`, 1)
	if err := os.WriteFile(manifest, []byte(forged), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err = RestoreArchive(t.Context(), a.store, manifest, time.Now().Add(time.Hour))
	a.wantError(err, "monitoring.monitor_config_h is no part of an archive of system_health_metric_s")
}

func TestRetention_QueuesForgetWhatTheyHaveDone(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	at := time.Now().UTC().Add(-time.Minute).Truncate(time.Microsecond)
	if _, err := a.store.RecordHistory(t.Context(), []vault.Change{{
		AlertKey: "K", DefinitionKey: VaultUnreachableKey, Target: "local", Change: "OPEN", At: at, Via: "worker", Severity: "CRITICAL",
	}}, nil); err != nil {
		t.Fatal(err)
	}
	a.exec("DELETE FROM monitoring.outbox")
	a.exec(`INSERT INTO monitoring.outbox (kind, target_name, alert_instance_hk, relayed_at)
		SELECT 'FIRED', 'local', alert_instance_hk, r FROM monitoring.alert_instance_h, unnest(ARRAY[NULL, now(), now() - interval '6 days', now() - interval '8 days']) AS r`)
	value, err := a.env.ExecuteActivity(a.r.PurgeQueues, PurgeQueuesInput{})
	if err != nil {
		t.Fatal(err)
	}
	var out PurgeQueuesOutput
	if err := value.Get(&out); err != nil {
		t.Fatal(err)
	}
	if left := scalar[int](a, "SELECT count(*) FROM monitoring.outbox"); left != 3 || out.Rows != 1 {
		t.Errorf("%d rows deleted, %d remain: want only the one that was relayed 8 days ago gone", out.Rows, left)
	}
}

// The worker's role owns nothing and may delete nothing; what leaves, leaves with the owner's rights.
func TestRetention_TheWorkersRoleIsEnough(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	a.fill(60, 2)
	a.closedVersions()
	role, password := "retainer_"+strings.ToLower(rand.Text()[:12]), rand.Text()
	a.exec("CREATE ROLE " + role + " LOGIN PASSWORD '" + password + "' IN ROLE onevault_worker")
	t.Cleanup(func() {
		if _, err := a.db.Exec(context.Background(), "DROP ROLE "+role); err != nil {
			t.Error(err)
		}
	})
	address, err := url.Parse(a.db.Config().ConnString())
	if err != nil {
		t.Fatal("the address of a test database is no URL")
	}
	address.User = url.UserPassword(role, password)
	store, err := vault.Open(t.Context(), address.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	a.r.Vault = store

	value, err := a.env.ExecuteActivity(a.r.PrepareRetention, PrepareRetentionInput{})
	if err != nil {
		t.Fatal(err)
	}
	var prepared PrepareRetentionOutput
	if err := value.Get(&prepared); err != nil {
		t.Fatal(err)
	}
	for _, h := range prepared.Hours {
		if _, err := a.env.ExecuteActivity(a.r.RollUp, RollUpInput{h}); err != nil {
			t.Fatal(err)
		}
	}
	parts := append(a.plan("system_health_metric_s"), a.plan("notification_config_s")...)
	if len(prepared.Hours) != 1 || len(parts) != 3 {
		t.Fatalf("to roll up %v, to leave %v", prepared.Hours, parts)
	}
	for _, p := range parts {
		out := a.leave(p)
		if _, restored, err := RestoreArchive(t.Context(), store, a.path(out.Name), time.Now().Add(time.Hour)); err != nil || restored.Inserted != out.Rows {
			t.Errorf("%s: %+v, %v", out.Name, restored, err)
		}
	}
	if _, err := a.env.ExecuteActivity(a.r.PurgeQueues, PurgeQueuesInput{}); err != nil {
		t.Error(err)
	}
	if _, _, err := store.Stats(t.Context()); err != nil {
		t.Error(err)
	}
}
