package inbox

import (
	"html"
	"html/template"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Slack's mrkdwn: *bold* _italic_ ~struck~ `code` ```block``` > quote <url|label> <!here> :emoji:, with
// &, < and > written as entities. Whatever is not markup is escaped: the result is safe HTML.

// slackEntities are the only three that Slack decodes.
var slackEntities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

var (
	lineTag = regexp.MustCompile(`<br>|</?blockquote>|</?pre>`)
	anyTag  = regexp.MustCompile(`<[^>]*>`)
)

// plainMrkdwn is what a screen reader would say. Removing tags is exact here: mrkdwn escapes every other
// angle bracket.
func plainMrkdwn(text string) string {
	marked := lineTag.ReplaceAllString(string(mrkdwn(text)), "\n")
	return strings.TrimSpace(html.UnescapeString(anyTag.ReplaceAllString(marked, "")))
}

// mrkdwn renders a whole text: code blocks, then lines and quotes, then spans.
func mrkdwn(text string) template.HTML {
	var out strings.Builder
	pieces := strings.Split(text, "```")
	for i, piece := range pieces {
		closed := i < len(pieces)-1
		switch {
		case i%2 == 1 && closed:
			out.WriteString("<pre>" + escapeSlack(strings.Trim(piece, "\n")) + "</pre>")
		case i%2 == 1: // three backticks without an end are text
			writeLines(&out, "```"+piece)
		default:
			writeLines(&out, piece)
		}
	}
	return template.HTML(out.String())
}

func writeLines(out *strings.Builder, text string) {
	broken := true // a quote ends its own line
	for _, line := range strings.Split(text, "\n") {
		quoted, isQuote := strings.CutPrefix(line, "&gt;")
		if !isQuote {
			quoted, isQuote = strings.CutPrefix(line, ">")
		}
		if isQuote {
			out.WriteString("<blockquote>" + spans(strings.TrimSpace(quoted)) + "</blockquote>")
			broken = true
			continue
		}
		if !broken {
			out.WriteString("<br>")
		}
		broken = false
		out.WriteString(spans(line))
	}
}

var emphasis = map[byte]string{'*': "b", '_': "i", '~': "s", '`': "code"}

// spans renders one line. It looks for the next piece of markup; all between is plain.
func spans(line string) string {
	var out strings.Builder
	plain := 0 // start of the text not yet written
	for i := 0; i < len(line); {
		rendered, next := spanAt(line, i)
		if next == i {
			i++
			continue
		}
		out.WriteString(escapeSlack(line[plain:i]) + rendered)
		i, plain = next, next
	}
	out.WriteString(escapeSlack(line[plain:]))
	return out.String()
}

// spanAt renders the markup that starts at i and says where it ends; i itself when there is none.
func spanAt(line string, i int) (rendered string, next int) {
	if line[i] == '<' {
		if end := strings.IndexByte(line[i:], '>'); end > 1 {
			return readSpecial(line[i+1 : i+end]).html(), i + end + 1
		}
		return "", i
	}
	tag, ok := emphasis[line[i]]
	if !ok || !boundaryBefore(line, i) {
		return "", i
	}
	end := closing(line, i)
	if end < 0 {
		return "", i
	}
	inner := line[i+1 : end]
	content := spans(inner)
	if tag == "code" {
		content = escapeSlack(inner)
	}
	return "<" + tag + ">" + content + "</" + tag + ">", end + 1
}

// closing finds the marker that ends the emphasis opened at i: not inside <...>, not after a space, and
// not in the middle of a word (snake_case stays as it is).
func closing(line string, i int) int {
	marker := line[i]
	if strings.HasPrefix(line[i+1:], string(marker)) {
		return -1 // a row of markers is text
	}
	for j := i + 1; j < len(line); j++ {
		if line[j] == '<' && marker != '`' {
			if end := strings.IndexByte(line[j:], '>'); end > 0 {
				j += end
				continue
			}
		}
		if line[j] == marker && j > i+1 && line[i+1] != ' ' && line[j-1] != ' ' && boundaryAfter(line, j) {
			return j
		}
	}
	return -1
}

func boundaryBefore(line string, i int) bool {
	r, _ := utf8.DecodeLastRuneInString(line[:i])
	return i == 0 || !wordRune(r)
}

func boundaryAfter(line string, i int) bool {
	r, _ := utf8.DecodeRuneInString(line[i+1:])
	return i == len(line)-1 || !wordRune(r)
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// special is the content of <...>: a link, a mention or a date.
type special struct {
	label string
	url   string // links only
}

func readSpecial(content string) special {
	target, label, labelled := strings.Cut(content, "|")
	if !labelled {
		label = target
	}
	switch {
	case strings.HasPrefix(target, "!date^"):
		return special{label: label}
	case strings.HasPrefix(target, "!") && !labelled:
		return special{label: "@" + target[1:]}
	case strings.HasPrefix(target, "@") && labelled:
		return special{label: "@" + strings.TrimPrefix(label, "@")}
	case strings.HasPrefix(target, "#") && labelled:
		return special{label: "#" + strings.TrimPrefix(label, "#")}
	case safeURL(slackEntities.Replace(target)):
		return special{label: label, url: slackEntities.Replace(target)}
	}
	return special{label: label}
}

func (s special) html() string {
	switch {
	case s.url != "":
		return `<a href="` + html.EscapeString(s.url) + `">` + escapeSlack(s.label) + `</a>`
	case strings.HasPrefix(s.label, "@") || strings.HasPrefix(s.label, "#"):
		return `<span class="mention">` + escapeSlack(s.label) + `</span>`
	}
	return escapeSlack(s.label)
}

func safeURL(url string) bool {
	for _, scheme := range []string{"http://", "https://", "mailto:"} {
		if strings.HasPrefix(url, scheme) {
			return true
		}
	}
	return false
}

func escapeSlack(text string) string {
	return html.EscapeString(emojiNames.Replace(slackEntities.Replace(text)))
}

// emojiNames are those that an alerting system plausibly sends; others stay as :name:.
var emojiNames = strings.NewReplacer(
	":warning:", "⚠️", ":rotating_light:", "🚨", ":fire:", "🔥", ":bell:", "🔔", ":no_bell:", "🔕",
	":white_check_mark:", "✅", ":heavy_check_mark:", "✔️", ":x:", "❌", ":red_circle:", "🔴",
	":large_orange_circle:", "🟠", ":large_yellow_circle:", "🟡", ":large_blue_circle:", "🔵",
	":large_green_circle:", "🟢", ":information_source:", "ℹ️", ":eyes:", "👀", ":arrow_up:", "⬆️",
	":hourglass:", "⌛", ":book:", "📖", ":mag:", "🔍", ":test_tube:", "🧪",
)
