// Package matcher reads the restrictions that people type after a list command: severity=CRITICAL,
// target!=pg-1, alert=~Repl. It knows no fields itself.
package matcher

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Matcher is one restriction on one field.
type Matcher struct {
	field   string
	negated bool
	equal   string         // compared without regard to case
	pattern *regexp.Regexp // nil: equal decides
}

// Set holds matchers that must all hold; the empty set matches everything.
type Set []Matcher

var form = regexp.MustCompile(`^([A-Za-z_]+)(=~|!~|!=|=)(.*)$`)

// Parse reads matchers of the forms k=v, k!=v, k=~re and k!~re. A pattern may match anywhere in the
// field; neither form regards case. The error names the fields that there are.
func Parse(texts []string, fields ...string) (Set, error) {
	var set Set
	for _, text := range texts {
		parts := form.FindStringSubmatch(text)
		if parts == nil {
			return nil, fmt.Errorf("%q is no matcher: write field=value, field!=value, field=~pattern or field!~pattern", text)
		}
		field := strings.ToLower(parts[1])
		if !slices.Contains(fields, field) {
			return nil, fmt.Errorf("matcher %q: there is no field %q; use %s", text, field, strings.Join(fields, ", "))
		}
		m := Matcher{field: field, negated: parts[2][0] == '!', equal: parts[3]}
		if strings.HasSuffix(parts[2], "~") {
			pattern, err := regexp.Compile("(?i)" + parts[3])
			if err != nil {
				return nil, fmt.Errorf("matcher %q: %w", text, err)
			}
			m.pattern = pattern
		}
		set = append(set, m)
	}
	return set, nil
}

// Match reports whether all matchers hold for a thing whose fields the function gives.
func (s Set) Match(field func(name string) string) bool {
	for _, m := range s {
		value := field(m.field)
		holds := strings.EqualFold(value, m.equal)
		if m.pattern != nil {
			holds = m.pattern.MatchString(value)
		}
		if holds == m.negated {
			return false
		}
	}
	return true
}
