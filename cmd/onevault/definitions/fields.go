package definitions

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"onevault/cmd/onevault/yamlfile"
	"onevault/vault"
)

// field is one line of a definition: its name in the file, how it is read, written, described and shown.
type field struct {
	name     string
	about    string
	example  string
	required bool
	schema   map[string]any
	read     func(*yaml.Node, *vault.DefinitionSpec) (remedy string, err error)
	write    func(vault.DefinitionSpec) *yaml.Node // nil: it is left out
	show     func(vault.DefinitionSpec) string
}

// defaults are what a definition says where its file says nothing: those of the table.
func defaults() vault.DefinitionSpec {
	return vault.DefinitionSpec{
		Enabled: true, Source: "system_health", EveryMinutes: 5, LookbackMinutes: 10, SuppressMinutes: 60, NoData: "NO_DATA", NoDataMinutes: 15,
		FireLooks: 1, OfLooks: 1, FlapCount: 4, FlapMinutes: 30,
	}
}

type spec = vault.DefinitionSpec

// fields are in the order in which a file is written.
var fields = []field{
	withPattern(text("key", "The name that never changes; the alert's workflow is called alert/<target>/<key>", "PG_REPLICATION_LAG", true, func(d *spec) *string { return &d.Key })),
	text("name", "What people read on a telephone", "Replication Lag", true, func(d *spec) *string { return &d.Name }),
	text("description", "What it means that the condition holds", "A replica is more than 30 s behind", false, func(d *spec) *string { return &d.Description }),
	word("category", "Which channels hear it; the channels filter on it", []string{"PERFORMANCE", "SECURITY", "BACKUP", "CAPACITY", "COMPLIANCE", "EXTERNAL"}, true, false, func(d *spec) *string { return &d.Category }),
	word("severity", "How urgent it is", []string{"LOW", "MEDIUM", "HIGH", "CRITICAL"}, true, true, func(d *spec) *string { return &d.Severity }),
	yesNo("enabled", "Whether it is evaluated at all", true, func(d *spec) *bool { return &d.Enabled }),
	text("source", "Where the values of the condition come from: a metric_source of monitoring.condition_identifier", "system_health", false, func(d *spec) *string { return &d.Source }),
	text("sql", "Of the source sql, where it is switched on: one SELECT over the views of monitoring_sql that yields one number or boolean, which the conditions call value; $1 is the target", "SELECT count(*) FROM alerts WHERE target_name = $1", false, func(d *spec) *string { return &d.SQL }),
	text("condition", "When it fires; see docs/conditions.md", "replication_lag_s > threshold_value", true, func(d *spec) *string { return &d.Condition }),
	text("clear", "When an open alert is over; without it, when the condition is false", "replication_lag_s < 10", false, func(d *spec) *string { return &d.Clear }),
	number("threshold", "What threshold_value is in the conditions", func(d *spec) *string { return &d.Threshold }),
	word("operator", "How the value compares to the threshold, for messages", []string{">", "<", "=", "!=", ">=", "<="}, false, true, func(d *spec) *string { return &d.Operator }),
	minutes("every", "How often it is looked at", 1, 5, func(d *spec) *int { return &d.EveryMinutes }),
	minutes("lookback", "How old a measurement may be to count as present", 1, 10, func(d *spec) *int { return &d.LookbackMinutes }),
	minutes("pending", "How long the condition must hold before the alert opens", 0, 0, func(d *spec) *int { return &d.PendingMinutes }),
	minutes("clear_for", "How long it must have cleared before the alert ends", 0, 0, func(d *spec) *int { return &d.ClearMinutes }),
	minutes("suppress", "How long after an opening a new firing calls nobody", 0, 60, func(d *spec) *int { return &d.SuppressMinutes }),
	word("no_data", "What missing data means: NO_DATA and KEEP change nothing, ALERT fires, OK counts as false", []string{"NO_DATA", "ALERT", "OK", "KEEP"}, false, true, func(d *spec) *string { return &d.NoData }),
	minutes("no_data_after", "How long data must be missing before ALERT fires", 0, 15, func(d *spec) *int { return &d.NoDataMinutes }),
	count("fire_looks", "How many of the last of_looks looks must be true before the alert opens; looks without data count as neither", 1, 100, 1, func(d *spec) *int { return &d.FireLooks }),
	count("of_looks", "Among how many looks fire_looks are counted", 1, 100, 1, func(d *spec) *int { return &d.OfLooks }),
	minutes("min_open", "How long the alert stays open at least; people may resolve it at any time", 0, 0, func(d *spec) *int { return &d.MinOpenMinutes }),
	minutes("reopen", "How long after its condition cleared a new firing continues the same alert", 0, 0, func(d *spec) *int { return &d.ReopenMinutes }),
	count("flap_count", "With which opening within flap_window the alert is called flapping: told once, and open until it is stable; 0: never", 0, 100, 4, func(d *spec) *int { return &d.FlapCount }),
	minutes("flap_window", "In how long flap_count openings are counted, and how long a flapping alert must be stable", 1, 30, func(d *spec) *int { return &d.FlapMinutes }),
	list("alert_by", "The labels by which it alerts: each set of their values, such as each slot, that is over the line has an alert of its own; without it one alert for the target", "[slot]",
		func(d *spec) *[]string { return &d.AlertBy }),
	yesNo("auto_resolve", "Whether the cleared condition ends the alert, or a person must", false, func(d *spec) *bool { return &d.AutoResolve }),
	minutes("escalate_after", "After how long without an answer everybody is told again; without it never", 1, 0, func(d *spec) *int { return &d.EscalateMinutes }),
	text("policy", "The escalation policy that it follows; without it the default of its severity, or without one escalate_after", "ONCALL", false, func(d *spec) *string { return &d.Policy }),
	channels(),
	text("runbook", "One line for whoever is paged: what it means, what to look at, what to do", "Look: pg_stat_replication. Do: ...", false, func(d *spec) *string { return &d.Runbook }),
	text("runbook_url", "Where the longer text is", "https://wiki.example.com/lag", false, func(d *spec) *string { return &d.RunbookURL }),
}

