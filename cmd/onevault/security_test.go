package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"onevault/collect"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

// looked records one look at a target, as a worker does.
func (l life) looked(target string, at time.Time, results string) {
	l.t.Helper()
	l.psql("SELECT monitoring.record_security_results($1, $2, $3, 1)", target, at, results)
}

// severalEvents has a look before which a role was a superuser already, and one that finds an open schema
// and a wave of log-ins that failed.
func severalEvents(t *testing.T) life {
	t.Helper()
	l := newLife(t)
	role := `{"event_type": "SUPERUSER_ROLE", "severity": "HIGH", "object": "dba", "username": "dba", "details": {"role": "dba"}, "false_positive_likelihood": 40, "mitigation_actions": ["ALTER ROLE dba NOSUPERUSER"]}`
	schema := `{"event_type": "PUBLIC_CREATE_GRANT", "severity": "MEDIUM", "object": "app", "database_name": "app", "details": {"schema": "app"}, "false_positive_likelihood": 20, "mitigation_actions": ["REVOKE CREATE ON SCHEMA app FROM PUBLIC"]}`
	l.looked("pg-prod-3", now.Add(-2*time.Hour), `[{"check": "superuser_roles", "findings": [`+role+`]}, {"check": "public_create", "findings": []},
		{"check": "server_log", "reading": {"from": null, "to": {"offset": 0}, "failures": [], "successes": []}}]`)
	l.looked("pg-prod-3", now.Add(-20*time.Minute), `[{"check": "superuser_roles", "findings": [`+role+`]}, {"check": "public_create", "findings": [`+schema+`]},
		{"check": "weak_hba_rules", "skipped": "role c may not read pg_hba_file_rules: GRANT SELECT ON pg_hba_file_rules TO c"}, {"check": "copy_out", "failed": "canceling statement due to statement timeout"},
		{"check": "server_log", "skipped": "12 MB of the log are left for the next look", "reading": {"from": {"offset": 0}, "to": {"offset": 1}, "successes": [], "failures": [
			{"source": "10.0.0.9", "username": "app", "database": "app", "count": 12, "first": "`+now.Add(-30*time.Minute).Format(time.RFC3339)+`", "last": "`+now.Add(-25*time.Minute).Format(time.RFC3339)+`", "codes": {"28P01": 12}}]}}]`)
	return l
}

func TestSecurityList_TheGravestFirst(t *testing.T) {
	t.Parallel()
	l := severalEvents(t)
	got := l.cli("security", "list")
	got.wants(t, exitDone, "BRUTE_FORCE", "10.0.0.9", "12 failures", "PUBLIC_CREATE_GRANT", "SUPERUSER_ROLE")
	if strings.Index(got.out, "BRUTE_FORCE") > strings.Index(got.out, "PUBLIC_CREATE_GRANT") {
		t.Errorf("the gravest is not first:\n%s", got.out)
	}
	if got := l.cli("security", "list", "severity=HIGH", "-o", "name"); strings.Count(got.out, "S-") != 1 {
		t.Errorf("grave are %q", got.out)
	}
	l.cli("security", "list", "--target", "elsewhere").wants(t, exitDone, "no open security events")
	l.cli("security", "list", "--since", "1h", "-o", "json", "type=SUPERUSER_ROLE").wants(t, exitDone, "[]")
	l.cli("security", "list", "x=1").wants(t, exitUsage, "use id, severity, status")
}

