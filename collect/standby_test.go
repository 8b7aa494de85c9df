package collect_test

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"onevault/collect"
	"onevault/pgserver"
)

// A primary with a slot and a standby that streams from it: what only one of the two can tell is told.
func TestCollectHealth_OnAPrimaryWithAStandbyAndOnTheStandby(t *testing.T) {
	t.Parallel()
	primaryURL, standbyURL := primaryAndStandby(t)
	primary, conn := openTarget(t, primaryURL), connect(t, primaryURL)
	awaitRow(t, conn, "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn IS NOT NULL")
	health, err := primary.CollectHealth(t.Context(), healthQueries(t))
	if err != nil {
		t.Fatal(err)
	}
	noErrors(t, "primary", health)
	for name, want := range map[string]float64{"replica_count": 1, "replica_streaming": 1, "slot_active": 1, "slot_invalid": 0, "in_recovery": 0, "inactive_slots": 0} {
		if got := find(t, health.Samples, name); got.Value == nil || *got.Value != want {
			t.Errorf("primary: %s is %v, want %v", name, shown(got.Value), want)
		}
	}
	if labels := string(find(t, health.Samples, "slot_retained_bytes").Labels); labels != `{"slot": "standby", "type": "physical"}` {
		t.Errorf("the slot's labels: %s", labels)
	}
	if labels := string(find(t, health.Samples, "replica_lag_bytes").Labels); !strings.Contains(labels, `"replica"`) || !strings.Contains(labels, `"client"`) {
		t.Errorf("the replica's labels: %s", labels)
	}

	replica := connect(t, standbyURL)
	awaitRow(t, replica, "SELECT 1 WHERE pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()")
	standby := openTarget(t, standbyURL)
	var on collect.Health
	// An idle primary writes a little WAL as well; it is replayed a moment after it came.
	for begun := time.Now(); time.Since(begun) < 30*time.Second; {
		if on, err = standby.CollectHealth(t.Context(), healthQueries(t)); err != nil {
			t.Fatal(err)
		}
		if behind := find(t, on.Samples, "standby_unreplayed_bytes"); behind.Value != nil && *behind.Value == 0 {
			break
		}
	}
	noErrors(t, "standby", on)
	for name, want := range map[string]float64{
		"in_recovery": 1, "standby_replay_delay_s": 0, "standby_unreplayed_bytes": 0, "standby_receiving": 1, "standby_replay_paused": 0, "replica_count": 0,
	} {
		if got := find(t, on.Samples, name); got.Value == nil || *got.Value != want {
			t.Errorf("standby: %s is %v, want %v", name, shown(got.Value), want)
		}
	}
	if info := string(find(t, on.Samples, "server_info").Labels); !strings.Contains(info, `"role": "standby"`) {
		t.Errorf("the standby says that it is %s", info)
	}
}

func shown(value *float64) any {
	if value == nil {
		return "unknown"
	}
	return *value
}

func noErrors(t *testing.T, who string, health collect.Health) {
	t.Helper()
	for _, run := range health.Runs {
		if run.Error != "" {
			t.Errorf("%s: %s: %s", who, run.Query, run.Error)
		}
	}
	for _, sample := range health.Samples {
		if sample.Error != "" {
			t.Errorf("%s: %s: %s", who, sample.Name, sample.Error)
		}
	}
}

// primaryAndStandby starts two servers, the second from a base backup of the first. The addresses are those
// of a role on both that is a member of pg_monitor and nothing else.
func primaryAndStandby(t *testing.T) (primaryURL, standbyURL string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "onevault-standby-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // the servers may run as another account
		t.Fatal(err)
	}
	start := func(name string, settings map[string]string) *pgserver.Server {
		server, err := pgserver.Start(t.Context(), pgserver.Config{Dir: filepath.Join(dir, name), Settings: settings})
		if err != nil {
			t.Fatal(err)
		}
		return server
	}
	stop := func(server *pgserver.Server) {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}
	primary := start("primary", map[string]string{"fsync": "off"})
	conn := connect(t, primary.URL("postgres"))
	exec(t, conn, "CREATE EXTENSION pg_stat_statements")
	exec(t, conn, "CREATE ROLE watcher LOGIN PASSWORD 'watcher'")
	exec(t, conn, "GRANT pg_monitor TO watcher")

	exec(t, conn, "SELECT pg_create_physical_replication_slot('standby', true)")

	// The copy of a stopped primary is a base backup that needs no program which some installations lack.
	stop(primary)
	from, data := filepath.Join(dir, "primary", "data"), filepath.Join(dir, "standby", "data")
	if err := os.CopyFS(data, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "standby.signal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{data, filepath.Dir(data)} {
		if err := os.Chmod(place, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	giveTo(t, from, filepath.Join(dir, "standby"))
	primary = start("primary", map[string]string{"fsync": "off"})
	t.Cleanup(func() { stop(primary) })
	standby := start("standby", map[string]string{
		"fsync": "off", "primary_conninfo": primary.URL("postgres"), "primary_slot_name": "standby",
	})
	t.Cleanup(func() { stop(standby) })
	return asWatcher(t, primary.URL("postgres")), asWatcher(t, standby.URL("postgres"))
}

func asWatcher(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal("the address of a test server is not a URL")
	}
	u.User = url.UserPassword("watcher", "watcher")
	return u.String()
}

// giveTo makes whoever owns one directory the owner of another and all in it.
func giveTo(t *testing.T, owned, dir string) {
	t.Helper()
	info, err := os.Stat(owned)
	if err != nil {
		t.Fatal(err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("the owner of a directory is not known here")
	}
	if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(owner.Uid), int(owner.Gid))
	}); err != nil {
		t.Fatal(err)
	}
}
