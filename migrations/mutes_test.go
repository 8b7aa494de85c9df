package migrations_test

import (
	"strings"
	"testing"
	"time"

	"onevault/pgserver/pgtest"
)

// muted says what mutes an alert: kind, id and by whom; empty: nothing does.
func muted(t *testing.T, db database, key string, at any) string {
	t.Helper()
	return strings.Join(values[string](t, db, `
		SELECT mute_kind || ' ' || mute_id || ' ' || muted_by || ': ' || comment
		  FROM monitoring.mutes_of(ARRAY[$1], coalesce($2::timestamptz, clock_timestamp()))`, key, at), ", ")
}

// news lists of which groups the workflows were asked to look again, and empties the outbox.
func news(t *testing.T, db database) string {
	t.Helper()
	return strings.Join(values[string](t, db, `
		WITH heard AS (
		    UPDATE monitoring.outbox SET relayed_at = now() WHERE relayed_at IS NULL AND kind IN ('MUTES', 'SILENCE')
		    RETURNING outbox_id, kind, alert_instance_hk)
		SELECT trim(k.kind || ' ' || coalesce(f.facts ->> 'definition', ''))
		  FROM heard k
		  LEFT JOIN monitoring.alert_facts f USING (alert_instance_hk)
		 ORDER BY 1`), ", ")
}

// fireOn opens an alert of a definition that is there, on a target.
func fireOn(t *testing.T, db database, definition, target, severity string) (key string) {
	t.Helper()
	key = "ALERT||" + target + "||" + definition + "||" + time.Now().Format(time.RFC3339Nano)
	exec(t, db, "SELECT monitoring.open_alert($1, util.hash_binary($2), NULL, $3, 'OPEN', now(), 9, '{}', $4, NULL, 'evaluator')", key, definition, target, severity)
	return key
}

func TestMatchers_HoldAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	const facts = `{"definition": "PG_LAG", "target": "pg-prod-3", "severity": "HIGH", "category": "PERFORMANCE", "tenant": null, "labels": {"slot": "s1"}}`
	for matchers, want := range map[string]bool{
		`{target=pg-prod-3}`:                  true,
		`{TARGET=pg-prod-3}`:                  false, // fields are checked when a mute is made
		`{target=PG-PROD-3}`:                  true,
		`{target=pg-prod}`:                    false,
		`{target!=pg-prod}`:                   true,
		`{target=~^pg-prod}`:                  true,
		`{target=~prod-(1|3)$}`:               true,
		`{target!~^PG}`:                       false,
		`{target=pg-prod-3,severity=LOW}`:     false,
		`{target=pg-prod-3,severity!=LOW}`:    true,
		`{label.slot=s1}`:                     true,
		`{label.slot=s2}`:                     false,
		`{label.other=}`:                      true, // what it does not have is empty
		`{tenant=}`:                           true,
		`{definition=PG_LAG,definition=PG_X}`: false,
		`{}`:                                  false,
		`{nonsense}`:                          false,
	} {
		if got := value[bool](t, db, "SELECT monitoring.matches($1::text[], $2::jsonb)", matchers, facts); got != want {
			t.Errorf("%s: %t, want %t", matchers, got, want)
		}
	}
}

