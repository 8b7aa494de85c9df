package activities

import (
	"context"
	"errors"
	"maps"
	"slices"

	"onevault/notify"
	"onevault/vault"
)

// Phones are the telephone channels that people can answer by, as they stand now, or as last read while the vault is
// down. What cannot be opened is left out, and an error beside the others says why.
func (d *Directory) Phones(ctx context.Context) ([]*notify.Phone, error) {
	configs, err := d.ofTypes(ctx, notify.TypeSMS, notify.TypeVoice)
	if err != nil {
		return nil, err
	}
	var (
		phones []*notify.Phone
		errs   []error
	)
	for _, config := range configs {
		phone, err := notify.OpenPhone(config, d.Options)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		phones = append(phones, phone)
	}
	return phones, errors.Join(errs...)
}

// ofTypes reads the enabled channels of some types.
func (d *Directory) ofTypes(ctx context.Context, types ...notify.Type) ([]notify.Config, error) {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = string(t)
	}
	rows, err := d.Vault.ChannelsOf(ctx, names...)
	if vault.Unreachable(err) {
		if known := d.recallTypes(types); len(known) > 0 {
			return known, nil
		}
	}
	if err != nil {
		return nil, err
	}
	configs := make([]notify.Config, len(rows))
	for i, row := range rows {
		configs[i] = configOf(row)
		d.remember(configs[i])
	}
	return configs, nil
}

func (d *Directory) recallTypes(types []notify.Type) []notify.Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	var configs []notify.Config
	for _, key := range slices.Sorted(maps.Keys(d.last)) {
		if config := d.last[key]; slices.Contains(types, config.Type) {
			configs = append(configs, config)
		}
	}
	return configs
}

// PagerHook is the receiving side of the PAGERDUTY channel with this key; nil: there is none, or it hears nothing.
func (d *Directory) PagerHook(ctx context.Context, key string) (*notify.PagerHook, error) {
	configs, err := d.ofTypes(ctx, notify.TypePagerDuty)
	if err != nil {
		return nil, err
	}
	for _, config := range configs {
		if config.Key != key {
			continue
		}
		hook, err := notify.OpenPagerHook(config, d.Options)
		if errors.Is(err, notify.ErrNoHookSecret) {
			return nil, nil
		}
		return hook, err
	}
	return nil, nil
}
