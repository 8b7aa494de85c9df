package notify

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Heartbeat is the address of an outside watcher that raises the alarm when it hears nothing: a dead man's switch.
// The address is a secret, because whoever knows it can keep the watcher quiet.
type Heartbeat struct {
	url     *url.URL
	client  *http.Client
	timeout time.Duration
	scrub   scrubber
}

// OpenHeartbeat reaches no network. An error does not repeat the address.
func OpenHeartbeat(address string, o Options) (*Heartbeat, error) {
	u, err := parseURL("ONEVAULT_HEARTBEAT_URL", address)
	if err != nil {
		return nil, err
	}
	guard := guardFor(u, o)
	if err := guard.checkLiteral("ONEVAULT_HEARTBEAT_URL", u.Hostname()); err != nil {
		return nil, err
	}
	return &Heartbeat{url: u, client: newHTTPClient(guard, o.RootCAs), timeout: o.timeout(), scrub: newScrubber(urlSecrets(u)...)}, nil
}

// Beat makes one GET, which is what such watchers take, and says what that proved.
func (h *Heartbeat) Beat(ctx context.Context) Receipt {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	ctx, result := withOutcome(ctx)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url.String(), nil)
	if err != nil { // unreachable: the address was parsed before
		return h.scrub.receipt(Receipt{Class: Misconfigured, Reason: "the address makes no request: " + networkReason(err)})
	}
	request.Header.Set("User-Agent", "OneVault")
	answer, err := h.client.Do(request)
	if err == nil {
		_, err = io.Copy(io.Discard, answer.Body) // capped by the client; what it says does not matter
		_ = answer.Body.Close()
	}
	return h.scrub.receipt(classifyHTTP(result, err))
}

// String says where the watcher is, not what opens it.
func (h *Heartbeat) String() string { return displayURL(h.url) }

// GoString is String, for %#v.
func (h *Heartbeat) GoString() string { return fmt.Sprintf("heartbeat to %s", h) }
