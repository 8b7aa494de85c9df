package migrations_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"onevault/pgserver/pgtest"
)

// channelRow is the INSERT of a version of a channel; what is not given is one that hears everything.
func channelRow(key string, given columns) (string, []any) {
	row := columns{"channel_name": "Name of " + key, "channel_type": "SLACK", "configuration": `{"webhook_url_env": "SLACK_URL"}`}
	maps.Copy(row, given)
	names := slices.Sorted(maps.Keys(row))
	args := []any{key}
	var places []string
	for i, name := range names {
		args = append(args, row[name])
		places = append(places, fmt.Sprintf("$%d", i+2))
	}
	return "INSERT INTO monitoring.notification_config_s (notification_config_hk, hash_diff, " + strings.Join(names, ", ") +
		") VALUES (util.hash_binary($1), '\\x', " + strings.Join(places, ", ") + ")", args
}

func putChannel(t *testing.T, db database, key string, given columns) {
	t.Helper()
	exec(t, db, `
		INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk)
		VALUES (util.hash_binary($1), $1) ON CONFLICT DO NOTHING`, key)
	sql, args := channelRow(key, given)
	exec(t, db, sql, args...)
}

const fullEmail = `{"smtp_server": "smtp.example.com", "smtp_port": 587, "smtp_username": "alerts", "smtp_password_env": "SMTP_PASSWORD",
	"from_address": "OneVault <alerts@example.com>", "to_addresses": ["oncall@example.com", "Dana <dana@example.com>"]}`

const fullSMS = `{"account_sid": "AC0123456789abcdef0123456789abcdef", "auth_token_env": "TWILIO_AUTH_TOKEN", "from_number": "+4930100000", "to_numbers": ["+4930123456"]}`

func TestChannel_ThatCouldNeverDeliverIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	putHub(t, db, "C")
	without := func(configuration, field string) string {
		return value[string](t, db, "SELECT ($1::jsonb - $2::text)::text", configuration, field)
	}
	with := func(configuration, more string) string {
		return value[string](t, db, "SELECT ($1::jsonb || $2::jsonb)::text", configuration, more)
	}
	for _, c := range []struct {
		kind, configuration string
		words               []string
	}{
		{"EMAIL", without(fullEmail, "smtp_server"), []string{`channel "Name of C": configuration.smtp_server is missing`, `"smtp_server": "smtp.example.com"`}},
		{"EMAIL", without(fullEmail, "from_address"), []string{"configuration.from_address is missing"}},
		{"EMAIL", without(fullEmail, "to_addresses"), []string{"configuration.to_addresses is missing"}},
		{"EMAIL", without(fullEmail, "smtp_password_env"), []string{"configuration.smtp_password_env is missing"}},
		{"EMAIL", with(fullEmail, `{"smtp_server": null}`), []string{"configuration.smtp_server is missing"}},
		{"EMAIL", with(fullEmail, `{"from_address": "  "}`), []string{"configuration.from_address is missing"}},
		{"EMAIL", with(fullEmail, `{"one_message_per_alert": "yes"}`), []string{`configuration.one_message_per_alert is "yes"`, "true or false, without quotes"}},
		{"EMAIL", with(fullEmail, `{"to_addresses": []}`), []string{"configuration.to_addresses", "at least one address"}},
		{"EMAIL", with(fullEmail, `{"to_addresses": "oncall@example.com"}`), []string{"configuration.to_addresses", "Give an array"}},
		{"EMAIL", with(fullEmail, `{"to_addresses": ["nobody"]}`), []string{`holds "nobody"`}},
		{"EMAIL", with(fullEmail, `{"smtp_port": "smtp"}`), []string{"configuration.smtp_port"}},
		{"EMAIL", with(fullEmail, `{"smtp_port": 70000}`), []string{"configuration.smtp_port", "1 to 65535"}},
		{"EMAIL", with(fullEmail, `{"smtp_port": 0}`), []string{"configuration.smtp_port"}},
		{"SLACK", `{}`, []string{"configuration.webhook_url is missing", "webhook_url_env"}},
		{"SLACK", `{"webhook_url": null}`, []string{"configuration.webhook_url is missing"}},
		{"SLACK", `{"webhook_url_env": " "}`, []string{"configuration.webhook_url is missing"}},
		{"SLACK", `{"bot_token_env": "SLACK_BOT_TOKEN"}`, []string{"configuration.channel is missing", "C0123456789"}},
		{"SLACK", `{"bot_token_env": "SLACK_BOT_TOKEN", "channel": "ops"}`, []string{`configuration.channel is "ops"`, "#ops-alerts"}},
		{"SLACK", `{"bot_token_file": "slack", "channel": "#ops", "webhook_url_env": "X"}`, []string{"both a bot token and a webhook_url"}},
		{"SLACK", `{"bot_token_env": "SLACK_BOT_TOKEN", "channel": "#ops", "api_base_url": "slack.com"}`, []string{"configuration.api_base_url is not an http or https URL"}},
		{"SLACK", `{"webhook_url_env": "X", "templates": "x"}`, []string{"configuration.templates is a JSON string", "channel preview"}},
		{"SLACK", `{"webhook_url_env": "X", "templates": {"titel": "x"}}`, []string{"configuration.templates.titel"}},
		{"SLACK", `{"webhook_url_env": "X", "templates": {"subject": ["x"]}}`, []string{"configuration.templates.subject"}},
		{"SLACK", `{"webhook_url_env": "X", "templates": {"events": {"LAUNCHED": {}}}}`, []string{`names "LAUNCHED"`, "FIRED, ESCALATED"}},
		{"SLACK", `{"webhook_url_env": "X", "templates": {"events": {"FIRED": {"events": {}}}}}`, []string{"holds events itself"}},
		{"WEBHOOK", `{"unsigned": true}`, []string{"configuration.url is missing"}},
		{"WEBHOOK", `{"url": null, "unsigned": true}`, []string{"configuration.url is missing"}},
		{"WEBHOOK", `{"url": "https://example.com/alerts"}`, []string{"configuration.secret_env is missing", `"unsigned": true`}},
		{"WEBHOOK", `{"url": "https://example.com/alerts", "unsigned": "true"}`, []string{"configuration.secret_env is missing"}},
		{"WEBHOOK", `{"url": "https://example.com/alerts", "secret_env": ""}`, []string{"configuration.secret_env is missing"}},
		{"PAGERDUTY", `{}`, []string{"configuration.routing_key_env is missing", "PAGERDUTY_ROUTING_KEY"}},
		{"PAGERDUTY", `{"routing_key_env": " "}`, []string{"configuration.routing_key_env is missing"}},
		{"PAGERDUTY", `{"routing_key_env": "K", "api_base_url": "events.pagerduty.com"}`, []string{"configuration.api_base_url is not an http or https URL"}},
		{"SMS", without(fullSMS, "account_sid"), []string{"configuration.account_sid is missing"}},
		{"SMS", with(fullSMS, `{"account_sid": "AC12"}`), []string{`configuration.account_sid is "AC12"`, "32 hexadecimal digits"}},
		{"SMS", without(fullSMS, "auth_token_env"), []string{"configuration.auth_token_env is missing", "TWILIO_AUTH_TOKEN"}},
		{"SMS", without(fullSMS, "from_number"), []string{"configuration.from_number is missing"}},
		{"SMS", without(fullSMS, "to_numbers"), []string{"configuration.to_numbers is missing"}},
		{"SMS", with(fullSMS, `{"to_numbers": []}`), []string{"configuration.to_numbers", "at least one number"}},
		{"SMS", with(fullSMS, `{"to_numbers": "+4930123456"}`), []string{"configuration.to_numbers", "Give an array"}},
		{"SMS", with(fullSMS, `{"to_numbers": ["+4930123456", "030 123"]}`), []string{`holds "030 123"`, "with their country"}},
		{"SMS", with(fullSMS, `{"to_numbers": [null]}`), []string{"configuration.to_numbers holds"}},
		{"SMS", with(fullSMS, `{"api_base_url": "x"}`), []string{"configuration.api_base_url"}},
		{"VOICE", without(fullSMS, "from_number"), []string{"configuration.from_number is missing"}},
		{"VOICE", with(fullSMS, `{"from_number": "OneVault"}`), []string{`configuration.from_number is "OneVault"`, "no call"}},
		{"VOICE", with(without(fullSMS, "from_number"), `{"messaging_service_sid": "MG1"}`), []string{"configuration.from_number is missing"}},
		{"SMS", `[]`, []string{"configuration is a JSON array"}},
		{"SMS", `"text"`, []string{"configuration is a JSON string"}},
	} {
		sql, args := channelRow("C", columns{"channel_type": c.kind, "configuration": c.configuration})
		refused(t, db, "22023", c.words, sql, args...)
	}
	sql, args := channelRow("C", columns{"severity_filter": []string{"HIGH", "SEVERE"}})
	refused(t, db, "22023", []string{`severity_filter names "SEVERE"`, "LOW, MEDIUM, HIGH or CRITICAL"}, sql, args...)
	sql, args = channelRow("C", columns{"channel_type": "PIGEON"})
	refused(t, db, "23514", []string{"notification_config_s_type"}, sql, args...)
	sql, args = channelRow("C", columns{"retry_attempts": 21})
	refused(t, db, "23514", []string{"notification_config_s_retry"}, sql, args...)
}

