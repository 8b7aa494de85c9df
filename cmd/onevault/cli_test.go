package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"onevault/migrations"
	"onevault/pgserver/pgtest"
	"onevault/settings"
	"onevault/vault"
)

func TestUsage_IsExitCode2AndSaysWhatToDo(t *testing.T) {
	t.Parallel()
	url := pgtest.DB(t)
	for args, want := range map[string]string{
		"bogus":                      `unknown command "bogus"`,
		"alert bogus":                `unknown command "bogus" for "onevault alert"`,
		"alert list --bogus":         "unknown flag: --bogus",
		"alert list -o xml":          "use table, wide, json, yaml, name",
		"alert list x=1":             `there is no field "x"; use id, severity`,
		"alert list --since monday":  "no duration",
		"alert show":                 "accepts 1 arg",
		"alert ack":                  "requires at least 1 arg",
		"check nothing":              "say ready, live, or a URL",
		"worker --collect-every x":   "ONEVAULT_COLLECT_EVERY is \"x\"",
		"worker --collect-every 1ms": "ONEVAULT_COLLECT_EVERY is 1ms: use at least 1s",
		"worker --allowed-cidrs x":   "write networks like 10.20.0.0/16",
		"migrate down":               "add --yes",
	} {
		got := invocation{url: url}.run(t, strings.Fields(args)...)
		got.wants(t, exitUsage, "onevault: ", want)
		if got.out != "" || strings.Contains(got.err, "goroutine") {
			t.Errorf("%s: stdout %q, stderr %q", args, got.out, got.err)
		}
	}
}

func TestNouns_WithoutAVerbShowTheirVerbs(t *testing.T) {
	t.Parallel()
	for noun, verb := range map[string]string{"": "alert", "alert": "timeline", "channel": "test", "schedule": "resume", "migrate": "status"} {
		invocation{url: "postgres://nobody@127.0.0.1:1/x"}.run(t, strings.Fields(noun)...).wants(t, exitDone, verb)
	}
}

func TestVaultUnreachable_SaysSoWithoutThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"postgres://u:p4ssw%C3%B6rd@127.0.0.1:1/x", "postgres://u:p4ssw%zzörd@127.0.0.1:1/x", "host=127.0.0.1 port=1 password=p4sswörd"} {
		for _, args := range []string{"alert list", "alert show A-7F3K", "migrate status", "migrate up", "doctor", "channel test X", "doctor -o json"} {
			got := invocation{url: url}.run(t, strings.Fields(args)...)
			got.wants(t, exitError)
			if strings.Contains(got.out+got.err, "p4ssw") {
				t.Errorf("%s prints the password:\n%s%s", args, got.out, got.err)
			}
		}
	}
	got := invocation{url: "postgres://u@127.0.0.1:1/x"}.run(t, "alert", "list")
	if got.err != "onevault: the vault does not answer: dial tcp 127.0.0.1:1: connect: connection refused\n"+
		"  start its server, or correct ONEVAULT_DATABASE_URL; see `onevault doctor`\n" {
		t.Errorf("got %q", got.err)
	}
}

func TestVaultWithoutSchema_NamesTheRemedy(t *testing.T) {
	t.Parallel()
	url, steps := emptyDatabase(t)
	invocation{url: url}.run(t, "alert", "list").wants(t, exitError, "run `onevault migrate up`")
	invocation{url: url}.run(t, "doctor").wants(t, exitError, "schema", "FAIL", fmt.Sprintf("%d migrations are not applied", len(steps)), "run `onevault migrate up`")
	invocation{url: url}.run(t, "migrate", "status").wants(t, exitDone, "00002_vault.sql", "pending")
	invocation{url: url}.run(t, "migrate", "up").wants(t, exitDone, "applied 00002_vault.sql")
	invocation{url: url}.run(t, "migrate", "up").wants(t, exitDone, "nothing to do")
	invocation{url: url}.run(t, "alert", "list").wants(t, exitDone, "no open alerts")
	invocation{url: url}.run(t, "migrate", "down", "--yes").wants(t, exitDone, "took back "+steps[len(steps)-1].Name)
}

