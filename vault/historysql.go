package vault

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// recordedSQL reads what the SQL of a definition had yielded at each look, by the evaluations of the time, and
// whether it had been run at all. It is never run again: the views it reads show the present.
func (h *History) recordedSQL(ctx context.Context, g grid, d DefinitionSpec) (values []string, known []bool, err error) {
	var ever bool
	if err := h.tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM monitoring.alert_definition_s v
		                 JOIN monitoring.alert_evaluation_s e ON e.alert_definition_hk = v.alert_definition_hk AND e.definition_load_date = v.load_date
		                WHERE v.alert_definition_hk = util.hash_binary($1::text) AND v.condition_sql = $2)`, d.Key, d.SQL).Scan(&ever); err != nil {
		return nil, nil, fmt.Errorf("read the history of the SQL of %s: %w", d.Key, err)
	}
	if !ever {
		return nil, nil, &NoHistoryError{d.Key, "its SQL was never run, so that nothing is recorded that it could be tried on; write it disabled or without channels, and let it run for a while"}
	}
	rows, err := h.tx.Query(ctx, statement("recorded_sql"), g.first, g.every.Seconds(), g.count, d.Key, g.in.Target, g.in.Tenant, d.SQL, float64(60*d.LookbackMinutes))
	if err != nil {
		return nil, nil, fmt.Errorf("read the history of the SQL of %s: %w", d.Key, err)
	}
	values, known = make([]string, g.count), make([]bool, g.count)
	var (
		n     int
		value string
	)
	if _, err := pgx.ForEachRow(rows, []any{&n, &value}, func() error {
		if known[n] = true; value != "null" {
			values[n] = value
		}
		return nil
	}); err != nil {
		return nil, nil, fmt.Errorf("read the history of the SQL of %s: %w", d.Key, err)
	}
	return values, known, nil
}