func TestSilences_ThatCannotBeMeantAreRefusedWithFieldValueAndRemedy(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	const add = "SELECT monitoring.add_silence($1::text[], $2::timestamptz, $3)"
	soon := time.Now().Add(time.Hour)
	for _, bad := range []struct {
		matchers, comment string
		ends              time.Time
		words             []string
	}{
		{`{}`, "why", soon, []string{"matchers is empty", "target=~."}},
		{`{target}`, "why", soon, []string{`"target"`, "field=value"}},
		{`{host=a}`, "why", soon, []string{`"host=a"`, `no field "host"`, "definition, target, severity"}},
		{`{target=~(}`, "why", soon, []string{`"target=~("`, "parentheses", `\(`}},
		{`{severity=GRAVE}`, "why", soon, []string{`"severity=GRAVE"`, "CRITICAL"}},
		{`{definition=NONE_SUCH}`, "why", soon, []string{`"definition=NONE_SUCH"`, "onevault definition list"}},
		{`{target=pg-none}`, "why", soon, []string{`"target=pg-none"`, "onevault target list"}},
		{`{tenant=ORG1}`, "why", soon, []string{`"tenant=ORG1"`, "hash key"}},
		{`{target=local}`, " ", soon, []string{"comment is empty", "ticket"}},
		{`{target=local}`, "why", time.Now().Add(-time.Minute), []string{"ends at", "later"}},
		{`{target=local}`, "why", time.Now().Add(31 * 24 * time.Hour), []string{"more than 30 days"}},
	} {
		refused(t, db, "22023", bad.words, add, bad.matchers, bad.ends, bad.comment)
	}
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.silence_h"); n != 0 {
		t.Errorf("%d hubs of refused silences are left", n)
	}
	refused(t, db, "23502", nil, add, `{target=local}`, nil, "why") // there is no silence without an end
}

func TestSilences_MuteFromTheirBeginningToTheirEndAndCriticalOnlyWhenTold(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	define(t, db, "A", nil)
	define(t, db, "B", columns{"alert_severity": "CRITICAL"})
	a, b := fireOn(t, db, "A", "local", "HIGH"), fireOn(t, db, "B", "local", "CRITICAL")
	news(t, db)
	begin := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	id := value[string](t, db, "SELECT monitoring.add_silence('{target=local}', $1::timestamptz + interval '2 hours', 'CHG-812', $1, p_by => 'dana')", begin)
	if !strings.HasPrefix(id, "S-") || len(id) != 6 {
		t.Errorf("its id is %q", id)
	}
	for offset, want := range map[time.Duration]string{-time.Second: "", 0: "SILENCE " + id + " dana: CHG-812", 2*time.Hour - time.Second: "SILENCE " + id + " dana: CHG-812", 2 * time.Hour: ""} {
		if got := muted(t, db, a, begin.Add(offset)); got != want {
			t.Errorf("%s after its beginning A is muted by %q, want %q", offset, got, want)
		}
		if got := muted(t, db, b, begin.Add(offset)); got != "" {
			t.Errorf("%s after its beginning the critical B is muted by %q", offset, got)
		}
	}
	exec(t, db, "SELECT monitoring.add_silence('{definition=B}', now() + interval '1 hour', 'known', p_include_critical => true)")
	if got := muted(t, db, b, nil); !strings.HasPrefix(got, "SILENCE S-") {
		t.Errorf("with the critical included, B is muted by %q", got)
	}
}

func TestSilences_AreHeardAtOnceWhenMadeExtendedAndEnded(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	define(t, db, "A", nil)
	define(t, db, "B", nil)
	a := fireOn(t, db, "A", "local", "HIGH")
	fireOn(t, db, "A", "local", "HIGH") // of the same group
	fireOn(t, db, "B", "local", "HIGH")
	news(t, db)
	id := value[string](t, db, "SELECT monitoring.add_silence('{definition=A}', now() + interval '1 hour', 'CHG-812')")
	if got := news(t, db); got != "MUTES A, SILENCE" {
		t.Errorf("made: told %q", got)
	}
	end := time.Now().Add(3 * time.Hour).Truncate(time.Second)
	if !value[bool](t, db, "SELECT monitoring.extend_silence($1, $2, 'erin')", id, end) || value[bool](t, db, "SELECT monitoring.extend_silence($1, $2, 'erin')", id, end) {
		t.Error("extending it twice to the same end is not one change")
	}
	if got := news(t, db); got != "MUTES A, SILENCE" {
		t.Errorf("extended: told %q", got)
	}
	if got := value[time.Time](t, db, "SELECT until FROM monitoring.mutes_of(ARRAY[$1])", a); !got.Equal(end) {
		t.Errorf("muted until %s, want %s", got, end)
	}
	refused(t, db, "22023", []string{"30 days"}, "SELECT monitoring.extend_silence($1, now() + interval '31 days')", id)
	if !value[bool](t, db, "SELECT monitoring.end_silence($1, 'frank')", strings.ToLower(id)) || value[bool](t, db, "SELECT monitoring.end_silence($1, 'frank')", id) {
		t.Error("ending it twice is not one change")
	}
	if got := news(t, db); got != "MUTES A, SILENCE" {
		t.Errorf("ended: told %q", got)
	}
	if got := muted(t, db, a, nil); got != "" {
		t.Errorf("after its end muted by %q", got)
	}
	refused(t, db, "55000", []string{"ended at"}, "SELECT monitoring.extend_silence($1, now() + interval '1 hour')", id)
	refused(t, db, "P0002", []string{"no silence"}, "SELECT monitoring.end_silence('S-ZZZZ')")
	if got := value[string](t, db, "SELECT concat_ws(' ', silenced_by, changed_by, ended_by) FROM monitoring.silence_current"); !strings.HasSuffix(got, "frank frank") {
		t.Errorf("who did it: %q", got)
	}
}

