// Package pgserver runs the system's own PostgreSQL server as a child process, for the development start
// and for tests. It owns one directory: a cluster, its unix socket, its log, and a lock that keeps every
// other process away. The server ends with the process that started it, and the next start goes on from
// whatever an abrupt end left behind.
//
// It refuses to touch data of another major version, to take over a server that somebody else started,
// to guess another port than the one asked for, and to install anything unasked. It knows nothing of
// OneVault's schema.
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// superuser is the only role of a new cluster.
const superuser = "postgres"

// Server is one running PostgreSQL server.
type Server struct {
	cfg     Config
	bin     Installation
	account account

	dir  string // absolute, links resolved; everything below lies in it
	data string
	run  string // holds the unix socket; nobody but the account may enter

	port int     // of the socket's name, and of TCP unless cfg.Port is SocketOnly
	pass *string // behind a pointer, so that no %v of the server prints it

	lock *dirLock
	log  *os.File
	proc *process

	stop    sync.Once
	stopErr error
}

// Start starts a server and returns when it answers queries. The first start in a directory creates the
// cluster, a later one continues with its data, after a crash as well. The context bounds the start, of
// which recovery may take minutes; it does not bound the server's life, which ends by Stop or with this
// process.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg}
	steps := []func(context.Context) error{
		s.chooseDir, s.chooseBinaries, s.claimDir, s.ensureCluster, s.clearLeftovers, s.launch,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, s.release())
		}
	}
	return s, nil
}

// chooseDir settles where everything lies.
func (s *Server) chooseDir(context.Context) error {
	dir := s.cfg.Dir
	if s.cfg.Ephemeral {
		var err error
		if dir, err = ephemeralDir(dir); err != nil {
			return err
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	s.setDir(dir)
	return nil
}

func (s *Server) setDir(dir string) {
	s.dir, s.data, s.run = dir, filepath.Join(dir, "data"), filepath.Join(dir, "run")
}

// chooseBinaries comes before anything is created: without a server there is no reason to.
func (s *Server) chooseBinaries(context.Context) error {
	major, err := clusterMajor(s.data)
	if err != nil {
		return err
	}
	s.bin, err = choose(s.cfg, s.data, major)
	return err
}

// claimDir makes the directory usable for the server's account and takes its lock.
func (s *Server) claimDir(context.Context) error {
	var err error
	if s.account, err = accountFor(s.data); err != nil {
		return err
	}
	if err = s.makeDir(); err != nil {
		return err
	}
	if err = s.account.checkPath(s.bin.Dir); err != nil {
		return err
	}
	if s.lock, err = lockDir(s.dir, s.account); err != nil {
		return err
	}
	return s.openLog()
}

// makeDir creates the directory where it is missing. Under root it stays root's, so that the account
// cannot exchange what root opens in it; the account only needs to pass through.
func (s *Server) makeDir() error {
	mode := os.FileMode(0o700)
	if s.account.drop {
		mode = 0o711
	}
	if err := os.MkdirAll(s.dir, mode); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	dir, err := filepath.EvalSymlinks(s.dir)
	if err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	s.setDir(dir)
	if err := s.letAccountEnter(); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	if err := s.account.checkPath(s.dir); err != nil {
		return err
	}
	return s.checkSocketPath()
}

// letAccountEnter adds the one permission that the account may lack on our own directory; its parents
// are not ours to change.
func (s *Server) letAccountEnter() error {
	if !s.account.drop {
		return nil
	}
	ok, err := s.account.mayEnter(s.dir)
	if ok || err != nil {
		return err
	}
	info, err := os.Stat(s.dir)
	if err != nil {
		return err
	}
	return os.Chmod(s.dir, info.Mode()|0o011)
}

// checkSocketPath holds the kernels' limit: 108 bytes on Linux, 104 elsewhere, one of them a zero.
func (s *Server) checkSocketPath() error {
	const longest = 103
	socket := filepath.Join(s.run, ".s.PGSQL.65535.lock")
	if len(socket) > longest {
		return fmt.Errorf("directory %s is %d bytes too long for the unix socket inside it: choose a shorter one", s.dir, len(socket)-longest)
	}
	return nil
}

// openLog keeps the previous log when it has grown: a development server may run for months.
func (s *Server) openLog() error {
	const large = 16 << 20
	path := s.LogFile()
	if info, err := os.Lstat(path); err == nil && info.Size() > large {
		if err := os.Rename(path, path+".1"); err != nil {
			return fmt.Errorf("rotate the log: %w", err)
		}
	}
	var err error
	if s.log, err = openOwn(path); err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	return s.account.own(path)
}

// URL returns a postgres:// URL of a database, for pgx, psql and anything on libpq: through TCP on
// loopback when there is a port, else through the unix socket. It may contain a password.
func (s *Server) URL(database string) string {
	u := url.URL{Scheme: "postgres", Path: "/" + database}
	if s.cfg.Port == SocketOnly {
		u.User = url.User(superuser)
		u.RawQuery = fmt.Sprintf("host=%s&port=%d&sslmode=disable", escapeQuery(s.run), s.port)
	} else {
		u.User = url.UserPassword(superuser, *s.pass)
		u.Host = "127.0.0.1:" + strconv.Itoa(s.port)
		u.RawQuery = "sslmode=disable"
	}
	return u.String()
}

// escapeQuery writes a blank as %20: libpq does not take + for one.
func escapeQuery(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}

// PID returns the process id of the postmaster.
func (s *Server) PID() int { return s.proc.pid() }

// Major returns the server's major version, e.g. 17.
func (s *Server) Major() int { return s.bin.Major }

// LogFile returns the path of the server's log.
func (s *Server) LogFile() string { return filepath.Join(s.dir, "postgres.log") }

// Done is closed when the server has ended, by Stop or by itself. Call Stop in either case.
func (s *Server) Done() <-chan struct{} { return s.proc.done }

// Stop ends the server in order and gives the directory back; an Ephemeral server's directory is
// removed. The error says if the server had ended by itself before, or did not end in order. Further
// calls return the same.
func (s *Server) Stop() error {
	s.stop.Do(func() {
		s.stopErr = errors.Join(s.end(), s.release())
	})
	return s.stopErr
}

func (s *Server) end() error {
	if s.proc.ended() {
		return fmt.Errorf("postgres ended by itself (%s): see %s", s.proc.state(), s.LogFile())
	}
	return s.proc.shutDown(s.cfg.Ephemeral)
}

// release gives back what a start took, as far as it came.
func (s *Server) release() error {
	var errs []error
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	if s.cfg.Ephemeral && s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	if s.lock != nil {
		errs = append(errs, s.lock.release())
	}
	return errors.Join(errs...)
}
