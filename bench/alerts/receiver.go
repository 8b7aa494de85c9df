//go:build linux

package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// message is what the receiver was told in one request. OneVault writes the body that Alertmanager writes, with
// more beside it.
type message struct {
	at        time.Time
	path      string
	status    string // firing or resolved
	alerts    []string
	truncated int
	duplicate bool
}

// told is how many alerts the message is about.
func (m message) told() int { return len(m.alerts) + m.truncated }

// receiver takes messages and answers 200 at once.
type receiver struct {
	server   *http.Server
	address  string
	mu       sync.Mutex
	messages []message
	changed  chan struct{} // closed and replaced at each message
}

func startReceiver() (*receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{address: "http://" + listener.Addr().String(), changed: make(chan struct{})}
	r.server = &http.Server{Handler: http.HandlerFunc(r.take), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(listener) }() // ends with close
	return r, nil
}

func (r *receiver) close() error { return r.server.Close() }

func (r *receiver) take(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	at := time.Now()
	var said struct {
		Status          string `json:"status"`
		TruncatedAlerts int    `json:"truncatedAlerts"`
		Alerts          []struct {
			Labels      map[string]string `json:"labels"`
			Fingerprint string            `json:"fingerprint"`
		} `json:"alerts"`
		OneVault struct {
			PossibleDuplicate bool `json:"possible_duplicate"`
		} `json:"onevault"`
	}
	if err == nil {
		err = json.Unmarshal(body, &said)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	m := message{at: at, path: request.URL.Path, status: said.Status, truncated: said.TruncatedAlerts, duplicate: said.OneVault.PossibleDuplicate}
	for _, a := range said.Alerts {
		if id := a.Labels["id"]; id != "" { // a condition's, of Prometheus
			m.alerts = append(m.alerts, id)
		} else if id := a.Labels["alert_id"]; id != "" {
			m.alerts = append(m.alerts, a.Fingerprint)
		}
	}
	r.mu.Lock()
	r.messages = append(r.messages, m)
	close(r.changed)
	r.changed = make(chan struct{})
	r.mu.Unlock()
}

// of returns what came to a path so far, and a channel that is closed at the next message of any.
func (r *receiver) of(path string) ([]message, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []message
	for _, m := range r.messages {
		if m.path == path {
			list = append(list, m)
		}
	}
	return list, r.changed
}

// await waits until what came to a path is enough, and returns it.
func (r *receiver) await(ctx context.Context, path string, enough func([]message) bool) ([]message, error) {
	for {
		list, changed := r.of(path)
		if enough(list) {
			return list, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return list, ctx.Err()
		}
		// Whoever waits must not take the processor from what is measured.
		time.Sleep(2 * time.Millisecond)
	}
}
