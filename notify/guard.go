package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

const (
	dialTimeout = 5 * time.Second
	// maxAnswer caps what is read of a provider's answer; maxSnippet is what is kept of it.
	maxAnswer  = 64 << 10
	maxSnippet = 512
)

var (
	errBlocked   = errors.New("address is not allowed")
	errHugeReply = errors.New("the answer is larger than 64 KiB")
)

// special lists the ranges that netip's own predicates miss: "this network", carrier-grade NAT (which
// holds one cloud's metadata service), documentation, benchmarks, NAT64 and other translations that
// could carry a private IPv4 address, and the public address of Azure's host agent.
var special = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "168.63.129.16/32", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
	"3fff::/20", "5f00::/16", "fec0::/10",
)

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, s := range texts {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// addressGuard decides which resolved addresses a channel may reach. A channel's row is written by
// people who need not be trusted with the worker's own network, so only public addresses and the
// operator's allow-list pass. It judges the address being dialled, not the name: a name may resolve
// differently the second time.
type addressGuard struct {
	allow []netip.Prefix
	// clearText says that nothing encrypts the connection; then only the allow-list passes.
	clearText bool
	// onlyAllowed says that a credential would go to a host that is not its provider's; then only the
	// allow-list passes as well.
	onlyAllowed bool
}

func (g addressGuard) check(addr netip.Addr) error {
	addr = addr.Unmap()
	for _, p := range g.allow {
		if p.Contains(addr) {
			return nil
		}
	}
	if kind := specialKind(addr); kind != "" {
		return fmt.Errorf("%w: %s is a %s address; if it is meant, add its network to ONEVAULT_ALLOWED_CIDRS",
			errBlocked, addr, kind)
	}
	if g.clearText {
		return fmt.Errorf("%w: %s would be reached without encryption; use TLS, or add its network to ONEVAULT_ALLOWED_CIDRS",
			errBlocked, addr)
	}
	if g.onlyAllowed {
		return fmt.Errorf("%w: %s is not the provider's, and the channel's secret would be sent to it; if it is meant, add its network to ONEVAULT_ALLOWED_CIDRS",
			errBlocked, addr)
	}
	return nil
}

// specialKind names why an address is not an ordinary public one; empty when it is.
func specialKind(addr netip.Addr) string {
	switch {
	case !addr.IsValid() || addr.IsUnspecified():
		return "unspecified"
	case addr.IsLoopback():
		return "loopback"
	case addr.IsPrivate():
		return "private"
	case addr.IsLinkLocalUnicast() || addr.Zone() != "":
		return "link-local"
	case !addr.IsGlobalUnicast():
		return "multicast or broadcast"
	}
	for _, p := range special {
		if p.Contains(addr) {
			return "special-purpose"
		}
	}
	return ""
}

// control runs after name resolution and before connect, for every address tried.
func (g addressGuard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", errBlocked, address)
	}
	return g.check(ap.Addr())
}

func (g addressGuard) dialer() *net.Dialer {
	return &net.Dialer{Timeout: dialTimeout, Control: g.control}
}

// outcome is what one HTTP exchange proved, whatever error its caller was given. The transport's
// goroutines write it, hence the lock.
type outcome struct {
	mu         sync.Mutex
	status     int
	wrote      bool // the headers left: the receiver may have seen the request
	retryAfter time.Duration
	snippet    []byte // first maxSnippet bytes of the answer that were read
	failure    error  // why there is no answer, before a client wrapped it
}

type outcomeKey struct{}

// withOutcome makes the guarded client record what happens to the context's request.
func withOutcome(ctx context.Context) (context.Context, *outcome) {
	o := &outcome{}
	return context.WithValue(ctx, outcomeKey{}, o), o
}

func (o *outcome) markWritten() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wrote = true
}

func (o *outcome) answered(resp *http.Response, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.status = resp.StatusCode
	o.retryAfter = parseRetryAfter(resp.Header.Get("Retry-After"), now)
}

func (o *outcome) keep(p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.snippet = append(o.snippet, p[:min(len(p), maxSnippet-len(o.snippet))]...)
}

func (o *outcome) failed(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failure = err
}

// cause is why there is no answer: as the transport said, because a client may turn that into mere text,
// or as the client said when the request never got that far.
func (o *outcome) cause(client error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failure != nil {
		return o.failure
	}
	return client
}

// read returns a copy that nobody writes any more.
func (o *outcome) read() (status int, wrote bool, retryAfter time.Duration, snippet string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.status, o.wrote, o.retryAfter, string(o.snippet)
}

// newHTTPClient is the one HTTP client of all channels: no redirects, no proxy from the environment, no
// cookies, capped answers, guarded addresses, the outcome recorded into the request's context. It keeps
// no connection alive, because a channel lives for a delivery and has nobody who would close it, and it
// neither asks for compression nor undoes it.
func newHTTPClient(g addressGuard, roots *x509.CertPool) *http.Client {
	return &http.Client{
		Transport: &observer{next: &http.Transport{
			Proxy:                  nil,
			DialContext:            g.dialer().DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    dialTimeout,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxAnswer,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type observer struct{ next http.RoundTripper }

func (ob *observer) RoundTrip(r *http.Request) (*http.Response, error) {
	o, ok := r.Context().Value(outcomeKey{}).(*outcome)
	if !ok {
		o = &outcome{}
	}
	trace := &httptrace.ClientTrace{WroteHeaders: o.markWritten}
	resp, err := ob.next.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err != nil {
		o.failed(err)
		return nil, err
	}
	o.answered(resp, time.Now())
	resp.Body = &cappedBody{ReadCloser: resp.Body, left: maxAnswer, outcome: o}
	return resp, nil
}

type cappedBody struct {
	io.ReadCloser
	left    int
	outcome *outcome
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errHugeReply
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	b.outcome.keep(p[:n])
	return n, err
}
