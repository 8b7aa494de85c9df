-- Systems that send alerts: how one comes, changes and goes, and how its alerts open and end. The secret with
-- which it proves itself is always somewhere else; a row says where.

CREATE OR REPLACE FUNCTION monitoring.check_source_name() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NEW.source_name !~ '^[A-Za-z0-9][A-Za-z0-9-]*$' OR length(NEW.source_name) > 40 THEN
        RAISE EXCEPTION 'source name "%" cannot be part of an address', NEW.source_name
            USING ERRCODE = '22023', HINT = 'Use up to 40 letters, digits and -, beginning with a letter or digit: prometheus-eu';
    END IF;
    IF lower(NEW.source_name) = 'local' THEN
        RAISE EXCEPTION 'source name "%" is taken: the vault''s own server has it', NEW.source_name
            USING ERRCODE = '22023', HINT = 'Choose another name.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_source_name() IS 'Trigger of alert_source_h: refuses a name that addresses and keys could not carry.';
CREATE OR REPLACE TRIGGER t10_check_source_name BEFORE INSERT ON monitoring.alert_source_h
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_source_name();

CREATE OR REPLACE FUNCTION monitoring.check_source() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_field text;
    v_value text;
BEGIN
    IF NEW.load_end_date IS NOT NULL OR NEW.source_state = 'REMOVED' THEN
        RETURN NEW;  -- what is history, or over, was legal in its time
    END IF;
    IF num_nonnulls(NEW.token_env, NEW.token_file, NEW.secret_env, NEW.secret_file) <> 1 THEN
        RAISE EXCEPTION '% of token_env, token_file, secret_env and secret_file are given', num_nonnulls(NEW.token_env, NEW.token_file, NEW.secret_env, NEW.secret_file)
            USING ERRCODE = '22023', HINT = 'Give exactly one: where the bearer token is, or where the signing secret of Standard Webhooks is.';
    END IF;
    FOR v_field, v_value IN VALUES ('token_env', NEW.token_env), ('secret_env', NEW.secret_env) LOOP
        IF v_value !~ '^[A-Z][A-Z0-9_]*$' THEN
            -- Not repeated: it may be the secret itself, typed in the wrong place.
            RAISE EXCEPTION '% is no name of a variable', v_field
                USING ERRCODE = '22023', HINT = 'Write its name and no value: capital letters, digits and _, such as ALERTMANAGER_TOKEN.';
        END IF;
        IF v_value ~ '^(PG[A-Z]+$|TEMPORAL_|ONEVAULT_)' THEN
            RAISE EXCEPTION '% is "%", which is the worker''s own', v_field, v_value
                USING ERRCODE = '22023', HINT = 'Give the secret of a source a variable of its own, such as ALERTMANAGER_TOKEN.';
        END IF;
    END LOOP;
    FOR v_field, v_value IN VALUES ('token_file', NEW.token_file), ('secret_file', NEW.secret_file) LOOP
        IF v_value !~ '^/' OR v_value ~ '(^|/)\.\.(/|$)' THEN
            RAISE EXCEPTION '% is "%", which is no absolute path', v_field, v_value
                USING ERRCODE = '22023', HINT = 'Write the whole path, without "..": /etc/onevault/alertmanager.token';
        END IF;
    END LOOP;
    IF NEW.max_definitions NOT BETWEEN 1 AND 5000 THEN
        RAISE EXCEPTION 'max_definitions is %', NEW.max_definitions
            USING ERRCODE = '22023', HINT = 'Use 1 to 5000: how many kinds of alert the source may add to the list of definitions.';
    END IF;
    IF NEW.target_label !~ '^[A-Za-z_][A-Za-z0-9_]*$' THEN
        RAISE EXCEPTION 'target_label "%" is no name of a label', NEW.target_label
            USING ERRCODE = '22023', HINT = 'Use letters, digits and _, such as server.';
    END IF;
    PERFORM monitoring.require_actor(NEW.changed_by, 'changed_by');
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_source() IS 'Trigger of alert_source_s: refuses a source that could never prove itself.';
CREATE OR REPLACE TRIGGER t10_check_source BEFORE INSERT ON monitoring.alert_source_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_source();

