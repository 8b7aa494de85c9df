package notify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/twilio/twilio-go/client"
	twilioapi "github.com/twilio/twilio-go/rest/api/v2010"
)

const (
	twilioDomain = "twilio.com"
	twilioAPI    = "https://api.twilio.com"
	// maxTwilioList caps a page of the list of messages, each with its text.
	maxTwilioList = 1 << 20
)

// Where the public side of OneVault hears of a message: Twilio posts to these paths below the public URL.
// The query says which delivery it is about; Twilio signs the whole URL.
const (
	// TwilioStatusPath takes the status callbacks of text messages and calls.
	TwilioStatusPath = "/twilio/status"
	// TwilioVoicePath takes the key that somebody pressed in a call.
	TwilioVoicePath = "/twilio/voice"
	// CallbackDelivery, CallbackChannel and CallbackRecipient name the ledger's entry in the query: the
	// message's key, the channel's key and the number.
	CallbackDelivery  = "delivery"
	CallbackChannel   = "channel"
	CallbackRecipient = "recipient"
)

var (
	accountSID  = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)
	serviceSID  = regexp.MustCompile(`^MG[0-9a-fA-F]{32}$`)
	twilioToken = regexp.MustCompile(`^[0-9A-Za-z]{16,64}$`)
	// phoneNumber is E.164, the only form that means the same everywhere.
	phoneNumber = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	// senderName is what a text message may come from besides a number: a short code, or letters.
	senderName = regexp.MustCompile(`^([0-9]{3,8}|[A-Za-z0-9 ]{1,11})$`)
)

// twilioConfig is what SMS and VOICE have in common: {"account_sid"|"account_sid_env"|"account_sid_file",
// "auth_token_env"|"auth_token_file", "from_number", "to_numbers", "api_base_url"}.
type twilioConfig struct {
	account, token secretRef
	from           string
	to             []string
	api            endpoint
}

func parseTwilio(f *fields) twilioConfig {
	c := twilioConfig{
		account: f.secretRef("account_sid", true), token: f.secretRef("auth_token", false),
		from: f.text("from_number"), to: f.phoneNumbers("to_numbers"), api: f.endpoint(twilioAPI, twilioDomain),
	}
	if !c.account.present {
		f.fail("account_sid", "it is missing; give the account's SID of Twilio's console, AC and 32 hexadecimal digits")
	}
	if c.account.inline != "" && !accountSID.MatchString(string(c.account.inline)) {
		f.fail("account_sid", "%q is not an account's SID; it is AC and 32 hexadecimal digits, as Twilio's console shows it", oneLine(string(c.account.inline), 40))
	}
	if !c.token.present {
		f.fail("auth_token_env", "it is missing; name the variable that holds the account's auth token")
	}
	return c
}

// phoneNumbers reads telephone numbers, given as addresses are; duplicates are dropped.
func (f *fields) phoneNumbers(name string) []string {
	value, ok := f.get(name)
	if !ok {
		f.fail(name, `it is missing; give an array like ["+4930123456"]`)
		return nil
	}
	var numbers []string
	seen := map[string]bool{}
	for _, text := range f.addressTexts(name, value) {
		for number := range strings.SplitSeq(text, ",") {
			number = strings.Map(dropSeparators, number)
			switch {
			case !phoneNumber.MatchString(number):
				f.fail(name, "%q is not a telephone number; write it with its country, like +4930123456", oneLine(number, 40))
			case !seen[number]:
				seen[number] = true
				numbers = append(numbers, number)
			}
		}
	}
	if len(numbers) == 0 && len(f.errs) == 0 {
		f.fail(name, `it is empty; give at least one number like ["+4930123456"]`)
	}
	return numbers
}

// dropSeparators leaves what people write between digits out of a number.
func dropSeparators(r rune) rune {
	if strings.ContainsRune(" -./()", r) {
		return -1
	}
	return r
}

// twilio is one account, as SMS and VOICE use it.
type twilio struct {
	account string
	token   secret
	cfg     twilioConfig
	key     string // the channel's
	http    *http.Client
	public  *url.URL // nil: nobody can call back
	timeout time.Duration
	scrub   scrubber
}

func openTwilio(cfg Config, c twilioConfig, o Options) (*twilio, error) {
	if err := c.api.check(o); err != nil {
		return nil, err
	}
	account, err := c.account.load(o)
	if err != nil {
		return nil, err
	}
	if !accountSID.MatchString(string(account)) {
		return nil, fmt.Errorf("account_sid: the value is not an account's SID; it is AC and 32 hexadecimal digits, as Twilio's console shows it")
	}
	token, err := c.token.load(o)
	if err != nil {
		return nil, err
	}
	if !twilioToken.MatchString(string(token)) {
		return nil, fmt.Errorf("auth_token: the value is not an auth token; it is 32 letters and digits, as Twilio's console shows it")
	}
	return &twilio{
		account: string(account), token: token, cfg: c, key: cfg.Key,
		http:   withAnswersUpTo(maxTwilioList, newHTTPClient(c.api.guard(o), o.RootCAs)),
		public: o.PublicURL, timeout: o.timeout(), scrub: newScrubber(token, basicAuth(string(account), token)),
	}, nil
}

