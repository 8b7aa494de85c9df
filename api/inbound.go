package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"onevault/vault"
)

// Provider names, as receipts, refusals and metrics know them. A source is "source/NAME".
const (
	ProviderLink   = "link"
	ProviderSource = "source"
	providerNobody = "unknown" // an address that nothing is mounted at
)

// Reason says why a request was refused. Each is a security event of its own.
type Reason string

const (
	ReasonSignature     Reason = "SIGNATURE"      // what proves the sender is missing or wrong
	ReasonUnknownSender Reason = "UNKNOWN_SENDER" // it proved who it is, and nobody of that name may do this
	ReasonForbidden     Reason = "FORBIDDEN"      // the sender is known, and may not do this
	ReasonReplayed      Reason = "REPLAYED"       // too old, or another content under an id that was used
	ReasonExpired       Reason = "EXPIRED"        // it was valid once
	ReasonRate          Reason = "RATE"           // too many requests
	ReasonTooLarge      Reason = "TOO_LARGE"
	ReasonMalformed     Reason = "MALFORMED" // proved, and yet not what can be meant
)

// Inbound is the part of the API that other people's systems call: the gate in front of every provider. It
// bounds what comes, sees to it that each thing is done once, and records what was refused. It trusts no
// header of a request but those of proxies that it was told of.
type Inbound struct {
	vault    *vault.Store
	public   *url.URL
	proxies  []netip.Prefix
	log      *slog.Logger
	limits   *limits
	refusals *refusals
	requests *prometheus.CounterVec
	refused  *prometheus.CounterVec
	mux      *http.ServeMux
}

// InboundConfig says what the gate is told.
type InboundConfig struct {
	Vault *vault.Store
	// PublicURL is the address under which others reach the API, for links and for signatures that cover the
	// address; nil: there is none. The proxy may leave its path in the requests or take it away.
	PublicURL *url.URL
	// TrustedProxies may say in X-Forwarded-For who asks.
	TrustedProxies []netip.Prefix
	Registry       *prometheus.Registry
	Log            *slog.Logger
}

// NewInbound makes a gate with nothing mounted behind it.
func NewInbound(cfg InboundConfig) *Inbound {
	in := &Inbound{
		vault: cfg.Vault, public: cfg.PublicURL, proxies: cfg.TrustedProxies, log: cfg.Log,
		limits: newLimits(), refusals: newRefusals(cfg.Vault, cfg.Log), mux: http.NewServeMux(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "onevault_inbound_requests_total", Help: "Requests from outside, by provider and HTTP status.",
		}, []string{"provider", "status"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "onevault_inbound_refused_total", Help: "Requests from outside that were refused, by provider and reason.",
		}, []string{"provider", "reason"}),
	}
	cfg.Registry.MustRegister(in.requests, in.refused)
	in.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		in.requests.WithLabelValues(providerNobody, "404").Inc()
		http.NotFound(w, r)
	})
	return in
}

// PublicURL is the address under which others reach the API, with a path joined to it; nil: there is none.
func (in *Inbound) PublicURL(path string) *url.URL {
	if in.public == nil {
		return nil
	}
	return in.public.JoinPath(path)
}

// Route is one address that a provider calls.
type Route struct {
	Pattern  string // as http.ServeMux has it: "POST /slack/interactivity"
	Provider string // whose requests these are
	MaxBody  int64  // bytes; 0: 64 KiB
	Handler  http.Handler
}

// Mount puts routes behind the gate. Each handler proves its sender before anything else, by Refuse says
// what it does not accept, and by Once does each thing once.
func (in *Inbound) Mount(routes ...Route) {
	for _, route := range routes {
		limit := route.MaxBody
		if limit == 0 {
			limit = maxBodyBytes
		}
		in.mux.HandleFunc(route.Pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, limit)
			seen := &statusWriter{ResponseWriter: w}
			route.Handler.ServeHTTP(seen, r)
			in.requests.WithLabelValues(route.Provider, seen.text()).Inc()
		})
	}
}

// ServeHTTP implements http.Handler: bounds first, then the routes.
func (in *Inbound) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if in.public != nil && in.public.Scheme == "https" {
		header.Set("Strict-Transport-Security", "max-age=31536000")
	}
	if wait := in.limits.wait(in.Client(r), time.Now()); wait > 0 {
		in.requests.WithLabelValues(providerNobody, "429").Inc()
		header.Set("Retry-After", fmt.Sprint(int(wait/time.Second)+1))
		in.Refuse(w, r, Refusal{Provider: providerNobody, Reason: ReasonRate, Status: http.StatusTooManyRequests, Say: "too many requests; wait a moment"})
		return
	}
	in.mux.ServeHTTP(w, r)
}

// Client is the address that a request comes from: of the connection, or where that is a proxy of ours, the
// last one in X-Forwarded-For that is none.
func (in *Inbound) Client(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	client := from.Addr().Unmap()
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(forwarded) - 1; i >= 0 && in.isProxy(client); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(forwarded[i]))
		if err != nil {
			break
		}
		client = next.Unmap()
	}
	return client
}

