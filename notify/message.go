package notify

import (
	"bytes"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"math"
	"net/url"
	"strconv"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode/utf8"

	"onevault/alert"
)

const (
	// maxListed is how many alerts of a batch a person is shown by name.
	maxListed = 20
	// maxContent is how much of a sent message the ledger keeps.
	maxContent = 4 << 10
	// maxField bounds what one value of a definition or a note may take of a message, in runes.
	maxField = 600
)

//go:embed templates
var templateFiles embed.FS

var (
	mailText = texttemplate.Must(texttemplate.ParseFS(templateFiles, "templates/mail.txt.tmpl"))
	mailHTML = htmltemplate.Must(htmltemplate.ParseFS(templateFiles, "templates/mail.html.tmpl"))
)

// page is a message as a person reads it, before any format: every channel shows the same facts in the
// same words. All strings are single lines without markup.
type page struct {
	Subject string // [CRITICAL] High Connection Count on pg-prod-3
	Badge   string // CRITICAL, RESOLVED or TEST
	Color   string // of the badge, #rrggbb
	Emoji   string // Slack's name of a circle in that colour
	Title   string // High Connection Count
	Target  string
	Lede    string   // what happened, one or two sentences
	More    []string // further lines, of a channel's own templates
	Facts   []fact
	Listed  []listedAlert // of a batch, the worst first
	Hidden  int           // how many more there are
	Digest  bool          // the alerts are of any definitions, and their values say which
	Command string        // to acknowledge; empty when nothing is to be acknowledged
	Answers []Answer      // buttons that answer
	Links   []link
	Runbook string   // what to look at and to do, for who is woken; empty when nothing was written
	Hints   []string // test and duplicate notes
}

type fact struct{ Label, Value string }

type link struct{ Label, URL string }

type listedAlert struct{ ShortID, Status, Value, When string }

// newPage says in words what m holds. It reads no clock: ages count up to m.At.
func newPage(m Message) page {
	if m.Event == alert.EventDigest {
		return digestPage(m)
	}
	p := page{
		Title:  oneLine(m.Definition.Name, 150),
		Target: oneLine(m.Target, 100),
		Badge:  badge(m),
	}
	p.Color, p.Emoji = colors(p.Badge)
	if p.Title == "" {
		p.Title = "OneVault"
	}
	p.Lede = lede(m, p)
	p.Facts = facts(m)
	p.Subject = subject(m, p)
	if len(m.Alerts) > 1 {
		p.Listed, p.Hidden = listAlerts(m)
	}
	if len(m.Alerts) > 0 && asksForAnswer(m.Event) {
		p.Command = "onevault alert ack " + oneLine(m.Alerts[0].ShortID, 40)
	}
	p.Runbook = runbook(m)
	p.Answers = m.Answers
	p.Links = links(m)
	p.Hints = hints(m)
	if m.Storm != nil {
		p = stormPage(p, m)
	}
	return m.words.apply(p, m)
}

// asksForAnswer reports whether an event wants somebody to act.
func asksForAnswer(event alert.Event) bool {
	switch event {
	case alert.EventFired, alert.EventEscalated, alert.EventReopened, alert.EventFlapping, alert.EventUnanswered:
		return true
	case alert.EventResolved, alert.EventTest, alert.EventSilenceEnding, alert.EventAcknowledged, alert.EventDigest:
	}
	return false
}

func badge(m Message) string {
	switch m.Event {
	case alert.EventResolved:
		return "RESOLVED"
	case alert.EventTest:
		return "TEST"
	case alert.EventSilenceEnding:
		return "REMINDER"
	case alert.EventAcknowledged:
		return "ACKNOWLEDGED"
	case alert.EventFired, alert.EventEscalated, alert.EventReopened, alert.EventFlapping, alert.EventUnanswered, alert.EventDigest:
	}
	return oneLine(string(m.Definition.Severity), 20)
}

func colors(badge string) (color, emoji string) {
	switch badge {
	case string(alert.SeverityCritical):
		return "#b42318", ":red_circle:"
	case string(alert.SeverityHigh):
		return "#c2570c", ":large_orange_circle:"
	case string(alert.SeverityMedium):
		return "#946200", ":large_yellow_circle:"
	case "RESOLVED":
		return "#23744a", ":large_green_circle:"
	}
	return "#475467", ":large_blue_circle:"
}

