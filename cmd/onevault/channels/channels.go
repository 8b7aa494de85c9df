// Package channels is the file in which people keep notification channels: YAML with the names of the columns. It knows
// the form of a file; whether a configuration could deliver is the vault's word, and the channel's. It reads no disk.
package channels

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"

	"onevault/cmd/onevault/yamlfile"
	"onevault/vault"
)

// Version is the form of the file that this build reads.
const Version = 1

// Channel is one of a file, with the line at which it begins.
type Channel struct {
	vault.ChannelSpec
	Line int
}

// Parse reads a file. With problems there are no channels: half a file is none.
func Parse(text []byte) ([]Channel, []yamlfile.Problem) {
	p := &parser{seen: map[string]int{}}
	for _, node := range p.List(text, Version, "channels") {
		p.channel(node)
	}
	if len(p.Problems) > 0 {
		return nil, p.Problems
	}
	return p.channels, nil
}

type parser struct {
	yamlfile.Reader
	channels []Channel
	seen     map[string]int // lines of keys
}

var (
	fields = []string{
		"key", "name", "type", "enabled", "configuration", "recipient_groups", "severity_filter", "category_filter", "time_restrictions",
		"rate_limit_per_hour", "delivery_confirmation_required", "retry_attempts", "retry_delay_seconds",
	}
	types      = []string{"EMAIL", "SLACK", "SMS", "VOICE", "WEBHOOK", "PAGERDUTY"}
	keyPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$`)
)

func (p *parser) channel(node *yaml.Node) {
	if node.Kind != yaml.MappingNode {
		p.Problem(node.Line, "", "", "begin it with `- key: NAME`", "a channel is %s, not a mapping", yamlfile.Kind(node))
		return
	}
	limit := vault.DefaultRateLimit
	channel := Channel{ChannelSpec: vault.ChannelSpec{
		Enabled: true, RateLimitPerHour: &limit, RetryAttempts: vault.DefaultRetryAttempts, RetryDelaySeconds: vault.DefaultRetryDelaySeconds,
	}, Line: node.Line}
	entries := p.Entries(node)
	for _, e := range entries {
		if e.Name == "key" {
			channel.Key = e.Value.Value
		}
	}
	for _, e := range entries {
		p.field(&channel, e)
	}
	for _, field := range []string{"key", "name", "type", "configuration"} {
		if !slices.ContainsFunc(entries, func(e yamlfile.Entry) bool { return e.Name == field }) {
			p.Problem(node.Line, channel.Key, field, "every channel has a key, a name, a type and a configuration", "missing")
		}
	}
	if first := p.seen[channel.Key]; channel.Key != "" && first > 0 {
		p.Problem(node.Line, channel.Key, "key", "give each channel a key of its own", "is that of the channel in line %d, too", first)
	}
	p.seen[channel.Key] = node.Line
	p.channels = append(p.channels, channel)
}

func (p *parser) field(c *Channel, e yamlfile.Entry) {
	var (
		remedy string
		err    error
	)
	switch e.Name {
	case "key":
		if c.Key, err = yamlfile.Word(e.Value); err == nil && !keyPattern.MatchString(c.Key) {
			err = fmt.Errorf("is %q", c.Key)
		}
		remedy = "use at most 100 letters, digits and _ . : -"
	case "name":
		c.Name, err = yamlfile.Word(e.Value)
		remedy = "write what people call it"
	case "type":
		if c.Type, err = yamlfile.Word(e.Value); err == nil && !slices.Contains(types, c.Type) {
			err = fmt.Errorf("is %q", c.Type)
		}
		remedy = "use EMAIL, SLACK, SMS, VOICE, WEBHOOK or PAGERDUTY"
	case "enabled":
		c.Enabled, err = yamlfile.Bool(e.Value)
		remedy = "write true or false"
	case "configuration":
		c.Configuration, err = object(e.Value)
		remedy = "write the fields of the type below it, see docs/channels.md"
	case "time_restrictions":
		c.TimeRestrictions, err = object(e.Value)
		remedy = "write a mapping with windows, see docs/contacts.md"
	case "recipient_groups":
		c.RecipientGroups, err = yamlfile.SomeWords(e.Value)
		remedy = "write a list of groups: [ONCALL]"
	case "severity_filter":
		c.SeverityFilter, err = yamlfile.SomeWords(e.Value)
		remedy = "write a list of severities: [CRITICAL, HIGH]"
	case "category_filter":
		c.CategoryFilter, err = yamlfile.SomeWords(e.Value)
		remedy = "write a list of categories: [PERFORMANCE]"
	case "rate_limit_per_hour":
		var n int
		if n, err = yamlfile.Count(e.Value); err == nil {
			c.RateLimitPerHour = &n
		}
		remedy = "write how many messages one recipient gets within an hour, 0 for no limit"
	case "delivery_confirmation_required":
		c.DeliveryConfirmation, err = yamlfile.Bool(e.Value)
		remedy = "write true or false"
	case "retry_attempts":
		c.RetryAttempts, err = yamlfile.Count(e.Value)
		remedy = "write how often it is tried once more: 3"
	case "retry_delay_seconds":
		c.RetryDelaySeconds, err = yamlfile.Count(e.Value)
		remedy = "write how many seconds lie between two attempts: 300"
	default:
		err, remedy = errors.New("unknown field"), yamlfile.Suggest(e.Name, fields)
	}
	if err != nil {
		p.Problem(e.Value.Line, c.Key, e.Name, remedy, "%v", err)
	}
}

// object is a mapping as JSON.
func object(node *yaml.Node) (json.RawMessage, error) {
	if node.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("is %s, not a mapping", yamlfile.Kind(node))
	}
	var value map[string]any
	if err := node.Decode(&value); err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("is no JSON: %w", err)
	}
	return text, nil
}
