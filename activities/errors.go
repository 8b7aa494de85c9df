// Package activities is where workflows touch the world: each activity calls one thing and maps its
// errors. It decides nothing about the life of an alert.
package activities

import (
	"errors"

	"go.temporal.io/sdk/temporal"

	"onevault/vault"
)

// Types of application errors, by which workflows branch.
const (
	// ErrorVaultUnreachable: the vault cannot be used now; retrying may help.
	ErrorVaultUnreachable = "VaultUnreachable"
	// ErrorVaultRefused: the vault refused the content; retrying cannot help.
	ErrorVaultRefused = "VaultRefused"
	// ErrorNotWatched: the target is unknown, disabled or removed, or its row can never work; retrying cannot help.
	ErrorNotWatched = "NotWatched"
)

// classify is the one place that turns an error of the vault into an application error of a type.
func classify(err error) error {
	var refused *vault.Refusal
	switch {
	case err == nil:
		return nil
	case vault.Unreachable(err):
		return temporal.NewApplicationErrorWithCause(err.Error(), ErrorVaultUnreachable, err)
	case errors.As(err, &refused), vault.Permanent(err):
		return temporal.NewNonRetryableApplicationError(err.Error(), ErrorVaultRefused, err)
	}
	return err
}
