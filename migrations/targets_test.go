package migrations_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/pgserver/pgtest"
)

const shopURL = "postgres://watcher@db.example.com:5432/shop?sslmode=verify-full"

func TestAddTarget_RefusesWhatCouldNeverBeWatchedAndSaysWhatToDo(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	exec(t, db, "SELECT monitoring.add_target('prod', $1)", shopURL)
	for _, c := range []struct {
		call  string
		code  string
		words []string
	}{
		{`'pg prod', p_url => 'postgres://u@h/d'`, "22023", []string{"pg prod", "letters, digits"}},
		{`'a/b', p_url => 'postgres://u@h/d'`, "22023", []string{"a/b"}},
		{`'-x', p_url => 'postgres://u@h/d'`, "22023", []string{"-x"}},
		{`'Local', p_url => 'postgres://u@h/d'`, "22023", []string{"taken", "another name"}},
		{`'PROD', p_url => 'postgres://u@h/d'`, "22023", []string{`"prod" is there already`}},
		{`'x', p_url => 'mysql://u@h/d'`, "22023", []string{"postgres://"}},
		{`'x', p_url => 'postgres://u:s3cret-word@h/d'`, "22023", []string{"holds a password", "password_env", "change that password"}},
		{`'x', p_url => 'postgres://u@h/d?password=s3cret-word'`, "22023", []string{"holds a password"}},
		{`'x', p_url => 'postgres://u@h/d?sslpassword=s3cret-word'`, "22023", []string{"holds a password"}},
		{`'x', p_url => 'postgres://h/d'`, "22023", []string{"lacks its user"}},
		{`'x', p_url => 'postgres://u@h:54a/d'`, "22023", []string{"port is no number"}},
		{`'x', p_url => 'postgres://u@/d'`, "22023", []string{"lacks its host", "/var/run/postgresql"}},
		{`'x', p_url => 'postgres://u@h/'`, "22023", []string{"database"}},
		{`'x', p_url => 'postgres://u@h/d?options=-cx'`, "22023", []string{`"options"`, "sslrootcert"}},
		{`'x', p_url => 'postgres://u@h/d?sslmode=on'`, "22023", []string{`"on"`, "verify-full"}},
		{`'x'`, "22023", []string{"0 of target_url", "exactly one"}},
		{`'x', p_url => 'postgres://u@h/d', p_url_env => 'X'`, "22023", []string{"2 of target_url"}},
		{`'x', p_url => 'postgres://u@h/d', p_password_env => 'A', p_password_file => '/etc/b'`, "22023", []string{"both given"}},
		{`'x', p_url_env => 'X', p_password_env => 'Y'`, "22023", []string{"leave password_env"}},
		{`'x', p_url => 'postgres://u@h/d', p_password_env => 's3cret-word'`, "22023", []string{"no name of a variable"}},
		{`'x', p_url => 'postgres://u@h/d', p_password_env => 'PGPASSWORD'`, "22023", []string{"the worker's own"}},
		{`'x', p_url_env => 'ONEVAULT_DATABASE_URL'`, "22023", []string{"the worker's own"}},
		{`'x', p_url_env => 'ONEVAULT_LINK_KEY'`, "22023", []string{"the worker's own"}},
		{`'x', p_url => 'postgres://u@h/d', p_password_file => 'prod.pass'`, "22023", []string{"no absolute path"}},
		{`'x', p_url_file => '/etc/onevault/../shadow'`, "22023", []string{"no absolute path"}},
		{`'x', p_url => 'postgres://u@h/d', p_collect_every => '10 minutes'`, "22023", []string{"600", "5 seconds to 5 minutes"}},
		{`'x', p_url => 'postgres://u@h/d', p_tenant => 'NOBODY'`, "22023", []string{`no tenant "NOBODY"`}},
		{`'x', p_url => 'postgres://u@h/d', p_by => ' '`, "22023", []string{"p_by is empty"}},
	} {
		refused(t, db, c.code, c.words, "SELECT monitoring.add_target("+c.call+")")
		if _, err := db.Exec(t.Context(), "SELECT monitoring.add_target("+c.call+")"); err != nil && strings.Contains(c.call, "://u") && strings.Contains(err.Error(), "s3cret-word") {
			t.Errorf("the password is repeated: %v", err)
		}
	}
	for name, call := range map[string]string{
		"a.b_c-1": `p_url => 'postgresql://u%40x@[::1]:5433/d%20b?sslmode=require&sslrootcert=/etc/ca.pem'`,
		"socket":  `p_url => 'postgres://u@/d?host=/var/run/postgresql&port=5433'`,
		"whole":   `p_url_file => '/run/secrets/whole'`,
		"cluster": `p_url => 'postgres://u@h1:5432,h2:5433/d?target_session_attrs=read-write', p_password_env => 'PGPASS_PROD', p_collect_every => '30 seconds'`,
	} {
		exec(t, db, fmt.Sprintf("SELECT monitoring.add_target('%s', %s)", name, call))
	}
	if got := value[int](t, db, "SELECT count(*) FROM monitoring.target_current WHERE target_state = 'ENABLED'"); got != 5 {
		t.Errorf("%d targets, want 5", got)
	}
}

