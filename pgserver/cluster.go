package pgserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// passwordFile lies inside the data directory: a cluster and its password are made, moved and lost
// together.
const passwordFile = "onevault.password"

// clusterMajor returns the version of the cluster in data, 0 when there is none yet.
func clusterMajor(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the version of the data directory: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("data directory %s: PG_VERSION holds %q: the cluster is damaged", data, text)
	}
	return major, nil
}

// ensureCluster creates the cluster if there is none, and reads its password.
func (s *Server) ensureCluster(ctx context.Context) error {
	major, err := clusterMajor(s.data) // again: now we hold the lock
	switch {
	case err != nil:
		return err
	case major == 0:
		if err := s.createCluster(ctx); err != nil {
			return err
		}
	case major != s.bin.Major:
		return versionMismatch(s.data, major, s.bin)
	}
	pass, err := os.ReadFile(filepath.Join(s.data, passwordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("data directory %s has no file %s: another program made this cluster, or the file was removed; choose another directory", s.data, passwordFile)
	}
	if err != nil {
		return fmt.Errorf("read the password of the cluster: %w", err)
	}
	text := string(pass)
	s.pass = &text
	return nil
}

// createCluster works in a directory of another name and renames it when it is complete, so that a
// killed initdb is never taken for a cluster.
func (s *Server) createCluster(ctx context.Context) error {
	// Removes only an empty directory; anything else is somebody's.
	if err := syscall.Rmdir(s.data); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("directory %s is no PostgreSQL cluster and not empty: move it away, or choose another directory: %w", s.data, err)
	}
	tmp := s.data + ".tmp"
	if err := os.RemoveAll(tmp); err != nil {
		return fmt.Errorf("remove an unfinished cluster: %w", err)
	}
	if err := errors.Join(os.Mkdir(tmp, 0o700), s.account.own(tmp)); err != nil {
		return fmt.Errorf("create a cluster: %w", err)
	}
	pass := filepath.Join(s.dir, "initdb.password")
	if err := s.writePassword(pass); err != nil {
		return fmt.Errorf("write the password of the cluster: %w", err)
	}
	if err := s.initdb(ctx, tmp, pass); err != nil {
		return err
	}
	// initdb wants an empty directory, so the password moves in afterwards.
	if err := os.Rename(pass, filepath.Join(tmp, passwordFile)); err != nil {
		return fmt.Errorf("create a cluster: %w", err)
	}
	if err := os.Rename(tmp, s.data); err != nil {
		return fmt.Errorf("create a cluster: %w", err)
	}
	return nil
}

// writePassword makes a random password in a file that only the account can read.
func (s *Server) writePassword(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(path, []byte(rand.Text()), 0o600); err != nil {
		return err
	}
	return s.account.own(path)
}

func (s *Server) initdb(ctx context.Context, dir, passwordFile string) error {
	args := []string{
		"--pgdata=" + dir, "--username=" + superuser, "--pwfile=" + passwordFile,
		"--encoding=UTF8", "--locale=C",
		"--auth-host=scram-sha-256",
		// Only the account, which owns the data files anyway, can enter the socket's directory.
		"--auth-local=trust",
	}
	if s.cfg.Ephemeral {
		args = append(args, "--no-sync")
	}
	from := s.logSize()
	// SIGKILL at our death: at a gentler one initdb would clean up below the feet of the next start.
	p, err := startProcess(s.command(syscall.SIGKILL, "initdb", args...))
	if err != nil {
		return fmt.Errorf("start initdb: %w", err)
	}
	if err := p.wait(ctx); err != nil {
		return fmt.Errorf("create a cluster in %s: %w%s", dir, err, s.logTail(from))
	}
	if !p.succeeded() {
		return fmt.Errorf("create a cluster in %s: initdb: %s%s", dir, p.state(), s.logTail(from))
	}
	return nil
}
