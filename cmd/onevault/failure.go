package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"onevault/cmd/onevault/output"
	"onevault/command"
	"onevault/vault"
)

// Exit codes, as the help says.
const (
	exitDone     = 0
	exitError    = 1
	exitUsage    = 2
	exitNotFound = 3
	exitConflict = 4
)

// failure is an error as its reader sees it: what is wrong, and what to do about it.
type failure struct {
	code    int
	message string
	remedy  string
}

func (f *failure) Error() string { return f.message }

// silent is a failure that the output has told already.
type silent struct{ code int }

func (s *silent) Error() string { return "" }

// explain finds the code, the words and the remedy of an error.
func (a *app) explain(err error) failure {
	var (
		known   *failure
		quiet   *silent
		refused *vault.Refusal
		pgErr   *pgconn.PgError
	)
	switch {
	case errors.As(err, &known):
		return *known
	case errors.As(err, &quiet):
		return failure{code: quiet.code}
	case errors.Is(err, command.ErrConflict):
		return failure{exitConflict, strings.TrimPrefix(afterLast(err.Error(), command.ErrConflict.Error()+": "), "the alert is over: "), "see `onevault alert show` for what stands now"}
	case errors.Is(err, vault.ErrAmbiguous) && errors.As(err, &refused):
		return failure{exitUsage, refused.Message, refused.Hint}
	case errors.As(err, &refused):
		code := exitError
		if errors.Is(err, vault.ErrNotFound) {
			code = exitNotFound
		}
		return failure{code, refused.Message, refused.Hint}
	case errors.Is(err, vault.ErrNotFound):
		return failure{exitNotFound, err.Error(), ""}
	case errors.Is(err, command.ErrNotRunning), errors.Is(err, command.ErrNotCarried):
		return failure{exitNotFound, err.Error(), "see `onevault alert list`"}
	case errors.Is(err, command.ErrNoAnswer):
		return failure{exitError, err.Error(), "start Temporal and a worker, or correct TEMPORAL_ADDRESS; see `onevault doctor`"}
	case errors.Is(err, context.Canceled):
		return failure{exitError, "interrupted", ""}
	case errors.As(err, &pgErr):
		return failure{exitError, err.Error(), databaseRemedy(pgErr)}
	case a.store != nil && vault.Unreachable(err): // without a store it was another address that did not answer
		return failure{exitError, "the vault does not answer: " + unreachableCause(err), "start its server, or correct ONEVAULT_DATABASE_URL; see `onevault doctor`"}
	}
	return failure{code: exitError, message: err.Error()}
}

// unreachableCause is the network's own word. pgx tells it once per address and per attempt with TLS.
func unreachableCause(err error) string {
	var network *net.OpError
	if errors.As(err, &network) {
		return network.Error()
	}
	return err.Error()
}

func databaseRemedy(err *pgconn.PgError) string {
	switch err.Code {
	case "42P01", "42883", "3F000":
		return "the vault's schema is missing or older than this build: run `onevault migrate up`"
	case "28P01", "28000":
		return "correct user and password in ONEVAULT_DATABASE_URL"
	case "3D000":
		return "create the database, or correct its name in ONEVAULT_DATABASE_URL"
	case "42501":
		return "grant the role the privilege; `onevault doctor` says which it needs"
	}
	return err.Hint
}

func afterLast(text, mark string) string {
	if i := strings.LastIndex(text, mark); i >= 0 {
		return text[i+len(mark):]
	}
	return text
}

// report writes a failure: one line, and the remedy below it.
func (a *app) report(f failure) {
	if f.message == "" {
		return
	}
	fmt.Fprintln(a.errOut, "onevault: "+output.Printable(a.withoutPassword(f.message)))
	if f.remedy != "" {
		fmt.Fprintln(a.errOut, "  "+output.Printable(a.withoutPassword(f.remedy)))
	}
}

// withoutPassword is the last line of defence: no library's error may print what the vault's URL holds.
func (a *app) withoutPassword(text string) string {
	address, err := a.vaultURL()
	if err != nil {
		return text
	}
	parsed, err := url.Parse(address)
	if err != nil || parsed.User == nil {
		return strings.ReplaceAll(text, address, "[database url]")
	}
	password, _ := parsed.User.Password()
	for _, secret := range []string{password, url.QueryEscape(password), url.PathEscape(password)} {
		// A short one is also a part of ordinary words, and says nothing there.
		if len(secret) >= 4 {
			text = strings.ReplaceAll(text, secret, "[password]")
		}
	}
	return text
}

// failAll reports each error of a command over several things; the first one's code counts.
func (a *app) failAll(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	code := exitDone
	for _, err := range errs {
		f := a.explain(err)
		a.report(f)
		if code == exitDone {
			code = f.code
		}
	}
	return &silent{code}
}

// withRemedy adds what to do to an error whose package does not know the command line.
func withRemedy(err error, remedy string) error {
	if !errors.Is(err, vault.ErrNotFound) {
		return err
	}
	return &failure{code: exitNotFound, message: err.Error(), remedy: remedy}
}
