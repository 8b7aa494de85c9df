package activities

import (
	"onevault/notify"
	"onevault/vault"
)

// The types that workflows hand through: they take names from here and import no effect.
type (
	// Change is one thing that an alert's workflow did.
	Change = vault.Change
	// ChangeResult says what stands in the vault after a change was offered.
	ChangeResult = vault.ChangeResult
	// LedgerEntry is one version of one notification.
	LedgerEntry = vault.LedgerEntry
	// Message is what people are told.
	Message = notify.Message
	// Receipt is what one attempt proved.
	Receipt = notify.Receipt
	// Class is the word for it.
	Class = notify.Class
)

// The classes by which workflows branch.
const (
	Accepted      = notify.Accepted
	NotSent       = notify.NotSent
	Transient     = notify.Transient
	Uncertain     = notify.Uncertain
	Misconfigured = notify.Misconfigured
)
