package collect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// StatementID is what pg_stat_statements tells statements apart by; in JSON [userid, dbid, queryid, toplevel].
type StatementID struct {
	UserID, DatabaseID uint32
	QueryID            int64
	TopLevel           bool
}

// UnmarshalJSON reads the array.
func (id *StatementID) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&id.UserID, &id.DatabaseID, &id.QueryID, &id.TopLevel})
}

// StatementPlan is how the planner would run a statement whatever its parameters, or why nobody knows: one of
// Plan and Problem is set. In JSON [userid, dbid, queryid, toplevel, plan, problem].
type StatementPlan struct {
	StatementID
	Plan    *PlanNode
	Problem string
}

// MarshalJSON writes the array.
func (p StatementPlan) MarshalJSON() ([]byte, error) {
	var problem *string
	if p.Problem != "" {
		problem = &p.Problem
	}
	return json.Marshal([]any{p.UserID, p.DatabaseID, p.QueryID, p.TopLevel, p.Plan, problem})
}

// PlanNode is a node of a plan under EXPLAIN's own names, without what nobody needs and without constants.
type PlanNode struct {
	Type         string      `json:"Node Type"`
	Relationship string      `json:"Parent Relationship,omitempty"`
	Subplan      string      `json:"Subplan Name,omitempty"`
	Operation    string      `json:"Operation,omitempty"`
	Strategy     string      `json:"Strategy,omitempty"`
	Join         string      `json:"Join Type,omitempty"`
	Schema       string      `json:"Schema,omitempty"`
	Relation     string      `json:"Relation Name,omitempty"`
	Alias        string      `json:"Alias,omitempty"`
	Index        string      `json:"Index Name,omitempty"`
	StartupCost  float64     `json:"Startup Cost"`
	TotalCost    float64     `json:"Total Cost"`
	Rows         float64     `json:"Plan Rows"`
	Width        int         `json:"Plan Width"`
	Workers      int         `json:"Workers Planned,omitempty"`
	Removed      int         `json:"Subplans Removed,omitempty"`
	Filter       expression  `json:"Filter,omitempty"`
	IndexCond    expression  `json:"Index Cond,omitempty"`
	RecheckCond  expression  `json:"Recheck Cond,omitempty"`
	HashCond     expression  `json:"Hash Cond,omitempty"`
	MergeCond    expression  `json:"Merge Cond,omitempty"`
	JoinFilter   expression  `json:"Join Filter,omitempty"`
	SortKey      expressions `json:"Sort Key,omitempty"`
	GroupKey     expressions `json:"Group Key,omitempty"`
	Plans        []*PlanNode `json:"Plans,omitempty"`
}

// expression is a condition of a plan. Whoever reads one gets it without constants: $1 stays, 'a secret' and
// 4111 become ?. The constants of a view, a policy or an index are not the statement's, and no $n.
type (
	expression  string
	expressions []expression
)

// UnmarshalJSON reads an expression and drops its constants.
func (e *expression) UnmarshalJSON(text []byte) error {
	var whole string
	if err := json.Unmarshal(text, &whole); err != nil {
		return err
	}
	*e = expression(withoutConstants(whole))
	return nil
}

// withoutConstants replaces the constants of an expression that PostgreSQL deparsed by ?. Names stay, which
// may hold digits and, in double quotes, anything, and so does $1.
func withoutConstants(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '"':
			end := endOfQuoted(text, i, false)
			out.WriteString(text[i:end])
			i = end
		case c == '\'':
			out.WriteByte('?')
			i = endOfQuoted(text, i, false)
		case (c == 'E' || c == 'B' || c == 'X') && i+1 < len(text) && text[i+1] == '\'':
			out.WriteByte('?')
			i = endOfQuoted(text, i+1, c == 'E')
		case isDigit(c):
			out.WriteByte('?')
			i = endOfNumber(text, i)
		case c == '$' || isWord(c):
			end := i + 1
			for end < len(text) && (isWord(text[end]) || isDigit(text[end]) || text[end] == '$') {
				end++
			}
			out.WriteString(text[i:end])
			i = end
		default:
			out.WriteByte(c)
			i++
		}
	}
	return out.String()
}

// endOfQuoted is behind the quote that ends what begins at a quote; a doubled quote is none, and in E'...'
// what follows a backslash is none either.
func endOfQuoted(text string, at int, escapes bool) int {
	quote := text[at]
	for i := at + 1; i < len(text); i++ {
		switch {
		case escapes && text[i] == '\\':
			i++
		case text[i] != quote:
		case i+1 < len(text) && text[i+1] == quote:
			i++
		default:
			return i + 1
		}
	}
	return len(text)
}

