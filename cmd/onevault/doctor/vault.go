package doctor

import (
	"context"
	"slices"
	"strings"
	"time"

	"onevault/migrations"
	"onevault/notify"
	"onevault/settings"
	"onevault/vault"
)

const (
	// defaultCadence is expected of what has left no mark of its own cadence yet.
	defaultCadence = 5 * time.Minute
	// missedCycles is how many cycles may be missing before it is said.
	missedCycles = 3
	// maxSkew is how far the clocks may be apart: the demo's latencies and the escalations are measured
	// with both.
	maxSkew = 2 * time.Second
)

// Vault checks the vault at an address that is well-formed. The clock is asked once more for the skew.
func Vault(ctx context.Context, databaseURL string, store *vault.Store, clock func() time.Time) []Finding {
	before := clock()
	server, err := store.Server(ctx)
	if vault.Unreachable(err) {
		return []Finding{fail("vault", "start its server, or correct ONEVAULT_DATABASE_URL", "it does not answer: %s", err)}
	}
	if err != nil {
		return []Finding{fail("vault", "correct user, password and database in ONEVAULT_DATABASE_URL, or what the message names", "%s", err)}
	}
	findings := []Finding{ok("vault", "PostgreSQL %s, database %s as %s, answered in %s",
		server.Version, server.Database, server.Role, clock().Sub(before).Round(time.Millisecond))}
	schema := checkSchema(ctx, databaseURL)
	findings = append(findings, schema)
	findings = append(findings, judgeServer(server)...)
	findings = append(findings, checkRoles(ctx, databaseURL))
	if schema.Status == Fail {
		return findings // the rest reads the schema
	}
	for _, check := range []func(context.Context, *vault.Store, func() time.Time) ([]Finding, error){
		checkActivity, checkTargets, checkFunctions, checkDiscipline, checkRetention, checkSecurity, checkDefinitions, checkRawSQL, checkDeliveries,
		checkSources, checkCircuits,
	} {
		found, err := check(ctx, store, clock)
		if err != nil {
			found = []Finding{fail("vault", "see the message; `onevault migrate status` shows the schema", "%s", err)}
		}
		findings = append(findings, found...)
	}
	return findings
}

func checkSchema(ctx context.Context, databaseURL string) Finding {
	pending, err := migrations.Pending(ctx, databaseURL)
	switch {
	case err != nil && strings.Contains(err.Error(), "newer"):
		return fail("schema", "install the newer onevault here", "%s", err)
	case err != nil:
		return fail("schema", "run `onevault migrate up`", "%s", err)
	case pending > 0:
		return fail("schema", "run `onevault migrate up`", "%d migrations are not applied", pending)
	}
	return ok("schema", "all migrations are applied")
}

func checkRoles(ctx context.Context, databaseURL string) Finding {
	missing, err := migrations.MissingRoles(ctx, databaseURL)
	if err != nil {
		return fail("roles", "see the message", "%s", err)
	}
	return judgeRoles(missing)
}

func judgeRoles(missing []string) Finding {
	if len(missing) > 0 {
		return warn("roles", "as a superuser: "+strings.Join(missing, "; ")+"; then `onevault migrate up`",
			"not all roles of the vault are there: only its owner can use it")
	}
	return ok("roles", "onevault_owner, _worker, _operator, _reader, _collector and _sql are there")
}

