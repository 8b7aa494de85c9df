package notify

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"onevault/alert"
)

func withTemplates(kind Type, configuration, templates string) Config {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(configuration), &fields); err != nil {
		panic(err)
	}
	fields["templates"] = json.RawMessage(templates)
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return row(kind, string(text))
}

const (
	incoming  = `{"webhook_url":"https://hooks.slack.com/services/x"}`
	appOfTest = `{"bot_token_env":"SLACK_BOT_TOKEN","channel":"C0123456789"}`
)

func TestTemplates_ReplaceSubjectAndText(t *testing.T) {
	t.Parallel()
	templates := `{"subject": "{{.Severity}}: {{.Title}} @ {{.Target}}",
		"text": ["{{.Value}} of {{.Threshold}}", "{{range .Alerts}}{{.ID}} {{.Status}} {{end}}"],
		"events": {"RESOLVED": {"subject": "over: {{.Title}}"}}}`
	for _, c := range []struct {
		event alert.Event
		says  []string
	}{
		{alert.EventFired, []string{"CRITICAL: High Connection Count @ pg-prod-3", "187 of > 150", "A-7F3K OPEN"}},
		{alert.EventResolved, []string{"over: High Connection Count", "A-7F3K RESOLVED"}},
	} {
		m := Sample(c.event)
		for _, cfg := range []Config{
			withTemplates(TypeEmail, guideEmail, templates), withTemplates(TypeWebhook, `{"url":"https://example.com/a","unsigned":true}`, templates),
			withTemplates(TypeSlack, incoming, templates), withTemplates(TypeSlack, appOfTest, templates),
		} {
			if found := fmt.Sprint(Lint(cfg)); strings.Contains(found, "templates") {
				t.Errorf("Lint(%s) = %s", cfg.Type, found)
			}
			text, err := Preview(cfg, m)
			if err != nil {
				t.Fatal(err)
			}
			text = strings.ReplaceAll(strings.ReplaceAll(text, "&gt;", ">"), `\u003e`, ">")
			for i, want := range c.says {
				if cfg.Type == TypeWebhook && i > 0 {
					continue // machines read the facts; only the summary is in words
				}
				if !strings.Contains(text, want) {
					t.Errorf("%s of %s lacks %q: %s", c.event, cfg.Type, want, text)
				}
			}
		}
	}
}

func TestTemplates_AreSent(t *testing.T) {
	t.Parallel()
	fake := &fakeSlack{}
	cfg := withTemplates(TypeSlack, appOfTest, `{"subject": "mine: {{.Title}} <!channel>"}`)
	cfg.Configuration = json.RawMessage(strings.Replace(string(cfg.Configuration), `"channel"`, `"api_base_url":"`+newFakeHTTP(t, false, fake.serve).URL+`/api","channel"`, 1))
	channel := mustOpen(t, cfg, botOptions(nil))
	if _, ok := As[Follower](channel); !ok {
		t.Error("a channel with templates does not tell in place any more")
	}
	send(t, channel, firedMessage())
	if messages, _ := fake.seen(); messages[0].text != "mine: High Connection Count &lt;!channel&gt;" {
		t.Errorf("sent %q, want the channel's own words, as text", messages[0].text)
	}
	if _, ok := As[Mailer](mustOpen(t, withTemplates(TypeEmail, guideEmail, `{"subject": "x"}`), testOptions(nil))); !ok {
		t.Error("an e-mail channel with templates carries no report any more")
	}
	if shown := fmt.Sprintf("%v %#v %+v", channel, channel, channel); strings.Contains(shown, botToken) {
		t.Errorf("the token is shown: %s", shown)
	}
}

func TestTemplates_MakeNoMarkup(t *testing.T) {
	t.Parallel()
	m := Sample(alert.EventFired)
	m.Definition.Name = "<b>&"
	p := withWords(t, `{"subject": "<i>{{.Title}}", "text": "<script>{{.Title}}"}`).apply(newPage(m), m)
	html, err := p.html()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(html, "<script>") || strings.Contains(html, "<i>") || !strings.Contains(html, "&lt;script&gt;&lt;b&gt;&amp;") {
		t.Errorf("a template made markup: %s", html)
	}
}

