package notify

import (
	"bytes"
	"context"
	"fmt"
	netmail "net/mail"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
)

// dailyReport is the field by which an e-mail channel asks for the daily report.
const dailyReport = "daily_report"

// Letter is what is mailed besides alerts: a report.
type Letter struct {
	// Key is the same for every attempt at one delivery: the Message-ID is made of it.
	Key         string
	Subject     string
	Text        string
	HTML        string // the same for mail programs that show it
	Attachments []Attachment
	// PossibleDuplicate says that an earlier attempt may have arrived; the receiver is told.
	PossibleDuplicate bool
}

// Attachment is a file of a letter.
type Attachment struct {
	Name    string
	Type    string // text/html; charset=utf-8
	Content []byte
}

// Mailer is a channel that can carry a letter; of the channel types it is e-mail alone.
type Mailer interface {
	// SendLetter makes one attempt, as Channel.Send does.
	SendLetter(ctx context.Context, recipient string, l Letter) Receipt
}

func (e *email) SendLetter(ctx context.Context, recipient string, l Letter) Receipt {
	start := time.Now()
	receipt := e.sendLetter(ctx, recipient, l)
	receipt.Duration = time.Since(start)
	return e.scrub.receipt(receipt)
}

func (e *email) sendLetter(ctx context.Context, recipient string, l Letter) Receipt {
	to := e.address(recipient)
	if to == nil {
		return Receipt{Class: Misconfigured, Reason: fmt.Sprintf("%s is not among to_addresses any more", oneLine(recipient, 100))}
	}
	letter, err := e.write(to, l)
	if err != nil {
		return Receipt{Class: Permanent, Reason: "the mail cannot be written: " + oneLine(err.Error(), 200)}
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	receipt := e.deliver(ctx, letter)
	receipt.Content = clip(l.Text)
	if receipt.Class == Accepted {
		receipt.ExternalID = strings.Trim(letter.GetMessageID(), "<>")
	}
	return receipt
}

// write makes the mail: the text, its HTML, and the files.
func (e *email) write(to *netmail.Address, l Letter) (*mail.Msg, error) {
	letter := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := letter.From(e.cfg.from.String()); err != nil {
		return nil, fmt.Errorf("from_address: %w", err)
	}
	if err := letter.To(to.String()); err != nil {
		return nil, fmt.Errorf("to_addresses: %w", err)
	}
	text := l.Text
	if l.PossibleDuplicate {
		text = duplicateNote + "\n\n" + text
	}
	letter.Subject(oneLine(l.Subject, 200))
	letter.SetDateWithValue(e.now())
	letter.SetMessageIDWithValue(messageID(l.Key+"\x00"+strings.ToLower(to.Address), messageDomain(e.cfg.from.Address)))
	letter.SetGenHeaderPreformatted("X-OneVault-Notification-Key", headerSafe(l.Key))
	letter.SetGenHeaderPreformatted("Auto-Submitted", "auto-generated")
	letter.SetGenHeaderPreformatted(mail.HeaderXAutoResponseSuppress, "All")
	letter.SetBodyString(mail.TypeTextPlain, text)
	if l.HTML != "" {
		letter.AddAlternativeString(mail.TypeTextHTML, l.HTML)
	}
	for _, a := range l.Attachments {
		if err := letter.AttachReader(a.Name, bytes.NewReader(a.Content), mail.WithFileContentType(mail.ContentType(a.Type))); err != nil {
			return nil, fmt.Errorf("attach %s: %w", a.Name, err)
		}
	}
	return letter, nil
}

const duplicateNote = "You may have had this mail before: an earlier attempt ended without an answer of the mail server."

// lintDailyReport says where a report is asked for in vain.
func (f *fields) lintDailyReport(kind Type) {
	if _, given := f.raw[dailyReport]; given && kind != TypeEmail && !slices.Contains(f.known, dailyReport) {
		f.hints = append(f.hints, fmt.Errorf("%s: a channel of type %s cannot carry the report; ask for it in an EMAIL channel", dailyReport, kind))
		f.known = append(f.known, dailyReport)
	}
}
