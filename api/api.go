// Package api is what others may ask the worker over HTTP: is it alive, is it ready, what does it
// measure; and what they may tell it: answers to alerts, and alerts of other systems. It owns the listeners,
// the routes, their limits, and the proof of who sends. It refuses to call out, to decide anything about
// alerts, and to use the process-wide default mux or metrics registry.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 30 * time.Second // a scrape of a slow collector still ends
	idleTimeout       = 2 * time.Minute
	shutdownTimeout   = 5 * time.Second
	maxHeaderBytes    = 16 << 10
	maxBodyBytes      = 64 << 10
)

// Config says where to listen and what readiness means.
type Config struct {
	// Addr is host:port; port 0 picks a free one (see Server.Addr).
	Addr string
	// Checks are the conditions of readiness by name, e.g. "vault", "temporal", "worker". Each returns
	// within its context and its error is shown to whoever asks /readyz: it must hold no secret.
	Checks map[string]func(context.Context) error
	// Inbound answers every other path, here or, when InboundAddr is not empty, on an address of its own,
	// so that health and metrics need not be shown to the world. nil: there are no other paths.
	Inbound     *Inbound
	InboundAddr string
	// Registry is served at /metrics; nil is a NewRegistry.
	Registry *prometheus.Registry
	// Log receives what goes wrong while serving; nil is slog.Default.
	Log *slog.Logger
}

// Server answers on its addresses from New until Serve returns.
type Server struct {
	bound   []bound
	inbound *Inbound
}

// bound is one address and what answers there.
type bound struct {
	listener net.Listener
	http     *http.Server
}

// New takes the addresses, so that a port in use is known before anything else starts. The error then
// names the address and the remedy. A Server that is never served is given back with Close.
func New(cfg Config) (*Server, error) {
	log := cfg.Log
	if log == nil {
		log = slog.Default()
	}
	registry := cfg.Registry
	if registry == nil {
		registry = NewRegistry()
	}
	own := routes(cfg.Checks, registry, log)
	s := &Server{inbound: cfg.Inbound}
	if cfg.Inbound != nil && cfg.InboundAddr == "" {
		cfg.Inbound.joinTo(own)
	}
	if err := s.listen(cfg.Addr, "health and metrics", own, log); err != nil {
		return nil, err
	}
	if cfg.Inbound != nil && cfg.InboundAddr != "" {
		mux := http.NewServeMux()
		cfg.Inbound.joinTo(mux)
		if err := s.listen(cfg.InboundAddr, "requests from outside", mux, log); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

func (s *Server) listen(addr, purpose string, handler http.Handler, log *slog.Logger) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return listenError(addr, purpose, err)
	}
	s.bound = append(s.bound, bound{listener: listener, http: &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}})
	return nil
}

func routes(checks map[string]func(context.Context) error, registry *prometheus.Registry, log *slog.Logger) *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, handler := range map[string]http.Handler{
		"GET /healthz": http.HandlerFunc(alive), "GET /readyz": newReadiness(checks, log), "GET /metrics": metricsHandler(registry, log),
	} {
		mux.Handle(pattern, http.MaxBytesHandler(handler, maxBodyBytes))
	}
	return mux
}

// alive says that the process runs and serves; what it depends on is readiness, not life: restarting
// the worker does not bring a database back.
func alive(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "ok")
}

func listenError(addr, purpose string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen on %s for %s: the port is in use; end the process that holds it or choose another port: %w", addr, purpose, err)
	}
	return fmt.Errorf("listen on %s for %s: %w", addr, purpose, err)
}

// Addr is the address that New took for health and metrics, with the port that was picked.
func (s *Server) Addr() string { return s.bound[0].listener.Addr().String() }

// InboundAddr is the address that New took for requests from outside.
func (s *Server) InboundAddr() string { return s.bound[len(s.bound)-1].listener.Addr().String() }

// Serve answers until ctx ends, then lets running requests finish for at most five seconds. It returns
// nil after such an end, and the reason when serving stopped by itself. It may be called once.
func (s *Server) Serve(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	recorded := make(chan struct{})
	go func() {
		defer close(recorded)
		if s.inbound != nil {
			s.inbound.Run(ctx)
		}
	}()
	ended := make(chan error, len(s.bound))
	for _, b := range s.bound {
		go func() {
			defer end() // one that stops by itself ends the other
			ended <- b.serve(ctx)
		}()
	}
	var errs []error
	for range s.bound {
		errs = append(errs, <-ended)
	}
	<-recorded
	return errors.Join(errs...)
}

func (b bound) serve(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- b.http.Serve(b.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", b.listener.Addr(), err)
	case <-ctx.Done():
	}
	return b.shutdown(ctx, served)
}

func (b bound) shutdown(ctx context.Context, served <-chan error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := b.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, b.http.Close())
	}
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	if err != nil {
		return fmt.Errorf("end serving %s: %w", b.listener.Addr(), err)
	}
	return nil
}

// Close gives the addresses back when Serve was never called.
func (s *Server) Close() error {
	var errs []error
	for _, b := range s.bound {
		if err := b.listener.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", b.listener.Addr(), err))
		}
	}
	return errors.Join(errs...)
}
