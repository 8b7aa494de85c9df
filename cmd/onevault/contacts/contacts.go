// Package contacts is the file in which people keep whom to tell: contacts, and the groups by which channels name them.
// It knows the form of a file; whether an address or a time zone is one is the vault's word. It reads no disk.
package contacts

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"onevault/cmd/onevault/yamlfile"
	"onevault/vault"
)

// Version is the form of the file that this build reads and writes.
const Version = 1

// File is what a file says, with the line at which each contact and group begins.
type File struct {
	Contacts []vault.ContactSpec
	Groups   []vault.GroupSpec
	Lines    map[string]int // by key; a group's wins over a contact's of the same key
}

// Parse reads a file. With problems there is nothing: half a file is none.
func Parse(text []byte) (File, []yamlfile.Problem) {
	p := &parser{file: File{Lines: map[string]int{}}}
	lists := p.Lists(text, Version, "contacts", "groups")
	for _, node := range lists["contacts"] {
		p.contact(node)
	}
	for _, node := range lists["groups"] {
		p.group(node)
	}
	if len(p.Problems) > 0 {
		return File{}, p.Problems
	}
	return p.file, nil
}

type parser struct {
	yamlfile.Reader
	file File
}

var (
	contactFields = []string{"key", "name", "email", "phone", "slack", "pagerduty", "time_zone", "quiet", "prefers", "enabled"}
	groupFields   = []string{"key", "members"}
	keyPattern    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$`)
	quietPattern  = regexp.MustCompile(`^(([01]\d|2[0-3]):[0-5]\d)-(([01]\d|2[0-3]):[0-5]\d)$`)
)

// entries are the fields of an item and its key.
func (p *parser) entries(node *yaml.Node, what string) (entries []yamlfile.Entry, key string, ok bool) {
	if node.Kind != yaml.MappingNode {
		p.Problem(node.Line, "", "", "begin it with `- key: NAME`", "a %s is %s, not a mapping", what, yamlfile.Kind(node))
		return nil, "", false
	}
	entries = p.Entries(node)
	at := slices.IndexFunc(entries, func(e yamlfile.Entry) bool { return e.Name == "key" })
	if at < 0 || !keyPattern.MatchString(entries[at].Value.Value) {
		p.Problem(node.Line, "", "key", "give a key of at most 100 letters, digits and _ . : -", "missing, or no key")
		return nil, "", false
	}
	return entries, entries[at].Value.Value, true
}

func (p *parser) contact(node *yaml.Node) {
	entries, key, ok := p.entries(node, "contact")
	if !ok {
		return
	}
	c := vault.ContactSpec{Key: key, Enabled: true, TimeZone: "UTC"}
	named := false
	for _, e := range entries {
		var (
			remedy = "write a text, or leave the line out"
			err    error
		)
		switch e.Name {
		case "key":
		case "name":
			named = true
			c.Name, err = yamlfile.Word(e.Value)
			remedy = "write the person's name"
		case "email":
			c.Email, err = yamlfile.Word(e.Value)
		case "phone":
			c.Phone, err = yamlfile.Word(e.Value)
			if err == nil && e.Value.Tag != "!!str" {
				err = fmt.Errorf("is the number %s", e.Value.Value)
			}
			remedy = `write it in quotes and with its country: "+4930123456"`
		case "slack":
			c.Slack, err = yamlfile.Word(e.Value)
		case "pagerduty":
			c.PagerDuty, err = yamlfile.Word(e.Value)
		case "time_zone":
			c.TimeZone, err = yamlfile.Word(e.Value)
			remedy = "write a time zone: Europe/Berlin"
		case "quiet":
			c.QuietFrom, c.QuietUntil, err = quiet(e.Value)
			remedy = "write from when until when, by the person's own clock: 22:00-07:00"
		case "prefers":
			c.Prefers, err = yamlfile.Words(e.Value)
			remedy = "write a list of types of channels in their order: [SMS, EMAIL]"
		case "enabled":
			if e.Value.Tag != "!!bool" {
				err = fmt.Errorf("is %s", yamlfile.Kind(e.Value))
			}
			c.Enabled = strings.EqualFold(e.Value.Value, "true")
			remedy = "write true or false"
		default:
			err, remedy = errors.New("unknown field"), yamlfile.Suggest(e.Name, contactFields)
		}
		if err != nil {
			p.Problem(e.Value.Line, key, e.Name, remedy, "%v", err)
		}
	}
	if !named {
		p.Problem(node.Line, key, "name", "every contact has a key and a name", "missing")
	}
	if slices.ContainsFunc(p.file.Contacts, func(o vault.ContactSpec) bool { return o.Key == key }) {
		p.Problem(node.Line, key, "key", "give each contact a key of its own", "is that of the contact in line %d, too", p.file.Lines[key])
	}
	p.file.Lines[key] = node.Line
	p.file.Contacts = append(p.file.Contacts, c)
}

func (p *parser) group(node *yaml.Node) {
	entries, key, ok := p.entries(node, "group")
	if !ok {
		return
	}
	g := vault.GroupSpec{Key: key, Members: []string{}}
	for _, e := range entries {
		switch e.Name {
		case "key":
		case "members":
			members, err := yamlfile.Words(e.Value)
			if err != nil {
				p.Problem(e.Value.Line, key, e.Name, "write a list of keys of contacts in their order: [dana, robin]", "%v", err)
			}
			g.Members = append(g.Members, members...)
		default:
			p.Problem(e.Value.Line, key, e.Name, yamlfile.Suggest(e.Name, groupFields), "unknown field")
		}
	}
	if slices.ContainsFunc(p.file.Groups, func(o vault.GroupSpec) bool { return o.Key == key }) {
		p.Problem(node.Line, key, "key", "give each group a key of its own", "is that of the group in line %d, too", p.file.Lines[key])
	}
	p.file.Lines[key] = node.Line
	p.file.Groups = append(p.file.Groups, g)
}

func quiet(node *yaml.Node) (from, until string, err error) {
	parts := quietPattern.FindStringSubmatch(strings.ReplaceAll(node.Value, " ", ""))
	if node.Kind != yaml.ScalarNode || parts == nil {
		return "", "", fmt.Errorf("is %s", yamlfile.Kind(node))
	}
	return parts[1], parts[3], nil
}

// What a file says, in the order in which it is written.
type (
	writtenContact struct {
		Key       string   `yaml:"key"`
		Name      string   `yaml:"name"`
		Email     string   `yaml:"email,omitempty"`
		Phone     string   `yaml:"phone,omitempty"`
		Slack     string   `yaml:"slack,omitempty"`
		PagerDuty string   `yaml:"pagerduty,omitempty"`
		TimeZone  string   `yaml:"time_zone"`
		Quiet     string   `yaml:"quiet,omitempty"`
		Prefers   []string `yaml:"prefers,omitempty,flow"`
		Enabled   *bool    `yaml:"enabled,omitempty"`
	}
	writtenGroup struct {
		Key     string   `yaml:"key"`
		Members []string `yaml:"members,flow"`
	}
)

// Write is a file of contacts and groups, in the order given; Parse reads it back to the same.
func Write(contacts []vault.ContactSpec, groups []vault.GroupSpec) ([]byte, error) {
	file := struct {
		Version  int              `yaml:"version"`
		Contacts []writtenContact `yaml:"contacts"`
		Groups   []writtenGroup   `yaml:"groups"`
	}{Version: Version, Contacts: []writtenContact{}, Groups: []writtenGroup{}}
	for _, c := range contacts {
		w := writtenContact{Key: c.Key, Name: c.Name, Email: c.Email, Phone: c.Phone, Slack: c.Slack, PagerDuty: c.PagerDuty, TimeZone: c.TimeZone, Prefers: c.Prefers}
		if c.QuietFrom != "" {
			w.Quiet = c.QuietFrom + "-" + c.QuietUntil
		}
		if !c.Enabled {
			w.Enabled = &c.Enabled
		}
		file.Contacts = append(file.Contacts, w)
	}
	for _, g := range groups {
		file.Groups = append(file.Groups, writtenGroup{g.Key, g.Members})
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(file); err != nil {
		return nil, fmt.Errorf("write contacts: %w", err)
	}
	return out.Bytes(), nil
}
