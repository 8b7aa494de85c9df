package collect_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"onevault/collect"
	"onevault/pgserver/pgtest"
)

func detect(t *testing.T, address string) map[string]collect.SecurityResult {
	t.Helper()
	results, err := openTarget(t, address).DetectSecurity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byCheck := map[string]collect.SecurityResult{}
	for _, r := range results {
		byCheck[r.Check] = r
	}
	return byCheck
}

func TestDetectSecurity_FindsWhatPsqlFinds(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	exec(t, conn, "CREATE SCHEMA everybodys")
	exec(t, conn, "GRANT CREATE ON SCHEMA everybodys TO PUBLIC")
	exec(t, conn, "CREATE FUNCTION everybodys.lend() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'")
	exec(t, conn, "CREATE TABLE everybodys.open (i integer)")
	exec(t, conn, "GRANT INSERT ON everybodys.open TO PUBLIC")
	results := detect(t, address)
	for _, check := range []string{"public_create", "public_grants", "open_definers", "schema_changes", "privilege_changes", "code_paths"} {
		got := results[check]
		if got.Failed != "" || got.Skipped != "" {
			t.Errorf("%s: %+v", check, got)
			continue
		}
		var findings []struct {
			Object  string `json:"object"`
			Details any    `json:"details"`
		}
		if err := json.Unmarshal(got.Findings, &findings); err != nil {
			t.Fatal(err)
		}
		want := column[string](t, conn, "SELECT object || ' ' || details::text FROM monitoring.security_"+check+"() ORDER BY object COLLATE \"C\"")
		var objects []string
		for _, f := range findings {
			objects = append(objects, f.Object)
		}
		slices.Sort(objects)
		if len(objects) != len(want) || !slices.EqualFunc(objects, want, func(object, whole string) bool { return strings.HasPrefix(whole, object+" ") }) {
			t.Errorf("%s: a target finds %q, psql %q", check, objects, want)
		}
		if check != "code_paths" && !slices.ContainsFunc(objects, func(o string) bool { return strings.Contains(o, "everybodys") }) {
			t.Errorf("%s finds nothing of the schema: %q", check, objects)
		}
	}
}

func TestDetectSecurity_NoCheckFailsForARoleThatMayOnlyMonitor(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	for check, got := range detect(t, asNewRole(t, address, "pg_monitor")) {
		if got.Failed != "" {
			t.Errorf("%s fails: %s", check, got.Failed)
		}
	}
	// What a role without any right cannot see is said, with what to grant.
	plain := detect(t, asNewRole(t, address))
	for check, want := range map[string]string{
		"dangerous_statements": "is no member of pg_read_all_stats: GRANT pg_monitor TO role_", "client_networks": "GRANT pg_monitor TO role_",
		"setting_changes": "is no member of pg_read_all_settings: GRANT pg_monitor TO role_", "weak_hba_rules": "GRANT SELECT ON pg_hba_file_rules TO role_",
		"failed_logins": "GRANT USAGE ON SCHEMA auth TO role_",
	} {
		if got := plain[check]; !strings.Contains(got.Skipped, want) || got.Findings != nil {
			t.Errorf("%s: %+v, want it to say %s", check, got, want)
		}
	}
	exec(t, connect(t, address), "DROP EXTENSION pg_stat_statements CASCADE")
	if got := detect(t, address)["dangerous_statements"]; !strings.Contains(got.Skipped, "CREATE EXTENSION pg_stat_statements") {
		t.Errorf("without the extension: %+v", got)
	}
}

func TestDetectSecurity_WritesNothingAndResolvesNoNameOfOthers(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	// Whoever may create in public could put his own in the way of a collector's calls.
	exec(t, conn, "GRANT CREATE ON SCHEMA public TO PUBLIC")
	exec(t, conn, "CREATE FUNCTION public.format(text, name, name) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$")
	exec(t, conn, "CREATE TABLE public.pg_roles (rolname name)")
	for check, got := range detect(t, address) {
		if strings.Contains(got.Failed, "trapped") {
			t.Errorf("%s called a function of somebody else", check)
		}
	}
}

func TestSecurityChecks_AreWholeAndNamedAsTheirFiles(t *testing.T) {
	t.Parallel()
	checks, err := collect.SecurityChecks()
	if err != nil {
		t.Fatal(err)
	}
	if len(checks) < 20 {
		t.Errorf("only %d checks", len(checks))
	}
	for _, c := range checks {
		for _, event := range c.Events {
			if !strings.Contains(c.SQL, "'"+event+"'") && c.Name != "mass_deletions" {
				t.Errorf("%s promises events of type %s", c.Name, event)
			}
		}
	}
}
