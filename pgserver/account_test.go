package pgserver

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestStart_ServesAnOrdinaryUser runs as that user either way: under root, a child becomes nobody.
func TestStart_ServesAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	dir, program, credential := serverDir(t), testBinary(t), (*syscall.Credential)(nil)
	if os.Geteuid() == 0 {
		credential = nobody(t)
		fatalIf(t, os.Mkdir(dir, 0o700))
		fatalIf(t, os.Chown(dir, int(credential.Uid), int(credential.Gid)))
		program = readableCopy(t, program)
	}
	c := startChild(t, program, dir, credential)
	execute(t, c.url, "CREATE TABLE kept AS SELECT 'here' AS word")
	fatalIf(t, c.stdin.Close())
	fatalIf(t, c.cmd.Wait())

	// Root takes the same directory over, as its owner, and leaves it usable for the owner.
	s := start(t, Config{Dir: dir})
	if got := query(t, s.URL("postgres"), "SELECT word FROM kept"); got != "here" {
		t.Errorf("got %q after the restart", got)
	}
	fatalIf(t, s.Stop())
	execute(t, startChild(t, program, dir, credential).url, "SELECT 1")
}

func TestStart_NamesTheParentThatTheServerCannotEnter(t *testing.T) {
	t.Parallel()
	dir := serverDir(t)
	closed := filepath.Dir(dir)
	if os.Geteuid() == 0 {
		fatalIf(t, os.Chmod(closed, 0o700))
		_, err := Start(t.Context(), Config{Dir: dir})
		wantError(t, err, "cannot enter "+closed, "choose a directory")
		return
	}
	fatalIf(t, os.Chmod(closed, 0o600))
	defer func() { fatalIf(t, os.Chmod(closed, 0o700)) }()
	_, err := Start(t.Context(), Config{Dir: dir})
	wantError(t, err, closed, "permission denied")
}

func TestSweep_RemovesOnlyWhatNobodyHolds(t *testing.T) {
	t.Parallel()
	parent := filepath.Dir(serverDir(t))
	for _, name := range []string{ephemeralPrefix + "dead", ephemeralPrefix + "held", "precious"} {
		fatalIf(t, os.Mkdir(filepath.Join(parent, name), 0o700))
	}
	held, err := lockDir(filepath.Join(parent, ephemeralPrefix+"held"), account{})
	fatalIf(t, err)
	defer held.release()
	dead, err := lockDir(filepath.Join(parent, ephemeralPrefix+"dead"), account{})
	fatalIf(t, err)
	fatalIf(t, dead.release())

	fatalIf(t, sweep(parent, time.Now().Add(-time.Hour))) // all are too young
	wantDirs(t, parent, 3)
	fatalIf(t, sweep(parent, time.Now().Add(time.Hour)))
	wantDirs(t, parent, 2)
	if _, err := os.Stat(filepath.Join(parent, ephemeralPrefix+"dead")); err == nil {
		t.Error("the abandoned directory is still there")
	}
}

func wantDirs(t *testing.T, parent string, want int) {
	t.Helper()
	dirs, err := os.ReadDir(parent)
	if err != nil || len(dirs) != want {
		t.Errorf("%d directories, %v; want %d", len(dirs), err, want)
	}
}

func nobody(t *testing.T) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup("nobody")
	fatalIf(t, err)
	uid, err := strconv.Atoi(u.Uid)
	fatalIf(t, err)
	gid, err := strconv.Atoi(u.Gid)
	fatalIf(t, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// readableCopy puts a program where every user can run it: go test builds in a directory of its own.
func readableCopy(t *testing.T, program string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgserver-test-")
	fatalIf(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	fatalIf(t, os.Chmod(dir, 0o755))
	path := filepath.Join(dir, "pgserver.test")
	// Not written by this process: a child that another test starts meanwhile would inherit the open file, and a program
	// that somebody may write to is not run ("text file busy").
	fatalIf(t, exec.Command("install", "-m", "0755", program, path).Run())
	return path
}
