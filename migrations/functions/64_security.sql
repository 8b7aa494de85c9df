-- Security events: from what the checks found to events, what people say of an event, and the guide's
-- detect_security_events. The checks are the files of collect/security, installed as
-- monitoring.security_<check>() by the script 64_security_checks: one text for this server and for targets.
-- Letters in brackets keep this text from being found by the patterns of its own checks: the server counts
-- the statements that put it, too.

-- ---------------------------------------------------------------- what the checks share

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

-- ---------------------------------------------------------------- ids

CREATE OR REPLACE FUNCTION monitoring.security_event_short_id(p_security_event_hk bytea) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT 'S-' || left(monitoring.short_code(p_security_event_hk), 4) $$;
COMMENT ON FUNCTION monitoring.security_event_short_id(bytea) IS 'What people type for a security event: S-7F3K.';

CREATE INDEX IF NOT EXISTS security_event_h_short_code
    ON monitoring.security_event_h (monitoring.short_code(security_event_hk) text_pattern_ops);

CREATE OR REPLACE FUNCTION monitoring.find_security_event(p_id text) RETURNS bytea
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_code    text := translate(upper(regexp_replace(btrim(p_id), '^[sS]-', '')), 'OIL', '011');
    v_matches bytea[];
    v_open    bytea[];
BEGIN
    IF p_id ~ '^(\\x)?[0-9a-fA-F]{64}$' THEN
        SELECT array_agg(security_event_hk) INTO v_matches FROM monitoring.security_event_h
         WHERE security_event_hk = decode(right(p_id, 64), 'hex');
    ELSIF v_code ~ '^[0-9A-HJKMNP-TV-Z]{4,8}$' THEN
        SELECT array_agg(h.security_event_hk),
               array_agg(h.security_event_hk) FILTER (WHERE s.investigation_status IN ('OPEN', 'INVESTIGATING'))
          INTO v_matches, v_open
          FROM monitoring.security_event_h h
          JOIN monitoring.security_event_s s ON s.security_event_hk = h.security_event_hk AND s.load_end_date IS NULL
         WHERE monitoring.short_code(h.security_event_hk) LIKE v_code || '%';
    ELSE
        SELECT array_agg(security_event_hk) INTO v_matches FROM monitoring.security_event_h WHERE security_event_bk = p_id;
    END IF;

    IF cardinality(v_open) = 1 THEN
        RETURN v_open[1];  -- of several with the same short id, the one that still needs somebody
    END IF;
    IF v_matches IS NULL THEN
        RAISE EXCEPTION 'no security event "%"', p_id
            USING ERRCODE = 'P0002', HINT = 'See the open ones: onevault security list, or SELECT * FROM monitoring.open_security_events.';
    END IF;
    IF cardinality(v_matches) > 1 THEN
        RAISE EXCEPTION 'security event id "%" is ambiguous: %', p_id,
            (SELECT string_agg('S-' || monitoring.short_code(m), ', ' ORDER BY m) FROM unnest(v_matches) AS m)
            USING ERRCODE = 'P0003', HINT = 'Give more of the id.';
    END IF;
    RETURN v_matches[1];
END
$$;
COMMENT ON FUNCTION monitoring.find_security_event(text) IS
    'Finds a security event by short id (S-7F3K or longer), hash key in hex, or business key; raises P0002 (none) or P0003 (several).';

CREATE OR REPLACE VIEW monitoring.open_security_events WITH (security_invoker = true) AS
    SELECT monitoring.security_event_short_id(h.security_event_hk) AS short_id, s.event_severity, s.investigation_status, h.target_name,
           s.event_type, s.username, s.source_ip, s.database_name, s.event_timestamp, s.event_details, s.mitigation_actions,
           s.false_positive_likelihood, h.security_event_hk
      FROM monitoring.security_event_h h
      JOIN monitoring.security_event_s s ON s.security_event_hk = h.security_event_hk AND s.load_end_date IS NULL
     WHERE s.investigation_status IN ('OPEN', 'INVESTIGATING')
     ORDER BY array_position(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], s.event_severity::text), s.event_timestamp DESC;
COMMENT ON VIEW monitoring.open_security_events IS 'Security events that nobody has settled, the gravest first.';

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

CREATE OR REPLACE FUNCTION monitoring.security_finding_hash(p_target text, p_check text, p_finding monitoring.security_finding) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    -- Of a change it is what changed, not only where: that one was expected does not excuse the next.
    SELECT sha256(convert_to(jsonb_build_array(p_target, p_check, p_finding.event_type, p_finding.object,
                   CASE WHEN p_finding.details ? 'changes' THEN p_finding.details -> 'changes' END)::text, 'UTF8'))
    $$;
COMMENT ON FUNCTION monitoring.security_finding_hash(text, text, monitoring.security_finding) IS
    'What was found, whenever it was: the same finding in another hour has the same hash.';

CREATE OR REPLACE FUNCTION monitoring.put_security_event(
    p_target text, p_check text, p_window timestamptz, p_at timestamptz, p_finding monitoring.security_finding, p_reopen boolean) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_bk       text := monitoring.security_event_key(p_target, p_check, p_finding.object, p_window);
    v_hk       bytea := util.hash_binary(v_bk);
    v_hash     bytea := monitoring.security_finding_hash(p_target, p_check, p_finding);
    v_current  monitoring.security_event_s;
    v_excused  text;
    v_status   text;
    v_written  integer;
BEGIN
    INSERT INTO monitoring.security_event_h (security_event_hk, security_event_bk, record_source, target_name)
    VALUES (v_hk, v_bk, 'SECURITY_DETECTOR', p_target)
    ON CONFLICT DO NOTHING;
    SELECT * INTO v_current FROM monitoring.security_event_s s WHERE s.security_event_hk = v_hk AND s.load_end_date IS NULL FOR UPDATE;
    IF v_current.event_details = p_finding.details AND v_current.event_severity = p_finding.severity AND v_current.event_type = p_finding.event_type THEN
        RETURN 0;  -- nothing new; what people wrote on it stays
    END IF;
    -- Somebody called the same finding a false positive: it is recorded all the same, and counts as one.
    SELECT monitoring.security_event_short_id(s.security_event_hk) INTO v_excused
      FROM monitoring.security_event_s s
     WHERE s.finding_hash = v_hash AND s.load_end_date IS NULL AND s.investigation_status = 'FALSE_POSITIVE' AND s.false_positive_of IS NULL
       AND s.security_event_hk <> v_hk
     ORDER BY s.load_date
     LIMIT 1;
    v_status := CASE
        WHEN v_excused IS NOT NULL AND coalesce(v_current.investigation_status, 'OPEN') IN ('OPEN', 'FALSE_POSITIVE') THEN 'FALSE_POSITIVE'
        WHEN v_current.security_event_hk IS NULL THEN 'OPEN'
        WHEN v_current.investigation_status = 'RESOLVED' AND p_reopen THEN 'OPEN'
        -- It has become something else than what was called harmless.
        WHEN v_current.investigation_status = 'FALSE_POSITIVE' AND v_current.finding_hash <> v_hash THEN 'OPEN'
        ELSE v_current.investigation_status END;
    INSERT INTO monitoring.security_event_s (
        security_event_hk, hash_diff, event_type, event_severity, event_timestamp, source_ip, username, database_name, affected_tables,
        event_details, detection_method, false_positive_likelihood, investigation_status, incident_response_triggered,
        mitigation_actions, investigation_notes, record_source, finding_hash, false_positive_of, changed_at, changed_by, changed_via)
    VALUES (
        v_hk, '\x', p_finding.event_type, p_finding.severity, p_at, p_finding.source_ip, p_finding.username, p_finding.database_name,
        p_finding.affected_tables, p_finding.details, 'AUTOMATED_DETECTION:' || p_check, p_finding.false_positive_likelihood, v_status,
        coalesce(v_current.incident_response_triggered, false), p_finding.mitigation_actions, v_current.investigation_notes, 'SECURITY_DETECTOR',
        v_hash, CASE WHEN v_status = 'FALSE_POSITIVE' THEN coalesce(v_current.false_positive_of, CASE WHEN v_current.changed_at IS NULL THEN v_excused END) END,
        v_current.changed_at, v_current.changed_by, v_current.changed_via);
    GET DIAGNOSTICS v_written = ROW_COUNT;
    RETURN v_written;
