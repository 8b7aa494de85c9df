package main

import (
	"context"
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/alert"
	"onevault/evidence"
	"onevault/vault"
)

// auditedLife is a vault in which something of each kind happened, and the period that it happened in. A
// channel of it has a secret.
func auditedLife(t *testing.T) (l life, from, to string) {
	t.Helper()
	l = audited(t)
	from = time.Now().Add(-time.Hour).UTC().Format(time.RFC3339Nano)
	l.measure("local", time.Now())
	if err := l.store.PutChannel(t.Context(), vault.Channel{
		Key: "OPS", Name: "Ops", Type: "WEBHOOK", RecordSource: "TEST",
		Configuration: json.RawMessage(`{"url": "https://example.test/hook?token=s3cret-t0ken", "unsigned": true}`),
	}); err != nil {
		t.Fatal(err)
	}
	key := l.fire("local", connections, alert.SeverityHigh, 93, time.Now().Add(-10*time.Minute))
	entry := vault.LedgerEntry{
		AlertKey: key, ChannelKey: "OPS", ChannelType: "WEBHOOK", Recipient: "example.test", Event: "FIRED", DeliveryKey: "k", Status: "PENDING",
		Attempt: 1, At: time.Now(),
	}
	l.tell(entry)
	entry.Status, entry.Class, entry.Proof = "DELIVERED", "ACCEPTED", "HTTP 200"
	l.tell(entry)
	l.record(vault.Change{AlertKey: key, Change: "ACKNOWLEDGED", At: time.Now(), Actor: "dana", Notes: "=looking, \"now\"\nand then", Via: "cli:dana@host"})
	l.incident("INCIDENT||ONE", "Primary does not answer", alert.SeverityCritical, time.Now().Add(-5*time.Minute), key)
	l.psql(`INSERT INTO monitoring.security_event_h (security_event_hk, security_event_bk) VALUES (util.hash_binary('E'), 'E')`)
	l.psql(`INSERT INTO monitoring.security_event_s (security_event_hk, hash_diff, event_type, event_severity, event_timestamp, source_ip)
		VALUES (util.hash_binary('E'), '\x', 'ROLE_BECAME_SUPERUSER', 'HIGH', now(), '10.1.2.3')`)
	return l, from, time.Now().UTC().Format(time.RFC3339Nano)
}

// evidenceAs runs `onevault evidence` as the program does, with the machine's own clock.
func evidenceAs(t *testing.T, address string, args ...string) result {
	t.Helper()
	return process(t, []string{"ONEVAULT_DATABASE_URL=" + address}, append([]string{"evidence"}, args...)...)
}

