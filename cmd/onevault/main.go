// Command onevault is the worker and the command line of OneVault. This package wires: one file per
// noun, each from flags to a call and from its result to the screen. What decides lives in the packages
// below it and in the rest of the module.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"
)

// version is set by the linker: -X main.version=1.2.3. Empty: the build's own information is shown.
var version string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := (&app{
		in:            os.Stdin,
		out:           os.Stdout,
		errOut:        os.Stderr,
		outIsTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		errIsTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		canAsk:        term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd())),
		now:           time.Now,
	}).run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
