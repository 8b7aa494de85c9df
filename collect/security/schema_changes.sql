-- check: schema_changes
-- kind: CHANGE
-- event: SCHEMA_CHANGED
-- description: Tables, views, routines, extensions and event triggers that came, went or changed, and which part of them
-- A short hash for each part of each object; partitions follow their table and are left out. Of more than
-- 15000 objects only a hash for each schema is kept.
WITH relation AS MATERIALIZED (
    SELECT c.oid, n.nspname::text AS schema,
           format('%s %I.%I', CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'table' END, n.nspname, c.relname) AS object,
           c.relowner, CASE WHEN c.relforcerowsecurity THEN 'forced' WHEN c.relrowsecurity THEN 'on' ELSE 'off' END AS row_security, array_to_string(c.reloptions, ',') AS options
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND c.relpersistence <> 't'
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
),
part AS (
    SELECT a.attrelid AS oid, 'columns' AS name,
           left(md5(string_agg(concat_ws(' ', a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attgenerated, a.attidentity, md5(d.adbin::text)), ',' ORDER BY a.attnum)), 12) AS hash
      FROM relation r
      JOIN pg_attribute a ON a.attrelid = r.oid
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attnum > 0 AND NOT a.attisdropped
     GROUP BY a.attrelid
    UNION ALL
    SELECT k.conrelid, 'constraints', left(md5(string_agg(concat_ws(' ', k.conname, k.contype, k.convalidated, k.conkey, k.confrelid, k.confkey, md5(k.conbin::text)), ',' ORDER BY k.conname)), 12)
      FROM pg_constraint k
     WHERE k.conrelid <> 0
     GROUP BY k.conrelid
    UNION ALL
    SELECT i.indrelid, 'indexes', left(md5(string_agg(concat_ws(' ', c.relname, i.indisunique, i.indkey, i.indclass, md5(i.indexprs::text), md5(i.indpred::text)), ',' ORDER BY c.relname)), 12)
      FROM relation r
      JOIN pg_index i ON i.indrelid = r.oid
      JOIN pg_class c ON c.oid = i.indexrelid
     GROUP BY i.indrelid
    UNION ALL
    SELECT g.tgrelid, 'triggers', left(md5(string_agg(concat_ws(' ', g.tgname, g.tgfoid, g.tgtype, g.tgenabled, md5(g.tgqual::text)), ',' ORDER BY g.tgname)), 12)
      FROM pg_trigger g
     WHERE NOT g.tgisinternal
     GROUP BY g.tgrelid
    UNION ALL
    SELECT p.polrelid, 'policies', left(md5(string_agg(concat_ws(' ', p.polname, p.polcmd, p.polpermissive, p.polroles, md5(p.polqual::text), md5(p.polwithcheck::text)), ',' ORDER BY p.polname)), 12)
      FROM pg_policy p
     GROUP BY p.polrelid
    UNION ALL
    SELECT w.ev_class, 'rules', left(md5(string_agg(concat_ws(' ', w.rulename, w.ev_type, w.ev_enabled, md5(w.ev_action::text)), ',' ORDER BY w.rulename)), 12)
      FROM relation r
      JOIN pg_rewrite w ON w.ev_class = r.oid
     GROUP BY w.ev_class
),
parts AS (
    SELECT p.oid, jsonb_object_agg(p.name, p.hash) AS hashes FROM part p GROUP BY p.oid
),
found AS (
    SELECT r.schema, r.object,
           jsonb_build_object('owner', pg_get_userbyid(r.relowner), 'row_security', r.row_security, 'options', r.options) || coalesce(p.hashes, '{}') AS state
      FROM relation r
      LEFT JOIN parts p ON p.oid = r.oid
    UNION ALL
    SELECT n.nspname::text, 'routine ' || p.oid::regprocedure,
           jsonb_build_object('owner', pg_get_userbyid(p.proowner), 'security_definer', p.prosecdef, 'settings', array_to_string(p.proconfig, ','),
                              'body', left(md5(concat_ws(' ', p.prolang, p.provolatile, p.prosrc, p.probin, p.prosqlbody::text)), 12))
      FROM pg_proc p
      JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    UNION ALL
    SELECT 'database', format('extension %I', e.extname), jsonb_build_object('version', e.extversion, 'schema', e.extnamespace::regnamespace)
      FROM pg_extension e
    UNION ALL
    SELECT 'database', format('event trigger %I', e.evtname), jsonb_build_object('event', e.evtevent, 'calls', e.evtfoid::regproc, 'enabled', e.evtenabled <> 'D', 'tags', array_to_string(e.evttags, ','))
      FROM pg_event_trigger e
),
counted AS (
    SELECT f.*, count(*) OVER () AS objects FROM found f
)
SELECT 'SCHEMA_CHANGED', 'MEDIUM', CASE WHEN objects > 15000 THEN 'schema ' || schema ELSE object END,
       NULL::timestamptz, NULL::text, NULL::inet, current_database()::text, NULL::text[],
       jsonb_build_object('group', schema, 'state',
           CASE WHEN objects > 15000 THEN jsonb_build_object('objects', count(*), 'hash', md5(string_agg(object || state::text, ',' ORDER BY object)))
                -- One object may stand there twice only where its schema is a hash.
                ELSE (array_agg(state))[1] END),
       70.0,
       ARRAY['See in the server''s log who did it (log_statement = ''ddl''), and whether a release was due'], NULL::numeric
  FROM counted
 GROUP BY schema, CASE WHEN objects > 15000 THEN 'schema ' || schema ELSE object END, objects
