package e2e_test

import "syscall"

// dieWithUs has the kernel kill a child when the tests are killed themselves.
func dieWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
