package activities

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/sdk/temporal"

	"onevault/collect"
	"onevault/vault"
)

// LocalTarget is the vault's own server: always watched, with the worker's own connection settings.
const LocalTarget = vault.LocalTarget

// readTargetsTimeout bounds a look at the vault's list on the way to a target.
const readTargetsTimeout = 3 * time.Second

// Registry knows the targets beside local: it opens each when it is first asked for, follows the vault's
// list of them, and goes on with what it knows while the vault is down.
type Registry struct {
	Vault   *vault.Store
	Secrets collect.Secrets

	mu    sync.Mutex
	known map[string]vault.Target
	open  map[string]openTarget
}

// openTarget is a target as it was opened: another version of its row is opened anew.
type openTarget struct {
	*collect.Target
	version time.Time
}

// Refresh reads the vault's list, gives up the connections of what changed or is no longer watched, and
// returns the list, removed targets among it.
func (r *Registry) Refresh(ctx context.Context) ([]vault.Target, error) {
	list, err := r.Vault.WatchedTargets(ctx)
	if err != nil {
		return nil, err
	}
	known := make(map[string]vault.Target, len(list))
	for _, t := range list {
		known[t.Name] = t
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = known
	for name, opened := range r.open {
		if t, there := known[name]; !there || t.State != vault.TargetEnabled || !t.Version.Equal(opened.version) {
			r.closeLater(name)
		}
	}
	return list, nil
}

// closeLater forgets a target and closes it when what is under way there has ended.
func (r *Registry) closeLater(name string) {
	opened := r.open[name]
	delete(r.open, name)
	go opened.Close()
}

// Target is an open target of a name. One that this worker has not heard of is looked for in the vault.
func (r *Registry) Target(name string) (*collect.Target, error) {
	if target, known, err := r.lookup(name); known {
		return target, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readTargetsTimeout)
	defer cancel()
	if _, err := r.Refresh(ctx); err != nil {
		return nil, classify(fmt.Errorf("look for target %q: %w", name, err))
	}
	target, known, err := r.lookup(name)
	if !known {
		return nil, unwatched("target %q is unknown", name)
	}
	return target, err
}

// lookup opens a target that is known. Retrying cannot help where the error is of type ErrorNotWatched.
func (r *Registry) lookup(name string) (target *collect.Target, known bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, known := r.known[name]
	switch {
	case !known:
		return nil, false, nil
	case t.State == vault.TargetRemoved:
		// It may have been added again a moment ago: unknown, so that the vault is asked.
		delete(r.known, name)
		return nil, true, unwatched("target %q was removed", name)
	case t.State == vault.TargetDisabled:
		delete(r.known, name)
		return nil, true, unwatched("target %q is disabled", name)
	}
	if opened, is := r.open[name]; is {
		return opened.Target, true, nil
	}
	opened, err := collect.OpenAddress(name, AddressOf(t), r.Secrets)
	if err != nil {
		return nil, true, temporal.NewNonRetryableApplicationError(err.Error(), ErrorNotWatched, err)
	}
	if r.open == nil {
		r.open = map[string]openTarget{}
	}
	r.open[name] = openTarget{opened, t.Version}
	return opened, true, nil
}

func unwatched(format, name string) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, name)+": see `onevault target list`", ErrorNotWatched, nil)
}

// AddressOf is where a target is, as collect takes it.
func AddressOf(t vault.Target) collect.Address {
	return collect.Address{URL: t.URL, PasswordEnv: t.PasswordEnv, PasswordFile: t.PasswordFile, URLEnv: t.URLEnv, URLFile: t.URLFile}
}

// Close gives all connections back.
func (r *Registry) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, opened := range r.open {
		delete(r.open, name)
		opened.Close()
	}
}