func TestChannel_ThatHoldsASecretIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	putHub(t, db, "C")
	for _, field := range []string{"smtp_password", "password", "bot_token", "auth_token", "secret", "routing_key", "integration_key", "api_key"} {
		sql, args := channelRow("C", columns{"channel_type": "SMS", "configuration": `{"` + field + `": "s3cret-word"}`})
		_, err := db.Exec(t.Context(), sql, args...)
		wantText(t, err, "configuration holds a secret itself")
		if err != nil && strings.Contains(err.Error(), "s3cret-word") {
			t.Errorf("the refusal repeats the secret: %v", err)
		}
	}
}

func TestChannel_CheckOfAURLDoesNotRepeatIt(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	putHub(t, db, "C")
	for kind, configuration := range map[string]string{
		"SLACK":   `{"webhook_url": "hooks.slack.com/services/T0/B0/s3cret-word"}`,
		"WEBHOOK": `{"url": "ftp://user:s3cret-word@host", "secret_env": "X"}`,
	} {
		sql, args := channelRow("C", columns{"channel_type": kind, "configuration": configuration})
		refused(t, db, "22023", []string{"is not an http or https URL", "Name of C"}, sql, args...)
		if _, err := db.Exec(t.Context(), sql, args...); strings.Contains(fmt.Sprintf("%v %+v", err, err), "s3cret-word") {
			t.Errorf("the refusal repeats the URL: %v", err)
		}
	}
}

func TestChannel_UsableOnesAreAccepted(t *testing.T) {
	t.Parallel()
	db := listen(t, pgtest.DB(t))
	for i, c := range []struct{ kind, configuration string }{
		{"EMAIL", fullEmail},
		{"EMAIL", `{"smtp_server": "localhost", "from_address": "a@b", "to_addresses": "[\"x@example.com\", \"y@example.com\"]"}`},
		{"EMAIL", `{"smtp_server": "localhost", "smtp_port": "2525", "from_address": "a@b", "to_addresses": ["x@example.com"]}`},
		{"EMAIL", `{"smtp_server": "localhost", "smtp_username": "u", "smtp_password_file": "/run/secrets/smtp", "from_address": "a@b", "to_addresses": ["x@example.com"]}`},
		{"SLACK", `{"webhook_url": "https://hooks.slack.com/services/YOUR/SLACK/WEBHOOK", "channel": "#ops"}`},
		{"SLACK", `{"webhook_url_env": "SLACK_WEBHOOK_URL"}`},
		{"SLACK", `{"bot_token_env": "SLACK_BOT_TOKEN", "channel": "#ops-alerts"}`},
		{"SLACK", `{"webhook_url_env": "X", "templates": {"subject": "{{.Title}}", "text": ["a", "b"], "events": {"RESOLVED": {"text": "over"}}}}`},
		{"SLACK", `{"bot_token_file": "slack", "channel": "C0123456789", "api_base_url": "https://slack.com/api/"}`},
		{"WEBHOOK", `{"url": "HTTPS://example.com/alerts", "secret_env": "WEBHOOK_SECRET"}`},
		{"WEBHOOK", `{"url_file": "/run/secrets/url", "unsigned": true}`},
		{"SMS", fullSMS},
		{"SMS", `{"account_sid_env": "SID", "auth_token_file": "token", "messaging_service_sid": "MG1", "to_numbers": "[\"+49 30 123-456\", \"+1 (212) 555.0100\"]"}`},
		{"SMS", `{"account_sid_env": "SID", "auth_token_env": "TOKEN", "from_number": "OneVault", "to_numbers": ["+4930123456"]}`},
		{"VOICE", fullSMS},
		{"PAGERDUTY", `{"routing_key_env": "PD_KEY"}`},
		{"PAGERDUTY", `{"routing_key_file": "/run/secrets/pagerduty", "api_base_url": "https://events.eu.pagerduty.com"}`},
	} {
		putChannel(t, db, fmt.Sprint("C", i), columns{"channel_type": c.kind, "configuration": c.configuration})
	}
	if said := db.heard(); said != "" {
		t.Errorf("accepted, but it said %q", said)
	}
	for configuration, want := range map[string]string{
		fullEmail: "[oncall@example.com Dana <dana@example.com>]",
		`{"to_addresses": "[\"ops@onevault.com\", \"admin@onevault.com\"]"}`: "[ops@onevault.com admin@onevault.com]",
	} {
		if got := value[[]string](t, db, "SELECT monitoring.email_addresses($1::jsonb)", configuration); fmt.Sprint(got) != want {
			t.Errorf("addresses are %v, want %s", got, want)
		}
	}
}

