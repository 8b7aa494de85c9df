package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"

	"onevault/vault"
)

// webhookSecretVariable is the variable by which the worker, in this process, finds the secret.
const webhookSecretVariable = "ONEVAULT_DEV_WEBHOOK_SECRET"

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
		"channel":       "#alerts",
		"api_base_url":  inboxURL + "/slack/api/",
		"username":      "OneVault",
	})
	webhook, err3 := channel("DEV_WEBHOOK", "Development inbox, webhook", "WEBHOOK", map[string]any{
		"url":        inboxURL + "/webhook/onevault",
		"secret_env": webhookSecretVariable,
	})
	return []vault.Channel{email, slack, webhook}, errors.Join(err1, err2, err3)
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