func TestSecurityVerdicts_AreSignedAndAnswerWhoWasFirst(t *testing.T) {
	t.Parallel()
	l := severalEvents(t)
	id := strings.TrimSpace(l.cli("security", "list", "type=BRUTE_FORCE", "-o", "name").out)
	l.cli("security", "false-positive", id).wants(t, exitUsage, "-m is missing")
	l.cli("security", "investigate", id, "--actor", "dana", "-m", "asking the team").wants(t, exitDone, id+" is being investigated, by dana")
	l.cli("security", "investigate", id, "--actor", "erin").wants(t, exitDone, id+" is being investigated since ", "by dana")
	l.cli("security", "false-positive", strings.ToLower(id), "--actor", "erin", "-m", "the old password of a cron job").wants(t, exitDone, id+" is a false positive, by erin")
	l.cli("security", "resolve", id, "--actor", "dana").wants(t, exitConflict, "was called a false positive by erin", "investigate it first")
	l.cli("security", "resolve", "S-0000").wants(t, exitNotFound, "no security event", "onevault security list")

	got := l.cli("security", "show", id)
	got.wants(t, exitDone, "BRUTE_FORCE on pg-prod-3", "evidence", "failures", "what to do", "asking the team", "the old password of a cron job", "history")
	var whole struct {
		vault.SecurityEvent
		History []vault.SecurityVersion `json:"history"`
	}
	if err := json.Unmarshal([]byte(l.cli("security", "show", id, "-o", "json").out), &whole); err != nil {
		t.Fatal(err)
	}
	if len(whole.History) != 3 || whole.Status != "FALSE_POSITIVE" || whole.ChangedBy != "erin" || !strings.HasPrefix(whole.ChangedVia, "cli:") || !strings.Contains(whole.ChangedVia, "@") {
		t.Errorf("%+v", whole)
	}
	l.cli("security", "list", "--all", "status=FALSE_POSITIVE", "-o", "name").wants(t, exitDone, id)
}

func TestSecurityStatus_SaysWhatCannotBeLookedAt(t *testing.T) {
	t.Parallel()
	l := severalEvents(t)
	// The moments of this life are long ago: a status is of this week.
	l.looked("pg-9", time.Now(), `[{"check": "public_create", "findings": []}, {"check": "copy_out", "failed": "canceling statement due to statement timeout"},
		{"check": "server_log", "skipped": "failed log-ins are not looked for: log_destination is \"stderr\""}]`)
	got := l.cli("security", "status", "--target", "pg-9")
	got.wants(t, exitDone, "public_create", "OK", "copy_out", "FAILED", "canceling statement", "server_log", "SKIPPED", `log_destination is "stderr"`)
	invocation{url: pgtest.DB(t)}.run(t, "security", "status").wants(t, exitDone, "nobody looked within a week", "onevault security run")
}

func TestSecurityReader_PrintsTheSQLForARole(t *testing.T) {
	t.Parallel()
	got := invocation{url: "postgres://nobody@127.0.0.1:1/x"}.run(t, "security", "reader", "--role", `o"ne`)
	got.wants(t, exitDone, `TO "o""ne";`)
	if got.out != collect.LogReaderSQL(`o"ne`) {
		t.Error("it is another text")
	}
	invocation{url: "postgres://nobody@127.0.0.1:1/x"}.run(t, "security", "reader", "--role", " ").wants(t, exitUsage, "--role is empty")
}

func TestIncidentCreate_OfSecurityEvents(t *testing.T) {
	t.Parallel()
	l := severalEvents(t)
	ids := strings.Fields(l.cli("security", "list", "-o", "name").out)
	l.cli("incident", "create", "--title", "x").wants(t, exitUsage, "--event")
	l.cli("incident", "create", "--title", "Who is knocking?", "--actor", "dana", "--event", ids[0], "--event", ids[1]).wants(t, exitDone, "created I-", "P2, of 2 security events")
	id := strings.TrimSpace(l.cli("incident", "list", "-o", "name").out)
	l.cli("incident", "create", "--title", "x", "--actor", "erin", "--event", ids[1], "--event", ids[0]).wants(t, exitDone, id+" of these events was created by dana")
	l.cli("incident", "link", id, "--event", ids[2], "--actor", "erin").wants(t, exitDone, "1 security event joined "+id)
	l.cli("security", "show", ids[2]).wants(t, exitDone, "incidents", id, "INVESTIGATING")
	l.cli("incident", "link", id).wants(t, exitUsage, "requires at least 2")
}