// basicAuth is the token as it travels: an answer that quotes its request shows this.
func basicAuth(account string, token secret) secret {
	return secret(base64.StdEncoding.EncodeToString([]byte(account + ":" + string(token))))
}

// callback is an address below the public URL that names one delivery; empty without a public URL.
func (t *twilio) callback(path, recipient string, m Message) string {
	return t.address(path, url.Values{CallbackDelivery: {m.Key}, CallbackChannel: {t.key}, CallbackRecipient: {recipient}})
}

// callbackAbout is one that also names the alerts, where they are few.
func (t *twilio) callbackAbout(path, recipient string, m Message) string {
	query := url.Values{CallbackDelivery: {m.Key}, CallbackChannel: {t.key}, CallbackRecipient: {recipient}}
	if len(m.Alerts) <= maxCallbackAlerts {
		ids := make([]string, len(m.Alerts))
		for i, a := range m.Alerts {
			ids[i] = a.ShortID
		}
		query.Set(CallbackAlerts, strings.Join(ids, ","))
	}
	return t.address(path, query)
}

func (t *twilio) address(path string, query url.Values) string {
	if t.public == nil {
		return ""
	}
	u := *t.public
	u.Path = strings.TrimSuffix(u.Path, "/") + path
	u.RawQuery = query.Encode()
	return u.String()
}

// service is Twilio's client for one call: its methods take no context and no address, so both come in by
// the transport. The library leaves the body of a failure open; the end of the context closes it. It is built by hand, because the library's own constructor reads TWILIO_REGION and
// TWILIO_EDGE from the environment.
func (t *twilio) service(ctx context.Context) *twilioapi.ApiService {
	base := t.cfg.api.url
	transport := roundTrip(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(ctx)
		r.URL.Scheme, r.URL.Host, r.Host = base.Scheme, base.Host, ""
		r.URL.Path = base.Path + r.URL.Path
		return t.http.Transport.RoundTrip(r)
	})
	account := &client.Client{
		Credentials: client.NewCredentials(t.account, string(t.token)),
		HTTPClient:  &http.Client{Transport: transport, CheckRedirect: t.http.CheckRedirect},
	}
	account.SetAccountSid(t.account)
	return twilioapi.NewApiService(&client.RequestHandler{Client: account})
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip makes a function a transport.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// attempt makes one request of Twilio and judges it. sid and state are the answer's, where it had them.
func (t *twilio) attempt(ctx context.Context, content string, create func(*twilioapi.ApiService) (sid, state string, err error)) Receipt {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	ctx, o := withOutcome(ctx)
	sid, state, err := create(t.service(ctx))
	receipt := twilioVerdict(o, sid, state, err)
	receipt.Content, receipt.Duration = clip(content), time.Since(start)
	return t.scrub.receipt(receipt)
}

// twilioVerdict takes 201 alone for Twilio's word. It says no more than that the message is queued: what
// became of it is for the callback to tell.
func twilioVerdict(o *outcome, sid, state string, err error) Receipt {
	receipt := classifyHTTP(o, err)
	status, _, _, said := o.read()
	switch {
	case receipt.Class == Accepted && status == http.StatusCreated:
		receipt.ExternalID = oneLine(sid, 64)
		if state = oneLine(state, 40); state != "" {
			receipt.Proof += ", " + state + " at Twilio"
		}
		return receipt
	case receipt.Class == Accepted:
		return Receipt{Class: Uncertain, Reason: fmt.Sprintf("HTTP %d, but Twilio's own word is 201 (it said %q); is api_base_url really Twilio's?", status, oneLine(said, 200))}
	}
	if advice := twilioAdvice(said); advice != "" {
		receipt.Reason += "; " + advice
	}
	return receipt
}

// twilioAdvice knows the errors that the owner of a channel can do something about.
func twilioAdvice(said string) string {
	var answer struct {
		Code int `json:"code"`
	}
	if json.Unmarshal([]byte(said), &answer) != nil {
		return ""
	}
	switch answer.Code {
	case 20003, 20008:
		return "account_sid and auth_token do not belong together"
	case 21211, 21217, 21401, 21614:
		return "correct the number in to_numbers"
	case 21210, 21212, 21603, 21606, 21659, 21660:
		return "from_number is not a number of this account that may send"
	case 21608, 21219:
		return "a trial account reaches verified numbers only"
	case 21610:
		return "its owner has answered STOP; only START from that telephone undoes it"
	case 21408, 21215, 13227:
		return "allow the country in Twilio's geographic permissions"
	case 21617, 21605:
		return "the text is too long"
	}
	return ""
}

func (t *twilio) describe(kind Type) string { return string(kind) + " " + t.cfg.api.String() }
