package notify

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

const (
	reportSign = "0123456789abcdef0123456789abcdef"
	ownSender  = "bounces+" + reportSign + "@onevault.com"
)

func postfixBounce(t *testing.T, replace ...string) string {
	t.Helper()
	raw, err := os.ReadFile("testdata/bounce-postfix.eml")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(replace); i += 2 {
		if !strings.Contains(string(raw), replace[i]) {
			t.Fatalf("the report does not hold %q", replace[i])
		}
	}
	return strings.NewReplacer(replace...).Replace(string(raw))
}

func TestParseReport_SaysWhichMailWhatAndWhy(t *testing.T) {
	t.Parallel()
	got, err := ParseReport(strings.NewReader(postfixBounce(t)), "")
	want := MailReport{
		Reference: reportSign, Action: ActionFailed, Status: "5.1.1", Recipient: "nobody@onevault.com", Reporter: "mail.onevault.com",
		Reason: "5.1.1 550 5.1.1 <nobody@onevault.com>: Recipient address rejected: User unknown",
		At:     time.Date(2026, 5, 4, 3, 12, 7, 0, time.UTC),
	}
	if err != nil || got != want {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	if got.Action.Receipt() != "BOUNCED" {
		t.Errorf("a failure is %s", got.Action.Receipt())
	}
}

func TestParseReport_FindsTheMailByEnvelopeHeaderOrWhatIsReturned(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		report, to, want string
	}{
		"envelope":           {postfixBounce(t, ownSender, "bounces@onevault.com"), ownSender, reportSign},
		"upper case":         {postfixBounce(t, ownSender, "bounces@onevault.com"), strings.ToUpper(ownSender), reportSign},
		"Message-ID":         {postfixBounce(t, ownSender, "bounces@onevault.com"), "", "fedcba9876543210fedcba9876543210@onevault.com"},
		"whole mail":         {postfixBounce(t, ownSender, "bounces@onevault.com", "text/rfc822-headers", "message/rfc822"), "", "fedcba9876543210fedcba9876543210@onevault.com"},
		"CRLF":               {strings.ReplaceAll(postfixBounce(t), "\n", "\r\n"), "", reportSign},
		"cut off at the end": {strings.Split(postfixBounce(t), "Content-Description: Undelivered")[0], "", reportSign},
	} {
		if got, err := ParseReport(strings.NewReader(c.report), c.to); err != nil || got.Reference != c.want || got.Action != ActionFailed {
			t.Errorf("%s: %+v, %v, want %s", name, got, err, c.want)
		}
	}
}

func TestParseReport_KnowsTheFiveActions(t *testing.T) {
	t.Parallel()
	for action, want := range map[string]string{"failed": "BOUNCED", "Delayed": "DELAYED", "delivered": "DELIVERED", "relayed": "SENT", "expanded": "SENT"} {
		got, err := ParseReport(strings.NewReader(postfixBounce(t, "Action: failed", "Action: "+action)), "")
		if err != nil || got.Action.Receipt() != want {
			t.Errorf("%s: %+v, %v, want %s", action, got, err, want)
		}
	}
	_, err := ParseReport(strings.NewReader(postfixBounce(t, "Action: failed", "Action: eaten")), "")
	if err == nil || errors.Is(err, ErrNoReport) || !strings.Contains(err.Error(), `"eaten"`) {
		t.Errorf("an unknown action: %v", err)
	}
}

