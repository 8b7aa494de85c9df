package collect

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed check.sql
var checkSQL string

// Check is what a look at a target found: who answers, and what is missing there. Nothing is recorded.
type Check struct {
	Target     string      `json:"target"`
	Reachable  bool        `json:"reachable"`
	Error      string      `json:"error,omitempty"` // why it is not
	Version    string      `json:"version,omitempty"`
	Database   string      `json:"database,omitempty"`
	Role       string      `json:"role,omitempty"`
	Superuser  bool        `json:"superuser"`
	Standby    bool        `json:"standby"`
	Encrypted  bool        `json:"encrypted"`
	Measured   int         `json:"measured"`             // health metrics with a value
	Unmeasured []Unknown   `json:"unmeasured,omitempty"` // those without one
	Lacks      []Lack      `json:"lacks,omitempty"`
	server     checkedRole // what the lacks follow from
}

// Unknown is a metric that cannot be measured, and why.
type Unknown struct {
	Metric string `json:"metric"`
	Reason string `json:"reason"`
}

// Lack is something that is missing on a target, what that costs, and the lines that remedy it.
type Lack struct {
	What   string   `json:"what"`
	Costs  string   `json:"costs"`
	Remedy []string `json:"remedy"`
	// Advice: nothing that is measured is lost by it.
	Advice bool `json:"advice,omitempty"`
}

// OK reports whether the target can be watched with nothing lost.
func (c Check) OK() bool {
	return c.Reachable && !slices.ContainsFunc(c.Lacks, func(l Lack) bool { return !l.Advice })
}

// checkedRole is the row of check.sql.
type checkedRole struct {
	Version             string
	Role                string
	Database            string
	Superuser           bool
	Standby             bool
	Encrypted           bool
	Local               bool // through a socket, or from the server's own address
	Monitor             bool
	StatementsCreated   bool
	StatementsAvailable bool
	Preloaded           *string // nil: the role may not see it
	IOTiming            bool
}

// Check looks at the target once: it connects, measures its health, samples its statements, and names what
// it lacks. A target that does not answer is a result.
func (t *Target) Check(ctx context.Context) Check {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	found := Check{Target: t.Name}
	var err error
	if found.server, err = t.askRole(ctx); err != nil {
		found.Error = plain(err).Error()
		return found
	}
	s := found.server
	found.Reachable, found.Version, found.Database, found.Role = true, s.Version, s.Database, s.Role
	found.Superuser, found.Standby, found.Encrypted = s.Superuser, s.Standby, s.Encrypted
	queries, err := HealthQueries()
	if err != nil {
		found.Error = err.Error()
		return found
	}
	health, err := t.CollectHealth(ctx, queries)
	if err != nil {
		found.Reachable, found.Error = false, err.Error()
		return found
	}
	for _, sample := range health.Samples {
		if sample.Value != nil || sample.Counter != nil {
			found.Measured++
			continue
		}
		found.Unmeasured = append(found.Unmeasured, Unknown{sample.Name, reasonOf(sample, s.Monitor || s.Superuser)})
	}
	_, statements := t.SampleStatements(ctx)
	found.judge(statements, t.maySilenceItself(ctx))
	return found
}

func reasonOf(sample Sample, monitor bool) string {
	switch {
	case sample.Error != "":
		return sample.Error
	case monitor:
		return "the server told no value"
	}
	return "the role is no member of pg_monitor"
}

func (t *Target) askRole(ctx context.Context) (checkedRole, error) {
	conn, err := t.pool.Acquire(ctx)
	if err != nil {
		return checkedRole{}, err
	}
	defer conn.Release()
	rows, err := conn.Query(ctx, checkSQL)
	if err != nil {
		return checkedRole{}, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[checkedRole])
}

// maySilenceItself reports whether our own statements stay out of pg_stat_statements; true where nobody can tell.
func (t *Target) maySilenceItself(ctx context.Context) bool {
	conn, err := t.pool.Acquire(ctx)
	if err != nil {
		return true
	}
	defer conn.Release()
	var track string
	err = conn.QueryRow(ctx, "SELECT coalesce(current_setting('pg_stat_statements.track', true), 'none')").Scan(&track)
	return err != nil || track == "none"
}

