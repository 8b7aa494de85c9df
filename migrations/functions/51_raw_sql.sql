-- Raw SQL behind conditions: a definition of the source "sql" says in condition_sql what the value of its
-- conditions is. Off by default. The walls, each of which holds by itself:
--   * the text: check_statement() knows every word that calls something, and every operator; it is one SELECT;
--   * the rights: it runs as onevault_sql, which may read the views of monitoring_sql and nothing else, inside a
--     SECURITY DEFINER function, out of which no SET ROLE leads;
--   * the transaction: read-only, in a function that may only read, on a connection of its own that ends afterwards;
--   * the time: value_of() refuses to begin without a statement_timeout.
-- The worker runs it (vault.MeasureSQL) and keeps what it yielded in sql_value; whoever evaluates reads it there.

-- ---------------------------------------------------------------- what it may read

CREATE OR REPLACE VIEW monitoring_sql.health AS
SELECT h.target_name, s.metric_name, s.labels, s.metric_value, s.metric_unit, s.status, s.measurement_timestamp AS measured_at
  FROM monitoring.system_health_metric_s s
  JOIN monitoring.system_health_metric_h h USING (health_metric_hk)
 WHERE s.load_end_date IS NULL;
COMMENT ON VIEW monitoring_sql.health IS 'Measurements of health metrics, those with labels too.';

CREATE OR REPLACE VIEW monitoring_sql.statements AS
SELECT h.target_name, s.query_hash, s.total_time_ms, s.mean_time_ms, s.calls, s.performance_rating,
       s.measurement_period_start AS measured_from, s.measurement_period_end AS measured_at
  FROM monitoring.performance_metric_s s
  JOIN monitoring.performance_metric_h h USING (performance_metric_hk)
 WHERE s.load_end_date IS NULL;
COMMENT ON VIEW monitoring_sql.statements IS 'Measurements of the top statements, without their texts.';

CREATE OR REPLACE VIEW monitoring_sql.capacity AS
SELECT h.target_name, s.resource_type, s.utilization_percentage, s.projected_full_date, s.measurement_timestamp AS measured_at
  FROM monitoring.capacity_metric_s s
  JOIN monitoring.capacity_metric_h h USING (capacity_metric_hk)
 WHERE s.load_end_date IS NULL;
COMMENT ON VIEW monitoring_sql.capacity IS 'Measurements of sizes and how full they are.';

CREATE OR REPLACE VIEW monitoring_sql.alerts AS
SELECT h.target_name, d.alert_definition_bk AS definition, s.alert_status AS status, s.urgency_level AS severity, s.trigger_value,
       s.triggered_timestamp AS triggered_at, s.acknowledged_timestamp AS acknowledged_at, s.resolved_timestamp AS resolved_at,
       s.escalation_level, s.reopened_count
  FROM monitoring.alert_instance_h h
  JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
  JOIN monitoring.alert_definition_h d ON d.alert_definition_hk = h.alert_definition_hk;
COMMENT ON VIEW monitoring_sql.alerts IS 'Every alert as it stands.';

CREATE OR REPLACE VIEW monitoring_sql.incidents AS
SELECT s.incident_status AS status, s.incident_severity AS severity, s.incident_priority AS priority, s.created_timestamp AS created_at,
       s.sla_breach
  FROM monitoring.incident_s s
 WHERE s.load_end_date IS NULL;
COMMENT ON VIEW monitoring_sql.incidents IS 'Every incident as it stands.';

CREATE OR REPLACE VIEW monitoring_sql.security_events AS
SELECT h.target_name, s.event_type, s.event_severity AS severity, s.event_timestamp AS happened_at, s.username, s.database_name,
       s.investigation_status AS status
  FROM monitoring.security_event_s s
  JOIN monitoring.security_event_h h USING (security_event_hk)
 WHERE s.load_end_date IS NULL;
COMMENT ON VIEW monitoring_sql.security_events IS 'Every security event as it stands, without its details.';

