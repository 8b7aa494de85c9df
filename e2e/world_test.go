package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/client"
	tlog "go.temporal.io/sdk/log"

	"onevault/settings"
	"onevault/workflows"
)

// world is one OneVault with everything around it.
type world struct {
	name     string
	dir      string // of its onevault-dev
	env      settings.Values
	dev      *process
	db       *pgxpool.Pool
	temporal client.Client
}

var shared struct {
	once  sync.Once
	world *world
	err   error
}

// sharedWorld is the development start that all stories use which do not break it.
func sharedWorld(t *testing.T) *world {
	t.Helper()
	shared.once.Do(func() { shared.world, shared.err = startWorld("shared") })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.world
}

// stopShared ends the shared start in order, as a person's Ctrl-C does.
func stopShared() error {
	if shared.world == nil {
		return nil
	}
	return shared.world.stop()
}

func startWorld(name string) (*world, error) {
	w := &world{name: name, dir: filepath.Join(scratch, name)}
	if err := w.startDev(nil, "--postgres-port=0", "--temporal-port=0", "--ui-port=0", "--api-port=0", "--inbox-port=0", "--smtp-port=0"); err != nil {
		return nil, errors.Join(err, w.stop())
	}
	if err := w.connect(); err != nil {
		return w, err
	}
	// Its stories fire side by side on one target, and each is about its own messages.
	return w, w.tellEachGroup(context.Background())
}

// startDev starts onevault-dev and waits for the file with its addresses.
func (w *world) startDev(env []string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var err error
	if w.dev, err = start(w.name+"-dev", program.dev, env, append([]string{"--data-dir", w.dir}, args...)...); err != nil {
		return err
	}
	if err := w.dev.awaitOutput(ctx, "OneVault is ready"); err != nil {
		return err
	}
	w.env, err = settings.ReadEnvFile(w.dir)
	return err
}

func (w *world) connect() error {
	config, err := pgxpool.ParseConfig(w.env[settings.DatabaseURL])
	if err != nil {
		return errors.New("the vault's address in onevault.env is not a PostgreSQL URL")
	}
	config.ConnConfig.RuntimeParams["application_name"] = "e2e"
	config.MaxConns = 8
	if w.db, err = pgxpool.NewWithConfig(context.Background(), config); err != nil {
		return err
	}
	w.temporal, err = client.NewLazyClient(client.Options{
		HostPort: w.env[settings.TemporalAddress], DataConverter: workflows.DataConverter(), Logger: tlog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	return err
}

func (w *world) stop() error {
	if w.temporal != nil {
		w.temporal.Close()
	}
	if w.db != nil {
		w.db.Close()
	}
	if w.dev == nil {
		return nil
	}
	return w.dev.stop()
}

// variables are what a command or a worker of this world is given.
func (w *world) variables(add ...string) []string {
	list := append([]string{}, add...)
	for _, name := range []string{settings.DatabaseURL, settings.TemporalAddress, settings.UIURL} {
		list = append(list, name+"="+w.env[name])
	}
	return list
}

// onevault runs one command line as the operator dana.
func (w *world) onevault(t *testing.T, args ...string) ran {
	t.Helper()
	return execute(t, "onevault-"+args[0], program.cli, w.variables(settings.Actor+"=dana"), args...)
}

// must runs a command line that has to succeed, and returns what it said.
func (w *world) must(t *testing.T, args ...string) string {
	t.Helper()
	r := w.onevault(t, args...)
	if r.code != 0 {
		t.Fatalf("onevault %s: exit code %d\n%s", strings.Join(args, " "), r.code, r.text)
	}
	return r.text
}

// logs are the texts of all log files below the run's directory, by path.
func logs() (map[string]string, error) {
	texts := map[string]string{}
	err := filepath.WalkDir(scratch, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || entry != nil && entry.Name() == "data" {
			return skip(entry)
		}
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".log" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read a log: %w", err)
		}
		texts[path] = string(text)
		return nil
	})
	return texts, err
}

func skip(entry fs.DirEntry) error {
	if entry != nil && entry.IsDir() {
		return fs.SkipDir
	}
	return nil
}

// eventually asks until the answer is yes; otherwise the story fails, saying what was there at the end.
func eventually(t *testing.T, within time.Duration, what string, ask func(context.Context) (seen bool, there any, err error)) time.Duration {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond) // states in a database give no event
	defer tick.Stop()
	var last any = "nothing"
	for {
		seen, there, err := ask(ctx)
		if seen {
			return time.Since(began)
		}
		if there != nil {
			last = there
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not seen within %s: %s\nlast seen: %v", within, what, last)
		}
	}
}
