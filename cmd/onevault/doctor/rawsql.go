package doctor

import (
	"context"
	"time"

	"onevault/vault"
)

func checkRawSQL(ctx context.Context, store *vault.Store, _ func() time.Time) ([]Finding, error) {
	r, err := store.RawSQL(ctx)
	if err != nil {
		return nil, err
	}
	return []Finding{judgeRawSQL(r)}, nil
}

// judgeRawSQL says whether conditions may rest on raw SQL, who says so, and whether those that do can be looked at.
func judgeRawSQL(r vault.RawSQL) Finding {
	const check = "raw SQL"
	switch {
	case !r.Allowed && len(r.Definitions) > 0:
		return fail(check, "as a member of onevault_owner: SELECT monitoring.allow_raw_sql(true, 'why'); or disable these definitions",
			"conditions in SQL are switched off, and these enabled definitions rest on it: %s", several(r.Definitions))
	case !r.Allowed:
		return ok(check, "conditions in SQL are switched off")
	case !r.Sandboxed:
		return fail(check, "as a superuser: CREATE ROLE onevault_sql NOLOGIN; GRANT onevault_sql TO onevault_owner; then `onevault migrate up` as a member of onevault_owner",
			"conditions in SQL are switched on, but their sandbox does not run as onevault_sql, and so runs nothing")
	}
	return ok(check, "conditions in SQL are switched on since %s (%s); %d definitions rest on it", r.Since.Format(time.DateOnly), r.Why, len(r.Definitions))
}
