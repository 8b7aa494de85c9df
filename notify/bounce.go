package notify

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"regexp"
	"strings"
	"time"
)

// Bounces come back to the envelope sender of a mail. With the field "bounce_address" each mail has one of its own
// (VERP): bounces+<sign>@example.com, where the sign is the part of its Message-ID before the domain, so that a
// report names its mail however little of that it returns. No library for Go reads reports (RFC 3464) that is kept
// by more than its author; the standard library has all the parts.

const (
	// maxReport bounds what is read of a report: it may return a mail as a whole.
	maxReport = 1 << 20
	// maxParts bounds the parts of a report; the standard has three.
	maxParts = 20
	// maxLocalPart is SMTP's limit for what stands before the @.
	maxLocalPart = 64
	signLength   = 32
)

// ErrNoReport says that a message is no delivery status notification, such as an answer by a vacation program.
var ErrNoReport = errors.New("it is no delivery report (multipart/report with message/delivery-status)")

// MailReport is what a delivery status notification says of one of our mails.
type MailReport struct {
	// Reference names the mail: the sign of its envelope sender, or its Message-ID.
	Reference string
	Action    MailAction
	Status    string // RFC 3463: 5.1.1
	Reason    string // one line: the status and what the last server said
	Recipient string // as the reporting server names it
	Reporter  string // the server that reports
	At        time.Time
}

// MailAction is the Action field of a report.
type MailAction string

const (
	ActionFailed    MailAction = "failed"
	ActionDelayed   MailAction = "delayed"
	ActionDelivered MailAction = "delivered"
	ActionRelayed   MailAction = "relayed"  // to a server that sends no reports
	ActionExpanded  MailAction = "expanded" // to the members of a list
)

// Receipt is the ledger's word for an action.
func (a MailAction) Receipt() string {
	switch a {
	case ActionFailed:
		return "BOUNCED"
	case ActionDelayed:
		return "DELAYED"
	case ActionDelivered:
		return "DELIVERED"
	case ActionRelayed, ActionExpanded:
		return "SENT"
	}
	return ""
}

// envelopeSign finds the sign in an address or a header with addresses.
var envelopeSign = regexp.MustCompile(`\+([0-9a-f]{32})@`)

// ParseReport reads a mail that came to the envelope sender of one of ours. envelopeTo is the address that it came
// to, if known. The error is ErrNoReport where it is a mail of another kind.
func ParseReport(r io.Reader, envelopeTo string) (MailReport, error) {
	message, err := mail.ReadMessage(bufio.NewReader(io.LimitReader(r, maxReport)))
	if err != nil {
		return MailReport{}, fmt.Errorf("%w: its header cannot be read: %w", ErrNoReport, err)
	}
	kind, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["boundary"] == "" ||
		params["report-type"] != "" && !strings.EqualFold(params["report-type"], "delivery-status") {
		return MailReport{}, ErrNoReport
	}
	report := MailReport{Reference: signOf(envelopeTo, message.Header)}
	if date, err := message.Header.Date(); err == nil {
		report.At = date.UTC()
	}
	if err := report.readParts(multipart.NewReader(message.Body, params["boundary"])); err != nil {
		return MailReport{}, err
	}
	switch {
	case report.Action == "":
		return MailReport{}, ErrNoReport
	case report.Action.Receipt() == "":
		return MailReport{}, fmt.Errorf("the report's Action is %q; RFC 3464 knows failed, delayed, delivered, relayed and expanded", oneLine(string(report.Action), 40))
	case report.Reference == "":
		return MailReport{}, errors.New("the report does not say which mail it is about: it came to no address with a sign, and returns no Message-ID")
	}
	return report, nil
}

func signOf(envelopeTo string, header mail.Header) string {
	for _, text := range []string{envelopeTo, header.Get("X-Original-To"), header.Get("Delivered-To"), header.Get("To")} {
		if found := envelopeSign.FindStringSubmatch(strings.ToLower(text)); found != nil {
			return found[1]
		}
	}
	return ""
}

