package alert

import (
	"maps"
	"slices"
	"strings"
)

// Labels are a label set: which slot, table or database of a target an alert is about.
type Labels map[string]string

// String is the label set as people read it: database=shop, table=public.orders. Without labels it is empty.
func (l Labels) String() string {
	parts := make([]string, 0, len(l))
	for _, name := range slices.Sorted(maps.Keys(l)) {
		parts = append(parts, name+"="+l[name])
	}
	return strings.Join(parts, ", ")
}