func TestMatchingChannels_BySeverityCategoryRestrictionAndTenant(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	exec(t, db, "INSERT INTO auth.tenant_h SELECT util.hash_binary(t), t, now(), 'TEST' FROM unnest(ARRAY['ORG1', 'ORG2']) AS t")
	putChannel(t, db, "ALL", nil)
	putChannel(t, db, "SEVERE", columns{"severity_filter": []string{"HIGH", "CRITICAL"}})
	putChannel(t, db, "BACKUP", columns{"category_filter": []string{"BACKUP"}})
	putChannel(t, db, "MAIL", columns{"channel_type": "EMAIL", "configuration": fullEmail})
	putChannel(t, db, "NOBODY", columns{"severity_filter": []string{}})
	putChannel(t, db, "OFF", nil)
	putChannel(t, db, "OFF", columns{"is_enabled": false})
	exec(t, db, `
		INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk, tenant_hk)
		VALUES (util.hash_binary('ORG1_ONLY'), 'ORG1_ONLY', util.hash_binary('ORG1'))`)
	putChannel(t, db, "ORG1_ONLY", nil)
	for _, tenant := range []string{"ORG1", "ORG2"} {
		exec(t, db, `
			INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk, tenant_hk)
			VALUES (util.hash_binary('D_' || $1::text), 'D_' || $1::text, util.hash_binary($1::text))`, tenant)
	}
	exec(t, db, "INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk) VALUES (util.hash_binary('D_SYSTEM'), 'D_SYSTEM')")

	for _, c := range []struct {
		definition, severity, category string
		channels                       []string
		want                           string
	}{
		{"D_SYSTEM", "LOW", "PERFORMANCE", nil, "ALL MAIL"},
		{"D_SYSTEM", "HIGH", "PERFORMANCE", nil, "ALL MAIL SEVERE"},
		{"D_SYSTEM", "LOW", "BACKUP", nil, "ALL BACKUP MAIL"},
		{"D_SYSTEM", "CRITICAL", "BACKUP", nil, "ALL BACKUP MAIL SEVERE"},
		{"D_SYSTEM", "CRITICAL", "BACKUP", []string{"EMAIL"}, "MAIL"},
		{"D_SYSTEM", "CRITICAL", "BACKUP", []string{"EMAIL", "BACKUP"}, "BACKUP MAIL"},
		{"D_SYSTEM", "LOW", "PERFORMANCE", []string{"SEVERE"}, ""},
		{"D_SYSTEM", "CRITICAL", "BACKUP", []string{}, ""},
		{"D_ORG1", "LOW", "PERFORMANCE", nil, "ALL MAIL ORG1_ONLY"},
		{"D_ORG2", "LOW", "PERFORMANCE", nil, "ALL MAIL"},
	} {
		got := strings.Join(values[string](t, db, `
			SELECT channel_key FROM monitoring.matching_channels(util.hash_binary($1), $2, $3, $4)`, c.definition, c.severity, c.category, c.channels), " ")
		if got != c.want {
			t.Errorf("%s %s %s %v: heard by %q, want %q", c.definition, c.severity, c.category, c.channels, got, c.want)
		}
	}
}
