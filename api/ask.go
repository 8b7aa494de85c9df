package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// askTimeout leaves the checks behind /readyz the time to give up themselves.
const askTimeout = 2 * checkTimeout

// maxAnswerBytes bounds what Ask reads: whatever else may listen on that port.
const maxAnswerBytes = 64 << 10

// Ask makes one GET and returns nil for an answer of 2xx: the health check of a container that has no
// HTTP client of its own. For /readyz the error names each check that does not pass, and why.
func Ask(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	status, body, err := get(ctx, url)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	if status/100 == 2 {
		return nil
	}
	if failing := failingChecks(body); len(failing) > 0 {
		return fmt.Errorf("%s is not ready: %s", url, strings.Join(failing, "; "))
	}
	return fmt.Errorf("ask %s: HTTP %d; is this the right port?", url, status)
}

func get(ctx context.Context, url string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	// A proxy from the environment has no business between a process and its own health check.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	return resp.StatusCode, body, errors.Join(err, resp.Body.Close())
}

// failingChecks reads the body of /readyz; of any other body there are none.
func failingChecks(body []byte) []string {
	var state Readiness
	if err := json.Unmarshal(body, &state); err != nil {
		return nil
	}
	var failing []string
	for _, name := range slices.Sorted(maps.Keys(state.Checks)) {
		if check := state.Checks[name]; !check.OK {
			failing = append(failing, name+": "+check.Error)
		}
	}
	return failing
}