// judge names what is missing. Statements are those that sampling them failed with; nil: it worked.
func (c *Check) judge(statements error, silent bool) {
	s := c.server
	role := pgx.Identifier{s.Role}.Sanitize()
	if !s.Monitor && !s.Superuser {
		c.lack("the role "+s.Role+" is no member of pg_monitor", "of the sessions of others, their transactions and WAL nothing is seen"+
			c.lost(func(u Unknown) bool { return !strings.Contains(u.Reason, "pg_stat_statements") }),
			"GRANT pg_monitor TO "+role+";")
	}
	if statements != nil {
		c.lackStatements(statements)
	}
	if s.Superuser {
		c.advise("the role "+s.Role+" is a superuser", "whoever gets its password owns the server; watching needs pg_monitor and no more",
			"CREATE ROLE onevault_watcher LOGIN;", "GRANT pg_monitor TO onevault_watcher;", "-- then give it a password: \\password onevault_watcher")
	}
	if !s.Encrypted && !s.Local {
		c.advise("the connection is not encrypted", "password hashes and statements cross the network in the open",
			"-- in postgresql.conf: ssl = on, with ssl_cert_file and ssl_key_file", "-- and sslmode=verify-full with sslrootcert in the target's address")
	}
	if !s.IOTiming {
		c.advise("track_io_timing is off", "the times of reads and writes are 0", "ALTER SYSTEM SET track_io_timing = on;", "SELECT pg_reload_conf();")
	}
	if !silent && versionNumber(s.Version) >= 150000 {
		c.advise("our own statements stand in pg_stat_statements", "some rows of it, by the role "+s.Role,
			"GRANT SET ON PARAMETER pg_stat_statements.track TO "+role+";")
	}
}

// lackStatements tells the ways apart in which pg_stat_statements can be missing.
func (c *Check) lackStatements(cause error) {
	s := c.server
	where := "-- in the database " + s.Database
	if s.Standby {
		where += ", on its primary"
	}
	var remedy []string
	what := "pg_stat_statements cannot be read: " + plain(cause).Error()
	if s.Preloaded != nil && !strings.Contains(*s.Preloaded, "pg_stat_statements") {
		what = "the server does not load pg_stat_statements"
		remedy = append(remedy, "-- in postgresql.conf, then restart the server: shared_preload_libraries = '"+
			strings.TrimPrefix(*s.Preloaded+",pg_stat_statements", ",")+"'")
	}
	if !s.StatementsCreated {
		if len(remedy) == 0 {
			what = "the extension pg_stat_statements is not created in the database " + s.Database
		}
		if !s.StatementsAvailable {
			remedy = append(remedy, "-- install the package postgresql-contrib of the server's version")
		}
		remedy = append(remedy, where+":", "CREATE EXTENSION pg_stat_statements;")
	}
	if s.Preloaded == nil && len(remedy) > 0 {
		remedy = append([]string{"-- make sure that shared_preload_libraries in postgresql.conf has pg_stat_statements; a change takes a restart"}, remedy...)
	}
	if len(remedy) == 0 {
		remedy = []string{"GRANT pg_read_all_stats TO " + pgx.Identifier{s.Role}.Sanitize() + ";"}
	}
	c.lack(what, "no statement is measured: neither the costliest ones nor their suggestions"+
		c.lost(func(u Unknown) bool { return strings.Contains(u.Reason, "pg_stat_statements") }), remedy...)
}

// lost lists the metrics that are missing for a reason.
func (c *Check) lost(because func(Unknown) bool) string {
	var names []string
	for _, u := range c.Unmeasured {
		if because(u) {
			names = append(names, u.Metric)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("; lost: %s", strings.Join(names, ", "))
}

func (c *Check) lack(what, costs string, remedy ...string) {
	c.Lacks = append(c.Lacks, Lack{What: what, Costs: costs, Remedy: remedy})
}

func (c *Check) advise(what, costs string, remedy ...string) {
	c.Lacks = append(c.Lacks, Lack{What: what, Costs: costs, Remedy: remedy, Advice: true})
}
