// Package output turns what a command found into what its reader wants: a table for people, JSON and
// YAML of the same structs for programs, or bare names for a pipe. It knows nothing of alerts, reads no
// clock (`now` is an argument) and lets no control character of a row reach the terminal.
package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Format is how a result is written.
type Format string

const (
	Table Format = "table"
	Wide  Format = "wide" // the table with all its columns
	JSON  Format = "json"
	YAML  Format = "yaml"
	Name  Format = "name" // one id per line
)

// Formats lists all of them, the default first.
func Formats() []string {
	return []string{string(Table), string(Wide), string(JSON), string(YAML), string(Name)}
}

// ParseFormat reads what somebody typed after -o.
func ParseFormat(text string) (Format, error) {
	if !slices.Contains(Formats(), text) {
		return "", fmt.Errorf("unknown output format %q: use %s", text, strings.Join(Formats(), ", "))
	}
	return Format(text), nil
}

// Printer writes results.
type Printer struct {
	Out    io.Writer
	Format Format
	Color  bool
}

// Structured reports whether the reader is a program that wants whole values.
func (p Printer) Structured() bool { return p.Format == JSON || p.Format == YAML }

// Whole writes a value that is shown by itself where its reader is a program: all of it, or its name. done is false
// where it is a person, who gets something else.
func (p Printer) Whole(value any, name string) (done bool, err error) {
	switch {
	case p.Structured():
		return true, p.Value(value)
	case p.Format == Name:
		return true, p.write(name + "\n")
	}
	return false, nil
}

// Value writes one value as JSON or YAML; every other format is taken for JSON.
func (p Printer) Value(value any) error {
	text, err := encode(value)
	if err != nil {
		return err
	}
	if p.Format == YAML {
		if text, err = toYAML(text); err != nil {
			return err
		}
	}
	if _, err := p.Out.Write(text); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

func encode(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // conditions hold < and >
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("encode the result: %w", err)
	}
	return text.Bytes(), nil
}

// toYAML rewrites JSON, which is YAML already, in YAML's own style: one set of tags on the structs serves
// both, and the order of the fields stays.
func toYAML(text []byte) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("encode the result as YAML: %w", err)
	}
	useBlockStyle(&document)
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return nil, fmt.Errorf("encode the result as YAML: %w", err)
	}
	return out.Bytes(), nil
}

// oldBool matches strings that readers of YAML 1.1 take for true or false: their quotes stay.
var oldBool = regexp.MustCompile(`^(?i:y|n|yes|no|on|off)$`)

// useBlockStyle forgets JSON's braces and quotes; the encoder quotes again where a string needs it.
func useBlockStyle(node *yaml.Node) {
	if len(node.Content) > 0 || node.Kind == yaml.ScalarNode && !oldBool.MatchString(node.Value) {
		node.Style = 0
	}
	for _, child := range node.Content {
		useBlockStyle(child)
	}
}
