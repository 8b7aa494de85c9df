package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/encoding/protojson"

	"onevault/settings"
)

// The moments of retention at which the worker is killed. Nothing in the product knows of them: triggers
// that the story puts into its database wait there for a lock that the story holds.
const (
	gateRollUp   = 1 // hours are written, and not committed
	gateWritten  = 2 // files and manifest are on disk, and the vault has not heard of them
	gateVerified = 3 // the vault knows the archive, and not that it was read back
	gateDropped  = 4 // the partition is dropped, and that is not committed
	gateCommit   = 5 // the same, at the commit itself
	gateDelete   = 6 // closed versions are deleted, and that is not committed
)

// gates makes the moments waitable. Deferred triggers run at COMMIT.
const gates = `
	CREATE FUNCTION public.e2e_gate() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
	    IF TG_NARGS = 1 OR to_jsonb(NEW) ->> 'archive_status' = TG_ARGV[1] THEN
	        PERFORM pg_advisory_xact_lock_shared(1905, TG_ARGV[0]::integer);
	    END IF;
	    RETURN NEW;
	END $$;
	GRANT EXECUTE ON FUNCTION public.e2e_gate() TO PUBLIC;
	CREATE TRIGGER z_gate AFTER INSERT ON monitoring.system_health_metric_hourly_s FOR EACH STATEMENT EXECUTE FUNCTION public.e2e_gate('1');
	CREATE TRIGGER z_gate_written BEFORE INSERT ON monitoring.archive_s FOR EACH ROW EXECUTE FUNCTION public.e2e_gate('2', 'WRITTEN');
	CREATE TRIGGER z_gate_verified BEFORE INSERT ON monitoring.archive_s FOR EACH ROW EXECUTE FUNCTION public.e2e_gate('3', 'VERIFIED');
	CREATE TRIGGER z_gate_dropped BEFORE INSERT ON monitoring.archive_s FOR EACH ROW EXECUTE FUNCTION public.e2e_gate('4', 'DROPPED');
	CREATE CONSTRAINT TRIGGER z_gate_commit AFTER INSERT ON monitoring.archive_s DEFERRABLE INITIALLY DEFERRED
	    FOR EACH ROW EXECUTE FUNCTION public.e2e_gate('5', 'DROPPED');
	CREATE TRIGGER z_gate_delete AFTER DELETE ON monitoring.notification_config_s FOR EACH STATEMENT EXECUTE FUNCTION public.e2e_gate('6')`

// attic is a rig whose vault holds rows that are long expired.
type attic struct {
	*rig
	dir    string            // of the archives
	before map[string]string // digest of the expired rows of each table
	rows   int64             // how many they are
	holder *pgx.Conn         // has the locks
}

// expired are the rows of the story, by table and range: 100,000 samples in the first week, so that their
// export takes a while, and a few of everything else.
const expired = `
	DO $do$
	DECLARE
	    v_week timestamptz := date_trunc('week', now() - interval '70 days', 'UTC');
	    v_month timestamptz := date_trunc('month', now() - interval '8 years', 'UTC');
	BEGIN
	    PERFORM monitoring.ensure_partitions_of('system_health_metric_s', v_week, v_week + interval '14 days');
	    PERFORM monitoring.ensure_partitions_of('alert_evaluation_s', v_week, v_week + interval '7 days');
	    INSERT INTO monitoring.system_health_metric_h (health_metric_hk, health_metric_bk)
	    SELECT util.hash_binary(k), k FROM (SELECT 'E2E||HEALTH||M' || m || '||SYSTEM' AS k FROM generate_series(1, 50) AS m) AS keys;
	    INSERT INTO monitoring.system_health_metric_s (
	        health_metric_hk, load_date, hash_diff, metric_name, metric_category, metric_value, measurement_timestamp, additional_context, data_source)
	    SELECT util.hash_binary('E2E||HEALTH||M' || m || '||SYSTEM'), at, sha256((m || at::text)::bytea), 'm' || m, 'PERFORMANCE', m * n, at,
	           jsonb_build_object('text', md5(random()::text), 'quoted', E'a,"b"\nc'), CASE n % 2 WHEN 0 THEN '' END
	      FROM generate_series(1, 50) AS m, generate_series(0, 2009) AS n, LATERAL (SELECT v_week + n * interval '5 minutes' AS at) AS t;
	    INSERT INTO monitoring.system_health_metric_s (health_metric_hk, hash_diff, metric_name, metric_category, metric_value, measurement_timestamp)
	    SELECT util.hash_binary('E2E||HEALTH||M1||SYSTEM'), '\x01', 'm1', 'PERFORMANCE', n, v_week + interval '7 days' + n * interval '1 hour'
	      FROM generate_series(0, 99) AS n;
	    INSERT INTO monitoring.alert_evaluation_s (
	        alert_definition_hk, hash_diff, target_name, evaluated_at, definition_load_date, result, result_since, inputs, decision)
	    SELECT alert_definition_hk, '\x01', 'local', v_week + n * interval '1 minute', v_week, 'FALSE', v_week, '{"a": 1.50}', 'NONE'
	      FROM (SELECT * FROM monitoring.alert_definition_h LIMIT 3) AS d, generate_series(1, 200) AS n;
	    INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk) VALUES (util.hash_binary('E2E_OLD'), 'E2E_OLD');
	    INSERT INTO monitoring.notification_config_s (notification_config_hk, load_date, load_end_date, hash_diff, channel_name, channel_type, configuration)
	    SELECT util.hash_binary('E2E_OLD'), at, at + interval '1 day', '\x', 'version ' || n, 'WEBHOOK', '{"url": "https://example.com/x", "unsigned": true}'
	      FROM generate_series(0, 39) AS n, LATERAL (SELECT v_month + n * interval '1 day' AS at) AS t;
	END $do$`

