package yamlfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The errors of these say what a value is, to be read behind the name of its field: "is a list".

// Word is a text that says something.
func Word(node *yaml.Node) (string, error) {
	if node.Kind != yaml.ScalarNode || strings.TrimSpace(node.Value) == "" || node.Tag == "!!null" {
		return "", fmt.Errorf("is %s", Kind(node))
	}
	return node.Value, nil
}

// Words is a list of texts, each once; it may be empty.
func Words(node *yaml.Node) ([]string, error) {
	if node.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("is %s", Kind(node))
	}
	var list []string
	for _, item := range node.Content {
		value, err := Word(Resolve(item))
		if err != nil {
			return nil, fmt.Errorf("holds what %w", err)
		}
		if slices.Contains(list, value) {
			return nil, fmt.Errorf("holds %q twice", value)
		}
		list = append(list, value)
	}
	return list, nil
}

// SomeWords is Words with at least one.
func SomeWords(node *yaml.Node) ([]string, error) {
	if node.Kind == yaml.SequenceNode && len(node.Content) == 0 {
		return nil, fmt.Errorf("is an empty list")
	}
	return Words(node)
}

// Bool is true or false.
func Bool(node *yaml.Node) (bool, error) {
	if node.Kind != yaml.ScalarNode || node.Tag != "!!bool" {
		return false, fmt.Errorf("is %s", Kind(node))
	}
	return strings.EqualFold(node.Value, "true"), nil
}

// Count is a whole number from 0.
func Count(node *yaml.Node) (int, error) {
	n, err := strconv.Atoi(node.Value)
	if node.Kind != yaml.ScalarNode || err != nil || n < 0 {
		return 0, fmt.Errorf("is %s", Kind(node))
	}
	return n, nil
}
