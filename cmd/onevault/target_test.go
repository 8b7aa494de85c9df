package main

import (
	"crypto/rand"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onevault/activities"
	"onevault/collect"
	"onevault/pgserver/pgtest"
	"onevault/settings"
	"onevault/vault"
)

// watcher makes a role with the memberships on a fresh server's database, and returns where it logs in: an
// address without a password.
func watcher(t *testing.T, l life, memberships ...string) string {
	t.Helper()
	address := pgtest.DB(t)
	store, err := vault.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	role := "watcher_" + strings.ToLower(rand.Text()[:8])
	statements := []string{"CREATE ROLE " + role + " LOGIN", "DROP SCHEMA auth CASCADE"}
	for _, group := range memberships {
		statements = append(statements, "GRANT "+group+" TO "+role)
	}
	for _, statement := range statements {
		if _, err := store.Pool().Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal("the address of a test database is not a URL")
	}
	query := u.Query()
	for name := range query {
		if name != "host" && name != "port" && name != "sslmode" {
			query.Del(name)
		}
	}
	u.User, u.RawQuery = url.User(role), query.Encode()
	return u.String()
}

func TestTarget_IsAddedCheckedListedChangedAndRemoved(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	address := watcher(t, l, "pg_monitor")
	added := l.cli("target", "add", "shop", address, "--description", "the shop", "--actor", "dana")
	added.wants(t, exitDone, "shop: PostgreSQL 1", "primary", "0 not", "added shop")
	l.cli("target", "add", "Shop", address, "--no-check").wants(t, exitError, `"shop" is there already`)

	l.cli("target", "list", "-o", "wide").wants(t, exitDone, "local", "NO_SAMPLES", "shop", "WAITING", "dana", "the shop")
	target, err := collect.OpenAddress("shop", collect.Address{URL: address}, collect.Secrets{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(target.Close)
	c := &activities.Collection{Vault: l.store, Targets: map[string]*collect.Target{"shop": target}}
	if _, err := c.CollectHealth(t.Context(), activities.CollectHealthInput{Target: "shop", Every: time.Minute}); err != nil {
		t.Fatal(err)
	}
	list := l.cli("target", "list", "-o", "json")
	list.wants(t, exitDone)
	var shown []shownTarget
	if err := json.Unmarshal([]byte(list.out), &shown); err != nil {
		t.Fatal(err)
	}
	if s := shown[1]; s.Name != "shop" || s.Watched != "OK" || !strings.HasPrefix(s.ServerVersion, "1") || s.LastSampleAt == nil || s.State != vault.TargetEnabled {
		t.Errorf("%+v", s)
	}

	l.cli("target", "change", "shop", "--disable").wants(t, exitDone, "changed shop")
	l.cli("target", "change", "shop", "--disable").wants(t, exitDone, "stands like this already")
	l.cli("target", "list").wants(t, exitDone, "DISABLED")
	l.cli("target", "change", "shop", "--enable", "--collect-every", "30s", "--url-file", "/etc/onevault/shop.url").wants(t, exitDone, "changed shop")
	l.cli("target", "list", "-o", "wide").wants(t, exitDone, "30s", "in /etc/onevault/shop.url")
	l.cli("target", "change", "shop", "postgres://u:s3cret-word@h/d").wants(t, exitUsage, "holds a password")
	l.cli("target", "change", "nobody", "--enable").wants(t, exitNotFound, `no target "nobody"`)

	l.cli("target", "remove", "shop").wants(t, exitUsage, "needs a yes", "--yes")
	invocation{url: l.url, asks: true, stdin: "n\n"}.run(t, "target", "remove", "shop").wants(t, exitError, "nothing was changed")
	invocation{url: l.url, asks: true, stdin: "y\n"}.run(t, "target", "remove", "SHOP").wants(t, exitDone, "removed shop; 0 alerts ended")
	l.cli("target", "remove", "shop", "--yes").wants(t, exitNotFound, `no target "shop"`)
	l.cli("target", "remove", "local", "--yes").wants(t, exitNotFound, "workers' settings")
	if got := l.cli("target", "list"); strings.Contains(got.out, "shop") {
		t.Errorf("a removed target is listed:\n%s", got.out)
	}
	l.cli("target", "list", "--all").wants(t, exitDone, "REMOVED")
}

func TestTargetAdd_RefusesASecretOnTheCommandLineBeforeItIsSentAnywhere(t *testing.T) {
	t.Parallel()
	// Nobody listens there: what is refused was not sent.
	nowhere := invocation{url: "postgres://u@127.0.0.1:1/x"}
	for args, want := range map[string]string{
		"add shop postgres://u:s3cret-word@h/d":             "shell's history",
		"check postgres://u:s3cret-word@h/d":                "shell's history",
		"add shop postgres://u@h/d?password=s3cret-word":    "holds a password",
		"add shop postgres://u@h/d --password-env s3cret-w": "no name of a variable",
		"add shop":                               "one variable or file",
		"add shop mysql://u@h/d":                 "write postgres://user@host:5432/database",
		"add shop --sslmode require --url-env X": "go with a URL",
		"change shop --enable --disable":         "both given",
		"check shop --sslmode require":           "go with a URL",
	} {
		got := nowhere.run(t, append([]string{"target"}, strings.Fields(args)...)...)
		got.wants(t, exitUsage, want)
		if strings.Contains(got.out+got.err, "s3cret") {
			t.Errorf("%s repeats the password: %s", args, got.err)
		}
	}
}

func TestTargetCheck_SaysWhatIsLostAndPrintsTheLines(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	bare := watcher(t, l)
	got := l.cli("target", "check", bare)
	got.wants(t, exitError, "the role watcher_", "is no member of pg_monitor", "GRANT pg_monitor TO \"watcher_", "lost: ", "total_connections")
	var found collect.Check
	asJSON := l.cli("target", "check", bare, "-o", "json")
	asJSON.wants(t, exitError)
	if err := json.Unmarshal([]byte(asJSON.out), &found); err != nil || !found.Reachable || len(found.Unmeasured) == 0 || len(found.Lacks) == 0 {
		t.Errorf("%+v, %v", found, err)
	}
	l.cli("target", "check", watcher(t, l, "pg_monitor")).wants(t, exitDone, "0 not")
	l.cli("target", "check", "local").wants(t, exitDone, "local: PostgreSQL 1")
	l.cli("target", "check", "postgres://u@127.0.0.1:1/d").wants(t, exitError, "not reachable", "connection refused")
	l.cli("target", "check", "nobody").wants(t, exitNotFound, "onevault target list")
}

func TestTargetCheck_FindsASecretWhereTheRowSays(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	dir := t.TempDir()
	address := watcher(t, l, "pg_monitor")
	file := filepath.Join(dir, "shop.url")
	if err := os.WriteFile(file, []byte(address), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := []string{settings.DatabaseURL + "=" + l.url, settings.SecretsDir + "=" + dir}
	process(t, environment, "target", "add", "shop", "--url-file", file).wants(t, exitDone, "shop: PostgreSQL 1")
	process(t, environment, "target", "add", "other", "--url-env", "OTHER_URL").wants(t, exitDone, "not reachable", "OTHER_URL is not set", "The workers have variables and files of their own")
	process(t, append(environment, "OTHER_URL="+address), "target", "check", "other").wants(t, exitDone, "other: PostgreSQL 1")
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	process(t, environment, "target", "check", "shop").wants(t, exitError, "mode 0644", "chmod 0600")
}

func TestDoctor_LooksAtEachTarget(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	now := time.Now()
	for name, reason := range map[string]string{
		"dead": "reach target dead: connection refused", "secretless": "reach target secretless: password_env: the variable X is not set", "fine": "", "old": "",
	} {
		if err := l.store.AddTarget(t.Context(), vault.Target{Name: name, URL: "postgres://u@h/d"}, "dana"); err != nil {
			t.Fatal(err)
		}
		at, value := now, 1.0
		if reason != "" {
			value = 0
		}
		if name == "old" {
			at = now.Add(-time.Hour)
		}
		if _, err := l.store.RecordHealth(t.Context(), name, at, time.Minute, []vault.Sample{{Name: "target_reachable", Category: "AVAILABILITY", Value: &value, Error: reason, LowIsBad: true}}); err != nil {
			t.Fatal(err)
		}
	}
	targets, err := l.store.Targets(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if len(targets) != 5 {
		t.Fatalf("%d targets", len(targets))
	}
	// As of four minutes later: one that was added a moment ago is given two rounds.
	for _, target := range targets {
		shown := showTarget(target, now.Add(2*time.Minute))
		if want := map[string]string{"local": "NO_SAMPLES", "dead": "UNREACHABLE", "secretless": "UNREACHABLE", "fine": "OK", "old": "OK"}[target.Name]; shown.Watched != want {
			t.Errorf("%s is %s, want %s", target.Name, shown.Watched, want)
		}
		if shown := showTarget(target, now.Add(4*time.Minute)); shown.Watched != "NO_SAMPLES" {
			t.Errorf("%s is %s two rounds later", target.Name, shown.Watched)
		}
	}
	got := l.cli("doctor")
	got.wants(t, exitError, "target dead", "connection refused", "onevault target check dead",
		"its secret is not where its row says", "target local", "nobody watches it: it was never measured")
}
