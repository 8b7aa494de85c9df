package settings

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// What the worker needs to hear what people press in Slack. Each secret may stand in a file instead, which
// the variable with _FILE behind its name names.
const (
	SlackSigningSecret = "ONEVAULT_SLACK_SIGNING_SECRET" // presses come to the API by HTTP
	SlackAppToken      = "ONEVAULT_SLACK_APP_TOKEN"      // presses come by Socket Mode
	SlackPeople        = "ONEVAULT_SLACK_PEOPLE"         // U0123456789=dana, U0987654321=kim
)

// Secret is the value of a variable, or the content of the file that the variable NAME_FILE names. Both at
// once, a file that cannot be read and an empty one are errors; neither is none.
func (v Values) Secret(name string) (string, error) {
	value, path := strings.TrimSpace(v.Get(name)), v.Get(name+"_FILE")
	switch {
	case path == "":
		return value, nil
	case value != "":
		return "", fmt.Errorf("%s and %s_FILE are both set: remove one", name, name)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s_FILE: %w", name, err)
	}
	if value = strings.TrimSpace(string(text)); value == "" {
		return "", fmt.Errorf("%s_FILE: %s is empty", name, path)
	}
	return value, nil
}

var slackAccount = regexp.MustCompile(`^[UW][A-Z0-9]{6,}$`)

// ParseSlackPeople reads whose the accounts are: U0123456789=dana, separated by commas or line breaks.
func ParseSlackPeople(text string) (map[string]string, error) {
	people := map[string]string{}
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		id, name, _ := strings.Cut(part, "=")
		id, name = strings.TrimSpace(id), strings.TrimSpace(name)
		if !slackAccount.MatchString(id) || name == "" || len([]rune(name)) > 100 {
			return nil, fmt.Errorf("%s holds %q: write member ids with their people, such as U0123456789=dana, separated by commas", SlackPeople, part)
		}
		people[id] = name
	}
	return people, nil
}
