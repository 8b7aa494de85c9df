package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// The page that says which story shows which promise names stories that there are.
func TestStories_ThatThePageNamesExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "docs", "stories.md"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?m)^func (Test\w+)\(t `).FindAllSubmatch(text, -1) {
			told = append(told, string(found[1]))
		}
	}
	named := regexp.MustCompile("`(Test\\w+_\\w+)`").FindAllSubmatch(page, -1)
	if len(named) < 20 {
		t.Errorf("the page names %d stories", len(named))
	}
	for _, found := range named {
		if name := string(found[1]); !slices.Contains(told, name) {
			t.Errorf("docs/stories.md names %s, which there is not", name)
		}
	}
}
