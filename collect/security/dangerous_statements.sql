-- check: dangerous_statements
-- kind: COUNT
-- event: DANGEROUS_STATEMENT
-- description: Statements that reach out of the database (programs, files, other servers), read password hashes or change the server; all since the statistics began are seen, but not when and from where
-- requires: pg_stat_statements
-- needs: pg_read_all_stats
-- Letters in brackets keep this text from being found by its own patterns. One pass over each text finds those
-- that any pattern may find, which are few.
WITH candidate AS MATERIALIZED (
    SELECT s.userid, s.dbid, s.queryid, s.query, s.calls
      FROM pg_stat_statements s
     WHERE s.queryid IS NOT NULL
       AND s.query ~* '(progra[m]|pg_read_|pg_ls_di[r]|l[o]_imp|l[o]_exp|pyth[o]n|plperl[u]|pltcl[u]|syste[m]|pg_authi[d]|pg_shado[w]|dblin[k])'
)
SELECT 'DANGEROUS_STATEMENT', pattern.severity,
       format('%s %s %s', coalesce(r.rolname::text, s.userid::text), coalesce(d.datname::text, s.dbid::text), s.queryid),
       NULL::timestamptz, r.rolname::text, NULL::inet, d.datname::text, NULL::text[],
       jsonb_build_object('what', pattern.what, 'statement', left(s.query, 10000), 'query_hash', s.queryid::text),
       pattern.likelihood,
       ARRAY[pattern.remedy, 'Find who ran it: pg_stat_statements keeps no time and no address, the server''s log does'], s.calls::numeric
  FROM candidate s
  LEFT JOIN pg_roles r ON r.oid = s.userid
  LEFT JOIN pg_database d ON d.oid = s.dbid
 CROSS JOIN LATERAL (
           SELECT p.*
             FROM (VALUES
                 (1, '\mcopy\M.*\m(to|from)\s+progra[m]\M', 'runs a program on the server', 'HIGH', 20.0,
                  'Only members of pg_execute_server_program and superusers can: see whether this role should be one'),
                 (2, '\m(pg_read_(binary_)?fil[e]|pg_ls_di[r])\M', 'reads files or folders of the server', 'HIGH', 40.0,
                  'Only members of pg_read_server_files, superusers and roles with EXECUTE on these functions can: see whether this role should'),
                 (3, '\ml[o]_(im|ex)port\M', 'moves a file of the server into or out of a large object', 'HIGH', 30.0,
                  'REVOKE EXECUTE on these functions; use the client''s own means'),
                 (4, '\mlanguage\s+[''"]?(plpython3?[u]|plperl[u]|pltcl[u])\M', 'makes a function in an untrusted language', 'MEDIUM', 40.0,
                  'See what the function does: it may do whatever the server''s operating system account may'),
                 (5, '\malter\s+syste[m]\M', 'changes settings of the whole server', 'MEDIUM', 60.0,
                  'Compare pg_file_settings with what was agreed'),
                 (6, '\m(pg_authi[d]|pg_shado[w])\M', 'reads the hashes of passwords', 'MEDIUM', 60.0,
                  'Backups of roles and connection poolers do so rightly; anybody else should not'),
                 (7, '\mdblin[k]', 'opens a connection from the server to elsewhere', 'LOW', 70.0,
                  'See where it leads, and whether the statement can be replaced by a foreign table')
             ) AS p (rank, regex, what, severity, likelihood, remedy)
            WHERE s.query ~* p.regex
            ORDER BY p.rank
            LIMIT 1) AS pattern