func withWords(t *testing.T, templates string) *wording {
	t.Helper()
	f := parseFields(withTemplates(TypeSlack, incoming, templates))
	w := parseWording(f)
	if err := f.err(); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestTemplates_AreRefusedWhenTheyAreWritten: what would fail, run on, or read what it must not.
func TestTemplates_AreRefusedWhenTheyAreWritten(t *testing.T) {
	t.Parallel()
	quoted := func(source string) string {
		text, err := json.Marshal(source)
		if err != nil {
			t.Fatal(err)
		}
		return `{"text": ` + string(text) + `}`
	}
	for _, c := range []struct{ name, templates, says string }{
		{"no object", `"x"`, "templates"},
		{"unknown field", `{"titel": "x"}`, "titel"},
		{"unknown event", `{"events": {"LAUNCHED": {"subject": "x"}}}`, `"LAUNCHED" is no event`},
		{"syntax", `{"subject": "{{.Title"}`, "unclosed action"},
		{"misspelt name", `{"subject": "{{.Titel}}"}`, "Titel"},
		{"misspelt name in an event alone", `{"events": {"RESOLVED": {"text": ["{{.Resolver}}"]}}}`, "RESOLVED"},
		{"misspelt name behind a condition of one event", quoted(`x{{if eq .Event "FLAPPING"}}{{.Flaps}}{{end}}`), "FLAPPING"},
		{"the environment", quoted(`{{env "HOME"}}`), `"env" not defined`},
		{"a call", quoted(`{{call .Title}}`), "call is not allowed"},
		{"empty subject", `{"subject": "{{if eq .Event \"RESOLVED\"}}over{{end}}"}`, "subject is empty"},
		{"recursion", quoted(`{{define "a"}}{{template "a"}}{{end}}{{template "a"}}`), "define and block are not allowed"},
		{"block", quoted(`{{block "a" .}}x{{end}}`), "not allowed"},
		{"a range over a number", quoted(`{{range 1000000000}}{{end}}x`), "only the alerts"},
		{"a range over a count", quoted(`{{range .Count}}{{end}}x`), "only the alerts"},
		{"ranges in ranges", quoted(`{{range .Alerts}}{{range $.Alerts}}{{range $.Alerts}}x{{end}}{{end}}{{end}}`), "within each other"},
		{"a width", quoted(`{{printf "%1000000d" 1}}`), "width"},
		{"a width by an argument", quoted(`{{printf "%*d" 1000000 1}}`), "width"},
		{"doubling by index", quoted(`{{printf "%[1]s%[1]s" "x"}}`), "[n]"},
		{"doubling by variables", quoted(`{{$x := "0123456789"}}` + strings.Repeat(`{{$x = print $x $x}}`, 60) + `{{$x}}`), "more than 16 KiB"},
		{"doubling by quotes", quoted(`{{"\\"` + strings.Repeat(`|js`, 60) + `}}`), "more than 16 KiB"},
		{"doubling by the dot", quoted(strings.Repeat(`{{with print . .}}`, 60) + strings.Repeat(`{{end}}`, 60)), "more than 16 KiB"},
		{"too much output", quoted(`{{range .Alerts}}{{range $.Alerts}}` + strings.Repeat("x", 200) + `{{end}}{{end}}`), "more than 16 KiB"},
		{"too long", quoted(strings.Repeat("x", maxTemplate+1)), "4097 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			cfg := withTemplates(TypeSlack, incoming, c.templates)
			found := fmt.Sprint(Lint(cfg))
			if !strings.Contains(found, "templates") || !strings.Contains(found, c.says) {
				t.Errorf("Lint = %s, want %q", found, c.says)
			}
			if _, err := Preview(cfg, Sample(alert.EventFired)); err == nil {
				t.Error("Preview shows it")
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("that took %v", took)
			}
		})
	}
}

// A row that came past every check still pages, in our words, and says why.
func TestTemplates_ThatCannotBeUsedStillPage(t *testing.T) {
	t.Parallel()
	fake := newFakeHTTP(t, false, answer(200, "ok"))
	cfg := withTemplates(TypeSlack, `{"webhook_url":"`+fake.URL+`/x"}`, `{"subject": "{{.Titel}}"}`)
	r := mustOpen(t, cfg, testOptions(nil)).Send(t.Context(), "", firedMessage())
	if r.Class != Accepted || !strings.Contains(r.Content, "[CRITICAL] High Connection Count on pg-prod-3") || !strings.Contains(r.Content, "templates cannot be used") {
		t.Errorf("receipt %+v, want our words and why", r)
	}
}
