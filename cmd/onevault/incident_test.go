package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"onevault/alert"
	"onevault/incident"
	"onevault/vault"
)

func (l life) psql(sql string, args ...any) {
	l.t.Helper()
	if _, err := l.store.Pool().Exec(l.t.Context(), sql, args...); err != nil {
		l.t.Fatalf("%s: %v", sql, err)
	}
}

// incident loads an incident as if it had been created at a moment.
func (l life) incident(key, title string, severity alert.Severity, at time.Time, alerts ...string) vault.ListedIncident {
	l.t.Helper()
	l.psql("INSERT INTO monitoring.incident_h (incident_hk, incident_bk) VALUES (util.hash_binary($1), $1)", key)
	l.psql(`
		INSERT INTO monitoring.incident_s (incident_hk, load_date, hash_diff, incident_title, incident_description, incident_status, incident_severity,
		    incident_priority, created_timestamp, created_by, affected_services, changed_at, changed_by, changed_via)
		VALUES (util.hash_binary($1), $4, '\x', $2, 'writers wait, readers do not', 'OPEN', $3::text, monitoring.incident_priority($3::text), $4, 'dana',
		    ARRAY['pg-prod-3'], $4, 'dana', 'psql:app')`, key, title, severity, at)
	for _, a := range alerts {
		l.psql(`INSERT INTO monitoring.alert_incident_l (link_alert_incident_hk, alert_instance_hk, incident_hk)
			VALUES (util.hash_binary(encode(util.hash_binary($1), 'hex') || '||' || encode(util.hash_binary($2), 'hex')), util.hash_binary($1), util.hash_binary($2))`, a, key)
		l.psql(`INSERT INTO monitoring.alert_incident_eff_s (link_alert_incident_hk, load_date, hash_diff, effective_from)
			VALUES (util.hash_binary(encode(util.hash_binary($1), 'hex') || '||' || encode(util.hash_binary($2), 'hex')), $3, '\x', $3)`, a, key, at)
	}
	return l.findIncident(key)
}

func (l life) findIncident(id string) vault.ListedIncident {
	l.t.Helper()
	found, err := l.store.FindIncident(l.t.Context(), id)
	if err != nil {
		l.t.Fatal(err)
	}
	return found
}

// happen records changes of an incident at their moments.
func (l life) happen(i vault.ListedIncident, changes ...incident.Change) {
	l.t.Helper()
	for _, c := range changes {
		c.Via = "cli:" + c.Actor + "@host"
		record, err := l.store.RecordIncident(l.t.Context(), i.HashKey, &c)
		if err != nil || !record.Changed {
			l.t.Fatalf("%s: %+v, %v", c.Kind, record, err)
		}
	}
}

// severalIncidents has one incident in each state that a list must tell apart.
func severalIncidents(t *testing.T) life {
	t.Helper()
	l := newLife(t)
	at := now.Add(-20 * time.Minute)
	a := l.fire("pg-prod-3", connections, alert.SeverityHigh, 93, at)
	b := l.fire("pg-prod-3", wraparound, alert.SeverityCritical, 81, at)
	c := l.fire("pg-prod-3", lag, alert.SeverityMedium, 64, at)
	l.incident("INCIDENT||ONE", "Primary does not answer", alert.SeverityCritical, now.Add(-10*time.Minute), a, b)
	taken := l.incident("INCIDENT||TWO", "Replicas lag", alert.SeverityMedium, now.Add(-5*time.Hour), c)
	l.happen(taken, incident.Change{Kind: incident.Taken, At: now.Add(-4*time.Hour - 50*time.Minute), Actor: "erin"},
		incident.Change{Kind: incident.Assigned, At: now.Add(-4 * time.Hour), Actor: "erin", Text: "erin"})
	l.incident("INCIDENT||THREE", "Backups fail", alert.SeverityHigh, now.Add(-45*time.Minute))
	resolved := l.incident("INCIDENT||FOUR", "Disk was full", alert.SeverityCritical, now.Add(-26*time.Hour))
	l.happen(resolved, incident.Change{Kind: incident.Resolved, At: now.Add(-25*time.Hour - 40*time.Minute), Actor: "dana", Text: "old logs removed"})
	closed := l.incident("INCIDENT||FIVE", "Checksum failure", alert.SeverityCritical, now.Add(-72*time.Hour))
	l.happen(closed, incident.Change{Kind: incident.Resolved, At: now.Add(-60 * time.Hour), Actor: "dana", Text: "failed over"},
		incident.Change{Kind: incident.Closed, At: now.Add(-50 * time.Hour), Actor: "erin", Text: "a worn disk"})
	return l
}

