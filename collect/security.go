package collect

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

var (
	//go:embed security/*.sql
	securityFiles embed.FS
	//go:embed security_obstacle.sql
	obstacleSQL string
)

// Kinds of checks: what makes a finding an event. The vault has the rules, by the same words.
const (
	KindState    = "STATE"    // a finding lasts until it is gone: one event for each appearance
	KindCount    = "COUNT"    // a finding is a counter: one event for each hour in which it grew
	KindWindow   = "WINDOW"   // a finding is about now: one event for each hour
	KindChange   = "CHANGE"   // a finding is an object with its state: an event where it differs from the last look
	KindSurge    = "SURGE"    // a finding is a table with its counters: an event where many rows went since the last look
	KindSighting = "SIGHTING" // a finding is somebody: an event at the first sight within 90 days
	KindLog      = "LOG"      // read from the server's log, by ReadLog
)

// LogCheck is the check that reads the server's own log. It has no SELECT.
const LogCheck = "server_log"

// SecurityColumns are what a check's SELECT yields, in this order; they are the fields of the vault's type
// monitoring.security_finding.
var SecurityColumns = []string{
	"event_type", "severity", "object", "happened_at", "username", "source_ip", "database_name", "affected_tables",
	"details", "false_positive_likelihood", "mitigation_actions", "measure",
}

// SecurityCheck is one file of security/: a SELECT of SecurityColumns, one row for each finding.
type SecurityCheck struct {
	Name, Kind, Description string
	Events                  []string // types of the events that come of it
	Tables                  []string // without which it does not apply
	Columns                 []string // as table:column
	Calls                   []string // functions that the role must be allowed to call
	Roles                   []string // predefined roles that the role must be a member of
	Oldest, Newest          int      // major versions of PostgreSQL
	SQL                     string
}

// SecurityResult is what one check found on a target, as the vault takes it. Skipped says why it does not
// apply, Failed why it could not look; either way Findings is nil.
type SecurityResult struct {
	Check    string          `json:"check"`
	Findings json.RawMessage `json:"findings,omitempty"` // an array of objects with SecurityColumns
	Reading  *LogReading     `json:"reading,omitempty"`  // of the LogCheck alone
	Skipped  string          `json:"skipped,omitempty"`
	Failed   string          `json:"failed,omitempty"`
}

// ObstacleSQL is the query that says why a check cannot look, with six arguments. The vault installs it as
// monitoring.security_obstacle().
func ObstacleSQL() string { return strings.TrimSpace(obstacleSQL) }