CREATE OR REPLACE VIEW monitoring_sql.compliance AS
SELECT h.target_name, s.compliance_framework AS framework, s.control_id, s.check_status AS status, s.compliance_score AS score,
       s.remediation_priority, s.remediation_deadline, s.last_check_timestamp AS checked_at
  FROM monitoring.compliance_check_s s
  JOIN monitoring.compliance_check_h h USING (compliance_check_hk)
 WHERE s.load_end_date IS NULL;
COMMENT ON VIEW monitoring_sql.compliance IS 'Every control by its newest check.';

CREATE OR REPLACE VIEW monitoring_sql.notifications AS
SELECT ah.target_name, s.delivery_status AS status, s.event, s.sent_timestamp AS sent_at
  FROM monitoring.notification_log_s s
  JOIN monitoring.notification_log_h h USING (notification_log_hk)
  JOIN monitoring.alert_instance_h ah ON ah.alert_instance_hk = h.alert_instance_hk
 WHERE s.load_end_date IS NULL;
COMMENT ON VIEW monitoring_sql.notifications IS 'Every message of the ledger as it stands, without its receiver.';

-- ---------------------------------------------------------------- what it may say

CREATE OR REPLACE FUNCTION monitoring_sql.allowed(p_kind text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE p_kind
        -- None of them reads anything, waits, or makes much of little.
        WHEN 'function' THEN ARRAY['count', 'sum', 'avg', 'min', 'max', 'stddev', 'stddev_samp', 'stddev_pop', 'variance', 'bool_and', 'bool_or',
            'every', 'percentile_cont', 'percentile_disc', 'mode', 'corr', 'regr_slope', 'coalesce', 'nullif', 'greatest', 'least', 'abs', 'round',
            'floor', 'ceil', 'ceiling', 'sign', 'sqrt', 'ln', 'extract', 'date_part', 'date_trunc', 'age', 'now', 'make_interval', 'justify_interval',
            'lower', 'upper', 'length', 'row_number', 'rank', 'dense_rank', 'lag', 'lead', 'first_value', 'last_value']
        WHEN 'type' THEN ARRAY['numeric', 'int', 'integer', 'bigint', 'smallint', 'real', 'float8', 'boolean', 'text', 'date', 'timestamp',
            'timestamptz', 'interval']
        WHEN 'operator' THEN ARRAY['+', '-', '*', '/', '%', '=', '<>', '!=', '<', '<=', '>', '>=', '->', '->>']
        -- What may stand before a parenthesis that is no call ...
        WHEN 'opening' THEN ARRAY['select', 'from', 'join', 'lateral', 'on', 'where', 'and', 'or', 'not', 'in', 'any', 'some', 'all', 'exists',
            'case', 'when', 'then', 'else', 'by', 'having', 'over', 'as', 'union', 'except', 'intersect', 'filter', 'group', 'distinct', 'between',
            'like', 'ilike', 'is', 'limit', 'offset', 'using']
        -- ... and before a constant in quotes.
        WHEN 'before_text' THEN ARRAY['select', 'distinct', 'and', 'or', 'not', 'when', 'then', 'else', 'case', 'where', 'on', 'having', 'by',
            'like', 'ilike', 'between', 'zone', 'is', 'from', 'limit', 'offset', 'all']
        -- What would call something without parentheses, lock, write, or multiply rows without end.
        WHEN 'refused' THEN ARRAY['recursive', 'for', 'into', 'operator', 'table', 'tablesample', 'cast', 'current_user', 'current_role',
            'session_user', 'system_user', 'user', 'current_catalog', 'current_schema', 'information_schema', 'collate', 'array', 'row', 'grouping']
        END
    $$;
COMMENT ON FUNCTION monitoring_sql.allowed(text) IS
    'The words that SQL of a condition may hold at some place: function, type, operator, opening, before_text; and those that it may hold nowhere: refused.';

CREATE OR REPLACE FUNCTION monitoring_sql.check_statement(p_sql text) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_rest   text := p_sql;
    v_token  text;
    v_word   text;    -- the token in small letters, where it is a word
    v_before text;    -- the token before it
    v_first  boolean := true;
    v_depth  integer := 0;
    v_says   text;    -- what is wrong with the token
    v_remedy text;
BEGIN
    IF btrim(coalesce(p_sql, ''), E' \t\r\n') = '' THEN
        RAISE EXCEPTION 'condition_sql is empty'
            USING ERRCODE = '22023', HINT = 'Write one SELECT that yields one number or boolean: SELECT count(*) FROM alerts WHERE target_name = $1';
    END IF;
    IF length(p_sql) > 4000 THEN
        RAISE EXCEPTION 'condition_sql has % characters, at most 4000 are allowed', length(p_sql) USING ERRCODE = '22023';
    END IF;
    IF current_setting('standard_conforming_strings') <> 'on' THEN
        RAISE EXCEPTION 'condition_sql cannot be read while standard_conforming_strings is off'
            USING ERRCODE = '55000', HINT = 'SET standard_conforming_strings = on';
    END IF;
    LOOP
        v_rest := ltrim(v_rest, E' \t\r\n');
        EXIT WHEN v_rest = '';
        -- No "quoted names", no comments, no ; no \ no text between dollars, no letters but those of English: all that could
        -- be read in two ways.
        v_token := substring(v_rest FROM
            '^(?:[A-Za-z_][A-Za-z0-9_]*(?![A-Za-z0-9_$''"])|[0-9]+(?:\.[0-9]+)?(?![A-Za-z0-9_.$''"])|''[^''\\]*''|\$[12](?![A-Za-z0-9_.$''"])|::|[-+*/<>=~!@#%^&|`?]+|[(),.])');
        v_says := NULL;
        v_remedy := 'Allowed are words, numbers, ''text'', $1, $2, parentheses, commas, dots, ::type and + - * / % = <> < <= > >= -> ->>. Comments, ";", "quoted names" and \ are not.';
        IF v_token IS NULL THEN
            v_says := 'which is not allowed in it';
            v_token := left(v_rest, 20);
        ELSIF v_token ~ '^[A-Za-z_]' THEN
            v_word := lower(v_token);
            v_rest := ltrim(substr(v_rest, length(v_token) + 1), E' \t\r\n');
            v_remedy := 'Calls that are allowed: ' || array_to_string(monitoring_sql.allowed('function'), ', ') || '.';
            IF v_first AND v_word NOT IN ('select', 'with') THEN
                v_says := 'and not with SELECT or WITH';
            ELSIF v_word = ANY (monitoring_sql.allowed('refused')) OR v_word LIKE 'pg\_%' THEN
                v_says := 'a word that is not allowed in it';
                v_remedy := 'It may read the views of monitoring_sql and nothing else: SELECT table_name FROM information_schema.views WHERE table_schema = ''monitoring_sql''.';
            ELSIF v_before = '::' AND v_word <> ALL (monitoring_sql.allowed('type')) THEN
                v_says := 'a type that is not allowed in it';
                v_remedy := 'Types that are allowed: ' || array_to_string(monitoring_sql.allowed('type'), ', ') || '.';
            ELSIF v_rest LIKE '(%' AND (v_before = '.' OR v_before = '::'
                  OR v_word <> ALL (monitoring_sql.allowed('function') || monitoring_sql.allowed('opening'))) THEN
                v_says := 'a call that is not allowed in it';
            ELSIF v_rest LIKE '''%' AND v_word <> ALL (monitoring_sql.allowed('type') || monitoring_sql.allowed('before_text')) THEN
                v_says := 'before a text, where it is not allowed';
            ELSIF v_rest LIKE '.%' AND v_word <> 'monitoring_sql' AND EXISTS (SELECT FROM pg_namespace WHERE nspname = v_word) THEN
                v_says := 'a schema that it may not read';
                v_remedy := 'It may read the views of monitoring_sql and nothing else.';
            ELSIF v_before = '.' AND v_word <> ALL (monitoring_sql.allowed('function'))
                  AND EXISTS (SELECT FROM pg_proc WHERE proname = v_word)
                  AND NOT EXISTS (SELECT FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
                                   WHERE c.relnamespace = 'monitoring_sql'::regnamespace AND v_word IN (c.relname, a.attname)) THEN
                v_says := 'after a dot, where it could be a call';  -- x.f is f(x) where x has no column f
                v_remedy := 'Give the column another name.';
            END IF;
        ELSE
            v_rest := substr(v_rest, length(v_token) + 1);
            v_depth := v_depth + CASE v_token WHEN '(' THEN 1 WHEN ')' THEN -1 ELSE 0 END;
            IF v_token ~ '^[-+*/<>=~!@#%^&|`?]' AND v_token <> ALL (monitoring_sql.allowed('operator')) THEN
                v_says := 'an operator that is not allowed in it';
            ELSIF v_depth < 0 THEN
                v_says := 'without its "("';
            END IF;
        END IF;
        IF v_says IS NOT NULL THEN
            RAISE EXCEPTION 'condition_sql %s "%", %', CASE WHEN v_first THEN 'begins with' ELSE 'holds' END, v_token, v_says
                USING ERRCODE = '22023', HINT = v_remedy;
        END IF;
        v_before := v_token;
        v_first := false;
    END LOOP;
    IF v_depth <> 0 THEN
        RAISE EXCEPTION 'condition_sql lacks % ")"', v_depth USING ERRCODE = '22023', HINT = 'Close each parenthesis.';
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring_sql.check_statement(text) IS
    'Raises 22023 when SQL of a condition holds anything that is not known to be harmless; it knows only a part of what SQL can say.';

-- ---------------------------------------------------------------- running it

CREATE OR REPLACE FUNCTION monitoring_sql.require_sandbox(p_running_as name) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    IF p_running_as <> 'onevault_sql' THEN
        RAISE EXCEPTION 'the sandbox of raw SQL conditions would run as %', p_running_as
            USING ERRCODE = '55000', HINT = 'As a superuser: CREATE ROLE onevault_sql NOLOGIN; GRANT onevault_sql TO onevault_owner; then run `onevault migrate up` as a member of onevault_owner.';
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring_sql.require_sandbox(name) IS 'Raises 55000 unless it is given the role of the sandbox: nothing is run with more rights.';

CREATE OR REPLACE FUNCTION monitoring_sql.plan(p_sql text) RETURNS void
    LANGUAGE plpgsql STABLE
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring_sql, pg_temp
    SET standard_conforming_strings = on
    SET lock_timeout = '500ms'
    AS $$
DECLARE
    v_cursor refcursor;
    v_type   text;
BEGIN
    PERFORM monitoring_sql.require_sandbox(current_user);
    PERFORM monitoring_sql.check_statement(p_sql);
    BEGIN
        -- A cursor takes one statement, and opening it runs nothing: it plans, and asks for the rights.
        OPEN v_cursor NO SCROLL FOR EXECUTE 'SELECT (' || p_sql || E'\n)' USING 'local'::text, statement_timestamp();
        CLOSE v_cursor;
        EXECUTE 'SELECT pg_typeof(CASE WHEN false THEN (' || p_sql || E'\n) END)::text' INTO v_type USING 'local'::text, statement_timestamp();
    EXCEPTION WHEN OTHERS THEN
        RAISE EXCEPTION 'condition_sql cannot be planned: %', SQLERRM
            USING ERRCODE = '22023', HINT = 'It is run with the search_path monitoring_sql, must yield one column, and its $1 is the target''s name and $2 the moment.';
    END;
    IF v_type NOT IN ('boolean', 'smallint', 'integer', 'bigint', 'real', 'double precision', 'numeric') THEN
        RAISE EXCEPTION 'condition_sql yields a value of the type %', v_type
            USING ERRCODE = '22023', HINT = 'Let it yield a number or a boolean; of a span of time extract(epoch FROM ...) is the number.';
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring_sql.plan(text) IS
    'Raises 22023 when SQL of a condition could not be run or yields neither a number nor a boolean. It runs nothing of it.';

CREATE OR REPLACE FUNCTION monitoring_sql.value_of(p_sql text, p_target text, p_at timestamptz) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring_sql, pg_temp
    SET standard_conforming_strings = on
    SET lock_timeout = '500ms'
    SET work_mem = '4MB'
    SET max_parallel_workers_per_gather = 0
    SET timezone = 'UTC'
    AS $$
DECLARE
    v_cursor refcursor;
    v_value  jsonb;
BEGIN
    PERFORM monitoring_sql.require_sandbox(current_user);
    -- A function cannot limit the time of the statement that it is a part of: whoever calls it must have done so.
    IF (SELECT setting::integer NOT BETWEEN 1 AND 10000 FROM pg_settings WHERE name = 'statement_timeout')
       OR current_setting('transaction_read_only') <> 'on' THEN
        RAISE EXCEPTION 'the SQL of a condition runs in a read-only transaction with a statement_timeout of at most 10 s, and in no other'
            USING ERRCODE = '55000', HINT = 'BEGIN READ ONLY; SET LOCAL statement_timeout = ''5s''; ...; ROLLBACK';
    END IF;
    PERFORM monitoring_sql.check_statement(p_sql);
    OPEN v_cursor NO SCROLL FOR EXECUTE 'SELECT to_jsonb((' || p_sql || E'\n))' USING p_target, p_at;
    FETCH v_cursor INTO v_value;
    CLOSE v_cursor;
    IF jsonb_typeof(v_value) NOT IN ('number', 'boolean', 'null') THEN
        RAISE EXCEPTION 'condition_sql yielded %, neither a number nor a boolean', left(v_value::text, 40) USING ERRCODE = '22023';
    END IF;
    RETURN nullif(v_value, 'null');
END
$$;
COMMENT ON FUNCTION monitoring_sql.value_of(text, text, timestamptz) IS
    'Runs SQL of a condition in the sandbox and returns its number or boolean; NULL: no row, or NULL. Only in a read-only transaction with a statement_timeout.';

-- ---------------------------------------------------------------- the switch

CREATE OR REPLACE FUNCTION monitoring.raw_sql_allowed() RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    SELECT EXISTS (SELECT FROM monitoring.monitor_config_s s
                    WHERE s.config_type = 'RAW_SQL' AND s.config_name = 'conditions' AND s.load_end_date IS NULL
                      AND s.is_enabled AND s.config_value = '{"allow": true}')
    $$;
COMMENT ON FUNCTION monitoring.raw_sql_allowed() IS 'Whether conditions may rest on raw SQL; monitoring.allow_raw_sql() says so.';

CREATE OR REPLACE FUNCTION monitoring.check_raw_sql_setting() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_owner oid := (SELECT nspowner FROM pg_namespace WHERE nspname = 'monitoring');
BEGIN
    IF upper(NEW.config_type) <> 'RAW_SQL' THEN
        RETURN NEW;
    END IF;
    -- Neither SET ROLE nor a function with the owner's rights makes an operator the owner.
    IF NOT pg_has_role(current_user, v_owner, 'MEMBER') OR NOT pg_has_role(session_user, v_owner, 'MEMBER') THEN
        RAISE EXCEPTION 'role % may not say whether conditions may rest on raw SQL', session_user
            USING ERRCODE = '42501', HINT = format('A member of %s may: SELECT monitoring.allow_raw_sql(true, ''why'')', v_owner::regrole);
    END IF;
    IF NEW.config_type <> 'RAW_SQL' OR NEW.config_name <> 'conditions' OR NEW.config_value NOT IN ('{"allow": true}', '{"allow": false}') THEN
        RAISE EXCEPTION 'config_name "%" with config_value % is no setting of raw SQL', NEW.config_name, NEW.config_value
            USING ERRCODE = '22023', HINT = 'Call monitoring.allow_raw_sql(true, ''why'') or monitoring.allow_raw_sql(false, ''why'').';
    END IF;
    IF NEW.monitor_config_hk <> util.hash_binary(util.bk('RAW_SQL', 'conditions')) THEN
        RAISE EXCEPTION 'the setting of raw SQL has a key of its own'
            USING ERRCODE = '22023', HINT = 'INSERT it with monitor_config_hk = util.hash_binary(util.bk(''RAW_SQL'', ''conditions'')).';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_raw_sql_setting() IS 'Trigger of monitor_config_s: only members of the owner of the vault switch raw SQL conditions on and off.';
CREATE OR REPLACE TRIGGER t42_check_raw_sql BEFORE INSERT ON monitoring.monitor_config_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_raw_sql_setting();

CREATE OR REPLACE FUNCTION monitoring.allow_raw_sql(p_allow boolean, p_why text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF p_allow IS NULL THEN
        RAISE EXCEPTION 'p_allow is NULL' USING ERRCODE = '22023', HINT = 'Say true or false.';
    END IF;
    IF coalesce(btrim(p_why), '') = '' THEN
        RAISE EXCEPTION 'p_why is empty' USING ERRCODE = '22023', HINT = 'Say in a few words why: an auditor reads it.';
    END IF;
    INSERT INTO monitoring.monitor_config_h (monitor_config_hk, monitor_config_bk)
    VALUES (util.hash_binary(util.bk('RAW_SQL', 'conditions')), util.bk('RAW_SQL', 'conditions')) ON CONFLICT DO NOTHING;
    INSERT INTO monitoring.monitor_config_s (
        monitor_config_hk, hash_diff, config_name, config_type, config_category, config_value, config_description)
    VALUES (util.hash_binary(util.bk('RAW_SQL', 'conditions')), '\x', 'conditions', 'RAW_SQL', 'ALERTING',
            jsonb_build_object('allow', p_allow), p_why);
    RETURN monitoring.raw_sql_allowed();
END
$$;
COMMENT ON FUNCTION monitoring.allow_raw_sql(boolean, text) IS
    'Switches conditions that rest on raw SQL on or off, and keeps why. For members of the owner of the vault. Off, those that exist end in ERROR at each look.';

-- ---------------------------------------------------------------- definitions and their looks

CREATE OR REPLACE FUNCTION monitoring.check_condition_sql(
    p_alert_name text, p_metric_source text, p_sql text, p_enabled boolean, p_tenant_hk bytea) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    IF p_metric_source IS DISTINCT FROM 'sql' THEN
        IF p_sql IS NOT NULL THEN
            RAISE EXCEPTION 'condition_sql of alert definition "%" is set, but its metric_source is "%"', p_alert_name, p_metric_source
                USING ERRCODE = '22023', HINT = 'Set metric_source to sql, or leave condition_sql out.';
        END IF;
        RETURN;
    END IF;
    -- What is disabled may be written while the switch is off: it is how one takes such a definition out of use.
    IF p_enabled AND NOT monitoring.raw_sql_allowed() THEN
        RAISE EXCEPTION 'alert definition "%" rests on raw SQL, which is switched off', p_alert_name
            USING ERRCODE = '55000', HINT = 'A member of the owner of the vault may switch it on: SELECT monitoring.allow_raw_sql(true, ''why''). Where the condition language can say it, prefer that: docs/conditions.md.';
    END IF;
    IF p_tenant_hk IS NOT NULL THEN
        RAISE EXCEPTION 'alert definition "%" rests on raw SQL and belongs to a tenant', p_alert_name
            USING ERRCODE = '22023', HINT = 'Raw SQL reads what belongs to all tenants: write a definition that belongs to none.';
    END IF;
    PERFORM monitoring_sql.check_statement(p_sql);
    PERFORM monitoring_sql.plan(p_sql);
END
$$;
COMMENT ON FUNCTION monitoring.check_condition_sql(text, text, text, boolean, bytea) IS
    'Raises when the SQL of a definition is not allowed, or could not be run; and when a definition of another source has any.';

CREATE OR REPLACE FUNCTION monitoring.sql_concerns(p_sql text, p_target text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    -- SQL that does not ask which target it is about says nothing of any.
    SELECT p_sql IS NULL OR p_target = 'local' OR p_sql ~ '\$1'
    $$;
COMMENT ON FUNCTION monitoring.sql_concerns(text, text) IS
    'Whether a definition with this condition_sql is looked at on a target: without $1 in it on local alone.';

CREATE OR REPLACE FUNCTION monitoring.sql_work(p_target text, p_every interval DEFAULT NULL)
    RETURNS TABLE (alert_definition_hk bytea, definition_key varchar(255), definition_load_date timestamptz, condition_sql text)
    LANGUAGE sql STABLE
    AS $$
    SELECT v.alert_definition_hk, h.alert_definition_bk, v.load_date, v.condition_sql
      FROM monitoring.alert_definition_s s
      JOIN monitoring.alert_definition_h h USING (alert_definition_hk)
     CROSS JOIN LATERAL monitoring.version_in_force(s, p_target,
                   (SELECT t.tenant_hk FROM monitoring.target_h t WHERE t.target_bk = util.bk('TARGET', p_target))) AS v
      LEFT JOIN monitoring.sql_value m ON m.alert_definition_hk = v.alert_definition_hk AND m.target_name = p_target
                                      AND m.definition_load_date = v.load_date
     WHERE s.load_end_date IS NULL AND (s.is_enabled OR v.load_date IS DISTINCT FROM s.load_date)
       AND s.alert_definition_hk IN (SELECT o.alert_definition_hk FROM monitoring.alert_definition_s o WHERE o.metric_source = 'sql')
       AND v.metric_source = 'sql' AND h.tenant_hk IS NULL AND monitoring.sql_concerns(v.condition_sql, p_target)
       AND monitoring.raw_sql_allowed()
       AND (m.measured_at IS NULL OR clock_timestamp() >= m.measured_at + coalesce(p_every, make_interval(mins => v.evaluation_frequency_minutes)) * 0.9)
     ORDER BY h.alert_definition_bk
    $$;
COMMENT ON FUNCTION monitoring.sql_work(text, interval) IS
    'The SQL that is due to be run for a target before its definitions are evaluated; none while raw SQL is switched off. p_every: in place of each definition''s own frequency.';

CREATE OR REPLACE FUNCTION monitoring.record_sql_value(
    p_definition_hk bytea, p_target text, p_version timestamptz, p_value jsonb, p_error text, p_duration interval) RETURNS void
    LANGUAGE sql
    AS $$
    INSERT INTO monitoring.sql_value (alert_definition_hk, target_name, definition_load_date, measured_at, value, error, duration_us)
    VALUES (p_definition_hk, p_target, p_version, clock_timestamp(), p_value, p_error, extract(epoch FROM p_duration) * 1000000)
    ON CONFLICT (alert_definition_hk, target_name) DO UPDATE
       SET definition_load_date = excluded.definition_load_date, measured_at = excluded.measured_at,
           value = excluded.value, error = excluded.error, duration_us = excluded.duration_us
    $$;
COMMENT ON FUNCTION monitoring.record_sql_value(bytea, text, timestamptz, jsonb, text, interval) IS
    'Keeps what the SQL of a version of a definition yielded for a target just now, or why it failed.';

CREATE OR REPLACE FUNCTION monitoring.sql_inputs(p_definition monitoring.alert_definition_s, p_target text, p_at timestamptz) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_last record;
BEGIN
    IF NOT monitoring.raw_sql_allowed() THEN
        RAISE EXCEPTION 'raw SQL conditions are switched off' USING ERRCODE = '55000';
    END IF;
    SELECT m.value, m.error INTO v_last
      FROM monitoring.sql_value m
     WHERE m.alert_definition_hk = p_definition.alert_definition_hk AND m.target_name = p_target
       AND m.definition_load_date = p_definition.load_date
       AND m.measured_at > p_at - make_interval(mins => p_definition.lookback_minutes) AND m.measured_at <= p_at;
    IF v_last.error IS NOT NULL THEN
        RAISE EXCEPTION '%', v_last.error;
    END IF;
    RETURN jsonb_strip_nulls(jsonb_build_object('value', v_last.value));
END
$$;
COMMENT ON FUNCTION monitoring.sql_inputs(monitoring.alert_definition_s, text, timestamptz) IS
    'What the SQL of a definition yielded last within its look-back: {"value": ...}, {} when it did not; raises what it failed with.';

-- ---------------------------------------------------------------- rights

CREATE OR REPLACE FUNCTION monitoring.grant_sandbox() RETURNS SETOF text
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_owned   boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'monitoring' AND nspowner = to_regrole('onevault_owner'));
    v_callers text := monitoring.existing_roles('onevault_worker', 'onevault_operator');
    v_readers text := monitoring.existing_roles('onevault_operator', 'onevault_sql');
    v_object  record;
BEGIN
    FOR v_object IN
        SELECT 1 AS rank, format('ALTER SCHEMA %I OWNER TO onevault_owner', nspname) AS statement
          FROM pg_namespace WHERE nspname = 'monitoring_sql' AND v_owned AND nspowner <> to_regrole('onevault_owner')
        UNION ALL
        SELECT 2, format('ALTER VIEW monitoring_sql.%I OWNER TO onevault_owner', relname)
          FROM pg_class WHERE relnamespace = 'monitoring_sql'::regnamespace AND relkind = 'v' AND v_owned AND relowner <> to_regrole('onevault_owner')
        UNION ALL
        SELECT 3, format('ALTER ROUTINE %s OWNER TO onevault_owner', oid::regprocedure)
          FROM pg_proc WHERE pronamespace = 'monitoring_sql'::regnamespace AND NOT prosecdef AND v_owned AND proowner <> to_regrole('onevault_owner')
        UNION ALL
        SELECT 4, statement
          FROM unnest(ARRAY['REVOKE ALL ON SCHEMA monitoring_sql FROM PUBLIC',
                            'REVOKE ALL ON ALL ROUTINES IN SCHEMA monitoring_sql FROM PUBLIC',
                            'GRANT USAGE ON SCHEMA monitoring_sql TO ' || concat_ws(', ', v_callers, monitoring.existing_roles('onevault_sql')),
                            'GRANT SELECT ON ALL TABLES IN SCHEMA monitoring_sql TO ' || v_readers,
                            'GRANT EXECUTE ON FUNCTION monitoring_sql.allowed(text), monitoring_sql.check_statement(text), '
                                || 'monitoring_sql.require_sandbox(name) TO ' || concat_ws(', ', v_callers, monitoring.existing_roles('onevault_sql')),
                            'GRANT EXECUTE ON FUNCTION monitoring_sql.plan(text) TO ' || concat_ws(', ', v_callers, monitoring.existing_roles('onevault_owner')),
                            'GRANT EXECUTE ON FUNCTION monitoring_sql.value_of(text, text, timestamptz) TO '
                                || monitoring.existing_roles('onevault_worker', 'onevault_owner')]) AS statement
         WHERE v_callers IS NOT NULL AND statement IS NOT NULL
        UNION ALL
        -- With whose rights it runs: until a member of that role has done this, it runs nothing.
        SELECT 5, statement
          FROM unnest(ARRAY['GRANT CREATE ON SCHEMA monitoring_sql TO onevault_sql',
                            'ALTER FUNCTION monitoring_sql.plan(text) OWNER TO onevault_sql',
                            'ALTER FUNCTION monitoring_sql.value_of(text, text, timestamptz) OWNER TO onevault_sql',
                            'REVOKE CREATE ON SCHEMA monitoring_sql FROM onevault_sql']) AS statement
         WHERE pg_has_role(current_user, to_regrole('onevault_sql'), 'MEMBER')
           AND EXISTS (SELECT FROM pg_proc WHERE pronamespace = 'monitoring_sql'::regnamespace AND prosecdef AND proowner <> to_regrole('onevault_sql'))
        ORDER BY rank
    LOOP
        BEGIN
            EXECUTE v_object.statement;
        EXCEPTION WHEN insufficient_privilege THEN
            RETURN NEXT v_object.statement;
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.grant_sandbox() IS
    'Gives the sandbox of raw SQL conditions its owners and its rights; returns the statements that the present role may not run.';