func judgeServer(s vault.Server) []Finding {
	var findings []Finding
	if s.Superuser || s.Monitor {
		findings = append(findings, ok("privileges", "%s may read the server's statistics", s.Role))
	} else {
		findings = append(findings, warn("privileges", "as a superuser: GRANT pg_monitor TO "+s.Role+" (onevault_worker has it)",
			"%s is no member of pg_monitor: of other users' sessions it sees little", s.Role))
	}
	if s.MayInsert != nil && !*s.MayInsert {
		findings = append(findings, fail("privileges", "as a superuser: GRANT onevault_worker TO "+s.Role,
			"%s may not write alerts", s.Role))
	}
	const check = "pg_stat_statements"
	switch {
	case !s.StatementsInstalled:
		findings = append(findings, warn(check, "in the vault's database: CREATE EXTENSION pg_stat_statements", "the extension is not created: queries are not measured"))
	case s.StatementsError != "" && !s.StatementsLoaded && (s.Superuser || s.Monitor):
		findings = append(findings, warn(check, "add it to shared_preload_libraries and restart the server", "the server does not load it: queries are not measured"))
	case s.StatementsError != "":
		findings = append(findings, warn(check, "see the message; usually GRANT pg_read_all_stats TO "+s.Role, "%s", s.StatementsError))
	default:
		findings = append(findings, ok(check, "it can be read"))
	}
	return findings
}

func checkActivity(ctx context.Context, store *vault.Store, clock func() time.Time) ([]Finding, error) {
	before := clock()
	i, err := store.Inspect(ctx)
	if err != nil {
		return nil, err
	}
	// The vault's time lies between the two readings, wherever within.
	after := clock()
	return append(judgeActivity(i), judgeSkew("clocks", "the vault's clock", before, i.Now, after)...), nil
}

func judgeActivity(i vault.Inspection) []Finding {
	findings := []Finding{
		judgeMark(i.Now, "collection", i.LastCollection, i.CollectionInterval, "see that a worker runs, and its schedule: `onevault schedule list`"),
		judgeMark(i.Now, "evaluation", i.LastEvaluation, i.EvaluationInterval, "see that a worker runs, and its schedule: `onevault schedule list`"),
	}
	if i.Unrelayed > 0 {
		findings = append(findings, fail("outbox", "start a worker, or read its log: it brings these to the alerts' workflows",
			"%d changes made in the vault did not reach their workflows, the oldest %s", i.Unrelayed, age(i.Now, i.OldestUnrelayed)))
	} else {
		findings = append(findings, ok("outbox", "nothing waits for longer than a minute"))
	}
	return findings
}

func judgeMark(now time.Time, check string, last time.Time, every time.Duration, remedy string) Finding {
	if every == 0 {
		every = defaultCadence
	}
	if last.IsZero() {
		return fail(check, remedy, "there was none within 8 days")
	}
	if now.Sub(last) > missedCycles*every+time.Minute {
		return fail(check, remedy, "the last was %s, though one is due every %s", age(now, last), every)
	}
	return ok(check, "the last was %s", age(now, last))
}

// judgeSkew compares a clock that was read between two readings of ours.
func judgeSkew(check, whose string, before, there, after time.Time) []Finding {
	skew := time.Duration(0)
	switch {
	case there.Before(before):
		skew = there.Sub(before)
	case there.After(after):
		skew = there.Sub(after)
	}
	if skew.Abs() > maxSkew {
		return []Finding{warn(check, "let all hosts keep time by NTP", "%s is %s off this host's", whose, skew.Round(time.Millisecond))}
	}
	return []Finding{ok(check, "%s and this host's agree within %s", whose, max(after.Sub(before), skew.Abs()).Round(time.Millisecond))}
}

func checkDefinitions(ctx context.Context, store *vault.Store, clock func() time.Time) ([]Finding, error) {
	definitions, err := store.Definitions(ctx, false)
	if err != nil {
		return nil, err
	}
	return judgeDefinitions(clock(), definitions), nil
}