CREATE OR REPLACE VIEW monitoring.alert_source_current AS
    SELECT h.source_name, s.source_state, s.token_env, s.token_file, s.secret_env, s.secret_file, s.target_label, s.max_definitions,
           s.description, s.changed_by, s.load_date AS version,
           (SELECT count(*) FROM monitoring.alert_definition_h d WHERE d.record_source = 'SOURCE:' || upper(h.source_name)) AS definition_count
      FROM monitoring.alert_source_h h
      JOIN monitoring.alert_source_s s ON s.alert_source_hk = h.alert_source_hk AND s.load_end_date IS NULL;
COMMENT ON VIEW monitoring.alert_source_current IS 'The systems that send alerts as they stand, removed ones too.';
COMMENT ON COLUMN monitoring.alert_source_current.version IS 'Since when it stands like this.';
COMMENT ON COLUMN monitoring.alert_source_current.definition_count IS 'How many definitions its alerts have created.';
COMMENT ON COLUMN monitoring.alert_source_current.source_name IS 'The name in its address and in the keys of its definitions.';
DO $do$
DECLARE
    v_column name;
BEGIN
    FOREACH v_column IN ARRAY ARRAY['source_state', 'token_env', 'token_file', 'secret_env', 'secret_file', 'target_label',
                                    'max_definitions', 'description', 'changed_by'] LOOP
        EXECUTE format('COMMENT ON COLUMN monitoring.alert_source_current.%I IS %L', v_column,
            (SELECT col_description(attrelid, attnum) FROM pg_attribute
              WHERE attrelid = 'monitoring.alert_source_s'::regclass AND attname = v_column));
    END LOOP;
END
$do$;

CREATE OR REPLACE FUNCTION monitoring.put_source(
    p_name text, p_token_env text DEFAULT NULL, p_token_file text DEFAULT NULL, p_secret_env text DEFAULT NULL, p_secret_file text DEFAULT NULL,
    p_target_label text DEFAULT NULL, p_max_definitions integer DEFAULT 200, p_description text DEFAULT NULL, p_by text DEFAULT session_user) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_hk     bytea := util.hash_binary(util.bk('SOURCE', p_name));
    v_source monitoring.alert_source_s;
BEGIN
    PERFORM monitoring.require_actor(p_by, 'p_by');
    PERFORM pg_advisory_xact_lock(hashtextextended('onevault.source/' || upper(p_name), 0));
    INSERT INTO monitoring.alert_source_h (alert_source_hk, alert_source_bk, source_name)
    VALUES (v_hk, util.bk('SOURCE', p_name), p_name)
    ON CONFLICT DO NOTHING;
    SELECT * INTO v_source FROM monitoring.alert_source_s s WHERE s.alert_source_hk = v_hk AND s.load_end_date IS NULL;
    IF (v_source.source_state, v_source.token_env, v_source.token_file, v_source.secret_env, v_source.secret_file,
        v_source.target_label, v_source.max_definitions, v_source.description)
       IS NOT DISTINCT FROM ('ENABLED'::varchar, p_token_env::varchar, p_token_file, p_secret_env::varchar, p_secret_file,
        p_target_label::varchar, p_max_definitions, p_description) THEN
        RETURN false;  -- by whom it is left as it is is no change
    END IF;
    INSERT INTO monitoring.alert_source_s (
        alert_source_hk, hash_diff, token_env, token_file, secret_env, secret_file, target_label, max_definitions, description, changed_by, changed_role)
    VALUES (v_hk, '\x', p_token_env, p_token_file, p_secret_env, p_secret_file, p_target_label, p_max_definitions, p_description, p_by, session_user);
    RETURN true;
END
$$;
COMMENT ON FUNCTION monitoring.put_source(text, text, text, text, text, text, integer, text, text) IS
    'Lets a system send alerts, or changes how: where its bearer token is (p_token_env, p_token_file) or its signing secret (p_secret_env, p_secret_file). Returns whether anything changed.';

CREATE OR REPLACE FUNCTION monitoring.remove_source(p_name text, p_by text DEFAULT session_user) RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_source monitoring.alert_source_s;
BEGIN
    PERFORM monitoring.require_actor(p_by, 'p_by');
    PERFORM pg_advisory_xact_lock(hashtextextended('onevault.source/' || upper(p_name), 0));
    SELECT * INTO v_source FROM monitoring.alert_source_s s
     WHERE s.alert_source_hk = util.hash_binary(util.bk('SOURCE', p_name)) AND s.load_end_date IS NULL AND s.source_state <> 'REMOVED';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no source "%"', p_name
            USING ERRCODE = 'P0002', HINT = 'See them: onevault source list, or SELECT * FROM monitoring.alert_source_current.';
    END IF;
    v_source.source_state := 'REMOVED';
    v_source.changed_by := p_by;
    v_source.changed_role := session_user;
    v_source.load_date := clock_timestamp();
    INSERT INTO monitoring.alert_source_s SELECT (v_source).*;
