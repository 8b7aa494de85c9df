package output_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"onevault/cmd/onevault/output"
)

var update = flag.Bool("update", false, "rewrite the golden files")

type thing struct {
	ID    string         `json:"id"`
	Name  string         `json:"name"`
	Size  *float64       `json:"size,omitempty"`
	At    time.Time      `json:"at,omitzero"`
	Tags  []string       `json:"tags"`
	Extra map[string]any `json:"extra,omitempty"`
	Bad   bool           `json:"-"`
}

func things() []thing {
	size := 412.0
	return []thing{
		{
			ID: "A-7F3K", Name: "Replication Lag", Size: &size, At: time.Date(2026, 5, 4, 3, 12, 0, 0, time.UTC), Bad: true,
			Tags: []string{"on", "12", "null", "a: b # c"}, Extra: map[string]any{"condition": "lag_s > 120 && up == 1", "none": nil},
		},
		{ID: "A-0002", Name: "磁盘 voll, ünd ¼ e\u0301", Tags: []string{}},
	}
}

func columns() []output.Column[thing] {
	return []output.Column[thing]{
		{Name: "ID", Cell: func(t thing) output.Cell {
			if t.Bad {
				return output.Cell{Text: t.ID, Style: output.Bad}
			}
			return output.Text(t.ID)
		}},
		{Name: "NAME", Cell: func(t thing) output.Cell { return output.Text(t.Name) }},
		{Name: "SIZE", Cell: func(t thing) output.Cell { return output.Text(output.Number(t.Size, "s")) }},
		{Name: "AT", Wide: true, Cell: func(t thing) output.Cell { return output.Text(output.Moment(t.At)) }},
	}
}

func TestList_WritesEachFormat(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]output.Printer{
		"table":       {Format: output.Table},
		"table-color": {Format: output.Table, Color: true},
		"wide":        {Format: output.Wide},
		"json":        {Format: output.JSON},
		"yaml":        {Format: output.YAML},
		"name":        {Format: output.Name},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			p.Out = &out
			if err := output.List(p, things(), columns(), func(t thing) string { return t.ID }); err != nil {
				t.Fatal(err)
			}
			golden(t, name, out.String())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestList_ColourChangesNoColumn(t *testing.T) {
	t.Parallel()
	var plain, coloured bytes.Buffer
	for out, color := range map[*bytes.Buffer]bool{&plain: false, &coloured: true} {
		if err := output.List(output.Printer{Out: out, Format: output.Table, Color: color}, things(), columns(), nil); err != nil {
			t.Fatal(err)
		}
	}
	stripped := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(coloured.String(), "")
	if stripped == coloured.String() || stripped != plain.String() {
		t.Errorf("without its colours the table is\n%s\nnot\n%s", stripped, plain.String())
	}
}

func TestList_OfNothing(t *testing.T) {
	t.Parallel()
	for format, want := range map[output.Format]string{output.Table: "", output.JSON: "[]\n", output.YAML: "[]\n", output.Name: ""} {
		var out bytes.Buffer
		if err := output.List(output.Printer{Out: &out, Format: format}, []thing(nil), columns(), nil); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%s: %q, want %q", format, out.String(), want)
		}
	}
}

func TestTable_ObeysNoControlCharacterOfARow(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	rows := []thing{{ID: "A-\x1b[2J1", Name: "two\nlines\tand \u202eback \x07"}}
	if err := output.List(output.Printer{Out: &out, Format: output.Table}, rows, columns(), nil); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\x07\t\u202e") || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("the terminal gets %q", out.String())
	}
}

func TestAge_InItsLargestUnit(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 3, 12, 0, 0, time.UTC)
	for ago, want := range map[time.Duration]string{
		-time.Minute: "0s", 0: "0s", 45 * time.Second: "45s", 119 * time.Second: "119s", 2 * time.Minute: "2m",
		6*time.Minute + 59*time.Second: "6m", 119 * time.Minute: "119m", 2 * time.Hour: "2h", 47 * time.Hour: "47h", 48 * time.Hour: "2d", 1000 * time.Hour: "41d",
	} {
		if got := output.Age(now, now.Add(-ago)); got != want {
			t.Errorf("%s ago is %q, want %q", ago, got, want)
		}
	}
	if got := output.Age(now, time.Time{}); got != output.None {
		t.Errorf("never is %q", got)
	}
}

func TestNumber_WithItsUnit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value float64
		unit  string
		want  string
	}{
		{412, "s", "412s"},
		{93.456, "%", "93.46%"},
		{1.5 * (1 << 30), "bytes", "1.5 GiB"},
		{187, "count", "187"},
		{187, "connections", "187"},
		{0.00001234, "", "1.23e-05"},
		{12, "xids", "12 xids"},
		{3, "bytes", "3 B"},
		{2e15, "bytes", "1818.99 TiB"},
	} {
		if got := output.Number(&c.value, c.unit); got != c.want {
			t.Errorf("%v %s is %q, want %q", c.value, c.unit, got, c.want)
		}
	}
}

func TestParseFormat_NamesTheFormats(t *testing.T) {
	t.Parallel()
	if _, err := output.ParseFormat("xml"); err == nil || !strings.Contains(err.Error(), "table, wide, json, yaml, name") {
		t.Errorf("error = %v", err)
	}
}

func TestMilliseconds_InTheUnitThatReadsBest(t *testing.T) {
	t.Parallel()
	for ms, want := range map[float64]string{
		0: "0ms", 0.02134: "0.0213ms", 48.24: "48.2ms", 999.4: "999ms", 3070: "3.07s", 119_999: "120s", 750_000: "12.5min", 15_120_000: "4.2h", 3.6e9: "1000h",
	} {
		if got := output.Milliseconds(ms); got != want {
			t.Errorf("%v ms: got %s, want %s", ms, got, want)
		}
	}
}

func TestCount_ThousandsApart(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -999: "-999"} {
		if got := output.Count(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
