package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"onevault/alert"
	"onevault/notify"
	"onevault/vault"
)

// Silences are the activities around the end of a silence.
type Silences struct {
	Vault    *vault.Store
	Channels *Directory
	Temporal client.Client
	// The workflow's queue and type name are the worker's to know.
	TaskQueue       string
	SilenceWorkflow string
}

// SilenceInput names a silence.
type SilenceInput struct {
	ID string `json:"id"` // short id
}

// ReadSilenceOutput is how a silence stands.
type ReadSilenceOutput struct {
	StartsAt time.Time `json:"starts_at"`
	EndsAt   time.Time `json:"ends_at"`
	Over     bool      `json:"over"` // it ended, or nobody knows it any more
}

// ReadSilence reads how a silence stands.
func (s *Silences) ReadSilence(ctx context.Context, in SilenceInput) (ReadSilenceOutput, error) {
	found, err := s.Vault.FindSilence(ctx, in.ID)
	if errors.Is(err, vault.ErrNotFound) {
		return ReadSilenceOutput{Over: true}, nil // a vault that was restored from before it
	}
	if err != nil {
		return ReadSilenceOutput{}, classify(err)
	}
	return ReadSilenceOutput{StartsAt: found.StartsAt, EndsAt: found.EndsAt, Over: found.State == "ENDED"}, nil
}

// PrepareReminderOutput holds one message per channel that people read.
type PrepareReminderOutput struct {
	Reminders []Reminder `json:"reminders,omitempty"`
}

// Reminder is a message to the recipients of one channel.
type Reminder struct {
	Channel alert.Channel `json:"channel"`
	Message Message       `json:"message"`
	Event   string        `json:"event"` // the ledger's word
}

// maxNamed is how many alerts a reminder names.
const maxNamed = 5

// PrepareReminder finds who is to be reminded that a silence ends: the channels that will hear the alerts which
// it alone still mutes. Where none waits nobody is, and a webhook, which machines read, never is.
func (s *Silences) PrepareReminder(ctx context.Context, in SilenceInput) (PrepareReminderOutput, error) {
	silence, err := s.Vault.FindSilence(ctx, in.ID)
	if errors.Is(err, vault.ErrNotFound) {
		return PrepareReminderOutput{}, nil
	}
	if err != nil {
		return PrepareReminderOutput{}, classify(err)
	}
	rows, err := s.Vault.SilencedAlerts(ctx, in.ID)
	if err != nil {
		return PrepareReminderOutput{}, classify(err)
	}
	var (
		out    PrepareReminderOutput
		names  = map[string][]string{}
		index  = map[string]int{}
		groups = map[string]*alert.Group{} // by the key of their definition
	)
	for _, row := range rows {
		group := groups[row.Definition.Key]
		if group == nil {
			if group, err = s.hearing(ctx, row.Definition); err != nil {
				return PrepareReminderOutput{}, classify(err)
			}
			groups[row.Definition.Key] = group
		}
		for _, key := range group.HearersAt(row.Alert.Level) {
			channel := group.Channels[key]
			if !remindsPeople(notify.Type(channel.Type)) {
				continue
			}
			at, begun := index[channel.Key]
			if !begun {
				at = len(out.Reminders)
				index[channel.Key] = at
				out.Reminders = append(out.Reminders, newReminder(silence, channel, row.Definition.Severity))
			}
			message := &out.Reminders[at].Message
			message.Alerts = append(message.Alerts, row.Alert)
			names[channel.Key] = append(names[channel.Key], fmt.Sprintf("%s on %s (%s)", row.Definition.Name, row.Alert.Target, row.Alert.ShortID))
		}
	}
	for i := range out.Reminders {
		r := &out.Reminders[i]
		list := names[r.Channel.Key]
		said := strings.Join(list[:min(len(list), maxNamed)], ", ")
		if more := len(list) - maxNamed; more > 0 {
			said += fmt.Sprintf(" and %d more", more)
		}
		r.Message.Definition.Description = said + ". To keep them quiet: onevault silence extend " + silence.ID + " -d 1h"
	}
	return out, nil
}

// hearing is a group without alerts that knows who hears a definition, and whom its policy names.
func (s *Silences) hearing(ctx context.Context, d alert.Definition) (*alert.Group, error) {
	hearers, err := s.Channels.Matching(ctx, d.Key)
	if err != nil {
		return nil, err
	}
	named, err := s.Channels.Named(ctx, d.Key, d.Policy.Named())
	if err != nil {
		return nil, err
	}
	group := &alert.Group{Definition: d}
	group.Hear(hearers)
	group.HearNamed(named)
	return group, nil
}

// remindsPeople reports whether a channel takes a reminder. A program has no use for one; a telephone that
// rings and a service that wakes people are for alerts.
func remindsPeople(kind notify.Type) bool {
	switch kind {
	case notify.TypeEmail, notify.TypeSlack, notify.TypeSMS:
		return true
	case notify.TypeWebhook, notify.TypeVoice, notify.TypePagerDuty:
	}
	return false
}

// newReminder is a reminder without its alerts; the first of them is the worst.
func newReminder(silence vault.Silence, channel alert.Channel, worst alert.Severity) Reminder {
	event := string(alert.EventSilenceEnding) + ":" + silence.ID + ":" + silence.EndsAt.UTC().Format("200601021504")
	return Reminder{Channel: channel, Event: event, Message: Message{
		Key: "silence/" + event, Event: alert.EventSilenceEnding, WorkflowID: "silence/" + silence.ID, At: time.Now().UTC(),
		Definition: alert.Definition{
			Key: "SILENCE_ENDING", Severity: worst,
			Name: fmt.Sprintf("Silence %s by %s ends at %s (%s)", silence.ID, silence.By, silence.EndsAt.UTC().Format("15:04 UTC"), silence.Comment),
		},
	}}
}

// BringSilence tells the workflow of a silence that it was made, extended or ended, and starts it when none runs.
func (s *Silences) BringSilence(ctx context.Context, workflowID, id string) error {
	_, err := s.Temporal.SignalWithStartWorkflow(ctx, workflowID, alert.SignalSilence, nil, client.StartWorkflowOptions{
		ID: workflowID, TaskQueue: s.TaskQueue, StaticSummary: "reminds people before silence " + id + " ends",
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
	}, s.SilenceWorkflow, SilenceInput{ID: id})
	return err
}
