package inbox

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"regexp"
)

//go:embed slack.html alertmanager.html pagerduty.html sms.html voice.html
var viewFiles embed.FS

var views = template.Must(template.New("").Funcs(template.FuncMap{
	"mrkdwn": mrkdwn,
	"text":   renderText,
	"emoji":  emojiNames.Replace,
	"bar":    barColour,
	"link":   safeURL,
}).ParseFS(viewFiles, "*.html"))

// renderSlack is the message as Slack lays it out; every leaf is escaped by the template.
func renderSlack(p slackPayload) (string, error) { return render("slack.html", p) }

func render(view string, data any) (string, error) {
	var out bytes.Buffer
	if err := views.ExecuteTemplate(&out, view, data); err != nil {
		return "", err
	}
	return out.String(), nil
}

// renderText formats a text object by its type: plain_text shows its characters as they are.
func renderText(t slackText) template.HTML {
	if t.Type == "plain_text" {
		return template.HTML(template.HTMLEscapeString(emojiNames.Replace(t.Text)))
	}
	return mrkdwn(t.Text)
}

var hexColour = regexp.MustCompile(`^#?[0-9a-fA-F]{6}$`)

// barColour is the colour of an attachment's bar, as CSS. Only known words and six hex digits pass.
func barColour(colour string) template.CSS {
	switch colour {
	case "good":
		return "#2eb67d"
	case "warning":
		return "#ecb22e"
	case "danger":
		return "#e01e5a"
	}
	if !hexColour.MatchString(colour) {
		return "#8888884d"
	}
	if colour[0] != '#' {
		colour = "#" + colour
	}
	return template.CSS(colour)
}

// indentJSON returns "" for what is no JSON.
func indentJSON(raw []byte) string {
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return ""
	}
	return out.String()
}
