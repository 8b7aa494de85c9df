package inbox

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// events reads a stream of Server-Sent Events.
type events struct {
	t     *testing.T
	lines chan string
}

func follow(t *testing.T, url string) events {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("follow: %v", err)
	}
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("content type %q", got)
	}
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		defer res.Body.Close()
		for scanner := bufio.NewScanner(res.Body); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	return events{t, lines}
}

// next returns name and data of the next event.
func (e events) next() (name, data string) {
	e.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case line, open := <-e.lines:
			switch {
			case !open:
				e.t.Fatal("the stream ended")
			case strings.HasPrefix(line, "event: "):
				name = line[len("event: "):]
			case strings.HasPrefix(line, "data: "):
				data = line[len("data: "):]
			case line == "" && name != "":
				return name, data
			}
		case <-deadline:
			e.t.Fatal("no event came")
		}
	}
}

func (e events) want(name string) (data string) {
	e.t.Helper()
	got, data := e.next()
	if got != name {
		e.t.Fatalf("event %q %s, want %q", got, data, name)
	}
	return data
}

func TestEvents_DeliverLive(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	post(t, s.HTTPURL()+"/slack/ops", `{"text":"before"}`)
	stream := follow(t, s.HTTPURL()+"/api/events")
	if hello := stream.want("hello"); !strings.Contains(hello, s.SMTPAddr()) {
		t.Errorf("hello %s does not name %s", hello, s.SMTPAddr())
	}
	post(t, s.HTTPURL()+"/slack/ops", `{"text":"line one\nline two"}`)
	var m Message
	if err := json.Unmarshal([]byte(stream.want("message")), &m); err != nil {
		t.Fatal(err)
	}
	if m.Seq != 2 || m.Text != "line one\nline two" {
		t.Errorf("seq %d, text %q", m.Seq, m.Text)
	}
	post(t, s.HTTPURL()+"/slack/ops", `{}`)
	if refused := stream.want("message"); !strings.Contains(refused, `"refused":true`) {
		t.Errorf("the refusal is not marked: %s", refused)
	}
	req, err := http.NewRequest(http.MethodDelete, s.HTTPURL()+"/api/messages", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	stream.want("cleared")
	if n := len(s.Attempts()); n != 0 {
		t.Errorf("%d deliveries are left", n)
	}
}

func TestEvents_ResumeAfterASeq(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	post(t, s.HTTPURL()+"/slack/ops", `{"text":"one"}`)
	post(t, s.HTTPURL()+"/slack/ops", `{"text":"two"}`)
	stream := follow(t, s.HTTPURL()+"/api/events?after=1")
	stream.want("hello")
	if data := stream.want("message"); !strings.Contains(data, `"two"`) {
		t.Errorf("got %s, want the second message", data)
	}
}

func TestMessagesAPI_NarrowsByChannelAndSeq(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	post(t, s.HTTPURL()+"/slack/ops", `{"text":"one"}`)
	post(t, s.HTTPURL()+"/webhook/ops", `{"two":2}`)
	post(t, s.HTTPURL()+"/slack/ops", `{}`) // refused
	post(t, s.HTTPURL()+"/slack/ops", `{"text":"four"}`)
	for query, want := range map[string][]int{
		"":                            {1, 2, 4},
		"?channel=slack":              {1, 4},
		"?after=1":                    {2, 4},
		"?channel=WEBHOOK&after=2":    {},
		"?channel=SLACK&refused=true": {1, 3, 4},
	} {
		res, err := http.Get(s.HTTPURL() + "/api/messages" + query)
		if err != nil {
			t.Fatal(err)
		}
		var list listing
		err = json.NewDecoder(res.Body).Decode(&list)
		res.Body.Close()
		if err != nil {
			t.Fatalf("%q: %v", query, err)
		}
		got := []int{}
		for _, m := range list.Messages {
			got = append(got, m.Seq)
		}
		if len(got) != len(want) || list.Seq != 4 {
			t.Errorf("%q: seqs %v of %d, want %v of 4", query, got, list.Seq, want)
			continue
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%q: seqs %v, want %v", query, got, want)
			}
		}
	}
	res, err := http.Get(s.HTTPURL() + "/api/messages?after=yesterday")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("a nonsense seq got %d", res.StatusCode)
	}
}