func subject(m Message, p page) string {
	what := p.Title
	if p.Target != "" {
		what += " on " + p.Target
	}
	what += about(m)
	switch {
	case m.Event == alert.EventTest && m.Definition.Name == "":
		what = "Message from OneVault"
	case m.Event == alert.EventEscalated:
		what = fmt.Sprintf("Level %d: %s", level(m), what)
	case m.Event == alert.EventReopened:
		what = "Again: " + what
	case m.Event == alert.EventFlapping:
		what = "Flapping: " + what
	case m.Event == alert.EventUnanswered:
		what = "Unanswered again: " + what
	}
	if n := len(m.Alerts); n > 1 {
		what += fmt.Sprintf(" (%d alerts)", n)
	}
	return "[" + p.Badge + "] " + what
}

func level(m Message) int {
	highest := 0
	for _, a := range m.Alerts {
		highest = max(highest, a.Level)
	}
	return highest
}

func lede(m Message, p page) string {
	on := p.Title
	if p.Target != "" {
		on += " on " + p.Target
	}
	on += about(m)
	switch m.Event {
	case alert.EventTest:
		return "This is a test of this notification channel. Nothing is wrong and nobody needs to act."
	case alert.EventEscalated:
		return fmt.Sprintf("Nobody has acknowledged %s for %s. This is escalation level %d.", on, span(m.At.Sub(since(m))), level(m))
	case alert.EventUnanswered:
		return unansweredLede(m, on)
	case alert.EventResolved:
		return resolvedLede(m, on)
	case alert.EventSilenceEnding:
		return fmt.Sprintf("%s. %s will then be told to this channel, unless somebody answers or the silence is extended.", p.Title, counted(len(m.Alerts)))
	case alert.EventReopened:
		return reopenedLede(m, on)
	case alert.EventFlapping:
		return flappingLede(m, on)
	case alert.EventAcknowledged:
		return acknowledgedLede(m, on)
	case alert.EventFired, alert.EventDigest: // a digest has a page of its own
	}
	if len(m.Alerts) > 1 {
		return fmt.Sprintf("%s: %d alerts fired.", on, len(m.Alerts))
	}
	if len(m.Alerts) == 1 {
		if value := reading(m.Definition, m.Alerts[0]); value != "" {
			return on + " fired: " + value + "."
		}
	}
	return on + " fired."
}

// unansweredLede says why people hear of it again, where all alerts have the same reason.
func unansweredLede(m Message, on string) string {
	text := fmt.Sprintf("%s asks for somebody again, %s after it fired", on, span(m.At.Sub(since(m))))
	if len(m.Alerts) == 1 && m.Alerts[0].Notes != "" {
		return text + ": " + oneLine(m.Alerts[0].Notes, maxField) + "."
	}
	return text + "."
}

func counted(alerts int) string {
	switch {
	case alerts == 1:
		return "One open alert"
	case alerts >= 100:
		return "100 or more open alerts" // no more are read
	}
	return fmt.Sprintf("%d open alerts", alerts)
}

// reopenedLede says that this is the alert which people were told was over.
func reopenedLede(m Message, on string) string {
	if len(m.Alerts) != 1 {
		return fmt.Sprintf("%s: %d alerts that had cleared fired again; they go on.", on, len(m.Alerts))
	}
	text := on + " had cleared and fired again"
	if value := reading(m.Definition, m.Alerts[0]); value != "" {
		text += ": " + value
	}
	if n := m.Alerts[0].Reopened; n > 1 {
		return fmt.Sprintf("%s. It is the same alert, opened again for the %s time.", text, ordinal(n))
	}
	return text + ". It is the same alert, opened again."
}

// flappingLede says why nobody will be told each time from now on.
func flappingLede(m Message, on string) string {
	if len(m.Alerts) != 1 || m.Alerts[0].Flapping == nil {
		return fmt.Sprintf("%s is flapping: %d alerts come and go. They stay open until they are stable; you are not told each time.", on, len(m.Alerts))
	}
	text := on + " is flapping: it " + oneLine(m.Alerts[0].Flapping.Reason, 200)
	if value := reading(m.Definition, m.Alerts[0]); value != "" {
		text += ", now " + value
	}
	return text + ". It stays open until it is stable; you are not told each time."
}

func ordinal(n int) string {
	suffix := "th"
	switch {
	case n%100 >= 11 && n%100 <= 13:
	case n%10 == 1:
		suffix = "st"
	case n%10 == 2:
		suffix = "nd"
	case n%10 == 3:
		suffix = "rd"
	}
	return strconv.Itoa(n) + suffix
}

// reading is a value beside its threshold; empty without a value.
func reading(d alert.Definition, a alert.Alert) string {
	value := number(a.Value, a.Unit)
	if t := threshold(d, a.Unit); t != "" && value != "" {
		value += " (threshold " + t + ")"
	}
	return value
}

