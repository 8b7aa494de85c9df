package inbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" // what Twilio signs with
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// TwilioAccount is the account behind the telephones of the inbox.
type TwilioAccount struct {
	AuthToken string // the token that is believed, and signs what is sent; empty: any is believed, and nothing is sent
	ReplyURL  string // the webhook of its numbers, where text messages of people go; empty: they go nowhere
}

// errNoAccount: without the token, nobody believes the inbox that it is Twilio.
var errNoAccount = errors.New("nothing can be pressed: the inbox was given no auth token, or no address for the text messages of people")

// serviceNumber answers for a messaging service, which has numbers of its own.
const serviceNumber = "+12025550100"

// phoneLeg is what Twilio knows of one message or call.
type phoneLeg struct {
	account, sid string
	status       string // StatusCallback; empty: nobody wants to know

	mu     sync.Mutex
	action string // of a call: where the next key goes; empty: nowhere
	over   bool   // of a call: it was hung up
}

func newSID(kind string) string {
	sid := make([]byte, 16)
	_, _ = rand.Read(sid) // crypto/rand.Read never returns an error
	return kind + hex.EncodeToString(sid)
}

// replyWanted is the answer that a text message asks for: "Reply ACK 7F3K".
var replyWanted = regexp.MustCompile(`\bReply ([A-Z]+ [0-9A-Z]+)\b`)

// replyAction is the box for an answer; nil: whoever wrote cannot be answered, because a name has no number.
func replyAction(m Message) []Action {
	if !phoneNumber.MatchString(m.From) && !strings.HasPrefix(m.From, "MG") {
		return nil
	}
	action := Action{ID: actionReply, Label: "Send", Typed: true}
	if found := replyWanted.FindStringSubmatch(m.Text); found != nil {
		action.Value = found[1]
	}
	return []Action{action}
}

// keyActions are the keys of a telephone, while a call waits for one.
func keyActions(action string) []Action {
	if action == "" {
		return nil
	}
	var keys []Action
	for key := range strings.SplitSeq("123456789*0#", "") {
		keys = append(keys, Action{ID: actionKey + key, Label: key, Style: "key"})
	}
	return keys
}

// replyBySMS sends a text message back, from the telephone that has the first one.
func (s *Server) replyBySMS(ctx context.Context, m Message, actionID, text string) error {
	switch {
	case s.twilio.AuthToken == "" || s.twilio.ReplyURL == "":
		return errNoAccount
	case actionID != actionReply || m.phone == nil || len(m.Actions) == 0:
		return errors.New("the message cannot be answered")
	case text == "":
		return errors.New("nothing was typed")
	}
	to, sid := m.From, newSID("SM")
	form := url.Values{
		"MessageSid": {sid}, "SmsSid": {sid}, "SmsMessageSid": {sid}, "SmsStatus": {"received"}, "ApiVersion": {"2010-04-01"},
		"AccountSid": {m.phone.account}, "From": {m.To}, "Body": {text}, "NumMedia": {"0"}, "NumSegments": {"1"},
	}
	if strings.HasPrefix(to, "MG") {
		form.Set("MessagingServiceSid", to)
		to = serviceNumber
	}
	form.Set("To", to)
	document, err := s.sendAsTwilio(ctx, s.twilio.ReplyURL, form)
	if err != nil {
		return err
	}
	said, err := readTextAnswer(document)
	if err != nil {
		return err
	}
	s.answered(m, text, said)
	return nil
}

// readTextAnswer is the text that TwiML sends back.
func readTextAnswer(document []byte) (string, error) {
	var answer struct {
		XMLName  xml.Name `xml:"Response"`
		Messages []string `xml:"Message"`
	}
	if err := xml.Unmarshal(document, &answer); err != nil {
		return "", fmt.Errorf("the answer is no TwiML: %w", err)
	}
	if len(answer.Messages) == 0 {
		return "(no answer)", nil
	}
	return strings.Join(answer.Messages, "\n"), nil
}

// pressKey presses a key of a call that goes on, and hears what is said then.
func (s *Server) pressKey(ctx context.Context, m Message, actionID string) error {
	key, ok := strings.CutPrefix(actionID, actionKey)
	if !ok || len(key) != 1 || m.phone == nil {
		return errors.New("a telephone has no such key")
	}
	if s.twilio.AuthToken == "" {
		return errNoAccount
	}
	leg := m.phone
	leg.mu.Lock()
	defer leg.mu.Unlock()
	switch {
	case leg.over:
		return errors.New("the call is over: it was hung up")
	case leg.action == "":
		return errors.New("the call waits for no key")
	}
	form := leg.call(m, "in-progress")
	form.Set("Digits", key)
	form.Set("msg", "Gather End")
	document, err := s.sendAsTwilio(ctx, leg.action, form)
	if err != nil {
		return err
	}
	call, err := readTwiML(string(document))
	if err != nil {
		return fmt.Errorf("the answer is no TwiML: %w", err)
	}
	leg.action, leg.over = call.Action, call.Action == ""
	said := call.Spoken()
	if leg.over {
		said = append(said, "(the call ends)")
		s.serving.Go(func() { s.tellStatus(leg, leg.call(m, "completed")) })
	}
	s.answered(m, "key "+key, strings.Join(said, "\n"))
	return nil
}

// call is the form that all requests about a call have.
func (l *phoneLeg) call(m Message, status string) url.Values {
	return url.Values{
		"CallSid": {l.sid}, "AccountSid": {l.account}, "From": {m.From}, "To": {m.To}, "CallStatus": {status},
		"ApiVersion": {"2010-04-01"}, "Direction": {"outbound-api"},
	}
}

// tellText says what became of a text message: a telephone of the inbox is always on.
func (s *Server) tellText(m Message) {
	for _, status := range []string{"queued", "sent", "delivered"} {
		s.tellStatus(m.phone, url.Values{
			"MessageSid": {m.phone.sid}, "SmsSid": {m.phone.sid}, "AccountSid": {m.phone.account}, "From": {m.From}, "To": {m.To},
			"MessageStatus": {status}, "SmsStatus": {status}, "ApiVersion": {"2010-04-01"},
		})
	}
}

// tellCall says that somebody picked up, which somebody at the inbox always does; a call that waits for no key ends.
func (s *Server) tellCall(m Message) {
	s.tellStatus(m.phone, m.phone.call(m, "in-progress"))
	if len(m.Actions) == 0 {
		s.tellStatus(m.phone, m.phone.call(m, "completed"))
	}
}

// tellStatus makes one status callback. Twilio does not make it again when it fails, and so a failure is only said.
func (s *Server) tellStatus(leg *phoneLeg, form url.Values) {
	if leg.status == "" || s.twilio.AuthToken == "" {
		return
	}
	ctx, cancel := context.WithTimeout(s.running, pressTimeout)
	defer cancel()
	if _, err := s.sendAsTwilio(ctx, leg.status, form); err != nil && s.running.Err() == nil {
		s.log.Warn("inbox status callback not taken", "sid", leg.sid, "error", withoutAddress(err))
	}
}

// sendAsTwilio posts a form with Twilio's signature, which covers the address and each field in the order of their names.
func (s *Server) sendAsTwilio(ctx context.Context, address string, form url.Values) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader([]byte(form.Encode())))
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha1.New, []byte(s.twilio.AuthToken))
	mac.Write([]byte(address))
	for _, name := range slices.Sorted(maps.Keys(form)) {
		mac.Write([]byte(name + form.Get(name)))
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "TwilioProxy/1.1")
	req.Header.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return ask(req)
}

// withoutAddress is an error of a request without its address, which names people's numbers.
func withoutAddress(err error) error {
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
