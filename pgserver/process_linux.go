package pgserver

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// childAttributes make the kernel send onDeath to the child when we die, even by kill -9, and keep the
// terminal's Ctrl-C from reaching it: we decide when the server stops.
func childAttributes(c *syscall.Credential, onDeath syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: onDeath, Credential: c}
}

// commandLine returns a process's arguments, separated by blanks; empty if it is gone or a zombie.
func commandLine(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(string(text), "\x00", " ")
}

// serverProcesses lists the PostgreSQL processes that work in a data directory: all of them have it as
// their current directory.
func serverProcesses(data string) []int {
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		panic(err) // a malformed pattern above
	}
	var pids []int
	for _, link := range links {
		dir, err := os.Readlink(link)
		if err != nil || dir != data {
			continue // gone meanwhile, another user's, or elsewhere
		}
		name, err := os.ReadFile(filepath.Join(filepath.Dir(link), "comm"))
		if err != nil || strings.TrimSpace(string(name)) != "postgres" {
			continue // a person's shell may stand in the directory too
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// memoryDir returns a directory in memory with room for test databases, or "".
func memoryDir() string {
	const dir, enough = "/dev/shm", 1 << 30
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil || stat.Bavail*uint64(stat.Bsize) < enough {
		return ""
	}
	if probe, err := os.MkdirTemp(dir, ephemeralPrefix); err != nil || os.Remove(probe) != nil {
		return "" // not writable for us
	}
	return dir
}
