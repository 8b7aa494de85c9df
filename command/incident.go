package command

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.temporal.io/sdk/client"

	"onevault/incident"
	"onevault/vault"
	"onevault/workflows"
)

// Incidents carries commands to incidents: to the workflow, which answers at once, and where that cannot
// answer to the vault, as Sender does for alerts.
type Incidents struct {
	Vault *vault.Store
	// Update sends a command to a workflow; errors wrap ErrConflict, ErrNotRunning or ErrNoAnswer.
	Update func(ctx context.Context, workflowID, update string, c incident.Command) (incident.Answer, error)
}

// IncidentOutcome says what stands now.
type IncidentOutcome struct {
	incident.Answer
	Through string `json:"through"` // workflow or vault
}

// OnlyInVault reports whether the workflow has yet to hear of the change.
func (o IncidentOutcome) OnlyInVault() bool {
	return o.Changed && o.Through == throughVault && o.Incident.Status != incident.StatusClosed
}

// Carry brings one command to one incident. Where its state forbids the command the error wraps ErrConflict.
func (s *Incidents) Carry(ctx context.Context, id, update string, kind incident.Kind, c incident.Command) (IncidentOutcome, error) {
	found, err := s.Vault.FindIncident(ctx, id)
	if vault.Unreachable(err) {
		return s.carryWithoutVault(ctx, id, update, c, err)
	}
	if err != nil {
		return IncidentOutcome{}, err
	}
	if err := checkIncident(found.Incident, kind, c); err != nil {
		return IncidentOutcome{}, err
	}
	if found.Status != incident.StatusClosed {
		answer, err := s.Update(ctx, found.WorkflowID, update, c)
		if err == nil {
			return IncidentOutcome{answer, throughWorkflow}, nil
		}
		// What the workflow cannot take the vault can; the outbox tells it. Both have the same guard, so an
		// update that arrives after all changes nothing.
		if !errors.Is(err, ErrNotRunning) && !errors.Is(err, ErrNoAnswer) {
			return IncidentOutcome{}, fmt.Errorf("%s %s: %w", update, found.ID, err)
		}
	}
	changed, err := s.Vault.CommandIncident(ctx, found, kind, c)
	if err != nil {
		return IncidentOutcome{}, err
	}
	now, err := s.Vault.FindIncident(ctx, found.HashKey)
	if err != nil {
		return IncidentOutcome{}, err
	}
	if !changed {
		if err := checkIncident(now.Incident, kind, c); err != nil { // somebody changed it meanwhile
			return IncidentOutcome{}, err
		}
	}
	return IncidentOutcome{incident.Answer{Incident: now.Incident, Changed: changed}, throughVault}, nil
}

func checkIncident(i incident.Incident, kind incident.Kind, c incident.Command) error {
	if err := i.Check(kind, c); errors.Is(err, incident.ErrConflict) {
		return fmt.Errorf("%w: %w", ErrConflict, err)
	} else if err != nil {
		return err
	}
	return nil
}

// incidentCode is the code of a short id, however it is typed.
var incidentCode = regexp.MustCompile(`^(?:INCIDENT/)?(?:I-)?([0-9A-Z]{4,8})$`)

// carryWithoutVault takes a short id for a whole one: the id of the workflow follows from it.
func (s *Incidents) carryWithoutVault(ctx context.Context, id, update string, c incident.Command, vaultErr error) (IncidentOutcome, error) {
	parts := incidentCode.FindStringSubmatch(strings.ToUpper(strings.TrimSpace(id)))
	if parts == nil {
		return IncidentOutcome{}, fmt.Errorf("find incident %s: %w", id, vaultErr)
	}
	shortID := "I-" + strings.NewReplacer("O", "0", "I", "1", "L", "1").Replace(parts[1]) // as the vault reads it
	answer, err := s.Update(ctx, workflows.IncidentWorkflowID(shortID), update, c)
	if err != nil {
		return IncidentOutcome{}, fmt.Errorf("%s %s: the vault does not answer (%w), and its workflow: %w", update, id, vaultErr, err)
	}
	return IncidentOutcome{answer, throughWorkflow}, nil
}

// UpdateIncident sends a command to an incident's workflow.
func (t Temporal) UpdateIncident(ctx context.Context, workflowID, update string, c incident.Command) (incident.Answer, error) {
	var answer incident.Answer
	temporalClient, err := t.connect(ctx)
	if err != nil {
		return answer, err
	}
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	handle, err := temporalClient.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: workflowID, UpdateName: update, Args: []any{c}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err != nil {
		return answer, classify(err)
	}
	if err := handle.Get(ctx, &answer); err != nil {
		return incident.Answer{}, classify(err)
	}
	return answer, nil
}
