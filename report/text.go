package report

import (
	"strings"
	"unicode/utf8"
)

// maxTextCell bounds a cell in plain text: a line that wraps is no table any more. Sentences at the end of a line
// have more room, because nothing stands behind them.
const (
	maxTextCell     = 60
	maxTextSentence = 320
)

// Text is the document in plain text, for a mail or a file.
func (d Document) Text() string {
	var out strings.Builder
	out.WriteString(d.Title + "\n" + d.Period + "\n")
	for _, s := range d.Sections {
		out.WriteString("\n--- " + s.Title + " ---\n")
		writeFacts(&out, s.Facts)
		for _, t := range s.Tables {
			if t.Title != "" {
				out.WriteString("\n" + t.Title + "\n")
			}
			writeTable(&out, t)
		}
		for _, note := range s.Notes {
			out.WriteString(note + "\n")
		}
	}
	return out.String()
}

func writeFacts(out *strings.Builder, facts []Fact) {
	width := 0
	for _, f := range facts {
		width = max(width, utf8.RuneCountInString(f.Label))
	}
	for _, f := range facts {
		out.WriteString(pad(f.Label, width, false) + "  " + f.Value + "\n")
	}
	if len(facts) > 0 {
		out.WriteString("\n")
	}
}

func writeTable(out *strings.Builder, t Table) {
	if len(t.Rows) == 0 {
		out.WriteString(t.Empty + "\n")
		return
	}
	header := make([]Cell, len(t.Columns))
	for i, c := range t.Columns {
		header[i].Text = c.Name
	}
	lines := append([][]Cell{header}, t.Rows...)
	widths := make([]int, len(t.Columns))
	shown := func(i int, c Cell) string {
		if i == len(t.Columns)-1 && t.Columns[i].Long {
			return clean(c.Text, maxTextSentence)
		}
		return clean(c.Text, maxTextCell)
	}
	for _, line := range lines {
		for i, c := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(shown(i, c)))
		}
	}
	for _, line := range lines {
		cells := make([]string, len(line))
		for i, c := range line {
			cells[i] = pad(shown(i, c), widths[i], t.Columns[i].Right)
		}
		out.WriteString(strings.TrimRight(strings.Join(cells, "  "), " ") + "\n")
	}
	if t.More != "" {
		out.WriteString(t.More + "\n")
	}
}

func pad(text string, width int, right bool) string {
	space := strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
	if right {
		return space + text
	}
	return text + space
}