// emptyDatabase takes back every migration of a database, and tells which there were.
func emptyDatabase(t *testing.T) (string, []migrations.Step) {
	t.Helper()
	url := pgtest.DB(t)
	steps, err := migrations.Status(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	for range steps {
		invocation{url: url}.run(t, "migrate", "down", "--yes").wants(t, exitDone)
	}
	return url, steps
}

func TestProcess_WithoutSettingsSaysHowToStart(t *testing.T) {
	t.Parallel()
	got := process(t, nil, "alert", "list")
	got.wants(t, exitError, "onevault: ONEVAULT_DATABASE_URL is not set and no development start is running", "make run")
	process(t, []string{settings.TemporalAddress + "=" + deadTemporal}, "alert", "ack", "alert/local/X").wants(t, exitError, "no answer", "TEMPORAL_ADDRESS")
	process(t, []string{settings.TemporalAddress + "=" + deadTemporal}, "doctor").wants(t, exitError, "ONEVAULT_DATABASE_URL is not set")
}

func TestProcess_ReadsTheFileOfADevelopmentStart(t *testing.T) {
	t.Parallel()
	l := several(t)
	dir := t.TempDir()
	if err := settings.WriteEnvFile(dir, map[string]string{settings.DatabaseURL: l.url, settings.TemporalAddress: deadTemporal, settings.UIURL: "http://ui.test/"}); err != nil {
		t.Fatal(err)
	}
	environment := []string{"ONEVAULT_DATA_DIR=" + dir}
	got := process(t, environment, "alert", "list", "--since", "2026-05-04", "-o", "name")
	got.wants(t, exitDone)
	id := strings.Fields(got.out)[0]
	process(t, environment, "alert", "open", id).wants(t, exitDone, "http://ui.test/namespaces/default/workflows/alert%2Fpg-prod-")
	process(t, environment, "alert", "open", "alert/local/X").wants(t, exitDone, "http://ui.test/namespaces/default/workflows/alert%2Flocal%2FX\n")
	// The environment wins over the file.
	process(t, append(environment, settings.DatabaseURL+"=postgres://u@127.0.0.1:1/x"), "alert", "list").wants(t, exitError, "does not answer")
	process(t, append(environment, settings.Actor+"=dana"), "alert", "ack", id).wants(t, exitDone, "acknowledged "+id+" by dana in the vault")
	process(t, append(environment, settings.TemporalAddress+"="+deadTemporal), "doctor").wants(t, exitError, "set both ONEVAULT_DATABASE_URL and TEMPORAL_ADDRESS")
}

func TestProcess_VersionAndCompletionNeedNothing(t *testing.T) {
	t.Parallel()
	process(t, nil, "version").wants(t, exitDone, "onevault ", "schema ")
	process(t, nil, "version", "-o", "json").wants(t, exitDone, `"go": "go1.`)
	process(t, nil, "completion", "bash").wants(t, exitDone, "__onevault_")
	process(t, nil, "--help").wants(t, exitDone, "Exit codes")
	process(t, nil, "nonsense").wants(t, exitUsage)
}

func TestProcess_PipedOutputHasNoColours(t *testing.T) {
	t.Parallel()
	l := several(t)
	got := process(t, []string{settings.DatabaseURL + "=" + l.url}, "alert", "list")
	got.wants(t, exitDone, "CRITICAL")
	if strings.Contains(got.out, "\x1b") {
		t.Errorf("got %q", got.out)
	}
}

func TestCheck_AsksTheWorker(t *testing.T) {
	t.Parallel()
	worker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"ready": false, "checks": {"vault": {"ok": false, "error": "no connection"}}}`))
		}
	}))
	defer worker.Close()
	environment := []string{settings.APIURL + "=" + worker.URL}
	process(t, environment, "check", "live").wants(t, exitDone, "ok")
	process(t, environment, "check", "ready").wants(t, exitError, "vault: no connection")
	process(t, nil, "check", worker.URL+"/anything").wants(t, exitDone, "ok")
}

func TestChannels_ShowNoSecretAndATestSaysWhatItProved(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	arrived := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- r.URL.Path
		if strings.HasPrefix(r.URL.Path, "/refuses") {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer receiver.Close()
	put(t, l, "GOOD", "WEBHOOK", `{"url": "`+receiver.URL+`/hook?token=s3cr3tt0ken", "unsigned": true}`)
	put(t, l, "REFUSED", "WEBHOOK", `{"url": "`+receiver.URL+`/refuses", "unsigned": true}`)
	telephone := `{"account_sid": "AC0123456789abcdef0123456789abcdef", "auth_token_env": "TWILIO_AUTH_TOKEN", "from_number": "+4930100000",
		"to_numbers": ["+4930123456"], "api_base_url": "` + receiver.URL + `/refuses"}`
	put(t, l, "PHONE", "SMS", telephone)
	put(t, l, "CALL", "VOICE", telephone)
	put(t, l, "PAGER", "PAGERDUTY", `{"routing_key_env": "PAGERDUTY_KEY", "api_base_url": "`+receiver.URL+`/refuses"}`)
	environment := []string{settings.DatabaseURL + "=" + l.url, settings.AllowedCIDRs + "=127.0.0.0/8"}

	list := process(t, environment, "channel", "list", "-o", "json")
	list.wants(t, exitDone, "GOOD", "$redacted")
	test := process(t, environment, "channel", "test", "GOOD")
	test.wants(t, exitDone, "ACCEPTED", "HTTP 200")
	if strings.Contains(list.out+list.err+test.out+test.err, "s3cr3t") {
		t.Errorf("the secret is shown:\n%s%s", list.out, test.out)
	}
	if path := <-arrived; path != "/hook" {
		t.Errorf("the message went to %s", path)
	}
	process(t, environment, "channel", "test", "REFUSED").wants(t, exitError, "CONFIG", "403")
	process(t, environment, "channel", "test", "PHONE").wants(t, exitError, "TWILIO_AUTH_TOKEN is not set")
	keys := append(environment, "TWILIO_AUTH_TOKEN=0123456789abcdef0123456789abcdef", "PAGERDUTY_KEY=R0123456789abcdef0123456789abcde")
	for _, name := range []string{"PHONE", "CALL", "PAGER"} {
		process(t, keys, "channel", "test", name).wants(t, exitError, "CONFIG")
	}
	process(t, environment, "channel", "test", "NOBODY").wants(t, exitNotFound, "NOBODY", "onevault channel list")
	process(t, environment[:1], "channel", "test", "GOOD").wants(t, exitError, "ONEVAULT_ALLOWED_CIDRS")
}

func put(t *testing.T, l life, key, kind, configuration string) {
	t.Helper()
	err := l.store.PutChannel(t.Context(), vault.Channel{Key: key, Name: key, Type: kind, Configuration: json.RawMessage(configuration), RecordSource: "TEST"})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDoctor_FindsWhatStandsInTheWay(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	got := l.cli("doctor")
	got.wants(t, exitError, "none is enabled: nobody is told", "no channel hears any", "there was none within 8 days", "connect to Temporal at "+deadTemporal)

	put(t, l, "PAGER", "PAGERDUTY", `{"routing_key_env": "KEY", "integration_key_env": "KEY"}`)
	put(t, l, "TYPO", "WEBHOOK", `{"url": "https://example.com/", "unsigned": true, "metod": "PUT", "secret_env": "HOOK_SECRET"}`)
	l.measure("local", time.Now())
	if _, err := l.store.EvaluateDue(t.Context(), "local", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := l.store.Pool().Exec(t.Context(), "UPDATE monitoring.outbox SET created_at = now() - interval '2 minutes'"); err != nil {
		t.Fatal(err)
	}
	got = l.cli("doctor", "-o", "json")
	got.wants(t, exitError, "integration_key_env", "metod", "HOOK_SECRET", "did not reach their workflows")
	var findings []struct{ Check, Status, Detail string }
	if err := json.Unmarshal([]byte(got.out), &findings); err != nil {
		t.Fatal(err)
	}
	statuses := map[string]string{}
	for _, f := range findings {
		statuses[f.Check] = f.Status
	}
	for check, want := range map[string]string{"vault": "OK", "schema": "OK", "privileges": "OK", "outbox": "FAIL", "temporal": "FAIL"} {
		if statuses[check] != want {
			t.Errorf("%s is %s, want %s", check, statuses[check], want)
		}
	}
}

func TestDoctor_SeesMissingPrivileges(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	role := "reader_" + strings.ToLower(rand.Text())
	for _, statement := range []string{
		"CREATE ROLE " + role + " LOGIN PASSWORD 'reader'",
		"GRANT USAGE ON SCHEMA monitoring, util TO " + role,
		"GRANT SELECT ON ALL TABLES IN SCHEMA monitoring, public TO " + role,
	} {
		if _, err := l.store.Pool().Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	config := l.store.Pool().Config().ConnConfig
	got := invocation{url: "host=" + config.Host + " port=" + strconv.Itoa(int(config.Port)) + " user=" + role + " password=reader dbname=" + config.Database}.run(t, "doctor")
	got.wants(t, exitError, "GRANT pg_monitor TO "+role, role+" may not write alerts")
}

func TestInbox_NamesAnAddressInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	process(t, nil, "inbox", "--smtp-addr", "127.0.0.1:0", "--http-addr", taken.Addr().String()).wants(t, exitError, "inbox: listen for HTTP on "+taken.Addr().String())
}
