package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// postfix is Debian's mail server in a private configuration: its packages are fetched and unpacked, nothing is
// installed, and nothing of it runs but one master below the run's directory.
type postfix struct {
	port    int
	log     string
	process *process
}

// postfixPackages are the server and the libraries that a small system lacks.
var postfixPackages = []string{"postfix", "libicu72", "libdb5.3", "libnsl2", "libsasl2-2", "libtirpc3"}

// startPostfix starts a server for example.com: gone@example.com is taken and turns out not to exist, everybody
// else there gets their mail, and what comes to bounces@example.com, with or without a sign, is given to a program.
func startPostfix(t *testing.T, reports string) *postfix {
	t.Helper()
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 || runtime.GOARCH != "amd64" {
		t.Skip("Postfix from Debian's packages needs Debian on amd64 and root: its master switches accounts")
	}
	root := postfixPackage(t)
	dir := filepath.Join(scratch, "postfix")
	p := &postfix{port: freePort(t), log: filepath.Join(dir, "mail.log")}
	owner, group := account(t, "mail"), groupID(t, "games")
	for _, queue := range []string{"active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"} {
		private(t, filepath.Join(dir, "queue", queue), 0o700, owner, -1)
	}
	private(t, filepath.Join(dir, "queue", "pid"), 0o755, 0, -1)
	private(t, filepath.Join(dir, "queue", "maildrop"), 0o730, owner, group)
	private(t, filepath.Join(dir, "queue", "public"), 0o710, owner, group)
	private(t, filepath.Join(dir, "data"), 0o700, owner, -1)
	config := filepath.Join(dir, "config")
	private(t, config, 0o755, 0, -1)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(config, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("main.cf", fmt.Sprintf(postfixMain, dir, root))
	write("master.cf", fmt.Sprintf(postfixMaster, p.port, reports))

	var err error
	libraries := filepath.Join(root, "usr/lib/postfix") + ":" + filepath.Join(root, "usr/lib/x86_64-linux-gnu")
	p.process, err = start("postfix", filepath.Join(root, "usr/lib/postfix/sbin/master"), []string{"LD_LIBRARY_PATH=" + libraries}, "-c", config, "-d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.process.stop() // its master passes the signal on to its children and ends by it as well
		if t.Failed() {
			text, _ := os.ReadFile(p.log)
			t.Log(tail(string(text), 60))
		}
	})
	eventually(t, time.Minute, "Postfix listens", func(ctx context.Context) (bool, any, error) {
		text, err := os.ReadFile(p.log)
		return strings.Contains(string(text), "daemon started"), p.process.out.tail(), err
	})
	return p
}

const postfixMain = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
command_directory = %[2]s/usr/sbin
daemon_directory = %[2]s/usr/lib/postfix/sbin
shlib_directory = %[2]s/usr/lib/postfix
maillog_file = %[1]s/mail.log
maillog_file_prefixes = %[1]s
mail_owner = mail
setgid_group = games
default_privs = nobody
import_environment = MAIL_CONFIG TZ LD_LIBRARY_PATH
myhostname = mail.example.com
mydestination =
alias_maps =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_relay_restrictions = permit_mynetworks, reject
recipient_delimiter = +
transport_maps = inline:{ {bounces@example.com=reports:} {gone@example.com=nobody:} {example.com=mailbox:} }
default_transport = error:5.1.2 no other domain is served
notify_classes =
biff = no
reports_destination_recipient_limit = 1
minimal_backoff_time = 5s
queue_run_delay = 5s
`

const postfixMaster = `127.0.0.1:%d inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
error unix - - n - - error
mailbox unix - - n - - discard
postlog unix-dgram n - n - 1 postlogd
nobody unix - n n - - pipe user=nobody argv=/bin/sh -c {exit 67}
reports unix - n n - 1 pipe flags=Rq user=nobody argv=%s ${recipient}
`

// postfixPackage unpacks the packages into a cache of the account, once.
func postfixPackage(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(cache, "onevault-e2e", "postfix")
	if _, err := os.Stat(filepath.Join(root, "complete")); err == nil {
		return passable(t, root)
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	command := func(name string, args ...string) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v\n%s\nrun apt-get update first, where the lists of packages are missing", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
		}
	}
	command("apt-get", append([]string{"download"}, postfixPackages...)...)
	packages, err := filepath.Glob(filepath.Join(root, "*.deb"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range packages {
		command("dpkg-deb", "-x", file, root)
	}
	if err := os.WriteFile(filepath.Join(root, "complete"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return passable(t, root)
}

// passable copies the packages into the run's directory, whose path other accounts may pass: a cache is usually
// below a home that is closed to them.
func passable(t *testing.T, root string) string {
	t.Helper()
	place := filepath.Join(scratch, "postfix-programs")
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", root, place).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v\n%s", root, err, out)
	}
	return place
}

func private(t *testing.T, dir string, mode os.FileMode, owner, group int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, owner, group); err != nil {
		t.Fatal(err)
	}
}

func account(t *testing.T, name string) int {
	t.Helper()
	found, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return number(t, found.Uid)
}

func groupID(t *testing.T, name string) int {
	t.Helper()
	found, err := user.LookupGroup(name)
	if err != nil {
		t.Fatal(err)
	}
	return number(t, found.Gid)
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
