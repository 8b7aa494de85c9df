package main

import (
	"strings"
	"testing"

	"onevault/pgserver/pgtest"
)

const someChannels = `version: 1
channels:
  - key: OPS_MAIL
    name: Operations
    type: EMAIL
    severity_filter: [CRITICAL, HIGH]
    configuration: {smtp_server: mail.example.com, from_address: onevault@example.com, to_addresses: [ops@example.com]}
  - key: OPS_CHAT
    name: Chat
    type: SLACK
    rate_limit_per_hour: 0
    configuration:
      bot_token_env: SLACK_BOT_TOKEN
      channel: C0123456789
`

func TestChannelApply_BringsAFileAndLeavesAloneWhatIsEqual(t *testing.T) {
	t.Parallel()
	i := invocation{url: pgtest.DB(t), stdin: someChannels}
	i.run(t, "channel", "apply", "-", "--dry-run").wants(t, exitDone, "+ OPS_MAIL", "+ OPS_CHAT", "dry run")
	if r := i.run(t, "channel", "list", "-o", "name"); strings.Contains(r.out, "OPS_MAIL") {
		t.Errorf("it was written: %s", r.out)
	}
	i.run(t, "channel", "apply", "-").wants(t, exitDone, "+ OPS_MAIL", "+ OPS_CHAT", "0 unchanged")
	i.run(t, "channel", "list").wants(t, exitDone, "OPS_MAIL", "CRITICAL,HIGH", "OPS_CHAT")
	i.run(t, "channel", "apply", "-").wants(t, exitDone, "2 unchanged")
	i.stdin = strings.Replace(someChannels, "name: Chat", "name: Chat of the night", 1)
	i.run(t, "channel", "apply", "-").wants(t, exitDone, "~ OPS_CHAT", "1 unchanged")
}

func TestChannelApply_RefusesAWholeFileForOneMistake(t *testing.T) {
	t.Parallel()
	i := invocation{url: pgtest.DB(t)}
	for _, c := range []struct{ from, to, want string }{
		{"severity_filter", "severities", "unknown field"},
		{"severity_filter: [CRITICAL, HIGH]", "severity_filter: [CRITICL]", "CRITICL"},
		{"type: SLACK", "type: PIGEON", "use EMAIL, SLACK, SMS"},
		{"key: OPS_CHAT", "key: OPS_MAIL", "is that of the channel in line 3, too"},
		{"    name: Chat\n", "", "every channel has a key, a name"},
		{"rate_limit_per_hour: 0", "rate_limit_per_hour: many", "0 for no limit"},
		{"      channel: C0123456789\n", "", "channel"},
		{"      channel: C0123456789\n", "      channel: C0123456789\n      templates: {text: \"{{.Nothing}}\"}\n", "OPS_CHAT"},
	} {
		if i.stdin = strings.Replace(someChannels, c.from, c.to, 1); i.stdin == someChannels {
			t.Fatal(c.from)
		}
		i.run(t, "channel", "apply", "-").wants(t, exitError, c.want)
	}
	if r := i.run(t, "channel", "list", "-o", "name"); strings.Contains(r.out, "OPS_MAIL") {
		t.Errorf("it was written: %s", r.out)
	}
}
