package output

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// None stands where there is nothing to show.
const None = "-"

// Age says how long ago something happened, in its largest unit: 45s, 6m, 3h, 12d. The zero time is None.
func Age(now, at time.Time) string {
	if at.IsZero() {
		return None
	}
	return Span(now.Sub(at))
}

// Span prints a duration in its largest unit, of what was asked for as two hours a moment ago 2h. A negative one, of
// clocks that disagree, is 0s.
func Span(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	switch {
	case d < 2*time.Minute:
		return strconv.Itoa(int(d/time.Second)) + "s"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	}
	return strconv.Itoa(int(d/(24*time.Hour))) + "d"
}

// Moment prints a time for people: in UTC, to the second.
func Moment(at time.Time) string {
	if at.IsZero() {
		return None
	}
	return at.UTC().Format("2006-01-02 15:04:05 UTC")
}

// Number prints a value with its unit: 187, 93.5%, 412s, 1.5 GiB. None without a value.
func Number(value *float64, unit string) string {
	if value == nil {
		return None
	}
	switch strings.ToLower(unit) {
	case "%", "percent":
		return decimal(*value) + "%"
	case "s", "seconds":
		return decimal(*value) + "s"
	case "ms", "milliseconds":
		return decimal(*value) + "ms"
	case "bytes", "b":
		return binary(*value)
	case "", "count", "bool", "ratio", "connections":
		return decimal(*value)
	}
	return decimal(*value) + " " + unit
}

// decimal prints at most two decimals, but never turns a small value into 0.
func decimal(value float64) string {
	if value != 0 && math.Abs(value) < 0.01 {
		return strconv.FormatFloat(value, 'g', 3, 64)
	}
	text := strconv.FormatFloat(value, 'f', 2, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

func binary(value float64) string {
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if math.Abs(value) < 1024 {
			return decimal(value) + " " + unit
		}
		value /= 1024
	}
	return decimal(value) + " TiB"
}

// OrNone is the text, or None where it is empty.
func OrNone(text string) string {
	if text == "" {
		return None
	}
	return text
}

// Milliseconds prints a time of a statement in the unit that reads best, with three digits that matter: 0.0213ms,
// 48.2ms, 3.07s, 12.5min, 4.2h.
func Milliseconds(ms float64) string {
	switch {
	case ms < 1000:
		return significant(ms) + "ms"
	case ms < 120_000:
		return significant(ms/1000) + "s"
	case ms < 7_200_000:
		return significant(ms/60_000) + "min"
	}
	return significant(ms/3_600_000) + "h"
}

// significant keeps three digits, and all before the point.
func significant(value float64) string {
	if value >= 100 {
		return strconv.FormatFloat(value, 'f', 0, 64)
	}
	return strconv.FormatFloat(value, 'g', 3, 64)
}

// Count prints a number with its thousands apart: 1,234,567.
func Count(n int64) string {
	text := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(text) - 3; i > first; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
