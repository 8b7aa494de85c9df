package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"onevault/alert"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

const (
	bearer  = "c2VjcmV0LW9mLXByb21ldGhldXM"
	signing = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// sourcesWorld has a source with a token and one that signs.
func sourcesWorld(t *testing.T) *world {
	t.Helper()
	url := pgtest.DB(t)
	w := newWorldAt(t, url, nil).open(url)
	w.secrets = map[string]string{"PROMETHEUS_TOKEN": bearer, "SIGNED_SECRET": signing, "SHORT_TOKEN": "guess-me"}
	for _, s := range []vault.Source{
		{Name: "prometheus", TokenEnv: "PROMETHEUS_TOKEN", MaxDefinitions: 200},
		{Name: "signed", SecretEnv: "SIGNED_SECRET", MaxDefinitions: 200},
		{Name: "short", TokenEnv: "SHORT_TOKEN", MaxDefinitions: 200},
		{Name: "unset", TokenEnv: "NOT_SET", MaxDefinitions: 200},
	} {
		if _, err := w.store.PutSource(t.Context(), s, "dana"); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func alertmanagerBody(status string, at time.Time) string {
	return fmt.Sprintf(`{"version":"4","status":%q,"unheard_of":true,"alerts":[{"status":%q,"labels":{"alertname":"Up","severity":"critical","instance":"db-1"},
		"annotations":{"summary":"db-1 is down"},"startsAt":%q,"endsAt":"0001-01-01T00:00:00Z","fingerprint":"c8c7ae64a2e2a4a3"}]}`, status, status, at.Format(time.RFC3339Nano))
}

func (w *world) alertmanager(body, token string) reply {
	w.Helper()
	return w.send(http.MethodPost, "/sources/alertmanager/prometheus", body, http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}})
}

func (r reply) outcomes(t *testing.T) []vault.SourceOutcome {
	t.Helper()
	var body struct{ Alerts []vault.SourceOutcome }
	if err := json.Unmarshal([]byte(r.body), &body); err != nil || r.status != http.StatusOK {
		t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return body.Alerts
}

func TestSources_AlertmanagerOpensRepeatsAndResolves(t *testing.T) {
	t.Parallel()
	w := sourcesWorld(t)
	at := w.clock().Add(-5 * time.Minute)
	opened := w.alertmanager(alertmanagerBody("firing", at), bearer).outcomes(t)[0]
	if opened.Outcome != "OPENED" {
		t.Fatalf("%+v", opened)
	}
	if again := w.alertmanager(alertmanagerBody("firing", at), bearer).outcomes(t)[0]; again.Outcome != "HELD" || again.ID != opened.ID {
		t.Errorf("repeated: %+v", again)
	}
	a := w.state(opened.ID)
	if a.State != alert.StatusOpen || a.Severity != alert.SeverityCritical || a.Name != "Up" || a.Reason != "db-1 is down (instance=db-1)" || a.ChangedVia != "source:prometheus (verified)" {
		t.Errorf("%+v", a)
	}
	if ended := w.alertmanager(alertmanagerBody("resolved", at), bearer).outcomes(t)[0]; ended.Outcome != "RESOLVED" || w.state(opened.ID).State != alert.StatusResolved {
		t.Errorf("ended: %+v", ended)
	}
}

func TestSources_UnprovedSendersAreRefusedAndRecorded(t *testing.T) {
	t.Parallel()
	w := sourcesWorld(t)
	body := alertmanagerBody("firing", w.clock())
	for name, got := range map[string]reply{
		"wrong token":    w.alertmanager(body, bearer+"x"),
		"no token":       w.alertmanager(body, ""),
		"unknown source": w.send(http.MethodPost, "/sources/alertmanager/nobody", body, http.Header{"Authorization": {"Bearer " + bearer}}),
		"no signature":   w.send(http.MethodPost, "/sources/webhook/signed", body, nil),
	} {
		if got.status != http.StatusUnauthorized || got.body != "{\"error\":\"the sender is not proved\"}\n" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	w.eventually("each is a security event", func() bool {
		kinds := ""
		for _, refusal := range w.refusals() {
			kinds += refusal[:strings.LastIndexByte(refusal, ' ')] + ";"
		}
		return strings.Contains(kinds, "SIGNATURE") || strings.Contains(kinds, "UNKNOWN_SENDER")
	})
	var n int
	if err := w.psql.QueryRow(t.Context(), "SELECT count(*) FROM monitoring.alert_instance_h").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d alerts were opened (%v)", n, err)
	}
}

func TestSources_WhoseSecretIsMissingOrWeakAreAskedToComeAgain(t *testing.T) {
	t.Parallel()
	w := sourcesWorld(t)
	for name, token := range map[string]string{"unset": "", "short": "guess-me"} {
		got := w.send(http.MethodPost, "/sources/webhook/"+name, `{"name":"a"}`, http.Header{"Authorization": {"Bearer " + token}})
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || strings.Contains(got.body, "guess-me") {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

func (w *world) signed(id string, at time.Time, body string) reply {
	w.Helper()
	hook, err := standardwebhooks.NewWebhook(signing)
	if err != nil {
		w.Fatal(err)
	}
	signature, err := hook.Sign(id, at, []byte(body))
	if err != nil {
		w.Fatal(err)
	}
	return w.send(http.MethodPost, "/sources/webhook/signed", body, http.Header{
		"Webhook-Id": {id}, "Webhook-Timestamp": {fmt.Sprint(at.Unix())}, "Webhook-Signature": {signature},
	})
}

func TestSources_AnAlertWithAMistakeInItIsTakenInAndTheAnswerSaysWhatWasNotUnderstood(t *testing.T) {
	t.Parallel()
	w := sourcesWorld(t)
	got := w.signed("msg_1", time.Now(), `{"name":"Disk full","severty":"critical"}`)
	if o := got.outcomes(t)[0]; o.Outcome != "OPENED" {
		t.Fatalf("%+v", o)
	}
	if !strings.Contains(got.body, "severty is passed over") {
		t.Errorf("the answer is %s", got.body)
	}
	if plain := w.signed("msg_2", time.Now(), `{"name":"Tape full"}`); strings.Contains(plain.body, "notes") {
		t.Errorf("of what was understood the answer is %s", plain.body)
	}
}

func TestSources_SignedRequestsCountOnce(t *testing.T) {
	t.Parallel()
	w := sourcesWorld(t)
	const body = `{"name":"Disk full","severity":"high","value":97.5}`
	first := w.signed("msg_1", time.Now(), body)
	opened := first.outcomes(t)[0]
	if opened.Outcome != "OPENED" {
		t.Fatalf("%+v", opened)
	}
	if a := w.state(opened.ID); a.Value == nil || *a.Value != 97.5 || a.Severity != alert.SeverityHigh {
		t.Errorf("%+v", a)
	}
	if again := w.signed("msg_1", time.Now(), body); again.outcomes(t)[0] != opened {
		t.Errorf("replayed: %s, the first time %s", again.body, first.body)
	}
	w.signed("msg_1", time.Now(), `{"name":"Another"}`).says(t, http.StatusConflict, "used before")
	w.signed("msg_2", time.Now().Add(-10*time.Minute), body).says(t, http.StatusUnauthorized, "not proved")
	w.eventually("replays are security events", func() bool {
		return slices.ContainsFunc(w.refusals(), func(s string) bool { return strings.HasPrefix(s, "source/signed REPLAYED ") })
	})
}

func TestSources_SayWhatCannotBeMeant(t *testing.T) {
	t.Parallel()
	w := sourcesWorld(t)
	w.alertmanager(`{"version":"3"}`, bearer).says(t, http.StatusBadRequest, `version is \"3\"`)
	w.alertmanager(`nonsense`, bearer).says(t, http.StatusBadRequest, "no JSON")
}

func TestSources_AreToldToComeAgainWhileTheVaultIsDown(t *testing.T) {
	t.Parallel()
	w := newWorldAt(t, "postgres://u:secretword@127.0.0.1:1/x", nil)
	got := w.alertmanager(alertmanagerBody("firing", w.clock()), bearer)
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || strings.Contains(got.body, "secretword") {
		t.Errorf("%d %s", got.status, got.body)
	}
}