func TestMaintenance_MutesInItsWindowsByTheClocksOfItsZone(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	define(t, db, "A", nil)
	a := fireOn(t, db, "A", "local", "HIGH")
	exec(t, db, "SELECT monitoring.add_maintenance('upgrade', '{target=local}', '2026-07-05 02:00', '3 hours', 'PostgreSQL 18', p_time_zone => 'Europe/Berlin', p_by => 'dana')")
	summer := time.Date(2026, 7, 5, 0, 0, 0, 0, time.UTC) // 02:00 in Berlin
	for offset, want := range map[time.Duration]string{-time.Second: "", 0: "MAINTENANCE upgrade dana: PostgreSQL 18", 3 * time.Hour: ""} {
		if got := muted(t, db, a, summer.Add(offset)); got != want {
			t.Errorf("%s after its beginning: %q, want %q", offset, got, want)
		}
	}
	// One that recurs waits for a worker, who writes its windows ahead.
	exec(t, db, "SELECT monitoring.add_maintenance('sundays', '{target=local}', '2026-07-05 02:00', '1 hour', 'patching', 'FREQ=WEEKLY;BYDAY=SU')")
	version := value[time.Time](t, db, "SELECT version FROM monitoring.maintenance_current WHERE maintenance_name = 'sundays' AND windows IS NULL")
	if !value[bool](t, db, "SELECT monitoring.write_windows('sundays', $1, '{[2026-07-12 02:00Z,2026-07-12 03:00Z)}', '2026-07-20', NULL)", version) {
		t.Error("its windows were not written")
	}
	if value[bool](t, db, "SELECT monitoring.write_windows('sundays', $1, '{}', '2026-07-20', NULL)", version) {
		t.Error("windows of an old version were written")
	}
	sunday := time.Date(2026, 7, 12, 2, 30, 0, 0, time.UTC)
	if got := muted(t, db, a, sunday); !strings.HasPrefix(got, "MAINTENANCE sundays") {
		t.Errorf("on Sunday muted by %q", got)
	}
	exec(t, db, "SELECT monitoring.remove_maintenance('sundays', 'erin')")
	if got := muted(t, db, a, sunday); got != "" {
		t.Errorf("removed, and still muted by %q", got)
	}
	refused(t, db, "P0002", []string{"no maintenance"}, "SELECT monitoring.remove_maintenance('sundays', 'erin')")
}

