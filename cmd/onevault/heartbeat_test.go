package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"onevault/settings"
)

func TestWorker_ReadsWhereTheHeartbeatGoes(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "heartbeat")
	if err := os.WriteFile(file, []byte("https://watcher.example.com/from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		values settings.Values
		want   string
	}{
		"none":     {settings.Values{}, ""},
		"variable": {settings.Values{settings.HeartbeatURL: "https://watcher.example.com/x"}, "https://watcher.example.com/x"},
		"file":     {settings.Values{settings.HeartbeatURLFile: file}, "https://watcher.example.com/from-file"},
	} {
		if address, _, err := settings.ReadHeartbeat(c.values.Get); err != nil || address != c.want {
			t.Errorf("%s: %q, %v", name, address, err)
		}
	}
	environment := []string{settings.DatabaseURL + "=postgres://u@127.0.0.1:1/x"}
	for want, add := range map[string][]string{
		"are both set: keep one":            {settings.HeartbeatURL + "=https://a.example.com/s3cr3t", settings.HeartbeatURLFile + "=" + file},
		"ONEVAULT_HEARTBEAT_URL_FILE: open": {settings.HeartbeatURLFile + "=/nowhere/heartbeat"},
		"is empty":                          {settings.HeartbeatURLFile + "=/dev/null"},
		"ONEVAULT_HEARTBEAT_EVERY is \"x\"": {settings.HeartbeatEvery + "=x"},
		"it is not a URL":                   {settings.HeartbeatURL + "=watcher/s3cr3t"},
	} {
		got := process(t, append(add, environment...), "worker")
		got.wants(t, exitUsage, want)
		if strings.Contains(got.out+got.err, "s3cr3t") {
			t.Errorf("the address is shown: %s", got.err)
		}
	}
}
