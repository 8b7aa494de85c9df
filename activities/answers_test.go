package activities

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"onevault/alert"
	"onevault/inbox"
	"onevault/link"
	"onevault/notify"
)

const linkKey = "dGhlLWtleS1vZi10aGUtdGVzdHMtMDEyMzQ1Njc4OTAx"

// answering gives the world an address and a key, and a channel whose mails end in the inbox.
func answering(t *testing.T) (*world, alert.Channel) {
	t.Helper()
	w := newWorld(t)
	keys, err := link.ParseKeys(linkKey)
	if err != nil {
		t.Fatal(err)
	}
	w.notifications.Links = &Links{PublicURL: &url.URL{Scheme: "https", Host: "ops.example.com", Path: "/onevault"}, Keys: keys}
	host, port, found := strings.Cut(w.inbox.SMTPAddr(), ":")
	if !found {
		t.Fatal(w.inbox.SMTPAddr())
	}
	return w, w.put("MAIL", notify.TypeEmail, map[string]any{
		"smtp_server": host, "smtp_port": port, "tls": "none", "from_address": "onevault@example.com", "to_addresses": []string{"dana@example.com", "kim@example.com"},
	})
}

var answerURL = regexp.MustCompile(`https://ops\.example\.com/onevault/links/([A-Za-z0-9_.-]+)`)

// tokens are those of a mail, each once, in the order of their appearance.
func tokens(text string) []string {
	var list []string
	seen := map[string]bool{}
	for _, m := range answerURL.FindAllStringSubmatch(text, -1) {
		if !seen[m[1]] {
			seen[m[1]] = true
			list = append(list, m[1])
		}
	}
	return list
}

func TestSendNotification_AMailCanBeAnsweredByItsReaderAlone(t *testing.T) {
	t.Parallel()
	w, channel := answering(t)
	a := w.open()
	in := first(channel, a)
	w.send(in)
	in.Recipient = "kim@example.com"
	w.send(in)
	var all []string
	for i, m := range w.inbox.Messages() {
		found := tokens(m.Text)
		if len(found) != 2 || strings.Join(found, " ") != strings.Join(tokens(m.HTML), " ") {
			t.Fatalf("the mail holds %d links, its HTML %d", len(found), len(tokens(m.HTML)))
		}
		for j, verb := range []string{"acknowledge", "resolve"} {
			claims, err := w.notifications.Links.Keys.Verify(found[j], time.Now())
			if err != nil || claims.Verb != verb || len(claims.Alerts) != 1 || alert.ShortIDOf(claims.Alerts[0]) != a.ShortID {
				t.Errorf("%+v %v", claims, err)
			}
			if want := []string{"dana@example.com", "kim@example.com"}; claims.Recipient != want[i] && claims.Recipient != want[1-i] {
				t.Errorf("recipient %s", claims.Recipient)
			}
			if _, err := w.notifications.Links.Keys.Verify(found[j], in.Message.At.Add(linkLifetime)); !errors.Is(err, link.ErrExpired) {
				t.Errorf("after three days: %v", err)
			}
		}
		all = append(all, found...)
	}
	if len(all) != 4 || all[0] == all[2] || all[1] == all[3] {
		t.Errorf("two people have the same links: %d", len(all))
	}
}

func TestSendNotification_WhatIsWrittenDownOfAMailHoldsNoLink(t *testing.T) {
	t.Parallel()
	w, channel := answering(t)
	in := first(channel, w.open())
	out := w.send(in)
	sent := tokens(w.inbox.Messages()[0].Text)
	if len(sent) != 2 || !strings.Contains(out.Receipt.Content, "/links/[secret]") {
		t.Fatalf("sent %d links; kept: %s", len(sent), out.Receipt.Content)
	}
	var rows string
	if err := w.store.Pool().QueryRow(t.Context(), "SELECT string_agg(s::text, '') FROM monitoring.notification_log_s s").Scan(&rows); err != nil {
		t.Fatal(err)
	}
	for _, token := range sent {
		wantNoSecret(t, "the receipt", out.Receipt.Content+out.Receipt.Proof+out.Receipt.Reason, token)
		wantNoSecret(t, "the ledger", rows, token)
		wantNoSecret(t, "the log", w.log.String(), token)
	}
}

