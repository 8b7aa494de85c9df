package notify

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"onevault/alert"
)

var update = flag.Bool("update", false, "write the golden files of testdata instead of comparing with them")

// scenarios are the messages that people get, one golden file per format each.
func scenarios() map[string]Message {
	fired := firedMessage()

	escalated := firedMessage()
	escalated.Event, escalated.At = alert.EventEscalated, firedAt.Add(31*time.Minute)
	escalated.Alerts[0].Status, escalated.Alerts[0].Level = alert.StatusEscalated, 2
	escalated.PossibleDuplicate = true

	resolved := firedMessage()
	resolved.Event, resolved.At = alert.EventResolved, firedAt.Add(14*time.Minute+20*time.Second)
	resolved.Alerts[0].Status, resolved.Alerts[0].ResolvedAt = alert.StatusResolved, resolved.At
	resolved.Alerts[0].AcknowledgedBy, resolved.Alerts[0].ResolvedBy, resolved.Alerts[0].Notes = "dana", "dana", "killed the idle sessions of the report job"

	cleared := firedMessage()
	cleared.Event, cleared.At = alert.EventResolved, firedAt.Add(26*time.Hour+5*time.Minute)
	cleared.Alerts[0].Status, cleared.Alerts[0].ResolvedAt = alert.StatusResolved, cleared.At

	told := firedMessage()
	told.Definition.Name, told.Definition.Severity, told.Definition.Condition = "Unusual Metric", alert.SeverityLow, "anomalous_metric_count >= threshold_value"
	told.Definition.Threshold, told.Definition.Operator = ptr(1), ">="
	told.Alerts[0].Value, told.Alerts[0].Unit = ptr(1), ""
	told.Alerts[0].Reason = "transactions_per_s is 12 1/s, usually 164 1/s to 404 1/s at this hour, since 2026-05-04 02:00 UTC (score -13.6)"

	reopened := firedMessage()
	reopened.Event, reopened.At = alert.EventReopened, firedAt.Add(20*time.Minute)
	reopened.Alerts[0].Reopened, reopened.Alerts[0].ReopenedAt = 2, reopened.At

	flapping := firedMessage()
	flapping.Event, flapping.At = alert.EventFlapping, firedAt.Add(24*time.Minute)
	flapping.Alerts[0].Reopened, flapping.Alerts[0].ReopenedAt = 3, flapping.At
	flapping.Alerts[0].Flapping = &alert.Flapping{Since: flapping.At, Reason: "opened 4 times within 30 minutes"}

	test := Message{Key: "n/test/1", Event: alert.EventTest, At: firedAt}

	return map[string]Message{
		"fired": fired, "escalated": escalated, "resolved": resolved, "cleared": cleared,
		"batch": batch(23), "batch-resolved": batchResolved(), "told": told, "reopened": reopened, "flapping": flapping, "test": test, "hostile": hostile(),
	}
}

func batch(n int) Message {
	m := firedMessage()
	m.Definition.Name, m.Definition.Severity, m.Definition.Operator = "Table Bloat", alert.SeverityHigh, ">="
	m.Definition.Condition, m.Definition.Threshold = "table_bloat_percent >= 40", ptr(40)
	m.Definition.Description, m.Definition.RunbookURL = "", "wiki: Tables, chapter 4"
	m.Alerts = nil
	for i := range n {
		m.Alerts = append(m.Alerts, alert.Alert{
			Key: fmt.Sprint("bloat/", i), ShortID: fmt.Sprintf("A-%04X", 0x7f00+i), Target: "pg-prod-3", Status: alert.StatusOpen,
			Value: ptr(93.456 - float64(i)), Unit: "percent", TriggeredAt: firedAt.Add(time.Duration(i) * time.Second),
		})
	}
	return m
}

func batchResolved() Message {
	m := batch(3)
	m.Event = alert.EventResolved
	for i := range m.Alerts {
		m.Alerts[i].Status, m.Alerts[i].ResolvedAt = alert.StatusResolved, m.At
	}
	m.Alerts[1].ResolvedBy = "dana"
	return m
}

// hostile holds what must stay text in every format.
func hostile() Message {
	m := firedMessage()
	m.Definition.Name = "<script>alert(1)</script>\r\nBcc: x@y.z <!channel> & `rm` *b*"
	m.Definition.Condition = "a < b && c > \"d\""
	m.Definition.Description = "<img src=x onerror=1> <https://evil.example|click> \u202e\x00\xff"
	m.Definition.Runbook = "<!channel> <b>drop</b>\n& `rm -rf`"
	m.Definition.RunbookURL = "javascript:alert(1)"
	m.UIURL = "https://ui.example/a|b>c?d=<e>"
	m.Alerts[0].ShortID = "A-`7F3K`"
	m.Alerts[0].Unit = "<u>"
	return m
}

func TestMessages_MatchTheGoldenFiles(t *testing.T) {
	t.Parallel()
	for name, m := range scenarios() {
		p := newPage(m)
		text, err := p.plainText()
		if err != nil {
			t.Fatal(err)
		}
		html, err := p.html()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt", text)
		golden(t, name+".html", html)
		golden(t, name+".slack.json", indent(t, (&slackWebhook{cfg: slackConfig{channel: "#ops-alerts", user: "OneVault Monitor", emoji: ":warning:"}}).message(m)))
		golden(t, name+".webhook.json", indent(t, (&webhook{name: "WEBHOOK_OPS"}).body(m)))
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; if that is meant, run: go test ./notify -run Golden -update\n%s", path, got)
	}
}

