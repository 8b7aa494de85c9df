package collect_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/url"
	"os"
	programs "os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/collect"
	"onevault/pgserver"
)

// machine is a server of the test's own that is set up, started and stopped again: for settings that need a
// restart, a certificate, or sessions from another host.
type machine struct {
	*testing.T
	dir string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o711); err != nil { // the server's account passes through
			t.Fatal(err)
		}
	}
	m := &machine{t, dir}
	m.with(nil, func(string) {}) // makes the cluster
	return m
}

func (m *machine) data(name string) string { return filepath.Join(m.dir, "data", name) }

// account is who owns the cluster, and has to run its programs.
func (m *machine) account() *syscall.SysProcAttr {
	m.Helper()
	info, err := os.Stat(m.data(""))
	if err != nil {
		m.Fatal(err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) == os.Getuid() {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
}

// put writes a file that the server reads.
func (m *machine) put(name string, text []byte) {
	m.Helper()
	if err := os.WriteFile(m.data(name), text, 0o600); err != nil {
		m.Fatal(err)
	}
	if as := m.account(); as != nil {
		if err := os.Chown(m.data(name), int(as.Credential.Uid), int(as.Credential.Gid)); err != nil {
			m.Fatal(err)
		}
	}
}

// with runs the server with settings for as long as a function looks at it.
func (m *machine) with(settings map[string]string, look func(address string)) {
	m.Helper()
	server, err := pgserver.Start(m.Context(), pgserver.Config{Dir: m.dir, Settings: settings})
	if err != nil {
		m.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			m.Error(err)
		}
	}()
	look(server.URL("postgres"))
}

func (m *machine) binary(name string) string {
	m.Helper()
	dirs, err := pgserver.Discover()
	if err != nil || len(dirs) == 0 {
		m.Fatal("no PostgreSQL: ", err)
	}
	return filepath.Join(dirs[0].Dir, name)
}

// run runs one of PostgreSQL's programs on the stopped cluster.
func (m *machine) run(name string, args ...string) {
	m.Helper()
	cmd := programs.CommandContext(m.Context(), m.binary(name), append(args, "-D", m.data(""))...)
	cmd.SysProcAttr, cmd.Dir = m.account(), m.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		m.Fatalf("%s: %v: %s", name, err, out)
	}
}

// wants asks a control until it says what it should: a server takes on settings, archives and ends sessions
// when it gets to it.
func (m *machine) wants(address, id, want, says string) {
	m.Helper()
	var got collect.ControlResult
	for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(50 * time.Millisecond) {
		if got = checked(m.T, address, id)[0]; got.Status == want && strings.Contains(fmt.Sprint(got.Evidence), says) {
			return
		}
	}
	m.Errorf("%s: %s %v, want %s with %q", id, got.Status, got.Evidence, want, says)
}

func (m *machine) do(address string, statements ...string) {
	m.Helper()
	conn := connect(m.T, address)
	for _, s := range statements {
		exec(m.T, conn, s)
	}
	if err := conn.Close(m.Context()); err != nil {
		m.Error(err)
	}
}

