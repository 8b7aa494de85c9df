package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"onevault/settings"
	"onevault/worker"
)

// fillHeartbeat reads where the dead man's switch leads. It has no flag, because a flag is seen by everybody on the
// host, and the address is a secret.
func (a *app) fillHeartbeat(config *worker.Config) error {
	var err error
	config.HeartbeatURL = a.values.Get(settings.HeartbeatURL)
	if file := a.values.Get(settings.HeartbeatURLFile); file != "" {
		if config.HeartbeatURL != "" {
			return usage(errors.New(settings.HeartbeatURL + " and " + settings.HeartbeatURLFile + " are both set: keep one"))
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return usage(fmt.Errorf("%s: %w", settings.HeartbeatURLFile, err))
		}
		if config.HeartbeatURL = strings.TrimSpace(string(text)); config.HeartbeatURL == "" {
			return usage(fmt.Errorf("%s: %s is empty", settings.HeartbeatURLFile, file))
		}
	}
	config.HeartbeatEvery, err = duration(settings.HeartbeatEvery, a.values.Get(settings.HeartbeatEvery))
	return err
}
