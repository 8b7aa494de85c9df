package migrations_test

import (
	"testing"

	"onevault/pgserver/pgtest"
)

// psql's \d+ is the manual of the schema: what has no comment is not in it.
func TestComments_EverythingInTheSchemaIsDescribed(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for _, name := range values[string](t, db, `
		SELECT CASE c.relkind WHEN 'v' THEN 'view ' ELSE 'table ' END || c.relname
		  FROM pg_class c
		 WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
		   AND obj_description(c.oid, 'pg_class') IS NULL
		UNION ALL
		SELECT 'column ' || c.relname || '.' || a.attname
		  FROM pg_class c
		  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		 WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
		   AND col_description(c.oid, a.attnum) IS NULL
		UNION ALL
		SELECT 'function ' || p.oid::regprocedure
		  FROM pg_proc p
		 WHERE p.pronamespace = 'monitoring'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL
		UNION ALL
		SELECT 'function ' || p.oid::regprocedure || ' ($n: an argument without a name)'
		  FROM pg_proc p
		 WHERE p.pronamespace = 'monitoring'::regnamespace AND p.pronargs > 0
		   AND (p.proargnames IS NULL OR '' = ANY (p.proargnames[1:p.pronargs]))
		UNION ALL
		SELECT 'sequence or type ' || t.typname
		  FROM pg_type t
		 WHERE t.typnamespace = 'monitoring'::regnamespace AND t.typtype IN ('e', 'd') AND obj_description(t.oid, 'pg_type') IS NULL
		UNION ALL
		SELECT 'schema monitoring' WHERE obj_description('monitoring'::regnamespace, 'pg_namespace') IS NULL
		ORDER BY 1`) {
		t.Errorf("without COMMENT: %s", name)
	}
}
