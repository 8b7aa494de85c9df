// Package definitions is the file in which people keep alert definitions: YAML that reads like what it
// means, its JSON Schema, and the differences between it and what stands in the vault. It knows the form
// of a file; whether a condition makes sense is the vault's word. It reads no disk and no database.
package definitions

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"

	"onevault/cmd/onevault/yamlfile"
	"onevault/vault"
)

// Version is the form of the file that this build reads and writes.
const Version = 1

// Problem is what is wrong with a file.
type Problem = yamlfile.Problem

// Definition is one of a file, with the line at which it begins.
type Definition struct {
	vault.DefinitionSpec
	Line int
}

// Parse reads a file. With problems there are no definitions: half a file is none.
func Parse(text []byte) ([]Definition, []Problem) {
	p := &parser{seen: map[string]int{}}
	for _, node := range p.List(text, Version, "definitions") {
		p.definition(node)
	}
	if len(p.Problems) > 0 {
		return nil, p.Problems
	}
	return p.definitions, nil
}

type parser struct {
	yamlfile.Reader
	definitions []Definition
	seen        map[string]int // lines of keys
}

func (p *parser) definition(node *yaml.Node) {
	if node.Kind != yaml.MappingNode {
		p.Problem(node.Line, "", "", "begin it with `- key: NAME`", "a definition is %s, not a mapping", yamlfile.Kind(node))
		return
	}
	entries := p.Entries(node)
	d := Definition{DefinitionSpec: defaults(), Line: node.Line}
	for _, e := range entries {
		if e.Name == "key" {
			d.Key = e.Value.Value
		}
	}
	given := map[string]bool{}
	for _, e := range entries {
		f, ok := fieldNamed(e.Name)
		if !ok {
			p.Problem(e.Line, d.Key, e.Name, yamlfile.Suggest(e.Name, fieldNames()), "unknown field")
			continue
		}
		given[e.Name] = true
		if remedy, err := f.read(e.Value, &d.DefinitionSpec); err != nil {
			p.Problem(e.Value.Line, d.Key, e.Name, remedy, "%v", err)
		}
	}
	for _, f := range fields {
		if f.required && !given[f.name] {
			p.Problem(node.Line, d.Key, f.name, "write `"+f.name+": "+f.example+"`", "missing")
		}
	}
	if first := p.seen[d.Key]; d.Key != "" && first > 0 {
		p.Problem(node.Line, d.Key, "key", "give each definition a key of its own", "is that of the definition in line %d, too", first)
	}
	p.seen[d.Key] = node.Line
	p.definitions = append(p.definitions, d)
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
