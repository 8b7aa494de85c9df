-- The watched servers besides the vault's own: what makes one usable, how it comes, changes and goes, and
-- what follows for evaluation. A secret is always somewhere else; a row says where.

CREATE OR REPLACE FUNCTION monitoring.check_target_name() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NEW.target_name !~ '^[A-Za-z0-9][A-Za-z0-9._-]*$' OR length(NEW.target_name) > 63 THEN
        RAISE EXCEPTION 'target name "%" cannot be part of an id', NEW.target_name
            USING ERRCODE = '22023', HINT = 'Use up to 63 letters, digits and . _ -, beginning with a letter or digit: pg-prod-3';
    END IF;
    IF lower(NEW.target_name) = 'local' THEN
        RAISE EXCEPTION 'target name "%" is taken: the vault''s own server has it, and is always watched', NEW.target_name
            USING ERRCODE = '22023', HINT = 'Choose another name.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_target_name() IS 'Trigger of target_h: refuses a name that workflows and schedules could not carry.';
CREATE OR REPLACE TRIGGER t10_check_target_name BEFORE INSERT ON monitoring.target_h
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_target_name();

CREATE OR REPLACE FUNCTION monitoring.check_target_url(p_url text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    v_shape constant text := 'Write postgres://user@host:5432/database?sslmode=verify-full';
    v_parts text[];
    v_name  text;
BEGIN
    -- What may hold a password is not repeated.
    IF p_url !~ '^postgres(ql)?://' THEN
        RAISE EXCEPTION 'target_url does not begin with postgres://' USING ERRCODE = '22023', HINT = v_shape || '.';
    END IF;
    IF p_url ~ '^[a-z]+://[^/?#]*:[^/?#]*@' OR p_url ~* '[?&](ssl)?password=' THEN
        RAISE EXCEPTION 'target_url holds a password'
            USING ERRCODE = '22023',
                  HINT = 'Leave it out and name where it is: password_env (a variable of the worker) or password_file. What was typed here may stand in a log: change that password.';
    END IF;
    v_parts := regexp_match(p_url, '^[a-z]+://([^@/?#\s]+)@([^@/?#\s]*)/([^/?#\s]+)(?:\?([^#\s]*))?$');
    IF v_parts IS NULL THEN
        RAISE EXCEPTION 'target_url lacks its user, host or database' USING ERRCODE = '22023', HINT = v_shape || '.';
    END IF;
    IF v_parts[2] ~ ':' AND v_parts[2] !~ ':[0-9]{1,5}$' AND v_parts[2] !~ '\]$' THEN
        RAISE EXCEPTION 'target_url has the host "%", whose port is no number', v_parts[2] USING ERRCODE = '22023', HINT = v_shape || '.';
    END IF;
    IF v_parts[2] = '' AND coalesce(v_parts[4], '') !~ '(^|&)host=' THEN
        RAISE EXCEPTION 'target_url lacks its host'
            USING ERRCODE = '22023', HINT = v_shape || ', or for a socket postgres://user@/database?host=/var/run/postgresql.';
    END IF;
    FOR v_name IN SELECT split_part(p, '=', 1) FROM regexp_split_to_table(coalesce(v_parts[4], ''), '&') AS p WHERE p <> '' LOOP
        IF v_name NOT IN ('sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslsni', 'host', 'port', 'target_session_attrs') THEN
            RAISE EXCEPTION 'target_url has the parameter "%", which is none of a target', v_name
                USING ERRCODE = '22023', HINT = 'Use sslmode, sslrootcert, sslcert, sslkey, sslsni, host, port or target_session_attrs; the collector sets the rest.';
        END IF;
    END LOOP;
    v_name := substring(v_parts[4] FROM '(?:^|&)sslmode=([^&]*)');
    IF v_name NOT IN ('disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full') THEN
        RAISE EXCEPTION 'target_url has the sslmode "%"', v_name
            USING ERRCODE = '22023', HINT = 'Use verify-full, verify-ca, require, prefer, allow or disable.';
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.check_target_url(text) IS
    'Raises 22023 for the address of a target that is malformed, holds a password, or sets what is the collector''s to set.';

CREATE OR REPLACE FUNCTION monitoring.check_target() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_field text;
    v_value text;
BEGIN
    IF NEW.load_end_date IS NOT NULL OR NEW.target_state = 'REMOVED' THEN
        RETURN NEW;  -- what is history, or over, was legal in its time
    END IF;
    IF num_nonnulls(NEW.target_url, NEW.url_env, NEW.url_file) <> 1 THEN
        RAISE EXCEPTION '% of target_url, url_env and url_file are given', num_nonnulls(NEW.target_url, NEW.url_env, NEW.url_file)
            USING ERRCODE = '22023', HINT = 'Give exactly one: the address without its password, or where the whole address is.';
    END IF;
    IF num_nonnulls(NEW.password_env, NEW.password_file) > 1 THEN
        RAISE EXCEPTION 'password_env and password_file are both given' USING ERRCODE = '22023', HINT = 'Give one.';
    END IF;
    IF NEW.target_url IS NULL AND num_nonnulls(NEW.password_env, NEW.password_file) > 0 THEN
        RAISE EXCEPTION 'a password is given beside url_env or url_file'
            USING ERRCODE = '22023', HINT = 'The whole address holds its password: leave password_env and password_file out.';
    END IF;
    IF NEW.target_url IS NOT NULL THEN
        PERFORM monitoring.check_target_url(NEW.target_url);
    END IF;

    FOR v_field, v_value IN VALUES ('password_env', NEW.password_env), ('url_env', NEW.url_env) LOOP
        IF v_value !~ '^[A-Z][A-Z0-9_]*$' THEN
            -- Not repeated: it may be the secret itself, typed in the wrong place.
            RAISE EXCEPTION '% is no name of a variable', v_field
                USING ERRCODE = '22023', HINT = 'Write its name and no value: capital letters, digits and _, such as PGPASS_PROD.';
        END IF;
        -- Who may write this row could have the worker's own credentials sent to a server of his choice.
        IF v_value ~ '^(PG[A-Z]+$|TEMPORAL_|ONEVAULT_DATABASE|ONEVAULT_LINK)' THEN
            RAISE EXCEPTION '% is "%", which is the worker''s own', v_field, v_value
                USING ERRCODE = '22023', HINT = 'Give the secret of a target a variable of its own, such as PGPASS_PROD.';
        END IF;
    END LOOP;
    FOR v_field, v_value IN VALUES ('password_file', NEW.password_file), ('url_file', NEW.url_file) LOOP
        IF v_value !~ '^/' OR v_value ~ '(^|/)\.\.(/|$)' THEN
            RAISE EXCEPTION '% is "%", which is no absolute path', v_field, v_value
                USING ERRCODE = '22023', HINT = 'Write the whole path, without "..": /etc/onevault/prod.pass';
        END IF;
    END LOOP;

    -- Conditions look back over ten minutes.
    IF NEW.collect_every_seconds NOT BETWEEN 5 AND 300 THEN
        RAISE EXCEPTION 'collect_every_seconds is %', NEW.collect_every_seconds
            USING ERRCODE = '22023', HINT = 'Use 5 seconds to 5 minutes: conditions look back over 10 minutes, and two samples shall lie within.';
    END IF;
    PERFORM monitoring.require_actor(NEW.changed_by, 'changed_by');
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_target() IS
    'Trigger of target_s: refuses a target that could never be reached, or that holds a secret.';
CREATE OR REPLACE TRIGGER t10_check_target BEFORE INSERT ON monitoring.target_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_target();

CREATE OR REPLACE VIEW monitoring.target_current AS
    SELECT h.target_name, s.target_state, s.target_url, s.password_env, s.password_file, s.url_env, s.url_file,
           make_interval(secs => s.collect_every_seconds) AS collect_every, s.description, h.tenant_hk,
           s.changed_by, s.changed_role, s.load_date AS version, h.load_date AS added_at
      FROM monitoring.target_h h
      JOIN monitoring.target_s s ON s.target_hk = h.target_hk AND s.load_end_date IS NULL;
COMMENT ON VIEW monitoring.target_current IS 'The watched servers as they stand, removed ones too; local, the vault''s own, is not among them.';
COMMENT ON COLUMN monitoring.target_current.collect_every IS 'How often its health is measured; NULL: as the workers'' own setting says.';
COMMENT ON COLUMN monitoring.target_current.version IS 'Since when it stands like this.';
COMMENT ON COLUMN monitoring.target_current.added_at IS 'When it was first added.';
DO $do$
DECLARE
    v_column name;
BEGIN
    FOREACH v_column IN ARRAY ARRAY['target_state', 'target_url', 'password_env', 'password_file', 'url_env', 'url_file',
                                    'description', 'changed_by', 'changed_role'] LOOP
        EXECUTE format('COMMENT ON COLUMN monitoring.target_current.%I IS %L', v_column,
            (SELECT col_description(attrelid, attnum) FROM pg_attribute
              WHERE attrelid = 'monitoring.target_s'::regclass AND attname = v_column));
    END LOOP;
END
$do$;

-- ---------------------------------------------------------------- how one comes, changes and goes

CREATE OR REPLACE FUNCTION monitoring.target_lock(p_name text) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT hashtextextended('onevault.target/' || upper(p_name), 0) $$;
COMMENT ON FUNCTION monitoring.target_lock(text) IS
    'The advisory lock of a target: who changes it holds it alone, who evaluates it holds it with others.';

CREATE OR REPLACE FUNCTION monitoring.current_target(p_name text) RETURNS monitoring.target_s
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_target monitoring.target_s;
BEGIN
    SELECT s.* INTO v_target
      FROM monitoring.target_h h
      JOIN monitoring.target_s s ON s.target_hk = h.target_hk AND s.load_end_date IS NULL
     WHERE h.target_bk = util.bk('TARGET', p_name) AND s.target_state <> 'REMOVED';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no target "%"', p_name
            USING ERRCODE = 'P0002',
                  HINT = CASE WHEN lower(p_name) = 'local' THEN 'The vault''s own server is watched as the workers'' settings say.'
                         ELSE 'See them: onevault target list, or SELECT * FROM monitoring.target_current.' END;
    END IF;
    RETURN v_target;
END
$$;
COMMENT ON FUNCTION monitoring.current_target(text) IS 'The current version of a target that was not removed; raises P0002 where there is none.';

CREATE OR REPLACE FUNCTION monitoring.add_target(
    p_name text, p_url text DEFAULT NULL, p_password_env text DEFAULT NULL, p_password_file text DEFAULT NULL,
    p_url_env text DEFAULT NULL, p_url_file text DEFAULT NULL, p_tenant text DEFAULT NULL,
    p_collect_every interval DEFAULT NULL, p_description text DEFAULT NULL, p_by text DEFAULT session_user) RETURNS bytea
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_bk        text := util.bk('TARGET', p_name);
    v_hk        bytea := util.hash_binary(v_bk);
    v_tenant_hk bytea;
    v_known     record;
BEGIN
    PERFORM monitoring.require_actor(p_by, 'p_by');
    IF p_tenant IS NOT NULL THEN
        SELECT t.tenant_hk INTO v_tenant_hk FROM auth.tenant_h t WHERE t.tenant_bk = p_tenant;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'no tenant "%"', p_tenant USING ERRCODE = '22023', HINT = 'See them: SELECT tenant_bk FROM auth.tenant_h.';
        END IF;
    END IF;
    PERFORM pg_advisory_xact_lock(monitoring.target_lock(p_name));
    SELECT h.target_name, h.tenant_hk, s.target_state INTO v_known
      FROM monitoring.target_h h
      LEFT JOIN monitoring.target_s s ON s.target_hk = h.target_hk AND s.load_end_date IS NULL
     WHERE h.target_hk = v_hk;
    IF v_known.target_state <> 'REMOVED' THEN
        RAISE EXCEPTION 'target "%" is there already', v_known.target_name
            USING ERRCODE = '22023', HINT = 'Change it with monitoring.change_target(), remove it first, or choose another name.';
    END IF;
    -- One that comes back goes on with its history, and history cannot change whose it is.
    IF v_known.target_name IS NOT NULL AND v_known.tenant_hk IS DISTINCT FROM v_tenant_hk THEN
        RAISE EXCEPTION 'the history of a removed target "%" belongs to another tenant, or to none', v_known.target_name
            USING ERRCODE = '22023', HINT = 'Choose another name, or give the tenant that it had.';
    END IF;
    IF v_known.target_name IS NULL THEN
        INSERT INTO monitoring.target_h (target_hk, target_bk, tenant_hk, target_name) VALUES (v_hk, v_bk, v_tenant_hk, p_name);
    END IF;
    INSERT INTO monitoring.target_s (
        target_hk, hash_diff, target_url, password_env, password_file, url_env, url_file, collect_every_seconds, description,
        changed_by, changed_role)
    VALUES (v_hk, '\x', p_url, p_password_env, p_password_file, p_url_env, p_url_file, extract(epoch FROM p_collect_every)::integer,
        p_description, p_by, session_user);
    RETURN v_hk;
END
$$;
COMMENT ON FUNCTION monitoring.add_target(text, text, text, text, text, text, text, interval, text, text) IS
    'Has a server watched: p_url without its password and where that is (p_password_env, p_password_file), or where the whole address is (p_url_env, p_url_file). p_tenant is a tenant_bk. Workers begin within seconds.';

CREATE OR REPLACE FUNCTION monitoring.change_target(
    p_name text, p_url text DEFAULT NULL, p_password_env text DEFAULT NULL, p_password_file text DEFAULT NULL,
    p_url_env text DEFAULT NULL, p_url_file text DEFAULT NULL, p_enabled boolean DEFAULT NULL,
    p_collect_every interval DEFAULT NULL, p_description text DEFAULT NULL, p_by text DEFAULT session_user) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_target  monitoring.target_s;
    v_version timestamptz;
BEGIN
    PERFORM monitoring.require_actor(p_by, 'p_by');
    PERFORM pg_advisory_xact_lock(monitoring.target_lock(p_name));
    v_target := monitoring.current_target(p_name);
    v_version := v_target.load_date;
    -- A new source of the address or of the password takes the place of the old one.
    IF num_nonnulls(nullif(p_url, ''), nullif(p_url_env, ''), nullif(p_url_file, '')) > 0 THEN
        v_target.target_url := NULL;
        v_target.url_env := NULL;
        v_target.url_file := NULL;
    END IF;
    IF num_nonnulls(nullif(p_password_env, ''), nullif(p_password_file, ''), nullif(p_url_env, ''), nullif(p_url_file, '')) > 0 THEN
        v_target.password_env := NULL;
        v_target.password_file := NULL;
    END IF;
    v_target.target_url := coalesce(nullif(p_url, ''), v_target.target_url);
    v_target.url_env := coalesce(nullif(p_url_env, ''), v_target.url_env);
    v_target.url_file := coalesce(nullif(p_url_file, ''), v_target.url_file);
    v_target.password_env := nullif(coalesce(p_password_env, v_target.password_env), '');
    v_target.password_file := nullif(coalesce(p_password_file, v_target.password_file), '');
    v_target.target_state := CASE p_enabled WHEN true THEN 'ENABLED' WHEN false THEN 'DISABLED' ELSE v_target.target_state END;
    v_target.collect_every_seconds := CASE WHEN p_collect_every = interval '0' THEN NULL
                                           ELSE coalesce(extract(epoch FROM p_collect_every)::integer, v_target.collect_every_seconds) END;
    v_target.description := nullif(coalesce(p_description, v_target.description), '');
    IF monitoring.hash_diff_of(to_jsonb(v_target), 'target_hk') = v_target.hash_diff THEN
        RETURN false;  -- by whom it is left as it is is no change
    END IF;
    v_target.changed_by := p_by;
    v_target.changed_role := session_user;
    v_target.load_date := clock_timestamp();
    INSERT INTO monitoring.target_s SELECT (v_target).*;
    RETURN true;
END
$$;
COMMENT ON FUNCTION monitoring.change_target(text, text, text, text, text, text, boolean, interval, text, text) IS
    'Changes what is given and leaves what is NULL; an empty text, or an interval of 0, clears. p_enabled false: nobody looks, and open alerts stay as they are. Returns whether anything changed.';

CREATE OR REPLACE FUNCTION monitoring.remove_target(p_name text, p_by text DEFAULT session_user) RETURNS integer
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_target monitoring.target_s;
    v_alert  record;
    v_ended  integer := 0;
    v_at     timestamptz;
    v_notes  text;
BEGIN
    PERFORM monitoring.require_actor(p_by, 'p_by');
    -- Alone: an evaluation that is under way ends first, and a later one finds the target removed.
    PERFORM pg_advisory_xact_lock(monitoring.target_lock(p_name));
    v_target := monitoring.current_target(p_name);
    v_target.target_state := 'REMOVED';
    v_target.changed_by := p_by;
    v_target.changed_role := session_user;
    v_target.load_date := clock_timestamp();
    INSERT INTO monitoring.target_s SELECT (v_target).*;

    -- Nobody will see whether their conditions clear, so the alerts say what ended them.
    v_at := clock_timestamp();
    v_notes := format('the target was removed by %s: whether the condition cleared is not known', p_by);
    FOR v_alert IN
        SELECT a.alert_instance_hk, s.alert_status
          FROM monitoring.target_h h
          JOIN monitoring.alert_instance_h a ON a.target_name = h.target_name
          JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = a.alert_instance_hk AND s.load_end_date IS NULL
         WHERE h.target_hk = v_target.target_hk AND s.alert_status <> 'RESOLVED'
         ORDER BY a.alert_instance_hk
    LOOP
        CONTINUE WHEN NOT (monitoring.change_alert_state(v_alert.alert_instance_hk, 'RESOLVED', v_at, 'target removed',
                               'psql:' || session_user, v_notes, NULL)).changed;
        v_ended := v_ended + 1;
        IF v_alert.alert_status <> 'SUPPRESSED' THEN
            PERFORM monitoring.tell_workflow('RESOLVED', v_alert.alert_instance_hk, jsonb_build_object(
                'actor', 'target removed', 'via', 'psql:' || session_user, 'at', v_at, 'notes', v_notes));
        END IF;
    END LOOP;
    RETURN v_ended;
END
$$;
COMMENT ON FUNCTION monitoring.remove_target(text, text) IS
    'Ends the watching of a server. Its alerts end as resolved by "target removed", and who was told of them is told so; its history stays. Returns how many alerts that were.';

-- ---------------------------------------------------------------- whose it is

CREATE OR REPLACE FUNCTION monitoring.give_tenant_of_target() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NEW.tenant_hk IS NULL AND NEW.target_name <> 'local' THEN
        SELECT h.tenant_hk INTO NEW.tenant_hk FROM monitoring.target_h h WHERE h.target_bk = util.bk('TARGET', NEW.target_name);
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.give_tenant_of_target() IS
    'Trigger of hubs that name a target: what is found on the server of a tenant is that tenant''s, whoever records it.';

DO $do$
DECLARE
    v_hub name;
BEGIN
    FOR v_hub IN
        SELECT c.relname
          FROM pg_class c
          JOIN pg_attribute t ON t.attrelid = c.oid AND t.attname = 'target_name'
          JOIN pg_attribute o ON o.attrelid = c.oid AND o.attname = 'tenant_hk'
         WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind = 'r' AND c.relname LIKE '%\_h' AND c.relname <> 'target_h'
    LOOP
        PERFORM monitoring.put_trigger(v_hub, 't20_give_tenant_of_target', 'BEFORE INSERT', 'ROW EXECUTE FUNCTION monitoring.give_tenant_of_target()');
    END LOOP;
END
$do$;

-- ---------------------------------------------------------------- what follows for evaluation

CREATE OR REPLACE FUNCTION monitoring.unreachable_since(p_target text, p_at timestamptz) RETURNS timestamptz
    LANGUAGE sql STABLE
    AS $$
    -- The newest look of the last hour decides. With a constant key it is one look-up.
    SELECT CASE WHEN s.metric_value = 0 THEN s.measurement_timestamp END
      FROM monitoring.system_health_metric_s s
     WHERE s.health_metric_hk = util.hash_binary(util.bk(p_target, 'HEALTH', 'target_reachable', 'SYSTEM'))
       AND s.load_end_date IS NULL
       AND s.measurement_timestamp > p_at - interval '1 hour' AND s.measurement_timestamp <= p_at
     ORDER BY s.measurement_timestamp DESC, s.load_date DESC
     LIMIT 1
    $$;
COMMENT ON FUNCTION monitoring.unreachable_since(text, timestamptz) IS
    'When the newest look at a target got no answer: what was measured before says nothing about now. NULL: it answered, or nobody looked for an hour.';

CREATE OR REPLACE FUNCTION monitoring.sources_of_the_vault() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT ARRAY['backup_failures', 'notifications', 'incidents'] $$;
COMMENT ON FUNCTION monitoring.sources_of_the_vault() IS
    'The metric sources that are read in the vault and say nothing about a target: their definitions are evaluated on local alone.';

CREATE OR REPLACE FUNCTION monitoring.hold_target(p_target text, OUT removed boolean, OUT tenant_hk bytea)
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(monitoring.target_lock(p_target));
    SELECT s.target_state = 'REMOVED', h.tenant_hk INTO removed, tenant_hk
      FROM monitoring.target_h h
      JOIN monitoring.target_s s ON s.target_hk = h.target_hk AND s.load_end_date IS NULL
     WHERE h.target_bk = util.bk('TARGET', p_target);
    removed := coalesce(removed, false);
END
$$;
COMMENT ON FUNCTION monitoring.hold_target(text) IS
    'Keeps a target from being removed until the transaction ends, and tells whether it was already, and whose it is.';