END
$$;
COMMENT ON FUNCTION monitoring.put_security_event(text, text, timestamptz, timestamptz, monitoring.security_finding, boolean) IS
    'Writes a finding as an event, or as a new version of it when its evidence, type or severity changed; how far people investigated it is kept. p_reopen: a RESOLVED one is OPEN again. The same finding as one that was called a false positive is one, too. Returns how many rows it wrote.';

CREATE OR REPLACE FUNCTION monitoring.put_security_states(
    p_target text, p_check text, p_kind text, p_at timestamptz, p_findings monitoring.security_finding[], p_looked timestamptz) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_finding monitoring.security_finding;
    v_seen    monitoring.security_seen;
    v_new     numeric;
    v_written integer := 0;
BEGIN
    FOREACH v_finding IN ARRAY p_findings LOOP
        SELECT * INTO v_seen FROM monitoring.security_seen s
         WHERE s.target_name = p_target AND s.check_name = p_check AND s.object = v_finding.object;
        INSERT INTO monitoring.security_seen (target_name, check_name, object, measure, first_seen)
        VALUES (p_target, p_check, v_finding.object, v_finding.measure, p_at)
        ON CONFLICT (target_name, check_name, object) DO UPDATE SET measure = excluded.measure
         WHERE security_seen.measure IS DISTINCT FROM excluded.measure;

        -- What stood there before anybody looked did not happen now: it is told, and wakes nobody.
        IF p_looked IS NULL OR v_seen.first_seen = p_looked AND p_kind = 'STATE' THEN
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
     WHERE s.target_name = p_target AND s.check_name = p_check AND s.object <> ''
       AND NOT EXISTS (SELECT FROM unnest(p_findings) AS f WHERE f.object = s.object);
    RETURN v_written;
END
$$;
COMMENT ON FUNCTION monitoring.put_security_states(text, text, text, timestamptz, monitoring.security_finding[], timestamptz) IS
    'Events of a STATE or COUNT check. p_looked: when the check first looked at this target, NULL: now. Returns how many versions it wrote.';

CREATE OR REPLACE FUNCTION monitoring.own_migration_since(p_target text, p_group text, p_objects text[], p_since timestamptz) RETURNS timestamptz
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    -- Only of the vault's own database, and only of what a migration of the vault makes.
    IF p_target <> 'local' OR to_regclass('public.onevault_functions') IS NULL
       OR NOT (p_group IN ('monitoring', 'monitoring_sql', 'util', 'auth', 'backup_mgmt')
               OR p_group = 'public' AND NOT EXISTS (SELECT FROM unnest(p_objects) AS o WHERE o !~ '\monevault_(functions|migrations)')) THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT max(f.put_at) FROM public.onevault_functions f WHERE f.put_at > p_since);
END
$$;
COMMENT ON FUNCTION monitoring.own_migration_since(text, text, text[], timestamptz) IS
    'When, since a moment, a migration of OneVault changed these objects of the vault; NULL: it did not. Such a change is recorded as LOW: it came with a release, and pages nobody.';

CREATE OR REPLACE FUNCTION monitoring.put_security_changes(
    p_target text, p_check text, p_at timestamptz, p_findings monitoring.security_finding[], p_looked timestamptz, p_last_look timestamptz) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_group   record;
    v_finding monitoring.security_finding;
    v_since   timestamptz;
    v_written integer := 0;