END
$$;
COMMENT ON FUNCTION monitoring.remove_source(text, text) IS
    'From now on what the source sends is refused. Its open alerts stay until somebody resolves them: whether they are over nobody says any more.';

-- ---------------------------------------------------------------- what its alerts are made of

CREATE OR REPLACE FUNCTION monitoring.source_definition_key(p_source text, p_alert_name text, p_severity text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    -- Readable, part of a workflow's id, and different for names that differ in more than upper and lower case.
    SELECT 'EXTERNAL_' || upper(p_source) || '_' || left(n.clean, 80)
           || CASE WHEN n.clean = n.plain AND length(n.clean) <= 80 THEN '' ELSE '_' || left(encode(sha256(convert_to(n.plain, 'UTF8')), 'hex'), 8) END
           || '_' || p_severity
      FROM (SELECT upper(p_alert_name) AS plain, btrim(regexp_replace(upper(p_alert_name), '[^A-Z0-9]+', '_', 'g'), '_') AS clean) AS n
    $$;
COMMENT ON FUNCTION monitoring.source_definition_key(text, text, text) IS
    'The key of the definition under which the alerts of a name and severity from a source stand.';

CREATE OR REPLACE FUNCTION monitoring.source_target(p_source text, p_target_label text, p_labels jsonb) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce(
        CASE WHEN lower(p_labels ->> p_target_label) = 'local' THEN 'local' END,
        (SELECT h.target_name FROM monitoring.target_h h
           JOIN monitoring.target_s s ON s.target_hk = h.target_hk AND s.load_end_date IS NULL AND s.target_state <> 'REMOVED'
          WHERE h.target_bk = util.bk('TARGET', p_labels ->> p_target_label)),
        p_source)
    $$;
COMMENT ON FUNCTION monitoring.source_target(text, text, jsonb) IS
    'The target of an alert from outside: the watched server that its label names, otherwise the source itself.';

CREATE OR REPLACE FUNCTION monitoring.source_definition(p_source text, p_max integer, p_alert jsonb, OUT definition_key text, OUT shared boolean)
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_by       text := 'SOURCE:' || upper(p_source);
    v_name     text := p_alert ->> 'name';
    v_severity text := p_alert ->> 'severity';
BEGIN
    -- Under the lock of the source, which take_in_alerts holds.
    shared := false;
    definition_key := monitoring.source_definition_key(p_source, v_name, v_severity);
    IF EXISTS (SELECT FROM monitoring.alert_definition_h h WHERE h.alert_definition_bk = definition_key) THEN
        RETURN;
    END IF;
    IF (SELECT count(*) FROM monitoring.alert_definition_h h WHERE h.record_source = v_by) >= p_max THEN
        -- Too many kinds of alert are no reason to lose one.
        shared := true;
        v_by := v_by || ':SHARED';
        v_name := 'Other alerts of ' || p_source;
        definition_key := monitoring.source_definition_key(p_source, v_name, v_severity);
        IF EXISTS (SELECT FROM monitoring.alert_definition_h h WHERE h.alert_definition_bk = definition_key) THEN
            RETURN;
        END IF;
    END IF;
    INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk, record_source)
    VALUES (util.hash_binary(definition_key), definition_key, v_by);
    INSERT INTO monitoring.alert_definition_s (
        alert_definition_hk, hash_diff, alert_name, alert_description, alert_category, alert_severity, metric_source, condition_logic,
        auto_resolve, escalation_enabled, suppression_window_minutes, flap_count, runbook_url, created_by, last_modified_by, record_source)
    VALUES (
        util.hash_binary(definition_key), '\x', left(v_name, 200),
        CASE WHEN shared THEN format('What %s sends beyond the %s kinds of alert that it may add', p_source, p_max) ELSE p_alert ->> 'description' END,
        'EXTERNAL', v_severity, 'external', 'reported_firing == 1',
        true, v_severity IN ('HIGH', 'CRITICAL'), 0, 0, CASE WHEN NOT shared THEN p_alert ->> 'runbook_url' END, left(v_by, 100), left(v_by, 100), left(v_by, 100));