func TestMaintenance_ThatCouldNeverBeIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	const add = "SELECT monitoring.add_maintenance($1, $2::text[], '2026-07-05 02:00', $3::interval, $4, $5, $6)"
	for _, bad := range []struct {
		name, matchers, duration, comment, rrule, zone string
		words                                          []string
	}{
		{"a b", "{target=local}", "1 hour", "why", "", "UTC", []string{`"a b"`, "letters"}},
		{"m", "{host=a}", "1 hour", "why", "", "UTC", []string{`no field "host"`}},
		{"m", "{target=local}", "10 days", "why", "", "UTC", []string{"864000", "7 days"}},
		{"m", "{target=local}", "1 hour", "", "", "UTC", []string{"comment is empty"}},
		{"m", "{target=local}", "1 hour", "why", "", "Mars/Olympus", []string{`"Mars/Olympus"`, "Europe/Berlin"}},
		{"m", "{target=local}", "1 hour", "why", "FREQ=HOURLY", "UTC", []string{`"FREQ=HOURLY"`, "daily at most"}},
		{"m", "{target=local}", "1 hour", "why", "BYDAY=SU", "UTC", []string{"lacks its FREQ"}},
	} {
		refused(t, db, "22023", bad.words, add, bad.name, bad.matchers, bad.duration, bad.comment, bad.rrule, bad.zone)
	}
	exec(t, db, add, "m", "{target=local}", "1 hour", "why", nil, "UTC")
	refused(t, db, "22023", []string{`"M" is there already`}, add, "M", "{target=local}", "1 hour", "why", nil, "UTC")
}

func TestInhibition_ATargetThatIsDownSpeaksForItsAlerts(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for _, name := range []string{"pg-1", "pg-2"} {
		exec(t, db, "SELECT monitoring.add_target($1, 'postgres://watcher@h/db')", name)
	}
	define(t, db, "A", columns{"alert_severity": "CRITICAL"})
	here, elsewhere := fireOn(t, db, "A", "pg-1", "CRITICAL"), fireOn(t, db, "A", "pg-2", "CRITICAL")
	news(t, db)
	down := fireOn(t, db, "TARGET_UNREACHABLE", "pg-1", "CRITICAL")
	short := value[string](t, db, "SELECT monitoring.alert_short_id(util.hash_binary($1))", down)
	if got := news(t, db); got != "MUTES A, MUTES TARGET_UNREACHABLE" {
		t.Errorf("when the target went down, told %q", got)
	}
	if got := muted(t, db, here, nil); got != "INHIBITION TARGET_DOWN "+short+": TARGET_UNREACHABLE on pg-1 says it already" {
		t.Errorf("muted by %q", got)
	}
	count := func() {
		t.Helper()
		exec(t, db, `SELECT monitoring.record_alert_changes(jsonb_build_array(jsonb_build_object('alert_key', $1::text, 'change', 'NOTIFIED', 'at', clock_timestamp(), 'count', 1)))`, down)
	}
	if count(); news(t, db) != "" {
		t.Error("a message about the source was counted, and workflows are asked to look again")
	}
	backup := fireOn(t, db, "BACKUP_FAILURE_ALERT", "pg-1", "CRITICAL")
	for name, key := range map[string]string{"on another target": elsewhere, "the source itself": down, "read in the vault": backup} {
		if got := muted(t, db, key, nil); got != "" {
			t.Errorf("%s: muted by %q", name, got)
		}
	}
	// Of a source that is silenced itself nobody hears.
	id := value[string](t, db, "SELECT monitoring.add_silence('{definition=TARGET_UNREACHABLE}', now() + interval '1 hour', 'why', p_include_critical => true)")
	if got := muted(t, db, here, nil); got != "" {
		t.Errorf("its source is silenced, and it is muted by %q", got)
	}
	exec(t, db, "SELECT monitoring.end_silence($1)", id)
	news(t, db)
	exec(t, db, "SELECT monitoring.change_alert_state(util.hash_binary($1), 'RESOLVED', now(), 'condition cleared', 'evaluator', NULL, NULL)", down)
	if got := news(t, db); got != "MUTES A" {
		t.Errorf("when the target was back, told %q", got)
	}
	if count(); news(t, db) != "" {
		t.Error("a message about the end of the source was counted, and workflows are asked to look again")
	}
	if got := muted(t, db, here, nil); got != "" {
		t.Errorf("its source has ended, and it is muted by %q", got)
	}
}

