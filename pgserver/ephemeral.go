package pgserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const ephemeralPrefix = "onevault-pg-"

// ephemeralDir makes a fresh directory below parent. What killed processes left there goes first: it
// would fill the memory otherwise.
func ephemeralDir(parent string) (string, error) {
	if parent == "" {
		parent = ephemeralParent()
	}
	if err := sweep(parent, time.Now().Add(-time.Minute)); err != nil {
		return "", fmt.Errorf("remove abandoned test servers: %w", err)
	}
	dir, err := os.MkdirTemp(parent, ephemeralPrefix)
	if err != nil {
		return "", fmt.Errorf("make a directory for the test server: %w", err)
	}
	return dir, nil
}

// ephemeralParent prefers memory: creating a database there takes a third of the time. Who sets TMPDIR
// has chosen.
func ephemeralParent() string {
	if os.Getenv("TMPDIR") == "" {
		if dir := memoryDir(); dir != "" {
			return dir
		}
	}
	return os.TempDir()
}

// sweep removes ephemeral directories that no process holds. Only those made before a moment: a younger
// one may be about to be locked.
func sweep(parent string, before time.Time) error {
	dirs, err := filepath.Glob(filepath.Join(parent, ephemeralPrefix+"*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || info.ModTime().After(before) || !mine(info) {
			continue
		}
		if abandoned(dir) {
			errs = append(errs, os.RemoveAll(dir))
		}
	}
	return errors.Join(errs...)
}

func mine(info os.FileInfo) bool {
	return int(info.Sys().(*syscall.Stat_t).Uid) == os.Geteuid()
}

// abandoned reports whether nobody holds the lock of dir.
func abandoned(dir string) bool {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		return true // killed before it came to the lock
	}
	if err != nil {
		return false
	}
	defer file.Close()
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
