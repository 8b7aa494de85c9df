package notify

import (
	"context"
	"fmt"
	"strings"
	"time"

	twilioapi "github.com/twilio/twilio-go/rest/api/v2010"

	"onevault/alert"
)

const (
	// maxSMS is what Twilio takes as one text; it cuts it into segments.
	maxSMS = 1600
	// repetition marks a text that may have arrived before.
	repetition = " (perhaps a repetition)"
	// twilioPage is how many messages to a number are looked through for a lost one.
	twilioPage = 100
	// twilioSkew is how much earlier than our clock Twilio's may be.
	twilioSkew = time.Minute
)

// smsConfig is the SMS shape: what twilioConfig has, and "messaging_service_sid" in the place of
// "from_number".
type smsConfig struct {
	twilioConfig
	service string
}

func parseSMS(f *fields) smsConfig {
	c := smsConfig{twilioConfig: parseTwilio(f), service: f.text("messaging_service_sid")}
	switch {
	case c.from == "" && c.service == "":
		f.fail("from_number", "it is missing; give the number that the messages come from, or messaging_service_sid")
	case c.from != "" && !phoneNumber.MatchString(c.from) && !senderName.MatchString(c.from):
		f.fail("from_number", "%q can send no text message; give a number like +4930123456, a short code, or up to 11 letters and digits", oneLine(c.from, 40))
	case c.service != "" && !serviceSID.MatchString(c.service):
		f.fail("messaging_service_sid", "%q is not a messaging service; it is MG and 32 hexadecimal digits", oneLine(c.service, 40))
	}
	return c
}

// sms sends one text message per number.
type sms struct {
	*twilio
	service string
}

func openSMS(cfg Config, o Options) (Channel, error) {
	f := parseFields(cfg)
	c := parseSMS(f)
	c.to = f.alsoNumbers(c.to, cfg.Also)
	if err := f.err(); err != nil {
		return nil, err
	}
	t, err := openTwilio(cfg, c.twilioConfig, o)
	if err != nil {
		return nil, err
	}
	return &sms{twilio: t, service: c.service}, nil
}

func (s *sms) Recipients() []string { return s.cfg.to }
func (s *sms) String() string       { return s.describe(TypeSMS) }
func (s *sms) GoString() string     { return s.String() }

// Send queues the message at Twilio. Its status callback, where there is a public URL, tells the rest.
func (s *sms) Send(ctx context.Context, recipient string, m Message) Receipt {
	text := smsText(m, s.hearsReplies())
	params := (&twilioapi.CreateMessageParams{}).SetTo(recipient).SetBody(text)
	if s.cfg.from != "" {
		params.SetFrom(s.cfg.from)
	}
	if s.service != "" {
		params.SetMessagingServiceSid(s.service)
	}
	if callback := s.callback(TwilioStatusPath, recipient, m); callback != "" {
		params.SetStatusCallback(callback)
	}
	return s.attempt(ctx, text, func(api *twilioapi.ApiService) (sid, state string, err error) {
		message, err := api.CreateMessage(params)
		if err != nil || message == nil {
			return "", "", err
		}
		return text64(message.Sid), text64(message.Status), nil
	})
}

// Reconcile looks through the newest messages to the recipient. Twilio keeps no key of ours, so the text is compared:
// it names the alert and what became of it, and says the same at every attempt, but for the mark of a repetition.
// What Twilio could not deliver does not count. Calls cannot be found so: their list does not say what was spoken.
func (s *sms) Reconcile(ctx context.Context, recipient string, m Message) (bool, Receipt, error) {
	params := (&twilioapi.ListMessageParams{}).SetTo(recipient).SetPageSize(twilioPage)
	if s.cfg.from != "" {
		params.SetFrom(s.cfg.from)
	}
	ctx, o := withOutcome(ctx)
	page, err := s.twilio.service(ctx).PageMessage(params, "", "")
	if err != nil || page.Messages == nil {
		verdict := s.scrub.receipt(classifyHTTP(o, err))
		return false, Receipt{}, fmt.Errorf("the list of messages at Twilio cannot be read: %s%s", verdict.Reason, verdict.Proof)
	}
	m.PossibleDuplicate = false
	text, since := smsText(m, s.hearsReplies()), m.At.Add(-twilioSkew)
	for _, sent := range page.Messages {
		created, err := time.Parse(time.RFC1123Z, text64(sent.DateCreated))
		if err != nil {
			return false, Receipt{}, fmt.Errorf("the list of messages at Twilio has a date_created of %q", text64(sent.DateCreated))
		}
		if created.Before(since) {
			return false, Receipt{}, nil // the newest come first
		}
		state := text64(sent.Status)
		if lost := state == "failed" || state == "undelivered" || state == "canceled"; !lost && sent.Body != nil && isSMS(*sent.Body, text) {
			return true, s.scrub.receipt(Receipt{
				Proof: "Twilio's list holds the message of the earlier attempt: " + state, ExternalID: text64(sent.Sid),
			}), nil
		}
	}
	if len(page.Messages) < twilioPage {
		return false, Receipt{}, nil
	}
	return false, Receipt{}, fmt.Errorf("it is not among the newest %d messages to the number, and there are more since then", twilioPage)
}

