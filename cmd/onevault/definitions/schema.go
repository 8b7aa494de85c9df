package definitions

import (
	"encoding/json"
	"fmt"
)

// Schema is the JSON Schema (draft 2020-12) of a file, for editors and for the CI of others: the form alone,
// since only a vault knows which metrics there are.
func Schema() ([]byte, error) {
	properties, required := map[string]any{}, []string{}
	for _, f := range fields {
		property := map[string]any{"description": f.about}
		for name, value := range f.schema {
			property[name] = value
		}
		properties[f.name] = property
		if f.required {
			required = append(required, f.name)
		}
	}
	text, err := json.MarshalIndent(map[string]any{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                "OneVault alert definitions",
		"type":                 "object",
		"additionalProperties": false,
		"required":             []string{"version", "definitions"},
		"properties": map[string]any{
			"version": map[string]any{"const": Version, "description": "The form of this file"},
			"definitions": map[string]any{"type": "array", "items": map[string]any{
				"type": "object", "additionalProperties": false, "required": required, "properties": properties,
			}},
		},
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the schema: %w", err)
	}
	return append(text, '\n'), nil
}
