// Package yamlfile is the form that OneVault's files share: a version, a list or several, and errors that say where they
// are and what to do. It knows no content, and reads no disk.
package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Problem is what is wrong with a file, where, and what to do about it.
type Problem struct {
	Line   int    `json:"line,omitempty"` // 1 for the first; 0: of the file as a whole
	Key    string `json:"key,omitempty"`  // of what it is about
	Field  string `json:"field,omitempty"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

// Reader collects the problems of a file.
type Reader struct {
	Problems []Problem
}

// Problem notes one; line 0: of the file as a whole.
func (r *Reader) Problem(line int, key, field, remedy, format string, args ...any) {
	r.Problems = append(r.Problems, Problem{Line: line, Key: key, Field: field, Text: fmt.Sprintf(format, args...), Remedy: remedy})
}

// yamlLine finds where the parser of YAML stumbled.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// List reads a file that holds a version and one list, and returns the items of the list.
func (r *Reader) List(text []byte, form int, name string) []*yaml.Node {
	return r.Lists(text, form, name)[name]
}

// Lists reads a file that holds a version, one list, and perhaps others beside it; it returns the items of each.
func (r *Reader) Lists(text []byte, form int, name string, beside ...string) map[string][]*yaml.Node {
	wanted := fmt.Sprintf("write `version: %d`", form)
	begin := fmt.Sprintf("begin with `version: %d` and `%s:`", form, name)
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, next yaml.Node
	if err := decoder.Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			r.Problem(0, "", "", begin, "the file is empty")
			return nil
		}
		line := 0
		if found := yamlLine.FindStringSubmatch(err.Error()); found != nil {
			fmt.Sscan(found[1], &line) //nolint:errcheck // without a number it stays 0
		}
		r.Problem(line, "", "", "", "this is no YAML: %s", yamlLine.ReplaceAllString(err.Error(), ""))
		return nil
	}
	if err := decoder.Decode(&next); !errors.Is(err, io.EOF) {
		r.Problem(next.Line, "", "", "put all into one list", "the file holds more than one document")
		return nil
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		r.Problem(root.Line, "", "", begin, "the file is %s, not a mapping", Kind(root))
		return nil
	}
	known := append([]string{"version", name}, beside...)
	var version *yaml.Node
	lists := map[string]*yaml.Node{}
	for _, e := range r.Entries(root) {
		switch {
		case e.Name == "version":
			version = e.Value
		case slices.Contains(known, e.Name):
			lists[e.Name] = e.Value
		default:
			r.Problem(e.Line, "", e.Name, Suggest(e.Name, known), "unknown field")
		}
	}
	switch {
	case version == nil:
		r.Problem(root.Line, "", "version", wanted, "missing")
	case version.Value != fmt.Sprint(form):
		r.Problem(version.Line, "", "version", wanted+", or use a build of onevault that knows it", "is %q", version.Value)
	}
	items := map[string][]*yaml.Node{}
	for _, of := range known[1:] {
		list := lists[of]
		if list == nil && of != name {
			continue
		}
		if list == nil || list.Kind != yaml.SequenceNode {
			line := root.Line
			if list != nil {
				line = list.Line
			}
			r.Problem(line, "", of, "write a list: `"+of+":` and below it `- key: ...`", "missing, or not a list")
			continue
		}
		for _, node := range list.Content {
			items[of] = append(items[of], Resolve(node))
		}
	}
	return items
}

// Entry is one field of a mapping.
type Entry struct {
	Name  string
	Line  int
	Value *yaml.Node
}

// Entries are the fields of a mapping, with what `<<: *name` brings where the mapping does not say it itself.
func (r *Reader) Entries(node *yaml.Node) []Entry { return r.entries(node, "") }

func (r *Reader) entries(node *yaml.Node, within string) []Entry {
	var own, merged []Entry
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], Resolve(node.Content[i+1])
		if name.Tag == "!!merge" && within != "merge" && value.Kind == yaml.MappingNode {
			merged = append(merged, r.entries(value, "merge")...)
			continue
		}
		if at := slices.IndexFunc(own, func(e Entry) bool { return e.Name == name.Value }); at >= 0 {
			r.Problem(name.Line, "", name.Value, "take one of them out", "stands twice, first in line %d", own[at].Line)
		}
		own = append(own, Entry{name.Value, name.Line, value})
	}
	for _, e := range merged {
		if !slices.ContainsFunc(own, func(o Entry) bool { return o.Name == e.Name }) {
			own = append(own, e)
		}
	}
	return own
}

// Resolve follows an alias to what it means.
func Resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// Kind says in words what a node is.
func Kind(node *yaml.Node) string {
	switch node.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	case yaml.ScalarNode:
		return fmt.Sprintf("%q", node.Value)
	case yaml.DocumentNode, yaml.AliasNode:
	}
	return "nothing"
}

// Suggest names what somebody may have meant.
func Suggest(word string, known []string) string {
	best, distance := "", len(word)/2+1
	for _, name := range known {
		if d := edits(strings.ToLower(word), name); d < distance {
			best, distance = name, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "use one of " + strings.Join(known, ", ")
}

// edits is the distance of Levenshtein in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
