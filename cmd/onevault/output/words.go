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

// Span prints a duration in its largest unit. A negative one, of clocks that disagree, is 0s.
func Span(d time.Duration) string {
	d = max(d, 0)
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