// table reads a CSV of a pack as rows by column.
func table(t *testing.T, pack, name string) []map[string]string {
	t.Helper()
	file, err := os.Open(filepath.Join(pack, name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	records, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]string
	for _, r := range records[1:] {
		row := map[string]string{}
		for i, column := range records[0] {
			row[column] = r[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// texts are the contents of all files of a pack.
func texts(t *testing.T, pack string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"*", "*/*"} {
		found, err := filepath.Glob(filepath.Join(pack, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			if info, err := os.Stat(path); err != nil || info.IsDir() {
				continue
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all[strings.TrimPrefix(path, pack+"/")] = string(text)
		}
	}
	return all
}

func TestEvidence_HoldsWhatHappenedAndNoSecret(t *testing.T) {
	t.Parallel()
	l, from, to := auditedLife(t)
	pack := filepath.Join(t.TempDir(), "pack")
	evidenceAs(t, l.url, "export", "--framework", "hipaa", "--from", from, "--to", to, "--out", pack).
		wants(t, exitDone, "exported "+pack, "HIPAA", "of manifest.json; recorded in the vault")
	var statuses []string
	for _, row := range table(t, pack, "data/controls.csv") {
		if row["control"] == "C08" {
			statuses = append(statuses, row["status"])
		}
	}
	if want := []string{"COMPLIANT", "NON_COMPLIANT", "NON_COMPLIANT"}; !slices.Equal(statuses, want) {
		t.Errorf("the history of C08 is %q, want %q", statuses, want)
	}
	alerts := table(t, pack, "data/alerts.csv")
	if last := alerts[len(alerts)-1]; last["acknowledged_by"] != "dana" || last["changed_via"] != "cli:dana@host" || last["acknowledgement_notes"] != "=looking, \"now\"\nand then" || last["recorded_until"] != "" {
		t.Errorf("the alert ends as %v", last)
	}
	if at := alerts[0]["recorded_from"]; !strings.HasSuffix(at, "Z") {
		t.Errorf("a time is %q", at)
	} else if _, err := time.Parse(time.RFC3339Nano, at); err != nil {
		t.Error(err)
	}
	var ledger []string
	for _, row := range table(t, pack, "data/notifications.csv") {
		ledger = append(ledger, row["status"]+row["outcome"])
	}
	if want := []string{"PENDING", "DELIVEREDACCEPTED"}; !slices.Equal(ledger, want) {
		t.Errorf("the ledger is %q, want %q", ledger, want)
	}
	channel := table(t, pack, "data/notification_channels.csv")
	if i := slices.IndexFunc(channel, func(r map[string]string) bool { return r["channel"] == "OPS" }); i < 0 || channel[i]["settings"] != `["unsigned", "url"]` {
		t.Errorf("the channel is %v", channel)
	}
	for name, want := range map[string]string{
		"data/incidents.csv": "Primary does not answer", "data/incident_timeline.csv": "ALERT_JOINED", "data/security_events.csv": "ROLE_BECAME_SUPERUSER",
		"data/alert_definitions.csv": connections, "data/settings.csv": "RETENTION", "vault/grants.csv": "onevault_worker", "vault/guards.csv": "t60_allow_only_closing,",
		"vault/migrations.csv": "true", "vault/roles.csv": "onevault_owner", "vault/retention.csv": "7 years", "vault/row_security.csv": "everybody_else",
		"index.html": "Only the bootstrap role is a superuser", "README.txt": "sha256sum --check SHA256SUMS", "SHA256SUMS": "  manifest.json",
	} {
		if !strings.Contains(texts(t, pack)[name], want) {
			t.Errorf("%s lacks %q", name, want)
		}
	}
	for name, text := range texts(t, pack) {
		if strings.Contains(text, "s3cret") {
			t.Errorf("%s holds the secret of a channel", name)
		}
		if strings.Contains(text, "<script") || strings.Contains(text, "http://") {
			t.Errorf("%s wants a network", name)
		}
	}
	evidenceAs(t, l.url, "verify", pack, "--against-vault").wants(t, exitDone, "unharmed", "files of the period are as the vault says now")
}

// What is exported of a period is what was known at its end, whatever happened since.
func TestEvidence_TheSamePeriodIsTheSameAgain(t *testing.T) {
	t.Parallel()
	l, from, to := auditedLife(t)
	dir := t.TempDir()
	export := func(name string) (shown shownEvidence) {
		got := evidenceAs(t, l.url, "export", "--framework", "hipaa", "--from", from, "--to", to, "--out", filepath.Join(dir, name), "-o", "json")
		got.wants(t, exitDone)
		if err := json.Unmarshal([]byte(got.out), &shown); err != nil {
			t.Fatal(err)
		}
		return shown
	}
	first := export("first")
	// Everything goes on: each of these is a version that ends one which the first pack holds as standing.
	l.psql(`INSERT INTO monitoring.alert_instance_s SELECT (jsonb_populate_record(s, '{"load_date": null, "alert_status": "RESOLVED", "resolved_by": "erin"}')).* FROM monitoring.alert_instance_s s WHERE s.load_end_date IS NULL`)
	l.psql(`INSERT INTO monitoring.alert_definition_s SELECT (jsonb_populate_record(s, '{"load_date": null, "threshold_value": 1}')).* FROM monitoring.alert_definition_s s WHERE s.load_end_date IS NULL`)
	l.psql(`INSERT INTO monitoring.notification_config_s SELECT (jsonb_populate_record(s, '{"load_date": null, "configuration": {"url": "https://other.test", "unsigned": true}}')).* FROM monitoring.notification_config_s s WHERE s.load_end_date IS NULL AND s.channel_name = 'Ops'`)
	l.psql(`INSERT INTO monitoring.security_event_s SELECT (jsonb_populate_record(s, '{"load_date": null, "investigation_status": "RESOLVED"}')).* FROM monitoring.security_event_s s WHERE s.load_end_date IS NULL`)
	l.psql(`INSERT INTO monitoring.compliance_check_s SELECT (jsonb_populate_record(s, '{"load_date": null, "check_status": "COMPLIANT"}')).* FROM monitoring.compliance_check_s s WHERE s.load_end_date IS NULL`)
	second := export("second.tar.zst")
	if first.Manifest.ContentSHA256 != second.Manifest.ContentSHA256 || first.ManifestSHA256 == second.ManifestSHA256 {
		for _, f := range first.Manifest.Files {
			if f.Of == evidence.OfPeriod && !slices.ContainsFunc(second.Manifest.Files, func(g evidence.File) bool { return g.Path == f.Path && g.SHA256 == f.SHA256 }) {
				t.Errorf("%s differs", f.Path)
			}
		}
		t.Errorf("contents %s and %s, manifests %s and %s", first.Manifest.ContentSHA256, second.Manifest.ContentSHA256, first.ManifestSHA256, second.ManifestSHA256)
	}
	evidenceAs(t, l.url, "verify", filepath.Join(dir, "first"), "--against-vault").wants(t, exitDone, "unharmed")
	evidenceAs(t, l.url, "verify", filepath.Join(dir, "second.tar.zst"), "--against-vault").wants(t, exitDone, "unharmed")
	// Both exports are in the vault, and a pack of the time in which they were made tells of them.
	evidenceAs(t, l.url, "list", "-o", "name").wants(t, exitDone, first.ManifestSHA256, second.ManifestSHA256)
	later := filepath.Join(dir, "later")
	evidenceAs(t, l.url, "export", "--framework", "hipaa", "--from", from, "--to", time.Now().UTC().Format(time.RFC3339Nano), "--out", later).wants(t, exitDone)
	if rows := table(t, later, "data/evidence_exports.csv"); len(rows) != 2 || rows[0]["manifest_sha256"] != first.ManifestSHA256 || rows[0]["exported_by"] == "" || !strings.HasPrefix(rows[0]["exported_via"], "cli:") {
		t.Errorf("the audit trail is %v", rows)
	}
	for _, row := range table(t, later, "data/notification_channels.csv") {
		if row["channel"] == "OPS" && row["recorded_until"] == "" && row["settings_changed"] != `["url"]` {
			t.Errorf("the channel changed in %q", row["settings_changed"])
		}
	}
}

func TestEvidence_VerifyFindsWhatWasChangedHereAndThere(t *testing.T) {
	t.Parallel()
	l, from, to := auditedLife(t)
	pack := filepath.Join(t.TempDir(), "pack")
	evidenceAs(t, l.url, "export", "--framework", "HIPAA", "--from", from, "--to", to, "--out", pack).wants(t, exitDone)
	// A vault whose history somebody rewrote, past its guards.
	l.psql(`ALTER TABLE monitoring.alert_instance_s DISABLE TRIGGER ALL`)
	l.psql(`UPDATE monitoring.alert_instance_s SET acknowledged_by = 'mallory' WHERE acknowledged_by = 'dana'`)
	evidenceAs(t, l.url, "verify", pack).wants(t, exitDone, "unharmed")
	got := evidenceAs(t, l.url, "verify", pack, "--against-vault")
	got.wants(t, exitError, "1 problem", "data/alerts.csv: the vault says something else now")
	// And its index says that the guards are off.
	second := filepath.Join(t.TempDir(), "second")
	evidenceAs(t, l.url, "export", "--framework", "HIPAA", "--from", from, "--to", to, "--out", second).wants(t, exitDone)
	if page := texts(t, second)["index.html"]; !strings.Contains(page, "DISABLED") {
		t.Error("the index does not say that guards are not in force")
	}
	if err := os.WriteFile(filepath.Join(pack, "data/alerts.csv"), []byte("alert\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(pack, "more.csv"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	evidenceAs(t, l.url, "verify", pack).wants(t, exitError, "data/alerts.csv was changed", "more.csv does not belong to the pack")
	// One that this vault never exported.
	other := newLife(t)
	evidenceAs(t, other.url, "verify", second, "--against-vault").wants(t, exitError, "knows of no export with the manifest")
}

func TestEvidence_IsSigned(t *testing.T) {
	t.Parallel()
	l, from, to := auditedLife(t)
	dir := t.TempDir()
	key, pack := filepath.Join(dir, "audit.key"), filepath.Join(dir, "pack.tar.zst")
	evidenceAs(t, l.url, "keygen", key).wants(t, exitDone, "fingerprint")
	evidenceAs(t, l.url, "keygen", key).wants(t, exitError, "a key is not written over")
	evidenceAs(t, l.url, "export", "--framework", "hipaa", "--from", from, "--to", to, "--out", pack, "--sign-key", key).wants(t, exitDone, "signed with")
	evidenceAs(t, l.url, "verify", pack, "--public-key", key+".pub").wants(t, exitDone, "good, of key")
	evidenceAs(t, l.url, "verify", pack).wants(t, exitDone, "not checked: give --public-key")
	evidenceAs(t, l.url, "keygen", key+"2").wants(t, exitDone)
	evidenceAs(t, l.url, "verify", pack, "--public-key", key+"2.pub").wants(t, exitError, "signed with another key")
	evidenceAs(t, l.url, "export", "--framework", "hipaa", "--from", from, "--to", to, "--out", pack+"2", "--sign-key", key+".pub").wants(t, exitError, "read by others")
	var text string
	if err := l.store.Pool().QueryRow(t.Context(), "SELECT signing_key FROM monitoring.evidence_export_s").Scan(&text); err != nil || len(text) != 64 {
		t.Errorf("the vault knows key %q, %v", text, err)
	}
}

// A reader of one tenant exports what they see, the pack says so, and the vault knows that it was them.
func TestEvidence_AReaderSeesTheirTenantOnlyAndThePackSaysSo(t *testing.T) {
	t.Parallel()
	l, from, _ := auditedLife(t)
	for _, tenant := range []string{"ORG1", "ORG2"} {
		l.psql(`INSERT INTO auth.tenant_h (tenant_hk, tenant_bk, record_source) VALUES (util.hash_binary($1), $1, 'TEST')`, tenant)
		l.psql(`INSERT INTO monitoring.security_event_h (security_event_hk, security_event_bk, tenant_hk) VALUES (util.hash_binary('OF ' || $1), 'OF ' || $1, util.hash_binary($1))`, tenant)
		l.psql(`INSERT INTO monitoring.security_event_s (security_event_hk, hash_diff, event_type, event_severity, event_timestamp)
			VALUES (util.hash_binary('OF ' || $1), '\x', 'X', 'HIGH', now())`, tenant)
	}
	name, password := "reader_"+strings.ToLower(rand.Text()[:12]), rand.Text()
	l.psql("CREATE ROLE " + name + " LOGIN PASSWORD '" + password + "'")
	t.Cleanup(func() {
		// The test's own context has ended.
		if _, err := l.store.Pool().Exec(context.Background(), "DROP ROLE "+name); err != nil {
			t.Error(err)
		}
	})
	l.psql("GRANT onevault_reader TO " + name)
	l.psql("INSERT INTO monitoring.reader_tenant (role_name, tenant_hk) VALUES ($1, util.hash_binary('ORG1'))", name)
	u, err := url.Parse(l.url)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(name, password)
	pack := filepath.Join(t.TempDir(), "pack")
	got := evidenceAs(t, u.String(), "export", "--framework", "hipaa", "--from", from, "--to", time.Now().UTC().Format(time.RFC3339Nano), "--out", pack)
	got.wants(t, exitDone, "vault/archives.csv", "missing rows")
	var events []string
	for _, row := range table(t, pack, "data/security_events.csv") {
		events = append(events, row["event"])
	}
	if want := []string{"E", "OF ORG1"}; !slices.Equal(events, want) {
		t.Errorf("the reader exports %q, want %q", events, want)
	}
	var m evidence.Manifest
	if err := json.Unmarshal([]byte(texts(t, pack)["manifest.json"]), &m); err != nil {
		t.Fatal(err)
	}
	if m.Complete || len(m.Vault.Scope) != 64 || m.Vault.SessionUser != name {
		t.Errorf("the manifest says %+v", m)
	}
	if channels := table(t, pack, "data/notification_channels.csv"); len(channels) == 0 || slices.Contains(slices.Collect(maps.Keys(channels[0])), "settings") {
		t.Errorf("channels %v", channels)
	}
	var by string
	if err := l.store.Pool().QueryRow(t.Context(), "SELECT exported_by FROM monitoring.evidence_export_s").Scan(&by); err != nil || by != name {
		t.Errorf("recorded as %q, %v", by, err)
	}
	evidenceAs(t, u.String(), "verify", pack, "--against-vault").wants(t, exitError, "whether the export was recorded is not known")
	evidenceAs(t, l.url, "verify", pack, "--against-vault").wants(t, exitError, "nothing can be compared")
}

func TestEvidence_BadInputSaysWhatToWrite(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	pack := filepath.Join(t.TempDir(), "pack")
	for args, want := range map[string]struct {
		code int
		says string
	}{
		"--from 2026-01-01 --to 2026-03-31":                                       {exitUsage, "--framework is missing"},
		"--framework sox --to 2026-03-31":                                         {exitUsage, "--from is missing"},
		"--framework sox --from 2026-01-01":                                       {exitUsage, "--to is missing"},
		"--framework sox --from 2026-1-1 --to 2026-03-31":                         {exitUsage, `--from is "2026-1-1": write a day`},
		"--framework sox --from 2026-04-01 --to 2026-03-31":                       {exitUsage, "is not before --to"},
		"--framework sox --from 2026-01-01 --to 2026-05-04":                       {exitUsage, "lies ahead"},
		"--framework iso --from 2026-01-01 --to 2026-03-31":                       {exitNotFound, "use one of: GDPR, HIPAA, PCI DSS, SOC 2, SOX"},
		"--framework sox --from 2026-01-01 --to 2026-03-31 --sign-key nowhere":    {exitNotFound, "evidence keygen"},
		"--framework sox --from 2026-01-01 --to 2026-03-31 --out " + t.TempDir():  {exitError, "is there already"},
		"--framework sox --from 2026-01-01 --to 2026-03-31 --out /nowhere/at/all": {exitError, "no such file"},
		"--framework sox --from 2026-01-01 --to 2026-03-31 --out " + pack:         {exitDone, "exported"},
	} {
		invocation{url: l.url}.run(t, append([]string{"evidence", "export"}, strings.Fields(args)...)...).wants(t, want.code, want.says)
	}
	for args, want := range map[string]struct {
		code int
		says string
	}{
		"verify " + filepath.Join(t.TempDir(), "x"): {exitNotFound, "onevault evidence export"},
		"verify " + t.TempDir():                     {exitError, "has no manifest.json"},
		"verify " + pack + " --public-key x":        {exitNotFound, "no such file"},
		"verify " + pack:                            {exitDone, "unharmed"},
	} {
		invocation{url: l.url}.run(t, append([]string{"evidence"}, strings.Fields(args)...)...).wants(t, want.code, want.says)
	}
	var m evidence.Manifest
	if err := json.Unmarshal([]byte(texts(t, pack)["manifest.json"]), &m); err != nil || !m.To.Equal(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("--to 2026-03-31 ends at %v, %v", m.To, err)
	}
	for name, rows := range map[string]int{"data/alerts.csv": 0, "data/controls.csv": 0} {
		if got := len(table(t, pack, name)); got != rows {
			t.Errorf("%s of a time before the vault has %d rows", name, got)
		}
	}
	if page := texts(t, pack)["index.html"]; !strings.Contains(page, "No control of the framework was run") || !strings.Contains(page, "Nobody looked for security events") {
		t.Error("the index of an empty period does not say that nobody looked")
	}
}