END
$$;
COMMENT ON FUNCTION monitoring.source_definition(text, integer, jsonb) IS
    'The definition of an alert from outside, made at its first alert: of category EXTERNAL, and looked at by nobody, since the source decides. shared: the source has made as many as it may, and this one is for all that come beyond.';

-- ---------------------------------------------------------------- how they open and end

CREATE OR REPLACE FUNCTION monitoring.take_in_alert(
    p_source text, p_target_label text, p_max integer, p_alert jsonb, p_via text,
    OUT outcome text, OUT short_id text, OUT definition_key text)
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_now      timestamptz := clock_timestamp();
    v_starts   timestamptz := coalesce((p_alert ->> 'starts_at')::timestamptz, v_now);
    v_ends     timestamptz := (p_alert ->> 'ends_at')::timestamptz;
    v_target   text := monitoring.source_target(p_source, p_target_label, p_alert -> 'labels');
    v_key      record := monitoring.source_definition(p_source, p_max, p_alert);
    v_version  monitoring.alert_definition_s;
    v_bk       text;
    v_hk       bytea;
    v_open     record;
    v_details  jsonb;
BEGIN
    definition_key := v_key.definition_key;
    SELECT * INTO v_version FROM monitoring.alert_definition_s d
     WHERE d.alert_definition_hk = util.hash_binary(definition_key) AND d.load_end_date IS NULL;
    -- Keys do not regard case, fingerprints of other systems may.
    v_bk := util.bk('ALERT', v_target, definition_key, 'SYSTEM', to_char(v_starts AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISSUS'),
                    left(encode(sha256(convert_to(p_alert ->> 'fingerprint', 'UTF8')), 'hex'), 32));
    v_hk := util.hash_binary(v_bk);

    -- The same series under another severity is the same alert to its source, and two here: each has its own routing.
    SELECT h.alert_instance_hk, (s.trigger_details ->> 'starts_at')::timestamptz AS starts_at INTO v_open
      FROM monitoring.alert_instance_s s
      JOIN monitoring.alert_instance_h h USING (alert_instance_hk)
     WHERE s.load_end_date IS NULL AND s.trigger_details ? 'fingerprint' AND s.trigger_details ->> 'fingerprint' = p_alert ->> 'fingerprint'
       AND s.trigger_details ->> 'source' = p_source AND h.alert_definition_hk = util.hash_binary(definition_key)
       AND s.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED')
     ORDER BY s.triggered_timestamp DESC
     LIMIT 1;

    IF p_alert ->> 'status' = 'resolved' THEN
        IF v_open.alert_instance_hk IS NOT NULL AND v_starts >= v_open.starts_at THEN
            short_id := monitoring.alert_short_id(v_open.alert_instance_hk);
            v_ends := least(coalesce(v_ends, v_now), v_now);
            IF (monitoring.change_alert_state(v_open.alert_instance_hk, 'RESOLVED', v_ends, 'condition cleared', p_via,
                    p_source || ' says that it is over', NULL)).changed THEN
                PERFORM monitoring.tell_workflow('RESOLVED', v_open.alert_instance_hk, jsonb_build_object(
                    'actor', 'condition cleared', 'via', p_via, 'at', v_ends, 'notes', p_source || ' says that it is over'));
                outcome := 'RESOLVED';
            ELSE
                outcome := 'ENDED';
            END IF;
            RETURN;
        END IF;
        IF v_open.alert_instance_hk IS NOT NULL THEN
            short_id := monitoring.alert_short_id(v_open.alert_instance_hk);
            outcome := 'OLDER';  -- it is about an earlier firing; the one that is open goes on
            RETURN;
        END IF;
    ELSIF v_open.alert_instance_hk IS NOT NULL THEN
        short_id := monitoring.alert_short_id(v_open.alert_instance_hk);
        outcome := 'HELD';
        RETURN;
    END IF;

    IF p_alert ->> 'status' = 'resolved' AND NOT p_alert ? 'starts_at' THEN
        outcome := 'UNKNOWN';  -- of which firing it is the end nobody can say
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM monitoring.alert_instance_h h WHERE h.alert_instance_hk = v_hk) THEN
        short_id := monitoring.alert_short_id(v_hk);
        outcome := 'ENDED';  -- somebody resolved it here, or the end overtook this
        RETURN;
    END IF;
    IF NOT v_version.is_enabled THEN
        outcome := 'DISABLED';
        RETURN;
    END IF;
    v_details := jsonb_strip_nulls(jsonb_build_object(
        'condition', v_version.condition_logic, 'reason', p_alert ->> 'reason', 'source', p_source, 'labels', p_alert -> 'labels',
        'fingerprint', p_alert ->> 'fingerprint', 'starts_at', v_starts, 'link', p_alert ->> 'link', 'definition_load_date', v_version.load_date));
    v_hk := monitoring.open_alert(v_bk, v_version.alert_definition_hk, NULL, v_target, 'OPEN', least(v_starts, v_now),
        (p_alert ->> 'value')::numeric, v_details, v_version.alert_severity, NULL, p_via);
    short_id := monitoring.alert_short_id(v_hk);
    IF p_alert ->> 'status' = 'resolved' THEN
        -- It was over before we heard of it: recorded, so that a firing that was overtaken opens nothing, and told to nobody.
        PERFORM monitoring.change_alert_state(v_hk, 'RESOLVED', least(coalesce(v_ends, v_now), v_now), 'condition cleared', p_via,
            'it was over before it was heard of', NULL);
        outcome := 'MISSED';
        RETURN;
    END IF;
    PERFORM monitoring.tell_opening(v_hk, v_now);
    outcome := CASE WHEN v_key.shared THEN 'OPENED_SHARED' ELSE 'OPENED' END;
