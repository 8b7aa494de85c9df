-- check: suspicious_sessions
-- kind: WINDOW
-- event: SUSPICIOUS_STATEMENT
-- description: Statements under way at the moment of the look that reach out of the database, read password hashes, or look like an injection
-- needs: pg_read_all_stats
-- Constants are taken out before the text leaves the server. Letters in brackets: see dangerous_statements.
SELECT 'SUSPICIOUS_STATEMENT', min(pattern.severity), format('%s %s %s', a.usename, pattern.what, coalesce(host(a.client_addr), 'local')),
       clock_timestamp(), a.usename::text, a.client_addr, min(a.datname::text), NULL::text[],
       jsonb_build_object('what', pattern.what, 'application', left(min(a.application_name), 100),
           'statement', left(min(regexp_replace(regexp_replace(a.query, '\$[A-Za-z_0-9]*\$.*$', '$$***'), '''[^'']*(''|$)', '''***''', 'g')), 1000)),
       min(pattern.likelihood),
       ARRAY[format('Look at the session: SELECT * FROM pg_stat_activity WHERE pid = %s; end it: SELECT pg_terminate_backend(%s)', min(a.pid), min(a.pid)),
             'See in the server''s log what else this role did from this address'], NULL::numeric
  FROM pg_stat_activity a
 CROSS JOIN LATERAL (
           SELECT p.*
             FROM (VALUES
                 (1, '\mcopy\M.*\m(to|from)\s+progra[m]\M', 'runs a program on the server', 'HIGH', 20.0),
                 (2, '\m(pg_read_(binary_)?fil[e]|pg_ls_di[r]|l[o]_(im|ex)port)\M', 'reads or writes files of the server', 'HIGH', 40.0),
                 (3, '\m(pg_authi[d]|pg_shado[w])\M', 'reads the hashes of passwords', 'MEDIUM', 60.0),
                 (4, '\malter\s+syste[m]\M', 'changes settings of the whole server', 'MEDIUM', 60.0),
                 (5, '(\mor\M\s+''?1''?\s*=\s*''?[1]|\munio[n]\s+(all\s+)?select\s+nul[l]\M|\mpg_slee[p]\s*\(\s*[1-9][0-9])', 'looks like an injection', 'HIGH', 60.0)
             ) AS p (rank, regex, what, severity, likelihood)
            WHERE a.query ~* p.regex
            ORDER BY p.rank
            LIMIT 1) AS pattern
 WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() AND a.state <> 'idle'
 GROUP BY a.usename, pattern.what, a.client_addr
