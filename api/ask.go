package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// maxAnswerBytes bounds what AskReady reads: whatever else may listen on that port.
const maxAnswerBytes = 64 << 10

// AskReady asks the worker at baseURL (http://host:port) whether it is ready, for the health checks of
// containers and load balancers that have no HTTP client of their own. The error names each check that
// does not pass and why, or why nobody answered.
func AskReady(ctx context.Context, baseURL string) error {
	state, err := fetchReadiness(ctx, strings.TrimSuffix(baseURL, "/")+"/readyz")
	if err != nil {
		return fmt.Errorf("ask whether the worker at %s is ready: %w", baseURL, err)
	}
	var failing []string
	for _, name := range slices.Sorted(maps.Keys(state.Checks)) {
		if check := state.Checks[name]; !check.OK {
			failing = append(failing, name+": "+check.Error)
		}
	}
	if !state.Ready {
		return fmt.Errorf("worker at %s is not ready: %s", baseURL, strings.Join(failing, "; "))
	}
	return nil
}

func fetchReadiness(ctx context.Context, url string) (state Readiness, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*checkTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return state, err
	}
	// A proxy from the environment has no business between a worker and its own health check.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: 2 * checkTimeout}}
	resp, err := client.Do(req)
	if err != nil {
		return state, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
		return state, fmt.Errorf("HTTP %d; is this the API port of a worker?", resp.StatusCode)
	}
	body := http.MaxBytesReader(nil, resp.Body, maxAnswerBytes)
	if err := json.NewDecoder(body).Decode(&state); err != nil {
		return state, fmt.Errorf("read the answer: %w; is this the API port of a worker?", err)
	}
	return state, nil
}
