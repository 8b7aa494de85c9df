// Package temporalserver runs the real Temporal server, with its Web UI, inside this process. It owns
// one SQLite file, one log file and the ports that it is told; it serves 127.0.0.1 only. It is for a
// laptop and for tests: production points the worker at a Temporal cluster instead.
//
// It refuses to guess: a port in use is an error (see PortError), never another port.
package temporalserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Namespace is the one namespace that the server has: Temporal's own default, so that the `temporal`
// command line works without options.
const Namespace = "default"

// Retention is how long closed workflows stay readable in the UI; the vault keeps them for good.
const Retention = 7 * 24 * time.Hour

// Config says where the server keeps its data and where it listens.
type Config struct {
	Dir    string // holds temporal.db and temporal.log; created with 0700 when missing
	Port   int    // of the gRPC frontend; 0 picks a free one
	UIPort int    // of the Web UI; 0 picks a free one
	// SearchAttributes are registered in the namespace; those that exist already are left alone.
	SearchAttributes map[string]enumspb.IndexedValueType
}

// Server is a running Temporal server with its Web UI.
type Server struct {
	temporal temporal.Server
	ui       *webUI
	address  string
	failed   chan error
	building atomic.Bool
}

// Start runs the server on the data in cfg.Dir and returns when it answers requests and its Web UI
// serves pages: a PortError when a port is taken, or an error that names the part that did not start.
// The context bounds the start only; the server runs until Stop.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("create Temporal's directory: %w", err)
	}
	uiPort, err := claim("Temporal UI", cfg.UIPort)
	if err != nil {
		return nil, err
	}
	s := &Server{failed: make(chan error, 1)}
	if err := s.startOnFreePorts(filepath.Clean(cfg.Dir), func() (int, error) { return claim("Temporal", cfg.Port) }); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, cfg.SearchAttributes); err != nil {
		return nil, errors.Join(err, s.temporal.Stop())
	}
	s.ui, err = startUI(ctx, uiPort, s.address)
	if err != nil {
		return nil, errors.Join(err, s.temporal.Stop())
	}
	return s, nil
}

// Address is the gRPC frontend's host:port.
func (s *Server) Address() string { return s.address }

// UIURL is the address of the Web UI, without a trailing slash.
func (s *Server) UIURL() string { return s.ui.url }

// Failed delivers the reason when a part of the running server gives up; it never closes.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop ends the Web UI and then the server; everything that was acknowledged is on disk.
func (s *Server) Stop() error {
	s.ui.stop()
	if err := s.temporal.Stop(); err != nil {
		return fmt.Errorf("stop Temporal: %w", err)
	}
	return nil
}

// startOnFreePorts starts Temporal, again with other ports where somebody took one between its claim and its
// use. A port that was asked for by number is not replaced: the next claim of it says that it is taken.
func (s *Server) startOnFreePorts(dir string, claim func() (int, error)) error {
	const attempts = 5
	for attempt := 1; ; attempt++ {
		port, err := claim()
		if err != nil {
			return err
		}
		s.address = hostPort(port)
		err = s.startTemporal(dir, port)
		if err == nil || attempt == attempts || !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
	}
}

// startTemporal opens or creates the database and starts the four services on it.
func (s *Server) startTemporal(dir string, port int) error {
	store := sqliteStore(filepath.Join(dir, "temporal.db"))
	if err := prepareStore(store); err != nil {
		return err
	}
	services, hosts, err := serviceConfig(port)
	if err != nil {
		return err
	}
	logger, err := fileLogger(filepath.Join(dir, "temporal.log"), s.failed, &s.building)
	if err != nil {
		return err
	}
	cfg := serverConfig(store, services, port)
	claims, err := authorization.GetClaimMapperFromConfig(&cfg.Global.Authorization, logger)
	if err != nil {
		return fmt.Errorf("configure Temporal's authorization: %w", err)
	}
	return s.launch(
		temporal.WithConfig(cfg),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return claims }),
		temporal.WithDynamicConfigClient(dynamicConfig()),
	)
}

// launch builds and starts the server in a goroutine of its own: where Temporal gives up ("fatal"),
// that goroutine ends, and only then does failed say why.
func (s *Server) launch(options ...temporal.ServerOption) error {
	started := make(chan error, 1)
	go func() {
		server, err := s.build(options...)
		if errors.Is(err, errGaveUp) {
			return // failed has the reason
		}
		if err == nil {
			s.temporal = server
			err = server.Start()
		}
		started <- err
	}()
	select {
	case err := <-started:
		if err != nil {
			return fmt.Errorf("start Temporal: %w", err)
		}
		return nil
	case err := <-s.failed:
		return err
	}
}

// build makes the server; errGaveUp where Temporal gave up meanwhile.
func (s *Server) build(options ...temporal.ServerOption) (server temporal.Server, err error) {
	s.building.Store(true)
	defer s.building.Store(false)
	defer func() {
		switch reason := recover(); reason {
		case nil:
		case errGaveUp:
			err = errGaveUp
		default:
			panic(reason)
		}
	}()
	return temporal.NewServer(options...)
}

// prepare waits until the frontend serves the namespace and registers what is missing in it.
func (s *Server) prepare(ctx context.Context, attributes map[string]enumspb.IndexedValueType) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c, err := client.DialContext(ctx, client.Options{
		HostPort: s.address, Namespace: Namespace, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return fmt.Errorf("reach Temporal on %s: %w", s.address, err)
	}
	defer c.Close()
	return registerSearchAttributes(ctx, c.OperatorService(), attributes)
}

// prepareStore creates the database's tables and the namespace where they do not exist yet. A fresh
// database is built under another name and renamed, so that a start that was killed half way does not
// leave a file without its tables.
func prepareStore(store *config.SQL) error {
	file := store.DatabaseName
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		if err := createDatabase(*store); err != nil {
			return fmt.Errorf("create Temporal's database %s: %w", file, err)
		}
	} else if err != nil {
		return fmt.Errorf("look for Temporal's database: %w", err)
	}
	namespace, err := sqliteschema.NewNamespaceConfig(clusterName, Namespace, false, nil)
	if err != nil {
		return fmt.Errorf("configure namespace %s: %w", Namespace, err)
	}
	namespace.Detail.Config.Retention = durationpb.New(Retention)
	if err := sqliteschema.CreateNamespaces(store, namespace); err != nil {
		return fmt.Errorf("open Temporal's database %s: %w", file, err)
	}
	return nil
}

func createDatabase(store config.SQL) error {
	file := store.DatabaseName
	store.DatabaseName = file + ".new"
	// No write-ahead log yet: a rename would leave it behind under the old name.
	store.ConnectAttributes = map[string]string{"mode": "rwc"}
	if err := os.Remove(store.DatabaseName); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := sqliteschema.SetupSchema(&store); err != nil {
		return err
	}
	return os.Rename(store.DatabaseName, file)
}