func fieldNamed(name string) (field, bool) {
	at := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
	if at < 0 {
		return field{}, false
	}
	return fields[at], true
}

func fieldNames() []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

var (
	keyPattern    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:-]*$`)
	numberPattern = regexp.MustCompile(`^[+-]?\d+(\.\d+)?$`)
	spanPattern   = regexp.MustCompile(`^(\d+)(m|h|d)$`)
)

// withPattern bounds the key: it is a part of workflow ids, and of what people type.
func withPattern(f field) field {
	read := f.read
	f.schema["pattern"] = keyPattern.String()
	f.schema["maxLength"] = 100
	f.read = func(node *yaml.Node, d *vault.DefinitionSpec) (string, error) {
		if remedy, err := read(node, d); err != nil {
			return remedy, err
		}
		if !keyPattern.MatchString(d.Key) || len(d.Key) > 100 {
			return "use at most 100 letters, digits and _ . : -", fmt.Errorf("is %q", d.Key)
		}
		return "", nil
	}
	return f
}

func scalar(node *yaml.Node) (string, error) {
	if node.Kind != yaml.ScalarNode {
		return "", fmt.Errorf("is %s, not one value", yamlfile.Kind(node))
	}
	if node.Tag == "!!null" {
		return "", errors.New("is empty")
	}
	return node.Value, nil
}

func text(name, about, example string, required bool, of func(*spec) *string) field {
	return field{
		name: name, about: about, example: example, required: required, schema: map[string]any{"type": "string"},
		read: func(node *yaml.Node, d *spec) (string, error) {
			value, err := scalar(node)
			if err == nil && strings.TrimSpace(value) == "" {
				err = errors.New("is empty")
			}
			if err != nil {
				return "write a text, or leave the line out", err
			}
			*of(d) = value
			return "", nil
		},
		write: func(d spec) *yaml.Node {
			if *of(&d) == "" {
				return nil
			}
			return textNode(*of(&d))
		},
		show: func(d spec) string { return *of(&d) },
	}
}

// textNode quotes what readers of YAML would take for something else; the encoder knows what.
func textNode(value string) *yaml.Node {
	node := &yaml.Node{}
	node.SetString(value)
	return node
}

// word is one of a few; fixed says that no other can ever be right.
func word(name, about string, words []string, required, fixed bool, of func(*spec) *string) field {
	f := text(name, about, words[0], required, of)
	f.schema = map[string]any{"enum": words}
	if !fixed {
		f.schema = map[string]any{"type": "string", "examples": words}
	}
	read := f.read
	f.read = func(node *yaml.Node, d *spec) (string, error) {
		if remedy, err := read(node, d); err != nil {
			return remedy, err
		}
		if value := *of(d); fixed && !slices.Contains(words, value) {
			return suggestWord(value, words), fmt.Errorf("is %q", value)
		}
		return "", nil
	}
	return f
}

func suggestWord(value string, words []string) string {
	if i := slices.IndexFunc(words, func(w string) bool { return strings.EqualFold(w, value) }); i >= 0 {
		return "write " + words[i]
	}
	return "use one of " + strings.Join(words, ", ")
}

func yesNo(name, about string, standard bool, of func(*spec) *bool) field {
	return field{
		name: name, about: about, example: strconv.FormatBool(standard), schema: map[string]any{"type": "boolean", "default": standard},
		read: func(node *yaml.Node, d *spec) (string, error) {
			if node.Kind != yaml.ScalarNode || node.Tag != "!!bool" {
				return "write true or false", fmt.Errorf("is %s", yamlfile.Kind(node))
			}
			*of(d) = strings.EqualFold(node.Value, "true")
			return "", nil
		},
		write: func(d spec) *yaml.Node {
			if *of(&d) == standard {
				return nil
			}
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(*of(&d))}
		},
		show: func(d spec) string { return strconv.FormatBool(*of(&d)) },
	}
}

func number(name, about string, of func(*spec) *string) field {
	return field{
		name: name, about: about, example: "30", schema: map[string]any{"type": "number"},
		read: func(node *yaml.Node, d *spec) (string, error) {
			value, err := scalar(node)
			if err == nil && !numberPattern.MatchString(value) {
				err = fmt.Errorf("is %q", value)
			}
			if err != nil {
				return "write a decimal number, without a unit, such as 30 or 0.5", err
			}
			*of(d) = plainNumber(value)
			return "", nil
		},
		write: func(d spec) *yaml.Node {
			if *of(&d) == "" {
				return nil
			}
			return &yaml.Node{Kind: yaml.ScalarNode, Value: *of(&d)}
		},
		show: func(d spec) string { return *of(&d) },
	}
}

// count is a whole number between two bounds.
func count(name, about string, least, most, standard int, of func(*spec) *int) field {
	return field{
		name: name, about: about, example: strconv.Itoa(standard),
		schema: map[string]any{"type": "integer", "minimum": least, "maximum": most, "default": standard},
		read: func(node *yaml.Node, d *spec) (string, error) {
			value, err := scalar(node)
			if err == nil {
				if n, wrong := strconv.Atoi(value); wrong == nil && n >= least && n <= most {
					*of(d) = n
					return "", nil
				}
				err = fmt.Errorf("is %q", value)
			}
			return fmt.Sprintf("write a whole number from %d to %d", least, most), err
		},
		write: func(d spec) *yaml.Node {
			if *of(&d) == standard {
				return nil
			}
			return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.Itoa(*of(&d))}
		},
		show: func(d spec) string { return strconv.Itoa(*of(&d)) },
	}
}

// plainNumber is the number as the vault writes it: 030.50 is 30.5.
func plainNumber(text string) string {
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign = "-"
	}
	whole, fraction, _ := strings.Cut(strings.TrimLeft(text, "+-"), ".")
	whole, fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	if whole == "" {
		whole = "0"
	}
	if fraction != "" {
		return sign + whole + "." + fraction
	}
	if whole == "0" {
		return "0"
	}
	return sign + whole
}

func minutes(name, about string, least, standard int, of func(*spec) *int) field {
	return field{
		name: name, about: about, example: "15m", schema: map[string]any{"type": "string", "pattern": spanPattern.String()},
		read: func(node *yaml.Node, d *spec) (string, error) {
			remedy := fmt.Sprintf("write whole minutes, hours or days, at least %s: 15m, 2h, 1d", span(least))
			value, err := scalar(node)
			if err != nil {
				return remedy, err
			}
			parts := spanPattern.FindStringSubmatch(value)
			if parts == nil {
				return remedy, fmt.Errorf("is %q", value)
			}
			n, err := strconv.Atoi(parts[1])
			n *= map[string]int{"m": 1, "h": 60, "d": 1440}[parts[2]]
			if err != nil || n < least || n > 525600 {
				return remedy + ", at most 365d", fmt.Errorf("is %q", value)
			}
			*of(d) = n
			return "", nil
		},
		write: func(d spec) *yaml.Node {
			if *of(&d) == standard {
				return nil
			}
			return &yaml.Node{Kind: yaml.ScalarNode, Value: span(*of(&d))}
		},
		show: func(d spec) string {
			if name == "escalate_after" && *of(&d) == 0 {
				return ""
			}
			return span(*of(&d))
		},
	}
}

// span is a number of minutes in its largest whole unit.
func span(minutes int) string {
	switch {
	case minutes > 0 && minutes%1440 == 0:
		return strconv.Itoa(minutes/1440) + "d"
	case minutes > 0 && minutes%60 == 0:
		return strconv.Itoa(minutes/60) + "h"
	}
	return strconv.Itoa(minutes) + "m"
}

func channels() field {
	return list("channels", "Only these channels, or channels of these types, hear it; without it every channel whose filters match", "[EMAIL, ONCALL_SLACK]",
		func(d *spec) *[]string { return &d.Channels })
}

// list is a list of texts, each once.
func list(name, about, example string, of func(*spec) *[]string) field {
	return field{
		name: name, about: about, example: example,
		schema: map[string]any{"type": "array", "items": map[string]any{"type": "string"}, "uniqueItems": true},
		read: func(node *yaml.Node, d *spec) (string, error) {
			remedy := "write a list: " + example
			if node.Kind != yaml.SequenceNode {
				return remedy, fmt.Errorf("is %s", yamlfile.Kind(node))
			}
			*of(d) = nil
			for _, item := range node.Content {
				value, err := scalar(yamlfile.Resolve(item))
				if err != nil {
					return remedy, fmt.Errorf("holds what %w", err)
				}
				if slices.Contains(*of(d), value) {
					return "take one of them out", fmt.Errorf("holds %q twice", value)
				}
				*of(d) = append(*of(d), value)
			}
			return "", nil
		},
		write: func(d spec) *yaml.Node {
			if len(*of(&d)) == 0 {
				return nil
			}
			node := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
			for _, c := range *of(&d) {
				node.Content = append(node.Content, textNode(c))
			}
			return node
		},
		show: func(d spec) string { return strings.Join(*of(&d), ", ") },
	}
}