func resolvedLede(m Message, on string) string {
	if len(m.Alerts) == 0 {
		return on + " is over."
	}
	how := resolution(m.Alerts[0])
	for _, a := range m.Alerts {
		if resolution(a) != how {
			how = "see the list"
			break
		}
	}
	if len(m.Alerts) > 1 {
		return fmt.Sprintf("%s: %d alerts are over (%s).", on, len(m.Alerts), how)
	}
	return fmt.Sprintf("%s is over after %s: %s.", on, span(lasted(m.Alerts[0], m.At)), how)
}

// acknowledgedLede says who has taken it on.
func acknowledgedLede(m Message, on string) string {
	by := ""
	if len(m.Alerts) > 0 && m.Alerts[0].AcknowledgedBy != "" {
		by = " by " + oneLine(m.Alerts[0].AcknowledgedBy, 100)
	}
	return on + " is acknowledged" + by + "."
}

// resolution says how an alert ended. The machine's own names read as what happened.
func resolution(a alert.Alert) string {
	if a.FalsePositive {
		return "called a false positive by " + oneLine(a.ResolvedBy, 100)
	}
	if a.ResolvedBy == "" || a.ResolvedBy == alert.ActorCondition {
		return "the condition cleared"
	}
	return "resolved by " + oneLine(a.ResolvedBy, 100)
}

func lasted(a alert.Alert, now time.Time) time.Duration {
	if a.ResolvedAt.IsZero() {
		return now.Sub(a.TriggeredAt)
	}
	return a.ResolvedAt.Sub(a.TriggeredAt)
}

// since is when the oldest alert of the message fired; m.At when there is none.
func since(m Message) time.Time {
	oldest := m.At
	for _, a := range m.Alerts {
		if a.TriggeredAt.Before(oldest) {
			oldest = a.TriggeredAt
		}
	}
	return oldest
}

func facts(m Message) []fact {
	var out []fact
	add := func(label, value string) {
		if value = oneLine(value, maxField); value != "" {
			out = append(out, fact{label, value})
		}
	}
	if m.Event != alert.EventTest || len(m.Alerts) > 0 {
		add("Severity", string(m.Definition.Severity))
	}
	if len(m.Alerts) > 0 {
		alertFacts(m, add)
	} else {
		add("Sent", clock(m.At))
	}
	add("Condition", m.Definition.Condition)
	add("About", m.Definition.Description)
	return out
}

func alertFacts(m Message, add func(label, value string)) {
	worst := m.Alerts[0]
	label := "Value"
	if len(m.Alerts) > 1 {
		label = "Worst value"
	}
	add(label, reading(m.Definition, worst))
	add("Because", worst.Reason)
	if m.Event == alert.EventResolved {
		add("Lasted", period(m))
	} else {
		add("Since", fmt.Sprintf("%s (%s)", clock(since(m)), span(m.At.Sub(since(m)))))
	}
	if !worst.ReopenedAt.IsZero() && len(m.Alerts) == 1 {
		add("Opened again", clock(worst.ReopenedAt))
	}
	if n := level(m); n > 0 {
		add("Level", strconv.Itoa(n))
	}
	if len(m.Alerts) > 1 {
		add("Alerts", strconv.Itoa(len(m.Alerts)))
		return
	}
	add("Alert", worst.ShortID)
	add("Acknowledged by", worst.AcknowledgedBy)
	add("Note", worst.Notes)
}

func period(m Message) string {
	from, to := since(m), time.Time{}
	for _, a := range m.Alerts {
		if a.ResolvedAt.After(to) {
			to = a.ResolvedAt
		}
	}
	if to.IsZero() {
		to = m.At
	}
	return fmt.Sprintf("%s (%s to %s)", span(to.Sub(from)), clock(from), clock(to))
}

func listAlerts(m Message) (listed []listedAlert, hidden int) {
	for _, a := range m.Alerts[:min(len(m.Alerts), maxListed)] {
		row := listedAlert{ShortID: oneLine(a.ShortID, 40), Status: oneLine(string(a.Status), 20), Value: number(a.Value, a.Unit)}
		if a.Status == alert.StatusResolved {
			row.When = "lasted " + span(lasted(a, m.At)) + ", " + resolution(a)
		} else {
			row.When = "for " + span(m.At.Sub(a.TriggeredAt))
		}
		if set := labelSet(a); set != "" {
			row.When = set + ", " + row.When
		}
		listed = append(listed, row)
	}
	return listed, len(m.Alerts) - len(listed)
}

func links(m Message) []link {
	var out []link
	if u := runbookURL(m); u != "" {
		out = append(out, link{"Runbook", u})
	}
	if u := webURL(m.UIURL); u != "" {
		out = append(out, link{"Workflow", u})
	}
	return out
}

// runbook is the line of the definition. An address that is no web address cannot be a link, but is worth
// reading.
func runbook(m Message) string {
	line := m.Definition.Runbook
	if runbookURL(m) == "" {
		line = strings.TrimSpace(line + " " + m.Definition.RunbookURL)
	}
	return oneLine(line, maxField)
}

