package collect

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

//go:embed compliance/*.sql
var complianceFiles embed.FS

// controlTimeout bounds a control: a catalog of a hundred thousand tables takes seconds.
const controlTimeout = 10 * time.Second

// Clause is what one framework asks of a control.
type Clause struct {
	Framework string `json:"framework"`
	Clause    string `json:"clause"`
	Text      string `json:"text"`
}

// Control is one file of compliance/, or of a directory of one's own: a SELECT of (passed boolean, score
// numeric, evidence jsonb) that yields one row. NULL for passed: it could not be told, and evidence says
// why under `reason`. A score above 0 with passed false: partly met.
type Control struct {
	ID, Title, Category, Severity string
	Asks, Remediation             string
	Evidence                      string   // what the SELECT reads
	Needs                         string   // what must be granted beyond pg_monitor
	Requires                      []string // tables without which it cannot be told
	Clauses                       []Clause
	Custom                        bool
	SQL                           string
}

// Frameworks are those of a control's clauses, each once.
func (c Control) Frameworks() []string {
	var list []string
	for _, clause := range c.Clauses {
		if !slices.Contains(list, clause.Framework) {
			list = append(list, clause.Framework)
		}
	}
	return list
}

// Statuses of a control, as the vault calls them.
const (
	Compliant          = "COMPLIANT"
	PartiallyCompliant = "PARTIALLY_COMPLIANT"
	NonCompliant       = "NON_COMPLIANT"
	NotTested          = "NOT_TESTED"
)

// ControlResult is what a control found. A score is percent, nil: not tested.
type ControlResult struct {
	Control  Control
	Status   string
	Score    *float64
	Evidence map[string]any
}