// certify gives the server a certificate of its own.
func (m *machine) certify() {
	m.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		m.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		m.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		m.Fatal(err)
	}
	m.put("server.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
	m.put("server.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// The other side of C01, C02, C23, C25 and C27: with TLS, checksums, and files of the server's own log.
func TestCheckControls_FollowAServerThatIsSetUp(t *testing.T) {
	t.Parallel()
	const good, bad, unknown = collect.Compliant, collect.NonCompliant, collect.NotTested
	m := newMachine(t)
	m.certify()
	m.with(nil, func(address string) {
		// From 18 on a cluster is made with checksums.
		m.wants(address, "C25", map[string]string{"on": good, "off": bad}[column[string](t, connect(t, address), "SHOW data_checksums")[0]], "")
	})
	settings := map[string]string{
		"ssl": "on", "logging_collector": "on", "log_directory": "log", "archive_mode": "on", "archive_command": "true",
	}
	switch _, err := os.Stat(m.binary("pg_checksums")); {
	case err != nil:
		t.Logf("checksums are shown on one side only: %v", err)
	case m.checksums() == "off":
		m.run("pg_checksums", "--enable")
	default:
		m.run("pg_checksums", "--disable")
		m.with(nil, func(address string) { m.wants(address, "C25", bad, "off") })
		m.run("pg_checksums", "--enable")
	}
	m.with(settings, func(address string) {
		m.wants(address, "C01", good, "on")
		m.wants(address, "C02", good, "TLSv1.2")
		m.do(address, system("ssl_min_protocol_version = 'TLSv1.1'")...)
		m.wants(address, "C02", bad, "TLSv1.1")
		m.do(address, system("ssl_min_protocol_version = 'TLSv1.3'")...)
		m.wants(address, "C02", good, "TLSv1.3")
		m.wants(address, "C19", good, "on")
		m.wants(address, "C22", collect.PartiallyCompliant, "") // Debian's prefix, or the server's own, has no host
		m.do(address, system("log_destination = 'csvlog'")...)
		m.wants(address, "C22", good, "csvlog")
		m.wants(address, "C23", good, "0600")
		m.do(address, system("log_file_mode = '0644'")...)
		m.wants(address, "C23", bad, "0644")
		m.do(address, system("log_file_mode = '0640'")...)
		m.wants(address, "C23", good, "0640")
		m.wants(address, "C25", good, "on")
		m.wants(address, "C27", unknown, "nothing was archived yet")
		m.do(address, "SELECT pg_switch_wal()")
		m.wants(address, "C27", good, "last_archived")
	})
	settings["archive_command"] = "false"
	m.with(settings, func(address string) {
		m.do(address, "CREATE TABLE something (a int)", "SELECT pg_switch_wal()")
		m.wants(address, "C27", bad, "last_failed")
	})
	settings["archive_command"] = ""
	m.with(settings, func(address string) { m.wants(address, "C27", bad, "command_or_library:false") })
}

func (m *machine) checksums() (setting string) {
	m.Helper()
	m.with(nil, func(address string) { setting = column[string](m.T, connect(m.T, address), "SHOW data_checksums")[0] })
	return setting
}

// Both sides of C20 and what C21 makes of it. The control reads how the server is set up, and so does this: where
// the package with pgaudit is not installed, another library of PostgreSQL is preloaded under its name, and
// nothing is audited.
func TestCheckControls_FollowHowPgauditIsSetUp(t *testing.T) {
	t.Parallel()
	const good, bad, partly, unknown = collect.Compliant, collect.NonCompliant, collect.PartiallyCompliant, collect.NotTested
	m := newMachine(t)
	library := "pgaudit"
	m.with(nil, func(address string) {
		libraries := column[string](t, connect(t, address), "SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR'")[0]
		if _, err := os.Stat(filepath.Join(libraries, "pgaudit.so")); err == nil {
			return
		}
		library = filepath.Join(m.dir, "data", "pgaudit")
		source, err := os.Open(filepath.Join(libraries, "auto_explain.so"))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(source)
		if err := errors.Join(err, source.Close()); err != nil {
			t.Fatal(err)
		}
		m.put("pgaudit.so", text)
	})
	audited := func(classes string, look func(address string)) {
		m.with(map[string]string{"shared_preload_libraries": "pg_stat_statements, " + library, "pgaudit.log": classes}, look)
	}
	for classes, want := range map[string]string{"read": partly, "all, -role": partly, "none": bad} {
		audited(classes, func(address string) { m.wants(address, "C20", want, "") })
	}
	audited("write, read, DDL, role", func(address string) {
		m.wants(address, "C20", good, "classes_recorded:4")
		m.wants(address, "C21", good, "pgaudit:true")
		m.do(address, "CREATE ROLE quiet", "ALTER ROLE quiet SET pgaudit.log = 'read, write, role'")
		m.wants(address, "C20", partly, "quiet in every database")
		m.wants(address, "C21", bad, "quiet in every database")
		m.do(address, "ALTER ROLE quiet SET pgaudit.log = 'all'")
		m.wants(address, "C20", good, "")
		m.wants(address, "C21", good, "")
		m.do(address, "ALTER DATABASE postgres SET pgaudit.log = 'all'")
		m.wants(address, "C20", unknown, "own role or database")
	})
	// What only the collector's own database has is not the server's.
	audited("none", func(address string) {
		m.wants(address, "C20", unknown, "own role or database")
		m.wants(address, "C21", bad, "pgaudit:false")
	})
}

// outside is an address of this machine that is not the loopback's: what a session from another host looks like.
func outside(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if network, ok := a.(*net.IPNet); ok && !network.IP.IsLoopback() && network.IP.To4() != nil {
			return network.IP.String()
		}
	}
	t.Fatal("this machine has no address but the loopback's: give it a network interface, so that a session can come from somewhere")
	return ""
}

// The other side of C03, C17 and C34: a server that listens on every interface, and sessions from another address.
func TestCheckControls_SeeSessionsFromOtherHosts(t *testing.T) {
	t.Parallel()
	const good, bad, partly, unknown = collect.Compliant, collect.NonCompliant, collect.PartiallyCompliant, collect.NotTested
	m := newMachine(t)
	m.certify()
	host := outside(t)
	m.put("pg_hba.conf", []byte("local all all trust\nhost all all "+host+"/32 scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"))
	m.with(nil, func(address string) {
		m.do(address, "CREATE ROLE visitor LOGIN PASSWORD 'visitor'", "ALTER ROLE postgres PASSWORD 'visitor'")
		m.wants(address, "C34", good, "")
	})
	local, port := m.listen("*")
	m.wants(local, "C34", bad, "*")
	m.wants(local, "C03", unknown, "no session from another host")
	m.wants(local, "C17", good, "sessions_looked_at")
	visit := func(role, mode string) *pgx.Conn {
		return connect(t, (&url.URL{
			Scheme: "postgres", User: url.UserPassword(role, "visitor"), Host: net.JoinHostPort(host, port), Path: "/postgres", RawQuery: "sslmode=" + mode,
		}).String())
	}
	leave := func(conn *pgx.Conn) {
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	encrypted := visit("visitor", "require")
	m.wants(local, "C03", good, "remote_sessions:1")
	m.wants(local, "C17", good, "sessions:0")
	plain := visit("visitor", "disable")
	m.wants(local, "C03", partly, "visitor")
	leave(encrypted)
	m.wants(local, "C03", bad, "plain_sessions:1")
	leave(plain)
	shared := visit("postgres", "require")
	m.wants(local, "C17", bad, host)
	m.wants(local, "C03", good, "remote_sessions:1")
	leave(shared)
	m.wants(local, "C17", good, "sessions:0")
}

// listen starts the server on interfaces that the test's usual servers keep off, until the test's end.
func (m *machine) listen(on string) (address, port string) {
	m.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		m.Fatal(err)
	}
	_, port, err = net.SplitHostPort(free.Addr().String())
	if err := errors.Join(err, free.Close()); err != nil {
		m.Fatal(err)
	}
	run := filepath.Join(m.dir, "run")
	settings := map[string]string{"listen_addresses": on, "port": port, "unix_socket_directories": run, "ssl": "on"}
	args := []string{"-D", m.data("")}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	var log strings.Builder
	cmd := programs.CommandContext(context.WithoutCancel(m.Context()), m.binary("postgres"), args...)
	cmd.SysProcAttr, cmd.Dir, cmd.Stderr = m.account(), m.dir, &log
	if err := cmd.Start(); err != nil {
		m.Fatal(err)
	}
	m.Cleanup(func() {
		if err := errors.Join(cmd.Process.Signal(syscall.SIGINT), cmd.Wait()); err != nil {
			m.Errorf("stop the server: %v\n%s", err, log.String())
		}
	})
	number, err := strconv.Atoi(port)
	if err != nil {
		m.Fatal(err)
	}
	address = fmt.Sprintf("postgres://postgres@/postgres?host=%s&port=%d", url.QueryEscape(run), number)
	for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(50 * time.Millisecond) {
		conn, err := pgx.Connect(m.Context(), address)
		if err == nil {
			if err := conn.Close(m.Context()); err != nil {
				m.Error(err)
			}
			return address, port
		}
	}
	m.Fatalf("the server does not answer:\n%s", log.String())
	return "", ""
}
