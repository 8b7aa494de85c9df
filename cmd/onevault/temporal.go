package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	tlog "go.temporal.io/sdk/log"

	"onevault/command"
	"onevault/settings"
)

const dialTimeout = 3 * time.Second

// temporalOptions reads Temporal's settings: its own profile and environment, over that the file of a
// development start where nothing was chosen, over that our flags.
func (a *app) temporalOptions() (client.Options, error) {
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return client.Options{}, fmt.Errorf("read Temporal's settings: %w", err)
	}
	if address := a.chosenTemporalAddress(); address != "" {
		options.HostPort = address
	}
	if options.HostPort == "" {
		options.HostPort = client.DefaultHostPort
	}
	if a.namespace != "" {
		options.Namespace = a.namespace
	}
	if options.Namespace == "" {
		options.Namespace = client.DefaultNamespace
	}
	// What goes wrong comes back as an error, once.
	options.Logger = tlog.NewStructuredLogger(slog.New(slog.DiscardHandler))
	return options, nil
}

// chosenTemporalAddress is empty where Temporal's own settings decide. A profile that somebody selected
// wins over a development start that happens to run.
func (a *app) chosenTemporalAddress() string {
	if a.temporalAddress != "" {
		return a.temporalAddress
	}
	if os.Getenv("TEMPORAL_PROFILE") != "" || os.Getenv("TEMPORAL_CONFIG_FILE") != "" {
		return os.Getenv(settings.TemporalAddress)
	}
	return a.values.Get(settings.TemporalAddress)
}

// connectTemporal connects once; a second call returns what the first one found.
func (a *app) connectTemporal(ctx context.Context) (client.Client, error) {
	if a.temporal != nil || a.temporalErr != nil {
		return a.temporal, a.temporalErr
	}
	options, err := a.temporalOptions()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	connected, err := client.DialContext(ctx, options)
	if err != nil {
		a.temporalErr = fmt.Errorf("connect to Temporal at %s: %w", options.HostPort, err)
		return nil, a.temporalErr
	}
	a.temporal = connected
	return connected, nil
}

// mustTemporal is connectTemporal for commands that can do nothing without it.
func (a *app) mustTemporal(ctx context.Context) (client.Client, error) {
	connected, err := a.connectTemporal(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", command.ErrNoAnswer, err)
	}
	return connected, nil
}
