package worker

import (
	"onevault/activities"
	"onevault/notify"
	"onevault/settings"
)

// directory is that of the channels, with what this process decides about all of them.
func (p *parts) directory() (*activities.Directory, error) {
	public, err := settings.ParsePublicURL(p.config.PublicURL, p.config.AllowedCIDRs)
	if err != nil {
		return nil, err
	}
	return &activities.Directory{Vault: p.store, Options: notify.Options{
		Allow: p.config.AllowedCIDRs, PublicURL: public, Pace: notify.NewPace(),
	}}, nil
}
