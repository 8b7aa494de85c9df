package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"onevault/alert"
	"onevault/settings"
)

// ask makes one request as a stranger's program does.
func ask(t *testing.T, method, address, body string, header http.Header) (status int, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(read)
}

var acknowledgeLink = regexp.MustCompile(`Acknowledge with one press:\s+(http://\S+/links/\S+)`)

func TestMail_PressingAcknowledgeStopsThePagingAndLookingDoesNot(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_LINK")
	s.define(rule{escalateAfter: 1}, holds)
	opened := s.awaitState("OPEN")
	s.awaitTold("FIRED", 3)
	var link string
	for _, m := range s.inbox.Messages() {
		if found := acknowledgeLink.FindStringSubmatch(m.Text); found != nil {
			link = found[1]
		}
	}
	if link == "" {
		t.Fatal("the mail has no link to acknowledge")
	}

	if status, page := ask(t, http.MethodGet, link, "", nil); status != http.StatusOK || !strings.Contains(page, "Acknowledge this alert?") || !strings.Contains(page, opened.ID) {
		t.Fatalf("%d %s", status, page)
	}
	if running, err := w.status(t.Context(), s.key); err != nil || running.Alerts[0].Status != alert.StatusOpen {
		t.Fatalf("looking changed something: %+v %v", running, err)
	}
	if status, page := ask(t, http.MethodPost, link, "", nil); status != http.StatusOK || !strings.Contains(page, "<h1>Acknowledged</h1>") || !strings.Contains(page, "escalation level 1 will not come") {
		t.Fatalf("%d %s", status, page)
	}
	running, err := w.status(t.Context(), s.key)
	if err != nil || running.Alerts[0].Status != alert.StatusAcknowledged || running.Alerts[0].AcknowledgedBy != "oncall@example.com" || !running.NextEscalation.IsZero() {
		t.Errorf("the workflow: %+v %v", running, err)
	}
	s.awaitState("ACKNOWLEDGED")
	var via string
	if err := w.db.QueryRow(t.Context(), "SELECT changed_via FROM monitoring.alert_instance_s WHERE alert_instance_hk = $1 AND load_end_date IS NULL", opened.HashKey).Scan(&via); err != nil || via != "link:oncall@example.com (verified)" {
		t.Errorf("how the actor is known: %q %v", via, err)
	}
	if status, page := ask(t, http.MethodPost, link, "", nil); status != http.StatusOK || !strings.Contains(page, "This link was used") {
		t.Errorf("pressed again: %d %s", status, page)
	}
	s.define(rule{escalateAfter: 1}, clears)
	s.awaitState("RESOLVED")
	s.mustStates(opened.Key, "OPEN", "ACKNOWLEDGED", "RESOLVED")
}

// signed sends alerts as a source that signs does.
func (s *story) signed(source, id, body string) (outcome, alertID, definition string) {
	s.t.Helper()
	hook, err := standardwebhooks.NewWebhook(webhookSecret)
	if err != nil {
		s.t.Fatal(err)
	}
	at := time.Now()
	signature, err := hook.Sign(id, at, []byte(body))
	if err != nil {
		s.t.Fatal(err)
	}
	status, text := ask(s.t, http.MethodPost, s.w.env[settings.APIURL]+"/sources/alertmanager/"+source, body, http.Header{
		"Webhook-Id": {id}, "Webhook-Timestamp": {fmt.Sprint(at.Unix())}, "Webhook-Signature": {signature},
	})
	var answer struct {
		Alerts []struct{ Outcome, ID, Definition string }
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil || status != http.StatusOK || len(answer.Alerts) != 1 {
		s.t.Fatalf("%d %s %v", status, text, err)
	}
	return answer.Alerts[0].Outcome, answer.Alerts[0].ID, answer.Alerts[0].Definition
}

func TestSource_AnAlertOfAlertmanagerIsToldAndItsEndToo(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := &story{t: t, w: w, key: "EXTERNAL", inbox: startInbox(t)}
	s.channel("WEBHOOK_"+rand.Text()[:4], "WEBHOOK", webhookTo(s.inbox), 3, 1)
	w.must(t, "source", "apply", "e2e-am", "--secret-env", webhookSecretVariable, "--description", "of a story")
	began := time.Now().UTC().Add(-time.Minute)
	body := func(status string) string {
		return fmt.Sprintf(`{"version":"4","alerts":[{"status":%q,"labels":{"alertname":"InstanceDown","severity":"warning","instance":"db-1"},
			"annotations":{"summary":"db-1 does not answer"},"startsAt":%q,"endsAt":%q,"fingerprint":"%x"}]}`,
			status, began.Format(time.RFC3339Nano), time.Now().UTC().Format(time.RFC3339Nano), began.UnixNano())
	}
	firing := body("firing")
	id := fmt.Sprintf("msg_%d", began.UnixNano())
	outcome, alertID, definition := s.signed("e2e-am", id, firing)
	if outcome != "OPENED" {
		t.Fatalf("%s %s", outcome, definition)
	}
	if again, same, _ := s.signed("e2e-am", id, firing); again != outcome || same != alertID {
		t.Errorf("replayed: %s %s", again, same)
	}
	if held, same, _ := s.signed("e2e-am", id+"_repeated", firing); held != "HELD" || same != alertID {
		t.Errorf("repeated: %s %s", held, same)
	}
	told := func(want ...string) {
		eventually(t, patience, fmt.Sprintf("the channel hears %v of %s", want, alertID), func(context.Context) (bool, any, error) {
			got := s.received("WEBHOOK", alertID)
			return slices.Equal(got, want), got, nil
		})
	}
	told("FIRED")
	raw := s.inbox.Messages()[0].Raw
	if !strings.Contains(raw, "db-1 does not answer (instance=db-1)") {
		t.Errorf("the message does not say why: %s", raw)
	}
	w.must(t, "alert", "ack", alertID)
	if ended, same, _ := s.signed("e2e-am", id+"_end", body("resolved")); ended != "RESOLVED" || same != alertID {
		t.Errorf("ended: %s %s", ended, same)
	}
	told("FIRED", "RESOLVED")
	if explained := w.must(t, "alert", "explain", alertID); !strings.Contains(explained, "the source e2e-am decided") {
		t.Errorf("explain: %s", explained)
	}
}
