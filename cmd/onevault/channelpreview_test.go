package main

import (
	"testing"

	"onevault/settings"
)

func TestChannelPreview_ShowsWhatWouldBeSentAndSendsNothing(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	put(t, l, "APP", "SLACK", `{"bot_token_env": "NOT_SET_HERE", "channel": "C0123456789", "templates": {"subject": "{{.Severity}} on {{.Target}}"}}`)
	put(t, l, "WRONG", "EMAIL", `{"smtp_server": "127.0.0.1", "from_address": "a@b.c", "to_addresses": ["d@e.f"], "templates": {"subject": "{{.Titel}}"}}`)
	environment := []string{settings.DatabaseURL + "=" + l.url}
	process(t, environment, "channel", "preview", "APP").wants(t, exitDone, "CRITICAL on pg-prod-3", "High Connection Count", "[Acknowledge]", "[Silence …]")
	process(t, environment, "channel", "preview", "APP", "--event", "resolved", "-o", "json").wants(t, exitDone, `"event": "RESOLVED"`, "resolved by dana")
	process(t, environment, "channel", "preview", "WRONG").wants(t, exitError, "templates", "Titel", "channel WRONG")
	process(t, environment, "channel", "preview", "APP", "--event", "launched").wants(t, exitUsage, "launched", "FIRED")
	process(t, environment, "channel", "preview", "NOBODY").wants(t, exitNotFound, "NOBODY", "onevault channel list")
	process(t, environment, "doctor").wants(t, exitError, "templates")
}
