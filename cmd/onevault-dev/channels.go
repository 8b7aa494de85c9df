package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"onevault/inbox"
	"onevault/vault"
)

// The variables by which the worker, in this process, finds the channels' secrets.
const (
	webhookSecretVariable = "ONEVAULT_DEV_WEBHOOK_SECRET"
	twilioTokenVariable   = "ONEVAULT_DEV_TWILIO_TOKEN"
	pagerKeyVariable      = "ONEVAULT_DEV_PAGERDUTY_KEY"
	pagerSecretVariable   = "ONEVAULT_DEV_PAGERDUTY_WEBHOOK_SECRET"
)

// devAccount is no account of Twilio's: it has the form of one, and the inbox takes it for its own.
const devAccount = "AC00000000000000000000000000000000"

// pagerChannel is the key of the channel whose incidents are answered at the inbox's PagerDuty.
const pagerChannel = "DEV_PAGERDUTY"

// setProviderSecrets gives the channels new secrets for this start. The inbox takes any that have the
// providers' form: 32 letters and digits.
func setProviderSecrets() error {
	for _, variable := range []string{twilioTokenVariable, pagerKeyVariable, pagerSecretVariable} {
		value := make([]byte, 16)
		_, _ = rand.Read(value) // crypto/rand.Read never returns an error
		if err := os.Setenv(variable, hex.EncodeToString(value)); err != nil {
			return fmt.Errorf("hand the secret of a channel to the worker: %w", err)
		}
	}
	return nil
}

// slackTokenVariable is the variable by which the worker finds the token of the inbox's Slack.
const slackTokenVariable = "ONEVAULT_DEV_SLACK_TOKEN"

// putChannels points one channel of each type at the inbox. It runs at every start, because the
// inbox's ports may have changed; where nothing changed, no row is written.
func putChannels(ctx context.Context, databaseURL, smtpAddr, inboxURL string) error {
	channels, err := developmentChannels(smtpAddr, inboxURL)
	if err != nil {
		return err
	}
	store, err := vault.Open(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer store.Close()
	for _, c := range channels {
		if err := store.PutChannel(ctx, c); err != nil {
			return fmt.Errorf("put channel %s: %w", c.Key, err)
		}
	}
	return nil
}

func developmentChannels(smtpAddr, inboxURL string) ([]vault.Channel, error) {
	host, portText, err := net.SplitHostPort(smtpAddr)
	if err != nil {
		return nil, fmt.Errorf("read the inbox's SMTP address: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("read the inbox's SMTP port: %w", err)
	}
	email, err1 := channel("DEV_EMAIL", "Development inbox, e-mail", "EMAIL", map[string]any{
		"smtp_server":  host,
		"smtp_port":    port,
		"tls":          "none", // it never leaves this machine
		"from_address": "OneVault <onevault@localhost.localdomain>",
		"to_addresses": []string{"oncall@localhost.localdomain"},
	})
	slack, err2 := channel("DEV_SLACK", "Development inbox, Slack", "SLACK", map[string]any{
		"bot_token_env": slackTokenVariable,
		"channel":       inbox.SlackChannelID(inbox.SlackAlerts),
		"api_base_url":  inboxURL + "/slack/api/",
	})
	webhook, err3 := channel("DEV_WEBHOOK", "Development inbox, webhook", "WEBHOOK", map[string]any{
		"url":        inboxURL + "/webhook/onevault",
		"secret_env": webhookSecretVariable,
	})
	telephone := map[string]any{
		"account_sid":    devAccount,
		"auth_token_env": twilioTokenVariable,
		"from_number":    "+12025550100",
		"to_numbers":     []string{"+12025550199"},
		"api_base_url":   inboxURL + "/twilio",
	}
	sms, err4 := channel("DEV_SMS", "Development inbox, SMS", "SMS", telephone)
	voice, err5 := channel("DEV_VOICE", "Development inbox, calls", "VOICE", telephone)
	pager, err6 := channel(pagerChannel, "Development inbox, PagerDuty", "PAGERDUTY", map[string]any{
		"routing_key_env":    pagerKeyVariable,
		"webhook_secret_env": pagerSecretVariable,
		"api_base_url":       inboxURL + "/pagerduty",
	})
	return []vault.Channel{email, slack, webhook, sms, voice, pager}, errors.Join(err1, err2, err3, err4, err5, err6)
}

// channel retries after 2 seconds, three times: a laptop's receiver is back soon or not at all.
func channel(key, name, kind string, configuration map[string]any) (vault.Channel, error) {
	text, err := json.Marshal(configuration)
	if err != nil {
		return vault.Channel{}, fmt.Errorf("describe channel %s: %w", key, err)
	}
	return vault.Channel{
		Key: key, Name: name, Type: kind, Configuration: text,
		RetryAttempts: 3, RetryDelaySeconds: 2, RecordSource: "ONEVAULT_DEV",
	}, nil
}