func TestIncidentList_MostUrgentFirst(t *testing.T) {
	t.Parallel()
	l := severalIncidents(t)
	golden(t, "incident-list", l.cli("incident", "list").out)
	golden(t, "incident-list-wide", l.cli("incident", "list", "--all", "-o", "wide").out)
	for args, want := range map[string]int{
		"":                                 4,
		"--all":                            5,
		"--all --since 30h":                4,
		"--all --limit 2":                  2,
		"priority=P1":                      2,
		"sla=OVERDUE_RESPONSE":             1,
		"sla=overdue_resolution":           1,
		"sla!=ON_TRACK":                    2,
		"state=INVESTIGATING":              1,
		"assigned=erin":                    1,
		"title=~^disk severity=critical":   1,
		"service=~pg-prod":                 4,
		"--all breached=true state=CLOSED": 1,
	} {
		got := l.cli(append([]string{"incident", "list", "-o", "name"}, strings.Fields(args)...)...)
		if got.code != exitDone || strings.Count(got.out, "\n") != want {
			t.Errorf("%s: code %d, want %d incidents:\n%s%s", args, got.code, want, got.out, got.err)
		}
	}
	l.cli("incident", "list", "title=nothing").wants(t, exitDone, "no open incidents; --all shows the closed ones")
	l.cli("incident", "list", "colour=red").wants(t, exitUsage, "colour")
	l.cli("incident", "list", "--since", "soon").wants(t, exitUsage, "soon")
	var parsed []shownIncident
	if err := json.Unmarshal([]byte(l.cli("incident", "list", "-o", "json").out), &parsed); err != nil || len(parsed) != 4 || parsed[0].SLA != incident.OnTrack || parsed[0].Title != "Primary does not answer" {
		t.Errorf("JSON holds %+v, %v", parsed, err)
	}
	if got := newLife(t).cli("incident", "list", "-o", "json").out; got != "[]\n" {
		t.Errorf("no incidents as JSON: %q", got)
	}
}

func TestIncidentShow_TellsWhoHasItAndWhatItIsAbout(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	at := now.Add(-40 * time.Minute)
	a := l.fire("pg-prod-3", connections, alert.SeverityHigh, 93, at.Add(-5*time.Minute))
	b := l.fire("pg-prod-3", wraparound, alert.SeverityCritical, 81, at.Add(-6*time.Minute))
	i := l.incident("INCIDENT||ONE", "Primary does not answer", alert.SeverityCritical, at, a, b)
	l.record(vault.Change{AlertKey: a, Change: "RESOLVED", At: now.Add(-2 * time.Minute), Actor: "condition cleared", Via: "evaluator"})
	l.happen(i, incident.Change{Kind: incident.Limit, At: at.Add(31 * time.Minute), Actor: incident.ActorResponse},
		incident.Change{Kind: incident.Noted, At: at.Add(33 * time.Minute), Actor: "erin", Text: "a long transaction holds \x1b[31mlocks"},
		incident.Change{Kind: incident.Assigned, At: at.Add(34 * time.Minute), Actor: "erin", Text: "frank"})
	golden(t, "incident-show", l.cli("incident", "show", i.ID).out)
	timeline := l.cli("incident", "timeline", i.ID)
	golden(t, "incident-timeline", timeline.out)
	var whole wholeIncident
	if err := json.Unmarshal([]byte(l.cli("incident", "show", i.ID, "-o", "json").out), &whole); err != nil || len(whole.LinkedAlerts) != 2 || len(whole.Timeline) != 6 || whole.ActiveAlerts != 1 {
		t.Errorf("JSON holds %+v, %v", whole, err)
	}
	if got := l.cli("incident", "show", i.HashKey, "-o", "name").out; got != i.ID+"\n" {
		t.Errorf("by hash key: %q", got)
	}
	l.cli("incident", "show", "I-ZZZZZZZZ").wants(t, exitNotFound, `no incident "I-ZZZZZZZZ"`, "onevault incident list")
	l.cli("incident", "timeline", "nothing").wants(t, exitNotFound, `no incident "nothing"`)
}

