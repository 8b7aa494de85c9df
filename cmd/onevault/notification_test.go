package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/vault"
)

// notificationOf is the id of an alert's notification by a channel.
func notificationOf(t *testing.T, l life, id, channel string) string {
	t.Helper()
	ids := strings.Fields(l.cli("notification", "list", "--alert", id, "--channel", channel, "-o", "name").out)
	if len(ids) != 1 {
		t.Fatalf("notifications by %s: %v", channel, ids)
	}
	return ids[0]
}

func TestNotificationList_FiltersTheLedger(t *testing.T) {
	t.Parallel()
	l, id := toldLife(t)
	for args, want := range map[string][]string{
		"":                                 {"MAIL", "CHAT"},
		"--alert " + id:                    {"MAIL", "CHAT"},
		"--channel MAIL":                   {"MAIL"},
		"--status failed":                  {"CHAT"},
		"--status DELIVERED,FAILED":        {"MAIL", "CHAT"},
		"--uncertain":                      {"CHAT"},
		"--certainty ACCEPTED":             {"MAIL"},
		"--certainty ACCEPTED --uncertain": {"MAIL", "CHAT"},
		"--since 1h":                       {"MAIL", "CHAT"},
		"--since 1m":                       {},
		"--channel NONE":                   {},
	} {
		got := l.cli(append([]string{"notification", "list", "-o", "json"}, strings.Fields(args)...)...)
		var list []vault.Notification
		if err := json.Unmarshal([]byte(got.out), &list); err != nil {
			t.Fatalf("%s: %v\n%s%s", args, err, got.out, got.err)
		}
		channels := []string{}
		for _, n := range list {
			channels = append(channels, n.Channel)
		}
		slices.Sort(channels)
		slices.Sort(want)
		if !slices.Equal(channels, want) {
			t.Errorf("%s: %v, want %v", args, channels, want)
		}
	}
	l.cli("notification", "list", "--limit", "1").wants(t, exitDone, "only the newest 1 are shown")
	l.cli("notification", "list", "--status", "SEEN").wants(t, exitUsage, `--status is "SEEN": use PENDING, DIGESTED, SENT`)
	l.cli("notification", "list", "--alert", "A-0000").wants(t, exitNotFound, "no alert")
	l.cli("notification", "list", "-o", "wide").wants(t, exitDone, "UNCERTAIN", "no answer (possible duplicate)", "ACCEPTED", "HTTP 200", "12 ms")
}

func TestNotificationShow_TellsAttemptsReceiptsAndWhatTheyProve(t *testing.T) {
	t.Parallel()
	l, id := toldLife(t)
	l.cli("notification", "show", notificationOf(t, l, id, "CHAT")).wants(t, exitDone,
		"UNCERTAIN", "no way to ask", "possible: an earlier attempt may have arrived", "attempt 1 ended", "TRANSIENT", "HTTP 503", "attempt 2 ended", "no answer")
	mail := notificationOf(t, l, id, "MAIL")
	shown := l.cli("notification", "show", mail)
	shown.wants(t, exitDone, "ACCEPTED", "the receiver answered 2xx; no receipt follows", "attempt 1 begun", "12 ms, HTTP 200")
	effects, err := l.store.RecordReceipt(t.Context(), vault.DeliveryReceipt{
		Provider: "WEBHOOK", Reference: "k", Status: "FAILED", At: now, Details: map[string]string{"channel": "MAIL", "reason": "nobody reads it"},
	})
	if err != nil || len(effects) != 1 || effects[0] != (vault.ReceiptEffect{ID: mail, Effect: "RECORDED"}) {
		t.Fatalf("effects %+v, %v", effects, err)
	}
	l.cli("notification", "show", mail[:6]).wants(t, exitDone, "FAILED", "receipt FAILED", "by WEBHOOK", "nobody reads it")
	l.cli("notification", "show", mail, "-o", "json").wants(t, exitDone, `"kind": "RECEIPT"`, `"receipt": "FAILED"`, `"meaning"`, `"certainty": "FAILED"`)
	l.cli("alert", "timeline", id).wants(t, exitDone, "receipt for FIRED to MAIL", "nobody reads it", "WEBHOOK")
	l.cli("notification", "show", "N-00000000").wants(t, exitNotFound, `no notification "N-00000000"`, "onevault notification list")
}

func bounceReport(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("../../notify/testdata/bounce-postfix.eml")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestNotificationBounce_RecordsTheReportOfAMailServer(t *testing.T) {
	t.Parallel()
	l, id := toldLife(t)
	sent := vault.LedgerEntry{
		AlertKey: mustFind(t, l, id).Key, ChannelKey: "MAIL", ChannelType: "EMAIL", Recipient: "nobody@onevault.com", Event: "FIRED", DeliveryKey: "k2",
		Status: "DELIVERED", Class: "ACCEPTED", Proof: "SMTP 250", ExternalID: "0123456789abcdef0123456789abcdef@onevault.com", At: now.Add(-6 * time.Minute),
	}
	bring := func() result {
		return invocation{url: l.url, stdin: bounceReport(t)}.run(t, "notification", "bounce")
	}
	bring().wants(t, exitDone, "no mail of ours is known", "waits for it")
	l.tell(sent) // the report was faster
	bring().wants(t, exitDone, "BOUNCED KNOWN")
	l.cli("notification", "list", "--status", "BOUNCED").wants(t, exitDone, "nobody@onevault.com", "FAILED", "Recipient address rejected: User unknown")
	invocation{url: l.url, stdin: "Subject: I am away\n\nuntil Monday\n"}.run(t, "notification", "bounce").wants(t, exitNoReport, "no delivery report", "vacation")
	invocation{url: "postgres://u:p4ssw0rd@127.0.0.1:1/x", stdin: bounceReport(t)}.run(t, "notification", "bounce").wants(t, exitTryAgain, "the vault does not answer", "again later")
}
