-- Security events that SQL alone can see, and the guide's detect_security_events. Each check is a function
-- monitoring.security_<name>() of the list monitoring.security_check: a new one is a function and a row.
-- Patterns are written with bracketed letters (progra[m]) and described in other words, so that neither
-- this text nor its comments are found by them: the server counts the statements that put it, too.

-- ---------------------------------------------------------------- the checks

CREATE OR REPLACE FUNCTION monitoring.failed_logins(p_at timestamptz)
    RETURNS TABLE (users bigint, last_failure timestamptz, names text[])
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    IF (SELECT count(*) FROM pg_attribute a
         WHERE a.attrelid = to_regclass('auth.user_auth_s') AND NOT a.attisdropped
           AND a.attname IN ('failed_login_attempts', 'last_failed_login', 'load_end_date', 'username')) < 4 THEN
        RAISE EXCEPTION 'auth.user_auth_s lacks failed_login_attempts, last_failed_login, load_end_date or username' USING ERRCODE = '0A000';
    END IF;
    RETURN QUERY
    SELECT count(*), max(u.last_failed_login), (array_agg(u.username::text ORDER BY u.failed_login_attempts DESC, u.username))[1:20]
      FROM auth.user_auth_s u
     WHERE u.failed_login_attempts > 5
       AND u.last_failed_login > p_at - interval '1 hour' AND u.last_failed_login <= p_at
       AND u.load_end_date IS NULL;
END
$$;
COMMENT ON FUNCTION monitoring.failed_logins(timestamptz) IS
    'Users of the application with more than 5 failed log-ins, the last within the hour before a moment; raises 0A000 where Phase 1 does not record them.';

CREATE OR REPLACE FUNCTION monitoring.security_failed_logins(p_at timestamptz) RETURNS SETOF monitoring.security_finding
    LANGUAGE sql STABLE
    AS $$
    SELECT 'EXCESSIVE_FAILED_LOGINS', 'HIGH', 'auth.user_auth_s', f.last_failure, NULL::varchar, NULL::inet, current_database()::varchar,
           ARRAY['auth.user_auth_s'],
           jsonb_build_object('failed_login_count', f.users, 'threshold', 10, 'most_failures', f.names, 'last_failure', f.last_failure),
           30.0, ARRAY['See from where the log-ins come; block the address at the proxy or firewall',
                       'Lock the accounts and have their owners choose new passwords'], NULL::numeric
      FROM monitoring.failed_logins(p_at) AS f
     WHERE f.users > 10
    $$;
COMMENT ON FUNCTION monitoring.security_failed_logins(timestamptz) IS
    'Check: more than 10 users of the application failed to log in more than 5 times each, the last time within the hour.';

CREATE OR REPLACE FUNCTION monitoring.security_superuser_roles(p_at timestamptz) RETURNS SETOF monitoring.security_finding
    LANGUAGE sql STABLE
    AS $$
    WITH RECURSIVE reach AS (
        SELECT r.oid AS role, r.oid AS through FROM pg_roles r
        UNION
        -- From PostgreSQL 16 on a membership may come without the right to take on the role.
        SELECT reach.role, m.roleid
          FROM reach
          JOIN pg_auth_members m ON m.member = reach.through
         WHERE to_jsonb(m) ->> 'set_option' IS DISTINCT FROM 'false'
    )
    SELECT 'SUPERUSER_ROLE', 'HIGH', who.rolname::text, NULL::timestamptz, who.rolname::varchar, NULL::inet, NULL::varchar, NULL::text[],
           jsonb_build_object('role', who.rolname, 'superuser', who.rolsuper, 'can_log_in', who.rolcanlogin,
               'through', coalesce(jsonb_agg(super.rolname ORDER BY super.rolname) FILTER (WHERE super.oid <> who.oid), '[]')),
           40.0,
           ARRAY[CASE WHEN who.rolsuper THEN format('If nobody approved it: ALTER ROLE %I NOSUPERUSER', who.rolname)
                      ELSE format('If nobody approved it: REVOKE %I FROM %I', min(super.rolname::text), who.rolname) END,
                 'See in the server''s log who granted it'], NULL::numeric
      FROM reach
      JOIN pg_roles super ON super.oid = reach.through AND super.rolsuper
      JOIN pg_roles who ON who.oid = reach.role
     WHERE who.oid <> 10  -- the role that the server was made with
     GROUP BY who.oid, who.rolname, who.rolsuper, who.rolcanlogin
    $$;
