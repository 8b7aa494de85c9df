// Package doctor looks at everything that an alert needs on its way to somebody, and says for each part
// whether it works and what to do if not. It changes nothing. What it looks at comes from the vault and
// from Temporal; what that means is decided by functions over values, with `now` as an argument.
package doctor

import (
	"fmt"
	"strings"
	"time"
)

// Status ranks a finding.
type Status string

const (
	OK   Status = "OK"
	Warn Status = "WARN" // works, but somebody should look at it
	Fail Status = "FAIL" // an alert may not reach anybody
)

// Finding is what one check found.
type Finding struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"`
}

// Failed reports whether any finding is a failure.
func Failed(findings []Finding) bool {
	for _, f := range findings {
		if f.Status == Fail {
			return true
		}
	}
	return false
}

func ok(check, format string, args ...any) Finding {
	return Finding{Check: check, Status: OK, Detail: fmt.Sprintf(format, args...)}
}

func warn(check, remedy, format string, args ...any) Finding {
	return Finding{Check: check, Status: Warn, Detail: fmt.Sprintf(format, args...), Remedy: remedy}
}

func fail(check, remedy, format string, args ...any) Finding {
	return Finding{Check: check, Status: Fail, Detail: fmt.Sprintf(format, args...), Remedy: remedy}
}

// age prints how long ago something was, fine enough for cadences of seconds.
func age(now, at time.Time) string {
	return max(now.Sub(at), 0).Round(time.Second).String() + " ago"
}

// several prints the first few of many.
func several(items []string) string {
	const shown = 5
	if len(items) <= shown {
		return strings.Join(items, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(items[:shown], ", "), len(items)-shown)
}