func TestSendNotification_ARetriedMailHasTheSameLinks(t *testing.T) {
	t.Parallel()
	w, channel := answering(t)
	in := first(channel, w.open())
	if err := w.inbox.Fail(inbox.Email, 1, inbox.Behaviour{Status: http.StatusServiceUnavailable}); err != nil {
		t.Fatal(err)
	}
	one, err := w.notifications.Links.answers(in)
	if err != nil {
		t.Fatal(err)
	}
	w.send(in)
	in.Attempt = 1
	w.send(in)
	if got := w.inbox.Messages(); len(got) == 0 || !strings.Contains(got[0].Text, one[0].URL) {
		t.Error("the second attempt has other links than the first")
	}
}

func TestAnswers_AreOnlyWhereThereIsSomethingToAnswer(t *testing.T) {
	t.Parallel()
	w, channel := answering(t)
	links := w.notifications.Links
	a := someAlert()
	many := make([]alert.Alert, link.MaxAlerts+1)
	for i := range many {
		many[i] = a
	}
	for name, change := range map[string]func(*SendNotificationInput){
		"resolved":              func(in *SendNotificationInput) { in.Message.Event = alert.EventResolved },
		"a test":                func(in *SendNotificationInput) { in.Message.Event = alert.EventTest },
		"a reminder":            func(in *SendNotificationInput) { in.Message.Event = alert.EventSilenceEnding },
		"a text message":        func(in *SendNotificationInput) { in.Channel.Type = string(notify.TypeSMS) },
		"more than it can show": func(in *SendNotificationInput) { in.Message.Alerts = many },
	} {
		in := first(channel, a)
		change(&in)
		if answers, err := links.answers(in); len(answers) != 0 || err != nil {
			t.Errorf("%s has links: %v %v", name, answers, err)
		}
	}
	if answers, err := links.answers(first(channel, many[:link.MaxAlerts]...)); len(answers) != 2 || err != nil || len(answers[0].URL) > 2000 {
		t.Errorf("a full message: %d %v", len(answers), err)
	}
	if answers, err := (*Links)(nil).answers(first(channel, a)); answers != nil || err != nil {
		t.Errorf("without an address: %v %v", answers, err)
	}
}

func TestSendNotification_AWebhookIsAnsweredByAPostToItsLinks(t *testing.T) {
	t.Parallel()
	w, _ := answering(t)
	channel := w.put("HOOK", notify.TypeWebhook, map[string]any{"url": w.inbox.HTTPURL() + "/webhook/ops", "unsigned": true})
	in := first(channel, w.open())
	in.Recipient = w.inbox.HTTPURL() + "/..."
	out := w.send(in)
	received := w.inbox.Messages()
	if out.Receipt.Class != notify.Accepted || len(received) != 1 {
		t.Fatalf("%+v, and %d arrived", out.Receipt, len(received))
	}
	var body struct {
		OneVault struct {
			Answers []struct{ Verb, URL string }
		}
	}
	if err := json.Unmarshal([]byte(received[0].Raw), &body); err != nil {
		t.Fatal(err)
	}
	answers := body.OneVault.Answers
	if len(answers) != 2 || answers[0].Verb != "acknowledge" || answers[1].Verb != "resolve" {
		t.Fatalf("answers %+v", answers)
	}
	for _, a := range answers {
		token := answerURL.FindStringSubmatch(a.URL)
		if token == nil {
			t.Fatalf("%s is no link", a.URL)
		}
		claims, err := w.notifications.Links.Keys.Verify(token[1], in.Message.At)
		if err != nil || claims.Verb != a.Verb || claims.Recipient != "HOOK" {
			t.Errorf("claims %+v, %v", claims, err)
		}
		wantNoSecret(t, "the receipt", out.Receipt.Content+out.Receipt.Proof+out.Receipt.Reason, token[1])
	}
	if len(received[0].Actions) != 0 {
		t.Error("the inbox offers to post where somebody says whom it does not know")
	}
}
