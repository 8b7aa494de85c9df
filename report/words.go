package report

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// none stands where a figure is not known.
const none = "-"

// Span prints a duration in at most two units: 45 s, 6 min, 3 h 20 min, 12 d 4 h.
func Span(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < 2*time.Minute:
		return decimal(math.Round(d.Seconds()*10)/10) + " s"
	case d >= 10*time.Minute && d.Round(time.Minute) < time.Hour:
		return strconv.Itoa(int(d.Round(time.Minute)/time.Minute)) + " min"
	case d < 10*time.Minute:
		return units(int(d.Round(time.Second)/time.Second), 60, "min", "s")
	case d < 48*time.Hour:
		return units(int(d.Round(time.Minute)/time.Minute), 60, "h", "min")
	}
	return units(int(d.Round(time.Hour)/time.Hour), 24, "d", "h")
}

func units(n, per int, large, small string) string {
	text := strconv.Itoa(n/per) + " " + large
	if n%per != 0 {
		text += " " + strconv.Itoa(n%per) + " " + small
	}
	return text
}

func seconds(s *float64) string {
	if s == nil {
		return none
	}
	return Span(time.Duration(*s * float64(time.Second)))
}

// decimal prints at most two decimals, but never turns a small value into 0.
func decimal(v float64) string {
	if v != 0 && math.Abs(v) < 0.01 {
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	text := strconv.FormatFloat(v, 'f', 2, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// grouped prints a number for a table: 1,234,567.89.
func grouped(v float64) string {
	text := decimal(v)
	whole, fraction, hasFraction := strings.Cut(text, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	if strings.ContainsRune(text, 'e') {
		return text
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if hasFraction {
		whole += "." + fraction
	}
	return sign + whole
}

func number(v *float64) string {
	if v == nil {
		return none
	}
	return grouped(*v)
}

func count(n int) string { return grouped(float64(n)) }

// milliseconds prints a time of a statement in the unit that reads best.
func milliseconds(ms float64) string {
	switch {
	case ms < 1000:
		return significant(ms) + " ms"
	case ms < 2*60*1000:
		return significant(ms/1000) + " s"
	}
	return Span(time.Duration(ms * float64(time.Millisecond)))
}

// significant keeps three digits.
func significant(v float64) string {
	switch magnitude := math.Abs(v); {
	case magnitude >= 100:
		return grouped(math.Round(v))
	case magnitude >= 10:
		return decimal(math.Round(v*10) / 10)
	}
	return decimal(v)
}

func bytes(v float64) string {
	for _, unit := range []string{"B", "KiB", "MiB", "GiB", "TiB"} {
		if math.Abs(v) < 1024 || unit == "TiB" {
			return significant(v) + " " + unit
		}
		v /= 1024
	}
	return none // unreachable: the last unit takes what is left
}

// values prints how many values a sequence has: 1,234 values, 2.15 billion values.
func values(v float64) string {
	switch {
	case v == 1:
		return "1 value"
	case math.Abs(v) < 1e6:
		return significant(v) + " values"
	}
	v /= 1e6
	unit := "million"
	for _, larger := range []string{"billion", "trillion", "quadrillion", "quintillion"} {
		if math.Abs(v) < 1000 {
			break
		}
		v, unit = v/1000, larger
	}
	return significant(v) + " " + unit + " values"
}

func optionalBytes(v *float64) string {
	if v == nil {
		return none
	}
	return bytes(*v)
}

// withUnit prints a metric's value as its unit reads: 93.5 %, 412 s, 1.5 GB.
func withUnit(v float64, unit string) string {
	switch unit {
	case "", "count", "bool", "ratio", "connections":
		return significant(v)
	case "bytes":
		return bytes(v)
	case "percent":
		unit = "%"
	}
	return significant(v) + " " + unit
}

func orNone(text string) string {
	if text == "" {
		return none
	}
	return text
}

// clean makes foreign text fit for one line: no control characters, single spaces, at most limit runes.
func clean(text string, limit int) string {
	printable := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, "?"))
	runes := []rune(strings.Join(strings.Fields(printable), " "))
	if len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return string(runes)
}
