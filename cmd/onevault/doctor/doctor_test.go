package doctor

import (
	"cmp"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"onevault/vault"
	"onevault/workflows"
)

var now = time.Date(2026, 5, 4, 3, 12, 0, 0, time.UTC)

// expect looks for one finding with a status and words in its detail or remedy.
func expect(t *testing.T, findings []Finding, status Status, words string) {
	t.Helper()
	for _, f := range findings {
		if f.Status == status && strings.Contains(f.Detail+" "+f.Remedy, words) {
			if status != OK && f.Remedy == "" {
				t.Errorf("no remedy in %+v", f)
			}
			return
		}
	}
	t.Errorf("no %s with %q in %+v", status, words, findings)
}

func TestJudgeMark_ThreeMissedCyclesAreAFailure(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ago, every time.Duration
		want       Status
	}{
		{10 * time.Second, 10 * time.Second, OK},
		{90 * time.Second, 10 * time.Second, OK},
		{91 * time.Second, 10 * time.Second, Fail},
		{15 * time.Minute, 0, OK}, // the cadence is unknown: five minutes
		{17 * time.Minute, 0, Fail},
	} {
		if got := judgeMark(now, "collection", now.Add(-c.ago), c.every, "remedy"); got.Status != c.want {
			t.Errorf("%s ago, every %s: %s", c.ago, c.every, got.Status)
		}
	}
	expect(t, []Finding{judgeMark(now, "collection", time.Time{}, 0, "remedy")}, Fail, "none within 8 days")
}

func TestJudgeActivity_UnrelayedChangesAreAFailure(t *testing.T) {
	t.Parallel()
	i := vault.Inspection{Now: now, LastCollection: now, LastEvaluation: now, Unrelayed: 3, OldestUnrelayed: now.Add(-5 * time.Minute)}
	expect(t, judgeActivity(i), Fail, "3 changes made in the vault did not reach their workflows, the oldest 5m0s ago")
	i.Unrelayed = 0
	if findings := judgeActivity(i); Failed(findings) {
		t.Errorf("findings = %+v", findings)
	}
}

func TestJudgeSkew_CountsOnlyWhatTheRoundTripDoesNotExplain(t *testing.T) {
	t.Parallel()
	after := now.Add(4 * time.Second) // a slow answer
	for there, want := range map[time.Duration]Status{
		0: OK, 3 * time.Second: OK, -time.Second: OK, 5 * time.Second: OK, -3 * time.Second: Warn, 7 * time.Second: Warn,
	} {
		if got := judgeSkew("clocks", "the vault's clock", now, now.Add(there), after); got[0].Status != want {
			t.Errorf("%s: %+v", there, got)
		}
	}
}

func TestJudgeDefinitions(t *testing.T) {
	t.Parallel()
	heard := []string{"MAIL"}
	fine := vault.ListedDefinition{Key: "FINE", Channels: heard, LastResult: "FALSE"}
	for name, c := range map[string]struct {
		definitions []vault.ListedDefinition
		status      Status
		words       string
	}{
		"none":          {nil, Fail, "none is enabled"},
		"fine":          {[]vault.ListedDefinition{fine}, OK, "1 are enabled"},
		"nobody at all": {[]vault.ListedDefinition{{Key: "A"}, {Key: "B"}}, Fail, "no channel hears any of the 2"},
		"one unheard":   {[]vault.ListedDefinition{fine, {Key: "QUIET"}}, Warn, "nobody hears QUIET"},
		"error":         {[]vault.ListedDefinition{{Key: "BROKEN", Channels: heard, LastResult: "ERROR", LastReason: "division by zero"}}, Fail, "BROKEN (division by zero)"},
		"no data long":  {[]vault.ListedDefinition{{Key: "BLIND", Channels: heard, LastResult: "NO_DATA", NoDataMinutes: 15, ResultSince: now.Add(-16 * time.Minute)}}, Warn, "BLIND"},
		"no data fine":  {[]vault.ListedDefinition{{Key: "BACKUPS", Channels: heard, LastResult: "NO_DATA", NoDataState: "OK", ResultSince: now.Add(-time.Hour)}}, OK, "1 are enabled"},
		"no data kept":  {[]vault.ListedDefinition{{Key: "METRIC_ANOMALY", Channels: heard, LastResult: "NO_DATA", NoDataState: "KEEP", ResultSince: now.Add(-time.Hour)}}, OK, "1 are enabled"},
		"no data yet":   {[]vault.ListedDefinition{{Key: "NEW", Channels: heard, LastResult: "NO_DATA", NoDataMinutes: 15, ResultSince: now.Add(-14 * time.Minute)}}, OK, "1 are enabled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, judgeDefinitions(now, c.definitions), c.status, c.words)
		})
	}
}

