package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecret_NoVerbPrintsIt(t *testing.T) {
	t.Parallel()
	const value = "hunter2hunter2"
	ref := secretRef{field: "webhook_url", inline: value, present: true}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		for _, printed := range []any{secret(value), ref, &ref, []secret{value}, []secretRef{ref}} {
			text := fmt.Sprintf(verb, printed)
			if strings.Contains(text, value) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", value)) {
				t.Errorf("%s of %T printed %q", verb, printed, text)
			}
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("said", "secret", secret(value), "ref", fmt.Sprint(ref))
	text, err := json.Marshal(map[string]any{"secret": secret(value)})
	if err != nil || strings.Contains(string(text)+log.String(), value) {
		t.Errorf("marshalled %s, logged %s, %v", text, log.String(), err)
	}
}
