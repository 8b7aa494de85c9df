package pgserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// dirLock keeps every other process of ours away from a directory. The kernel releases it when its
// holder dies, however it dies.
type dirLock struct{ file *os.File }

// lockDir takes the directory or says which process holds it.
func lockDir(dir string, a account) (*dirLock, error) {
	path := filepath.Join(dir, "lock")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("directory %s belongs to another user (%w): start as that user, or choose another directory", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	l := &dirLock{file}
	if err := errors.Join(a.own(path), l.take(dir)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return l, nil
}

func (l *dirLock) take(dir string) error {
	err := syscall.Flock(int(l.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("directory %s is held by process %s: stop that one, or choose another directory", dir, l.holder())
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", dir, err)
	}
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("lock %s: %w", dir, err)
	}
	if _, err := l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		return fmt.Errorf("lock %s: %w", dir, err)
	}
	return nil
}

// holder reads the pid that the holder wrote. Right after it took the lock the file may still name
// nobody or a dead process, so it gets a moment.
func (l *dirLock) holder() string {
	for range 100 {
		text := make([]byte, 20)
		n, _ := l.file.ReadAt(text, 0) // always ends in io.EOF: the file is shorter
		pid := strings.TrimSpace(string(text[:n]))
		if number, err := strconv.Atoi(pid); err == nil && alive(number) {
			return pid
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "(unknown)"
}

// release unlocks explicitly: a child between fork and exec may hold a copy of the file for a moment.
func (l *dirLock) release() error {
	return errors.Join(syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN), l.file.Close())
}

// alive reports whether a process has this pid, ours or another user's, zombies included.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