// Controls returns the built-in controls in the order of their ids.
func Controls() ([]Control, error) {
	entries, err := complianceFiles.ReadDir("compliance")
	if err != nil {
		return nil, fmt.Errorf("read the controls: %w", err)
	}
	controls := make([]Control, 0, len(entries))
	for _, entry := range entries {
		text, err := complianceFiles.ReadFile(path.Join("compliance", entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read control %s: %w", entry.Name(), err)
		}
		control, err := ParseControl(string(text))
		if err != nil {
			return nil, fmt.Errorf("control %s: %w", entry.Name(), err)
		}
		controls = append(controls, control)
	}
	return controls, nil
}

// CustomControls reads the *.sql files of a directory, or one file. What is wrong with a file is a problem
// of that file, and the others are returned.
func CustomControls(place string) (controls []Control, problems []string) {
	builtIn, err := Controls()
	if err != nil {
		return nil, []string{err.Error()}
	}
	taken := map[string]string{}
	for _, control := range builtIn {
		taken[control.ID] = "a built-in control"
	}
	files, err := controlFiles(place)
	if err != nil {
		return nil, []string{err.Error()}
	}
	for _, file := range files {
		control, err := customControl(file)
		if err == nil && taken[control.ID] != "" {
			err = fmt.Errorf("id %s is taken by %s: choose another", control.ID, taken[control.ID])
		}
		if err != nil {
			problems = append(problems, file+": "+err.Error())
			continue
		}
		taken[control.ID] = file
		controls = append(controls, control)
	}
	return controls, problems
}

func controlFiles(place string) ([]string, error) {
	info, err := os.Stat(place)
	if err != nil {
		return nil, fmt.Errorf("read controls: %w", err)
	}
	if !info.IsDir() {
		return []string{place}, nil
	}
	files, err := filepath.Glob(filepath.Join(place, "*.sql"))
	if err != nil {
		return nil, fmt.Errorf("read controls of %s: %w", place, err)
	}
	slices.Sort(files)
	return files, nil
}

// maxControlFile bounds what is read of a file: it is one SELECT with its header.
const maxControlFile = 100_000

func customControl(file string) (Control, error) {
	info, err := os.Stat(file)
	if err != nil {
		return Control{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxControlFile {
		return Control{}, fmt.Errorf("is no file of up to %d bytes: a control is one SELECT with its header", maxControlFile)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return Control{}, err
	}
	control, err := ParseControl(string(text))
	control.Custom = true
	return control, err
}

var (
	controlID    = regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,39}$`)
	headerLine   = regexp.MustCompile(`^-- ([a-z]+): *(.*)$`)
	severities   = []string{"LOW", "MEDIUM", "HIGH", "CRITICAL"}
	maxTitle     = 200
	maxFramework = 50
)

// ParseControl reads a control's header lines `-- id: ...` down to the first line that is none, and its
// SELECT. An error names the field, the value and the remedy.
func ParseControl(text string) (Control, error) {
	c := Control{}
	rest := strings.ReplaceAll(text, "\r\n", "\n")
	for {
		line, after, _ := strings.Cut(rest, "\n")
		match := headerLine.FindStringSubmatch(strings.TrimRight(line, " \t"))
		if match == nil {
			break
		}
		if err := c.take(match[1], strings.TrimSpace(match[2])); err != nil {
			return Control{}, err
		}
		rest = after
	}
	c.SQL = strings.TrimSuffix(strings.TrimSpace(rest), ";")
	return c, c.validate()
}

// take reads one header line. A field that is given twice is an error, but for clause.
func (c *Control) take(field, value string) error {
	into := map[string]*string{
		"id": &c.ID, "title": &c.Title, "category": &c.Category, "severity": &c.Severity, "asks": &c.Asks,
		"remediation": &c.Remediation, "evidence": &c.Evidence, "needs": &c.Needs,
	}[field]
	switch {
	case into != nil && *into != "":
		return fmt.Errorf("%s is given twice, %q and %q: keep one", field, *into, value)
	case into != nil:
		*into = value
	case field == "clause":
		parts := strings.SplitN(value, "|", 3)
		if len(parts) != 3 || strings.TrimSpace(parts[0]) == "" || strings.TrimSpace(parts[1]) == "" {
			return fmt.Errorf("clause is %q: write FRAMEWORK | CLAUSE | what it asks for", value)
		}
		c.Clauses = append(c.Clauses, Clause{strings.TrimSpace(parts[0]), strings.TrimSpace(parts[1]), strings.TrimSpace(parts[2])})
	case field == "requires":
		for table := range strings.SplitSeq(value, ",") {
			c.Requires = append(c.Requires, strings.TrimSpace(table))
		}
	default:
		return fmt.Errorf("field %q is unknown: use id, title, category, severity, asks, clause, remediation, evidence, needs, requires", field)
	}
	return nil
}

func (c *Control) validate() error {
	switch {
	case !controlID.MatchString(c.ID):
		return fmt.Errorf("id is %q: write `-- id: NAME` at the top, of 2 to 40 capital letters, digits and _, with a letter first", c.ID)
	case c.Title == "" || len(c.Title) > maxTitle:
		return fmt.Errorf("title is %q: write `-- title: ...` of up to %d bytes", c.Title, maxTitle)
	case !slices.Contains(severities, c.Severity):
		return fmt.Errorf("severity is %q: use %s", c.Severity, strings.Join(severities, ", "))
	case c.Category == "" || len(c.Category) > 100:
		return fmt.Errorf("category is %q: write `-- category: ACCESS_CONTROL` or another word of up to 100 bytes", c.Category)
	case c.Asks == "":
		return errors.New("asks is missing: write `-- asks: what must be so`")
	case c.Remediation == "":
		return errors.New("remediation is missing: write `-- remediation: what to do where it is not so`")
	case len(c.Clauses) == 0:
		return errors.New("clause is missing: write `-- clause: FRAMEWORK | CLAUSE | what it asks for`, once for each")
	case c.SQL == "":
		return errors.New("the SELECT is missing: below the header, write one of (passed boolean, score numeric, evidence jsonb)")
	}
	for _, clause := range c.Clauses {
		if len(clause.Framework) > maxFramework {
			return fmt.Errorf("clause names the framework %q: use up to %d bytes", clause.Framework, maxFramework)
		}
		if first := c.Clauses[slices.IndexFunc(c.Clauses, func(other Clause) bool { return SameFramework(other.Framework, clause.Framework) })]; first.Framework != clause.Framework {
			return fmt.Errorf("clause names the framework %q and %q: write it in one way", first.Framework, clause.Framework)
		}
	}
	return nil
}

// SameFramework compares names of frameworks as people type them: pci-dss, PCI DSS.
func SameFramework(a, b string) bool { return frameworkKey(a) == frameworkKey(b) }

func frameworkKey(name string) string {
	return strings.NewReplacer(" ", "", "-", "", "_", "").Replace(strings.ToLower(name))
}

// connectPlain opens a connection without the settings that the collector's own have: a control that reads
// a setting shall see the server's. It takes the place of one of the pool's two until done is called.
func (t *Target) connectPlain(ctx context.Context) (conn *pgx.Conn, done func(), err error) {
	place, err := t.pool.Acquire(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("reach target %s: %w", t.Name, plain(err))
	}
	// The pool counts it, and opens no other in its place, until it is released.
	closePlain(ctx, place.Conn())
	if conn, err = t.openPlain(ctx); err != nil {
		place.Release()
		return nil, nil, fmt.Errorf("reach target %s: %w", t.Name, plain(err))
	}
	return conn, func() { closePlain(ctx, conn); place.Release() }, nil
}

func (t *Target) openPlain(ctx context.Context) (*pgx.Conn, error) {
	config := t.pool.Config().ConnConfig.Copy()
	if resolve := t.pool.Config().BeforeConnect; resolve != nil {
		if err := resolve(ctx, config); err != nil {
			return nil, err
		}
	}
	config.RuntimeParams = map[string]string{"application_name": "onevault", "search_path": "pg_catalog"}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := hideFromStatements(ctx, conn); err != nil {
		closePlain(ctx, conn)
		return nil, err
	}
	return conn, nil
}

// closePlain leaves nothing to be told: each transaction was rolled back, and a connection that is broken is closed.
func closePlain(ctx context.Context, conn *pgx.Conn) {
	_ = conn.Close(context.WithoutCancel(ctx))
}

// CheckControls runs controls one after another, each in a read-only transaction of its own. The error
// means that the target did not answer; whatever is wrong with a control makes it NOT_TESTED with the reason.
func (t *Target) CheckControls(ctx context.Context, controls []Control) ([]ControlResult, error) {
	ctx = withLimit(ctx, controlTimeout)
	conn, done, err := t.connectPlain(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	results := make([]ControlResult, 0, len(controls))
	for _, control := range controls {
		result, err := t.check(ctx, conn, control)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if conn.IsClosed() {
			return nil, fmt.Errorf("reach target %s: %w", t.Name, plain(err))
		}
		if err != nil {
			result = untested(control, err)
		}
		results = append(results, result)
	}
	return results, nil
}

// LintControl has the target's server plan a control without running it: one SELECT of the right columns.
// Tables that it requires may be missing on this server, which is no fault of it.
func (t *Target) LintControl(ctx context.Context, control Control) error {
	ctx = withLimit(ctx, controlTimeout)
	conn, done, err := t.connectPlain(ctx)
	if err != nil {
		return err
	}
	defer done()
	tx, err := t.begin(ctx, conn)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx) // nothing was written
	if missing, err := missingTable(ctx, tx, control); err != nil || missing != "" {
		if err == nil {
			err = fmt.Errorf("requires is %q, which this server does not have: lint it where the table is", missing)
		}
		return err
	}
	described, err := tx.Prepare(ctx, "control", controlStatement(control))
	if err != nil {
		return fmt.Errorf("the SELECT is refused: %w", plain(err))
	}
	if len(described.ParamOIDs) > 0 {
		return errors.New("the SELECT has parameters ($1): a control is given none")
	}
	return nil
}

// begin opens the transaction of one control. The setting onevault.target names the target, for controls that
// read what the vault knows of it.
func (t *Target) begin(ctx context.Context, conn *pgx.Conn) (pgx.Tx, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d; SET LOCAL lock_timeout = %s", controlTimeout.Milliseconds(), lockTimeout))
	if err == nil {
		_, err = tx.Exec(ctx, "SELECT set_config('onevault.target', $1, true)", t.Name)
	}
	if err != nil {
		return nil, errors.Join(err, tx.Rollback(ctx))
	}
	return tx, nil
}

// controlStatement holds a control in a subquery, so that nothing but one SELECT of these columns is a control.
func controlStatement(control Control) string {
	return "/* onevault control " + control.ID + " */ SELECT q.passed::boolean, q.score::float8, q.evidence::jsonb FROM (\n" +
		control.SQL + "\n) AS q (passed, score, evidence) LIMIT 2"
}

func missingTable(ctx context.Context, tx pgx.Tx, control Control) (string, error) {
	for _, table := range control.Requires {
		var there bool
		if err := tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", table).Scan(&there); err != nil {
			return "", err
		}
		if !there {
			return table, nil
		}
	}
	return "", nil
}

func (t *Target) check(ctx context.Context, conn *pgx.Conn, control Control) (ControlResult, error) {
	tx, err := t.begin(ctx, conn)
	if err != nil {
		return ControlResult{}, err
	}
	defer tx.Rollback(ctx) // nothing was written
	missing, err := missingTable(ctx, tx, control)
	if err != nil {
		return ControlResult{}, err
	}
	if missing != "" {
		return ControlResult{}, fmt.Errorf("table %s does not exist here", missing)
	}
	type row struct {
		Passed   *bool
		Score    *float64
		Evidence json.RawMessage
	}
	// Prepared without a name: the extended protocol takes one statement only.
	rows, err := tx.Query(ctx, controlStatement(control), pgx.QueryExecModeDescribeExec)
	if err != nil {
		return ControlResult{}, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return ControlResult{}, err
	}
	if len(found) != 1 {
		return ControlResult{}, fmt.Errorf("the control yields %s, and must yield one", map[bool]string{true: "no row", false: "more than one row"}[len(found) == 0])
	}
	result := ControlResult{Control: control, Evidence: map[string]any{}}
	if len(found[0].Evidence) > 0 {
		if err := json.Unmarshal(found[0].Evidence, &result.Evidence); err != nil {
			return ControlResult{}, fmt.Errorf("evidence is %s: make it an object, jsonb_build_object(...)", found[0].Evidence)
		}
		if result.Evidence == nil {
			result.Evidence = map[string]any{}
		}
	}
	return result, result.judge(found[0].Passed, found[0].Score)
}

// judge reads the two words of a control. A score that cannot be percent is a fault of the control.
func (r *ControlResult) judge(passed *bool, score *float64) error {
	if score != nil && !(*score >= 0 && *score <= 100) {
		return fmt.Errorf("score is %v: give percent, 0 to 100, or NULL", *score)
	}
	whole, none := 100.0, 0.0
	switch {
	case passed == nil:
		r.Status = NotTested
		if _, said := r.Evidence["reason"]; !said {
			r.Evidence["reason"] = "the control could not tell, and does not say why"
		}
	case *passed:
		r.Status, r.Score = Compliant, &whole
	case score != nil && *score > 0:
		r.Status, r.Score = PartiallyCompliant, score
	default:
		r.Status, r.Score = NonCompliant, &none
	}
	return nil
}

// untested says why a control could not be run.
func untested(control Control, err error) ControlResult {
	reason := plain(err).Error()
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		reason = pgErr.Message
		if pgErr.Code == "42501" && control.Needs != "" {
			reason += "; it needs " + control.Needs
		}
	}
	return ControlResult{Control: control, Status: NotTested, Evidence: map[string]any{"reason": reason}}
}
