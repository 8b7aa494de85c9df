package doctor

import (
	"context"
	"net/netip"
	"time"

	"onevault/link"
	"onevault/settings"
	"onevault/vault"
)

// InboundSettings are what decides whether mails can be answered by a press, as they stand here.
type InboundSettings struct {
	PublicURL    string
	LinkKey      string // the keys themselves
	LinkKeyFile  string
	AllowedCIDRs []netip.Prefix
}

// Inbound looks at the settings of links, which are those of a worker with the same environment.
func Inbound(s InboundSettings) Finding {
	const (
		check  = "links"
		remedy = "set " + settings.PublicURL + " to the API's address as people reach it, and " + settings.LinkKeyFile + " to a file made by `openssl rand -base64 32` (mode 0600); see docs/inbound.md"
	)
	public, err := settings.ParsePublicURL(s.PublicURL, s.AllowedCIDRs)
	if err != nil {
		return fail(check, "a worker with this setting does not start", "%s", err)
	}
	keys, err := settings.ReadLinkKeys(s.LinkKey, s.LinkKeyFile)
	if err == nil && keys != "" {
		_, err = link.ParseKeys(keys)
	}
	switch {
	case err != nil:
		return fail(check, "a worker with this setting does not start", "%s", err)
	case public == nil && keys == "":
		// Workers have an environment of their own: that it is not set here need be nobody's fault.
		f := ok(check, "not set here: mails of a worker with this environment have no buttons to acknowledge and resolve")
		f.Remedy = remedy
		return f
	case public == nil:
		return warn(check, remedy, "there is a key to sign links, and no %s that they could lead to: mails have none", settings.PublicURL)
	case keys == "":
		return warn(check, remedy, "there is an address, and no key to sign links: mails have none")
	}
	return ok(check, "mails of a worker with this environment have buttons that lead to %s", public)
}

func checkSources(ctx context.Context, store *vault.Store, _ func() time.Time) ([]Finding, error) {
	sources, err := store.Sources(ctx, false)
	return judgeSources(sources), err
}

// judgeSources finds sources that made as many definitions as they may.
func judgeSources(sources []vault.Source) []Finding {
	var full []string
	for _, s := range sources {
		if s.Definitions >= s.MaxDefinitions {
			full = append(full, s.Name)
		}
	}
	if len(full) > 0 {
		return []Finding{warn("sources", "raise --max-definitions (onevault source apply), or have the source send fewer names of alerts",
			"%s made as many definitions as it may: what is beyond shares one for each severity", several(full))}
	}
	return nil
}