// isSMS compares with what Twilio says that it sent: it puts words of its own before the text on a trial account.
func isSMS(said, text string) bool {
	return strings.HasSuffix(strings.Replace(said, repetition, "", 1), text)
}

// hearsReplies: an answer reaches us by the public URL, and only a number can be answered.
func (s *sms) hearsReplies() bool {
	return s.public != nil && (s.service != "" || !strings.ContainsFunc(s.cfg.from, isLetter))
}

func isLetter(r rune) bool { return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' }

// text64 is a field that the answer may lack.
func text64(s *string) string {
	if s == nil {
		return ""
	}
	return oneLine(*s, 64)
}

// smsText says in one line what a telephone at night has to show:
//
//	A-7F3K CRITICAL pg-prod-3 Replication Lag 412s > 120s, 6m. Reply ACK 7F3K
func smsText(m Message, replies bool) string {
	text := smsLine(m)
	if m.PossibleDuplicate {
		text += repetition
	}
	if m.Note != "" {
		text += ". " + strings.TrimSuffix(oneLine(m.Note, maxNote), ".")
	}
	if len(m.Alerts) > 0 && m.Storm == nil && asksForAnswer(m.Event) {
		if replies {
			text += ". Reply ACK " + strings.TrimPrefix(oneLine(m.Alerts[0].ShortID, 40), "A-")
		} else {
			text += ". onevault alert ack " + oneLine(m.Alerts[0].ShortID, 40)
		}
	}
	return cutGSM(foldGSM(text), maxSMS)
}

func smsLine(m Message) string {
	name := strings.TrimSpace(oneLine(m.Target, 60) + " " + oneLine(m.Definition.Name, 80))
	if len(m.Alerts) == 0 || m.Storm != nil || m.Event == alert.EventSilenceEnding || m.Event == alert.EventDigest {
		shown := newPage(m)
		return shown.Subject + ". " + shown.Lede
	}
	worst := m.Alerts[0]
	words := []string{oneLine(worst.ShortID, 40)}
	if more := len(m.Alerts) - 1; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	words = append(words, badge(m))
	switch m.Event {
	case alert.EventEscalated:
		words = append(words, fmt.Sprintf("level %d", level(m)))
	case alert.EventReopened:
		words = append(words, "again")
	case alert.EventFlapping:
		words = append(words, "flapping")
	case alert.EventUnanswered:
		words = append(words, "unanswered again")
	case alert.EventResolved:
		return strings.Join(append(words, name), " ") + " after " + period1(lasted(worst, m.At)) + ", " + resolution(worst)
	case alert.EventFired, alert.EventTest, alert.EventSilenceEnding, alert.EventAcknowledged, alert.EventDigest:
	}
	words = append(words, name)
	if value := number(worst.Value, worst.Unit); value != "" {
		words = append(words, strings.TrimSpace(value+" "+threshold(m.Definition, worst.Unit)))
	} else if worst.Reason != "" {
		words = append(words, oneLine(worst.Reason, 100))
	}
	return strings.Join(words, " ") + ", " + period1(m.At.Sub(since(m)))
}

// period1 is a duration with its largest unit alone: 6m.
func period1(d time.Duration) string {
	largest, _, _ := strings.Cut(span(d), " ")
	return largest
}
