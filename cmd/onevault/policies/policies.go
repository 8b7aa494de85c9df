// Package policies is the file in which people keep escalation policies: YAML that reads like what it means. It
// knows the form of a file; whether times and channels make sense is the vault's word. It reads no disk.
package policies

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"onevault/alert"
	"onevault/cmd/onevault/yamlfile"
	"onevault/vault"
)

// Version is the form of the file that this build reads and writes.
const Version = 1

// Policy is one of a file, with the line at which it begins.
type Policy struct {
	vault.PolicySpec
	Line int
}

// Parse reads a file. With problems there are no policies: half a file is none.
func Parse(text []byte) ([]Policy, []yamlfile.Problem) {
	p := &parser{seen: map[string]int{}}
	for _, node := range p.List(text, Version, "policies") {
		p.policy(node)
	}
	if len(p.Problems) > 0 {
		return nil, p.Problems
	}
	return p.policies, nil
}

type parser struct {
	yamlfile.Reader
	policies []Policy
	seen     map[string]int // lines of keys
}

var (
	policyFields = []string{"key", "name", "description", "enabled", "default_for", "levels", "repeat", "every"}
	levelFields  = []string{"after", "channels", "repeat", "every"}
	keyPattern   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$`)
	spanPattern  = regexp.MustCompile(`^(\d{1,6})(m|h|d)$`)
)

func (p *parser) policy(node *yaml.Node) {
	if node.Kind != yaml.MappingNode {
		p.Problem(node.Line, "", "", "begin it with `- key: NAME`", "a policy is %s, not a mapping", yamlfile.Kind(node))
		return
	}
	policy := Policy{PolicySpec: vault.PolicySpec{Enabled: true}, Line: node.Line}
	entries := p.Entries(node)
	for _, e := range entries {
		if e.Name == "key" {
			policy.Key = e.Value.Value
		}
	}
	for _, e := range entries {
		p.field(&policy, e)
	}
	for _, field := range []string{"key", "name", "levels"} {
		if !slices.ContainsFunc(entries, func(e yamlfile.Entry) bool { return e.Name == field }) {
			p.Problem(node.Line, policy.Key, field, "every policy has a key, a name and levels", "missing")
		}
	}
	if first := p.seen[policy.Key]; policy.Key != "" && first > 0 {
		p.Problem(node.Line, policy.Key, "key", "give each policy a key of its own", "is that of the policy in line %d, too", first)
	}
	p.seen[policy.Key] = node.Line
	p.policies = append(p.policies, policy)
}

func (p *parser) field(policy *Policy, e yamlfile.Entry) {
	var (
		remedy string
		err    error
	)
	switch e.Name {
	case "key":
		if policy.Key, err = yamlfile.Word(e.Value); err == nil && !keyPattern.MatchString(policy.Key) {
			err = fmt.Errorf("is %q", policy.Key)
		}
		remedy = "use at most 100 letters, digits and _ . : -"
	case "name":
		policy.Name, err = yamlfile.Word(e.Value)
		remedy = "write what people call it"
	case "description":
		policy.Description, err = yamlfile.Word(e.Value)
		remedy = "write a text, or leave the line out"
	case "enabled":
		policy.Enabled, err = yamlfile.Bool(e.Value)
		remedy = "write true or false"
	case "default_for":
		policy.DefaultFor, err = yamlfile.SomeWords(e.Value)
		remedy = "write a list of severities: [CRITICAL, HIGH]"
	case "repeat":
		policy.RepeatTimes, err = yamlfile.Count(e.Value)
		remedy = "write how often the whole begins anew: 3"
	case "every":
		policy.RepeatEvery, err = minutes(e.Value)
		remedy = "write how long after the last level the whole begins anew: 30m, 2h"
	case "levels":
		p.levels(policy, e.Value)
	default:
		err, remedy = errors.New("unknown field"), yamlfile.Suggest(e.Name, policyFields)
	}
	if err != nil {
		p.Problem(e.Value.Line, policy.Key, e.Name, remedy, "%v", err)
	}
}

func (p *parser) levels(policy *Policy, node *yaml.Node) {
	if node.Kind != yaml.SequenceNode || len(node.Content) == 0 {
		p.Problem(node.Line, policy.Key, "levels", "write a list: `- channels: [SLACK]` and below it `- after: 15m`", "is %s", yamlfile.Kind(node))
		return
	}
	for i, item := range node.Content {
		item = yamlfile.Resolve(item)
		place := fmt.Sprintf("levels[%d]", i)
		if item.Kind != yaml.MappingNode {
			p.Problem(item.Line, policy.Key, place, "write `- after: 15m`", "is %s", yamlfile.Kind(item))
			continue
		}
		level, timed := alert.Level{}, i == 0
		for _, e := range p.Entries(item) {
			var (
				remedy string
				err    error
			)
			switch e.Name {
			case "after":
				timed = true
				level.AfterMinutes, err = minutes(e.Value)
				remedy = "write how long after the firing it is paged: 15m, 2h"
			case "channels":
				level.Channels, err = yamlfile.SomeWords(e.Value)
				remedy = "write a list of channels or of their types: [SLACK, ONCALL_MAIL]"
			case "repeat":
				level.Repeat, err = yamlfile.Count(e.Value)
				remedy = "write how often the level is paged once more: 2"
			case "every":
				level.EveryMinutes, err = minutes(e.Value)
				remedy = "write how long lies between two pages: 5m"
			default:
				err, remedy = errors.New("unknown field"), yamlfile.Suggest(e.Name, levelFields)
			}
			if err != nil {
				p.Problem(e.Value.Line, policy.Key, place+"."+e.Name, remedy, "%v", err)
			}
		}
		if !timed {
			p.Problem(item.Line, policy.Key, place+".after", "write how long after the firing it is paged: `after: 15m`", "missing")
		}
		policy.Levels = append(policy.Levels, level)
	}
}

func minutes(node *yaml.Node) (int, error) {
	parts := spanPattern.FindStringSubmatch(node.Value)
	if node.Kind != yaml.ScalarNode || parts == nil {
		return 0, fmt.Errorf("is %s", yamlfile.Kind(node))
	}
	n, err := strconv.Atoi(parts[1])
	return n * map[string]int{"m": 1, "h": 60, "d": 1440}[parts[2]], err
}

// Span is a number of minutes in its largest whole unit, as a file says it.
func Span(minutes int) string {
	switch {
	case minutes > 0 && minutes%1440 == 0:
		return strconv.Itoa(minutes/1440) + "d"
	case minutes > 0 && minutes%60 == 0:
		return strconv.Itoa(minutes/60) + "h"
	}
	return strconv.Itoa(minutes) + "m"
}

// What a file says of a policy, in the order in which it is written.
type (
	writtenPolicy struct {
		Key         string         `yaml:"key"`
		Name        string         `yaml:"name"`
		Description string         `yaml:"description,omitempty"`
		Enabled     *bool          `yaml:"enabled,omitempty"`
		DefaultFor  []string       `yaml:"default_for,omitempty,flow"`
		Levels      []writtenLevel `yaml:"levels"`
		Repeat      int            `yaml:"repeat,omitempty"`
		Every       string         `yaml:"every,omitempty"`
	}
	writtenLevel struct {
		After    string   `yaml:"after"`
		Channels []string `yaml:"channels,omitempty,flow"`
		Repeat   int      `yaml:"repeat,omitempty"`
		Every    string   `yaml:"every,omitempty"`
	}
)

// Write is a file of policies, in the order given; Parse reads it back to the same.
func Write(specs []vault.PolicySpec) ([]byte, error) {
	file := struct {
		Version  int             `yaml:"version"`
		Policies []writtenPolicy `yaml:"policies"`
	}{Version: Version, Policies: []writtenPolicy{}}
	for _, spec := range specs {
		w := writtenPolicy{Key: spec.Key, Name: spec.Name, Description: spec.Description, DefaultFor: spec.DefaultFor, Repeat: spec.RepeatTimes, Every: spanOrNone(spec.RepeatEvery)}
		if !spec.Enabled {
			w.Enabled = &spec.Enabled
		}
		for _, level := range spec.Levels {
			w.Levels = append(w.Levels, writtenLevel{After: Span(level.AfterMinutes), Channels: level.Channels, Repeat: level.Repeat, Every: spanOrNone(level.EveryMinutes)})
		}
		file.Policies = append(file.Policies, w)
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(file); err != nil {
		return nil, fmt.Errorf("write policies: %w", err)
	}
	return out.Bytes(), nil
}

func spanOrNone(minutes int) string {
	if minutes == 0 {
		return ""
	}
	return Span(minutes)
}
