package e2e_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"onevault/settings"
)

// refused is a start that must fail: with this code, and naming the thing and the remedy.
func refused(t *testing.T, r ran, code int, says ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d", r.code, code)
	}
	for _, want := range says {
		if !strings.Contains(r.text, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if t.Failed() {
		t.Logf("it says:\n%s", r.text)
	}
}

func TestPortInUse_IsNamedWithItsFlag(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	refused(t, execute(t, "port-in-use", program.dev, nil, "--ephemeral", "--temporal-port="+port), 2, port, "--temporal-port", "in use")
}

func TestDataOfAnotherMajorVersion_IsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch, "old-"+t.Name()+strconv.Itoa(freePort(t)))
	data := filepath.Join(dir, "postgres", "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	version := filepath.Join(data, "PG_VERSION")
	if err := os.WriteFile(version, []byte("9.6\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := execute(t, "old-data", program.dev, nil, "--data-dir", dir, "--postgres-port=0", "--temporal-port=0", "--ui-port=0",
		"--api-port=0", "--inbox-port=0", "--smtp-port=0")
	refused(t, r, 1, "9", data)
	if left, err := os.ReadDir(data); err != nil || len(left) != 1 {
		t.Errorf("the data directory was touched: %v, %v", left, err)
	}
}

func TestDatabaseWithoutPrivileges_IsExplained(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	_, stranger := emptyDatabase(t, w, "e2e_stranger")
	r := execute(t, "migrate", program.cli, []string{settings.DatabaseURL + "=" + stranger}, "migrate", "up")
	refused(t, r, 1, "e2e_stranger", "GRANT CREATE ON DATABASE")
	if strings.Contains(r.text, smtpPassword) {
		t.Errorf("the error holds the password")
	}
}

func TestOwnerWhoIsNoSuperuser_MigratesOnceTheExtensionIsThere(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	superuser, owner := emptyDatabase(t, w, "e2e_owner")
	if _, err := w.db.Exec(t.Context(), "ALTER DATABASE e2e_owner OWNER TO e2e_owner"); err != nil {
		t.Fatal(err)
	}
	migrate := func() ran {
		return execute(t, "migrate", program.cli, []string{settings.DatabaseURL + "=" + owner}, "migrate", "up")
	}
	refused(t, migrate(), 1, "CREATE EXTENSION pg_stat_statements")

	conn, err := pgx.Connect(t.Context(), superuser)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "CREATE EXTENSION pg_stat_statements"); err != nil {
		t.Fatal(err)
	}
	if r := migrate(); r.code != 0 {
		t.Errorf("exit code %d\n%s", r.code, r.text)
	}
}

func TestWorkerOnAVaultWithoutItsSchema_SaysHowToGetIt(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	owner, _ := emptyDatabase(t, w, "e2e_unmigrated")
	r := execute(t, "unmigrated-worker", program.cli, []string{
		settings.DatabaseURL + "=" + owner, settings.TemporalAddress + "=" + w.env[settings.TemporalAddress],
		settings.APIAddr + "=127.0.0.1:" + strconv.Itoa(freePort(t)),
	}, "worker")
	refused(t, r, 1, "onevault migrate up")
}

func TestVaultThatRefusesThePassword_IsNamedWithoutIt(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	_, stranger := emptyDatabase(t, w, "e2e_password")
	wrong := strings.Replace(stranger, smtpPassword, "wrong-"+slackToken, 1)
	r := execute(t, "wrong-password", program.cli, []string{settings.DatabaseURL + "=" + wrong}, "alert", "list")
	refused(t, r, 1, "password", settings.DatabaseURL)
	if strings.Contains(r.text, slackToken) {
		t.Errorf("the error holds the password")
	}
}
