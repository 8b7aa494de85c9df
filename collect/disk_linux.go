package collect

import "syscall"

// blockSize is the unit of the counts of blocks. Bsize is what is best read at once, on FUSE another size.
func blockSize(stat *syscall.Statfs_t) int64 {
	if stat.Frsize > 0 {
		return int64(stat.Frsize)
	}
	return int64(stat.Bsize)
}
