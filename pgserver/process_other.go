//go:build !linux

package pgserver

import (
	"strconv"
	"strings"
	"syscall"
)

// childAttributes keep the terminal's Ctrl-C from reaching the child. These kernels cannot signal it at
// our death: after a kill -9 it lives on until the next start stops it (see clearLeftovers).
func childAttributes(c *syscall.Credential, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: c}
}

// commandLine returns a process's arguments, separated by blanks; empty if it is gone.
func commandLine(pid int) string {
	text, err := output("ps", "-ww", "-o", "args=", "-p", strconv.Itoa(pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(text)
}

// serverProcesses cannot tell a process's directory here. Backends that outlive their postmaster make
// the next one refuse to start for a moment, and launch tries again.
func serverProcesses(string) []int { return nil }

// memoryDir returns "": there is no standard file system in memory.
func memoryDir() string { return "" }