func TestChangeTarget_ChangesWhatIsGivenAndKeepsItsHistory(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	exec(t, db, "SELECT monitoring.add_target('prod', $1, p_password_env => 'A', p_by => 'dana')", shopURL)
	stands := func() string {
		t.Helper()
		return value[string](t, db, `SELECT concat_ws(' ', target_state, target_url, password_env, password_file, url_file, collect_every, description, changed_by)
		  FROM monitoring.target_current WHERE target_name = 'prod'`)
	}
	for _, c := range []struct{ call, want string }{
		{"p_description => 'the shop', p_collect_every => '1 minute', p_by => 'lee'", "ENABLED " + shopURL + " A 00:01:00 the shop lee"},
		{"p_password_file => '/etc/onevault/p', p_description => '', p_collect_every => '0'", "ENABLED " + shopURL + " /etc/onevault/p postgres"},
		{"p_enabled => false", "DISABLED " + shopURL + " /etc/onevault/p postgres"},
		{"p_url_file => '/etc/onevault/url', p_enabled => true", "ENABLED /etc/onevault/url postgres"},
	} {
		if !value[bool](t, db, "SELECT monitoring.change_target('Prod', "+c.call+")") {
			t.Errorf("%s changed nothing", c.call)
		}
		if got := stands(); got != c.want {
			t.Errorf("%s: %s, want %s", c.call, got, c.want)
		}
	}
	if value[bool](t, db, "SELECT monitoring.change_target('prod', p_enabled => true, p_by => 'somebody else')") {
		t.Error("leaving it as it is is a change")
	}
	if got := value[int](t, db, "SELECT count(*) FROM monitoring.target_s"); got != 5 {
		t.Errorf("%d versions, want 5", got)
	}
	refused(t, db, "22023", []string{"holds a password"}, "SELECT monitoring.change_target('prod', 'postgres://u:p@h/d')")
	refused(t, db, "P0002", []string{`no target "nobody"`, "onevault target list"}, "SELECT monitoring.change_target('nobody', p_enabled => true)")
	refused(t, db, "P0002", []string{"workers' settings"}, "SELECT monitoring.change_target('local', p_enabled => false)")
}

func TestRemoveTarget_EndsItsAlertsHonestlyAndNothingFiresAfterwards(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	exec(t, db, "SELECT monitoring.add_target('prod', $1)", shopURL)
	unanswered(t, db, "prod")
	exec(t, db, "SELECT monitoring.evaluate_due('prod')")
	if got := openOn(t, db, "prod"); !slices.Equal(got, []string{"TARGET_UNREACHABLE"}) {
		t.Fatalf("open: %q", got)
	}
	if n := value[int](t, db, "SELECT monitoring.remove_target('prod', 'dana')"); n != 1 {
		t.Errorf("%d alerts ended, want 1", n)
	}
	got := value[string](t, db, `
		SELECT concat_ws('; ', s.alert_status, s.resolved_by, s.resolution_notes)
		  FROM monitoring.alert_instance_s s JOIN monitoring.alert_instance_h h USING (alert_instance_hk)
		 WHERE h.target_name = 'prod' AND s.load_end_date IS NULL`)
	if want := "RESOLVED; target removed; the target was removed by dana: whether the condition cleared is not known"; got != want {
		t.Errorf("the alert ended as %q, want %q", got, want)
	}
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.outbox WHERE target_name = 'prod' AND kind = 'RESOLVED' AND payload ->> 'actor' = 'target removed'"); n != 1 {
		t.Errorf("%d tell its workflow, want 1", n)
	}
	// A collection and an evaluation that were under way.
	unanswered(t, db, "prod")
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.evaluate_due('prod', interval '0')"); n != 0 {
		t.Errorf("%d definitions were evaluated on a removed target", n)
	}
	refused(t, db, "P0002", []string{"no target"}, "SELECT monitoring.remove_target('prod')")
	// It comes back with its history.
	exec(t, db, "SELECT monitoring.add_target('prod', $1)", shopURL)
	if got := value[string](t, db, "SELECT string_agg(target_state, ' ' ORDER BY load_date) FROM monitoring.target_s"); got != "ENABLED REMOVED ENABLED" {
		t.Errorf("versions: %s", got)
	}
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.evaluate_due('prod', interval '0')"); n == 0 {
		t.Error("a target that was added again is not evaluated")
	}
}

