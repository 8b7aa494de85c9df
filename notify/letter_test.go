package notify

import (
	"errors"
	"strings"
	"testing"
)

func TestLetter_CarriesItsFileAndKeepsItsKeyOverAttempts(t *testing.T) {
	t.Parallel()
	fake := newFakeSMTP(t, smtpBehaviour{})
	channel := mustOpen(t, config(t, TypeEmail, emailFields(fake.addr, tlsNone)), testOptions(nil))
	mailer, ok := As[Mailer](channel)
	if !ok {
		t.Fatal("an e-mail channel carries no letter")
	}
	letter := Letter{
		Key: "DAILY||ALL||2026-11-23/MAIL", Subject: "Report\r\nBcc: x@example.com", Text: "the text", HTML: "<p>the summary</p>",
		Attachments: []Attachment{{Name: "report.html", Type: "text/html; charset=utf-8", Content: []byte("<html>the page</html>")}},
	}
	first := mailer.SendLetter(t.Context(), channel.Recipients()[0], letter)
	letter.PossibleDuplicate = true
	second := mailer.SendLetter(t.Context(), channel.Recipients()[0], letter)
	if first.Class != Accepted || second.Class != Accepted || first.Content != letter.Text || first.Duration <= 0 {
		t.Errorf("receipts %+v and %+v", first, second)
	}
	if first.ExternalID == "" || first.ExternalID != second.ExternalID {
		t.Errorf("Message-ID %q, then %q", first.ExternalID, second.ExternalID)
	}
	mails, _ := fake.taken()
	if len(mails) != 2 {
		t.Fatalf("%d mails, want 2", len(mails))
	}
	raw := string(mails[0])
	for _, wanted := range []string{"multipart/mixed", "multipart/alternative", "text/plain", `filename="report.html"`, "Auto-Submitted: auto-generated"} {
		if !strings.Contains(raw, wanted) {
			t.Errorf("the mail lacks %q:\n%s", wanted, raw)
		}
	}
	header, _, _ := strings.Cut(raw, "\r\n\r\n")
	if strings.Contains(header, "\r\nBcc:") {
		t.Errorf("a subject adds a header:\n%s", header)
	}
	if strings.Contains(raw, "had this mail before") || !strings.Contains(string(mails[1]), "had this mail before") {
		t.Error("the possible duplicate, and no other, says that it may be one")
	}
	if gone := mailer.SendLetter(t.Context(), "gone@example.com", letter); gone.Class != Misconfigured || !strings.Contains(gone.Reason, "gone@example.com") {
		t.Errorf("a recipient that is gone: %+v", gone)
	}
}

func TestLint_AReportIsAskedForByABooleanAndInAMail(t *testing.T) {
	t.Parallel()
	mail := func(value string) Config {
		return row(TypeEmail, strings.Replace(guideEmail, "{", `{"daily_report": `+value+`,`, 1))
	}
	for _, value := range []string{"true", "false"} {
		if found := Lint(mail(value)); len(found) > 0 {
			t.Errorf("daily_report %s: %v", value, found)
		}
	}
	if err := errors.Join(Lint(mail(`"true"`))...); err == nil || !strings.Contains(err.Error(), "daily_report: it must be true or false") {
		t.Errorf(`"true" in quotes: %v`, err)
	}
	slack := row(TypeSlack, `{"webhook_url_env": "SLACK_URL", "daily_report": true}`)
	if found := Lint(slack); len(found) != 1 || !strings.Contains(found[0].Error(), "cannot carry the report") {
		t.Errorf("a Slack channel that asks: %v", found)
	}
}

func TestPerAlert_IsAskedForByABoolean(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{"true": true, "false": false, `"true"`: false, "1": false, "null": false} {
		webhook := row(TypeWebhook, `{"url": "https://tickets.example.com/", "unsigned": true, "one_message_per_alert": `+value+`}`)
		if got := webhook.PerAlert(); got != want {
			t.Errorf("%s: %t", value, got)
		}
		if found, wrong := Lint(webhook), value[0] == '"' || value == "1"; (len(found) > 0) != wrong {
			t.Errorf("%s: %v", value, found)
		}
	}
	if (Config{Configuration: []byte("no JSON")}).PerAlert() {
		t.Error("a row that cannot be read asks for thousands of messages")
	}
}
