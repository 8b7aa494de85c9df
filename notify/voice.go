package notify

import (
	"context"
	"encoding/xml"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	twilioapi "github.com/twilio/twilio-go/rest/api/v2010"

	"onevault/alert"
)

const (
	// maxTwiML is what Twilio takes as the instructions of a call.
	maxTwiML = 4000
	// maxSpoken bounds what is read out once; a minute of speech is about 900 characters. Twice that, the keys
	// and an address stay below maxTwiML.
	maxSpoken = 900
)

// The keys of a call, as its text announces them.
const (
	KeyAcknowledge = "4"
	KeyEscalate    = "5"
	KeyResolve     = "6"
	KeyRepeat      = "*"
)

var (
	voiceName    = regexp.MustCompile(`^[A-Za-z0-9.\-]{1,60}$`)
	languageName = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}$`)
)

// voiceConfig is the VOICE shape: what twilioConfig has, "voice" (Twilio's name of one) and "language".
type voiceConfig struct {
	twilioConfig
	voice, language string
}

func parseVoice(f *fields) voiceConfig {
	c := voiceConfig{twilioConfig: parseTwilio(f)}
	c.speaker(f)
	switch {
	case c.from == "":
		f.fail("from_number", "it is missing; give the number that the calls come from, like +4930123456")
	case !phoneNumber.MatchString(c.from):
		f.fail("from_number", "%q can make no call; give a number like +4930123456", oneLine(c.from, 40))
	}
	return c
}

// speaker reads who reads out a call.
func (c *voiceConfig) speaker(f *fields) {
	c.voice, c.language = f.text("voice"), f.text("language")
	if c.voice != "" && !voiceName.MatchString(c.voice) {
		f.fail("voice", "%q is not the name of a voice; Twilio's are alice, man, woman, or like Polly.Amy", oneLine(c.voice, 40))
	}
	if c.language != "" && !languageName.MatchString(c.language) {
		f.fail("language", "%q is not a language; write it like en-GB", oneLine(c.language, 40))
	}
}

// voice calls one number per delivery, reads the alert twice, and waits for a key.
type voice struct {
	*twilio
	speaker, language string
}

func openVoice(cfg Config, o Options) (Channel, error) {
	f := parseFields(cfg)
	c := parseVoice(f)
	c.to = f.alsoNumbers(c.to, cfg.Also)
	if err := f.err(); err != nil {
		return nil, err
	}
	t, err := openTwilio(cfg, c.twilioConfig, o)
	if err != nil {
		return nil, err
	}
	return &voice{twilio: t, speaker: c.voice, language: c.language}, nil
}

func (v *voice) Recipients() []string { return v.cfg.to }
func (v *voice) String() string       { return v.describe(TypeVoice) }
func (v *voice) GoString() string     { return v.String() }

// Send queues the call at Twilio. Whether anybody answered is for the status callback to tell.
func (v *voice) Send(ctx context.Context, recipient string, m Message) Receipt {
	spoken := Spoken(m)
	instructions, err := v.instructions(spoken, recipient, m)
	if err != nil {
		return Receipt{Class: Permanent, Reason: "the call cannot be written as TwiML: " + oneLine(err.Error(), 200), Content: spoken}
	}
	params := (&twilioapi.CreateCallParams{}).SetTo(recipient).SetFrom(v.cfg.from).SetTwiml(instructions)
	if callback := v.callback(TwilioStatusPath, recipient, m); callback != "" {
		params.SetStatusCallback(callback).SetStatusCallbackEvent([]string{"answered", "completed"})
	}
	return v.attempt(ctx, spoken, func(api *twilioapi.ApiService) (sid, state string, err error) {
		call, err := api.CreateCall(params)
		if err != nil || call == nil {
			return "", "", err
		}
		return text64(call.Sid), text64(call.Status), nil
	})
}

func (v *voice) instructions(spoken, recipient string, m Message) (string, error) {
	action := ""
	if len(m.Alerts) > 0 && m.Storm == nil && asksForAnswer(m.Event) { // a key answers the alerts of one group
		action = v.callbackAbout(TwilioVoicePath, recipient, m)
	}
	return TwiML(spoken, action, v.speaker, v.language)
}

// TwiML are the instructions of a call: the text twice and, when there is an address for the key that is
// pressed, what the keys do. Twilio goes on behind <Gather> when no key is pressed.
func TwiML(spoken, action, voice, language string) (string, error) {
	say := func(text string) twimlSay { return twimlSay{Voice: voice, Language: language, Text: text} }
	read := []any{say(spoken), twimlPause{Length: 1}, say(spoken)}
	document := twimlResponse{Verbs: read}
	if action != "" {
		keys := say("Press 4 to acknowledge, 5 to escalate, 6 to close, or star to hear this again.")
		document.Verbs = []any{
			twimlGather{NumDigits: 1, Timeout: 10, Action: action, Method: "POST", FinishOnKey: "", Verbs: append(read, keys)},
			say("No key was pressed. Goodbye."),
		}
	}
	text, err := xml.Marshal(document)
	if err != nil {
		return "", err
	}
	if n := utf8.RuneCount(text); n > maxTwiML {
		return "", fmt.Errorf("it has %d characters, and Twilio takes %d", n, maxTwiML)
	}
	return string(text), nil
}

type twimlResponse struct {
	XMLName xml.Name `xml:"Response"`
	Verbs   []any
}

type twimlGather struct {
	XMLName   xml.Name `xml:"Gather"`
	NumDigits int      `xml:"numDigits,attr"`
	Timeout   int      `xml:"timeout,attr"`
	Action    string   `xml:"action,attr"`
	Method    string   `xml:"method,attr"`
	// FinishOnKey is empty, so that every key is one that was pressed and none only ends the input.
	FinishOnKey string `xml:"finishOnKey,attr"`
	Verbs       []any
}

type twimlSay struct {
	XMLName  xml.Name `xml:"Say"`
	Voice    string   `xml:"voice,attr,omitempty"`
	Language string   `xml:"language,attr,omitempty"`
	Text     string   `xml:",chardata"`
}

type twimlPause struct {
	XMLName xml.Name `xml:"Pause"`
	Length  int      `xml:"length,attr"`
}

// Spoken is the alert as it is read out: whole words for units and signs, the id letter by letter.
func Spoken(m Message) string {
	shown := newPage(m)
	sentences := []string{"This is OneVault.", strings.TrimSpace(spokenBadge(m) + oneLine(shown.Lede, 400))}
	if len(m.Alerts) > 0 && asksForAnswer(m.Event) {
		if age := m.At.Sub(since(m)); age >= time.Minute {
			sentences = append(sentences, "Since "+period1(age)+".")
		}
		if len(m.Alerts) == 1 {
			sentences = append(sentences, "Alert "+spellOut(m.Alerts[0].ShortID)+".")
		}
	}
	if m.Note != "" {
		sentences = append(sentences, oneLine(m.Note, maxNote))
	}
	if m.PossibleDuplicate {
		sentences = append(sentences, "Perhaps you were called before.")
	}
	return oneLine(spokenSigns.Replace(unitShort.ReplaceAllStringFunc(strings.Join(sentences, " "), spokenUnit)), maxSpoken)
}

func spokenBadge(m Message) string {
	switch {
	case m.Event == alert.EventResolved:
		return "Resolved: "
	case asksForAnswer(m.Event):
		severity := oneLine(string(m.Definition.Severity), 20)
		return severity[:min(1, len(severity))] + strings.ToLower(severity[min(1, len(severity)):]) + ": "
	}
	return ""
}

// unitShort is a number with the short name of a unit of time: 412s.
var unitShort = regexp.MustCompile(`\b[0-9]+(\.[0-9]+)?(ms|s|m|h|d)\b`)

func spokenUnit(short string) string {
	count := strings.TrimRight(short, "msdh")
	word := map[string]string{"ms": "millisecond", "s": "second", "m": "minute", "h": "hour", "d": "day"}[short[len(count):]]
	if count != "1" {
		word += "s"
	}
	return count + " " + word
}

// spokenSigns are words for what a voice would read as nothing, or as something else.
var spokenSigns = strings.NewReplacer(
	">=", "at least", "<=", "at most", "!=", "other than", ">", "more than", "<", "less than", "=", "exactly",
	"%", " percent", "&", " and ", "_", " ", " (", ", ", "(", ", ", ")", "", "[", "", "]", "", "|", " ", `"`, "", "'", "",
)

// spellOut separates the letters and digits of an id: A, 7, F, 3, K.
func spellOut(id string) string {
	return strings.Join(strings.Split(strings.ReplaceAll(oneLine(id, 40), "-", ""), ""), ", ")
}
