package settings

import (
	"fmt"
	"time"
	_ "time/tzdata" // a container may have no time zones of its own
)

// Timezone names the time zone of reports and of what runs at an hour of the day.
const Timezone = "ONEVAULT_TIMEZONE"

// ParseTimezone reads the name of a time zone, Europe/Berlin; empty is UTC.
func ParseTimezone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fmt.Errorf("%s is %q, which is no time zone: write a name such as UTC or Europe/Berlin", Timezone, name)
	}
	return zone, nil
}