// Temporal is away in these tests: the vault takes the commands.
func TestIncident_IsWorkedOnWithoutTemporal(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	at := now.Add(-20 * time.Minute)
	a, b := l.fire("pg-prod-3", connections, alert.SeverityHigh, 93, at), l.fire("pg-prod-3", lag, alert.SeverityMedium, 64, at)
	first, second := alert.ShortID(a), alert.ShortID(b)

	l.cli("incident", "create", first).wants(t, exitUsage, "--title is missing or empty")
	l.cli("incident", "create", "--title", "x").wants(t, exitUsage)
	l.cli("incident", "create", "--title", "x", "A-ZZZZ").wants(t, exitNotFound, `no alert "A-ZZZZ"`)
	made := l.cli("incident", "create", "--title", "Primary is slow", "--actor", "dana", first, first)
	id := strings.Fields(strings.ReplaceAll(made.out, ",", ""))[1]
	made.wants(t, exitDone, "created "+id+", P2, of 1 alert\n")
	l.cli("incident", "create", "--title", "Another name", "--actor", "erin", first).wants(t, exitDone, id+" of these alerts was created by dana ", "(Primary is slow)")

	workflowHears := " in the vault; its workflow hears of it when it runs\n"
	for _, step := range []struct {
		args string
		code int
		says string
	}{
		{"close $", exitConflict, id + " is OPEN and cannot become CLOSED; resolve it first"},
		{"reopen $", exitConflict, "there is nothing to reopen"},
		{"note $", exitUsage, "TEXT is missing"},
		{"note $ -m by_message", exitDone, "noted on " + id + " by dana"},
		{"note $ _", exitUsage, "the note is empty"},
		{"note $ looking", exitDone, "noted on " + id + " by dana" + workflowHears},
		{"take $", exitDone, id + " was taken by dana "},
		{"assign $ erin", exitDone, "assigned " + id + " to erin" + workflowHears},
		{"assign $ erin", exitDone, id + " is assigned to erin already\n"},
		{"link $ " + first + " " + second + " -m same", exitDone, "1 alert joined " + id + "; 1 belonged to it before; it has 2, 2 of them going on\n"},
		{"unlink $ " + second, exitDone, "1 alert left " + id + "; it has 1, 1 of them going on\n"},
		{"resolve $ -m restarted", exitDone, "resolved " + id + " by dana, 0m after its creation" + workflowHears},
		{"resolve $ --actor erin", exitDone, id + " was resolved by dana "},
		{"take $", exitConflict, "was resolved by dana at "},
		{"reopen $ -m back", exitDone, "reopened " + id + " by dana" + workflowHears},
		{"resolve $", exitDone, "1 of its 1 alerts goes on; see `onevault incident show " + id + "`"},
		{"close $ -m locks", exitDone, "closed " + id + " by dana\n"},
		{"close $", exitDone, id + " was closed by dana "},
		{"resolve $", exitDone, id + " was resolved by dana "},
		{"reopen $", exitConflict, "was closed by dana at "},
		{"assign $ frank", exitConflict, "was closed by dana at "},
		{"link $ " + second, exitConflict, "was closed by dana at "},
		{"note $ afterwards", exitDone, "noted on " + id + " by dana\n"},
		{"resolve I-ZZZZZZZZ", exitNotFound, `no incident "I-ZZZZZZZZ"`},
	} {
		args := strings.Fields(strings.ReplaceAll(step.args, "$", id))
		for i, arg := range args {
			args[i] = strings.ReplaceAll(arg, "_", " ")
		}
		if !strings.Contains(step.args, "--actor") && args[0] != "link" {
			args = append(args, "--actor", "dana")
		}
		got := l.cli(append([]string{"incident"}, args...)...)
		if got.code != step.code || !strings.Contains(got.out+got.err, step.says) {
			t.Errorf("%s: code %d, want %d and %q:\n%s%s", step.args, got.code, step.code, step.says, got.out, got.err)
		}
	}
	if i := l.findIncident(id); i.RootCause != "locks" || i.FirstResponseBy != "dana" || i.Status != incident.StatusClosed {
		t.Errorf("ended as %+v", i)
	}
	var answer struct {
		incident.Answer
		Through string
	}
	if err := json.Unmarshal([]byte(l.cli("incident", "close", id, "-o", "json").out), &answer); err != nil || answer.Changed || answer.Incident.ID != id || answer.Through != "vault" {
		t.Errorf("JSON holds %+v, %v", answer, err)
	}
}

func TestIncident_WithoutTheVaultAWholeIDIsAskedForAtItsWorkflow(t *testing.T) {
	t.Parallel()
	down := invocation{url: "postgres://u:secretword@127.0.0.1:1/x"}
	for _, id := range []string{"I-7F3K", "incident/I-7F3K", "7f3k"} {
		got := down.run(t, "incident", "resolve", id)
		got.wants(t, exitError, "the vault does not answer", "and its workflow")
		if strings.Contains(got.out+got.err, "secretword") {
			t.Errorf("the password is printed: %s", got.err)
		}
	}
	other := down.run(t, "incident", "resolve", strings.Repeat("0", 64))
	other.wants(t, exitError, "the vault does not answer")
	if strings.Contains(other.err, "workflow") {
		t.Errorf("a hash key names no workflow: %s", other.err)
	}
	down.run(t, "incident", "list").wants(t, exitError, "the vault does not answer")
}

func TestSLACell_SaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status incident.Status
		age    time.Duration
		breach bool
		want   string
	}{
		{incident.StatusOpen, 5 * time.Minute, false, "response due in 25m"},
		{incident.StatusOpen, 30*time.Minute + 5*time.Second, false, "response overdue by 5s"},
		{incident.StatusInvestigating, 45 * time.Minute, true, "resolution due in 3h"},
		{incident.StatusInvestigating, 9 * time.Hour, true, "resolution overdue by 5h"},
		{incident.StatusResolved, 9 * time.Hour, true, "breached"},
		{incident.StatusClosed, 9 * time.Hour, false, "kept"},
	} {
		got := slaCell(now, incident.Incident{Status: c.status, CreatedAt: now.Add(-c.age), SLABreach: c.breach}).Text
		if got != c.want {
			t.Errorf("%s after %s: %q, want %q", c.status, c.age, got, c.want)
		}
	}
	if got := fmt.Sprint(shorten(strings.Repeat("ä", 61), 60)); len([]rune(got)) != 60 || !strings.HasSuffix(got, "...") {
		t.Errorf("shortened to %q", got)
	}
}
