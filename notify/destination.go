package notify

import (
	"net"
	"strconv"
	"strings"
)

// Destination is where a channel's messages go first, as far as one place fails for all that use it: the type and
// the server, such as "email smtp.example.com:587". It holds no path, no account and no secret.
func Destination(kind Type, channel Channel) string {
	if placed, ok := As[interface{ server() string }](channel); ok {
		return strings.ToLower(string(kind)) + " " + placed.server()
	}
	return strings.ToLower(string(kind))
}

func (w *webhook) server() string      { return w.url.Host }
func (s *slackWebhook) server() string { return s.url.Host }
func (s *slackBot) server() string     { return s.cfg.api.Host }
func (p *pagerDuty) server() string    { return p.api.url.Host }
func (t *twilio) server() string       { return t.cfg.api.url.Host }
func (e *email) server() string        { return net.JoinHostPort(e.cfg.host, strconv.Itoa(e.cfg.port)) }
