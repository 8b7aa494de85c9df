package notify

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"onevault/alert"
)

// TestDocs_TheExamplesOfThePageAreGood: what docs/channels.md shows can be copied.
func TestDocs_TheExamplesOfThePageAreGood(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/channels.md")
	if err != nil {
		t.Fatal(err)
	}
	configuration := regexp.MustCompile(`'(\{"bot_token_env".*\})'`).FindSubmatch(page)
	templates := regexp.MustCompile("(?s)```json\n(.*?)```").FindSubmatch(page)
	if configuration == nil || templates == nil {
		t.Fatal("the page shows no configuration, or no templates")
	}
	cfg := withTemplates(TypeSlack, string(configuration[1]), string(templates[1]))
	if found := Lint(cfg); len(found) > 0 {
		t.Errorf("Lint finds %v", found)
	}
	for _, event := range Events() {
		text, err := Preview(cfg, Sample(event))
		if err != nil || strings.Contains(text, "cannot be used") {
			t.Errorf("%s: %s %v", event, text, err)
		}
	}
	for name := range templateData(newPage(Sample(alert.EventFired)), Sample(alert.EventFired)) {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("the page does not name %s", name)
		}
	}
}
