package notify

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/alert"
)

// parsedMail is a mail as a reader takes it apart.
type parsedMail struct {
	mail.Header
	text, html string
}

func parseMail(t *testing.T, raw []byte) parsedMail {
	t.Helper()
	message, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("Content-Type %q, %v", kind, err)
	}
	out := parsedMail{Header: message.Header}
	for reader := multipart.NewReader(message.Body, params["boundary"]); ; {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			out.html = string(body)
		} else {
			out.text = string(body)
		}
	}
}

// deliverAll sends m to every recipient of the channel.
func deliverAll(t *testing.T, channel Channel, m Message) []Receipt {
	t.Helper()
	var out []Receipt
	for _, recipient := range channel.Recipients() {
		r := channel.Send(t.Context(), recipient, m)
		checkReceipt(t, r, Accepted)
		out = append(out, r)
	}
	return out
}

func TestEmail_EachRecipientGetsAMailOfItsOwn(t *testing.T) {
	t.Parallel()
	fake := newFakeSMTP(t, smtpBehaviour{})
	channel := mustOpen(t, config(t, TypeEmail, emailFields(fake.addr, tlsNone)), testOptions(nil))
	receipts := deliverAll(t, channel, firedMessage())
	mails, rcpts := fake.taken()
	if want := []string{"ops@onevault.com", "admin@onevault.com"}; !slices.Equal(rcpts, want) || len(mails) != 2 {
		t.Fatalf("%d mails to %q, want one for each of %q", len(mails), rcpts, want)
	}
	for i, raw := range mails {
		got := parseMail(t, raw)
		if to := got.Get("To"); !strings.Contains(to, rcpts[i]) || strings.Contains(to, ",") {
			t.Errorf("To = %q, want %s alone", to, rcpts[i])
		}
		if got.Get("Message-Id") != "<"+receipts[i].ExternalID+">" {
			t.Errorf("Message-ID %q, receipt %q", got.Get("Message-Id"), receipts[i].ExternalID)
		}
		if !strings.Contains(got.text, "onevault alert ack A-7F3K") || !strings.Contains(got.html, "onevault alert ack A-7F3K") {
			t.Error("text or HTML does not say how to acknowledge")
		}
		if strings.ReplaceAll(got.text, "\r\n", "\n") != receipts[i].Content {
			t.Errorf("Content is not the text as sent:\n%q\n%q", receipts[i].Content, got.text)
		}
	}
}

func TestEmail_IdentityIsTheSameOnEveryAttemptAndThreadsTheGroup(t *testing.T) {
	t.Parallel()
	fake := newFakeSMTP(t, smtpBehaviour{})
	fields := emailFields(fake.addr, tlsNone)
	fields["to_addresses"] = []string{"ops@onevault.com"}
	channel := mustOpen(t, config(t, TypeEmail, fields), testOptions(nil))
	again, later, other := firedMessage(), firedMessage(), firedMessage()
	again.PossibleDuplicate = true
	later.Key, later.Event = "n/2", alert.EventResolved
	other.Key, other.WorkflowID = "n/3", "alert/pg-prod-4/X"
	for _, m := range []Message{firedMessage(), again, later, other} {
		deliverAll(t, channel, m)
	}
	var got []parsedMail
	mails, _ := fake.taken()
	for _, raw := range mails {
		got = append(got, parseMail(t, raw))
	}
	id := func(i int) string { return got[i].Get("Message-Id") }
	if id(0) != id(1) || id(0) == id(2) || !strings.HasSuffix(id(0), "@onevault.com>") {
		t.Errorf("Message-IDs %q, want the first two alike and in the sender's domain", []string{id(0), id(1), id(2)})
	}
	for _, name := range []string{"References", "In-Reply-To"} {
		if a, b, c := got[0].Get(name), got[2].Get(name), got[3].Get(name); a == "" || a != b || a == c {
			t.Errorf("%s = %q, %q, %q; want one per group", name, a, b, c)
		}
	}
	if key := got[0].Get("X-OneVault-Notification-Key"); key != firedMessage().Key {
		t.Errorf("key header %q", key)
	}
	if got[0].Get("Auto-Submitted") != "auto-generated" {
		t.Error("vacation replies are not kept from answering")
	}
}

func TestEmail_HostileTextAddsNoHeader(t *testing.T) {
	t.Parallel()
	fake := newFakeSMTP(t, smtpBehaviour{})
	channel := mustOpen(t, config(t, TypeEmail, emailFields(fake.addr, tlsNone)), testOptions(nil))
	m := hostile()
	m.Key = "a\r\nBcc: x@y.z"
	r := channel.Send(t.Context(), channel.Recipients()[0], m)
	if r.Class != Accepted {
		t.Fatalf("receipt %+v", r)
	}
	mails, _ := fake.taken()
	if got := parseMail(t, mails[0]); got.Get("Bcc") != "" {
		t.Errorf("Bcc = %q, want none", got.Get("Bcc"))
	}
}

func TestEmail_RecipientThatWasRemovedIsRefused(t *testing.T) {
	t.Parallel()
	fake := newFakeSMTP(t, smtpBehaviour{})
	channel := mustOpen(t, config(t, TypeEmail, emailFields(fake.addr, tlsNone)), testOptions(nil))
	r := channel.Send(t.Context(), "gone@onevault.com", firedMessage())
	mails, _ := fake.taken()
	if r.Class != Misconfigured || !strings.Contains(r.Reason, "gone@onevault.com") || len(mails) != 0 {
		t.Errorf("receipt %+v, %d mails; want CONFIG and none", r, len(mails))
	}
}

// TestEmail_LeavesNoConnectionAfterAFailedSession plays a server without STARTTLS by hand, because it must
// see the client hang up. It is not parallel and stops the garbage collector, which closes forgotten
// connections sooner or later and would hide the fault.
func TestEmail_LeavesNoConnectionAfterAFailedSession(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	hungUp := make(chan error, 1)
	go func() { hungUp <- greetAndWait(listener) }()
	fields := emailFields(listener.Addr().(*net.TCPAddr), tlsStart)
	channel := mustOpen(t, config(t, TypeEmail, fields), testOptions(nil))
	checkReceipt(t, channel.Send(t.Context(), channel.Recipients()[0], firedMessage()), Misconfigured)
	if err := <-hungUp; err != nil {
		t.Errorf("the client did not hang up: %v", err)
	}
}

// greetAndWait answers one EHLO and then waits for the client's end of the connection, nil when it came.
func greetAndWait(listener net.Listener) error {
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "220 mail.test\r\n250 mail.test\r\n"); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, conn)
	return err
}