func TestPage_ContainsHostileMessages(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	res, err := http.Get(s.HTTPURL() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	text, policy := string(body), res.Header.Get("Content-Security-Policy")

	for _, want := range []string{"default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "img-src data:;"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %q", policy, want)
		}
	}
	if match := regexp.MustCompile(`script-src ([^;]*)`).FindStringSubmatch(policy); match == nil || match[1] != "'sha256-"+scriptHash(text)+"'" {
		t.Errorf("scripts other than the page's own may run: %q", match)
	}
	if strings.Count(text, "<script") != 1 {
		t.Error("the policy knows one script, the page has another number")
	}
	sandbox := regexp.MustCompile(`"sandbox", "([^"]*)"`).FindStringSubmatch(text)
	if sandbox == nil {
		t.Fatal("frames have no sandbox")
	}
	for _, permission := range []string{"allow-scripts", "allow-forms", "allow-top-navigation", "allow-modals"} {
		if strings.Contains(sandbox[1], permission) {
			t.Errorf("frames have %s", permission)
		}
	}
	// The ways in which text could become markup outside of a frame, and resources from elsewhere.
	for _, sink := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "https://", `src="http`, "@import"} {
		if strings.Contains(text, sink) {
			t.Errorf("the page uses %s", sink)
		}
	}
}

func TestSlack_EscapesEveryLeaf(t *testing.T) {
	t.Parallel()
	const evil = `<img src=x onerror=alert(1)>\"'><script>alert(2)</script>`
	body := strings.ReplaceAll(`{"text":"EVIL","username":"EVIL","icon_emoji":"EVIL","blocks":[
		{"type":"header","text":{"type":"plain_text","text":"EVIL"}},
		{"type":"section","text":{"type":"mrkdwn","text":"EVIL *EVIL*"},"fields":[{"type":"plain_text","text":"EVIL"}]},
		{"type":"context","elements":[{"type":"mrkdwn","text":"EVIL"},{"type":"image","alt_text":"EVIL"},{"type":"EVIL"}]},
		{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"EVIL"},"url":"javascript:EVIL","style":"EVIL"}]},
		{"type":"EVIL"}],
		"attachments":[{"color":"red;background:url(EVIL)","title":"EVIL","title_link":"javascript:alert(3)","text":"EVIL","footer":"EVIL","pretext":"EVIL",
		"fields":[{"title":"EVIL","value":"EVIL"}]}]}`, "EVIL", evil)
	m, err := readSlack("/slack/ops", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, hostile := range []string{"<img", "<script", `="javascript:`, "background:url"} {
		if strings.Contains(m.HTML, hostile) {
			t.Errorf("the HTML holds %s:\n%s", hostile, m.HTML)
		}
	}
}

func TestGuard_RefusesPublicNames(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	for host, want := range map[string]int{
		"rebound.example.com":      http.StatusMisdirectedRequest,
		"rebound.example.com:8025": http.StatusMisdirectedRequest,
		"localhost:8025":           http.StatusOK,
		"inbox:8025":               http.StatusOK,
		"[::1]:8025":               http.StatusOK,
		"192.168.1.7:8025":         http.StatusOK,
	} {
		req, err := http.NewRequest(http.MethodGet, s.HTTPURL()+"/api/messages", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("host %s got %d, want %d", host, res.StatusCode, want)
		}
	}
}

func TestHTTP_BodiesBeyondTheCapAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	for _, path := range []string{"/slack/ops", "/webhook/ops"} {
		if status, _ := post(t, s.HTTPURL()+path, `{"text":"`+strings.Repeat("x", maxBody)+`"}`); status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s got %d", path, status)
		}
	}
	if received, tried := len(s.Messages()), len(s.Attempts()); received != 0 || tried != 2 {
		t.Errorf("%d received of %d tried, want 0 of 2", received, tried)
	}
}