func indent(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestMessages_SubjectSaysWhatAndWhere(t *testing.T) {
	t.Parallel()
	all := scenarios()
	for name, want := range map[string]string{
		"fired": "[CRITICAL] High Connection Count on pg-prod-3", "escalated": "[CRITICAL] Level 2: High Connection Count on pg-prod-3",
		"resolved": "[RESOLVED] High Connection Count on pg-prod-3", "batch": "[HIGH] Table Bloat on pg-prod-3 (23 alerts)",
		"test": "[TEST] Message from OneVault",
	} {
		if got := newPage(all[name]).Subject; got != want {
			t.Errorf("%s: subject %q, want %q", name, got, want)
		}
	}
}

func TestMessages_HostileTextStaysText(t *testing.T) {
	t.Parallel()
	p := newPage(hostile())
	if strings.ContainsAny(p.Subject, "\r\n\x00") {
		t.Errorf("subject %q holds control characters", p.Subject)
	}
	html, err := p.html()
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script", "<img", "javascript:\"", "href=\"javascript"} {
		if strings.Contains(html, bad) {
			t.Errorf("HTML holds %q", bad)
		}
	}
	message := indent(t, (&slackWebhook{}).message(hostile()))
	for _, bad := range []string{"<!channel>", "<script", "|click>", "`A-`"} {
		if strings.Contains(message, bad) {
			t.Errorf("Slack's message holds %q", bad)
		}
	}
}

// TestSlack_StaysWithinTheLimits fills every field far beyond what Slack takes.
func TestSlack_StaysWithinTheLimits(t *testing.T) {
	t.Parallel()
	m := batch(5000)
	long := strings.Repeat("<&>ä", 3000)
	m.Definition.Name, m.Definition.Description, m.Definition.Condition = long, long, long
	m.Definition.RunbookURL, m.UIURL = "https://a.example/"+long, "https://b.example/"+strings.Repeat("&", 3000)
	m.PossibleDuplicate = true
	for i := range m.Alerts {
		m.Alerts[i].ShortID, m.Alerts[i].Unit = long, long
	}
	message := (&slackWebhook{}).message(m)
	if n := len(message.Blocks.BlockSet); n > maxSlackBlocks {
		t.Errorf("%d blocks, limit %d", n, maxSlackBlocks)
	}
	within := func(what string, text *slack.TextBlockObject, limit int) {
		if text == nil {
			return
		}
		if n := utf8.RuneCountInString(text.Text); n > limit || n == 0 {
			t.Errorf("%s has %d characters, limit %d", what, n, limit)
		}
	}
	for _, block := range message.Blocks.BlockSet {
		switch b := block.(type) {
		case *slack.HeaderBlock:
			within("header", b.Text, maxSlackHeader)
		case *slack.SectionBlock:
			within("section", b.Text, maxSlackSection)
			if len(b.Fields) > maxSlackFields {
				t.Errorf("%d fields, limit %d", len(b.Fields), maxSlackFields)
			}
			for _, f := range b.Fields {
				within("field", f, maxSlackField)
			}
		}
	}
}

func TestSlackEscape_NeverCutsAnEscapeInTwo(t *testing.T) {
	t.Parallel()
	for limit := 1; limit < 12; limit++ {
		got := slackEscape("a&b<c>d", limit)
		if n := utf8.RuneCountInString(got); n > limit {
			t.Errorf("limit %d gives %d characters: %q", limit, n, got)
		}
		if rest := strings.NewReplacer("&amp;", "", "&lt;", "", "&gt;", "").Replace(got); strings.Contains(rest, "&") {
			t.Errorf("limit %d cuts an escape in two: %q", limit, got)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value float64
		unit  string
		want  string
	}{
		{187, "count", "187"},
		{187, "", "187"},
		{93.456, "percent", "93.46%"},
		{412, "seconds", "412s"},
		{0, "%", "0%"},
		{100, "%", "100%"},
		{1536, "bytes", "1.5 KiB"},
		{3 << 40, "bytes", "3 TiB"},
		{5, "connections", "5 connections"},
		{0.0004, "ratio", "0.0004"},
		{-2.5, "s", "-2.5s"},
		{1e6, "", "1000000"},
	} {
		if got := number(&c.value, c.unit); got != c.want {
			t.Errorf("number(%v, %q) = %q, want %q", c.value, c.unit, got, c.want)
		}
	}
	if got := number(nil, "s"); got != "" {
		t.Errorf("number(nil) = %q, want nothing", got)
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", -time.Minute: "0s", 42 * time.Second: "42s", 6 * time.Minute: "6m", 6*time.Minute + 10*time.Second: "6m 10s",
		3*time.Hour + 5*time.Minute + 9*time.Second: "3h 5m", 2*24*time.Hour + 9*time.Second: "2d", time.Hour + 5*time.Second: "1h",
		52 * time.Hour: "2d 4h", 1499 * time.Millisecond: "1s",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestClip_KeepsTheLedgersLimitAndWholeCharacters(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"short", strings.Repeat("ä", maxContent), strings.Repeat("a", maxContent), strings.Repeat("a", maxContent+1)} {
		got := clip(s)
		if len(got) > maxContent || !utf8.ValidString(got) {
			t.Errorf("clip gives %d bytes, valid %v", len(got), utf8.ValidString(got))
		}
		if (len(s) > maxContent) != strings.HasSuffix(got, "[cut]") {
			t.Errorf("clip of %d bytes: the mark is wrong", len(s))
		}
	}
}