// Whatever was measured before a target stopped answering says nothing about now: what is open stays open.
func TestEvaluation_ATargetThatDoesNotAnswerResolvesNothingThatItHides(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	// One of each kind: missing data is held, missing data is fine, and a condition that must clear for a while.
	exec(t, db, `UPDATE monitoring.alert_definition_s SET load_end_date = clock_timestamp() WHERE load_end_date IS NULL
	              AND alert_name NOT IN ('Target Unreachable', 'Slow Top Queries')`)
	define(t, db, "HELD", columns{"condition_logic": "blocked_backends > 1", "pending_minutes": 0})
	define(t, db, "FINE_WITHOUT", columns{"condition_logic": "blocked_backends > 1", "no_data_state": "OK", "clear_minutes": 0})
	measuredOn(t, db, "prod", time.Now().Add(-time.Minute), "target_reachable", 1, "blocked_backends", 9)
	exec(t, db, "SELECT monitoring.evaluate_due('prod', interval '0')")
	if got := openOn(t, db, "prod"); !slices.Equal(got, []string{"FINE_WITHOUT", "HELD"}) {
		t.Fatalf("open: %q", got)
	}
	// The last sample before it dies would clear both; nobody looked at it while it was true.
	measuredOn(t, db, "prod", time.Now().Add(-30*time.Second), "target_reachable", 1, "blocked_backends", 0)
	unanswered(t, db, "prod")
	exec(t, db, "SELECT monitoring.evaluate_due('prod', interval '0')")
	if got := openOn(t, db, "prod"); !slices.Equal(got, []string{"FINE_WITHOUT", "HELD", "TARGET_UNREACHABLE"}) {
		t.Errorf("open while it is down: %q", got)
	}
	measuredOn(t, db, "prod", time.Now(), "target_reachable", 1, "blocked_backends", 0)
	exec(t, db, "SELECT monitoring.evaluate_due('prod', interval '0')")
	if got := openOn(t, db, "prod"); len(got) != 0 {
		t.Errorf("open when it is back: %q", got)
	}
}

func TestEvaluation_WhatIsOfTheVaultIsEvaluatedOnceAndNotOnEachTarget(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	sources := `SELECT DISTINCT s.metric_source COLLATE "C"
		  FROM monitoring.alert_evaluation_s e
		  JOIN monitoring.alert_definition_s s ON s.alert_definition_hk = e.alert_definition_hk AND s.load_end_date IS NULL
		 WHERE e.target_name = $1 ORDER BY 1`
	for _, target := range []string{"local", "prod"} {
		exec(t, db, "SELECT monitoring.evaluate_due($1)", target)
	}
	local, prod := values[string](t, db, sources, "local"), values[string](t, db, sources, "prod")
	for _, source := range []string{"backup_failures", "incidents", "notifications"} {
		if !slices.Contains(local, source) || slices.Contains(prod, source) {
			t.Errorf("%s: evaluated on local %t, on prod %t", source, slices.Contains(local, source), slices.Contains(prod, source))
		}
	}
	if !slices.Contains(prod, "system_health") {
		t.Errorf("on prod only %q", prod)
	}
}