func TestParseReport_OfSeveralRecipientsAFailureCounts(t *testing.T) {
	t.Parallel()
	second := "Final-Recipient: rfc822; other@onevault.com\nAction: delivered\nStatus: 2.0.0\n\n"
	for _, report := range []string{
		postfixBounce(t, "Final-Recipient: rfc822; nobody@", second+"Final-Recipient: rfc822; nobody@"),
		postfixBounce(t, "    rejected: User unknown\n\n--", "    rejected: User unknown\n\n"+second+"--"),
	} {
		got, err := ParseReport(strings.NewReader(report), "")
		if err != nil || got.Action != ActionFailed || got.Recipient != "nobody@onevault.com" {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}

func TestParseReport_TakesNothingElseForAReport(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty":            "",
		"no mail":          "hello\n",
		"vacation":         "To: " + ownSender + "\nAuto-Submitted: auto-replied\nContent-Type: text/plain\n\nI am away; Action: failed\n",
		"read receipt":     postfixBounce(t, "report-type=delivery-status", "report-type=disposition-notification"),
		"no status":        postfixBounce(t, "message/delivery-status", "text/plain"),
		"no boundary":      "Content-Type: multipart/report; report-type=delivery-status\n\nx\n",
		"multipart, other": postfixBounce(t, "multipart/report", "multipart/mixed"),
	} {
		if got, err := ParseReport(strings.NewReader(text), ""); !errors.Is(err, ErrNoReport) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	nameless := postfixBounce(t, ownSender, "bounces@onevault.com", "Message-ID:", "X-Other:")
	if _, err := ParseReport(strings.NewReader(nameless), ""); err == nil || !strings.Contains(err.Error(), "which mail") {
		t.Errorf("a report about no mail: %v", err)
	}
}

func FuzzParseReport(f *testing.F) {
	raw, err := os.ReadFile("testdata/bounce-postfix.eml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(raw), ownSender)
	f.Add("Content-Type: multipart/report; boundary=x\n\n--x\nContent-Type: message/delivery-status\n\nA: b\n\nAction: failed\n", "")
	f.Fuzz(func(t *testing.T, text, to string) {
		got, err := ParseReport(strings.NewReader(text), to)
		if err == nil && (got.Reference == "" || got.Action.Receipt() == "" || strings.ContainsAny(got.Reason, "\r\n")) {
			t.Errorf("took %+v for a report", got)
		}
	})
}

func TestEmail_EachMailHasAnEnvelopeSenderOfItsOwn(t *testing.T) {
	t.Parallel()
	fake := newFakeSMTP(t, smtpBehaviour{})
	fields := emailFields(fake.addr, tlsNone)
	fields["bounce_address"], fields["delivery_receipts"] = "bounces@onevault.com", true
	channel := mustOpen(t, config(t, TypeEmail, fields), testOptions(nil))
	receipts := deliverAll(t, channel, firedMessage())
	senders := fake.senders()
	if len(senders) != 2 || senders[0] == senders[1] {
		t.Fatalf("envelope senders %q", senders)
	}
	for i, r := range receipts {
		local, _, _ := strings.Cut(r.ExternalID, "@")
		if want := "bounces+" + local + "@onevault.com NOTIFY=SUCCESS,FAILURE,DELAY"; senders[i] != want {
			t.Errorf("sender %q, want %q: a report must lead back to %s", senders[i], want, r.ExternalID)
		}
	}
}

func TestEmail_WithoutABounceAddressReportsGoToTheSender(t *testing.T) {
	t.Parallel()
	fake := newFakeSMTP(t, smtpBehaviour{})
	deliverAll(t, mustOpen(t, config(t, TypeEmail, emailFields(fake.addr, tlsNone)), testOptions(nil)), firedMessage())
	for _, sender := range fake.senders() {
		if sender != "alerts@onevault.com NOTIFY=" {
			t.Errorf("sender %q", sender)
		}
	}
}

func TestEmail_RefusesABounceAddressThatCouldTakeNoReport(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"nobody":           "is not a mail address",
		"a+b@onevault.com": "give the plain mailbox",
		strings.Repeat("b", 32) + "@onevault.com": "at most 31 characters",
	} {
		fields := emailFields(newFakeSMTP(t, smtpBehaviour{}).addr, tlsNone)
		fields["bounce_address"] = value
		if _, err := Open(config(t, TypeEmail, fields), testOptions(nil)); err == nil || !strings.Contains(err.Error(), "bounce_address: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", value, err)
		}
	}
	fields := emailFields(newFakeSMTP(t, smtpBehaviour{}).addr, tlsNone)
	fields["delivery_receipts"] = true
	if _, err := Open(config(t, TypeEmail, fields), testOptions(nil)); err == nil || !strings.Contains(err.Error(), "bounce_address: it is missing although delivery_receipts") {
		t.Errorf("without an address: %v", err)
	}
}