COMMENT ON FUNCTION monitoring.security_superuser_roles(timestamptz) IS
    'Check: roles other than the server''s first that are superusers, or can become one through memberships.';

CREATE OR REPLACE FUNCTION monitoring.security_public_create(p_at timestamptz) RETURNS SETOF monitoring.security_finding
    LANGUAGE sql STABLE
    AS $$
    SELECT 'PUBLIC_CREATE_GRANT', 'MEDIUM', n.nspname::text, NULL::timestamptz, NULL::varchar, NULL::inet, current_database()::varchar, NULL::text[],
           jsonb_build_object('schema', n.nspname, 'owner', pg_get_userbyid(n.nspowner)), 20.0,
           ARRAY[format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', n.nspname),
                 format('Look for functions and operators in %I that shadow those of pg_catalog', n.nspname)], NULL::numeric
      FROM pg_namespace n
     WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND EXISTS (SELECT FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS a
                    WHERE a.grantee = 0 AND a.privilege_type = 'CREATE')
    $$;
COMMENT ON FUNCTION monitoring.security_public_create(timestamptz) IS
    'Check: schemas in which everybody may create objects, and so put their own in the way of others'' calls.';

CREATE OR REPLACE FUNCTION monitoring.security_open_definers(p_at timestamptz) RETURNS SETOF monitoring.security_finding
    LANGUAGE sql STABLE
    AS $$
    SELECT 'SECURITY_DEFINER_WITHOUT_SEARCH_PATH',
           CASE WHEN r.rolsuper AND everybody.may THEN 'HIGH' WHEN everybody.may THEN 'MEDIUM' ELSE 'LOW' END,
           p.oid::regprocedure::text, NULL::timestamptz, r.rolname::varchar, NULL::inet, current_database()::varchar, NULL::text[],
           jsonb_build_object('function', p.oid::regprocedure::text, 'owner', r.rolname, 'owner_is_superuser', r.rolsuper,
                              'public_may_call', everybody.may), 25.0,
           ARRAY[format('ALTER ROUTINE %s SET search_path = pg_catalog, %I, pg_temp', p.oid::regprocedure, n.nspname),
                 format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', p.oid::regprocedure)], NULL::numeric
      FROM pg_proc p
      JOIN pg_namespace n ON n.oid = p.pronamespace
      JOIN pg_roles r ON r.oid = p.proowner,
           LATERAL (SELECT EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
                                    WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE') AS may) AS everybody
     WHERE p.prosecdef
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c LIKE 'search_path=%')
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    $$;
COMMENT ON FUNCTION monitoring.security_open_definers(timestamptz) IS
    'Check: routines that run with their owner''s rights and resolve names by the caller''s search_path; those of extensions are left out.';

CREATE OR REPLACE FUNCTION monitoring.security_dangerous_statements(p_at timestamptz) RETURNS SETOF monitoring.security_finding
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    IF to_regclass('pg_stat_statements') IS NULL THEN
        RAISE EXCEPTION 'the extension pg_stat_statements is not created in this database' USING ERRCODE = '0A000';
    END IF;
    IF NOT pg_has_role('pg_read_all_stats', 'USAGE') THEN
        RAISE EXCEPTION 'role % may not read the statements of others: GRANT pg_monitor', current_user USING ERRCODE = '0A000';
    END IF;
    RETURN QUERY
    SELECT 'DANGEROUS_STATEMENT'::varchar(100), pattern.severity::varchar(20),
           format('%s %s %s', coalesce(r.rolname::text, s.userid::text), coalesce(d.datname::text, s.dbid::text), s.queryid),
           NULL::timestamptz, r.rolname::varchar(100), NULL::inet, d.datname::varchar(100), NULL::text[],
           jsonb_build_object('what', pattern.what, 'statement', left(monitoring.redact_statement(s.query), 1000), 'query_hash', s.queryid::text),
           pattern.likelihood::numeric(5,2),
           ARRAY[pattern.remedy, 'Find who ran it: pg_stat_statements keeps no time and no address, the server''s log does'], s.calls::numeric
      FROM pg_stat_statements s
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
     WHERE s.queryid IS NOT NULL;
END
$$;
COMMENT ON FUNCTION monitoring.security_dangerous_statements(timestamptz) IS
    'Check: statements that reach out of the database (programs, files, other servers), read password hashes or change the server; every statement since the statistics began is seen, but not when and from where.';

DELETE FROM monitoring.security_check;
INSERT INTO monitoring.security_check (check_name, kind, description) VALUES
    ('failed_logins', 'WINDOW', 'Many users of the application fail to log in'),
    ('superuser_roles', 'STATE', 'Roles that are superusers or can become one'),
    ('public_create', 'STATE', 'Schemas in which everybody may create objects'),
    ('open_definers', 'STATE', 'SECURITY DEFINER routines without a search_path of their own'),
    ('dangerous_statements', 'COUNT', 'Statements that reach out of the database, or at its passwords and settings');

-- ---------------------------------------------------------------- from findings to events

CREATE OR REPLACE FUNCTION monitoring.security_event_key(p_target text, p_check text, p_object text, p_window timestamptz) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT util.bk(p_target, 'SECURITY', p_check,
                   -- An object's name may be longer than a key, and may differ in case alone.
                   left(p_object, 40) || '#' || left(encode(sha256(convert_to(p_object, 'UTF8')), 'hex'), 16),
                   to_char(p_window AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISSUS'))
    $$;
COMMENT ON FUNCTION monitoring.security_event_key(text, text, text, timestamptz) IS
    'The business key of a security event: check, object and the beginning of its window, so that finding it again makes no second event.';

CREATE OR REPLACE FUNCTION monitoring.put_security_event(
    p_target text, p_check text, p_window timestamptz, p_at timestamptz, p_finding monitoring.security_finding, p_reopen boolean) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_bk      text := monitoring.security_event_key(p_target, p_check, p_finding.object, p_window);
    v_hk      bytea := util.hash_binary(v_bk);
    v_current monitoring.security_event_s;
    v_written integer;
BEGIN
    INSERT INTO monitoring.security_event_h (security_event_hk, security_event_bk, record_source, target_name)
    VALUES (v_hk, v_bk, 'SECURITY_DETECTOR', p_target)
    ON CONFLICT DO NOTHING;
    SELECT * INTO v_current FROM monitoring.security_event_s s WHERE s.security_event_hk = v_hk AND s.load_end_date IS NULL FOR UPDATE;
    IF v_current.event_details = p_finding.details AND v_current.event_severity = p_finding.severity THEN
        RETURN 0;  -- nothing new; what people wrote on it stays
    END IF;
    INSERT INTO monitoring.security_event_s (
        security_event_hk, hash_diff, event_type, event_severity, event_timestamp, source_ip, username, database_name, affected_tables,
        event_details, detection_method, false_positive_likelihood, investigation_status, incident_response_triggered,
        mitigation_actions, investigation_notes, record_source)
    VALUES (
        v_hk, '\x', p_finding.event_type, p_finding.severity, p_at, p_finding.source_ip, p_finding.username, p_finding.database_name,
        p_finding.affected_tables, p_finding.details, 'AUTOMATED_DETECTION:' || p_check, p_finding.false_positive_likelihood,
        CASE WHEN v_current.investigation_status = 'RESOLVED' AND p_reopen THEN 'OPEN' ELSE coalesce(v_current.investigation_status, 'OPEN') END,
        coalesce(v_current.incident_response_triggered, false), p_finding.mitigation_actions, v_current.investigation_notes, 'SECURITY_DETECTOR');
    GET DIAGNOSTICS v_written = ROW_COUNT;
    RETURN v_written;
END
$$;
COMMENT ON FUNCTION monitoring.put_security_event(text, text, timestamptz, timestamptz, monitoring.security_finding, boolean) IS
    'Writes a finding as an event, or as a new version of it when its evidence or severity changed; how far people investigated it is kept. p_reopen: a RESOLVED one is OPEN again. Returns how many rows it wrote.';

CREATE OR REPLACE FUNCTION monitoring.put_security_findings(
    p_target text, p_check text, p_kind text, p_at timestamptz, p_findings monitoring.security_finding[]) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_first   boolean;
    v_finding monitoring.security_finding;
    v_seen    monitoring.security_seen;
    v_new     numeric;
    v_written integer := 0;
BEGIN
    v_first := NOT EXISTS (SELECT FROM monitoring.security_seen s WHERE s.target_name = p_target AND s.check_name = p_check AND s.object = '');
    INSERT INTO monitoring.security_seen (target_name, check_name, object, first_seen) VALUES (p_target, p_check, '', p_at) ON CONFLICT DO NOTHING;

    FOREACH v_finding IN ARRAY p_findings LOOP
        IF p_kind = 'WINDOW' THEN
            v_written := v_written + monitoring.put_security_event(p_target, p_check,
                date_trunc('hour', v_finding.happened_at, 'UTC'), v_finding.happened_at, v_finding, true);
            CONTINUE;
        END IF;

        SELECT * INTO v_seen FROM monitoring.security_seen s
         WHERE s.target_name = p_target AND s.check_name = p_check AND s.object = v_finding.object;
        INSERT INTO monitoring.security_seen (target_name, check_name, object, measure, first_seen)
        VALUES (p_target, p_check, v_finding.object, v_finding.measure, p_at)
        ON CONFLICT (target_name, check_name, object) DO UPDATE SET measure = excluded.measure
         WHERE security_seen.measure IS DISTINCT FROM excluded.measure;

        -- What stood there before anybody looked did not happen now: it is told, and wakes nobody.
        IF v_first OR v_seen.first_seen = (SELECT s.first_seen FROM monitoring.security_seen s
                                            WHERE s.target_name = p_target AND s.check_name = p_check AND s.object = '') AND p_kind = 'STATE' THEN
            v_finding.severity := CASE WHEN v_finding.severity IN ('HIGH', 'CRITICAL') THEN 'MEDIUM' ELSE v_finding.severity END;
            v_finding.details := v_finding.details || jsonb_build_object('before_first_look', true);
        END IF;

        IF p_kind = 'STATE' THEN
            v_written := v_written + monitoring.put_security_event(p_target, p_check,
                coalesce(v_seen.first_seen, p_at), coalesce(v_seen.first_seen, p_at), v_finding, false);
        ELSIF v_finding.measure IS DISTINCT FROM v_seen.measure THEN
            -- A counter that is lower than before began anew: all that it shows came since.
            v_new := v_finding.measure - CASE WHEN v_finding.measure > v_seen.measure THEN v_seen.measure ELSE 0 END;
            v_finding.details := v_finding.details || jsonb_build_object('calls', v_finding.measure, 'new_calls', v_new);
            v_written := v_written + monitoring.put_security_event(p_target, p_check, date_trunc('hour', p_at, 'UTC'), p_at, v_finding, true);
        END IF;
    END LOOP;

    IF p_kind = 'STATE' THEN
        -- What is gone is settled, whoever settled it; should it come back, that is another event.
        INSERT INTO monitoring.security_event_s
        SELECT (jsonb_populate_record(e, jsonb_build_object('load_date', NULL, 'investigation_status', 'RESOLVED', 'investigation_notes',
                   concat_ws(E'\n', e.investigation_notes, format('no longer found at %s', to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')))))).*
          FROM monitoring.security_seen s
          JOIN monitoring.security_event_s e
            ON e.security_event_hk = util.hash_binary(monitoring.security_event_key(p_target, p_check, s.object, s.first_seen))
           AND e.load_end_date IS NULL AND e.investigation_status IN ('OPEN', 'INVESTIGATING')
         WHERE s.target_name = p_target AND s.check_name = p_check AND s.object <> ''
           AND NOT EXISTS (SELECT FROM unnest(p_findings) AS f WHERE f.object = s.object);
    END IF;
    DELETE FROM monitoring.security_seen s
     WHERE s.target_name = p_target AND s.check_name = p_check AND s.object <> '' AND p_kind <> 'WINDOW'
       AND NOT EXISTS (SELECT FROM unnest(p_findings) AS f WHERE f.object = s.object);
    RETURN v_written;
END
$$;
COMMENT ON FUNCTION monitoring.put_security_findings(text, text, text, timestamptz, monitoring.security_finding[]) IS
    'Turns what one check found into events, by the kind of the check: see monitoring.security_check.kind. Returns how many versions it wrote.';

CREATE OR REPLACE FUNCTION monitoring.count_suspicious_queries() RETURNS integer
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    RETURN (SELECT count(*) FROM pg_stat_statements(false) s WHERE s.mean_exec_time > 10000 AND s.calls > 1);
EXCEPTION WHEN undefined_function OR object_not_in_prerequisite_state OR insufficient_privilege THEN
    RETURN 0;  -- the check dangerous_statements says that the statements cannot be read
END
$$;
COMMENT ON FUNCTION monitoring.count_suspicious_queries() IS
    'As the guide counts them: statements that ran more than once and took over 10 s on average.';

CREATE OR REPLACE FUNCTION monitoring.detect_known_security_events(p_target text DEFAULT 'local')
    RETURNS TABLE (event_type varchar(100), event_count integer, severity varchar(20))
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    v_started  timestamptz := clock_timestamp();
    v_at       timestamptz := date_trunc('microseconds', v_started);
    v_check    record;
    v_findings monitoring.security_finding[];
    v_found    integer := 0;
    v_written  integer := 0;
    v_skipped  jsonb := '{}';
    v_failed   jsonb := '{}';
    v_logins   bigint := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('onevault.security/' || p_target, 0));
    FOR v_check IN SELECT c.check_name, c.kind FROM monitoring.security_check c ORDER BY c.check_name LOOP
        BEGIN
            EXECUTE format('SELECT coalesce(array_agg(f), ''{}'') FROM monitoring.%I($1) AS f', 'security_' || v_check.check_name)
               INTO v_findings USING v_at;
            v_written := v_written + monitoring.put_security_findings(p_target, v_check.check_name, v_check.kind, v_at, v_findings);
            v_found := v_found + cardinality(v_findings);
        EXCEPTION
            WHEN feature_not_supported THEN
                v_skipped := v_skipped || jsonb_build_object(v_check.check_name, SQLERRM);
            WHEN OTHERS THEN
                -- One check that fails hides nothing that the others find.
                v_failed := v_failed || jsonb_build_object(v_check.check_name, SQLERRM);
        END;
    END LOOP;
    BEGIN
        v_logins := (SELECT f.users FROM monitoring.failed_logins(v_at) AS f);
    EXCEPTION WHEN OTHERS THEN
        v_logins := 0;  -- said above, by the check of the same name
    END;
    INSERT INTO monitoring.security_detection (target_name, detected_at, detector, findings, new_events, skipped, failed, duration_ms)
    VALUES (p_target, v_at, 'monitoring.detect_known_security_events', v_found, v_written, v_skipped, v_failed,
            extract(epoch FROM clock_timestamp() - v_started) * 1000);

    RETURN QUERY SELECT 'FAILED_LOGINS'::varchar(100), v_logins::integer, 'HIGH'::varchar(20) WHERE v_logins > 0;
    RETURN QUERY SELECT 'SUSPICIOUS_QUERIES'::varchar(100), n, 'MEDIUM'::varchar(20) FROM monitoring.count_suspicious_queries() AS n WHERE n > 0;
    RETURN QUERY
        SELECT e.event_type, count(*)::integer,
               (ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'])[min(array_position(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], e.event_severity::text))]::varchar(20)
          FROM monitoring.security_event_s e
          JOIN monitoring.security_event_h h USING (security_event_hk)
          LEFT JOIN monitoring.security_check c ON e.detection_method = 'AUTOMATED_DETECTION:' || c.check_name
         WHERE e.load_end_date IS NULL AND h.target_name = p_target
           AND e.investigation_status IN ('OPEN', 'INVESTIGATING')
           AND (c.kind = 'STATE' OR e.event_timestamp > v_at - interval '1 hour')
         GROUP BY e.event_type
         ORDER BY e.event_type;
END
$$;
COMMENT ON FUNCTION monitoring.detect_known_security_events(text) IS
    'Runs every check of monitoring.security_check, records what appeared or changed as security events, and the run itself. Returns, per kind, the guide''s counts and the events that are not settled: those that last, and those of the last hour.';

CREATE OR REPLACE FUNCTION monitoring.detect_security_events()
    RETURNS TABLE (event_type varchar(100), event_count integer, severity varchar(20))
    LANGUAGE sql
    AS $$
    SELECT * FROM monitoring.detect_known_security_events('local')
    $$;
COMMENT ON FUNCTION monitoring.detect_security_events() IS
    'Looks for security events on this server now. May be replaced by a function of your own: the worker then calls both, and `onevault doctor` says so.';
