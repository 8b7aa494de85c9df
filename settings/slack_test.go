package settings

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseSlackPeople(t *testing.T) {
	t.Parallel()
	got, err := ParseSlackPeople(" U0123456789=dana, W0987654321 = Kim Lee \n")
	want := map[string]string{"U0123456789": "dana", "W0987654321": "Kim Lee"}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for _, wrong := range []string{"dana", "dana=U0123456789", "U0123456789=", "@dana=dana"} {
		if _, err := ParseSlackPeople(wrong); err == nil || !strings.Contains(err.Error(), SlackPeople) || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%q: %v, want an error that names the variable and the value", wrong, err)
		}
	}
}

func TestSecret_StandsInTheVariableOrInAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("of the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		values     Values
		want, says string
	}{
		{Values{}, "", ""},
		{Values{"X": " plain "}, "plain", ""},
		{Values{"X_FILE": path}, "of the file", ""},
		{Values{"X": "plain", "X_FILE": path}, "", "both set"},
		{Values{"X_FILE": empty}, "", "is empty"},
		{Values{"X_FILE": path + "-none"}, "", "X_FILE"},
	} {
		got, err := c.values.Secret("X")
		if got != c.want || (err == nil) != (c.says == "") {
			t.Errorf("%v: %q, %v; want %q and %q", c.values, got, err, c.want, c.says)
		}
		if err != nil && (!strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "plain")) {
			t.Errorf("%v: %v, want %q without the secret", c.values, err, c.says)
		}
	}
}