// expiredRanges is a table and the range that holds all its rows of the story.
const expiredRanges = `
	SELECT t.table_name, d.row_count, d.row_digest
	  FROM (VALUES ('system_health_metric_s'), ('alert_evaluation_s'), ('notification_config_s')) AS t (table_name),
	       LATERAL monitoring.digest_of(t.table_name, now() - interval '9 years', now() - interval '40 days') AS d`

func startAttic(t *testing.T) *attic {
	t.Helper()
	r := startRig(t, "retain")
	a := &attic{rig: r, dir: filepath.Join(scratch, "retain-archive")}
	for _, sql := range []string{expired, gates} {
		if _, err := r.db.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	a.before, a.rows = a.digests()
	holder, err := pgx.Connect(t.Context(), r.env[settings.DatabaseURL])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = holder.Close(context.Background()) }) // the server may be gone by then
	a.holder = holder
	return a
}

// digests are fingerprints of the expired rows that the vault has now, and their number.
func (a *attic) digests() (map[string]string, int64) {
	a.t.Helper()
	rows, err := a.db.Query(a.t.Context(), expiredRanges)
	if err != nil {
		a.t.Fatal(err)
	}
	defer rows.Close()
	found, total := map[string]string{}, int64(0)
	for rows.Next() {
		var (
			table, digest string
			n             int64
		)
		if err := rows.Scan(&table, &n, &digest); err != nil {
			a.t.Fatal(err)
		}
		found[table] = digest
		total += n
	}
	if err := rows.Err(); err != nil {
		a.t.Fatal(err)
	}
	return found, total
}

// retainer starts a worker that has a directory for archives, and little else to do.
func (a *attic) retainer() *process {
	a.t.Helper()
	w, err := start("retain-worker", program.cli, a.variables(
		settings.CollectEvery+"=1h", settings.EvaluateEvery+"=1h", settings.ArchiveDir+"="+a.dir,
		settings.AllowedCIDRs+"=127.0.0.0/8,::1/128", settings.APIAddr+"=127.0.0.1:"+strconv.Itoa(freePort(a.t))), "worker")
	if err != nil {
		a.t.Fatal(err)
	}
	a.worker = w
	a.t.Cleanup(w.kill)
	awaitReady(a.t, w)
	return w
}

func (a *attic) close(gate int) {
	a.t.Helper()
	if _, err := a.holder.Exec(a.t.Context(), "SELECT pg_advisory_lock(1905, $1)", gate); err != nil {
		a.t.Fatal(err)
	}
}

func (a *attic) open(gate int) {
	a.t.Helper()
	if _, err := a.holder.Exec(a.t.Context(), "SELECT pg_advisory_unlock(1905, $1)", gate); err != nil {
		a.t.Fatal(err)
	}
}

// awaitAt returns the session that waits at a gate.
func (a *attic) awaitAt(gate int, what string) (pid int) {
	a.t.Helper()
	eventually(a.t, time.Minute, what, func(ctx context.Context) (bool, any, error) {
		err := a.db.QueryRow(ctx, `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1905 AND objid = $1 AND NOT granted LIMIT 1`, gate).Scan(&pid)
		if errors.Is(err, pgx.ErrNoRows) {
			return false, a.worker.out.tail(), nil
		}
		return err == nil, nil, err
	})
	return pid
}

// killAt kills a worker when it has come to a gate, and its session with it.
func (a *attic) killAt(gate int, what string) {
	a.t.Helper()
	a.close(gate)
	w := a.worker
	if w == nil || ended(w) {
		w = a.retainer()
	}
	pid := a.awaitAt(gate, what)
	w.kill()
	if _, err := a.db.Exec(a.t.Context(), "SELECT pg_terminate_backend($1, 5000)", pid); err != nil {
		a.t.Fatal(err)
	}
	a.open(gate)
	a.t.Logf("killed: %s", what)
}

