package definitions

import (
	"cmp"
	"slices"

	"onevault/vault"
)

// Kind is what a file would do to a definition.
type Kind string

const (
	Added     Kind = "added"
	Changed   Kind = "changed"
	Disabled  Kind = "disabled" // it is not in the file, and the file is to be all there is
	Unchanged Kind = "unchanged"
	Absent    Kind = "absent" // it is not in the file, which is no reason to touch it
)

// Change is a field that differs; From is empty where there was nothing.
type Change struct {
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
}

// Difference is what a file would do to one definition.
type Difference struct {
	Key     string   `json:"key"`
	Kind    Kind     `json:"kind"`
	Changes []Change `json:"changes,omitempty"`
	// Open counts alerts that are open: they end under the version that they began with.
	Open int `json:"open_alerts"`
	// Put is what stands afterwards.
	Put vault.DefinitionSpec `json:"-"`
}

// Touches reports whether something would be written.
func (d Difference) Touches() bool { return d.Kind == Added || d.Kind == Changed || d.Kind == Disabled }

// Compare holds a file against what stands, by key. prune disables what is enabled and not in the file.
func Compare(file []Definition, stands []vault.DefinitionVersion, prune bool) []Difference {
	current := map[string]vault.DefinitionVersion{}
	for _, v := range stands {
		current[v.Key] = v
	}
	var list []Difference
	for _, d := range file {
		before, known := current[d.Key]
		delete(current, d.Key)
		difference := Difference{Key: d.Key, Kind: Added, Put: d.DefinitionSpec, Open: before.Open}
		if known {
			difference.Changes = ChangesBetween(before.DefinitionSpec, d.DefinitionSpec)
			difference.Kind = Unchanged
			if len(difference.Changes) > 0 {
				difference.Kind = Changed
			}
		}
		list = append(list, difference)
	}
	for _, v := range current {
		difference := Difference{Key: v.Key, Kind: Absent, Open: v.Open, Put: v.DefinitionSpec}
		if prune && v.Enabled {
			difference.Put.Enabled = false
			difference.Kind, difference.Changes = Disabled, ChangesBetween(v.DefinitionSpec, difference.Put)
		}
		list = append(list, difference)
	}
	slices.SortFunc(list, func(a, b Difference) int { return cmp.Compare(a.Key, b.Key) })
	return list
}

// ChangesBetween lists the fields in which two versions differ, in the order of a file.
func ChangesBetween(before, after vault.DefinitionSpec) []Change {
	var changes []Change
	for _, f := range fields {
		if from, to := f.show(before), f.show(after); from != to {
			changes = append(changes, Change{f.name, from, to})
		}
	}
	return changes
}
