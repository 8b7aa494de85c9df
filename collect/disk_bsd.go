//go:build unix && !linux

package collect

import "syscall"

// blockSize is the unit of the counts of blocks.
func blockSize(stat *syscall.Statfs_t) int64 { return int64(stat.Bsize) }