func TestTargetOfATenant_IsSeenByItsReadersAlone(t *testing.T) {
	t.Parallel()
	url := pgtest.DB(t)
	admin := connect(t, url)
	exec(t, admin, "INSERT INTO auth.tenant_h SELECT util.hash_binary(t), t, now(), 'TEST' FROM unnest(ARRAY['ORG1', 'ORG2']) AS t")
	exec(t, admin, "SELECT monitoring.add_target('shop', $1, p_tenant => 'ORG1')", shopURL)
	exec(t, admin, "SELECT monitoring.add_target('all', $1)", shopURL)
	for _, target := range []string{"shop", "all"} {
		unanswered(t, admin, target)
		exec(t, admin, "SELECT monitoring.evaluate_due($1)", target)
	}
	seen := `SELECT string_agg(DISTINCT target_name, ' ' ORDER BY target_name) FROM (
		SELECT target_name FROM monitoring.target_current
		UNION ALL SELECT target_name FROM monitoring.alert_current
		UNION ALL SELECT h.target_name FROM monitoring.system_health_metric_s JOIN monitoring.system_health_metric_h h USING (health_metric_hk)) AS x`
	for tenant, want := range map[string]string{"ORG1": "all shop", "ORG2": "all"} {
		reader, name := member(t, url, "onevault_reader")
		exec(t, admin, "INSERT INTO monitoring.reader_tenant (role_name, tenant_hk) VALUES ($1, util.hash_binary($2))", name, tenant)
		if got := value[string](t, reader, seen); got != want {
			t.Errorf("a reader of %s sees %q, want %q", tenant, got, want)
		}
	}
	if got := value[string](t, admin, "SELECT string_agg(monitoring.alert_group_key('X', target_name, tenant_hk), ' ' ORDER BY target_name) FROM monitoring.alert_instance_h"); !strings.HasPrefix(got, "alert/all/X alert/shop/X/") {
		t.Errorf("groups: %s", got)
	}
	exec(t, admin, "SELECT monitoring.remove_target('shop')")
	refused(t, admin, "22023", []string{"another tenant"}, "SELECT monitoring.add_target('shop', $1)", shopURL)
}

func TestTargets_OperatorsChangeThemThroughTheFunctionsAndWorkersDoNot(t *testing.T) {
	t.Parallel()
	url := pgtest.DB(t)
	operator, name := member(t, url, "onevault_operator")
	exec(t, operator, "SELECT monitoring.add_target('prod', $1)", shopURL)
	if got := value[string](t, operator, "SELECT changed_by || ' ' || changed_role FROM monitoring.target_current"); got != name+" "+name {
		t.Errorf("added by %q, want %s", got, name)
	}
	refused(t, operator, denied, nil, "INSERT INTO monitoring.target_h (target_hk, target_bk, target_name) VALUES ('\\x', 'x', 'x')")
	worker, _ := member(t, url, "onevault_worker")
	for _, table := range []string{"target_h", "target_s"} {
		refused(t, worker, denied, nil, "INSERT INTO monitoring."+table+" DEFAULT VALUES")
	}
	if n := value[int](t, worker, "SELECT count(*) FROM monitoring.target_current"); n != 1 {
		t.Errorf("the worker sees %d targets", n)
	}
	exec(t, worker, "SELECT monitoring.evaluate_due('prod')")
}

// A removal waits for an evaluation that is under way, so nothing fires on a target that is gone.
func TestRemoveTarget_WaitsForAnEvaluationUnderWay(t *testing.T) {
	t.Parallel()
	url := pgtest.DB(t)
	evaluator, remover := connect(t, url), connect(t, url)
	exec(t, remover, "SELECT monitoring.add_target('prod', $1)", shopURL)
	unanswered(t, remover, "prod")
	tx, err := evaluator.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exec(t, tx, "SELECT monitoring.evaluate_due('prod')")
	removed := make(chan int, 1)
	go func() {
		var n int
		if err := remover.QueryRow(context.Background(), "SELECT monitoring.remove_target('prod')").Scan(&n); err != nil {
			t.Error(err)
		}
		removed <- n
	}()
	awaitBlocked(t, connect(t, url))
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := <-removed; n != 1 {
		t.Errorf("%d alerts ended with the target, want the one that fired meanwhile", n)
	}
}

func openOn(t *testing.T, db database, target string) []string {
	t.Helper()
	return values[string](t, db, `SELECT alert_definition_bk COLLATE "C" FROM monitoring.alert_current
		WHERE target_name = $1 AND alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED') ORDER BY 1`, target)
}

func unanswered(t *testing.T, db database, target string) {
	t.Helper()
	measuredOn(t, db, target, time.Now(), "target_reachable", 0)
}

// measuredOn records values by name, as measured at a moment.
func measuredOn(t *testing.T, db database, target string, at time.Time, pairs ...any) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		exec(t, db, `SELECT monitoring.record_health_samples($1, NULL, $2, 60, jsonb_build_array(jsonb_build_object(
			'name', $3::text, 'category', 'AVAILABILITY', 'value', $4::numeric, 'low_is_bad', false)))`, target, at, pairs[i], pairs[i+1])
	}
}