// endOfNumber is behind a number: 4111, 1.5, 1e+20.
func endOfNumber(text string, at int) int {
	i := at
	for i < len(text) && (isDigit(text[i]) || isWord(text[i]) || text[i] == '.' || (text[i] == '+' || text[i] == '-') && (text[i-1] == 'e' || text[i-1] == 'E')) {
		i++
	}
	return i
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isWord reports what a name begins with; bytes of letters beyond ASCII count.
func isWord(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// How a plan is asked for.
const (
	planTimeout     = 500 * time.Millisecond // of each statement on the way to a plan
	planLockTimeout = 100 * time.Millisecond
	maxPlanText     = 100_000 // bytes of a statement that the planner is bothered with
)

// plans asks the planner for the plans of statements. Nothing is executed: the statement is prepared as a
// client's would be, which refuses more than one, and EXPLAIN is asked for its generic plan, in a transaction
// that reads only. The connection is closed afterwards, so that nothing of it is left to others.
func (t *Target) plans(ctx context.Context, ids []StatementID) ([]StatementPlan, error) {
	conn, err := t.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("reach target %s: %w", t.Name, plain(err))
	}
	defer conn.Release()
	defer conn.Conn().Close(context.WithoutCancel(ctx)) //nolint:errcheck // it is given up, whatever it says
	plans := make([]StatementPlan, 0, len(ids))
	for _, id := range ids {
		node, err := planOf(ctx, conn.Conn(), id)
		if conn.Conn().IsClosed() {
			return nil, fmt.Errorf("ask target %s for a plan: %w", t.Name, plain(err))
		}
		p := StatementPlan{StatementID: id, Plan: node}
		if err != nil {
			p.Problem = planProblem(err)
		}
		plans = append(plans, p)
	}
	return plans, nil
}

// planProblem says why there is no plan, without a word of the statement: PostgreSQL's messages quote what it
// did not understand.
func planProblem(err error) string {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return plain(err).Error()
	}
	switch pgErr.Code {
	case "42501": // permission denied for table orders
		return pgErr.Message + ": GRANT pg_read_all_data, or SELECT on it, to the collector's role, and plans are taken"
	case "42P01": // relation "orders" does not exist
		return "a table or view of it is not on the search_path of the collector's role"
	case "57014":
		return "planning took longer than " + planTimeout.String()
	case "55P03":
		return "a table of it was locked"
	}
	return "the planner refused it with SQLSTATE " + pgErr.Code
}

var errNoText = errors.New("pg_stat_statements no longer holds its text")

// planOf asks for one plan and leaves the connection outside of any transaction.
func planOf(ctx context.Context, conn *pgx.Conn, id StatementID) (node *PlanNode, err error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, err
	}
	defer func() {
		if end := tx.Rollback(context.WithoutCancel(ctx)); end != nil {
			node, err = nil, errors.Join(err, end)
		}
	}()
	if _, err = tx.Exec(ctx, `SELECT set_config('plan_cache_mode', 'force_generic_plan', true), set_config('statement_timeout', $1, true), set_config('lock_timeout', $2, true)`,
		fmt.Sprint(planTimeout.Milliseconds()), fmt.Sprint(planLockTimeout.Milliseconds())); err != nil {
		return nil, err
	}
	var text string
	err = tx.QueryRow(ctx, `
		/* onevault plan */
		SELECT s.query
		  FROM pg_stat_statements(true) AS s
		 WHERE s.userid = $1 AND s.dbid = $2 AND s.queryid = $3 AND s.toplevel = $4`,
		id.UserID, id.DatabaseID, id.QueryID, id.TopLevel).Scan(&text)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, errNoText
	case err != nil:
		return nil, err
	case len(text) > maxPlanText:
		return nil, fmt.Errorf("its text has %d bytes, more than %d", len(text), maxPlanText)
	}
	const name = "onevault_asks_for_its_plan"
	prepared, err := conn.PgConn().Prepare(ctx, name, text, nil)
	if err != nil {
		return nil, err
	}
	defer func() {
		// The protocol closes it in a transaction that failed, too.
		if closed := conn.PgConn().Deallocate(context.WithoutCancel(ctx), name); closed != nil {
			node, err = nil, errors.Join(err, closed)
		}
	}()
	arguments := strings.TrimSuffix(strings.Repeat("NULL, ", len(prepared.ParamOIDs)), ", ")
	if arguments != "" {
		arguments = "(" + arguments + ")"
	}
	var answer []byte
	if err := tx.QueryRow(ctx, "EXPLAIN (FORMAT JSON, VERBOSE) EXECUTE "+name+arguments, pgx.QueryExecModeExec).Scan(&answer); err != nil {
		return nil, err
	}
	return parsePlan(answer)
}

// parsePlan reads EXPLAIN's answer.
func parsePlan(answer []byte) (*PlanNode, error) {
	var document []struct{ Plan *PlanNode }
	if err := json.Unmarshal(answer, &document); err != nil {
		return nil, errors.New("a statement of this kind has no plan") // ["Utility Statement"]
	}
	if len(document) == 0 || document[0].Plan == nil {
		return nil, errors.New("its plan is empty: a rule makes it do nothing")
	}
	return document[0].Plan, nil
}
