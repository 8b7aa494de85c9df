//go:build linux

// Package cpu reads what processes have spent on a processor, from the kernel's own clocks. It owns no process.
package cpu

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Of is what all threads of a process, ended ones too, have spent on a processor. The kernel counts
// it in nanoseconds and keeps a clock of it for each process, which others may read.
func Of(pid int) (time.Duration, error) {
	const processClock = 2 // CPUCLOCK_SCHED: the time that the scheduler counts, not that of the timer's ticks
	var spent unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|processClock), &spent); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(spent.Nano()), nil
}

// Server is what a PostgreSQL server has spent: the postmaster, each of its processes, and those that
// ended, whose time the kernel adds to the postmaster's in ticks of 10 ms. A caller takes the difference
// over many collections, in which a tick is nothing, while nobody else uses the server.
func Server(postmaster int) (time.Duration, error) {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", postmaster, postmaster))
	if err != nil {
		return 0, fmt.Errorf("list the processes of the server (the kernel needs CONFIG_PROC_CHILDREN): %w", err)
	}
	sum, err := Of(postmaster)
	if err != nil {
		return 0, err
	}
	for _, word := range strings.Fields(string(children)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			return 0, fmt.Errorf("a process of the server is %q: %w", word, err)
		}
		// One that has ended since the list was read is counted below.
		if spent, err := Of(pid); err == nil {
			sum += spent
		}
	}
	ended, err := endedCPU(postmaster)
	return sum + ended, err
}

// endedCPU is what the children of a process had spent that it has waited for.
func endedCPU(pid int) (time.Duration, error) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux that there is
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return endedTicks(string(text), tick)
}

// endedTicks reads cutime and cstime, fields 16 and 17 of /proc/<pid>/stat. The second field is a name in
// brackets that may hold anything.
func endedTicks(stat string, tick time.Duration) (time.Duration, error) {
	_, rest, found := cutLast(stat, ") ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 15 {
		return 0, fmt.Errorf("/proc/<pid>/stat reads %q: want 17 fields", stat)
	}
	var ticks int64
	for _, field := range fields[13:15] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/<pid>/stat reads %q: %w", stat, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

func cutLast(text, separator string) (before, after string, found bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(separator):], true
}