func TestInhibition_ANearlyFullDiskMutesItsForecastAndNothingElse(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	define(t, db, "A", nil)
	fireOn(t, db, "DISK_CRITICAL", "local", "CRITICAL")
	for definition, want := range map[string]bool{"DISK_WARNING": true, "CAPACITY_FORECAST_FULL": true, "A": false} {
		if got := muted(t, db, fireOn(t, db, definition, "local", "HIGH"), nil); (got != "") != want {
			t.Errorf("%s: muted by %q", definition, got)
		}
	}
	const put = `
		INSERT INTO monitoring.inhibition_s (inhibition_hk, hash_diff, source_definition, muted_matchers, equal_fields, inhibition_comment)
		SELECT inhibition_hk, '\x', $1, $2::text[], $3::text[], 'why' FROM monitoring.inhibition_h WHERE inhibition_bk = 'DISK_FULL'`
	refused(t, db, "22023", []string{`"NONE_SUCH"`}, put, "NONE_SUCH", "{target=local}", "{target}")
	refused(t, db, "22023", []string{`no field "host"`}, put, "A", "{host=local}", "{target}")
	refused(t, db, "22023", []string{`equal_fields holds "host"`}, put, "A", "{target=local}", "{host}")
}

func TestWouldMute_CountsWhatIsOpenAndWhatCanFire(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	exec(t, db, "SELECT monitoring.add_target('pg-1', 'postgres://watcher@h/db')")
	onlyDefinition(t, db)
	define(t, db, "A", nil)
	define(t, db, "B", columns{"alert_severity": "CRITICAL"})
	fireOn(t, db, "A", "pg-1", "HIGH")
	fireOn(t, db, "B", "pg-1", "CRITICAL")
	fireOn(t, db, "A", "local", "HIGH")
	counts := func(matchers string, critical bool) string {
		t.Helper()
		return value[string](t, db, `
			SELECT concat_ws('/', count(*) FILTER (WHERE what = 'ALERT' AND muted), count(*) FILTER (WHERE what = 'ALERT'),
			                      count(*) FILTER (WHERE what = 'DEFINITION' AND muted), count(*) FILTER (WHERE what = 'DEFINITION'))
			  FROM monitoring.would_mute($1::text[], $2)`, matchers, critical)
	}
	if got := counts("{target=pg-1}", false); got != "1/2/1/4" {
		t.Errorf("without the critical: %s", got)
	}
	if got := counts("{target=pg-1}", true); got != "2/2/2/4" {
		t.Errorf("with them: %s", got)
	}
	if got := counts("{definition=A}", false); got != "2/2/2/4" {
		t.Errorf("of A: %s", got)
	}
}

func TestMutes_OfOneTenantAreNotSeenByAnother(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	admin := connect(t, address)
	exec(t, admin, "INSERT INTO auth.tenant_h (tenant_hk, tenant_bk, record_source) VALUES (util.hash_binary('ORG1'), 'ORG1', 'TEST')")
	exec(t, admin, "SELECT monitoring.add_target('pg-org1', 'postgres://watcher@h/db', p_tenant => 'ORG1')")
	exec(t, admin, "SELECT monitoring.add_silence('{target=pg-org1}', now() + interval '1 hour', 'theirs'), monitoring.add_silence('{target=local}', now() + interval '1 hour', 'everybody''s')")
	reader, _ := member(t, address, "onevault_reader")
	if got := strings.Join(values[string](t, reader, "SELECT silence_comment FROM monitoring.silence_current"), ", "); got != "everybody's" {
		t.Errorf("a reader of no tenant sees %q", got)
	}
	operator, _ := member(t, address, "onevault_operator")
	if id := value[string](t, operator, "SELECT monitoring.add_silence('{target=~.}', now() + interval '1 hour', 'drill')"); id == "" {
		t.Error("an operator made no silence")
	}
	refused(t, reader, "42501", nil, "SELECT monitoring.add_silence('{target=~.}', now() + interval '1 hour', 'drill')")
}
