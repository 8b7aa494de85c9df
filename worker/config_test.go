package worker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"onevault/workflows"
)

func TestConfigValidate_NamesTheSettingAndItsValue(t *testing.T) {
	t.Parallel()
	dana := map[string]string{"U0123456789": "dana"}
	const address = "postgres://onevault:s3cret-word@localhost:5432/onevault"
	for name, c := range map[string]struct {
		config Config
		words  []string // nil: the configuration is fine
	}{
		"only a database":          {Config{DatabaseURL: address}, nil},
		"no database":              {Config{}, []string{"ONEVAULT_DATABASE_URL", "postgres://"}},
		"a queue of its own":       {Config{DatabaseURL: address, TaskQueue: "team/db-1.prod:x"}, nil},
		"a queue with a space":     {Config{DatabaseURL: address, TaskQueue: "my queue"}, []string{"ONEVAULT_TASK_QUEUE", `"my queue"`}},
		"a queue with a new line":  {Config{DatabaseURL: address, TaskQueue: "queue\n"}, []string{"ONEVAULT_TASK_QUEUE", `"queue\n"`}},
		"a queue without end":      {Config{DatabaseURL: address, TaskQueue: strings.Repeat("q", 201)}, []string{"ONEVAULT_TASK_QUEUE"}},
		"the fastest collection":   {Config{DatabaseURL: address, CollectEvery: time.Second}, nil},
		"collection too often":     {Config{DatabaseURL: address, CollectEvery: 999 * time.Millisecond}, []string{"ONEVAULT_COLLECT_EVERY", "999ms", "1s"}},
		"collection backwards":     {Config{DatabaseURL: address, CollectEvery: -time.Minute}, []string{"ONEVAULT_COLLECT_EVERY", "-1m0s"}},
		"the fastest evaluation":   {Config{DatabaseURL: address, EvaluateEvery: time.Second}, nil},
		"evaluation too often":     {Config{DatabaseURL: address, EvaluateEvery: time.Millisecond}, []string{"ONEVAULT_EVALUATE_EVERY", "1ms", "unset"}},
		"evaluation backwards":     {Config{DatabaseURL: address, EvaluateEvery: -time.Second}, []string{"ONEVAULT_EVALUATE_EVERY", "-1s"}},
		"refused for a day":        {Config{DatabaseURL: address, CircuitGiveUp: 24 * time.Hour}, nil},
		"refused for too long":     {Config{DatabaseURL: address, CircuitGiveUp: 25 * time.Hour}, []string{"ONEVAULT_CIRCUIT_GIVE_UP_AFTER", "25h", "1s to 24h"}},
		"a directory for archives": {Config{DatabaseURL: address, ArchiveDir: "/var/lib/onevault/archive"}, nil},
		"archives somewhere":       {Config{DatabaseURL: address, ArchiveDir: "archive"}, []string{"ONEVAULT_ARCHIVE_DIR", `"archive"`, "absolute"}},
		"presses by socket":        {Config{DatabaseURL: address, Slack: SlackConfig{AppToken: "xapp-s3cret-word", People: dana}}, nil},
		"presses by HTTP":          {Config{DatabaseURL: address, APIAddr: ":8080", Slack: SlackConfig{SigningSecret: "s3cret-word", People: dana}}, nil},
		"presses to no listener":   {Config{DatabaseURL: address, Slack: SlackConfig{SigningSecret: "s3cret-word", People: dana}}, []string{"ONEVAULT_SLACK_SIGNING_SECRET", "ONEVAULT_API_ADDR"}},
		"another token":            {Config{DatabaseURL: address, Slack: SlackConfig{AppToken: "xoxb-s3cret-word", People: dana}}, []string{"ONEVAULT_SLACK_APP_TOKEN", "xapp-"}},
		"a public address":         {Config{DatabaseURL: address, PublicURL: "https://onevault.example.com"}, nil},
		"in public without https":  {Config{DatabaseURL: address, PublicURL: "http://onevault.example.com"}, []string{"ONEVAULT_PUBLIC_URL", "https"}},
		"nothing is right but one": {Config{DatabaseURL: address, TaskQueue: "?", CollectEvery: 1}, []string{"ONEVAULT_TASK_QUEUE"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.config.Validate()
			if c.words == nil {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil {
				t.Fatalf("accepted, want an error that says %q", c.words)
			}
			for _, word := range c.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("got %q, want it to say %q", err, word)
				}
			}
			if strings.Contains(err.Error(), "s3cret-word") {
				t.Errorf("the error repeats the password: %v", err)
			}
		})
	}
}

func TestConfig_PrintsNoSecretOfSlack(t *testing.T) {
	t.Parallel()
	c := Config{Slack: SlackConfig{SigningSecret: "s3cret-word", AppToken: "xapp-s3cret-word"}}
	if shown := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(shown, "s3cret-word") {
		t.Errorf("printed %s", shown)
	}
}

func TestConfig_FillsInWhatWasLeftOpen(t *testing.T) {
	t.Parallel()
	c := Config{}.withDefaults()
	if c.TaskQueue != workflows.DefaultTaskQueue || c.CollectEvery != 5*time.Minute || c.EvaluateEvery != 0 {
		t.Errorf("got queue %q, collection every %s, evaluation every %s", c.TaskQueue, c.CollectEvery, c.EvaluateEvery)
	}
	given := Config{TaskQueue: "mine", CollectEvery: time.Minute, EvaluateEvery: time.Second}
	if c := given.withDefaults(); c.TaskQueue != "mine" || c.CollectEvery != time.Minute || c.EvaluateEvery != time.Second {
		t.Errorf("what was given is overwritten: %+v", c)
	}
}
