package notify

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"onevault/alert"
)

func webhookFields(base string) map[string]any {
	return map[string]any{"url": base + "/hook", "secret_env": "HOOK_SECRET", "headers": map[string]string{"X-Team": "dba"}, "headers_env": map[string]string{"Authorization": "HOOK_AUTH"}}
}

// TestWebhook_IsSignedAsStandardWebhooksDescribe verifies with the standard's own library, under the new
// secret and under the old one, and expects a changed body to be refused.
func TestWebhook_IsSignedAsStandardWebhooksDescribe(t *testing.T) {
	t.Parallel()
	fake := newFakeHTTP(t, false, answer(204, ""))
	channel := mustOpen(t, config(t, TypeWebhook, webhookFields(fake.URL)), testOptions(nil))
	checkReceipt(t, channel.Send(t.Context(), channel.Recipients()[0], firedMessage()), Accepted)
	got := fake.last(t)
	for _, key := range []string{signingKey, olderKey} {
		verifier, err := standardwebhooks.NewWebhook(key)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify(got.Body, got.Header); err != nil {
			t.Errorf("the signature does not verify: %v", err)
		}
		if verifier.Verify(append(got.Body, ' '), got.Header) == nil {
			t.Error("a changed body verifies")
		}
	}
}

func TestWebhook_HeadersIdentifyTheDeliveryTheSameOnEveryAttempt(t *testing.T) {
	t.Parallel()
	fake := newFakeHTTP(t, false, answer(200, ""))
	channel := mustOpen(t, config(t, TypeWebhook, webhookFields(fake.URL)), testOptions(nil))
	m := firedMessage()
	m.Key, m.Target = "n/Verbindungen über 100%/1", "pg prod/3"
	first := channel.Send(t.Context(), channel.Recipients()[0], m)
	m.PossibleDuplicate = true
	second := channel.Send(t.Context(), channel.Recipients()[0], m)
	if first.ExternalID != second.ExternalID || first.ExternalID == "" {
		t.Errorf("ExternalID %q and %q, want the same", first.ExternalID, second.ExternalID)
	}
	for name, want := range map[string]string{
		"webhook-id": "n/Verbindungen%20%C3%BCber%20100%25/1", "ce-id": "n/Verbindungen%20%C3%BCber%20100%25/1",
		"ce-specversion": "1.0", "ce-type": "onevault.alert.fired", "ce-source": "/onevault/pg%20prod%2F3",
		"ce-subject": "alert/pg-prod-3/SYSTEM_HIGH_CONNECTION_COUNT", "ce-time": "2026-03-01T03:12:15Z",
		"Content-Type": "application/json; charset=utf-8", "X-Team": "dba", "Authorization": headerToken,
	} {
		for i, r := range fake.all() {
			if got := r.Header.Get(name); got != want {
				t.Errorf("request %d: %s = %q, want %q", i, name, got, want)
			}
		}
	}
}

func TestWebhook_UnsignedOnlyWhereStated(t *testing.T) {
	t.Parallel()
	fake := newFakeHTTP(t, false, answer(200, ""))
	channel := mustOpen(t, config(t, TypeWebhook, map[string]any{"url": fake.URL, "unsigned": true}), testOptions(nil))
	checkReceipt(t, channel.Send(t.Context(), channel.Recipients()[0], firedMessage()), Accepted)
	if _, signed := fake.last(t).Header[http.CanonicalHeaderKey("webhook-signature")]; signed {
		t.Error("an unsigned channel sends a signature")
	}
}

// TestWebhook_BodyIsAlertmanagers reads the body as Alertmanager's receivers do.
func TestWebhook_BodyIsAlertmanagers(t *testing.T) {
	t.Parallel()
	m := batch(maxWebhookAlerts + 7)
	m.Alerts[0].Status, m.Alerts[0].ResolvedAt, m.Alerts[0].Tenant = alert.StatusResolved, m.At, "00ff"
	raw, err := json.Marshal((&webhook{name: "WEBHOOK_OPS"}).body(m))
	if err != nil {
		t.Fatal(err)
	}
	var body struct {
		Version, GroupKey, Status, Receiver, ExternalURL string
		TruncatedAlerts                                  uint64
		GroupLabels, CommonLabels, CommonAnnotations     map[string]string
		Alerts                                           []struct {
			Status, Fingerprint, StartsAt, EndsAt string
			Labels, Annotations                   map[string]string
		}
		OneVault struct {
			Key    string
			Alerts []alert.Alert
		}
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		t.Fatal(err)
	}
	if body.Version != "4" || body.Status != "firing" || body.Receiver != "WEBHOOK_OPS" || body.GroupKey != m.WorkflowID {
		t.Errorf("head = %q %q %q %q", body.Version, body.Status, body.Receiver, body.GroupKey)
	}
	if len(body.Alerts) != maxWebhookAlerts || body.TruncatedAlerts != 7 || len(body.OneVault.Alerts) != maxWebhookAlerts {
		t.Errorf("%d alerts, %d truncated, %d extras", len(body.Alerts), body.TruncatedAlerts, len(body.OneVault.Alerts))
	}
	first, second := body.Alerts[0], body.Alerts[1]
	if first.Status != "resolved" || first.EndsAt != "2026-03-01T03:12:15Z" || first.Labels["tenant"] != "00ff" {
		t.Errorf("first alert = %+v", first)
	}
	if second.Status != "firing" || second.EndsAt != "0001-01-01T00:00:00Z" || second.StartsAt != "2026-03-01T03:06:13Z" {
		t.Errorf("second alert = %+v", second)
	}
	if first.Fingerprint == second.Fingerprint || len(first.Fingerprint) != 16 {
		t.Errorf("fingerprints %q and %q", first.Fingerprint, second.Fingerprint)
	}
	if second.Labels["severity"] != "high" || second.Labels["alertname"] != m.Definition.Key || second.Annotations["value"] != "92.46%" {
		t.Errorf("labels %v, annotations %v", second.Labels, second.Annotations)
	}
}

func TestSlack_PostsTheGuidesFields(t *testing.T) {
	t.Parallel()
	fake := newFakeHTTP(t, false, answer(200, "ok"))
	channel := mustOpen(t, config(t, TypeSlack, map[string]any{"webhook_url": fake.URL + "/services/x", "channel": "#ops-alerts", "username": "OneVault Monitor", "icon_emoji": ":warning:"}), testOptions(nil))
	r := channel.Send(t.Context(), channel.Recipients()[0], firedMessage())
	checkReceipt(t, r, Accepted)
	var got map[string]any
	if err := json.Unmarshal(fake.last(t).Body, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{"channel": "#ops-alerts", "username": "OneVault Monitor", "icon_emoji": ":warning:", "text": "[CRITICAL] High Connection Count on pg-prod-3"} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
	if !strings.Contains(r.Content, "onevault alert ack A-7F3K") {
		t.Errorf("Content = %q", r.Content)
	}
}
