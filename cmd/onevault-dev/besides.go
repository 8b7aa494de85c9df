package main

import (
	"os"
	"path/filepath"
	"strings"
)

// besides is a program that is installed beside this one, or only its name, for the PATH. The path is
// relative where the program lies below the working directory, as in a clone: bin/onevault.
func besides(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	path := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(path); err != nil {
		return name
	}
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if short, err := filepath.Rel(here, path); err == nil && !strings.HasPrefix(short, "..") {
		return "." + string(filepath.Separator) + short
	}
	return path
}