func judgeDefinitions(now time.Time, definitions []vault.ListedDefinition) []Finding {
	var unheard, broken, blind []string
	for _, d := range definitions {
		if len(d.Channels) == 0 {
			unheard = append(unheard, d.Key)
		}
		switch {
		case d.LastResult == "ERROR":
			broken = append(broken, d.Key+" ("+d.LastReason+")")
		case d.LastResult == "NO_DATA" && d.NoDataState != "OK" && d.NoDataState != "KEEP" && now.Sub(d.ResultSince) > time.Duration(d.NoDataMinutes)*time.Minute:
			blind = append(blind, d.Key+" ("+age(now, d.ResultSince)+")")
		}
	}
	var findings []Finding
	if len(definitions) == 0 {
		return []Finding{fail("definitions", "run `onevault migrate up`, or enable some", "none is enabled: nothing can fire")}
	}
	if len(unheard) == len(definitions) {
		findings = append(findings, fail("definitions", "add a channel: INSERT into monitoring.notification_config_s, see docs/runbook.md", "no channel hears any of the %d definitions", len(definitions)))
	} else if len(unheard) > 0 {
		findings = append(findings, warn("definitions", "add a channel whose severity and category filters match, or widen one's", "nobody hears %s", several(unheard)))
	}
	if len(broken) > 0 {
		findings = append(findings, fail("definitions", "correct the condition: insert a new version into monitoring.alert_definition_s", "the last evaluation ended in an error: %s", several(broken)))
	}
	if len(blind) > 0 {
		findings = append(findings, warn("definitions", "see why their metrics are missing: monitoring.system_dashboard", "without data for long: %s", several(blind)))
	}
	if len(findings) == 0 {
		findings = append(findings, ok("definitions", "%d are enabled, each is heard by somebody", len(definitions)))
	}
	return findings
}

func checkDeliveries(ctx context.Context, store *vault.Store, _ func() time.Time) ([]Finding, error) {
	channels, err := store.Channels(ctx, false)
	if err != nil {
		return nil, err
	}
	definitions, err := store.Definitions(ctx, false)
	if err != nil {
		return nil, err
	}
	policies, err := store.Policies(ctx, nil)
	if err != nil {
		return nil, err
	}
	failing, err := store.FailingDeliveries(ctx)
	if err != nil {
		return nil, err
	}
	contacts, err := store.Contacts(ctx, nil)
	if err != nil {
		return nil, err
	}
	groups, err := store.RecipientGroups(ctx)
	if err != nil {
		return nil, err
	}
	confirmed, err := store.ConfirmedChannels(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Concat(judgeChannels(channels), judgeReach(channels, definitions, policies), judgePolicies(policies, channels),
		judgeContacts(contacts, groups, channels), judgeDeliveries(failing), judgeReceipts(confirmed)), nil
}

func judgeDeliveries(failing []vault.FailingDelivery) []Finding {
	if len(failing) == 0 {
		return []Finding{ok("notifications", "none of the last hour failed or is uncertain")}
	}
	var findings []Finding
	for _, f := range failing {
		findings = append(findings, warn("notifications", "try it: `onevault channel test "+f.Channel+"`",
			"%s, last hour: %d failed, %d uncertain; %s", f.Channel, f.Failed, f.Uncertain, f.LastReason))
	}
	return findings
}

// fewest is how many messages without a receipt are no chance.
const fewest = 3

// judgeReceipts finds channels that require receipts and get none: each of their messages goes on to the next place.
func judgeReceipts(channels []vault.ConfirmedChannel) []Finding {
	var findings []Finding
	for _, c := range channels {
		switch {
		case c.Type == string(notify.TypeEmail) && !c.Asked:
			findings = append(findings, warn("receipts", `set "delivery_receipts": true and "bounce_address" in its configuration, or do not require receipts`,
				"%s requires them, and no mail server is asked for one: each message goes on after %d minutes", c.Channel, c.Minutes))
		case c.Sent >= fewest && c.Confirmed == 0:
			remedy := "see that a worker with " + settings.PublicURL + " runs, and that its API can be reached from outside at that address; see docs/inbound.md"
			if c.Type == string(notify.TypeEmail) {
				remedy = "see that reports reach the mailbox of \"bounce_address\" and are handed to OneVault; see docs/ledger.md"
			}
			findings = append(findings, warn("receipts", remedy, "%s requires them, and none came for %d messages: each went on after %d minutes", c.Channel, c.Sent, c.Minutes))
		}
	}
	return findings
}