func runbookURL(m Message) string { return webURL(m.Definition.RunbookURL) }

// webURL returns s when it is an absolute web address, in its escaped form, otherwise nothing: a link
// with any other scheme does not belong into a message that people click at night.
func webURL(s string) string {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return ""
	}
	return strings.NewReplacer("|", "%7C", "<", "%3C", ">", "%3E", " ", "%20").Replace(u.String())
}

// maxNote bounds Message.Note, which may hold a provider's words.
const maxNote = 300

func hints(m Message) []string {
	var out []string
	if m.Event == alert.EventTest && len(m.Alerts) > 0 {
		out = append(out, "This is a test: the alert shown is an example.")
	}
	if m.Note != "" {
		out = append(out, oneLine(m.Note, maxNote))
	}
	if m.PossibleDuplicate {
		out = append(out, "This may be a duplicate: an earlier attempt ended without an answer.")
	}
	return out
}

// number prints a value with its unit as people write it: 187, 93.5%, 412s, 1.5 GiB. Empty without value.
func number(value *float64, unit string) string {
	if value == nil {
		return ""
	}
	v := *value
	switch strings.ToLower(unit) {
	case "%", "percent", "percentage":
		return decimal(v) + "%"
	case "s", "seconds", "second":
		return decimal(v) + "s"
	case "ms", "milliseconds":
		return decimal(v) + "ms"
	case "bytes", "byte", "b":
		return bytesText(v)
	case "", "count", "ratio", "boolean", "bool":
		return decimal(v)
	}
	return decimal(v) + " " + oneLine(unit, 20)
}

// decimal prints at most two decimals, but never turns a small value into 0.
func decimal(v float64) string {
	if v != 0 && math.Abs(v) < 0.01 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	text := strconv.FormatFloat(v, 'f', 2, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

func bytesText(v float64) string {
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if math.Abs(v) < 1024 {
			return decimal(v) + " " + unit
		}
		v /= 1024
	}
	return decimal(v) + " TiB"
}

func threshold(d alert.Definition, unit string) string {
	if d.Threshold == nil {
		return ""
	}
	return strings.TrimSpace(oneLine(d.Operator, 4) + " " + number(d.Threshold, unit))
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// span prints a duration with its two largest units: 42s, 6m 10s, 3h 5m, 2d 4h.
func span(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	days, hours, minutes, seconds := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60, int(d.Seconds())%60
	units := []string{}
	for _, u := range []struct {
		n    int
		name string
	}{{days, "d"}, {hours, "h"}, {minutes, "m"}, {seconds, "s"}} {
		if u.n > 0 {
			units = append(units, strconv.Itoa(u.n)+u.name)
		} else if len(units) > 0 {
			break
		}
	}
	if len(units) == 0 {
		return "0s"
	}
	return strings.Join(units[:min(2, len(units))], " ")
}

// plainText renders the page for mail readers without HTML, and for the ledger.
func (p page) plainText() (string, error) {
	var b bytes.Buffer
	if err := mailText.Execute(&b, p); err != nil {
		return "", fmt.Errorf("render text: %w", err)
	}
	return b.String(), nil
}

func (p page) html() (string, error) {
	var b bytes.Buffer
	if err := mailHTML.Execute(&b, p); err != nil {
		return "", fmt.Errorf("render HTML: %w", err)
	}
	return b.String(), nil
}

// LabelWidth aligns the facts of the plain text.
func (p page) LabelWidth() int {
	width := 0
	for _, f := range p.Facts {
		width = max(width, utf8.RuneCountInString(f.Label)+1)
	}
	for _, l := range p.Links {
		width = max(width, utf8.RuneCountInString(l.Label)+1)
	}
	return width
}

// ListedText gives the listed alerts as lines with aligned columns.
func (p page) ListedText() []string {
	columns := make([][]string, 0, len(p.Listed))
	for _, a := range p.Listed {
		columns = append(columns, []string{a.ShortID, a.Status, a.Value, a.When})
	}
	widths := make([]int, 4)
	for _, row := range columns {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	lines := make([]string, 0, len(columns))
	for _, row := range columns {
		line := ""
		for i, cell := range row {
			if widths[i] > 0 {
				line += cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
			}
		}
		lines = append(lines, strings.TrimRight(line, " "))
	}
	return lines
}

// clip cuts text to the ledger's limit without splitting a character.
func clip(text string) string {
	const mark = "\n[cut]"
	if len(text) <= maxContent {
		return text
	}
	return strings.ToValidUTF8(text[:maxContent-len(mark)], "") + mark
}
