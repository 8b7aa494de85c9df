package activities

import (
	"net"
	"strings"
	"testing"

	"onevault/notify"
)

func TestExamine_SaysOfEachChannelWhetherThisWorkerCouldSendByIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	w.webhook()
	w.put("CLOSED", notify.TypeWebhook, map[string]any{"url": "http://" + closed.Addr().String() + "/x", "unsigned": true})
	w.put("SECRETLESS", notify.TypeWebhook, map[string]any{"url": "https://example.com/x", "secret_env": "HOOK_SECRET"})
	w.put("INNER", notify.TypeSlack, map[string]any{"webhook_url": "https://10.1.2.3/services/T0/B0/s3cr3t-t0ken-of-slack"})
	out, err := (&Examinations{Vault: w.store, Channels: w.directory}).Examine(t.Context())
	if err != nil || out.Host == "" || out.At.IsZero() || len(out.Channels) != 4 {
		t.Fatalf("%+v, %v", out, err)
	}
	for _, c := range out.Channels {
		want := map[string]struct{ unusable, unreachable string }{
			"OPS": {}, "CLOSED": {"", "refused"}, "SECRETLESS": {"HOOK_SECRET is not set", ""}, "INNER": {"ONEVAULT_ALLOWED_CIDRS", ""},
		}[c.Key]
		if !strings.Contains(c.Unusable, want.unusable) || !strings.Contains(c.Unreachable, want.unreachable) ||
			want.unusable == "" && (c.Unusable != "" || c.Recipients != 1 || !c.Tried) || want.unreachable == "" && c.Unreachable != "" {
			t.Errorf("%+v, want %+v", c, want)
		}
		if strings.Contains(c.Unusable+c.Unreachable, "s3cr3t") {
			t.Errorf("a secret is shown: %+v", c)
		}
	}
	w.wantReceived(0)
}
