// Package debian brings programs of the distribution that OneVault is compared with: their packages are fetched
// and unpacked into a directory of the benchmarks. It installs nothing and starts no service.
package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Program returns the path of a program of a package, which is fetched into the cache unless it is there.
func Program(ctx context.Context, cache, pkg, program string) (string, error) {
	path := filepath.Join(cache, "usr", "bin", program)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := fetch(ctx, cache, pkg); err != nil {
		return "", fmt.Errorf("%w\nfetch the package %s as the distribution does, unpack it and put its program to %s; or run apt-get update first, where the lists of packages are missing",
			err, pkg, path)
	}
	return path, nil
}

func fetch(ctx context.Context, cache, pkg string) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "bench: fetching the package %s ...\n", pkg)
	download := exec.CommandContext(ctx, "apt-get", "download", pkg)
	download.Dir = cache
	if out, err := download.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get download %s: %w\n%s", pkg, err, bytes.TrimSpace(out))
	}
	files, err := filepath.Glob(filepath.Join(cache, pkg+"_*.deb"))
	if err != nil || len(files) == 0 {
		return errors.Join(err, fmt.Errorf("apt-get download %s left no package in %s", pkg, cache))
	}
	if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", files[len(files)-1], cache).CombinedOutput(); err != nil {
		return fmt.Errorf("dpkg-deb -x %s: %w\n%s", files[len(files)-1], err, bytes.TrimSpace(out))
	}
	return nil
}