func ended(p *process) bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// killAfterCommit lets a drop be committed while its worker cannot hear of it any more.
func (a *attic) killAfterCommit() {
	a.t.Helper()
	a.close(gateCommit)
	w := a.retainer()
	a.awaitAt(gateCommit, "a drop at its commit")
	if err := w.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		a.t.Fatal(err)
	}
	a.open(gateCommit)
	eventually(a.t, time.Minute, "the drop is committed", func(ctx context.Context) (bool, any, error) {
		var dropped bool
		err := a.db.QueryRow(ctx, "SELECT EXISTS (SELECT FROM monitoring.archive_s WHERE archive_status = 'DROPPED')").Scan(&dropped)
		return dropped, nil, err
	})
	w.kill()
	a.t.Log("killed: dropped, and Temporal has not heard of it")
}

// killWhileWriting kills the worker in the middle of the large export.
func (a *attic) killWhileWriting() {
	a.t.Helper()
	w := a.retainer()
	place := filepath.Join(a.dir, "system_health_metric_s")
	begun := regexp.MustCompile(`^system_health_metric_s_p[0-9]{8}\.csv\.zst\.tmp$`)
	deadline := time.Now().Add(time.Minute)
	for found := ""; found == ""; time.Sleep(time.Millisecond) { // a file's growth gives no event
		entries, err := os.ReadDir(place)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			a.t.Fatal(err)
		}
		for _, entry := range entries {
			if info, err := entry.Info(); err == nil && begun.MatchString(entry.Name()) && info.Size() > 0 {
				found = entry.Name()
			}
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("no export was begun:\n%s", w.out.tail())
		}
	}
	w.kill()
	if whole, err := filepath.Glob(filepath.Join(place, "*.json")); err != nil || len(whole) > 0 {
		a.t.Fatalf("the worker was not killed while it wrote: %v %v", whole, err)
	}
	a.t.Log("killed: in the middle of an export")
}

// retained is the result of the workflow.
type retained struct {
	Left []struct {
		Table string `json:"table"`
		Rows  int64  `json:"rows"`
	} `json:"left"`
	Problems []struct{ What, Error string } `json:"problems"`
}

// The workflow that the schedule started survives all of it: one run, eight workers.
func TestRetention_KilledAtEveryStepLosesAndDoublesNoRow(t *testing.T) {
	t.Parallel()
	a := startAttic(t)
	a.retainer()
	a.must(t, "schedule", "trigger", "retain")
	a.killAt(gateRollUp, "hours written, not committed")
	a.killAt(gateWritten, "files on disk, not recorded")
	a.killAt(gateVerified, "recorded, not known to be read back")
	a.killAt(gateDropped, "partition dropped, not committed")
	a.wantNothingLost("with the drop taken back")
	a.killAfterCommit()
	a.wantNothingLost("with the first partition gone")
	a.killWhileWriting()
	a.wantNothingLost("with half an export")
	a.killAt(gateDelete, "closed versions deleted, not committed")
	a.wantNothingLost("with the delete taken back")
	a.retainer()
	result := a.awaitEnd()
	t.Logf("left: %+v", result.Left)
	if len(result.Problems) > 0 {
		t.Errorf("problems: %+v", result.Problems)
	}
	a.wantAllArchived()
	a.wantHours()
	a.wantRestored()
}

// wantNothingLost: what the vault does not have is in verified archives, and nothing is in both.
func (a *attic) wantNothingLost(when string) {
	a.t.Helper()
	_, inVault := a.digests()
	var gone int64
	if err := a.db.QueryRow(a.t.Context(), "SELECT coalesce(sum(row_count), 0) FROM monitoring.archive_s WHERE load_end_date IS NULL AND archive_status = 'DROPPED'").Scan(&gone); err != nil {
		a.t.Fatal(err)
	}
	if inVault+gone != a.rows {
		a.t.Errorf("%s: %d rows in the vault and %d in archives, there were %d", when, inVault, gone, a.rows)
	}
}

// awaitEnd waits for the workflow that the schedule started.
func (a *attic) awaitEnd() retained {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), 3*time.Minute)
	defer cancel()
	schedule, err := a.temporal.ScheduleClient().GetHandle(ctx, "retain").Describe(ctx)
	if err != nil {
		a.t.Fatal(err)
	}
	actions := schedule.Info.RecentActions
	if len(actions) != 1 {
		a.t.Fatalf("the schedule started %d runs, want 1", len(actions))
	}
	id := actions[0].StartWorkflowResult.WorkflowID
	var result retained
	if err := a.temporal.GetWorkflow(ctx, id, "").Get(ctx, &result); err != nil {
		a.t.Fatalf("%s: %v\n%s", id, err, a.worker.out.tail())
	}
	a.export(ctx, id)
	return result
}

