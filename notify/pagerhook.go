package notify

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/PagerDuty/go-pagerduty/webhookv3"
)

// minHookSecret is how long the secret of a webhook has to be: shorter can be guessed, and with none at all everybody
// can sign.
const minHookSecret = 16

// ErrNoHookSecret says that the channel hears nothing of PagerDuty, because no secret was given to know it by.
var ErrNoHookSecret = errors.New("the channel has no webhook_secret_env or webhook_secret_file")

// PagerHook is the receiving side of a PAGERDUTY channel: the webhooks (v3) that PagerDuty sends about its incidents.
type PagerHook struct{ secret secret }

// OpenPagerHook makes it. An error is a misconfiguration, as of Open, or wraps ErrNoHookSecret.
func OpenPagerHook(cfg Config, o Options) (*PagerHook, error) {
	f := parseFields(cfg)
	c := parsePagerDuty(f)
	if err := f.err(); err != nil {
		return nil, fmt.Errorf("channel %s: %w", cfg.Key, err)
	}
	if !c.hook.present {
		return nil, fmt.Errorf("channel %s: %w", cfg.Key, ErrNoHookSecret)
	}
	value, err := c.hook.load(o)
	if err != nil {
		return nil, fmt.Errorf("channel %s: %w", cfg.Key, err)
	}
	if len(value) < minHookSecret {
		return nil, fmt.Errorf("channel %s: webhook_secret: it has %d characters; take the one that PagerDuty showed when the webhook was made", cfg.Key, len(value))
	}
	return &PagerHook{secret: value}, nil
}

// Verify returns nil for a request that PagerDuty signed, by one of several signatures while a secret is replaced. The
// body can be read afterwards.
func (h *PagerHook) Verify(r *http.Request) error {
	return webhookv3.VerifySignature(r, string(h.secret))
}

// String keeps the secret out of whatever prints it.
func (h *PagerHook) String() string { return "webhook of PagerDuty" }

// GoString is String, for %#v.
func (h *PagerHook) GoString() string { return h.String() }