func TestJudgeChannels_NamesWhatIsMissingAndNoSecret(t *testing.T) {
	t.Parallel()
	channel := func(kind, configuration string) vault.ListedChannel {
		return vault.ListedChannel{Key: "C", Name: "C", Type: kind, Configuration: json.RawMessage(configuration)}
	}
	expect(t, judgeChannels(nil), Fail, "nobody is told")
	expect(t, judgeChannels([]vault.ListedChannel{channel("PAGERDUTY", `{}`)}), Warn, "routing_key_env: it is missing")
	expect(t, judgeChannels([]vault.ListedChannel{channel("SMS", `{"account_sid": "AC0123456789abcdef0123456789abcdef", "auth_token_env": "TOKEN", "from_number": "OneVault", "to_numbers": ["030 123"]}`)}), Warn, "to_numbers")
	fine := judgeChannels([]vault.ListedChannel{channel("WEBHOOK", `{"url": "https://example.com/", "secret_env": "HOOK_SECRET"}`)})
	expect(t, fine, OK, "well-formed")
	expect(t, fine, OK, "HOOK_SECRET is set can only be seen in the worker's environment")
	typo := judgeChannels([]vault.ListedChannel{channel("SLACK", `{"webhook_url": "https://hooks.slack.com/services/T0/B0/s3cr3tt0ken", "chanel": "x"}`)})
	expect(t, typo, Warn, "chanel")
	for _, f := range typo {
		if strings.Contains(f.Detail+f.Remedy, "s3cr3t") {
			t.Errorf("the secret is shown: %+v", f)
		}
	}
}

func TestJudgeServer(t *testing.T) {
	t.Parallel()
	no := false
	expect(t, judgeServer(vault.Server{Role: "reader", MayInsert: &no}), Fail, "reader may not write alerts")
	expect(t, judgeServer(vault.Server{Role: "reader", MayInsert: &no}), Fail, "GRANT onevault_worker TO reader")
	expect(t, []Finding{judgeRoles([]string{"CREATE ROLE onevault_reader NOLOGIN"})}, Warn, "as a superuser: CREATE ROLE onevault_reader NOLOGIN; then `onevault migrate up`")
	expect(t, []Finding{judgeRoles(nil)}, OK, "onevault_owner")
	expect(t, judgeServer(vault.Server{Role: "reader"}), Warn, "GRANT pg_monitor TO reader")
	expect(t, judgeServer(vault.Server{Monitor: true}), Warn, "CREATE EXTENSION pg_stat_statements")
	expect(t, judgeServer(vault.Server{Monitor: true, StatementsInstalled: true, StatementsError: "must be loaded"}), Warn, "shared_preload_libraries")
	expect(t, judgeServer(vault.Server{StatementsInstalled: true, StatementsLoaded: true, StatementsError: "denied"}), Warn, "denied")
	expect(t, judgeServer(vault.Server{Superuser: true, StatementsInstalled: true}), OK, "it can be read")
}

func TestJudgeDeliveries(t *testing.T) {
	t.Parallel()
	expect(t, judgeDeliveries(nil), OK, "none of the last hour")
	expect(t, judgeDeliveries([]vault.FailingDelivery{{Channel: "MAIL", Failed: 2, Uncertain: 1, LastReason: "HTTP 403"}}), Warn, "onevault channel test MAIL")
}

