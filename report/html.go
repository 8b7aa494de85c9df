package report

import (
	"embed"
	"fmt"
	"html/template"
	"strings"
	"time"
)

//go:embed templates
var templateFiles embed.FS

var (
	pageTemplate = template.Must(template.New("page.html.tmpl").Funcs(template.FuncMap{
		"percent": func(share *float64) string { return coordinate(round2(100 * *share)) },
		"goal":    func(k KPI) string { return strings.ToLower(string(k.Verdict)) },
		"tone":    func(k KPI) Tone { return map[Verdict]Tone{Met: Good, Missed: Bad, Unknown: Faint}[k.Verdict] },
	}).ParseFS(templateFiles, "templates/page.html.tmpl"))
	mailTemplate = template.Must(template.ParseFS(templateFiles, "templates/mail.html.tmpl"))
)

// page is what the HTML shows beyond the document's words.
type page struct {
	Document

	KPIs  []KPI
	Lines []linePlot
	Bars  *barPlot
}

// HTML renders the report as one page that needs nothing else: no network, no script. The same report in
// the same time zone gives the same bytes.
func (r Report) HTML(zone *time.Location) (string, error) {
	w := words{Report: r, zone: zone}
	var out strings.Builder
	if err := pageTemplate.Execute(&out, page{Document: r.Words(zone), KPIs: r.KPIs, Lines: w.linePlots(), Bars: w.barPlot()}); err != nil {
		return "", fmt.Errorf("render the report of %s: %w", r.Date, err)
	}
	return out.String(), nil
}

// HTML renders a document that is no daily report in the same way: one page that needs nothing else.
func (d Document) HTML() (string, error) {
	var out strings.Builder
	if err := pageTemplate.Execute(&out, page{Document: d}); err != nil {
		return "", fmt.Errorf("render %q: %w", d.Title, err)
	}
	return out.String(), nil
}

// Letter is a report as a mail.
type Letter struct {
	Subject string
	Text    string // the whole report
	Summary string // HTML for a mail program: the goals and the alerts; it shows no SVG reliably
	HTML    string // the page, to be attached
	File    string // its name
}

// letter is what the summary shows.
type letter struct {
	Subject, Title, Period, File string
	Rows                         []letterRow
	Facts                        []Fact
}

type letterRow struct {
	KPI

	Color, Word string
}

// Letter renders the report as a mail.
func (r Report) Letter(zone *time.Location) (Letter, error) {
	html, err := r.HTML(zone)
	if err != nil {
		return Letter{}, err
	}
	document := r.Words(zone)
	l := Letter{Subject: r.subject(), Text: document.Text(), HTML: html, File: "onevault-report-" + r.Date + ".html"}
	content := letter{Subject: l.Subject, Title: document.Title, Period: document.Period, File: l.File}
	for _, k := range r.KPIs {
		content.Rows = append(content.Rows, letterRow{
			KPI: k, Word: strings.ToLower(string(k.Verdict)),
			Color: map[Verdict]string{Met: "#23744a", Missed: "#b42318", Unknown: "#475467"}[k.Verdict],
		})
	}
	for _, s := range document.Sections {
		content.Facts = append(content.Facts, s.Facts...)
	}
	var out strings.Builder
	if err := mailTemplate.Execute(&out, content); err != nil {
		return Letter{}, fmt.Errorf("render the mail of %s: %w", r.Date, err)
	}
	l.Summary = out.String()
	return l, nil
}

// subject says at once whether somebody has to read on.
func (r Report) subject() string {
	missed := 0
	for _, k := range r.KPIs {
		if k.Verdict == Missed {
			missed++
		}
	}
	goals := "no goal missed"
	if missed > 0 {
		goals = plural(missed, "goal", "goals") + " missed"
	}
	open := "no alert open"
	if r.Alerts.Open > 0 {
		open = plural(r.Alerts.Open, "alert", "alerts") + " open"
		if r.Alerts.Overdue > 0 {
			open += ", " + count(r.Alerts.Overdue) + " overdue"
		}
	}
	return "OneVault report " + r.Date + ": " + goals + ", " + open
}
