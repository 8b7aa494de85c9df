package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"onevault/settings"
	"onevault/worker"
)

func (a *app) workerCommand() *cobra.Command {
	var (
		config        worker.Config
		collectEvery  string
		evaluateEvery string
		allowedCIDRs  string
		proxies       string
		linkKeyFile   string
	)
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run the worker: collect, evaluate, and see alerts through; SIGTERM ends it in order",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.fillInboundConfig(&config, proxies, linkKeyFile); err != nil {
				return err
			}
			if err := a.fillWorkerConfig(&config, collectEvery, evaluateEvery, allowedCIDRs); err != nil {
				return err
			}
			return worker.Run(cmd.Context(), config, a.logger())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&config.TaskQueue, "task-queue", "", "Temporal's task queue (default $"+settings.TaskQueue+" or onevault)")
	flags.StringVar(&collectEvery, "collect-every", "", "how often to measure (default $"+settings.CollectEvery+" or 5m)")
	flags.StringVar(&evaluateEvery, "evaluate-every", "", "how often to evaluate (default $"+settings.EvaluateEvery+" or as each definition says)")
	flags.StringVar(&config.Timezone, "timezone", "", "time zone of the daily report (default $"+settings.Timezone+" or UTC)")
	flags.StringVar(&allowedCIDRs, "allowed-cidrs", "", "private networks that channels may reach (default $"+settings.AllowedCIDRs+" or none)")
	flags.StringVar(&config.ArchiveDir, "archive-dir", "", "where rows are archived before they leave the vault (default $"+settings.ArchiveDir+"; without one they stay)")
	flags.StringVar(&config.ControlsDir, "controls-dir", "", "compliance controls of your own, *.sql (default $"+settings.ControlsDir+" or none)")
	flags.StringVar(&config.SecretsDir, "secrets-dir", "", "where files of the targets' secrets may lie (default $"+settings.SecretsDir+"; always /run/secrets and /etc/onevault)")
	flags.StringVar(&config.APIAddr, "api-addr", "", "where to serve health and metrics (default $"+settings.APIAddr+" or "+defaultAPIAddr+")")
	flags.StringVar(&config.InboundAddr, "inbound-addr", "", "where to take what others send, links and alerts (default $"+settings.InboundAddr+" or as --api-addr)")
	flags.StringVar(&config.PublicURL, "public-url", "", "the address under which others reach it (default $"+settings.PublicURL+"; without one mails have no links that answer, and providers are asked for no callback)")
	flags.StringVar(&proxies, "trusted-proxies", "", "networks of the proxies before it, whose X-Forwarded-For counts (default $"+settings.TrustedProxies+" or none)")
	flags.StringVar(&linkKeyFile, "link-key-file", "", "file of the keys that sign such links (default $"+settings.LinkKeyFile+", else $"+settings.LinkKey+")")
	flags.StringVar(&config.UIURL, "ui-url", "", "base of the Temporal UI, for links in messages (default $"+settings.UIURL+")")
	return cmd
}

// fillWorkerConfig puts flags over variables over defaults.
func (a *app) fillWorkerConfig(config *worker.Config, collectEvery, evaluateEvery, allowedCIDRs string) error {
	var err error
	if config.DatabaseURL, err = a.vaultURL(); err != nil {
		return err
	}
	config.TemporalAddress, config.Namespace = a.chosenTemporalAddress(), a.namespace
	config.TaskQueue = a.setting(config.TaskQueue, settings.TaskQueue)
	config.UIURL = a.setting(config.UIURL, settings.UIURL)
	config.ArchiveDir, config.Version = a.setting(config.ArchiveDir, settings.ArchiveDir), version
	config.ControlsDir = a.setting(config.ControlsDir, settings.ControlsDir)
	config.SecretsDir = a.setting(config.SecretsDir, settings.SecretsDir)
	if config.APIAddr = a.setting(config.APIAddr, settings.APIAddr); config.APIAddr == "" {
		config.APIAddr = defaultAPIAddr
	}
	if config.CollectEvery, err = duration(settings.CollectEvery, a.setting(collectEvery, settings.CollectEvery)); err != nil {
		return err
	}
	if config.EvaluateEvery, err = duration(settings.EvaluateEvery, a.setting(evaluateEvery, settings.EvaluateEvery)); err != nil {
		return err
	}
	if config.DigestWithin, err = duration(settings.DigestWithin, a.values.Get(settings.DigestWithin)); err != nil {
		return err
	}
	if config.CircuitOpenFor, err = duration(settings.CircuitOpenFor, a.values.Get(settings.CircuitOpenFor)); err != nil {
		return err
	}
	if config.CircuitGiveUp, err = duration(settings.CircuitGiveUp, a.values.Get(settings.CircuitGiveUp)); err != nil {
		return err
	}
	if config.HeartbeatURL, config.HeartbeatEvery, err = settings.ReadHeartbeat(a.values.Get); err != nil {
		return usage(err)
	}
	config.Timezone = a.setting(config.Timezone, settings.Timezone)
	if config.AllowedCIDRs, err = settings.ParseCIDRs(a.setting(allowedCIDRs, settings.AllowedCIDRs)); err != nil {
		return usage(err)
	}
	if config.Slack, err = a.slackConfig(); err != nil {
		return usage(err)
	}
	if err := config.Validate(); err != nil {
		return usage(err)
	}
	return nil
}

// slackConfig has no flags: secrets do not belong on a command line.
func (a *app) slackConfig() (config worker.SlackConfig, err error) {
	if config.SigningSecret, err = a.values.Secret(settings.SlackSigningSecret); err != nil {
		return config, err
	}
	if config.AppToken, err = a.values.Secret(settings.SlackAppToken); err != nil {
		return config, err
	}
	if inbox := a.values.Get(settings.InboxURL); inbox != "" {
		config.AnswersAt = []string{inbox + "/slack/response/"} // of a development start
	}
	config.People, err = settings.ParseSlackPeople(a.values.Get(settings.SlackPeople))
	return config, err
}

// fillInboundConfig is about what others send.
func (a *app) fillInboundConfig(config *worker.Config, proxies, linkKeyFile string) error {
	var err error
	config.InboundAddr = a.setting(config.InboundAddr, settings.InboundAddr)
	config.PublicURL = a.setting(config.PublicURL, settings.PublicURL)
	if config.TrustedProxies, err = settings.ParseNetworks(settings.TrustedProxies, a.setting(proxies, settings.TrustedProxies)); err != nil {
		return usage(err)
	}
	key := a.values.Get(settings.LinkKey)
	if linkKeyFile != "" {
		key = "" // the flag decides
	}
	if config.LinkKeys, err = settings.ReadLinkKeys(key, a.setting(linkKeyFile, settings.LinkKeyFile)); err != nil {
		return usage(err)
	}
	return nil
}

// setting is the flag's value, or the variable's.
func (a *app) setting(flag, variable string) string {
	if flag != "" {
		return flag
	}
	return a.values.Get(variable)
}

// duration reads an interval; empty is 0, the default.
func duration(name, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, usage(fmt.Errorf("%s is %q: write a duration such as 30s or 5m", name, text))
	}
	return d, nil
}

// logger writes for people in a terminal, and JSON for machines everywhere else.
func (a *app) logger() *slog.Logger {
	if a.errIsTerminal {
		return slog.New(slog.NewTextHandler(a.errOut, nil))
	}
	return slog.New(slog.NewJSONHandler(a.errOut, nil))
}
