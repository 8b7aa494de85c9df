package inbox

import (
	"crypto/subtle"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// Twilio's documented limits.
const (
	twilioMaxBody  = 1600
	twilioMaxTwiML = 4000
)

var (
	phoneNumber = regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`)
	senderName  = regexp.MustCompile(`^([0-9]{3,8}|[A-Za-z0-9 ]{1,11})$`)
	accountSID  = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)
)

// twilioRefusal is an error as Twilio answers it: its number, its words, the HTTP status.
type twilioRefusal struct {
	code, status int
	message      string
}

func (r twilioRefusal) Error() string { return fmt.Sprintf("Twilio %d: %s", r.code, r.message) }

func invalidPhone(code int, message string) error {
	return twilioRefusal{code: code, status: http.StatusBadRequest, message: message}
}

// readTwilio checks what Twilio checks of every request, and reads its form.
func readTwilio(r *http.Request, raw []byte) (url.Values, error) {
	user, password, ok := r.BasicAuth()
	if account := r.PathValue("account"); !ok || password == "" || user != account || !accountSID.MatchString(account) {
		return nil, twilioRefusal{code: 20003, status: http.StatusUnauthorized, message: "Authenticate"}
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		return nil, invalidPhone(20001, "the form cannot be read")
	}
	return form, nil
}

// key is the delivery that the sender's callback address names: Twilio itself knows no key of the sender's.
func callbackKey(form url.Values) string {
	callback, err := url.Parse(form.Get("StatusCallback"))
	if err != nil {
		return ""
	}
	return callback.Query().Get("delivery")
}

// readForm is what SMS and calls have in common.
func readForm(channel string, r *http.Request, raw []byte) (Message, url.Values, error) {
	m := Message{
		Channel: channel, Raw: string(raw), Headers: visibleHeaders(r.Header), To: r.URL.Path,
		Subject: "(refused by Twilio's rules)",
	}
	form, err := readTwilio(r, raw)
	if err != nil {
		return m, nil, err
	}
	m.From, m.To, m.Key = form.Get("From"), form.Get("To"), callbackKey(form)
	kind := map[string]string{SMS: "SM", Voice: "CA"}[channel]
	m.phone = &phoneLeg{account: r.PathValue("account"), sid: newSID(kind), status: form.Get("StatusCallback")}
	switch {
	case m.To == "":
		return m, form, invalidPhone(21604, "A 'To' phone number is required.")
	case !phoneNumber.MatchString(m.To):
		return m, form, invalidPhone(21211, "The 'To' number "+m.To+" is not a valid phone number.")
	}
	return m, form, nil
}

func readSMS(r *http.Request, raw []byte) (Message, error) {
	m, form, err := readForm(SMS, r, raw)
	if err != nil {
		return m, err
	}
	body := form.Get("Body")
	service := form.Get("MessagingServiceSid")
	if m.From == "" {
		m.From = service
	}
	switch {
	case m.From == "":
		return m, invalidPhone(21603, "A 'From' phone number is required.")
	case service == "" && !phoneNumber.MatchString(m.From) && !senderName.MatchString(m.From):
		return m, invalidPhone(21212, "The 'From' number "+m.From+" is not a valid phone number, shortcode, or alphanumeric sender ID.")
	case body == "":
		return m, invalidPhone(21602, "Message body is required.")
	case len(utf16.Encode([]rune(body))) > twilioMaxBody:
		return m, invalidPhone(21617, "The concatenated message body exceeds the 1600 character limit")
	}
	m.Subject, m.Text, m.Severity = firstLine(body), body, readSeverity(body)
	m.Actions = replyAction(m)
	alphabet, segments := segmentsOf(body)
	html, err := render("sms.html", smsView{From: m.From, Body: body, Alphabet: alphabet, Segments: segments})
	if err != nil {
		return m, fmt.Errorf("render text message: %w", err)
	}
	m.HTML = html
	return m, nil
}

// smsView is a text message as a telephone shows it, with what it costs.
type smsView struct {
	From, Body, Alphabet string
	Segments             int
}

// gsmAlphabet and gsmExtended are the characters that a text message can hold seven bits each; those of the
// second take two places.
const (
	gsmAlphabet = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtended = "\f^{}\\[~]|€"
)

// segmentsOf counts the messages that a text is sent as.
func segmentsOf(text string) (alphabet string, segments int) {
	places := 0
	for _, r := range text {
		switch {
		case strings.ContainsRune(gsmAlphabet, r):
			places++
		case strings.ContainsRune(gsmExtended, r):
			places += 2
		default:
			return "UCS-2", inParts(len(utf16.Encode([]rune(text))), 70, 67)
		}
	}
	return "GSM-7", inParts(places, 160, 153)
}

// inParts: one message holds single places, each of several a few less, because it says which one it is.
func inParts(places, single, several int) int {
	if places <= single {
		return 1
	}
	return (places + several - 1) / several
}

func readCall(r *http.Request, raw []byte) (Message, error) {
	m, form, err := readForm(Voice, r, raw)
	if err != nil {
		return m, err
	}
	if m.From == "" || !phoneNumber.MatchString(m.From) {
		return m, invalidPhone(21213, "A valid 'From' phone number is required.")
	}
	twiml := form.Get("Twiml")
	if twiml == "" && form.Get("Url") == "" {
		return m, invalidPhone(21205, "Url parameter is required.")
	}
	if len([]rune(twiml)) > twilioMaxTwiML {
		return m, invalidPhone(21617, "Twiml exceeds the limit of 4000 characters")
	}
	call, err := readTwiML(twiml)
	if err != nil {
		return m, invalidPhone(12100, "Document parse failure: "+err.Error())
	}
	m.Text, m.Pretty = strings.Join(call.Spoken(), "\n"), twiml
	m.phone.action, m.Actions = call.Action, keyActions(call.Action)
	m.Subject = "Call"
	if spoken := call.Spoken(); len(spoken) > 0 {
		m.Subject = spoken[0]
	}
	m.Severity = readSeverity(strings.ToUpper(m.Subject))
	html, err := render("voice.html", call)
	if err != nil {
		return m, fmt.Errorf("render call: %w", err)
	}
	m.HTML = html
	return m, nil
}

// callView is a call as somebody hears it.
type callView struct {
	Steps []callStep
	// Action is where a key that is pressed goes; empty: the call only speaks.
	Action string
}

type callStep struct {
	Say   string
	Pause string // seconds
	Key   bool   // a key is waited for while this is said
}

// Spoken are the words of the call, in order.
func (c callView) Spoken() []string {
	var spoken []string
	for _, step := range c.Steps {
		if step.Say != "" {
			spoken = append(spoken, step.Say)
		}
	}
	return spoken
}

// readTwiML follows the verbs that a call of ours may have; any other is refused, as a misspelt one is.
func readTwiML(text string) (callView, error) {
	var call callView
	decoder := xml.NewDecoder(strings.NewReader(text))
	depth, listening := 0, false
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return call, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			name := t.Name.Local
			depth++
			switch {
			case depth == 1 && name == "Response":
			case name == "Gather" && depth == 2:
				listening, call.Action = true, attribute(t, "action")
			case name == "Say" && depth > 1:
				var say string
				if err := decoder.DecodeElement(&say, &t); err != nil {
					return call, err
				}
				depth--
				call.Steps = append(call.Steps, callStep{Say: strings.TrimSpace(say), Key: listening})
			case name == "Hangup" && depth == 2:
			case name == "Pause" && depth > 1:
				call.Steps = append(call.Steps, callStep{Pause: attribute(t, "length"), Key: listening})
			default:
				return call, fmt.Errorf("the verb <%s> is not expected here", name)
			}
		case xml.EndElement:
			depth--
			listening = listening && t.Name.Local != "Gather"
		}
	}
	if len(call.Steps) == 0 {
		return call, errors.New("nothing is said")
	}
	return call, nil
}

func attribute(element xml.StartElement, name string) string {
	for _, a := range element.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (s *Server) postSMS(w http.ResponseWriter, r *http.Request) {
	raw, ok := s.readBody(w, r, SMS)
	if !ok {
		return
	}
	m, refusal := readSMS(r, raw)
	s.deliverAs(w, r, m, s.orUnknown(r, refusal), s.twilioManner(r.PathValue("account"), s.tellText))
}

func (s *Server) postCall(w http.ResponseWriter, r *http.Request) {
	raw, ok := s.readBody(w, r, Voice)
	if !ok {
		return
	}
	m, refusal := readCall(r, raw)
	s.deliverAs(w, r, m, s.orUnknown(r, refusal), s.twilioManner(r.PathValue("account"), s.tellCall))
}

// listTexts lists the text messages of an account, the newest first, narrowed by To and From: one page.
func (s *Server) listTexts(w http.ResponseWriter, r *http.Request) {
	manner := s.twilioManner(r.PathValue("account"), nil)
	if _, err := readTwilio(r, nil); err != nil || s.orUnknown(r, nil) != nil {
		status, answer := manner.refused(twilioRefusal{code: 20003, status: http.StatusUnauthorized, message: "Authenticate"})
		s.answer(w, status, answer)
		return
	}
	query := r.URL.Query()
	size, err := strconv.Atoi(query.Get("PageSize"))
	if err != nil || size < 1 || size > 1000 {
		size = 50 // Twilio's own
	}
	list := []map[string]any{}
	for _, m := range slices.Backward(s.Messages()) {
		if m.Channel != SMS || m.phone == nil || m.phone.account != r.PathValue("account") ||
			query.Has("To") && m.To != query.Get("To") || query.Has("From") && m.From != query.Get("From") {
			continue
		}
		if list = append(list, map[string]any{
			"sid": m.phone.sid, "account_sid": m.phone.account, "status": "delivered", "from": m.From, "to": m.To, "body": m.Text,
			"direction": "outbound-api", "error_code": nil, "date_created": m.ReceivedAt.Format(time.RFC1123Z), "date_sent": m.ReceivedAt.Format(time.RFC1123Z),
		}); len(list) == size {
			break
		}
	}
	s.answer(w, http.StatusOK, map[string]any{"messages": list, "page": 0, "page_size": size, "uri": r.URL.RequestURI(), "next_page_uri": nil})
}

// orUnknown refuses another token than the account's, where the inbox was told of one.
func (s *Server) orUnknown(r *http.Request, refusal error) error {
	_, password, _ := r.BasicAuth()
	if s.twilio.AuthToken != "" && subtle.ConstantTimeCompare([]byte(password), []byte(s.twilio.AuthToken)) == 0 {
		return twilioRefusal{code: 20003, status: http.StatusUnauthorized, message: "Authenticate"}
	}
	return refusal
}

// twilioManner answers as Twilio does. tell says what becomes of a message or a call, after Twilio has it.
func (s *Server) twilioManner(account string, tell func(Message)) manner {
	return manner{
		keep: func(m Message) (Message, error) {
			s.serving.Go(func() { tell(m) })
			return m, nil
		},
		took: func(m Message) (int, any) {
			_, segments := segmentsOf(m.Text)
			return http.StatusCreated, map[string]any{
				"sid": m.phone.sid, "account_sid": account, "status": "queued", "from": m.From, "to": m.To,
				"num_segments": fmt.Sprint(segments), "direction": "outbound-api", "error_code": nil, "error_message": nil,
				"date_created": time.Now().UTC().Format(time.RFC1123Z),
			}
		},
		refused: func(err error) (int, any) {
			var refusal twilioRefusal
			if !errors.As(err, &refusal) {
				refusal = twilioRefusal{code: 20500, status: http.StatusInternalServerError, message: err.Error()}
			}
			return refusal.status, map[string]any{
				"code": refusal.code, "message": refusal.message, "status": refusal.status,
				"more_info": fmt.Sprintf("https://www.twilio.com/docs/errors/%d", refusal.code),
			}
		},
	}
}
