package workflows

import (
	"go.temporal.io/sdk/temporal"

	"onevault/alert"
)

// The search attributes by which the Temporal UI filters alerts. A cluster must know them before a
// worker starts; worker registers what is missing.
var (
	AttributeStatus     = temporal.NewSearchAttributeKeyKeyword("OneVaultStatus")
	AttributeSeverity   = temporal.NewSearchAttributeKeyKeyword("OneVaultSeverity")
	AttributeTarget     = temporal.NewSearchAttributeKeyKeyword("OneVaultTarget")
	AttributeDefinition = temporal.NewSearchAttributeKeyKeyword("OneVaultDefinition")
	AttributeWaitsFor   = temporal.NewSearchAttributeKeyKeyword("OneVaultWaitsFor")
	AttributeAlerts     = temporal.NewSearchAttributeKeyKeywordList("OneVaultAlerts") // short ids of the active alerts
)

// SearchAttributes lists all of them.
func SearchAttributes() []temporal.SearchAttributeKey {
	return []temporal.SearchAttributeKey{
		AttributeStatus, AttributeSeverity, AttributeTarget, AttributeDefinition, AttributeWaitsFor, AttributeAlerts,
	}
}

// maxListed bounds the short ids in a search attribute and the rows in the details of the UI.
const maxListed = 50

// What a group waits for, as its search attribute and its details say it.
const (
	waitsForAnswer     = "acknowledgement"
	waitsForResolution = "resolution"
	waitsForUnmute     = "end of a mute"
	waitsForDelivery   = "delivery"
	waitsForVault      = "vault"
	waitsForNothing    = "nothing"
)

func attributesOf(g *alert.Group, waitsFor string) []temporal.SearchAttributeUpdate {
	ids := []string{}
	for _, t := range g.Alerts {
		if t.Active() && len(ids) < maxListed {
			ids = append(ids, t.ShortID)
		}
	}
	return []temporal.SearchAttributeUpdate{
		AttributeStatus.ValueSet(string(g.Status())),
		AttributeSeverity.ValueSet(string(g.Definition.Severity)),
		AttributeTarget.ValueSet(g.Target),
		AttributeDefinition.ValueSet(g.Definition.Key),
		AttributeWaitsFor.ValueSet(waitsFor),
		AttributeAlerts.ValueSet(ids),
	}
}
