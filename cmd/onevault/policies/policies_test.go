package policies_test

import (
	"reflect"
	"strings"
	"testing"

	"onevault/alert"
	"onevault/cmd/onevault/policies"
	"onevault/vault"
)

const ladder = `version: 1
policies:
  - key: ONCALL
    name: On call
    default_for: [CRITICAL]
    levels:
      - channels: [SLACK]
      - after: 15m
        channels: [PAGER, BOSS]
        repeat: 2
        every: 5m
      - after: 1h
    repeat: 3
    every: 2h
`

func TestParse_ReadsAndWritesTheSame(t *testing.T) {
	t.Parallel()
	file, problems := policies.Parse([]byte(ladder))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := vault.PolicySpec{
		Key: "ONCALL", Name: "On call", Enabled: true, DefaultFor: []string{"CRITICAL"}, RepeatTimes: 3, RepeatEvery: 120,
		Levels: []alert.Level{
			{Channels: []string{"SLACK"}}, {AfterMinutes: 15, Channels: []string{"PAGER", "BOSS"}, Repeat: 2, EveryMinutes: 5}, {AfterMinutes: 60},
		},
	}
	if len(file) != 1 || !reflect.DeepEqual(file[0].PolicySpec, want) || file[0].Line != 3 {
		t.Fatalf("read %+v", file)
	}
	disabled := want
	disabled.Key, disabled.Enabled = "OTHER", false
	for _, specs := range [][]vault.PolicySpec{{}, {want}, {want, disabled}} {
		text, err := policies.Write(specs)
		if err != nil {
			t.Fatal(err)
		}
		back, problems := policies.Parse(text)
		if len(problems) > 0 || len(back) != len(specs) {
			t.Fatalf("%v in\n%s", problems, text)
		}
		for i, p := range back {
			if !reflect.DeepEqual(p.PolicySpec, specs[i]) {
				t.Errorf("wrote %+v, read %+v", specs[i], p.PolicySpec)
			}
		}
	}
}

func TestParse_SaysWhereAndWhatToDo(t *testing.T) {
	t.Parallel()
	for old, c := range map[string]struct {
		now, field, says string
		line             int
	}{
		"key: ONCALL":         {"key: ON CALL", "key", "letters", 3},
		"name: On call":       {"nam: On call", "nam", `"name"`, 4},
		"after: 15m":          {"after: 15", "levels[1].after", "15m", 8},
		"after: 1h":           {"channels: [SLACK]", "levels[2].after", "after: 15m", 12},
		"[PAGER, BOSS]":       {"[PAGER, PAGER]", "levels[1].channels", "list", 9},
		"repeat: 2":           {"repeat: often", "levels[1].repeat", "2", 10},
		"every: 2h":           {"every: -2h", "every", "30m", 14},
		"repeat: 3":           {"repaet: 3", "repaet", `"repeat"`, 13},
		"- channels: [SLACK]": {"- chanels: [SLACK]", "levels[0].chanels", `"channels"`, 7},
		"version: 1":          {"version: 2", "version", "version: 1", 1},
		"policies:":           {"policy:", "policy", `"policies"`, 2},
	} {
		_, problems := policies.Parse([]byte(strings.Replace(ladder, old, c.now, 1)))
		found := false
		for _, p := range problems {
			found = found || p.Field == c.field && p.Line == c.line && strings.Contains(p.Text+" "+p.Remedy, c.says)
		}
		if !found {
			t.Errorf("%s: %+v, want line %d, %s, %q", c.now, problems, c.line, c.field, c.says)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(ladder))
	f.Add([]byte("version: 1\npolicies: [{key: A, name: B, levels: [{}]}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, problems := policies.Parse(text)
		if len(problems) > 0 {
			return
		}
		specs := make([]vault.PolicySpec, len(file))
		for i, p := range file {
			specs[i] = p.PolicySpec
		}
		written, err := policies.Write(specs)
		if err != nil {
			t.Fatal(err)
		}
		if _, problems := policies.Parse(written); len(problems) > 0 {
			t.Errorf("%v in\n%s", problems, written)
		}
	})
}