func (m *MailReport) readParts(parts *multipart.Reader) error {
	for range maxParts {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && m.Action != "" {
			return nil // cut off behind what counts
		}
		if err != nil {
			return fmt.Errorf("read the report's parts: %w", err)
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")) // without one it is text
		body := decoded(part)
		switch kind {
		case "message/delivery-status", "message/global-delivery-status":
			if err := m.readStatus(body); err != nil {
				return err
			}
		case "message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers":
			m.readReturned(body)
		}
	}
	return nil
}

// decoded undoes what the multipart reader leaves: it knows quoted-printable alone.
func decoded(part *multipart.Part) *textproto.Reader {
	var body io.Reader = part
	if strings.EqualFold(part.Header.Get("Content-Transfer-Encoding"), "base64") {
		body = base64.NewDecoder(base64.StdEncoding, part)
	}
	return textproto.NewReader(bufio.NewReader(body))
}

// readStatus reads the groups of fields: one about the message, then one per recipient. Ours have one recipient; of
// several the worst counts.
func (m *MailReport) readStatus(body *textproto.Reader) error {
	for group := range maxParts {
		fields, err := body.ReadMIMEHeader()
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the report's fields: %w", err)
		}
		if group == 0 {
			m.Reporter = value(fields.Get("Reporting-MTA"))
		} else if action := MailAction(strings.ToLower(strings.TrimSpace(fields.Get("Action")))); action != "" && m.Action != ActionFailed {
			m.Action, m.Status = action, oneLine(fields.Get("Status"), 20)
			m.Recipient = oneLine(value(fields.Get("Final-Recipient")), 200)
			m.Reason = oneLine(strings.TrimSpace(m.Status+" "+value(fields.Get("Diagnostic-Code"))), 300)
		}
		if err != nil {
			return nil
		}
	}
	return nil
}

// value is a field without the type before the semicolon: "rfc822; ops@example.com".
func value(field string) string {
	if _, text, typed := strings.Cut(field, ";"); typed {
		return strings.TrimSpace(text)
	}
	return strings.TrimSpace(field)
}

func (m *MailReport) readReturned(body *textproto.Reader) {
	if m.Reference != "" {
		return
	}
	header, _ := body.ReadMIMEHeader() // it may be cut off; what was read counts
	m.Reference = strings.Trim(strings.TrimSpace(header.Get("Message-Id")), "<>")
}

// parseBounceAddress reads the optional field "bounce_address", and "delivery_receipts", which asks the servers on
// the way for reports of success and delay as well.
func (c *emailConfig) parseBounceAddress(f *fields) {
	c.receipts = f.boolean("delivery_receipts")
	text := f.text("bounce_address")
	if text == "" {
		if c.receipts {
			f.fail("bounce_address", "it is missing although delivery_receipts is true; give the mailbox that takes reports, like bounces@example.com")
		}
		return
	}
	address, err := mail.ParseAddress(text)
	if err != nil {
		f.fail("bounce_address", "%q is not a mail address", oneLine(text, 100))
		return
	}
	at := strings.LastIndexByte(address.Address, '@')
	local, domain := address.Address[:at], address.Address[at+1:]
	switch {
	case len(local)+1+signLength > maxLocalPart:
		f.fail("bounce_address", "%q is too long: at most %d characters may stand before the @, because a sign of the mail follows", oneLine(local, 80), maxLocalPart-1-signLength)
	case strings.ContainsAny(local, "+\" "):
		f.fail("bounce_address", `%q holds a + or a quote; give the plain mailbox, behind which "+" and a sign of the mail are put`, oneLine(local, 80))
	}
	c.bounceLocal, c.bounceDomain = local, domain
}

// envelopeSender is the address that reports about a mail go to; empty: the one in From.
func (c *emailConfig) envelopeSender(messageID string) string {
	if c.bounceLocal == "" {
		return ""
	}
	sign, _, _ := strings.Cut(messageID, "@")
	return c.bounceLocal + "+" + sign + "@" + c.bounceDomain
}
