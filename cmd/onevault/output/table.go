package output

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// Style is the emphasis of a cell; it shows in colour only.
type Style string

const (
	Plain Style = ""
	Faint Style = "2"
	Bad   Style = "1;31" // bold red
	Poor  Style = "31"   // red
	Fair  Style = "33"   // yellow
	Note  Style = "36"   // cyan
	Good  Style = "32"   // green
)

// Cell is one field of a table.
type Cell struct {
	Text  string
	Style Style
}

// Text is a cell without emphasis.
func Text(text string) Cell { return Cell{Text: text} }

// Column is one column of a table of T.
type Column[T any] struct {
	Name string
	Wide bool // shown with -o wide only
	Cell func(T) Cell
}

// gap separates two columns.
const gap = "  "

// List writes rows in the printer's format: as a table by the columns, whole as JSON or YAML, or the
// names alone. A table without rows is not even a header: the caller says what that means.
func List[T any](p Printer, rows []T, columns []Column[T], name func(T) string) error {
	switch p.Format {
	case JSON, YAML:
		if rows == nil {
			rows = []T{} // [], not null
		}
		return p.Value(rows)
	case Name:
		var text strings.Builder
		for _, row := range rows {
			fmt.Fprintln(&text, name(row))
		}
		return p.write(text.String())
	case Table, Wide:
	}
	if len(rows) == 0 {
		return nil
	}
	return p.write(p.table(cells(p, rows, columns)))
}

// Pairs writes a name and a value per line, the values below each other; empty values are left out.
func (p Printer) Pairs(pairs [][2]string) error {
	var lines [][]Cell
	for _, pair := range pairs {
		if pair[1] != "" {
			lines = append(lines, []Cell{{Text: pair[0], Style: Faint}, {Text: pair[1]}})
		}
	}
	return p.write(p.table(lines))
}

func (p Printer) write(text string) error {
	if _, err := fmt.Fprint(p.Out, text); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

func cells[T any](p Printer, rows []T, columns []Column[T]) [][]Cell {
	lines := make([][]Cell, len(rows)+1)
	for _, column := range columns {
		if column.Wide && p.Format != Wide {
			continue
		}
		lines[0] = append(lines[0], Cell{Text: column.Name, Style: Faint})
		for i, row := range rows {
			lines[i+1] = append(lines[i+1], column.Cell(row))
		}
	}
	return lines
}

// table pads the cells to the width that a terminal gives them; the last of a line is not padded.
func (p Printer) table(lines [][]Cell) string {
	var widths []int
	for _, line := range lines {
		for i := range line {
			line[i].Text = Printable(line[i].Text)
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], displayWidth(line[i].Text))
		}
	}
	var text strings.Builder
	for _, line := range lines {
		for i, cell := range line {
			text.WriteString(p.paint(cell))
			if i < len(line)-1 {
				text.WriteString(strings.Repeat(" ", widths[i]-displayWidth(cell.Text)) + gap)
			}
		}
		text.WriteString("\n")
	}
	return text.String()
}

func (p Printer) paint(cell Cell) string {
	if !p.Color || cell.Style == Plain {
		return cell.Text
	}
	return "\x1b[" + string(cell.Style) + "m" + cell.Text + "\x1b[0m"
}

// Paint is the text of a cell outside a table.
func (p Printer) Paint(cell Cell) string {
	cell.Text = Printable(cell.Text)
	return p.paint(cell)
}

// Printable is a text on one line without control characters: names and notes come from others, and a
// terminal obeys what it is sent.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, text)
}

// displayWidth counts the columns of a terminal.
func displayWidth(text string) int {
	n := 0
	for _, r := range text {
		switch kind := width.LookupRune(r).Kind(); {
		case unicode.Is(unicode.Mn, r):
		case kind == width.EastAsianWide || kind == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}
