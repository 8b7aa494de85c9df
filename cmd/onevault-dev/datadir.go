package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"onevault/settings"
)

// dataDir is the directory of this start, held by a lock that dies with the process.
type dataDir struct {
	path      string
	ephemeral bool
	unclean   bool // the start before this one did not end in order
	lock      *os.File
}

// openDataDir creates the directory where it is missing and takes its lock.
func openDataDir(o *options) (*dataDir, error) {
	d := &dataDir{path: o.dataDir, ephemeral: o.ephemeral}
	var err error
	if d.path == "" {
		d.path, err = os.MkdirTemp("", "onevault-")
	} else {
		err = os.MkdirAll(d.path, 0o711)
	}
	if err == nil && d.ephemeral {
		err = requireEmpty(d.path) // what is removed at the end must be ours
	}
	if err == nil && d.ephemeral {
		err = os.Chmod(d.path, 0o711) // as root, PostgreSQL's own account has to pass through
	}
	if err != nil {
		return nil, fmt.Errorf("create the data directory (choose another with --data-dir): %w", err)
	}
	if err := d.takeLock(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(settings.EnvFile(d.path)); err == nil {
		d.unclean = true
	}
	return d, d.removeEnvFile()
}

// requireEmpty refuses a directory that holds anything.
func requireEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("--ephemeral removes %s at its end, and it is not empty: name an empty directory, or leave --data-dir out", dir)
	}
	return err
}

func (d *dataDir) file(name string) string { return filepath.Join(d.path, name) }

func lockFile(dir string) string { return filepath.Join(dir, "onevault-dev.lock") }

// takeLock fails where another process holds the lock, naming it.
func (d *dataDir) takeLock() error {
	file, err := os.OpenFile(lockFile(d.path), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock the data directory: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder := holderOf(d.path)
		closed := file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return errors.Join(fmt.Errorf(
				"%s is in use by process %s: use what runs there, end it with Ctrl-C or kill %s, or start in another place with --data-dir DIR or --ephemeral",
				d.path, holder, holder), closed)
		}
		return errors.Join(fmt.Errorf("lock %s: %w", d.path, err), closed)
	}
	d.lock = file
	if err := file.Truncate(0); err != nil {
		return fmt.Errorf("lock %s: %w", d.path, err)
	}
	if _, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("lock %s: %w", d.path, err)
	}
	return nil
}

// holderOf is the process id that the lock file names, or "?".
func holderOf(dir string) string {
	text, err := os.ReadFile(lockFile(dir))
	if pid := strings.TrimSpace(string(text)); err == nil && pid != "" {
		return pid
	}
	return "?"
}

// inUse reports whether a process holds the lock of a data directory.
func inUse(dir string) (bool, error) {
	file, err := os.Open(lockFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look whether OneVault runs in %s: %w", dir, err)
	}
	defer file.Close()
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err // closing the file gives the lock back
}

func (d *dataDir) removeEnvFile() error {
	if err := os.Remove(settings.EnvFile(d.path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the addresses of the last start: %w", err)
	}
	return nil
}

// close takes the addresses away, so that nobody is sent to where nothing runs, and gives up the lock.
func (d *dataDir) close() error {
	err := errors.Join(d.removeEnvFile(), d.lock.Close())
	if d.ephemeral {
		err = errors.Join(err, os.RemoveAll(d.path))
	}
	return err
}

// webhookSecret is the secret that signs the development webhook.
func (d *dataDir) webhookSecret() (string, error) { return d.secret("webhook-secret", "whsec_") }

// linkKey is the key that signs the links of the development mails.
func (d *dataDir) linkKey() (string, error) { return d.secret("link-key", "") }

// secret is made once, and kept for its owner only.
func (d *dataDir) secret(name, prefix string) (string, error) {
	path := d.file(name)
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the %s: %w", name, err)
	}
	key := make([]byte, 32)
	rand.Read(key) // never fails
	secret := prefix + base64.StdEncoding.EncodeToString(key)
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the %s: %w", name, err)
	}
	return secret, nil
}