// export adds the history to the fixtures of the replay test, if that is asked for.
func (a *attic) export(ctx context.Context, workflowID string) {
	a.t.Helper()
	if *export == "" || !regexp.MustCompile("^("+*export+")$").MatchString("retain-killed") {
		return
	}
	h, err := history(ctx, a.temporal, workflowID, "")
	if err != nil {
		a.t.Fatal(err)
	}
	text, err := protojson.Marshal(h)
	if err != nil {
		a.t.Fatal(err)
	}
	if text, err = scrub(text); err != nil {
		a.t.Fatal(err)
	}
	path, err := addFixture("retain-killed", text)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Logf("wrote %s with %d events", path, len(h.GetEvents()))
}

// wantAllArchived: the vault has none of the rows, the archives have each once, and no leftovers lie about.
func (a *attic) wantAllArchived() {
	a.t.Helper()
	if _, n := a.digests(); n != 0 {
		a.t.Errorf("%d expired rows are still in the vault", n)
	}
	a.wantNothingLost("at the end")
	var inFiles int64
	err := filepath.WalkDir(a.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if strings.HasSuffix(path, ".tmp") || strings.Contains(path, ".replaced-") {
			a.t.Errorf("left over: %s", path)
		}
		if filepath.Ext(path) != ".json" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var manifest struct {
			Rows int64 `json:"rows"`
		}
		err = json.Unmarshal(text, &manifest)
		inFiles += manifest.Rows
		return err
	})
	if err != nil {
		a.t.Fatal(err)
	}
	if inFiles != a.rows {
		a.t.Errorf("the files hold %d rows, there were %d", inFiles, a.rows)
	}
}

// wantHours: each sample is counted in its hour, once.
func (a *attic) wantHours() {
	a.t.Helper()
	var samples, hours, twice int64
	err := a.db.QueryRow(a.t.Context(), `
		SELECT sum(sample_count), count(*), count(*) - count(DISTINCT (health_metric_hk, hour_start))
		  FROM monitoring.system_health_metric_hourly_s WHERE load_end_date IS NULL AND hour_start < now() - interval '40 days'`).Scan(&samples, &hours, &twice)
	if err != nil {
		a.t.Fatal(err)
	}
	if samples != 50*2010+100 || hours != 50*168+100 || twice != 0 {
		a.t.Errorf("%d hours count %d samples, %d of them twice; want %d hours and %d samples", hours, samples, twice, 50*168+100, 50*2010+100)
	}
}

// wantRestored: `onevault vault restore` of every file brings back exactly the rows that left, and again
// brings nothing; a file with one wrong byte brings nothing at all.
func (a *attic) wantRestored() {
	a.t.Helper()
	var archives []struct{ Name, File string }
	if err := json.Unmarshal([]byte(a.must(a.t, "vault", "archives", "-o", "json")), &archives); err != nil {
		a.t.Fatal(err)
	}
	a.refuseDamaged(archives[0].File)
	for _, archive := range archives {
		a.must(a.t, "vault", "restore", archive.File)
		if said := a.must(a.t, "vault", "restore", strings.TrimSuffix(archive.File, ".csv.zst")+".json"); !strings.HasPrefix(said, "restored 0 of ") {
			a.t.Errorf("restored again: %s", said)
		}
	}
	after, n := a.digests()
	if n != a.rows || fmt.Sprint(after) != fmt.Sprint(a.before) {
		a.t.Errorf("%d rows came back as %v\n%d rows had left as %v", n, after, a.rows, a.before)
	}
}

func (a *attic) refuseDamaged(file string) {
	a.t.Helper()
	whole, err := os.ReadFile(file)
	if err != nil {
		a.t.Fatal(err)
	}
	broken := append([]byte{}, whole...)
	broken[len(broken)/2] ^= 1
	if err := os.WriteFile(file, broken, 0o600); err != nil {
		a.t.Fatal(err)
	}
	r := a.onevault(a.t, "vault", "restore", file)
	if r.code != 1 || !strings.Contains(r.text, "is damaged: its SHA-256 should be") {
		a.t.Errorf("a damaged file: exit code %d\n%s", r.code, r.text)
	}
	if err := os.WriteFile(file, whole, 0o600); err != nil {
		a.t.Fatal(err)
	}
	if _, n := a.digests(); n != 0 {
		a.t.Errorf("%d rows of a damaged file were restored", n)
	}
}
