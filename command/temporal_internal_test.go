package command

import (
	"errors"
	"testing"

	"go.temporal.io/sdk/temporal"

	"onevault/activities"
	"onevault/workflows"
)

func TestClassify_LeavesAPersonTheSentenceOfARefusal(t *testing.T) {
	t.Parallel()
	err := classify(temporal.NewApplicationError("the vault refused it: value too long", activities.ErrorVaultRefused))
	if err.Error() != "the vault refused it: value too long" {
		t.Errorf("a refusal reads %q", err)
	}
	if err := classify(temporal.NewApplicationError("A-7F3K is over", workflows.ErrorConflict)); !errors.Is(err, ErrConflict) {
		t.Errorf("a conflict is %v", err)
	}
}
