-- Why a check cannot look here, or NULL. $1: tables that it reads, as name or schema.name; $2: columns, as
-- table:column; $3: functions that it calls; $4: predefined roles that it needs; $5, $6: the versions of PostgreSQL
-- that have what it reads. The catalog is read and no name is looked up: a schema that is closed is no error.
SELECT coalesce(
    (SELECT format('PostgreSQL %s does not have what this check reads; %s to %s do', v.major, $5::integer, $6::integer)
       FROM (SELECT current_setting('server_version_num')::integer / 10000 AS major) AS v
      WHERE v.major < $5::integer OR v.major > $6::integer),
    (SELECT CASE wanted.name WHEN 'pg_stat_statements' THEN 'the extension pg_stat_statements is not created in this database: CREATE EXTENSION pg_stat_statements'
                             ELSE format('%s does not exist in this database', wanted.name) END
       FROM unnest($1::text[]) AS wanted (name)
      WHERE NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                         WHERE wanted.name IN (c.relname::text, n.nspname || '.' || c.relname))
      LIMIT 1),
    (SELECT format('%s lacks %s', split_part(wanted.name, ':', 1), string_agg(split_part(wanted.name, ':', 2), ', '))
       FROM unnest($2::text[]) AS wanted (name)
      WHERE NOT EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                         WHERE NOT a.attisdropped AND wanted.name = n.nspname || '.' || c.relname || ':' || a.attname)
      GROUP BY split_part(wanted.name, ':', 1)
      LIMIT 1),
    (SELECT format('role %1$s is no member of %2$s: GRANT %3$s TO %1$s', quote_ident(current_user), wanted.name,
                   CASE WHEN wanted.name IN ('pg_read_all_stats', 'pg_read_all_settings') THEN 'pg_monitor' ELSE wanted.name END)
       FROM unnest($4::text[]) AS wanted (name)
      WHERE NOT pg_has_role(wanted.name, 'USAGE')
      LIMIT 1),
    (SELECT format('role %1$s may not read %2$s: GRANT %3$sSELECT ON %2$s TO %1$s', quote_ident(current_user), wanted.name,
                   CASE WHEN has_schema_privilege(n.oid, 'USAGE') THEN '' ELSE format('USAGE ON SCHEMA %I TO %I; GRANT ', n.nspname, current_user) END)
       FROM unnest($1::text[]) AS wanted (name)
       JOIN pg_class c ON true
       JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE wanted.name IN (c.relname::text, n.nspname || '.' || c.relname)
        AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT'))
      LIMIT 1),
    (SELECT format('role %1$s may not call %2$s: GRANT EXECUTE ON FUNCTION %2$s TO %1$s', quote_ident(current_user), wanted.name)
       FROM unnest($3::text[]) AS wanted (name)
      WHERE NOT has_function_privilege(wanted.name, 'EXECUTE')
      LIMIT 1))
