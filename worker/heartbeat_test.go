package worker

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"onevault/workflows"
)

func TestHeartbeatSchedule_IsThereOnlyWhereSomebodyListens(t *testing.T) {
	t.Parallel()
	beats := func(c Config) []client.ScheduleOptions {
		var found []client.ScheduleOptions
		for _, options := range (&parts{config: c.withDefaults()}).schedules() {
			if options.ID == HeartbeatSchedule {
				found = append(found, options)
			}
		}
		return found
	}
	if found := beats(Config{}); len(found) != 0 {
		t.Errorf("without a watcher: %+v", found)
	}
	for every, want := range map[time.Duration]time.Duration{0: time.Minute, 2 * time.Second: 2 * time.Second} {
		found := beats(Config{HeartbeatURL: "https://watcher.example.com/s3cr3t-t0ken", HeartbeatEvery: every})
		if len(found) != 1 || found[0].Spec.Intervals[0].Every != want {
			t.Fatalf("every %s: %+v", every, found)
		}
		// What a schedule starts stands in Temporal, where everybody reads it.
		if action := found[0].Action.(*client.ScheduleWorkflowAction); action.Workflow != workflows.HeartbeatWorkflowName || len(action.Args) != 0 {
			t.Errorf("it starts %+v", action)
		}
	}
}

func TestConfig_RefusesAHeartbeatThatCannotWorkWithoutRepeatingItsAddress(t *testing.T) {
	t.Parallel()
	fine := Config{DatabaseURL: "postgres://u@h/x", HeartbeatURL: "https://watcher.example.com/s3cr3t-t0ken"}
	if err := fine.Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Config){
		"ONEVAULT_HEARTBEAT_URL: it is not a URL": func(c *Config) { c.HeartbeatURL = "watcher/s3cr3t-t0ken" },
		"ONEVAULT_ALLOWED_CIDRS":                  func(c *Config) { c.HeartbeatURL = "https://10.0.0.1/s3cr3t-t0ken" },
		"ONEVAULT_HEARTBEAT_EVERY is 1ms":         func(c *Config) { c.HeartbeatEvery = time.Millisecond },
	} {
		c := fine
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := &parts{config: fine, log: slog.New(slog.DiscardHandler)}
	if beats := p.heartbeats(); beats.Watcher == nil || strings.Contains(beats.Watcher.String(), "s3cr3t") {
		t.Errorf("watcher %v", beats.Watcher)
	}
}
