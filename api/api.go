// Package api is what others may ask the worker over HTTP: is it alive, is it ready, what does it
// measure. It owns the listener, the routes and their limits. It refuses to call out, to decide
// anything about alerts, and to use the process-wide default mux or metrics registry.
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
	// Registry is served at /metrics; nil is a NewRegistry.
	Registry *prometheus.Registry
	// Inbound are the handlers of what others send, by http.ServeMux's patterns such as "POST /slack/interactivity".
	// Each bounds its bodies and proves its senders itself.
	Inbound map[string]http.Handler
	// Log receives what goes wrong while serving; nil is slog.Default.
	Log *slog.Logger
}

// Server answers on one address from New until Serve returns.
type Server struct {
	listener net.Listener
	http     *http.Server
}

// New takes the address, so that a port in use is known before anything else starts. The error then
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
	listener, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, listenError(cfg.Addr, err)
	}
	return &Server{listener: listener, http: &http.Server{
		Handler:           routes(cfg, registry, log),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}, nil
}

func routes(cfg Config, registry *prometheus.Registry, log *slog.Logger) http.Handler {
	own := http.NewServeMux()
	own.HandleFunc("GET /healthz", alive)
	own.Handle("GET /readyz", newReadiness(cfg.Checks, log))
	own.Handle("GET /metrics", metricsHandler(registry, log))
	mux := http.NewServeMux()
	mux.Handle("/", http.MaxBytesHandler(own, maxBodyBytes))
	for pattern, handler := range cfg.Inbound {
		mux.Handle(pattern, handler)
	}
	return mux
}

// alive says that the process runs and serves; what it depends on is readiness, not life: restarting
// the worker does not bring a database back.
func alive(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "ok")
}

func listenError(addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen on %s for health and metrics: the port is in use; end the process that holds it or choose another port: %w", addr, err)
	}
	return fmt.Errorf("listen on %s for health and metrics: %w", addr, err)
}

// Addr is the address that New took, with the port that was picked.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Serve answers until ctx ends, then lets running requests finish for at most five seconds. It returns
// nil after such an end, and the reason when serving stopped by itself. It may be called once.
func (s *Server) Serve(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve health and metrics on %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	return s.shutdown(ctx, served)
}

func (s *Server) shutdown(ctx context.Context, served <-chan error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	if err != nil {
		return fmt.Errorf("end health and metrics on %s: %w", s.Addr(), err)
	}
	return nil
}

// Close gives the address back when Serve was never called.
func (s *Server) Close() error {
	if err := s.listener.Close(); err != nil {
		return fmt.Errorf("close health and metrics on %s: %w", s.Addr(), err)
	}
	return nil
}
