// Package definitions is the file in which people keep alert definitions: YAML that reads like what it
// means, its JSON Schema, and the differences between it and what stands in the vault. It knows the form
// of a file; whether a condition makes sense is the vault's word. It reads no disk and no database.
package definitions

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"onevault/vault"
)

// Version is the form of the file that this build reads and writes.
const Version = 1

// Problem is what is wrong with a file, where, and what to do about it.
type Problem struct {
	Line   int    `json:"line,omitempty"` // 1 for the first; 0: of the file as a whole
	Key    string `json:"key,omitempty"`  // of the definition
	Field  string `json:"field,omitempty"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

// Definition is one of a file, with the line at which it begins.
type Definition struct {
	vault.DefinitionSpec
	Line int
}

// Parse reads a file. With problems there are no definitions: half a file is none.
func Parse(text []byte) ([]Definition, []Problem) {
	p := &parser{seen: map[string]int{}}
	p.file(text)
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	return p.definitions, nil
}

type parser struct {
	definitions []Definition
	problems    []Problem
	seen        map[string]int // lines of keys
}

func (p *parser) problem(line int, key, field, remedy, format string, args ...any) {
	p.problems = append(p.problems, Problem{Line: line, Key: key, Field: field, Text: fmt.Sprintf(format, args...), Remedy: remedy})
}

// yamlLine finds where the parser of YAML stumbled.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func (p *parser) file(text []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, next yaml.Node
	if err := decoder.Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			p.problem(0, "", "", "begin with `version: 1` and `definitions:`; `onevault definition export` writes one", "the file is empty")
			return
		}
		line := 0
		if found := yamlLine.FindStringSubmatch(err.Error()); found != nil {
			fmt.Sscan(found[1], &line) //nolint:errcheck // without a number it stays 0
		}
		p.problem(line, "", "", "", "this is no YAML: %s", yamlLine.ReplaceAllString(err.Error(), ""))
		return
	}
	if err := decoder.Decode(&next); !errors.Is(err, io.EOF) {
		p.problem(next.Line, "", "", "put all definitions into one list", "the file holds more than one document")
		return
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		p.problem(root.Line, "", "", "begin with `version: 1` and `definitions:`", "the file is %s, not a mapping", kindOf(root))
		return
	}
	known := []string{"version", "definitions"}
	var version, list *yaml.Node
	for _, e := range p.entries(root, "") {
		switch e.name {
		case "version":
			version = e.value
		case "definitions":
			list = e.value
		default:
			p.problem(e.line, "", e.name, suggest(e.name, known), "unknown field")
		}
	}
	switch {
	case version == nil:
		p.problem(root.Line, "", "version", "write `version: 1`", "missing")
	case version.Value != fmt.Sprint(Version):
		p.problem(version.Line, "", "version", "write `version: 1`, or use a build of onevault that knows it", "is %q", version.Value)
	}
	if list == nil || list.Kind != yaml.SequenceNode {
		line := root.Line
		if list != nil {
			line = list.Line
		}
		p.problem(line, "", "definitions", "write a list: `definitions:` and below it `- key: ...`", "missing, or not a list")
		return
	}
	for _, node := range list.Content {
		p.definition(resolve(node))
	}
}

func (p *parser) definition(node *yaml.Node) {
	if node.Kind != yaml.MappingNode {
		p.problem(node.Line, "", "", "begin it with `- key: NAME`", "a definition is %s, not a mapping", kindOf(node))
		return
	}
	entries := p.entries(node, "")
	d := Definition{DefinitionSpec: defaults(), Line: node.Line}
	for _, e := range entries {
		if e.name == "key" {
			d.Key = e.value.Value
		}
	}
	given := map[string]bool{}
	for _, e := range entries {
		f, ok := fieldNamed(e.name)
		if !ok {
			p.problem(e.line, d.Key, e.name, suggest(e.name, fieldNames()), "unknown field")
			continue
		}
		given[e.name] = true
		if remedy, err := f.read(e.value, &d.DefinitionSpec); err != nil {
			p.problem(e.value.Line, d.Key, e.name, remedy, "%v", err)
		}
	}
	for _, f := range fields {
		if f.required && !given[f.name] {
			p.problem(node.Line, d.Key, f.name, "write `"+f.name+": "+f.example+"`", "missing")
		}
	}
	if first := p.seen[d.Key]; d.Key != "" && first > 0 {
		p.problem(node.Line, d.Key, "key", "give each definition a key of its own", "is that of the definition in line %d, too", first)
	}
	p.seen[d.Key] = node.Line
	p.definitions = append(p.definitions, d)
}

type entry struct {
	name  string
	line  int
	value *yaml.Node
}

// entries are the fields of a mapping, with what `<<: *name` brings where the mapping does not say it itself.
func (p *parser) entries(node *yaml.Node, within string) []entry {
	var own, merged []entry
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], resolve(node.Content[i+1])
		if name.Tag == "!!merge" && within != "merge" && value.Kind == yaml.MappingNode {
			merged = append(merged, p.entries(value, "merge")...)
			continue
		}
		if at := slices.IndexFunc(own, func(e entry) bool { return e.name == name.Value }); at >= 0 {
			p.problem(name.Line, "", name.Value, "take one of them out", "stands twice, first in line %d", own[at].line)
		}
		own = append(own, entry{name.Value, name.Line, value})
	}
	for _, e := range merged {
		if !slices.ContainsFunc(own, func(o entry) bool { return o.name == e.name }) {
			own = append(own, e)
		}
	}
	return own
}

func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func kindOf(node *yaml.Node) string {
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

// suggest names what somebody may have meant.
func suggest(word string, known []string) string {
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

// Write is a file of definitions, in the order given; Parse reads it back to the same. What has its default
// value is left out where the default is what people expect.
func Write(specs []vault.DefinitionSpec) ([]byte, error) {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for i, spec := range specs {
		node := &yaml.Node{Kind: yaml.MappingNode}
		for _, f := range fields {
			value := f.write(spec)
			if value == nil {
				continue
			}
			node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: f.name}, value)
		}
		if i > 0 {
			node.Content[0].HeadComment = "\n"
		}
		list.Content = append(list.Content, node)
	}
	root := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{
		{Kind: yaml.ScalarNode, Value: "version"},
		{Kind: yaml.ScalarNode, Tag: "!!int", Value: fmt.Sprint(Version)},
		{Kind: yaml.ScalarNode, Value: "definitions"},
		list,
	}}
	if len(specs) == 0 {
		list.Style = yaml.FlowStyle
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return nil, fmt.Errorf("write definitions: %w", err)
	}
	return out.Bytes(), nil
}
