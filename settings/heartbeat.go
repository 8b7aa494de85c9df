package settings

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// The variables of the dead man's switch.
const (
	HeartbeatURL     = "ONEVAULT_HEARTBEAT_URL"
	HeartbeatURLFile = "ONEVAULT_HEARTBEAT_URL_FILE"
	HeartbeatEvery   = "ONEVAULT_HEARTBEAT_EVERY"
)

// ReadHeartbeat reads where the dead man's switch leads, by variable or by file, and how often it is told; empty and 0
// where nothing is set. There is no flag for it, because everybody on a host sees flags, and the address is a secret:
// no error repeats it.
func ReadHeartbeat(get func(name string) string) (address string, every time.Duration, err error) {
	address = get(HeartbeatURL)
	if file := get(HeartbeatURLFile); file != "" {
		if address != "" {
			return "", 0, errors.New(HeartbeatURL + " and " + HeartbeatURLFile + " are both set: keep one")
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return "", 0, fmt.Errorf("%s: %w", HeartbeatURLFile, err)
		}
		if address = strings.TrimSpace(string(text)); address == "" {
			return "", 0, fmt.Errorf("%s: %s is empty", HeartbeatURLFile, file)
		}
	}
	if text := get(HeartbeatEvery); text != "" {
		if every, err = time.ParseDuration(text); err != nil {
			return "", 0, fmt.Errorf("%s is %q: write a duration such as 30s or 5m", HeartbeatEvery, text)
		}
	}
	return address, every, nil
}