func TestJudgeReceipts_FindsChannelsThatRequireThemAndGetNone(t *testing.T) {
	t.Parallel()
	judge := func(c vault.ConfirmedChannel) []Finding {
		c.Channel, c.Minutes = "C", 5
		return judgeReceipts([]vault.ConfirmedChannel{c})
	}
	expect(t, judge(vault.ConfirmedChannel{Type: "EMAIL"}), Warn, "no mail server is asked")
	expect(t, judge(vault.ConfirmedChannel{Type: "EMAIL", Asked: true, Sent: 3}), Warn, "bounce_address")
	expect(t, judge(vault.ConfirmedChannel{Type: "SMS", Sent: 3}), Warn, "ONEVAULT_PUBLIC_URL")
	for _, fine := range []vault.ConfirmedChannel{{Type: "EMAIL", Asked: true}, {Type: "SMS", Sent: 2}, {Type: "VOICE", Sent: 9, Confirmed: 1}} {
		if findings := judge(fine); len(findings) > 0 {
			t.Errorf("%+v: %+v", fine, findings)
		}
	}
}

func TestJudgeSchedule(t *testing.T) {
	t.Parallel()
	describe := func(paused bool, created time.Time, runs ...time.Time) *client.ScheduleDescription {
		s := &client.ScheduleDescription{
			Schedule: client.Schedule{
				Spec:  &client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: 10 * time.Second}}},
				State: &client.ScheduleState{Paused: paused, Note: "lunch"},
			},
			Info: client.ScheduleInfo{CreatedAt: created},
		}
		for _, run := range runs {
			s.Info.RecentActions = append(s.Info.RecentActions, client.ScheduleActionResult{ActualTime: run})
		}
		return s
	}
	long := now.Add(-time.Hour)
	expect(t, []Finding{judgeSchedule(now, "collect", describe(true, long, now))}, Fail, "onevault schedule resume collect")
	expect(t, []Finding{judgeSchedule(now, "collect", describe(false, long, long, now.Add(-11*time.Second)))}, OK, "ran last 11s ago")
	expect(t, []Finding{judgeSchedule(now, "collect", describe(false, long, long))}, Fail, "ran last 1h0m0s ago, though it is due every 10s")
	expect(t, []Finding{judgeSchedule(now, "collect", describe(false, now.Add(-time.Second)))}, OK, "never ran, created 1s ago")
	expect(t, []Finding{judgeSchedule(now, "collect", describe(false, long))}, Fail, "never ran")
}

func TestJudgeReach_NamesChannelsThatNoDefinitionReaches(t *testing.T) {
	t.Parallel()
	channels := []vault.ListedChannel{{Key: "MAIL"}, {Key: "LONELY"}}
	definitions := []vault.ListedDefinition{{Key: "A", Channels: []string{"MAIL"}}}
	expect(t, judgeReach(channels, definitions, nil), Warn, "no enabled definition reaches LONELY")
	if findings := judgeReach(channels[:1], definitions, nil); findings != nil {
		t.Errorf("findings = %+v", findings)
	}
}

func TestJudgeFunctions_TellsTheOneThatMayBeReplaced(t *testing.T) {
	t.Parallel()
	expect(t, judgeFunctions(nil), OK, "all are as")
	found := judgeFunctions([]vault.ReplacedFunction{
		{Signature: vault.SecurityDetector, State: "REPLACED", Owner: "postgres"},
		{Signature: "monitoring.resolve_alert(bytea)", State: "REPLACED", Owner: "app"},
		{Signature: "monitoring.fire_alert()", State: "MISSING"},
	})
	expect(t, found, Warn, "monitoring.detect_security_events() was replaced (its owner is postgres); OneVault runs both")
	expect(t, found, Warn, "monitoring.resolve_alert(bytea) was replaced (its owner is app) and runs in the place of ours")
	expect(t, found, Fail, "monitoring.fire_alert() is missing to put ours back: `onevault migrate repair`")
}

