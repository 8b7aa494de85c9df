package collect

import "syscall"

// blockSize is the unit of the counts of blocks. Bsize is what is best read at once, on FUSE another size.
func blockSize(stat *syscall.Statfs_t) int64 {
	if stat.Frsize > 0 {
		return int64(stat.Frsize) //nolint:unconvert // an int32 where addresses have 32 bits
	}
	return int64(stat.Bsize) //nolint:unconvert // as above
}