BEGIN
    IF p_looked IS NOT NULL THEN
        FOR v_group IN
            WITH found AS (
                SELECT f AS finding, f.object, f.severity, f.details AS state FROM unnest(p_findings) AS f
            ),
            known AS (
                SELECT s.object, s.state FROM monitoring.security_seen s
                 WHERE s.target_name = p_target AND s.check_name = p_check AND s.object <> ''
            ),
            differs AS (
                SELECT coalesce(n.state ->> 'group', k.state ->> 'group', n.object, k.object) AS name, coalesce(n.object, k.object) AS object,
                       n.finding, coalesce(n.severity, 'MEDIUM') AS severity,
                       CASE WHEN k.object IS NULL THEN 'appeared' WHEN n.object IS NULL THEN 'gone' ELSE 'changed' END AS how,
                       (SELECT jsonb_object_agg(part, jsonb_build_array(k.state -> 'state' -> part, n.state -> 'state' -> part))
                          FROM (SELECT jsonb_object_keys(k.state -> 'state') UNION SELECT jsonb_object_keys(n.state -> 'state')) AS parts (part)
                         WHERE k.state -> 'state' -> part IS DISTINCT FROM n.state -> 'state' -> part) AS parts
                  FROM found n
                  FULL JOIN known k ON k.object = n.object
                 WHERE n.state IS DISTINCT FROM k.state
            ),
            ranked AS (
                SELECT d.*, row_number() OVER (PARTITION BY d.name ORDER BY d.how, d.object) AS rank FROM differs d
            )
            SELECT r.name, count(*) AS objects, array_agg(r.object ORDER BY r.object) AS names,
                   (ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'])[min(array_position(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], r.severity::text))] AS severity,
                   (array_agg(r.finding ORDER BY r.rank) FILTER (WHERE r.how <> 'gone'))[1] AS example,
                   jsonb_agg(jsonb_strip_nulls(jsonb_build_object('object', r.object, 'how', r.how, 'before_and_after', r.parts)) ORDER BY r.rank)
                       FILTER (WHERE r.rank <= 50) AS changes
              FROM ranked r
             GROUP BY r.name
             ORDER BY r.name
        LOOP
            v_finding := v_group.example;
            IF v_finding.event_type IS NULL THEN  -- all of it is gone: what it was called stands with the check
                v_finding.event_type := (SELECT c.event_types[1] FROM monitoring.security_check c WHERE c.check_name = p_check);
                v_finding.false_positive_likelihood := 60;
                v_finding.mitigation_actions := ARRAY['See in the server''s log who did it, and whether it was approved'];
            END IF;
            v_since := monitoring.own_migration_since(p_target, v_group.name, v_group.names, p_last_look);
            v_finding.severity := CASE WHEN v_since IS NOT NULL THEN 'LOW' ELSE v_group.severity END;
            v_finding.object := v_group.name;
            v_finding.details := jsonb_strip_nulls(jsonb_build_object('where', v_group.name, 'objects', v_group.objects,
                                     'changes', v_group.changes, 'since', p_last_look, 'onevault_migration', v_since));
            v_written := v_written + monitoring.put_security_event(p_target, p_check, p_at, p_at, v_finding, false);
        END LOOP;
    END IF;

    INSERT INTO monitoring.security_seen (target_name, check_name, object, state, first_seen)
    SELECT p_target, p_check, f.object, f.details, p_at FROM unnest(p_findings) AS f
    ON CONFLICT (target_name, check_name, object) DO UPDATE SET state = excluded.state
     WHERE security_seen.state IS DISTINCT FROM excluded.state;
    DELETE FROM monitoring.security_seen s
     WHERE s.target_name = p_target AND s.check_name = p_check AND s.object <> ''
       AND NOT EXISTS (SELECT FROM unnest(p_findings) AS f WHERE f.object = s.object);
    RETURN v_written;
END
$$;
COMMENT ON FUNCTION monitoring.put_security_changes(text, text, timestamptz, monitoring.security_finding[], timestamptz, timestamptz) IS
    'Events of a CHANGE check: one for each group (a schema, a role) of which an object came, went or differs from the last look, with up to 50 of them. The first look only remembers.';

CREATE OR REPLACE FUNCTION monitoring.put_security_surges(
    p_target text, p_check text, p_at timestamptz, p_findings monitoring.security_finding[]) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_row     record;
    v_finding monitoring.security_finding;
    v_deleted numeric;
    v_written integer := 0;
BEGIN
    FOR v_row IN
        SELECT f AS finding, s.state AS before, f.details -> 'state' AS after
          FROM unnest(p_findings) AS f
          JOIN monitoring.security_seen s ON s.target_name = p_target AND s.check_name = p_check AND s.object = f.object
         WHERE s.state IS DISTINCT FROM f.details -> 'state'
         ORDER BY f.object
    LOOP
        v_finding := v_row.finding;
        -- A counter that is lower than before began anew: all that it shows came since.
        v_deleted := (v_row.after ->> 'deleted')::numeric
                     - CASE WHEN (v_row.after ->> 'deleted')::numeric >= (v_row.before ->> 'deleted')::numeric THEN (v_row.before ->> 'deleted')::numeric ELSE 0 END;
        v_finding.details := jsonb_build_object('table', v_finding.object, 'rows_before', v_row.before -> 'rows', 'rows_now', v_row.after -> 'rows', 'deleted', v_deleted);
        IF v_deleted >= 1000 AND (v_deleted >= 0.5 * (v_row.before ->> 'rows')::numeric OR v_deleted >= 1000000) THEN
            IF v_deleted < 0.5 * (v_row.before ->> 'rows')::numeric THEN
                v_finding.severity := 'MEDIUM';
            END IF;
            v_written := v_written + monitoring.put_security_event(p_target, p_check, date_trunc('hour', p_at, 'UTC'), p_at, v_finding, true);
        -- A table gets a new file when it is rewritten, too: but then its rows are still there.
        ELSIF v_row.after -> 'file' IS DISTINCT FROM v_row.before -> 'file'
              AND (v_row.before ->> 'rows')::numeric >= 1000 AND (v_row.after ->> 'rows')::numeric < 0.5 * (v_row.before ->> 'rows')::numeric THEN
            v_finding.event_type := 'TABLE_TRUNCATED';
            v_written := v_written + monitoring.put_security_event(p_target, p_check, date_trunc('hour', p_at, 'UTC'), p_at, v_finding, true);
        END IF;
    END LOOP;

    INSERT INTO monitoring.security_seen (target_name, check_name, object, state, first_seen)
    SELECT p_target, p_check, f.object, f.details -> 'state', p_at FROM unnest(p_findings) AS f
    ON CONFLICT (target_name, check_name, object) DO UPDATE SET state = excluded.state
     WHERE security_seen.state IS DISTINCT FROM excluded.state;
    DELETE FROM monitoring.security_seen s
     WHERE s.target_name = p_target AND s.check_name = p_check AND s.object <> ''
       AND NOT EXISTS (SELECT FROM unnest(p_findings) AS f WHERE f.object = s.object);
    RETURN v_written;
END
$$;
COMMENT ON FUNCTION monitoring.put_security_surges(text, text, timestamptz, monitoring.security_finding[]) IS
    'Events of a SURGE check: tables of which since the last look half the rows, and a thousand at least, or a million were deleted, or that were truncated. The first look only remembers.';

CREATE OR REPLACE FUNCTION monitoring.put_security_sightings(
    p_target text, p_check text, p_at timestamptz, p_findings monitoring.security_finding[], p_looked timestamptz) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_finding monitoring.security_finding;
    v_written integer := 0;
BEGIN
    DELETE FROM monitoring.security_seen s
     WHERE s.target_name = p_target AND s.check_name = p_check AND s.object <> '' AND s.last_seen < p_at - interval '90 days';
    FOREACH v_finding IN ARRAY p_findings LOOP
        INSERT INTO monitoring.security_seen (target_name, check_name, object, first_seen, last_seen)
        VALUES (p_target, p_check, v_finding.object, p_at, p_at)
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            UPDATE monitoring.security_seen s SET last_seen = p_at
             WHERE s.target_name = p_target AND s.check_name = p_check AND s.object = v_finding.object AND s.last_seen < p_at - interval '1 day';
        ELSIF p_looked IS NOT NULL THEN
            -- Who comes rarely is met for the first time in the first days: that is told, and wakes nobody.
            IF p_at < p_looked + interval '7 days' THEN
                v_finding.severity := 'LOW';
                v_finding.details := v_finding.details || jsonb_build_object('within_first_week', true);
            END IF;
            v_written := v_written + monitoring.put_security_event(p_target, p_check, p_at, p_at, v_finding, false);
        END IF;
    END LOOP;
    RETURN v_written;
END
$$;
COMMENT ON FUNCTION monitoring.put_security_sightings(text, text, timestamptz, monitoring.security_finding[], timestamptz) IS
    'Events of a SIGHTING check: who was not seen within 90 days. The first look only remembers, and in the first week an event is LOW.';

CREATE OR REPLACE FUNCTION monitoring.put_security_findings(p_target text, p_check text, p_at timestamptz, p_findings jsonb) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_kind     text := (SELECT c.kind FROM monitoring.security_check c WHERE c.check_name = p_check);
    v_findings monitoring.security_finding[];
    v_finding  monitoring.security_finding;
    v_marker   monitoring.security_seen;
    v_written  integer := 0;
BEGIN
    IF v_kind IS NULL THEN
        RAISE EXCEPTION 'the vault does not know the check %', p_check
            USING ERRCODE = '22023', HINT = 'It is older than the worker: run `onevault migrate up`.';
    END IF;
    IF jsonb_array_length(p_findings) > 20000 THEN
        RAISE EXCEPTION 'it finds % objects, more than 20000: none of it was compared', jsonb_array_length(p_findings) USING ERRCODE = '22023';
    END IF;
    -- A statement's text is kept without the secrets in it, wherever it came from.
    SELECT coalesce(array_agg(jsonb_populate_record(NULL::monitoring.security_finding, CASE WHEN e -> 'details' ? 'statement'
               THEN jsonb_set(e, '{details,statement}', to_jsonb(left(monitoring.redact_statement(e -> 'details' ->> 'statement'), 1000))) ELSE e END)), '{}')
      INTO v_findings
      FROM jsonb_array_elements(p_findings) AS e;

    SELECT * INTO v_marker FROM monitoring.security_seen s WHERE s.target_name = p_target AND s.check_name = p_check AND s.object = '';
    INSERT INTO monitoring.security_seen (target_name, check_name, object, first_seen, last_seen) VALUES (p_target, p_check, '', p_at, clock_timestamp())
    ON CONFLICT (target_name, check_name, object) DO UPDATE SET last_seen = excluded.last_seen;

    CASE v_kind
    WHEN 'STATE', 'COUNT' THEN
        v_written := monitoring.put_security_states(p_target, p_check, v_kind, p_at, v_findings, v_marker.first_seen);
    WHEN 'CHANGE' THEN
        v_written := monitoring.put_security_changes(p_target, p_check, p_at, v_findings, v_marker.first_seen, coalesce(v_marker.last_seen, v_marker.first_seen));
    WHEN 'SURGE' THEN
        v_written := monitoring.put_security_surges(p_target, p_check, p_at, v_findings);
    WHEN 'SIGHTING' THEN
        v_written := monitoring.put_security_sightings(p_target, p_check, p_at, v_findings, v_marker.first_seen);
    WHEN 'WINDOW' THEN
        FOREACH v_finding IN ARRAY v_findings LOOP
            v_written := v_written + monitoring.put_security_event(p_target, p_check,
                date_trunc('hour', v_finding.happened_at, 'UTC'), v_finding.happened_at, v_finding, true);
        END LOOP;
    END CASE;
    RETURN v_written;
END
$$;
COMMENT ON FUNCTION monitoring.put_security_findings(text, text, timestamptz, jsonb) IS
    'Turns what one check found on a target into events, by the kind of the check: see monitoring.security_check.kind. The findings are objects with the fields of monitoring.security_finding. Returns how many versions it wrote.';

-- ---------------------------------------------------------------- log-ins that failed

CREATE OR REPLACE FUNCTION monitoring.count_logins(p_target text, p_reading jsonb) RETURNS TABLE (login_hour timestamptz, source text, username text, database_name text)
    LANGUAGE sql
    AS $$
    WITH failed AS (
        INSERT INTO monitoring.security_login AS l (target_name, login_hour, source, username, database_name, failures, first_failure, last_failure, codes)
        SELECT p_target, date_trunc('hour', f.first, 'UTC'), f.source, f.username, f.database, f.count, f.first, f.last, f.codes
          FROM jsonb_to_recordset(p_reading -> 'failures') AS f (source text, username text, database text, count bigint, first timestamptz, last timestamptz, codes jsonb)
        ON CONFLICT ON CONSTRAINT security_login_pkey DO UPDATE
           SET failures = l.failures + excluded.failures,
               first_failure = least(l.first_failure, excluded.first_failure),
               last_failure = greatest(l.last_failure, excluded.last_failure),
               codes = (SELECT jsonb_object_agg(k, coalesce((l.codes ->> k)::bigint, 0) + coalesce((excluded.codes ->> k)::bigint, 0))
                          FROM (SELECT jsonb_object_keys(l.codes) UNION SELECT jsonb_object_keys(excluded.codes)) AS keys (k))
        RETURNING l.login_hour, l.source, l.username, l.database_name
    )
    SELECT * FROM failed
    $$;
COMMENT ON FUNCTION monitoring.count_logins(text, jsonb) IS
    'Adds the log-ins that failed, of one reading of a log, to those of their hours; returns which.';

CREATE OR REPLACE FUNCTION monitoring.count_login_successes(p_target text, p_reading jsonb) RETURNS TABLE (login_hour timestamptz, source text, username text, database_name text)
    LANGUAGE sql
    AS $$
    -- Of interest only where it failed before, within this hour and the one before it.
    UPDATE monitoring.security_login AS l
       SET successes = l.successes + s.count, last_success = greatest(l.last_success, s.last)
      FROM jsonb_to_recordset(p_reading -> 'successes') AS s (source text, username text, database text, count bigint, first timestamptz, last timestamptz)
     WHERE l.target_name = p_target AND l.source = s.source AND l.username = s.username AND l.database_name = s.database
       AND s.last >= l.first_failure AND s.last < l.login_hour + interval '2 hours'
    RETURNING l.login_hour, l.source, l.username, l.database_name
    $$;
COMMENT ON FUNCTION monitoring.count_login_successes(text, jsonb) IS
    'Notes the log-ins that succeeded after others had failed; returns of which.';

CREATE OR REPLACE FUNCTION monitoring.login_address(p_source text) RETURNS inet
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    RETURN p_source::inet;
EXCEPTION WHEN invalid_text_representation THEN
    RETURN NULL;  -- a unix socket, or a name where the server logs names
END
$$;
COMMENT ON FUNCTION monitoring.login_address(text) IS 'The address of a client as the log names it; NULL: it is none.';

CREATE OR REPLACE FUNCTION monitoring.put_login_events(p_target text, p_hours timestamptz[], p_sources text[], p_users text[]) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_login   record;
    v_finding monitoring.security_finding;
    v_written integer := 0;
    v_actions text[];
BEGIN
    -- By many users from one address, and by many addresses for one user.
    FOR v_login IN
        SELECT 'PASSWORD_SPRAY' AS type, l.login_hour, l.source, NULL::text AS username, sum(l.failures) AS failures,
               count(DISTINCT l.username) AS spread, min(l.first_failure) AS first, max(l.last_failure) AS last,
               (array_agg(DISTINCT l.username ORDER BY l.username))[1:20] AS names
          FROM monitoring.security_login l
         WHERE l.target_name = p_target AND l.login_hour = ANY (p_hours) AND l.source = ANY (p_sources)
         GROUP BY l.login_hour, l.source
        HAVING count(DISTINCT l.username) >= 5 AND sum(l.failures) >= 10
        UNION ALL
        SELECT 'DISTRIBUTED_BRUTE_FORCE', l.login_hour, NULL, l.username, sum(l.failures), count(DISTINCT l.source), min(l.first_failure), max(l.last_failure),
               (array_agg(DISTINCT l.source ORDER BY l.source))[1:20]
          FROM monitoring.security_login l
         WHERE l.target_name = p_target AND l.login_hour = ANY (p_hours) AND l.username = ANY (p_users) AND l.username <> '(others)'
         GROUP BY l.login_hour, l.username
        HAVING count(DISTINCT l.source) >= 5 AND sum(l.failures) >= 10
         ORDER BY 2, 1, 3, 4
    LOOP
        v_finding := ROW(v_login.type, 'HIGH', coalesce('from ' || v_login.source, 'user ' || v_login.username), v_login.last, left(v_login.username, 100),
            monitoring.login_address(v_login.source), NULL, NULL,
            jsonb_strip_nulls(jsonb_build_object('source', v_login.source, 'user', v_login.username, 'failures', v_login.failures, 'first', v_login.first, 'last', v_login.last,
                CASE WHEN v_login.source IS NULL THEN 'addresses' ELSE 'users' END, v_login.spread, 'among_them', v_login.names)),
            CASE WHEN v_login.failures >= 100 THEN 10 ELSE 25 END,
            CASE WHEN v_login.source IS NULL
                 THEN ARRAY[format('Lock the role until it is known: ALTER ROLE %I NOLOGIN', v_login.username), 'Let nobody but known networks reach the server: pg_hba.conf, firewall']
                 ELSE ARRAY[format('Block %s at the firewall, or write a reject rule for it in pg_hba.conf', v_login.source), 'See whether one of these users logged in from there'] END,
            NULL)::monitoring.security_finding;
        v_written := v_written + monitoring.put_security_event(p_target, 'server_log', v_login.login_hour, v_login.last, v_finding, true);
    END LOOP;

    FOR v_login IN
        SELECT l.*, l.last_success > l.first_failure AND l.failures >= 5 AS got_in
          FROM monitoring.security_login l
         WHERE l.target_name = p_target AND l.login_hour = ANY (p_hours) AND l.source = ANY (p_sources)
           -- The single tries of a spray stand in its own event.
           AND (l.failures >= 5 OR (SELECT count(DISTINCT o.username) FROM monitoring.security_login o
                                     WHERE o.target_name = l.target_name AND o.login_hour = l.login_hour AND o.source = l.source) <= 20)
         ORDER BY l.login_hour, l.source, l.username, l.database_name
    LOOP
        v_actions := ARRAY[format('Ask whoever uses the role %I whether it was them', v_login.username),
                           format('If not: block %s, and ALTER ROLE %I NOLOGIN until the password is new', v_login.source, v_login.username)];
        v_finding := ROW(
            CASE WHEN v_login.got_in THEN 'LOGIN_AFTER_FAILURES' WHEN v_login.failures >= 10 THEN 'BRUTE_FORCE' ELSE 'LOGIN_FAILURE' END,
            CASE WHEN v_login.got_in AND v_login.failures >= 20 THEN 'CRITICAL' WHEN v_login.got_in OR v_login.failures >= 10 THEN 'HIGH'
                 WHEN v_login.failures >= 5 THEN 'MEDIUM' ELSE 'LOW' END,
            format('%s into %s from %s', v_login.username, v_login.database_name, v_login.source), v_login.last_failure,
            left(v_login.username, 100), monitoring.login_address(v_login.source), left(v_login.database_name, 100), NULL,
            jsonb_strip_nulls(jsonb_build_object('user', v_login.username, 'database', v_login.database_name, 'source', v_login.source, 'failures', v_login.failures,
                'first', v_login.first_failure, 'last', v_login.last_failure, 'codes', v_login.codes,
                'succeeded_afterwards', CASE WHEN v_login.got_in THEN v_login.successes END, 'last_success', CASE WHEN v_login.got_in THEN v_login.last_success END)),
            CASE WHEN v_login.got_in THEN CASE WHEN v_login.failures >= 20 THEN 20 ELSE 50 END
                 WHEN v_login.failures >= 100 THEN 10 WHEN v_login.failures >= 10 THEN 30 WHEN v_login.failures >= 5 THEN 60 ELSE 90 END,
            v_actions, NULL)::monitoring.security_finding;
        v_written := v_written + monitoring.put_security_event(p_target, 'server_log', v_login.login_hour, v_login.last_failure, v_finding, true);
    END LOOP;
    RETURN v_written;
END
$$;
COMMENT ON FUNCTION monitoring.put_login_events(text, timestamptz[], text[], text[]) IS
    'Events of the log-ins that failed in some hours, from some addresses or for some users: one per address, user, database and hour; one per address that tried five users or more, and per user who was tried from five addresses or more.';

CREATE OR REPLACE FUNCTION monitoring.put_log_reading(p_target text, p_at timestamptz, p_reading jsonb) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_known   jsonb;
    v_hours   timestamptz[];
    v_sources text[];
    v_users   text[];
BEGIN
    INSERT INTO monitoring.security_seen (target_name, check_name, object, first_seen, last_seen) VALUES (p_target, 'server_log', '', p_at, clock_timestamp())
    ON CONFLICT (target_name, check_name, object) DO UPDATE SET last_seen = excluded.last_seen;
    SELECT p.log_position INTO v_known FROM monitoring.security_log_position p WHERE p.target_name = p_target FOR UPDATE;
    -- Somebody else read the same part meanwhile: it is counted already.
    IF v_known IS DISTINCT FROM nullif(p_reading -> 'from', 'null') THEN
        RETURN 0;
    END IF;
    INSERT INTO monitoring.security_log_position (target_name, log_position, read_at) VALUES (p_target, p_reading -> 'to', p_at)
    ON CONFLICT (target_name) DO UPDATE SET log_position = excluded.log_position, read_at = excluded.read_at;
    DELETE FROM monitoring.security_login l WHERE l.target_name = p_target AND l.login_hour < p_at - interval '35 days';

    WITH touched AS MATERIALIZED (SELECT * FROM monitoring.count_logins(p_target, p_reading))
    SELECT array_agg(DISTINCT t.login_hour), array_agg(DISTINCT t.source), array_agg(DISTINCT t.username) INTO v_hours, v_sources, v_users FROM touched t;
    WITH touched AS MATERIALIZED (SELECT * FROM monitoring.count_login_successes(p_target, p_reading))
    SELECT v_hours || array_agg(DISTINCT t.login_hour), v_sources || array_agg(DISTINCT t.source), v_users || array_agg(DISTINCT t.username)
      INTO v_hours, v_sources, v_users FROM touched t;
    RETURN monitoring.put_login_events(p_target, v_hours, v_sources, v_users);
END
$$;
COMMENT ON FUNCTION monitoring.put_log_reading(text, timestamptz, jsonb) IS
    'Takes one reading of a server''s log: {from, to, failures, successes}. from must be where the last reading ended; else it is not counted. Returns how many versions of events it wrote.';

-- ---------------------------------------------------------------- one look

CREATE OR REPLACE FUNCTION monitoring.unsettled_security_events(p_target text, p_at timestamptz)
    RETURNS TABLE (event_type varchar(100), event_count integer, severity varchar(20))
    LANGUAGE sql STABLE
    AS $$
    SELECT e.event_type, count(*)::integer,
           (ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'])[min(array_position(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], e.event_severity::text))]::varchar(20)
      FROM monitoring.security_event_s e
      JOIN monitoring.security_event_h h USING (security_event_hk)
      LEFT JOIN monitoring.security_check c ON e.detection_method = 'AUTOMATED_DETECTION:' || c.check_name
     WHERE e.load_end_date IS NULL AND h.target_name = p_target
       AND e.investigation_status IN ('OPEN', 'INVESTIGATING')
       AND (c.kind = 'STATE' OR e.event_timestamp > p_at - interval '1 hour')
     GROUP BY e.event_type
     ORDER BY e.event_type
    $$;
COMMENT ON FUNCTION monitoring.unsettled_security_events(text, timestamptz) IS
    'The events of a target that are not settled, by type: those that last, and those of the last hour.';

CREATE OR REPLACE FUNCTION monitoring.record_security_results(
    p_target text, p_at timestamptz, p_results jsonb, p_duration_ms numeric,
    OUT findings integer, OUT new_events integer, OUT skipped jsonb, OUT failed jsonb)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_variable
DECLARE
    v_result  jsonb;
    v_check   text;
    v_ran     text[] := '{}';
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('onevault.security/' || p_target, 0));
    findings := 0;
    new_events := 0;
    skipped := '{}';
    failed := '{}';
    FOR v_result IN SELECT r FROM jsonb_array_elements(p_results) AS r ORDER BY r ->> 'check' LOOP
        v_check := v_result ->> 'check';
        IF v_result ? 'skipped' THEN
            skipped := skipped || jsonb_build_object(v_check, v_result -> 'skipped');
        END IF;
        IF v_result ? 'failed' THEN
            failed := failed || jsonb_build_object(v_check, v_result -> 'failed');
        ELSIF v_result ? 'findings' OR v_result ? 'reading' THEN
            BEGIN
                IF v_result ? 'reading' THEN
                    new_events := new_events + monitoring.put_log_reading(p_target, p_at, v_result -> 'reading');
                    findings := findings + coalesce(jsonb_array_length(v_result -> 'reading' -> 'failures'), 0);
                ELSE
                    new_events := new_events + monitoring.put_security_findings(p_target, v_check, p_at, v_result -> 'findings');
                    findings := findings + jsonb_array_length(v_result -> 'findings');
                END IF;
                v_ran := v_ran || v_check;
            EXCEPTION WHEN OTHERS THEN
                -- One check that fails hides nothing that the others find.
                failed := failed || jsonb_build_object(v_check, SQLERRM);
            END;
        END IF;
    END LOOP;
    INSERT INTO monitoring.security_detection (target_name, detected_at, detector, findings, new_events, ran, skipped, failed, duration_ms)
    VALUES (p_target, p_at, 'monitoring.detect_known_security_events', findings, new_events, v_ran, skipped, failed, p_duration_ms);
END
$$;
COMMENT ON FUNCTION monitoring.record_security_results(text, timestamptz, jsonb, numeric) IS
    'Records one look at a target: [{check, findings | reading, skipped, failed}], and returns what came of it. What a check found becomes events, and the look itself is a row of security_detection, with what could not be looked for and why.';

CREATE OR REPLACE FUNCTION monitoring.detect_known_security_events(p_target text DEFAULT 'local')
    RETURNS TABLE (event_type varchar(100), event_count integer, severity varchar(20))
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    v_started  timestamptz := clock_timestamp();
    v_at       timestamptz := date_trunc('microseconds', v_started);
    v_check    record;
    v_findings jsonb;
    v_results  jsonb := '[]';
    v_logins   bigint := 0;
BEGIN
    -- Whoever looks second waits, and then compares with what the first one saw.
    PERFORM pg_advisory_xact_lock(hashtextextended('onevault.security/' || p_target, 0));
    FOR v_check IN SELECT c.check_name FROM monitoring.security_check c WHERE c.kind <> 'LOG' ORDER BY c.check_name LOOP
        BEGIN
            EXECUTE format('SELECT coalesce(jsonb_agg(f), ''[]'') FROM monitoring.%I() AS f', 'security_' || v_check.check_name) INTO v_findings;
            v_results := v_results || jsonb_build_object('check', v_check.check_name, 'findings', v_findings);
        EXCEPTION
            WHEN feature_not_supported THEN
                v_results := v_results || jsonb_build_object('check', v_check.check_name, 'skipped', SQLERRM);
            WHEN OTHERS THEN
                v_results := v_results || jsonb_build_object('check', v_check.check_name, 'failed', SQLERRM);
        END;
    END LOOP;
    BEGIN
        v_logins := (SELECT f.users FROM monitoring.failed_logins(v_at) AS f);
    EXCEPTION WHEN OTHERS THEN
        v_logins := 0;  -- said above, by the check of the same name
    END;
    PERFORM monitoring.record_security_results(p_target, v_at, v_results, (extract(epoch FROM clock_timestamp() - v_started) * 1000)::numeric);

    RETURN QUERY SELECT 'FAILED_LOGINS'::varchar(100), v_logins::integer, 'HIGH'::varchar(20) WHERE v_logins > 0;
    RETURN QUERY SELECT 'SUSPICIOUS_QUERIES'::varchar(100), n, 'MEDIUM'::varchar(20) FROM monitoring.count_suspicious_queries() AS n WHERE n > 0;
    RETURN QUERY SELECT * FROM monitoring.unsettled_security_events(p_target, v_at);
END
$$;
COMMENT ON FUNCTION monitoring.detect_known_security_events(text) IS
    'Runs every check but those of the log on this server, records what appeared or changed as security events, and the run itself. Returns, per kind, the guide''s counts and the events that are not settled: those that last, and those of the last hour.';

CREATE OR REPLACE FUNCTION monitoring.detect_security_events()
    RETURNS TABLE (event_type varchar(100), event_count integer, severity varchar(20))
    LANGUAGE sql
    AS $$
    SELECT * FROM monitoring.detect_known_security_events('local')
    $$;
COMMENT ON FUNCTION monitoring.detect_security_events() IS
    'Looks for security events on this server now. May be replaced by a function of your own: the worker then calls it besides its own checks, and `onevault doctor` says so.';

-- ---------------------------------------------------------------- what people say of an event

CREATE OR REPLACE FUNCTION monitoring.change_security_event(
    p_security_event_hk bytea, p_status text, p_actor text, p_via text, p_notes text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    c       monitoring.security_event_s;
    v_id    text;
    v_at    timestamptz := clock_timestamp();
    v_stamp text := 'YYYY-MM-DD HH24:MI:SS "UTC"';
BEGIN
    PERFORM monitoring.require_actor(p_actor, 'p_actor');
    IF length(p_actor) > 100 OR length(p_notes) > 10000 THEN
        RAISE EXCEPTION 'p_actor has % characters and p_notes %', length(p_actor), coalesce(length(p_notes), 0)
            USING ERRCODE = '22023', HINT = 'At most 100 and 10000 are kept.';
    END IF;
    IF p_status = 'FALSE_POSITIVE' AND coalesce(btrim(p_notes), '') = '' THEN
        RAISE EXCEPTION 'p_reason is empty'
            USING ERRCODE = '22023', HINT = 'Say why it is harmless: the same finding will wake nobody any more.';
    END IF;
    PERFORM FROM monitoring.security_event_h h WHERE h.security_event_hk = p_security_event_hk FOR NO KEY UPDATE;
    SELECT * INTO c FROM monitoring.security_event_s s WHERE s.security_event_hk = p_security_event_hk AND s.load_end_date IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no security event with hash key %', coalesce(encode(p_security_event_hk, 'hex'), 'NULL')
            USING ERRCODE = 'P0002', HINT = 'See the open ones: SELECT * FROM monitoring.open_security_events, and monitoring.find_security_event(''S-7F3K'').';
    END IF;
    v_id := monitoring.security_event_short_id(p_security_event_hk);
    IF c.investigation_status = 'FALSE_POSITIVE' AND p_status = 'RESOLVED' THEN
        RAISE EXCEPTION '% was called a false positive%', v_id, coalesce(' by ' || c.changed_by, '')
            USING ERRCODE = '55000', HINT = 'If it was none: investigate it first.';
    END IF;
    IF c.investigation_status = p_status AND c.false_positive_of IS NULL THEN
        RAISE WARNING '% is % since %, by %', v_id, p_status, coalesce(to_char(c.changed_at AT TIME ZONE 'UTC', v_stamp), 'it was found'), coalesce(c.changed_by, 'the detection');
        RETURN false;
    END IF;
    c.load_date := v_at;
    c.investigation_status := p_status;
    c.false_positive_of := NULL;
    c.investigation_notes := concat_ws(E'\n', c.investigation_notes,
        format('%s %s by %s%s', to_char(v_at AT TIME ZONE 'UTC', v_stamp), p_status, p_actor, coalesce(': ' || nullif(btrim(p_notes), ''), '')));
    c.changed_at := v_at;
    c.changed_by := p_actor;
    c.changed_via := left(p_via, 200);
    c.record_source := 'SECURITY_INVESTIGATION';
    INSERT INTO monitoring.security_event_s SELECT (c).*;
    RETURN true;
END
$$;
COMMENT ON FUNCTION monitoring.change_security_event(bytea, text, text, text, text) IS
    'Changes how far a security event was investigated; the notes are appended. False, with a warning: it stood so before.';

CREATE OR REPLACE FUNCTION monitoring.session_via(p_via text) RETURNS text
    LANGUAGE sql STABLE
    AS $$ SELECT left(coalesce(nullif(btrim(p_via), ''), 'psql'), 120) || ':' || session_user $$;
COMMENT ON FUNCTION monitoring.session_via(text) IS 'How a command came: what the client says of itself, and the role that opened the session, which is known.';

CREATE OR REPLACE FUNCTION monitoring.investigate_security_event(
    p_security_event_hk bytea, p_actor varchar(100), p_notes text DEFAULT NULL, p_via text DEFAULT NULL) RETURNS boolean
    LANGUAGE sql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$ SELECT monitoring.change_security_event(p_security_event_hk, 'INVESTIGATING', p_actor, monitoring.session_via(p_via), p_notes) $$;
COMMENT ON FUNCTION monitoring.investigate_security_event(bytea, varchar, text, text) IS
    'Takes a security event: somebody is at it. Takes up again what was settled. False, with a warning: it stood so before.';

CREATE OR REPLACE FUNCTION monitoring.resolve_security_event(
    p_security_event_hk bytea, p_actor varchar(100), p_notes text DEFAULT NULL, p_via text DEFAULT NULL) RETURNS boolean
    LANGUAGE sql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$ SELECT monitoring.change_security_event(p_security_event_hk, 'RESOLVED', p_actor, monitoring.session_via(p_via), p_notes) $$;
COMMENT ON FUNCTION monitoring.resolve_security_event(bytea, varchar, text, text) IS
    'Settles a security event. The same finding in another hour is another event. False, with a warning: it stood so before.';

CREATE OR REPLACE FUNCTION monitoring.mark_security_event_false_positive(
    p_security_event_hk bytea, p_actor varchar(100), p_reason text, p_via text DEFAULT NULL) RETURNS boolean
    LANGUAGE sql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$ SELECT monitoring.change_security_event(p_security_event_hk, 'FALSE_POSITIVE', p_actor, monitoring.session_via(p_via), p_reason) $$;
COMMENT ON FUNCTION monitoring.mark_security_event_false_positive(bytea, varchar, text, text) IS
    'Calls a security event harmless. The same finding is recorded again and counts as a false positive by itself, until this one is investigated again. False, with a warning: it stood so before.';

-- ---------------------------------------------------------------- events and incidents

CREATE OR REPLACE FUNCTION monitoring.check_security_events(p_security_event_hks bytea[]) RETURNS bytea[]
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_events  bytea[] := ARRAY(SELECT DISTINCT e FROM unnest(p_security_event_hks) AS e WHERE e IS NOT NULL ORDER BY e);
    v_unknown text;
BEGIN
    IF cardinality(v_events) NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'p_security_event_hks holds % events', cardinality(v_events)
            USING ERRCODE = '22023', HINT = 'Give 1 to 1000: ARRAY[monitoring.find_security_event(''S-7F3K'')].';
    END IF;
    SELECT string_agg(encode(e, 'hex'), ', ' ORDER BY e) INTO v_unknown
      FROM unnest(v_events) AS e
     WHERE NOT EXISTS (SELECT FROM monitoring.security_event_s s WHERE s.security_event_hk = e AND s.load_end_date IS NULL);
    IF v_unknown IS NOT NULL THEN
        RAISE EXCEPTION 'no security event with hash key %', v_unknown
            USING ERRCODE = 'P0002', HINT = 'See the open ones: SELECT * FROM monitoring.open_security_events.';
    END IF;
    RETURN v_events;
END
$$;
COMMENT ON FUNCTION monitoring.check_security_events(bytea[]) IS 'The events of a list, sorted and without repetition; raises where there are none, too many, or an unknown one.';

CREATE OR REPLACE FUNCTION monitoring.link_security_events(p_incident_hk bytea, p_events bytea[], p_actor text, p_via text) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_linked bytea[];
BEGIN
    WITH linked AS (
        INSERT INTO monitoring.security_event_incident_l (link_security_event_incident_hk, security_event_hk, incident_hk, tenant_hk)
        SELECT util.hash_binary(encode(e, 'hex') || '||' || encode(p_incident_hk, 'hex')), e, p_incident_hk, h.tenant_hk
          FROM unnest(p_events) AS e
          JOIN monitoring.incident_h h ON h.incident_hk = p_incident_hk
        ON CONFLICT DO NOTHING
        RETURNING security_event_hk
    )
    SELECT array_agg(security_event_hk) INTO v_linked FROM linked;
    INSERT INTO monitoring.security_event_s
    SELECT (jsonb_populate_record(s, jsonb_build_object('load_date', NULL, 'incident_response_triggered', true,
                'investigation_status', CASE s.investigation_status WHEN 'OPEN' THEN 'INVESTIGATING' ELSE s.investigation_status END,
                'changed_at', clock_timestamp(), 'changed_by', p_actor, 'changed_via', p_via, 'record_source', 'SECURITY_INVESTIGATION'))).*
      FROM monitoring.security_event_s s
     WHERE s.security_event_hk = ANY (v_linked) AND s.load_end_date IS NULL;
    RETURN coalesce(cardinality(v_linked), 0);
END
$$;
COMMENT ON FUNCTION monitoring.link_security_events(bytea, bytea[], text, text) IS
    'Has security events belong to an incident; an open one is being investigated from then on. Returns how many came.';

CREATE OR REPLACE FUNCTION monitoring.add_security_events_to_incident(
    p_incident_hk bytea, p_security_event_hks bytea[], p_actor text DEFAULT SESSION_USER, p_via text DEFAULT NULL) RETURNS integer
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    c        monitoring.incident_s := monitoring.require_incident(p_incident_hk);
    v_events bytea[] := monitoring.check_security_events(p_security_event_hks);
BEGIN
    PERFORM monitoring.require_actor(p_actor, 'p_actor');
    IF c.incident_status = 'CLOSED' THEN
        RAISE EXCEPTION '% was closed by %: no event can join it', monitoring.incident_short_id(p_incident_hk), c.closed_by
            USING ERRCODE = '55000', HINT = 'Create a new incident: monitoring.create_incident_from_security_events, or onevault incident create --event.';
    END IF;
    RETURN monitoring.link_security_events(p_incident_hk, v_events, p_actor, monitoring.session_via(p_via));
END
$$;
COMMENT ON FUNCTION monitoring.add_security_events_to_incident(bytea, bytea[], text, text) IS
    'Has security events belong to an incident that is not closed; returns how many came.';

CREATE OR REPLACE FUNCTION monitoring.create_incident_from_security_events(
    p_security_event_hks bytea[], p_incident_title varchar(500), p_incident_description text DEFAULT NULL,
    p_assigned_to varchar(100) DEFAULT NULL, p_created_by varchar(100) DEFAULT SESSION_USER, p_via text DEFAULT NULL) RETURNS bytea
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_events   bytea[] := monitoring.check_security_events(p_security_event_hks);
    v_set      text := encode(sha256(convert_to('events ' || array_to_string(ARRAY(SELECT encode(e, 'hex') FROM unnest(v_events) AS e), ','), 'UTF8')), 'hex');
    v_at       timestamptz := clock_timestamp();
    v_via      text := monitoring.session_via(p_via);
    v_tenants  bytea[];
    v_severity text;
    v_targets  text[];
    v_number   integer := 0;
    v_status   text;
    v_bk       text;
    v_hk       bytea;
BEGIN
    PERFORM monitoring.require_actor(p_created_by, 'p_created_by');
    IF coalesce(btrim(p_incident_title), '') = '' THEN
        RAISE EXCEPTION 'p_incident_title is empty' USING ERRCODE = '22023', HINT = 'Give a title by which people will speak of it.';
    END IF;
    PERFORM monitoring.check_incident_text('p_incident_description', p_incident_description, 10000);
    SELECT array_agg(DISTINCT h.tenant_hk), array_agg(DISTINCT h.target_name::text ORDER BY h.target_name::text),
           (array_agg(s.event_severity::text ORDER BY array_position(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], s.event_severity::text)))[1]
      INTO v_tenants, v_targets, v_severity
      FROM monitoring.security_event_h h
      JOIN monitoring.security_event_s s ON s.security_event_hk = h.security_event_hk AND s.load_end_date IS NULL
     WHERE h.security_event_hk = ANY (v_events);
    IF cardinality(v_tenants) > 1 THEN
        RAISE EXCEPTION 'the events belong to different tenants' USING ERRCODE = '22023', HINT = 'Make an incident per tenant.';
    END IF;

    -- As of alerts: the same events have one incident until that is closed.
    PERFORM pg_advisory_xact_lock(hashtextextended('onevault.incident/' || v_set, 0));
    LOOP
        v_number := v_number + 1;
        v_bk := util.bk('INCIDENT', coalesce(encode(v_tenants[1], 'hex'), 'SYSTEM'), v_set, v_number::text);
        v_hk := util.hash_binary(v_bk);
        SELECT s.incident_status INTO v_status FROM monitoring.incident_s s WHERE s.incident_hk = v_hk AND s.load_end_date IS NULL;
        EXIT WHEN NOT FOUND;
        IF v_status <> 'CLOSED' THEN
            RAISE NOTICE 'incident % of these events was created before: nothing to do', monitoring.incident_short_id(v_hk);
            RETURN v_hk;
        END IF;
    END LOOP;
    INSERT INTO monitoring.incident_h (incident_hk, incident_bk, tenant_hk) VALUES (v_hk, v_bk, v_tenants[1]) ON CONFLICT DO NOTHING;
    INSERT INTO monitoring.incident_s (
        incident_hk, hash_diff, incident_title, incident_description, incident_status, incident_severity, incident_priority,
        created_timestamp, assigned_to, created_by, affected_services, changed_at, changed_by, changed_via)
    VALUES (v_hk, '\x', btrim(p_incident_title), p_incident_description, 'OPEN', v_severity, monitoring.incident_priority(v_severity),
        v_at, nullif(btrim(p_assigned_to), ''), p_created_by, v_targets, v_at, p_created_by, v_via);
    PERFORM monitoring.link_security_events(v_hk, v_events, p_created_by, v_via);
    RETURN v_hk;
END
$$;
COMMENT ON FUNCTION monitoring.create_incident_from_security_events(bytea[], varchar, text, varchar, varchar, text) IS
    'Creates an incident of security events and returns its hash key; its severity is the worst of theirs. Called again with the same events it returns the same incident until that is closed.';
