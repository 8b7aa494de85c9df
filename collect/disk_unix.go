//go:build unix

package collect

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// volumeUsage is the used share in per cent, as df counts it: of what ordinary users can have.
func volumeUsage(directory string) (float64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(directory, &stat); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", directory, err)
	}
	used := float64(stat.Blocks - stat.Bfree)
	usable := used + float64(stat.Bavail)
	if usable == 0 {
		return 0, fmt.Errorf("statfs %s: the volume has no blocks", directory)
	}
	return 100 * used / usable, nil
}

// backendIsHere reports whether the process that serves our connection is a postgres of this host: an
// address proves nothing where ports are forwarded or published by containers.
func backendIsHere(pid uint32) bool {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return err == nil && strings.TrimSpace(string(name)) == "postgres"
}
