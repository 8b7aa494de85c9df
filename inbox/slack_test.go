package inbox

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

const blockMessage = `{
  "text": "CRITICAL pg-prod-3 High Connection Count",
  "channel": "#ops-alerts", "username": "OneVault Monitor", "icon_emoji": ":warning:",
  "metadata": {"event_type": "onevault_alert", "event_payload": {"notification_key": "n-1"}},
  "blocks": [
    {"type": "header", "text": {"type": "plain_text", "text": "High Connection Count"}},
    {"type": "section", "text": {"type": "mrkdwn", "text": "*pg-prod-3* at ` + "`96 %`" + ` &gt; 80 %, see <https://wiki.test/a?b=1&amp;c=2|the runbook>"},
     "fields": [{"type": "mrkdwn", "text": "*Alert*\nA-7F3K"}]},
    {"type": "divider"},
    {"type": "actions", "elements": [
      {"type": "button", "text": {"type": "plain_text", "text": "Acknowledge"}, "style": "primary", "value": "A-7F3K"},
      {"type": "button", "text": {"type": "plain_text", "text": "Open"}, "url": "http://localhost:8233/"}]},
    {"type": "context", "elements": [{"type": "mrkdwn", "text": "since _03:12_"}]}
  ],
  "attachments": [{"color": "danger", "title": "Older form", "fields": [{"title": "Lag", "value": "412s", "short": true}]}]
}`

func TestSlack_ShowsBlocksAsSlackDoes(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	status, answer := post(t, s.HTTPURL()+"/slack/T0/B0/x", blockMessage)
	if status != 200 || answer != "ok" {
		t.Fatalf("answer %d %q, want 200 ok", status, answer)
	}
	m := await(t, s, anyMessage)
	if m.To != "#ops-alerts" || m.From != "OneVault Monitor" || m.Key != "n-1" || m.Severity != "CRITICAL" {
		t.Errorf("to %q, from %q, key %q, severity %q", m.To, m.From, m.Key, m.Severity)
	}
	if m.Subject != "CRITICAL pg-prod-3 High Connection Count" {
		t.Errorf("subject %q", m.Subject)
	}
	wantText := "High Connection Count\npg-prod-3 at 96 % > 80 %, see the runbook\nAlert\nA-7F3K\nAcknowledge\nOpen\nsince 03:12\nOlder form\nLag: 412s"
	if m.Text != wantText {
		t.Errorf("text %q, want %q", m.Text, wantText)
	}
	for _, want := range []string{
		"<h2>High Connection Count</h2>",
		`<b>pg-prod-3</b> at <code>96 %</code> &gt; 80 %, see <a href="https://wiki.test/a?b=1&amp;c=2">the runbook</a>`,
		`<span class="button primary">Acknowledge</span>`,
		`<a class="button " href="http://localhost:8233/">Open</a>`,
		"since <i>03:12</i>",
		"border-color: #e01e5a",
		"⚠️",
	} {
		if !strings.Contains(m.HTML, want) {
			t.Errorf("the HTML lacks %s", want)
		}
	}
}

func TestSlack_AcceptsTheFormToo(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	form := url.Values{"payload": {`{"text":"by form"}`}}.Encode()
	if status, answer := postAs(t, s.HTTPURL()+"/slack/ops", "application/x-www-form-urlencoded", form); status != 200 {
		t.Fatalf("answer %d %q", status, answer)
	}
	if m := await(t, s, anyMessage); m.Text != "by form" {
		t.Errorf("text %q", m.Text)
	}
}

func TestSlack_RefusesWhatSlackRefuses(t *testing.T) {
	t.Parallel()
	section := `{"type":"section","text":{"type":"mrkdwn","text":"%s"}}`
	long := fmt.Sprintf(section, strings.Repeat("x", slackMaxSection+1))
	many := strings.TrimSuffix(strings.Repeat(fmt.Sprintf(section, "x")+",", slackMaxBlocks+1), ",")
	for name, c := range map[string]struct{ body, answer string }{
		"no JSON":           {`text=hello`, "invalid_payload"},
		"wrong type":        {`{"text":{}}`, "invalid_payload"},
		"nothing to show":   {`{"channel":"#ops"}`, "no_text"},
		"too many blocks":   {`{"blocks":[` + many + `]}`, "invalid_blocks"},
		"section too long":  {`{"blocks":[` + long + `]}`, "invalid_blocks"},
		"section empty":     {`{"blocks":[{"type":"section"}]}`, "invalid_blocks"},
		"header in mrkdwn":  {`{"blocks":[{"type":"header","text":{"type":"mrkdwn","text":"x"}}]}`, "invalid_blocks"},
		"no buttons":        {`{"blocks":[{"type":"actions","elements":[]}]}`, "invalid_blocks"},
		"in an attachment":  {`{"attachments":[{"blocks":[{"type":"section"}]}]}`, "invalid_blocks"},
		"block of no type":  {`{"blocks":[{}]}`, "invalid_blocks"},
		"button text empty": {`{"blocks":[{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":""}}]}]}`, "invalid_blocks"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, Config{})
			if status, answer := post(t, s.HTTPURL()+"/slack/ops", c.body); status != 400 || answer != c.answer {
				t.Errorf("answer %d %q, want 400 %q", status, answer, c.answer)
			}
			if n := len(s.Messages()); n != 0 {
				t.Errorf("%d messages were received", n)
			}
			if tried := s.Attempts(); len(tried) != 1 || !tried[0].Refused || !strings.Contains(tried[0].Fault, c.answer) {
				t.Errorf("the refusal is not shown: %+v", tried)
			}
		})
	}
}

func TestMrkdwn(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"*bold* _it_ ~no~ `a*b*c`":         "<b>bold</b> <i>it</i> <s>no</s> <code>a*b*c</code>",
		"*a _b_ c*":                        "<b>a <i>b</i> c</b>",
		"*<https://x.test/a_b_c|the *x>*":  `<b><a href="https://x.test/a_b_c">the *x</a></b>`,
		"snake_case_name and 2*3*4":        "snake_case_name and 2*3*4",
		"* not bold *":                     "* not bold *",
		"a &lt;b&gt; &amp;amp; \"c\"":      "a &lt;b&gt; &amp;amp; &#34;c&#34;",
		"<!here> <@U1|dana> <#C1|ops>":     `<span class="mention">@here</span> <span class="mention">@dana</span> <span class="mention">#ops</span>`,
		"<!date^1^{date}|4 May>":           "4 May",
		"```\nSELECT *\n```after":          "<pre>SELECT *</pre>after",
		"``` open":                         "``` open",
		"one\n&gt; two\nthree\nfour":       "one<blockquote>two</blockquote>three<br>four",
		":fire: :nosuch:":                  "🔥 :nosuch:",
		"<javascript:alert(1)|click>":      "click",
		"<https://x.test/\"onclick=\"a|b>": `<a href="https://x.test/&#34;onclick=&#34;a">b</a>`,
		"<img src=x onerror=alert(1)>":     "img src=x onerror=alert(1)",
		"1 < 2 and <":                      "1 &lt; 2 and &lt;",
		"<https://x.test/?a=1&amp;b=2>":    `<a href="https://x.test/?a=1&amp;b=2">https://x.test/?a=1&amp;b=2</a>`,
		"*ünder* _ümlaut_x":                "<b>ünder</b> _ümlaut_x",
	} {
		if got := string(mrkdwn(in)); got != want {
			t.Errorf("mrkdwn(%q)\n got %s\nwant %s", in, got, want)
		}
	}
}
