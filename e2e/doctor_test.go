package e2e_test

import (
	"context"
	"testing"
	"time"

	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/types/known/durationpb"
)

// What only a worker sees (its secrets, its way to the providers) and what only Temporal knows is found before the
// night in which it matters, and said with what to do about it.
func TestDoctor_FindsWhatOnlyAWorkerAndTemporalKnow(t *testing.T) {
	t.Parallel()
	r := startRig(t, "doctor")
	awaitReady(t, r.startWorker())
	eventually(t, patience, "doctor finds nothing wrong, once something was measured", func(context.Context) (bool, any, error) {
		got := r.onevault(t, "doctor")
		return got.code == 0, got.text, nil
	})
	if got := r.onevault(t, "check", "vault"); got.code > 1 { // this server's log cannot be read, which is a warning
		t.Errorf("check vault ends with %d: %s", got.code, got.text)
	}

	s := tell(t, &r.world, "E2E_DOCTOR")
	s.channel("SECRETLESS", "WEBHOOK", map[string]any{"url": "https://example.com/x", "secret_env": "E2E_NOBODY_SET_THIS"}, 0, 1)
	s.channel("CLOSED", "WEBHOOK", map[string]any{"url": "http://127.0.0.1:1/x", "secret_env": webhookSecretVariable}, 0, 1)
	login := emailTo(t, s.inbox)
	login["smtp_username"], login["smtp_password_env"], login["tls"] = "onevault", smtpPasswordVariable, "starttls"
	s.channel("LOGIN", "EMAIL", login, 0, 1)
	r.must(t, "schedule", "pause", "collect", "-m", "a story")
	_, err := r.temporal.WorkflowService().UpdateNamespace(t.Context(), &workflowservice.UpdateNamespaceRequest{
		Namespace: "default", Config: &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(24 * time.Hour)},
	})
	if err != nil {
		t.Fatal(err)
	}

	got := r.onevault(t, "doctor")
	if got.code != 1 {
		t.Errorf("doctor ends with %d", got.code)
	}
	mustHold(
		t, got.text,
		"the variable E2E_NOBODY_SET_THIS is not set", "onevault channel test "+s.channelKey("SECRETLESS"),
		"its provider cannot be used: ", "connection refused", "STARTTLS",
		"onevault schedule resume collect",
		"Temporal forgets workflows 24h0m0s after their end", "temporal operator namespace update --namespace default --retention 168h",
		"clock of temporal", "reaches their providers",
	)
	check := r.onevault(t, "check")
	if check.code != 2 {
		t.Errorf("check ends with %d, for Nagios CRITICAL is 2", check.code)
	}
	mustHold(t, check.text, "ONEVAULT CRITICAL - ", "E2E_NOBODY_SET_THIS", "| 'ok'=")
}
