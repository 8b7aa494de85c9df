package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/settings"
)

// browser is a headless Chromium, steered over its DevTools protocol: JSON, with a zero byte after each message,
// over two pipes that it has as its file descriptors 3 and 4.
type browser struct {
	t       *testing.T
	to      *os.File
	from    *bufio.Reader
	session string
	last    int
}

// openBrowser shows a page. A machine without Chromium skips the test.
func openBrowser(t *testing.T, address string) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium on this machine: what people press in the inbox is not tried")
	}
	toRead, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, toWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	// It runs in no sandbox of its own, because the tests may run as root, and it sees no page but ours.
	cmd := exec.CommandContext(ctx, path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--window-size=1100,2400", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "about:blank")
	cmd.ExtraFiles = []*os.File{toRead, toWrite}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = toRead.Close(), toWrite.Close() // they are the browser's now
	b := &browser{t: t, to: to, from: bufio.NewReader(from)}
	t.Cleanup(func() {
		b.call("Browser.close", nil, nil)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the browser ended with %v", err)
		}
		end()
		_, _ = to.Close(), from.Close()
	})
	// A browser that says nothing must not hold the tests for ever.
	if err := from.SetReadDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	var target struct{ TargetID, SessionID string }
	b.call("Target.createTarget", map[string]any{"url": address}, &target)
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &target)
	b.session = target.SessionID
	return b
}

// call makes one call of the protocol and waits for its answer; events in between are left out.
func (b *browser) call(method string, params map[string]any, result any) {
	b.t.Helper()
	b.last++
	request := map[string]any{"id": b.last, "method": method, "params": params}
	if params == nil {
		request["params"] = map[string]any{}
	}
	if b.session != "" && method != "Browser.close" {
		request["sessionId"] = b.session
	}
	text, err := json.Marshal(request)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		b.t.Fatalf("tell the browser: %v", err)
	}
	for {
		text, err := b.from.ReadBytes(0)
		if err != nil {
			b.t.Fatalf("hear the browser: %v", err)
		}
		var answer struct {
			ID     int
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if err := json.Unmarshal(text[:len(text)-1], &answer); err != nil {
			b.t.Fatalf("the browser says %s: %v", text, err)
		}
		switch {
		case answer.ID != b.last:
			continue
		case answer.Error != nil:
			b.t.Fatalf("%s: %s", method, answer.Error.Message)
		case result != nil:
			if err := json.Unmarshal(answer.Result, result); err != nil {
				b.t.Fatal(err)
			}
		}
		return
	}
}

// eval runs an expression in the page and returns its text.
func (b *browser) eval(expression string) string {
	b.t.Helper()
	var answer struct {
		Result           struct{ Value any }
		ExceptionDetails any
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &answer)
	if answer.ExceptionDetails != nil {
		b.t.Fatalf("%s: %v", expression, answer.ExceptionDetails)
	}
	return fmt.Sprint(answer.Result.Value)
}

// sqlOneEach makes a definition for each channel of the development start; all of them are true at once.
var sqlOneEach = []string{
	`INSERT INTO monitoring.condition_identifier (metric_source, identifier, description)
	 VALUES ('system_health', 'pressed_level', 'Level of ' || $1::text[]::text)`,
	`SELECT count(r.*), $1::text[] FROM monitoring.record_health_samples('local', NULL, clock_timestamp(), 5, jsonb_build_array(jsonb_build_object(
	    'name', 'pressed_level', 'category', 'PERFORMANCE', 'low_is_bad', false, 'source', 'browser', 'value', 1))) AS r`,
	`INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk)
	 SELECT util.hash_binary('PRESS_' || kind), 'PRESS_' || kind FROM unnest($1::text[]) AS kind`,
	`INSERT INTO monitoring.alert_definition_s (
	    alert_definition_hk, hash_diff, alert_name, alert_category, alert_severity, metric_source, condition_logic,
	    threshold_value, threshold_operator, evaluation_frequency_minutes, auto_resolve, escalation_enabled,
	    escalation_delay_minutes, suppression_window_minutes, notification_channels, lookback_minutes)
	 SELECT util.hash_binary('PRESS_' || kind), '\x', 'Press ' || kind, 'PERFORMANCE', 'HIGH', 'system_health',
	        'pressed_level >= threshold_value', 1, '>=', 1, true, false, 1, 0, ARRAY['DEV_' || kind], 60
	   FROM unnest($1::text[]) AS kind`,
}

