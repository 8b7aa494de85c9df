package main

import (
	"strings"
	"testing"
	"time"

	"onevault/alert"
	"onevault/cmd/onevault/doctor"
	"onevault/vault"
)

// answers checks an exit code and that there is one line of the form that others read.
func (r result) answers(t *testing.T, code int, parts ...string) {
	t.Helper()
	r.wants(t, code, parts...)
	if r.err != "" || strings.Count(r.out, "\n") != 1 || strings.Count(r.out, "|") > 1 || !strings.HasPrefix(r.out, "ONEVAULT ") {
		t.Errorf("not one line for others: %q, and on stderr %q", r.out, r.err)
	}
}

func TestCheckAlerts_IsAsBadAsWhatNobodyHasTaken(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.cli("check", "alerts").answers(t, 0, "ONEVAULT OK - no alert waits for anybody | 'critical'=0;;0 'high'=0;0;")
	high := l.fire("local", connections, alert.SeverityHigh, 93, now)
	l.cli("check", "alerts").answers(t, 1, "ONEVAULT WARNING - "+alert.ShortID(high)+" HIGH High Connection", "'high'=1;0;")
	critical := l.fire("pg-2", wraparound, alert.SeverityCritical, 81, now)
	l.cli("check", "alerts").answers(t, 2, "ONEVAULT CRITICAL - "+alert.ShortID(critical), "'critical'=1;;0")
	for _, key := range []string{high, critical} {
		l.record(vault.Change{AlertKey: key, Change: "ACKNOWLEDGED", At: now, Actor: "dana", Via: "cli:dana@host"})
	}
	l.cli("check", "alerts").answers(t, 0, "'acknowledged'=2")
}

func TestCheckAlerts_CountsNoneThatIsMuted(t *testing.T) {
	t.Parallel()
	list := []vault.ListedAlert{{Severity: alert.SeverityCritical, State: alert.StatusOpen, Mute: &alert.Mute{}}}
	if v := judgeOpen(list); v.code != nagiosOK || !strings.Contains(v.line(), "'muted'=1") {
		t.Errorf("%s", v.line())
	}
	for range 9 {
		list = append(list, vault.ListedAlert{Severity: alert.SeverityLow, State: alert.StatusOpen})
	}
	if v := judgeOpen(list); v.code != nagiosOK || !strings.Contains(v.line(), "and more") || !strings.Contains(v.line(), "'low'=9") {
		t.Errorf("%s", v.line())
	}
}

func TestCheckDelivery_IsAboutRatesAndTheLastHour(t *testing.T) {
	t.Parallel()
	l, _ := toldLife(t)
	l.cli("check", "delivery").answers(t, 0, "ONEVAULT OK - messages arrive") // what failed in these tests did so long ago
	rate := func(pct float64) []vault.DeliveryRate {
		return []vault.DeliveryRate{{Channel: "MAIL", Ended: 200, Percent: &pct}, {Channel: "NEW", Ended: 3}}
	}
	for pct, want := range map[float64]string{
		99:    "ONEVAULT OK - messages arrive | 'MAIL'=99.00%;99:;90:",
		98.99: "ONEVAULT WARNING - MAIL delivered 98.99 % of 200",
		89.9:  "ONEVAULT CRITICAL - MAIL delivered 89.90 %",
	} {
		if got := judgeRates(rate(pct), nil).line(); !strings.HasPrefix(got, want) {
			t.Errorf("%g: %s", pct, got)
		}
	}
	failing := []vault.FailingDelivery{{Channel: "CHAT", Failed: 1, Uncertain: 2}}
	if got := judgeRates(rate(100), failing).line(); !strings.HasPrefix(got, "ONEVAULT WARNING - CHAT: 1 failed and 2 uncertain") || !strings.HasSuffix(got, "'failed'=1;0; 'uncertain'=2;0;") {
		t.Errorf("%s", got)
	}
}

func TestCheck_WithoutAnArgumentIsDoctorInOneLine(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.cli("check").answers(t, 2, "ONEVAULT CRITICAL - ", "none is enabled: nobody is told", "temporal: ", "| 'ok'=")
	l.measure("local", time.Now())
	if _, err := l.store.EvaluateDue(t.Context(), "local", 0); err != nil {
		t.Fatal(err)
	}
	findings := []doctor.Finding{{Check: "a", Status: doctor.OK}, {Check: "b", Status: doctor.Warn, Detail: "x | y\nz"}}
	if got, want := judgeFindings(findings).line(), "ONEVAULT WARNING - b: x / y z | 'ok'=1 'warnings'=1;0; 'failures'=0;;0"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := judgeFindings(findings[:1]).line(), "ONEVAULT OK - 1 checks | 'ok'=1 'warnings'=0;0; 'failures'=0;;0"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestCheck_OfAVaultThatDoesNotAnswerIsCriticalAndTheRestUnknown(t *testing.T) {
	t.Parallel()
	dead := invocation{url: "postgres://u:p4ssw0rd@127.0.0.1:1/x"}
	dead.run(t, "check", "vault").answers(t, 2, "ONEVAULT CRITICAL - vault: it does not answer")
	for _, what := range []string{"alerts", "delivery"} {
		got := dead.run(t, "check", what)
		got.answers(t, 3, "ONEVAULT UNKNOWN - the vault does not answer")
		if strings.Contains(got.out, "p4ssw0rd") {
			t.Errorf("the password is shown: %s", got.out)
		}
	}
}