// SecurityChecks returns the checks in the order of their names.
func SecurityChecks() ([]SecurityCheck, error) {
	entries, err := securityFiles.ReadDir("security")
	if err != nil {
		return nil, fmt.Errorf("read the security checks: %w", err)
	}
	checks := make([]SecurityCheck, 0, len(entries))
	for _, entry := range entries {
		text, err := securityFiles.ReadFile(path.Join("security", entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read security check %s: %w", entry.Name(), err)
		}
		check, err := parseSecurityCheck(string(text))
		if err == nil && check.Name+".sql" != entry.Name() {
			err = fmt.Errorf("check is %q: a check is named as its file", check.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("security check %s: %w", entry.Name(), err)
		}
		checks = append(checks, check)
	}
	return checks, nil
}

var (
	checkName  = regexp.MustCompile(`^[a-z][a-z0-9_]{1,49}$`)
	eventType  = regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,99}$`)
	tableList  = regexp.MustCompile(`([a-z0-9_.]+)(?: \(([a-z0-9_, ]+)\))?`)
	checkKinds = []string{KindState, KindCount, KindWindow, KindChange, KindSurge, KindSighting}
)

// parseSecurityCheck reads the header lines `-- check: ...` down to the first line that is none, and the
// SELECT below them.
func parseSecurityCheck(text string) (SecurityCheck, error) {
	c := SecurityCheck{Oldest: oldestMajor, Newest: openVersion}
	rest := text
	for {
		line, after, _ := strings.Cut(rest, "\n")
		match := headerLine.FindStringSubmatch(line)
		if match == nil {
			break
		}
		if err := c.take(match[1], strings.TrimSpace(match[2])); err != nil {
			return SecurityCheck{}, err
		}
		rest = after
	}
	c.SQL = strings.TrimSuffix(strings.TrimSpace(rest), ";")
	return c, c.validate()
}

func (c *SecurityCheck) take(field, value string) error {
	switch field {
	case "check":
		c.Name = value
	case "kind":
		c.Kind = value
	case "description":
		c.Description = value
	case "event":
		c.Events = splitList(value)
	case "calls":
		c.Calls = splitList(value)
	case "needs":
		c.Roles = splitList(value)
	case "requires":
		for _, match := range tableList.FindAllStringSubmatch(value, -1) {
			c.Tables = append(c.Tables, match[1])
			for _, column := range splitList(match[2]) {
				c.Columns = append(c.Columns, match[1]+":"+column)
			}
		}
	case "versions":
		oldest, newest, _ := strings.Cut(value, "-")
		var err error
		if c.Oldest, err = strconv.Atoi(oldest); err == nil && newest != "" {
			c.Newest, err = strconv.Atoi(newest)
		}
		if err != nil {
			return fmt.Errorf("versions is %q: write 14-17 or 16-", value)
		}
	default:
		return fmt.Errorf("field %q is unknown: use check, kind, event, description, versions, requires, needs, calls", field)
	}
	return nil
}

func splitList(text string) []string {
	var list []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

func (c *SecurityCheck) validate() error {
	switch {
	case !checkName.MatchString(c.Name):
		return fmt.Errorf("check is %q: write `-- check: name` of up to 50 small letters, digits and _", c.Name)
	case !slices.Contains(checkKinds, c.Kind):
		return fmt.Errorf("kind is %q: use %s", c.Kind, strings.Join(checkKinds, ", "))
	case c.Description == "":
		return errors.New("description is missing: write what it looks for")
	case len(c.Events) == 0 || slices.ContainsFunc(c.Events, func(e string) bool { return !eventType.MatchString(e) }):
		return fmt.Errorf("event is %q: write the types of the events that come of it, in capital letters", c.Events)
	case c.SQL == "":
		return errors.New("the SELECT is missing")
	}
	return nil
}

// maxFindings bounds what one check may find; more is an error of the check, because a part of it would
// read as if the rest were gone.
const maxFindings = 20000

// DetectSecurity runs the checks on the target one after another, each in a read-only transaction of its
// own. The error means that the target did not answer; a check that cannot look says so in its result.
func (t *Target) DetectSecurity(ctx context.Context) ([]SecurityResult, error) {
	checks, err := SecurityChecks()
	if err != nil {
		return nil, err
	}
	conn, err := t.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("reach target %s: %w", t.Name, plain(err))
	}
	defer conn.Release()
	results := make([]SecurityResult, 0, len(checks))
	for _, check := range checks {
		result, err := runSecurityCheck(ctx, conn.Conn(), check)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if conn.Conn().IsClosed() {
			return nil, fmt.Errorf("reach target %s: %w", t.Name, plain(err))
		}
		if err != nil {
			result = SecurityResult{Check: check.Name, Failed: reason(err)}
		}
		results = append(results, result)
	}
	return results, nil
}

func runSecurityCheck(ctx context.Context, conn *pgx.Conn, check SecurityCheck) (SecurityResult, error) {
	result := SecurityResult{Check: check.Name}
	err := readOnly(ctx, conn, check.ReadsStatements(), func(tx pgx.Tx) error {
		var obstacle *string
		if err := tx.QueryRow(ctx, ObstacleSQL(), check.Tables, check.Columns, check.Calls, check.Roles, check.Oldest, check.Newest).
			Scan(&obstacle); err != nil {
			return err
		}
		if obstacle != nil {
			result.Skipped = *obstacle
			return nil
		}
		var found int
		if err := tx.QueryRow(ctx, "/* onevault security "+check.Name+" */ SELECT count(*), coalesce(json_agg(q), '[]') FROM ("+check.Bounded()+") AS q").
			Scan(&found, &result.Findings); err != nil {
			return err
		}
		if found > maxFindings {
			return fmt.Errorf("it finds more than %d objects: none of it was compared", maxFindings)
		}
		return nil
	})
	return result, err
}

// Bounded is the check's SELECT with its columns named, cut after one finding more than may be.
func (c SecurityCheck) Bounded() string {
	return "SELECT * FROM (\n" + c.SQL + "\n) AS finding (" + strings.Join(SecurityColumns, ", ") + ") LIMIT " + strconv.Itoa(maxFindings+1)
}

// prepareCheck sets the search_path of a check for its transaction: nothing in it can be shadowed by a schema
// in which others may create objects, and every name is written with its schema. $1: with the schema of
// pg_stat_statements, wherever that was put. Memory for sorting, so that a catalog of ten thousand tables
// needs hardly any temporary file.
const prepareCheck = `
	SELECT pg_catalog.set_config('work_mem', '32MB', true), pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ', 'pg_catalog', (
	           SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
	            WHERE $1 AND e.extname OPERATOR(pg_catalog.=) 'pg_stat_statements' AND n.nspname OPERATOR(pg_catalog.<>) 'pg_catalog')), true)`

// readOnly runs something in a read-only transaction with the search_path of a check.
func readOnly(ctx context.Context, conn *pgx.Conn, statements bool, do func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, prepareCheck, statements); err != nil {
			return err
		}
		return do(tx)
	})
}

// ReadsStatements reports whether the check reads pg_stat_statements.
func (c SecurityCheck) ReadsStatements() bool { return slices.Contains(c.Tables, "pg_stat_statements") }