END
$$;
COMMENT ON FUNCTION monitoring.take_in_alert(text, text, integer, jsonb, text) IS
    'Opens or ends one alert from outside; see take_in_alerts.';

CREATE OR REPLACE FUNCTION monitoring.take_in_alerts(p_source text, p_alerts jsonb, p_via text)
    RETURNS TABLE (fingerprint text, name text, outcome text, short_id text, definition_key text)
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_alert  jsonb;
    v_source monitoring.alert_source_current;
    v_taken  record;
BEGIN
    -- One request of a source at a time: what it repeats is seen, and its limit holds.
    PERFORM pg_advisory_xact_lock(hashtextextended('onevault.source/' || upper(p_source), 0));
    SELECT * INTO v_source FROM monitoring.alert_source_current c WHERE upper(c.source_name) = upper(p_source) AND c.source_state = 'ENABLED';
    IF v_source.source_name IS NULL THEN
        RAISE EXCEPTION 'no source "%"', p_source
            USING ERRCODE = 'P0002', HINT = 'See them: onevault source list, or SELECT * FROM monitoring.alert_source_current.';
    END IF;
    PERFORM monitoring.hold_alerts(ARRAY(
        SELECT s.alert_instance_hk
          FROM jsonb_array_elements(p_alerts) AS e
          JOIN monitoring.alert_instance_s s ON s.trigger_details ->> 'fingerprint' = e ->> 'fingerprint'
         WHERE e ->> 'status' = 'resolved' AND s.load_end_date IS NULL AND s.trigger_details ? 'fingerprint'
           AND s.trigger_details ->> 'source' = v_source.source_name AND s.alert_status <> 'RESOLVED'));
    FOR v_alert IN SELECT e FROM jsonb_array_elements(p_alerts) WITH ORDINALITY AS u (e, o) ORDER BY o LOOP
        v_taken := monitoring.take_in_alert(v_source.source_name, v_source.target_label, v_source.max_definitions, v_alert, p_via);
        RETURN QUERY SELECT v_alert ->> 'fingerprint', v_alert ->> 'name', v_taken.outcome, v_taken.short_id, v_taken.definition_key;
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.take_in_alerts(text, jsonb, text) IS
    'Takes in what a source sent, all or nothing: [{name, severity, status: firing|resolved, fingerprint, starts_at, ends_at, labels, reason, value, description, runbook_url, link}]. Answers for each alert: OPENED, OPENED_SHARED (under the definition for what is beyond max_definitions), HELD (open already), RESOLVED, MISSED (over before it was heard of), ENDED (it had ended), OLDER (about an earlier firing), UNKNOWN (over, and never heard of), DISABLED (its definition is).';
