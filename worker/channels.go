package worker

import (
	"onevault/activities"
	"onevault/notify"
	"onevault/settings"
)

// openDirectory makes the directory of the channels, with what this process decides about all of them.
func (p *parts) openDirectory() error {
	public, err := settings.ParsePublicURL(p.config.PublicURL, p.config.AllowedCIDRs)
	if err != nil {
		return err
	}
	p.directory = &activities.Directory{Vault: p.store, Options: notify.Options{Allow: p.config.AllowedCIDRs, PublicURL: public}}
	return nil
}
