package migrations

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// publicFunctions are those that the deployment guide names. Their owners may replace them (the guide
// itself does with one), so Up leaves a replaced one as it is. The others are this build's own parts: an
// older body among newer ones would be a fault waiting, so Up puts them again with their script.
var publicFunctions = []string{
	"collect_system_health_metrics", "collect_performance_metrics", "evaluate_alert_conditions", "send_alert_notifications",
	"acknowledge_alert", "resolve_alert", "create_incident_from_alerts", "detect_security_events",
}

// replacedFunction is a function of ours whose body is not what was put.
type replacedFunction struct {
	signature  string // monitoring.detect_security_events()
	script     string
	definition string // as it is now; empty: it is gone
}

func (f replacedFunction) public() bool {
	name, _, _ := strings.Cut(strings.TrimPrefix(f.signature, "monitoring."), "(")
	return slices.Contains(publicFunctions, name)
}

// Repair puts every function of ours that was replaced or dropped again, and applies what is missing.
func Repair(ctx context.Context, databaseURL string, progress func(string)) error {
	return up(ctx, databaseURL, true, progress)
}

// replacedFunctions lists them; a vault of an earlier version remembers none.
func replacedFunctions(ctx context.Context, tx *sql.Tx) ([]replacedFunction, error) {
	var known bool
	if err := tx.QueryRowContext(ctx, "SELECT to_regprocedure('monitoring.replaced_functions()') IS NOT NULL AND to_regclass('monitoring.installed_function') IS NOT NULL").
		Scan(&known); err != nil || !known {
		return nil, err
	}
	rows, err := tx.QueryContext(ctx, `
		SELECT r.function_signature, r.script_name, coalesce(pg_get_functiondef(to_regprocedure(r.function_signature)), '')
		  FROM monitoring.replaced_functions() AS r`)
	if err != nil {
		return nil, fmt.Errorf("look for replaced functions: %w", err)
	}
	defer rows.Close()
	var list []replacedFunction
	for rows.Next() {
		var f replacedFunction
		if err := rows.Scan(&f.signature, &f.script, &f.definition); err != nil {
			return nil, fmt.Errorf("look for replaced functions: %w", err)
		}
		list = append(list, f)
	}
	return list, rows.Err()
}

// forgetScriptsOf makes the scripts of functions be put again.
func forgetScriptsOf(known map[string]string, replaced []replacedFunction) {
	for _, f := range replaced {
		delete(known, f.script)
	}
}

var makesFunction = regexp.MustCompile(`(?mi)^CREATE (?:OR REPLACE )?FUNCTION monitoring\.([a-z0-9_]+)`)

// rememberFunctions notes the functions that the scripts just made, and forgets those of scripts that
// are no more.
func rememberFunctions(ctx context.Context, tx *sql.Tx, all, put []script) error {
	for _, s := range put {
		names := []string{}
		for _, match := range makesFunction.FindAllStringSubmatch(s.text, -1) {
			names = append(names, match[1])
		}
		if _, err := tx.ExecContext(ctx, "SELECT monitoring.remember_functions($1, $2)", s.name, names); err != nil {
			return fmt.Errorf("remember the functions of %s: %w", s.name, err)
		}
	}
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = s.name
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM monitoring.installed_function WHERE script_name <> ALL ($1)", names); err != nil {
		return fmt.Errorf("forget the functions of former scripts: %w", err)
	}
	return nil
}

// settleReplaced does with each function that was replaced before the scripts were put what is due, and
// says so.
func settleReplaced(ctx context.Context, tx *sql.Tx, replaced []replacedFunction, put []script, repair bool, progress func(string)) error {
	const remedy = "; `onevault migrate repair` puts ours"
	for _, f := range replaced {
		wasPut := slices.ContainsFunc(put, func(s script) bool { return s.name == f.script })
		wanted := false
		if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM monitoring.installed_function WHERE function_signature = $1)", f.signature).
			Scan(&wanted); err != nil {
			return fmt.Errorf("look for %s: %w", f.signature, err)
		}
		switch {
		case f.definition == "" && !wanted:
			// A former version's, which a step took away.
		case !wasPut && f.definition == "":
			progress(f.signature + " is missing" + remedy)
		case !wasPut:
			progress(f.signature + " was replaced and is left so" + remedy)
		case repair || f.definition == "" || !f.public():
			progress(f.signature + " is ours again")
		default:
			if err := putBack(ctx, tx, f, progress, remedy); err != nil {
				return err
			}
		}
	}
	return nil
}

// putBack gives a function the body that its owner chose. One that fits no more is said to be lost.
func putBack(ctx context.Context, tx *sql.Tx, f replacedFunction, progress func(string), remedy string) error {
	if _, err := tx.ExecContext(ctx, "SAVEPOINT put_back"); err != nil {
		return fmt.Errorf("keep %s: %w", f.signature, err)
	}
	if _, err := tx.ExecContext(ctx, f.definition); err != nil {
		progress(fmt.Sprintf("%s was replaced, but what replaced it fits this version no more and is gone (%s); it stood there as:\n%s", f.signature, err, f.definition))
		if _, err := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT put_back"); err != nil {
			return fmt.Errorf("keep %s: %w", f.signature, err)
		}
		return nil
	}
	progress(f.signature + " was replaced and is left so" + remedy)
	return nil
}
