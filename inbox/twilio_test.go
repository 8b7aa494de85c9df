package inbox

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const testAccount = "AC0123456789abcdef0123456789abcdef"

// phone posts a form as Twilio's clients do and returns what Twilio would answer.
func phone(t *testing.T, s *Server, what, password string, form url.Values) (status int, answer map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.HTTPURL()+"/twilio/2010-04-01/Accounts/"+testAccount+"/"+what+".json", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(testAccount, password)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return resp.StatusCode, answer
}

func message(change ...string) url.Values {
	form := url.Values{
		"To": {"+4930123456"}, "From": {"+4930100000"}, "Body": {"A-7F3K CRITICAL pg-prod-3 <Lag> 412s > 120s, 6m. Reply ACK 7F3K"},
		"StatusCallback": {"https://onevault.test/twilio/status?delivery=a%2FFIRED&channel=SMS"},
	}
	for i := 0; i+1 < len(change); i += 2 {
		form.Set(change[i], change[i+1])
	}
	return form
}

func TestSMS_IsShownAsATelephoneShowsIt(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	status, answer := phone(t, s, "Messages", "token", message())
	sid, _ := answer["sid"].(string)
	if status != http.StatusCreated || answer["status"] != "queued" || !strings.HasPrefix(sid, "SM") || len(sid) != 34 || answer["num_segments"] != "1" {
		t.Errorf("answer %d %v", status, answer)
	}
	m := await(t, s, anyMessage)
	if m.Channel != SMS || m.From != "+4930100000" || m.To != "+4930123456" || m.Key != "a/FIRED" || m.Severity != "CRITICAL" || m.Text != message().Get("Body") {
		t.Errorf("message %+v", m)
	}
	if !strings.Contains(m.HTML, `<div class="bubble">A-7F3K CRITICAL pg-prod-3 &lt;Lag&gt;`) || !strings.Contains(m.HTML, "1 segment, GSM-7") {
		t.Errorf("HTML %s", m.HTML)
	}
	if got := m.Headers["Authorization"]; len(got) != 1 || got[0] != "(hidden)" {
		t.Errorf("Authorization = %v", got)
	}
}

func TestTwilio_ListsTextsTheNewestFirst(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	phone(t, s, "Messages", "x", message("Body", "first"))
	phone(t, s, "Messages", "x", message("Body", "elsewhere", "To", "+12025550111"))
	phone(t, s, "Messages", "x", message("Body", "second"))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.HTTPURL()+"/twilio/2010-04-01/Accounts/"+testAccount+"/Messages.json?"+url.Values{"To": {message().Get("To")}}.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(testAccount, "x")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Messages []struct{ SID, Body string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Messages) != 2 || answer.Messages[0].Body != "second" || answer.Messages[1].Body != "first" || answer.Messages[0].SID == "" {
		t.Errorf("list %+v", answer)
	}
}

func TestSegments_AreCountedAsTwilioDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, alphabet string
		segments       int
	}{
		{strings.Repeat("a", 160), "GSM-7", 1},
		{strings.Repeat("a", 161), "GSM-7", 2},
		{strings.Repeat("a", 307), "GSM-7", 3},
		{strings.Repeat("€", 80), "GSM-7", 1},
		{strings.Repeat("€", 81), "GSM-7", 2},
		{strings.Repeat("’", 70), "UCS-2", 1},
		{strings.Repeat("’", 71), "UCS-2", 2},
		{strings.Repeat("😀", 36), "UCS-2", 2},
	} {
		if alphabet, n := segmentsOf(c.text); alphabet != c.alphabet || n != c.segments {
			t.Errorf("%.20s...: %s in %d, want %s in %d", c.text, alphabet, n, c.alphabet, c.segments)
		}
	}
}

const gatherTwiML = `<Response><Gather numDigits="1" action="https://onevault.test/twilio/voice?delivery=a" method="POST" finishOnKey=""><Say>CRITICAL: Lag &amp; more.</Say><Pause length="1"></Pause><Say>Press 4 to acknowledge.</Say></Gather><Say>Goodbye.</Say></Response>`

func TestCall_ShowsWhatIsSpokenAndWhereAKeyGoes(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	form := message("Twiml", gatherTwiML)
	form.Del("Body")
	if status, answer := phone(t, s, "Calls", "token", form); status != http.StatusCreated || !strings.HasPrefix(answer["sid"].(string), "CA") {
		t.Errorf("answer %d %v", status, answer)
	}
	m := await(t, s, anyMessage)
	if m.Channel != Voice || m.Text != "CRITICAL: Lag & more.\nPress 4 to acknowledge.\nGoodbye." || m.Severity != "CRITICAL" {
		t.Errorf("message %+v", m)
	}
	for _, want := range []string{"Lag &amp; more.", "pause of 1 s", "goes to https://onevault.test/twilio/voice?delivery=a"} {
		if !strings.Contains(m.HTML, want) {
			t.Errorf("the HTML lacks %s", want)
		}
	}
	if len(m.Actions) != 12 || m.Actions[9].ID != "key-*" {
		t.Errorf("a telephone with the keys %+v", m.Actions)
	}
	form.Set("Twiml", "<Response><Say>Only this.</Say></Response>")
	phone(t, s, "Calls", "token", form)
	if m := await(t, s, func(m Message) bool { return m.Text == "Only this." }); !strings.Contains(m.HTML, "waits for no key") || len(m.Actions) > 0 {
		t.Errorf("a call without keys shows %s", m.HTML)
	}
}

func TestTwilio_RefusesWhatTwilioRefuses(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	for _, c := range []struct {
		what, password string
		form           url.Values
		status         int
		code           float64
	}{
		{"Messages", "", message(), 401, 20003},
		{"Messages", "x", message("To", ""), 400, 21604},
		{"Messages", "x", message("To", "030 123"), 400, 21211},
		{"Messages", "x", message("From", ""), 400, 21603},
		{"Messages", "x", message("From", "+49 30"), 400, 21212},
		{"Messages", "x", message("Body", ""), 400, 21602},
		{"Messages", "x", message("Body", strings.Repeat("x", 1601)), 400, 21617},
		{"Calls", "x", message("From", "OneVault", "Twiml", gatherTwiML), 400, 21213},
		{"Calls", "x", message(), 400, 21205},
		{"Calls", "x", message("Twiml", "<Response><Say>unclosed</Response>"), 400, 12100},
		{"Calls", "x", message("Twiml", "<Response><Shout>hello</Shout></Response>"), 400, 12100},
		{"Calls", "x", message("Twiml", "<Response></Response>"), 400, 12100},
		{"Calls", "x", message("Twiml", "<Response><Say>"+strings.Repeat("x", 4000)+"</Say></Response>"), 400, 21617},
	} {
		status, answer := phone(t, s, c.what, c.password, c.form)
		if status != c.status || answer["code"] != c.code || answer["message"] == "" {
			t.Errorf("%s %.80v: %d %v, want %d with code %v", c.what, c.form, status, answer, c.status, c.code)
		}
	}
	if got := s.Messages(); len(got) != 0 {
		t.Errorf("refused, and yet it has %d messages", len(got))
	}
}