func TestInbox_EveryChannelCanBePressedInABrowser(t *testing.T) {
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("there is no chromium on this machine: what people press in the inbox is not tried")
	}
	t.Parallel()
	kinds := []string{"EMAIL", "SLACK", "SMS", "VOICE", "PAGERDUTY", "WEBHOOK"}
	dir := dataDirectory(t)
	launch(t, dir)
	at := addresses(t, dir)
	conn, err := pgx.Connect(t.Context(), at[settings.DatabaseURL])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, sql := range sqlOneEach {
		if _, err := conn.Exec(t.Context(), sql, kinds); err != nil {
			t.Fatal(err)
		}
	}

	b := openBrowser(t, at[settings.InboxURL])
	press := map[string]string{
		"SLACK": `[...c.querySelectorAll(".actions button")].find(b => b.textContent === "Acknowledge")`, "PAGERDUTY": `c.querySelector("[data-action=acknowledge]")`,
		"SMS": `c.querySelector("[data-action=reply]")`, "VOICE": `c.querySelector("[data-action='key-4']")`, "WEBHOOK": `c.querySelector("[data-action=acknowledge]")`,
		"EMAIL": `[...c.querySelector("iframe").contentDocument.querySelectorAll("a")].find(a => a.textContent.trim() === "Acknowledge")`,
	}
	for _, kind := range kinds {
		// The card is searched by what it is about: other alerts of the start may be told as well.
		card := fmt.Sprintf(`[...document.querySelectorAll(".card[data-channel=%s]")].find(c => c.textContent.includes("Press %[1]s") || c.querySelector("iframe")?.srcdoc.includes("Press %[1]s"))`, kind)
		b.await(kind+" can be pressed", `(() => { const c = `+card+`; c?.scrollIntoView(); return Boolean(c && `+press[kind]+`); })()`)
		if kind == "EMAIL" { // the link leads to a page that asks, whose button does it
			link := b.eval(`(() => { const c = ` + card + `; return ` + press[kind] + `.href; })()`)
			mail := openBrowser(t, link)
			mail.await("the page of the link", `Boolean(document.querySelector("form button"))`)
			mail.eval(`document.querySelector("form button").click()`)
			mail.await("the link was pressed", `document.body.textContent.includes("Paging stops")`)
			continue
		}
		b.eval(`(() => { const c = ` + card + `; ` + press[kind] + `.click(); })()`)
		if kind != "SLACK" {
			b.await("the answer below "+kind, `Boolean((`+card+`).querySelector(".thread .reply"))`)
		}
	}
	for _, kind := range kinds {
		var status, actor, via string
		deadline := time.Now().Add(time.Minute)
		for status != "ACKNOWLEDGED" && time.Now().Before(deadline) {
			err := conn.QueryRow(t.Context(), `
				SELECT s.alert_status, coalesce(s.acknowledged_by, ''), coalesce(s.changed_via, '')
				  FROM monitoring.alert_instance_h h JOIN monitoring.alert_instance_s s USING (alert_instance_hk)
				 WHERE h.alert_definition_hk = util.hash_binary('PRESS_' || $1) AND s.load_end_date IS NULL`, kind).Scan(&status, &actor, &via)
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Logf("%s: %s by %q via %s", kind, status, actor, via)
		if status != "ACKNOWLEDGED" || actor == "" || via == "" {
			t.Errorf("%s: the alert is %s by %q via %q", kind, status, actor, via)
		}
	}
	// The inbox sends Twilio's receipts, too: a call's last one when it was hung up.
	const sqlConfirmed = `
		SELECT count(DISTINCT channel) FROM monitoring.notification_delivery
		 WHERE channel_type IN ('SMS', 'VOICE') AND event = 'FIRED' AND certainty = 'CONFIRMED' AND receipt_provider = 'TWILIO'`
	confirmed := 0
	for deadline := time.Now().Add(time.Minute); confirmed < 2 && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if err := conn.QueryRow(t.Context(), sqlConfirmed).Scan(&confirmed); err != nil {
			t.Fatal(err)
		}
	}
	if confirmed != 2 {
		t.Errorf("Twilio's receipts confirm the deliveries of %d channels, want those of SMS and VOICE", confirmed)
	}
	if picture := os.Getenv("ONEVAULT_SCREENSHOT"); picture != "" {
		b.screenshot(picture)
	}
}

func (b *browser) await(what, expression string) {
	b.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if b.eval(expression) == "true" {
			return
		}
	}
	b.t.Fatalf("%s: not within two minutes; the page says\n%s", what, b.eval(`document.body.innerText`))
}

// screenshot is for whoever wants to look: ONEVAULT_SCREENSHOT names the file.
func (b *browser) screenshot(file string) {
	b.t.Helper()
	var picture struct{ Data []byte }
	b.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &picture)
	if err := os.WriteFile(file, picture.Data, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