func TestJudgeSecurity_SaysWhatIsNotLookedFor(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 3, 0, 0, 0, time.UTC)
	expect(t, judgeSecurity(now, nil, nil), Warn, "nobody looked")
	at := func(ago time.Duration, c vault.CheckStatus) []vault.CheckStatus {
		c.Target, c.Check, c.TriedAt = cmp.Or(c.Target, "local"), cmp.Or(c.Check, "public_create"), now.Add(-ago)
		if c.Failed == "" && c.Skipped == "" {
			c.LookedAt = c.TriedAt
		}
		return []vault.CheckStatus{c}
	}
	expect(t, judgeSecurity(now, at(15*time.Minute, vault.CheckStatus{}), nil), OK, "15m0s ago")
	expect(t, judgeSecurity(now, at(47*time.Minute, vault.CheckStatus{}), nil), Warn, "due every 15m0s")
	expect(t, judgeSecurity(now, at(0, vault.CheckStatus{Failed: "permission denied"}), nil), Warn, "public_create fails: permission denied")
	expect(t, judgeSecurity(now, at(0, vault.CheckStatus{Check: "server_log", Skipped: "log_destination is \"stderr\""}), nil), Warn, "the log: log_destination")
	expect(t, judgeSecurity(now, at(0, vault.CheckStatus{Skipped: "no extension"}), nil), OK, "public_create cannot look")
	expect(t, judgeSecurity(now, append(at(0, vault.CheckStatus{}), at(2*time.Hour, vault.CheckStatus{Target: "pg-2"})...), nil), Warn, "pg-2: the last look")
	theirs := map[string]vault.DetectorFailure{vault.SecurityDetector: {At: now.Add(-time.Second), Reason: "duplicate key"}}
	expect(t, judgeSecurity(now, at(0, vault.CheckStatus{}), theirs), Warn, "which was replaced, failed 1s ago: duplicate key")
	theirs[vault.SecurityDetector] = vault.DetectorFailure{At: now.Add(-time.Hour), Reason: "duplicate key"} // it worked since, which is not recorded
	if found := judgeSecurity(now, at(0, vault.CheckStatus{}), theirs); len(found) != 1 {
		t.Errorf("found %+v", found)
	}
}

func TestJudgeRetention_SaysWhatStaysAndWhy(t *testing.T) {
	t.Parallel()
	expect(t, []Finding{judgeRetention(nil)}, OK, "nothing is kept")
	expect(t, []Finding{judgeRetention([]vault.Overdue{{Table: "system_health_metric_s", Parts: 3, By: 75 * time.Hour}})}, Warn, "system_health_metric_s (3 parts, 3 days late)")
	expect(t, []Finding{judgeRetain(workflows.RetainResult{}, nil)}, OK, "ended well")
	expect(t, []Finding{judgeRetain(workflows.RetainResult{}, errors.New("it timed out"))}, Warn, "it timed out")
	expect(t, []Finding{judgeRetain(workflows.RetainResult{Problems: []workflows.RetainProblem{{What: "archive of May", Error: "no space left"}}}, nil)},
		Warn, "archive of May (no space left)")
}

func TestJudgeDiscipline_ATriggerThatIsOffIsAFailure(t *testing.T) {
	t.Parallel()
	expect(t, []Finding{judgeDiscipline(nil)}, OK, "all are on")
	expect(t, []Finding{judgeDiscipline([]string{"alert_instance_s: t60_allow_only_closing"})}, Fail, "alert_instance_s: t60_allow_only_closing")
}

func TestRawSQL_SaysWhetherItIsOnAndWhatRestsOnIt(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 5, 4, 3, 0, 0, 0, time.UTC)
	on := vault.RawSQL{Allowed: true, Why: "CHG-7", Since: since, Sandboxed: true, Definitions: []string{"QUEUE"}}
	off, unsafe := on, on
	off.Allowed, unsafe.Sandboxed = false, false
	expect(t, []Finding{judgeRawSQL(vault.RawSQL{})}, OK, "switched off")
	expect(t, []Finding{judgeRawSQL(on)}, OK, "since 2026-05-04 (CHG-7)")
	expect(t, []Finding{judgeRawSQL(on)}, OK, "1 definitions")
	expect(t, []Finding{judgeRawSQL(off)}, Fail, "QUEUE")
	expect(t, []Finding{judgeRawSQL(unsafe)}, Fail, "CREATE ROLE onevault_sql")
}
