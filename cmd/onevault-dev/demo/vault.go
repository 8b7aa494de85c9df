package demo

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
)

// errBadURL stands for the parser's own message, which repeats the URL and with it the password.
var errBadURL = errors.New("the database's address is not a PostgreSQL URL")

// vault is one connection by which the demo looks at the vault, and at the server's slots. It is taken
// before the others, so that it is there when no more can be had.
type vault struct{ conn *pgx.Conn }

func openVault(ctx context.Context, databaseURL string) (*vault, error) {
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return nil, errBadURL
	}
	config.RuntimeParams["application_name"] = "onevault-demo"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("reach the vault: %w", err)
	}
	return &vault{conn}, nil
}

func (v *vault) close(ctx context.Context) { _ = v.conn.Close(ctx) }

func (v *vault) now(ctx context.Context) (time.Time, error) {
	var now time.Time
	err := v.conn.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now)
	return now, err
}

// condition is what the current version of the definition says.
type condition struct {
	name       string
	threshold  float64
	window     int  // suppression_window_minutes, of the version that is not the demo's
	suppressed bool // a firing within the next minutes would be
	lifted     bool // the demo's own version is the current one
}

func (v *vault) condition(ctx context.Context) (condition, error) {
	var c condition
	var enabled, resolves bool
	err := v.conn.QueryRow(ctx, sqlCondition, Definition, recordSource).
		Scan(&c.name, &c.threshold, &enabled, &resolves, &c.window, &c.suppressed, &c.lifted)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return c, fmt.Errorf("the vault has no definition %s", Definition)
	case err != nil:
		return c, fmt.Errorf("read definition %s: %w", Definition, err)
	case !enabled:
		return c, fmt.Errorf("definition %s is disabled; the demo needs it", Definition)
	case !resolves:
		return c, fmt.Errorf("definition %s has auto_resolve = false; the demo would wait for ever", Definition)
	case c.threshold < 20 || c.threshold > 85:
		return c, fmt.Errorf("definition %s has the threshold %g; the demo needs one from 20 to 85", Definition, c.threshold)
	}
	return c, nil
}

func (v *vault) liftSuppression(ctx context.Context) error {
	if _, err := v.conn.Exec(ctx, sqlLiftSuppression, Definition, recordSource); err != nil {
		return fmt.Errorf("put a version of %s without suppression: %w", Definition, err)
	}
	return nil
}

func (v *vault) restoreSuppression(ctx context.Context) error {
	if _, err := v.conn.Exec(ctx, sqlRestoreSuppression, Definition, recordSource); err != nil {
		return fmt.Errorf("put the version of %s before the demo: %w", Definition, err)
	}
	return nil
}

// usage is how many of the slots for ordinary clients are taken.
type usage struct{ taken, slots int }

func (u usage) percent() float64 {
	if u.slots == 0 {
		return 0
	}
	return 100 * float64(u.taken) / float64(u.slots)
}

// missing is how many connections are wanting to a percentage.
func (u usage) missing(percent float64) int {
	return max(0, int(math.Ceil(percent/100*float64(u.slots)))-u.taken)
}

func (v *vault) usage(ctx context.Context) (usage, error) {
	var u usage
	if err := v.conn.QueryRow(ctx, sqlUsage).Scan(&u.taken, &u.slots); err != nil {
		return u, fmt.Errorf("count connections: %w", err)
	}
	return u, nil
}

type evaluation struct {
	at       time.Time
	value    float64
	decision string
}

// firstTrue is the first evaluation since then that found the condition true.
func (v *vault) firstTrue(ctx context.Context, since time.Time) (evaluation, bool, error) {
	var e evaluation
	err := v.conn.QueryRow(ctx, sqlFirstTrue, Definition, since).Scan(&e.at, &e.value, &e.decision)
	return e, err == nil, err
}

// alertState is the current version of an alert.
type alertState struct {
	key         []byte
	businessKey string
	shortID     string
	workflowID  string
	status      string
	opened      time.Time
	changed     time.Time
	resolvedBy  string
	suppression string
}

// unresolved is the short id of the definition's alert that is not resolved; empty when there is none.
func (v *vault) unresolved(ctx context.Context) (string, error) {
	var id string
	err := v.conn.QueryRow(ctx, sqlUnresolved, Definition).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// alertSince is the definition's first alert that was triggered since then.
func (v *vault) alertSince(ctx context.Context, since time.Time) (alertState, bool, error) {
	a, err := v.readAlert(ctx, sqlAlert+` AND s.triggered_timestamp >= $2 ORDER BY s.triggered_timestamp LIMIT 1`, Definition, since)
	return a, err == nil, err
}

func (v *vault) alert(ctx context.Context, key []byte) (alertState, error) {
	return v.readAlert(ctx, sqlAlert+` AND h.alert_instance_hk = $2`, Definition, key)
}

func (v *vault) readAlert(ctx context.Context, sql string, args ...any) (alertState, error) {
	var a alertState
	err := v.conn.QueryRow(ctx, sql, args...).Scan(&a.key, &a.businessKey, &a.shortID, &a.workflowID, &a.status,
		&a.opened, &a.changed, &a.resolvedBy, &a.suppression)
	return a, err
}

type delivery struct{ proof string }

// delivered looks for an entry of the ledger for an alert, a channel type and an event that says that the provider
// took the message: DELIVERED, or SENT where a receipt is still awaited.
func (v *vault) delivered(ctx context.Context, alert []byte, channel, event string) (delivery, bool, error) {
	var d delivery
	err := v.conn.QueryRow(ctx, sqlDelivered, alert, channel, event).Scan(&d.proof)
	return d, err == nil, err
}