func (in *Inbound) isProxy(a netip.Addr) bool {
	for _, network := range in.proxies {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// joinTo answers what a mux has no other route for, with the path of the public address and without: some
// proxies take it away.
func (in *Inbound) joinTo(mux *http.ServeMux) {
	mux.Handle("/", in)
	if in.public != nil {
		if prefix := strings.TrimRight(in.public.Path, "/"); prefix != "" {
			mux.Handle(prefix+"/", http.StripPrefix(prefix, in))
		}
	}
}

// Refusal is why a request is not accepted.
type Refusal struct {
	Provider string
	Reason   Reason
	Status   int    // the HTTP status that answers it
	Say      string // to the sender: no more than a stranger may know
	Detail   string // for the security event: nothing that was sent
}

// Refuse answers a request that is not accepted with {"error": "..."} and has it recorded.
func (in *Inbound) Refuse(w http.ResponseWriter, r *http.Request, why Refusal) {
	in.Note(r, why)
	in.Answer(w, why.Status, struct {
		Error string `json:"error"`
	}{why.Say})
}

// Note has a refusal recorded that the handler answers itself.
func (in *Inbound) Note(r *http.Request, why Refusal) {
	in.refused.WithLabelValues(why.Provider, string(why.Reason)).Inc()
	if why.Detail == "" {
		why.Detail = why.Say
	}
	in.refusals.add(why, in.Client(r), time.Now().UTC())
}

// Answer writes an answer of JSON.
func (in *Inbound) Answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		in.log.Warn("answer not written", "error", err)
	}
}

// Body reads a request whole, within the bound of its route. ok false: it was refused, and answered.
func (in *Inbound) Body(w http.ResponseWriter, r *http.Request, provider string) (body []byte, ok bool) {
	body, err := io.ReadAll(r.Body)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		in.Refuse(w, r, Refusal{
			Provider: provider, Reason: ReasonTooLarge, Status: http.StatusRequestEntityTooLarge,
			Say: fmt.Sprintf("the body has more than %d bytes", large.Limit),
		})
		return nil, false
	case err != nil:
		in.Answer(w, http.StatusBadRequest, map[string]string{"error": "the body ended early"})
		return nil, false
	}
	return body, true
}

// Delivery is one thing that a provider sent.
type Delivery struct {
	Provider string
	ID       string // the provider's own
	Digest   [32]byte
	Sender   string // who sent it, and how that is known
}

// Outcome is what answers a delivery, each time it comes.
type Outcome struct {
	Status int
	Body   any
}

// Why a delivery was not carried out, for errors.Is.
var (
	// ErrUnderWay: the same is being carried out at this moment.
	ErrUnderWay = errors.New("the same is under way")
	// ErrDifferent: its id was used for another content.
	ErrDifferent = errors.New("its id was used before, for another content")
)

// Once carries a delivery out, or answers as it was answered the first time: then first is false, and Body is
// the JSON of then. When work fails nothing is kept, and the provider may send it again.
func (in *Inbound) Once(ctx context.Context, d Delivery, work func(context.Context) (Outcome, error)) (out Outcome, first bool, err error) {
	receipt, err := in.vault.ClaimReceipt(ctx, d.Provider, d.ID, d.Digest[:], d.Sender)
	switch {
	case err != nil:
		return Outcome{}, false, err
	case receipt.Finding == vault.ReceiptDone:
		return Outcome{Status: receipt.Status, Body: receipt.Answer}, false, nil
	case receipt.Finding == vault.ReceiptUnderWay:
		return Outcome{}, false, ErrUnderWay
	case receipt.Finding == vault.ReceiptDifferent:
		return Outcome{}, false, ErrDifferent
	}
	// Its sender may hang up; what was begun is brought to its end, and its end written down.
	ctx = context.WithoutCancel(ctx)
	out, err = work(ctx)
	if err != nil {
		return Outcome{}, true, errors.Join(err, in.vault.ReleaseReceipt(ctx, d.Provider, d.ID))
	}
	body, err := json.Marshal(out.Body)
	if err != nil {
		return Outcome{}, true, fmt.Errorf("keep the answer: %w", err)
	}
	if err := in.vault.SettleReceipt(ctx, d.Provider, d.ID, out.Status, body); err != nil {
		// It is done. Within a minute the same again is called under way, and later done again, which changes nothing.
		in.log.Warn("answer not kept", "provider", d.Provider, "error", err)
	}
	return out, true, nil
}

// Run records refusals until the context ends, and what is left then.
func (in *Inbound) Run(ctx context.Context) { in.refusals.run(ctx) }

// statusWriter remembers what a handler answered.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusWriter) text() string {
	if w.status == 0 {
		return "200"
	}
	return fmt.Sprint(w.status)
}
