//go:build unix

package collect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// volumeOf measures the file system that a directory lies on, symbolic links followed.
func volumeOf(directory string) (volume, error) {
	real, err := filepath.EvalSymlinks(directory)
	if errors.Is(err, fs.ErrPermission) {
		return volume{}, fmt.Errorf("%w: the worker's account may not look there; let it be of the server's group, and initdb with --allow-group-access", plain(err))
	}
	if err != nil {
		return volume{}, err
	}
	mount, err := mountPoint(real)
	if err != nil {
		return volume{}, err
	}
	var stat syscall.Statfs_t
	if err := syscall.Statfs(real, &stat); err != nil {
		return volume{}, fmt.Errorf("statfs %s: %w", real, err)
	}
	block := blockSize(&stat)
	v := volume{mount: mount, used: int64(stat.Blocks-stat.Bfree) * block, available: max(int64(stat.Bavail), 0) * block}
	if v.used+v.available == 0 {
		return volume{}, fmt.Errorf("statfs %s: the volume has no blocks", real)
	}
	return v, nil
}

// mountPoint is the highest directory above another that lies on the same device.
func mountPoint(directory string) (string, error) {
	device, err := deviceOf(directory)
	if err != nil {
		return "", err
	}
	for directory != "/" {
		parent := filepath.Dir(directory)
		above, err := deviceOf(parent)
		if err != nil {
			return "", err
		}
		if above != device {
			break
		}
		directory = parent
	}
	return directory, nil
}

func deviceOf(directory string) (uint64, error) {
	var stat syscall.Stat_t
	if err := syscall.Stat(directory, &stat); err != nil {
		return 0, fmt.Errorf("stat %s: %w", directory, err)
	}
	return uint64(stat.Dev), nil //nolint:unconvert // an int32 on other systems
}

// backendIsHere reports whether the process that serves our connection is a postgres of this host: an
// address proves nothing where ports are forwarded or published by containers.
func backendIsHere(pid uint32) bool {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return err == nil && strings.TrimSpace(string(name)) == "postgres"
}
