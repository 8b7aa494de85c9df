package notify

import (
	"encoding/xml"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/twilio/twilio-go/client"
)

// TwilioReplyPath takes the text messages that people send back; it is set as the number's (or the messaging
// service's) webhook at Twilio.
const TwilioReplyPath = "/twilio/sms"

// CallbackAlerts lists the short ids that a call is about, in the query of its keys: a key is answered without
// asking anybody what the call was.
const CallbackAlerts = "alerts"

// maxCallbackAlerts bounds them; of a call about more the ledger is asked.
const maxCallbackAlerts = 20

// shortIDForm is the form of what people type for an alert.
var shortIDForm = regexp.MustCompile(`^A-[0-9A-HJKMNP-TV-Z]{4,8}$`)

// Phone is the receiving side of a SMS or VOICE channel: what Twilio sends about it.
type Phone struct {
	account           string
	validator         client.RequestValidator
	to                []string
	speaker, language string
}

// OpenPhone makes it. An error is a misconfiguration, as of Open.
func OpenPhone(cfg Config, o Options) (*Phone, error) {
	f := parseFields(cfg)
	c := voiceConfig{twilioConfig: parseTwilio(f)}
	if cfg.Type == TypeVoice {
		c.speaker(f)
	}
	if err := f.err(); err != nil {
		return nil, fmt.Errorf("channel %s: %w", cfg.Key, err)
	}
	t, err := openTwilio(cfg, c.twilioConfig, o)
	if err != nil {
		return nil, fmt.Errorf("channel %s: %w", cfg.Key, err)
	}
	return &Phone{
		account: t.account, validator: client.NewRequestValidator(string(t.token)), to: c.to, speaker: c.voice, language: c.language,
	}, nil
}

// Account is the SID of the account that requests about the channel name.
func (p *Phone) Account() string { return p.account }

// Knows reports whether the channel sends to a number.
func (p *Phone) Knows(number string) bool { return slices.Contains(p.to, number) }

// Signed reports whether Twilio sent a form to an address: the signature covers both, with the account's token.
func (p *Phone) Signed(address string, form url.Values, signature string) bool {
	params := make(map[string]string, len(form))
	for name, values := range form {
		params[name] = values[0] // what Get returns, and so all that anybody acts on
	}
	return signature != "" && p.validator.Validate(address, params, signature)
}

// Again are the instructions of a call that goes on: the text, and the keys that are heard at an address (empty: none).
func (p *Phone) Again(spoken, action string) (string, error) {
	return TwiML(spoken, action, p.speaker, p.language)
}

// Goodbye are the instructions that end a call with a text.
func (p *Phone) Goodbye(text string) (string, error) {
	return twimlText(twimlSay{Voice: p.speaker, Language: p.language, Text: Aloud(text)}, twimlHangup{})
}

// TextReply is the document that answers a text message; of an empty text nothing is sent.
func TextReply(text string) (string, error) {
	if text == "" {
		return twimlText()
	}
	return twimlText(twimlMessage{Text: cutGSM(foldGSM(text), maxSMS)})
}

func twimlText(verbs ...any) (string, error) {
	text, err := xml.Marshal(twimlResponse{Verbs: verbs})
	if err != nil {
		return "", fmt.Errorf("write TwiML: %w", err)
	}
	return xml.Header + string(text), nil
}

type twimlMessage struct {
	XMLName xml.Name `xml:"Message"`
	Text    string   `xml:",chardata"`
}

type twimlHangup struct {
	XMLName xml.Name `xml:"Hangup"`
}

// Aloud is a sentence as a voice can read it: ids letter by letter, words for signs and units.
func Aloud(text string) string {
	words := strings.Fields(text)
	for i, word := range words {
		id := strings.TrimRight(word, ".,;:")
		if shortIDForm.MatchString(id) {
			words[i] = spellOut(id) + word[len(id):]
		}
	}
	return oneLine(spokenSigns.Replace(unitShort.ReplaceAllStringFunc(strings.Join(words, " "), spokenUnit)), maxSpoken)
}
