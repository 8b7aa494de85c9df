package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"

	"onevault/activities"
	"onevault/alert"
)

// Types of the errors by which an alert's workflow refuses a command.
const (
	ErrorConflict = "Conflict" // the alert is over, or its state does not allow it
	ErrorNotFound = "NotFound" // the group does not carry it
	ErrorUsage    = "Usage"    // the command itself is incomplete
)

func isRefused(err error) bool {
	var appErr *temporal.ApplicationError
	return errors.As(err, &appErr) && appErr.Type() == activities.ErrorVaultRefused
}

// refuse turns a rule's refusal into an error that a client can tell apart.
func refuse(err error) error {
	kind := ErrorUsage
	switch {
	case errors.Is(err, alert.ErrOver), errors.Is(err, alert.ErrState):
		kind = ErrorConflict
	case errors.Is(err, alert.ErrUnknownAlert):
		kind = ErrorNotFound
	}
	return temporal.NewApplicationError(err.Error(), kind)
}

func asTimeout(err error, target **temporal.TimeoutError) bool { return errors.As(err, target) }
