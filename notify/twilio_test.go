package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"onevault/alert"
)

// twilioRules validates requests against the description in testdata.
func twilioRules(t *testing.T) routers.Router {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromFile("testdata/twilio-openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(document)
	if err != nil {
		t.Fatal(err)
	}
	return router
}

func validTwilioRequest(ctx context.Context, rules routers.Router, got recorded) error {
	method := http.MethodPost
	if len(got.Body) == 0 {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(ctx, method, "https://api.twilio.com"+got.Path, bytes.NewReader(got.Body))
	if err != nil {
		return err
	}
	r.Header = got.Header
	route, params, err := rules.FindRoute(r)
	if err != nil {
		return fmt.Errorf("%s: %w", got.Path, err)
	}
	if method == http.MethodGet {
		for field := range r.URL.Query() {
			if route.Operation.Parameters.GetByInAndName("query", field) == nil {
				return fmt.Errorf("the parameter %s is not described", field)
			}
		}
		return openapi3filter.ValidateRequest(ctx, twilioInput(r, route, params))
	}
	// The library passes over fields of a form that are not described; Twilio does as well, so a misspelt one is lost.
	form, err := url.ParseQuery(string(got.Body))
	if err != nil {
		return err
	}
	described := route.Operation.RequestBody.Value.Content.Get("application/x-www-form-urlencoded").Schema.Value.Properties
	for field := range form {
		if described[field] == nil {
			return fmt.Errorf("the field %s is not described", field)
		}
	}
	return openapi3filter.ValidateRequest(ctx, twilioInput(r, route, params))
}

func twilioInput(r *http.Request, route *routers.Route, params map[string]string) *openapi3filter.RequestValidationInput {
	return &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{MultiError: true, AuthenticationFunc: func(_ context.Context, in *openapi3filter.AuthenticationInput) error {
			if user, password, ok := in.RequestValidationInput.Request.BasicAuth(); !ok || user != twilioSID || password != twilioAuth {
				return fmt.Errorf("basic auth of %q", user)
			}
			return nil
		}},
	}
}

func publicOptions(t *testing.T) Options {
	t.Helper()
	o := testOptions(nil)
	public, err := url.Parse("https://onevault.example.com/base/")
	if err != nil {
		t.Fatal(err)
	}
	o.PublicURL = public
	return o
}

// twilioMessages are one message of each event, and some that strain the limits.
func twilioMessages() map[string]Message {
	messages := map[string]Message{}
	for _, event := range []alert.Event{
		alert.EventFired, alert.EventEscalated, alert.EventReopened, alert.EventFlapping, alert.EventUnanswered, alert.EventResolved,
		alert.EventTest, alert.EventSilenceEnding, alert.EventAcknowledged,
	} {
		m := firedMessage()
		m.Event = event
		messages[string(event)] = m
	}
	bare := firedMessage()
	bare.Event, bare.Alerts = alert.EventTest, nil
	messages["test without an alert"] = bare
	long := firedMessage()
	long.Definition.Name, long.Target = strings.Repeat("<&\"'`’日本語[~]", 400), strings.Repeat("ö€", 400)
	long.Alerts[0].Value, long.Alerts[0].Reason = nil, strings.Repeat("& ", 4000)
	for i := range 40 {
		more := long.Alerts[0]
		more.Key, more.ShortID = fmt.Sprintf("%s-%d", more.Key, i), fmt.Sprintf("A-%04d", i)
		long.Alerts = append(long.Alerts, more)
	}
	messages["long and strange"] = long
	return messages
}

func TestTwilio_EveryRequestIsValidByItsDescription(t *testing.T) {
	t.Parallel()
	rules := twilioRules(t)
	for _, kind := range []Type{TypeSMS, TypeVoice} {
		for _, o := range []Options{testOptions(nil), publicOptions(t)} {
			for name, m := range twilioMessages() {
				t.Run(fmt.Sprintf("%s/%s/callback %v", kind, name, o.PublicURL != nil), func(t *testing.T) {
					t.Parallel()
					fake := newFakeHTTP(t, false, answer(201, twilioQueued))
					channel := mustOpen(t, config(t, kind, twilioFields(fake.URL)), o)
					r := channel.Send(t.Context(), channel.Recipients()[0], m)
					if r.Class != Accepted || r.ExternalID != "SM0123456789abcdef0123456789abcdef" || r.Proof != "HTTP 201, queued at Twilio" {
						t.Errorf("receipt %+v", r)
					}
					got := fake.last(t)
					if err := validTwilioRequest(t.Context(), rules, got); err != nil {
						t.Errorf("%s\n%v", got.Body, err)
					}
					if form := formOf(t, got); form.Has("StatusCallback") != (o.PublicURL != nil) {
						t.Errorf("StatusCallback = %q", form["StatusCallback"])
					}
				})
			}
		}
	}
}

// TestTwilio_TheDescriptionRefusesWhatTwilioWould proves that the rules above can fail.
func TestTwilio_TheDescriptionRefusesWhatTwilioWould(t *testing.T) {
	t.Parallel()
	rules := twilioRules(t)
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	sign := &http.Request{Header: header}
	sign.SetBasicAuth(twilioSID, twilioAuth)
	messages := "/2010-04-01/Accounts/" + twilioSID + "/Messages.json"
	for body, path := range map[string]string{
		"To=%2B4930123456&From=%2B4930100000&Body=" + strings.Repeat("x", 1601): messages,
		"To=4930123456&From=%2B4930100000&Body=x":                               messages,
		"To=%2B4930123456&Body=x":                                               messages,
		"To=%2B4930123456&From=%2B4930100000&Text=x&Body=y":                     messages,
		"To=%2B4930123456&From=%2B4930100000&Body=z":                            "/2010-04-01/Accounts/AC1/Messages.json",
		"To=%2B4930123456&From=%2B4930100000":                                   "/2010-04-01/Accounts/" + twilioSID + "/Calls.json",
	} {
		if validTwilioRequest(t.Context(), rules, recorded{Path: path, Header: header, Body: []byte(body)}) == nil {
			t.Errorf("%s %.80s is valid", path, body)
		}
	}
	good := recorded{Path: messages, Header: header, Body: []byte("To=%2B4930123456&From=%2B4930100000&Body=x")}
	if err := validTwilioRequest(t.Context(), rules, good); err != nil {
		t.Errorf("a good request is refused: %v", err)
	}
}

func formOf(t *testing.T, got recorded) url.Values {
	t.Helper()
	form, err := url.ParseQuery(string(got.Body))
	if err != nil {
		t.Fatal(err)
	}
	return form
}

func TestTwilio_TheCallbackNamesTheDelivery(t *testing.T) {
	t.Parallel()
	fake := newFakeHTTP(t, false, answer(201, twilioQueued))
	channel := mustOpen(t, config(t, TypeSMS, twilioFields(fake.URL)), publicOptions(t))
	m := firedMessage()
	channel.Send(t.Context(), "+4930123456", m)
	callback, err := url.Parse(formOf(t, fake.last(t)).Get("StatusCallback"))
	if err != nil {
		t.Fatal(err)
	}
	if got := callback.Scheme + "://" + callback.Host + callback.Path; got != "https://onevault.example.com/base/twilio/status" {
		t.Errorf("the callback goes to %s", got)
	}
	for name, want := range map[string]string{CallbackDelivery: m.Key, CallbackChannel: "SMS_TEST", CallbackRecipient: "+4930123456"} {
		if got := callback.Query().Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestTwilio_OneDeliveryPerNumber(t *testing.T) {
	t.Parallel()
	fields := twilioFields("https://api.dublin.ie1.twilio.com")
	fields["to_numbers"] = `["+49 30 123456", "+4930123456", "+1 (212) 555-0100"]`
	for _, kind := range []Type{TypeSMS, TypeVoice} {
		channel := mustOpen(t, config(t, kind, fields), testOptions(nil))
		if got := channel.Recipients(); !slices.Equal(got, []string{"+4930123456", "+12125550100"}) {
			t.Errorf("%s: recipients %v", kind, got)
		}
	}
}

func TestTwilio_TheOwnerReadsWhatToCorrect(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]string{20003: "do not belong together", 21211: "to_numbers", 21606: "from_number", 21610: "STOP", 21408: "geographic permissions"} {
		fake := newFakeHTTP(t, false, answer(400, fmt.Sprintf(`{"code":%d,"message":"words of Twilio","status":400}`, code)))
		channel := mustOpen(t, config(t, TypeSMS, twilioFields(fake.URL)), testOptions(nil))
		r := channel.Send(t.Context(), channel.Recipients()[0], firedMessage())
		checkReceipt(t, r, Permanent)
		if !strings.Contains(r.Reason, want) || !strings.Contains(r.Reason, "words of Twilio") {
			t.Errorf("%d: %s", code, r.Reason)
		}
	}
}

// TestTwilio_ReadsNoRegionFromTheEnvironment: the library's own constructor would.
func TestTwilio_ReadsNoRegionFromTheEnvironment(t *testing.T) {
	t.Setenv("TWILIO_REGION", "au1")
	t.Setenv("TWILIO_EDGE", "sydney")
	fake := newFakeHTTP(t, false, answer(201, twilioQueued))
	channel := mustOpen(t, config(t, TypeSMS, twilioFields(fake.URL)), testOptions(nil))
	checkReceipt(t, channel.Send(t.Context(), channel.Recipients()[0], firedMessage()), Accepted)
}

func TestSMS_SaysInOneLineWhatATelephoneAtNightHasToShow(t *testing.T) {
	t.Parallel()
	lag := Message{
		Event: alert.EventFired, Target: "pg-prod-3", At: firedAt.Add(6*time.Minute + 3*time.Second),
		Definition: alert.Definition{Name: "Replication Lag", Severity: alert.SeverityCritical, Operator: ">", Threshold: ptr(120)},
		Alerts:     []alert.Alert{{Key: "K", ShortID: "A-7F3K", Value: ptr(412), Unit: "seconds", TriggeredAt: firedAt}},
	}
	with := func(change func(*Message)) Message {
		m := lag
		m.Alerts = slices.Clone(lag.Alerts)
		change(&m)
		return m
	}
	for _, c := range []struct {
		m       Message
		replies bool
		want    string
	}{
		{lag, true, "A-7F3K CRITICAL pg-prod-3 Replication Lag 412s > 120s, 6m. Reply ACK 7F3K"},
		{lag, false, "A-7F3K CRITICAL pg-prod-3 Replication Lag 412s > 120s, 6m. onevault alert ack A-7F3K"},
		{with(func(m *Message) { m.Event, m.Alerts[0].Level = alert.EventEscalated, 2 }), true, "A-7F3K CRITICAL level 2 pg-prod-3 Replication Lag 412s > 120s, 6m. Reply ACK 7F3K"},
		{with(func(m *Message) { m.Event = alert.EventReopened }), true, "A-7F3K CRITICAL again pg-prod-3 Replication Lag 412s > 120s, 6m. Reply ACK 7F3K"},
		{with(func(m *Message) { m.Event = alert.EventUnanswered }), true, "A-7F3K CRITICAL unanswered again pg-prod-3 Replication Lag 412s > 120s, 6m. Reply ACK 7F3K"},
		{with(func(m *Message) { m.Event = alert.EventFlapping }), true, "A-7F3K CRITICAL flapping pg-prod-3 Replication Lag 412s > 120s, 6m. Reply ACK 7F3K"},
		{with(func(m *Message) { m.PossibleDuplicate = true }), true, "A-7F3K CRITICAL pg-prod-3 Replication Lag 412s > 120s, 6m (perhaps a repetition). Reply ACK 7F3K"},
		{with(func(m *Message) { m.Alerts = append(m.Alerts, m.Alerts[0], m.Alerts[0]) }), true, "A-7F3K and 2 more CRITICAL pg-prod-3 Replication Lag 412s > 120s, 6m. Reply ACK 7F3K"},
		{with(func(m *Message) { m.Alerts[0].Value, m.Alerts[0].Reason = nil, "no row for “shop”" }), true, `A-7F3K CRITICAL pg-prod-3 Replication Lag no row for "shop", 6m. Reply ACK 7F3K`},
		{with(func(m *Message) { m.Event, m.Alerts[0].ResolvedAt = alert.EventResolved, firedAt.Add(5*time.Minute) }), true, "A-7F3K RESOLVED pg-prod-3 Replication Lag after 5m, the condition cleared"},
	} {
		if got := smsText(c.m, c.replies); got != c.want {
			t.Errorf("%s\nwant\n%s", got, c.want)
		}
	}
}

func TestSMS_PromisesAReplyOnlyWhereOneIsHeard(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from string
		o    Options
		want bool
	}{
		{"+4930100000", publicOptions(t), true},
		{"12345", publicOptions(t), true},
		{"OneVault", publicOptions(t), false},
		{"+4930100000", testOptions(nil), false},
	} {
		fake := newFakeHTTP(t, false, answer(201, twilioQueued))
		fields := twilioFields(fake.URL)
		fields["from_number"] = c.from
		channel := mustOpen(t, config(t, TypeSMS, fields), c.o)
		r := channel.Send(t.Context(), channel.Recipients()[0], firedMessage())
		if strings.Contains(r.Content, "Reply ACK") != c.want {
			t.Errorf("from %s with a public URL %v: %s", c.from, c.o.PublicURL, r.Content)
		}
	}
}

func TestFoldGSM_LeavesOneAlphabetAndWhatItMeans(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"`a` ‘b’ “c” „d“ – — …":         `'a' 'b' "c" "d" - - ...`,
		"Grüße, Ångström, déjà, façade": "Grüße, Ångström, déjà, facade",
		"łódź ≥ 5 µs ½":                 "lodz >= 5 us 1",
		"日本 😀":                          "?? ?",
		"tab\tand\x00null\n":            "tab and null\n",
		"€ [x] {y} ~":                   "€ [x] {y} ~",
	} {
		if got := foldGSM(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestCutGSM_CountsPlacesAndNotCharacters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		limit int
		want  string
	}{
		{"abcdef", 6, "abcdef"}, {"abcdefg", 6, "abc..."}, {"€€€", 6, "€€€"}, {"€€€€", 6, "€..."}, {"a€€€", 6, "a€..."},
	} {
		if got := cutGSM(c.text, c.limit); got != c.want || gsmLength(got) > c.limit {
			t.Errorf("%q within %d is %q, want %q", c.text, c.limit, got, c.want)
		}
	}
}

// heard are the instructions of a call as Twilio reads them.
type heard struct {
	Say    []string `xml:"Say"`
	Gather *struct {
		NumDigits   int      `xml:"numDigits,attr"`
		Action      string   `xml:"action,attr"`
		Method      string   `xml:"method,attr"`
		FinishOnKey string   `xml:"finishOnKey,attr"`
		Say         []string `xml:"Say"`
	} `xml:"Gather"`
}

func call(t *testing.T, o Options, m Message) (heard, Receipt) {
	t.Helper()
	fake := newFakeHTTP(t, false, answer(201, twilioQueued))
	channel := mustOpen(t, config(t, TypeVoice, twilioFields(fake.URL)), o)
	r := channel.Send(t.Context(), channel.Recipients()[0], m)
	var h heard
	if err := xml.Unmarshal([]byte(formOf(t, fake.last(t)).Get("Twiml")), &h); err != nil {
		t.Fatal(err)
	}
	return h, r
}

func TestVoice_ReadsTheAlertTwiceAndWaitsForAKey(t *testing.T) {
	t.Parallel()
	m := firedMessage()
	h, r := call(t, publicOptions(t), m)
	want := "This is OneVault. Critical: High Connection Count on pg-prod-3 fired: 187, threshold more than 150. Since 6 minutes. Alert A, 7, F, 3, K."
	if r.Content != want {
		t.Errorf("it reads\n%s\nwant\n%s", r.Content, want)
	}
	if h.Gather == nil || len(h.Gather.Say) != 3 || h.Gather.Say[0] != want || h.Gather.Say[1] != want || len(h.Say) != 1 {
		t.Fatalf("instructions %+v", h)
	}
	for _, key := range []string{"4 to acknowledge", "5 to escalate", "6 to close", "star to hear"} {
		if !strings.Contains(h.Gather.Say[2], key) {
			t.Errorf("the keys are not announced: %s", h.Gather.Say[2])
		}
	}
	action, err := url.Parse(h.Gather.Action)
	if err != nil {
		t.Fatal(err)
	}
	if h.Gather.NumDigits != 1 || h.Gather.Method != http.MethodPost || action.Path != "/base/twilio/voice" || action.Query().Get(CallbackDelivery) != m.Key {
		t.Errorf("the key goes to %s", h.Gather.Action)
	}
}

func TestVoice_OnlyReadsWhereNoKeyIsHeard(t *testing.T) {
	t.Parallel()
	resolved := firedMessage()
	resolved.Event = alert.EventResolved
	for name, c := range map[string]struct {
		o Options
		m Message
	}{"no public URL": {testOptions(nil), firedMessage()}, "nothing to answer": {publicOptions(t), resolved}} {
		h, r := call(t, c.o, c.m)
		if strings.Contains(r.Content, "Resolved: ") != (c.m.Event == alert.EventResolved) {
			t.Errorf("%s: it reads %s", name, r.Content)
		}
		if h.Gather != nil || len(h.Say) != 2 || h.Say[0] != h.Say[1] {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

// twilioList answers as Twilio lists messages, the newest first: each is a text, a state and its age at the event.
func twilioList(t *testing.T, m Message, list ...[3]string) string {
	t.Helper()
	messages := []map[string]any{}
	for i, sent := range list {
		age, err := time.ParseDuration(sent[2])
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, map[string]any{
			"sid": fmt.Sprintf("SM%032d", i), "body": sent[0], "status": sent[1], "direction": "outbound-api",
			"date_created": m.At.Add(-age).UTC().Format(time.RFC1123Z), "date_sent": nil, "error_code": nil,
		})
	}
	text, err := json.Marshal(map[string]any{"messages": messages, "page": 0, "page_size": twilioPage, "next_page_uri": nil})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSMS_FindsATextWhoseAnswerWasLostInTwiliosList(t *testing.T) {
	t.Parallel()
	m := firedMessage()
	text := smsText(m, false)
	escalated := m
	escalated.Event = alert.EventEscalated
	other := smsText(escalated, false)
	marked := m
	marked.PossibleDuplicate = true
	many := make([][3]string, twilioPage)
	for i := range many {
		many[i] = [3]string{other, "sent", "-1s"}
	}
	rules := twilioRules(t)
	for name, c := range map[string]struct {
		list   string
		status int
		found  string // its sid
		err    string // part of it
	}{
		"it is there":                  {list: twilioList(t, m, [3]string{other, "sent", "-9s"}, [3]string{text, "queued", "-2s"}), found: "SM00000000000000000000000000000001"},
		"of a trial account":           {list: twilioList(t, m, [3]string{"Sent from your Twilio trial account - " + text, "sent", "-2s"}), found: "SM00000000000000000000000000000000"},
		"its repetition is there":      {list: twilioList(t, m, [3]string{smsText(marked, false), "delivered", "-2s"}), found: "SM00000000000000000000000000000000"},
		"nothing is there":             {list: twilioList(t, m)},
		"another event of the alert":   {list: twilioList(t, m, [3]string{other, "sent", "-2s"})},
		"Twilio could not deliver it":  {list: twilioList(t, m, [3]string{text, "undelivered", "-2s"}, [3]string{text, "failed", "-2s"})},
		"the same text an hour before": {list: twilioList(t, m, [3]string{text, "delivered", "1h"})},
		"too many others":              {list: twilioList(t, m, many...), err: "there are more"},
		"the list is refused":          {list: `{"code":20003,"message":"Authenticate"}`, status: 401, err: "401"},
		"something else answers":       {list: `{"hello":"world"}`, err: "cannot be read"},
		"no list at all":               {list: `<html>`, err: "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := newFakeHTTP(t, false, answer(max(c.status, 200), c.list))
			channel := mustOpen(t, config(t, TypeSMS, twilioFields(fake.URL)), testOptions(nil))
			reconciler, ok := As[Reconciler](channel)
			if !ok {
				t.Fatal("nobody can be asked")
			}
			found, receipt, err := reconciler.Reconcile(t.Context(), channel.Recipients()[0], m)
			if found != (c.found != "") || receipt.ExternalID != c.found || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("found %t, %+v, %v", found, receipt, err)
			}
			got := fake.last(t)
			if err := validTwilioRequest(t.Context(), rules, got); err != nil {
				t.Errorf("%s: %v", got.Path, err)
			}
			if !strings.Contains(got.Path, "To=%2B4930123456") || !strings.Contains(got.Path, "From=%2B4930100000") {
				t.Errorf("asked for %s", got.Path)
			}
		})
	}
}
