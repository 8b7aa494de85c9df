package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onevault/alert"
	"onevault/vault"
)

// channels gives a life three places to page.
func (l life) channels() {
	l.t.Helper()
	for key, address := range map[string]string{"TEAM": "team@example.com", "PAGER": "oncall@example.com", "BOSS": "boss@example.com"} {
		configuration, err := json.Marshal(map[string]any{"smtp_server": "mail.example.com", "from_address": "ov@example.com", "to_addresses": []string{address}})
		if err != nil {
			l.t.Fatal(err)
		}
		if err := l.store.PutChannel(l.t.Context(), vault.Channel{
			Key: key, Name: key, Type: "EMAIL", Configuration: configuration, RetryAttempts: 1, RetryDelaySeconds: 60, RecordSource: "TEST",
		}); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l life) file(text string) string {
	l.t.Helper()
	name := filepath.Join(l.t.TempDir(), "policies.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return name
}

const onCallFile = `version: 1
policies:
  - key: ONCALL
    name: On call
    default_for: [CRITICAL]
    levels:
      - channels: [TEAM]
      - after: 10m
        channels: [PAGER]
        repeat: 1
        every: 5m
      - after: 30m
    repeat: 1
    every: 1h
`

func (l life) expect(code int, says []string, args ...string) result {
	l.t.Helper()
	got := l.cli(args...)
	if got.code != code {
		l.t.Fatalf("%s: exit code %d, want %d: %s%s", strings.Join(args, " "), got.code, code, got.out, got.err)
	}
	for _, want := range says {
		if !strings.Contains(got.out+got.err, want) {
			l.t.Errorf("%s says\n%s%s\nwant %q in it", strings.Join(args, " "), got.out, got.err, want)
		}
	}
	return got
}

func TestPolicy_IsKeptInAFile(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.channels()
	name := l.file(onCallFile)
	l.expect(exitDone, []string{"no policies"}, "policy", "list")
	l.expect(exitDone, []string{"1 policies, all in order"}, "policy", "lint", name)
	l.expect(exitDone, []string{"+ ONCALL", "dry run"}, "policy", "apply", name, "--dry-run")
	l.expect(exitNotFound, []string{"no escalation policy ONCALL"}, "policy", "show", "ONCALL")
	l.expect(exitDone, []string{"+ ONCALL"}, "policy", "apply", name)
	l.expect(exitDone, []string{"1 unchanged"}, "policy", "apply", name)
	if got := l.cli("policy", "export", "ONCALL"); got.out != strings.Replace(onCallFile, "- channels: [TEAM]", "- after: 0m\n        channels: [TEAM]", 1) {
		t.Errorf("exported\n%s", got.out)
	}
	l.expect(exitDone, []string{"ONCALL", "CRITICAL", "TEAM, 10m PAGER (1 more, each 5m), 30m everybody; 1 more, each 1h"}, "policy", "list")
	l.expect(exitDone, []string{"level 1", "PAGER", "PG_XID_CRITICAL"}, "policy", "show", "ONCALL")
	l.expect(exitDone, []string{"~ ONCALL"}, "policy", "apply", l.file(strings.Replace(onCallFile, "after: 30m", "after: 45m", 1)))

	bad := l.file(strings.Replace(onCallFile, "[PAGER]", "[PAGERS]", 1))
	l.expect(exitError, []string{bad + ":3", "escalation_levels[1].channels", `"PAGERS"`, "PAGER"}, "policy", "lint", bad)
	l.expect(exitError, []string{bad + ":3"}, "policy", "apply", bad)
	worse := l.file(strings.Replace(onCallFile, "after: 10m", "aftre: 10m", 1))
	l.expect(exitError, []string{worse + ":8", "unknown field", `did you mean "after"?`}, "policy", "lint", worse)
	l.expect(exitNotFound, []string{"no file"}, "policy", "lint", "none.yaml")
}

func TestRoute_ShowsWhoWouldBePagedWhen(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.channels()
	l.expect(exitDone, nil, "policy", "apply", l.file(onCallFile))
	got := l.expect(exitDone, []string{"by policy ONCALL"}, "route", "test", "definition="+wraparound, "at=2026-12-01 03:12")
	var pages []string
	for _, line := range strings.Split(strings.TrimSpace(got.out), "\n")[1:] {
		pages = append(pages, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"TEAM EMAIL team@example.com", "PAGER EMAIL oncall@example.com", "once more (1) PAGER", "BOSS", "PAGER", "TEAM", "round 2 TEAM",
	}
	for i, text := range want {
		if i >= len(pages) || !strings.Contains(pages[i], text) {
			t.Fatalf("page %d is not %q in\n%s", i, text, got.out)
		}
	}
	l.expect(exitDone, []string{"by no policy: everybody again after each 15m", "and so on"}, "route", "test", "definition="+connections)
	l.expect(exitDone, []string{"by policy ONCALL"}, "route", "test", "definition="+connections, "severity=critical")
	l.expect(exitNotFound, []string{"NOTHING"}, "route", "test", "definition=NOTHING")
	l.expect(exitUsage, []string{"severity=URGENT"}, "route", "test", "definition="+connections, "severity=urgent")
	l.expect(exitUsage, []string{"at=noon"}, "route", "test", "definition="+connections, "at=noon")
	l.expect(exitUsage, []string{"definition=KEY"}, "route", "test", "severity=HIGH")
}

func TestDefinition_NamesThePolicyThatItsAlertsFollow(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.channels()
	l.expect(exitDone, nil, "policy", "apply", l.file(onCallFile))
	definition := strings.Replace(l.cli("definition", "export", connections).out, "escalate_after", "policy: ONCALL\n    escalate_after", 1)
	l.expect(exitError, []string{"escalation_policy", "NONE", "ONCALL"}, "definition", "lint", l.file(strings.Replace(definition, "policy: ONCALL", "policy: NONE", 1)))
	l.expect(exitDone, []string{"policy: (none) -> ONCALL"}, "definition", "apply", l.file(definition))
	if again := l.cli("definition", "export", connections).out; !strings.Contains(again, "policy: ONCALL") {
		t.Errorf("exported\n%s", again)
	}

	opened := time.Now().UTC().Truncate(time.Microsecond) // a policy counts from when it was written
	l.fire("pg-prod-3", connections, alert.SeverityHigh, 93, opened)
	var list []vault.ListedAlert
	if err := json.Unmarshal([]byte(l.cli("alert", "list", "-o", "json").out), &list); err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	if got := list[0]; got.Policy != "ONCALL" || got.NextLevel != 1 || !got.NextAt.Equal(opened.Add(10*time.Minute)) {
		t.Errorf("level %d of %q comes %s after the opening, want ten minutes", got.NextLevel, got.Policy, got.NextAt.Sub(opened))
	}
}
