-- The discipline of the vault, kept by the database itself: hash_diff computed, one current row per
-- key, only closing updates, hubs frozen, partitions made ahead.

CREATE OR REPLACE FUNCTION monitoring.hash_diff_of(p_row jsonb, p_key_column text) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    -- jsonb orders its keys, and NULLs are left out, so that a new nullable column changes no old hash.
    SELECT sha256(convert_to(coalesce(jsonb_object_agg(k, v)::text, '{}'), 'UTF8'))
      FROM jsonb_each(p_row - ARRAY[p_key_column, 'load_date', 'load_end_date', 'hash_diff', 'record_source']) AS e (k, v)
     WHERE v <> 'null'::jsonb
    $$;
COMMENT ON FUNCTION monitoring.hash_diff_of(jsonb, text) IS
    'SHA-256 of the descriptive, non-NULL columns of a satellite row.';

CREATE OR REPLACE FUNCTION monitoring.require_end_after_begin(p_table regclass, p_load_date timestamptz, p_load_end_date timestamptz) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    IF p_load_end_date < p_load_date THEN
        RAISE EXCEPTION 'load_end_date % of a row of % lies before its load_date %', p_load_end_date,
            (SELECT format('%I.%I', c.relnamespace::regnamespace, c.relname) FROM pg_class c WHERE c.oid = p_table), p_load_date
            USING ERRCODE = '22023', HINT = 'A version ends when it is replaced, and that is after it came.';
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.require_end_after_begin(regclass, timestamptz, timestamptz) IS
    'Raises 22023 for a version of a satellite that would end before it came.';

CREATE OR REPLACE FUNCTION monitoring.keep_one_current_row() RETURNS trigger
    LANGUAGE plpgsql
    -- Whoever may insert a version may close the one before it by that, and by nothing else.
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    SET timezone = 'UTC'
    SET bytea_output = 'hex'
    SET intervalstyle = 'iso_8601'
    AS $$
DECLARE
    v_key_column text := TG_ARGV[0];
    v_table      text := format('%I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME);
    v_hub        text := format('%I.%I', TG_TABLE_SCHEMA, TG_ARGV[1]);
    v_key        bytea;
    v_current    record;
    v_versions   boolean;
    v_queued     boolean := false;
    v_closed     integer;
BEGIN
    EXECUTE format('SELECT ($1).%I', v_key_column) INTO v_key USING NEW;
    -- The caller's hash_diff may be any constant (the guide passes one), so it is always computed here.
    NEW.hash_diff := monitoring.hash_diff_of(to_jsonb(NEW), v_key_column);
    NEW.load_date := coalesce(NEW.load_date, clock_timestamp());
    IF NEW.load_end_date IS NOT NULL THEN
        PERFORM monitoring.require_end_after_begin(TG_RELID, NEW.load_date, NEW.load_end_date);
        RETURN NEW;  -- a version that is history already, loaded from elsewhere
    END IF;

    -- A waiter whose row was closed meanwhile looks again, so that blind writers queue and do not fail.
    LOOP
        EXECUTE format('SELECT load_date, hash_diff FROM %s WHERE %I = $1 AND load_end_date IS NULL FOR UPDATE',
                       v_table, v_key_column)
           INTO v_current USING v_key;
        EXIT WHEN v_current.load_date IS NOT NULL;
        EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I = $1 AND load_end_date IS NULL)', v_table, v_key_column)
           INTO v_versions USING v_key;
        IF NOT v_versions THEN
            IF v_queued THEN
                RETURN NEW;
            END IF;
            -- No row yet to wait for: writers of a first version queue at the hub's, and then look again.
            EXECUTE format('SELECT FROM %s WHERE %I = $1 FOR NO KEY UPDATE', v_hub, v_key_column) USING v_key;
            v_queued := true;
        END IF;
    END LOOP;

    IF v_current.hash_diff = NEW.hash_diff THEN
        RETURN NULL;  -- unchanged: a retried write is no new version
    END IF;

    NEW.load_date := greatest(NEW.load_date, v_current.load_date + interval '1 microsecond');
    EXECUTE format('UPDATE %s SET load_end_date = $1 WHERE %I = $2 AND load_date = $3 AND load_end_date IS NULL',
                   v_table, v_key_column)
      USING NEW.load_date, v_key, v_current.load_date;
    GET DIAGNOSTICS v_closed = ROW_COUNT;
    IF v_closed <> 1 THEN
        RAISE EXCEPTION 'another session changed the current row of % at the same moment', v_table
            USING ERRCODE = '40001', HINT = 'Retry the transaction.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.keep_one_current_row() IS
    'Trigger of state satellites: computes hash_diff, skips an unchanged row, closes the current row.';

CREATE OR REPLACE FUNCTION monitoring.refuse_backdating() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    -- Who may close rows, the worker and the owner, may bring history back. Who may only insert, people on
    -- call, says what holds from now on.
    IF has_column_privilege(TG_RELID, 'load_end_date', 'UPDATE') THEN
        RETURN NEW;
    END IF;
    IF NEW.load_end_date IS NOT NULL THEN
        RAISE EXCEPTION 'role % may not insert a version of %.% that has ended already', current_user, TG_TABLE_SCHEMA, TG_TABLE_NAME
            USING ERRCODE = '42501', HINT = 'Leave load_end_date out: the version before is closed by itself.';
    END IF;
    NEW.load_date := clock_timestamp();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.refuse_backdating() IS
    'Trigger of state satellites: a version by a role that may not close rows begins now, whatever it says.';

CREATE OR REPLACE FUNCTION monitoring.allow_only_closing() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    -- Nested, because only then is nothing of OLD looked at for another operation.
    IF TG_OP = 'DELETE' AND coalesce(current_setting('onevault.purging_archive', true), '') <> '' THEN
        IF OLD.load_end_date IS NOT NULL AND monitoring.may_leave(TG_TABLE_NAME, OLD.load_end_date) THEN
            RETURN OLD;
        END IF;
    END IF;
    IF TG_OP IN ('DELETE', 'TRUNCATE') THEN
        RAISE EXCEPTION '%.% is history and cannot be deleted', TG_TABLE_SCHEMA, TG_TABLE_NAME
            USING ERRCODE = '55000', HINT = 'Rows leave the vault only by retention, which archives them first: see monitoring.drop_archived.';
    END IF;
    IF OLD.load_end_date IS NOT NULL
       OR NEW.load_end_date IS NULL
       OR NEW.load_end_date < OLD.load_date
       OR (to_jsonb(NEW) - 'load_end_date') IS DISTINCT FROM (to_jsonb(OLD) - 'load_end_date') THEN
        RAISE EXCEPTION '%.% is history and cannot be changed', TG_TABLE_SCHEMA, TG_TABLE_NAME
            USING ERRCODE = '55000',
                  HINT = 'INSERT a new version instead: the current one is closed by itself. The only legal update sets load_end_date of a current row.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.allow_only_closing() IS
    'Trigger of satellites: the only legal UPDATE closes a current row, and nothing is deleted but by drop_archived.';

CREATE OR REPLACE FUNCTION monitoring.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '%.% is a %: its rows are never changed or deleted', TG_TABLE_SCHEMA, TG_TABLE_NAME,
        CASE WHEN TG_TABLE_NAME LIKE '%\_l' THEN 'link' ELSE 'hub' END
        USING ERRCODE = '55000', HINT = 'What is known about a key goes into its satellite, as a new version.';
END
$$;
COMMENT ON FUNCTION monitoring.refuse_change() IS 'Trigger of hubs and links: insert only.';


CREATE OR REPLACE FUNCTION monitoring.skip_known_key() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_known jsonb;
BEGIN
    EXECUTE format('SELECT to_jsonb(h) FROM %1$I.%2$I AS h WHERE h.%3$I = ($1).%3$I', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0])
       INTO v_known USING NEW;
    -- The same key that says anything else goes on, and meets the primary key.
    IF v_known - ARRAY['load_date', 'record_source'] = to_jsonb(NEW) - ARRAY['load_date', 'record_source'] THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.skip_known_key() IS
    'Trigger of hubs and links: a key that is known already is no second row and no error, so that a set-up script can be run again.';

CREATE OR REPLACE FUNCTION monitoring.partitioned_tables() RETURNS TABLE (table_name name)
    LANGUAGE sql STABLE
    AS $$
    SELECT c.relname FROM pg_class c
     WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind = 'p'
     ORDER BY c.relname
    $$;
COMMENT ON FUNCTION monitoring.partitioned_tables() IS 'The measurement satellites, which are partitioned by week.';

CREATE OR REPLACE FUNCTION monitoring.make_partition(p_table text, p_week date) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_name text := format('%s_p%s', p_table, to_char(p_week, 'YYYYMMDD'));
BEGIN
    IF to_regclass('monitoring.' || v_name) IS NOT NULL THEN
        RETURN false;
    END IF;
    -- Made beside its table and attached when it is complete: the lock that PARTITION OF takes would
    -- wait for every session that reads the table, and deadlock with those that wait here.
    EXECUTE format('CREATE TABLE monitoring.%I (LIKE monitoring.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', v_name, p_table);
    -- Nobody has any right to a partition; were it given, its table's policies would not hold there.
    EXECUTE format('ALTER TABLE monitoring.%I ENABLE ROW LEVEL SECURITY', v_name);
    -- Row triggers come from the parent by themselves, this one does not.
    EXECUTE format('CREATE TRIGGER t60_refuse_truncate BEFORE TRUNCATE ON monitoring.%I
                    FOR EACH STATEMENT EXECUTE FUNCTION monitoring.allow_only_closing()', v_name);
    EXECUTE format('ALTER TABLE monitoring.%I ATTACH PARTITION monitoring.%I FOR VALUES FROM (%L) TO (%L)',
                   p_table, v_name,
                   to_char(p_week, 'YYYY-MM-DD') || ' 00:00:00+00',
                   to_char(p_week + 7, 'YYYY-MM-DD') || ' 00:00:00+00');
    RETURN true;
END
$$;
COMMENT ON FUNCTION monitoring.make_partition(text, date) IS
    'Makes the partition of a measurement satellite for the week that begins on a Monday; false: it is there. Called by ensure_partitions and ensure_partitions_of, which queue.';

CREATE OR REPLACE FUNCTION monitoring.check_weeks(p_from timestamptz, p_to timestamptz) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    IF (isfinite(p_from) AND isfinite(p_to) AND p_to <= p_from + interval '520 weeks') IS NOT TRUE THEN
        RAISE EXCEPTION 'partitions from % to % are asked for', coalesce(p_from::text, 'NULL'), coalesce(p_to::text, 'NULL')
            USING ERRCODE = '22023', HINT = 'Ask for at most ten years: each week is a table.';
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.check_weeks(timestamptz, timestamptz) IS 'Raises 22023 for a time in which nobody needs partitions.';

CREATE OR REPLACE FUNCTION monitoring.ensure_partitions(p_from date, p_to date) RETURNS integer
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_table text;
    v_week  date;
    v_made  integer := 0;
BEGIN
    PERFORM monitoring.check_weeks(p_from, p_to);
    -- One maker at a time; the loser finds the partitions made.
    PERFORM pg_advisory_xact_lock(hashtextextended('monitoring.ensure_partitions', 0));
    FOR v_table IN SELECT table_name FROM monitoring.partitioned_tables() LOOP
        v_week := date_trunc('week', p_from)::date;
        WHILE v_week < p_to LOOP
            v_made := v_made + monitoring.make_partition(v_table, v_week)::integer;
            v_week := v_week + 7;
        END LOOP;
    END LOOP;
    RETURN v_made;
END
$$;
COMMENT ON FUNCTION monitoring.ensure_partitions(date, date) IS
    'Makes the weekly partitions of the measurement satellites that cover [from, to); returns how many were made.';

CREATE OR REPLACE FUNCTION monitoring.ensure_partitions_around(p_at timestamptz) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_ahead text := to_char(date_trunc('week', p_at AT TIME ZONE 'UTC')::date + 7, 'YYYYMMDD');
    v_now   text := to_char(date_trunc('week', p_at AT TIME ZONE 'UTC')::date, 'YYYYMMDD');
BEGIN
    -- Look-ups in the catalog's cache: cheap enough for every write of measurements.
    IF EXISTS (SELECT FROM monitoring.partitioned_tables() AS t
                WHERE to_regclass('monitoring.' || t.table_name || '_p' || v_now) IS NULL
                   OR to_regclass('monitoring.' || t.table_name || '_p' || v_ahead) IS NULL) THEN
        PERFORM monitoring.ensure_partitions((p_at AT TIME ZONE 'UTC')::date, (p_at AT TIME ZONE 'UTC')::date + 21);
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.ensure_partitions_around(timestamptz) IS
    'Makes sure that measurements of this week and the next have a partition.';

CREATE OR REPLACE FUNCTION monitoring.put_trigger(p_table name, p_trigger name, p_when text, p_does text) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_text text := format('TRIGGER %I %s ON monitoring.%I FOR EACH %s', p_trigger, p_when, p_table, p_does);
BEGIN
    -- Making one waits for whoever writes to the table, and has everybody else wait behind it: what stands stays.
    IF NOT EXISTS (SELECT FROM pg_trigger g
                    WHERE g.tgrelid = format('monitoring.%I', p_table)::regclass AND g.tgname = p_trigger AND g.tgenabled <> 'D'
                      AND pg_get_triggerdef(g.oid) = 'CREATE ' || v_text) THEN
        EXECUTE 'CREATE OR REPLACE ' || v_text;
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.put_trigger(name, name, text, text) IS
    'Gives a table a trigger unless it has exactly that one and it is enabled. Its parts are written as pg_get_triggerdef() writes them: INSERT OR DELETE OR UPDATE, ROW EXECUTE FUNCTION monitoring.name().';

-- Run after every migration, so that a new table has its discipline whatever made it.
CREATE OR REPLACE FUNCTION monitoring.enforce_discipline() RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_sat record;
    v_hub record;
BEGIN
    FOR v_sat IN
        -- State satellites: a key of (hub's or link's key, load_date). Measurements have a third column.
        SELECT c.relname AS table_name, a.attname AS key_column, h.relname AS hub_name
          FROM pg_class c
          JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p' AND cardinality(k.conkey) = 2
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
          JOIN pg_constraint f ON f.conrelid = c.oid AND f.contype = 'f' AND f.conkey = ARRAY[a.attnum]
          JOIN pg_class h ON h.oid = f.confrelid
         WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition AND c.relname LIKE '%\_s'
    LOOP
        IF to_regclass(format('monitoring.%I', v_sat.table_name || '_one_current')) IS NULL THEN
            EXECUTE format('CREATE UNIQUE INDEX %I ON monitoring.%I (%I) WHERE load_end_date IS NULL',
                           v_sat.table_name || '_one_current', v_sat.table_name, v_sat.key_column);
        END IF;
        PERFORM monitoring.put_trigger(v_sat.table_name, 't45_refuse_backdating', 'BEFORE INSERT', 'ROW EXECUTE FUNCTION monitoring.refuse_backdating()');
        PERFORM monitoring.put_trigger(v_sat.table_name, 't50_keep_one_current_row', 'BEFORE INSERT',
            CASE WHEN to_regprocedure(format('monitoring.keep_one_current_%s()', v_sat.table_name)) IS NOT NULL
            THEN format('ROW EXECUTE FUNCTION monitoring.keep_one_current_%s()', v_sat.table_name)
            ELSE format('ROW EXECUTE FUNCTION monitoring.keep_one_current_row(%L, %L)', v_sat.key_column, v_sat.hub_name) END);
    END LOOP;

    FOR v_sat IN
        SELECT relname AS table_name FROM pg_class
         WHERE relnamespace = 'monitoring'::regnamespace AND relkind IN ('r', 'p')
           AND NOT relispartition AND relname LIKE '%\_s'
    LOOP
        PERFORM monitoring.put_trigger(v_sat.table_name, 't60_allow_only_closing', 'BEFORE DELETE OR UPDATE',
            'ROW EXECUTE FUNCTION monitoring.allow_only_closing()');
        PERFORM monitoring.put_trigger(v_sat.table_name, 't60_refuse_truncate', 'BEFORE TRUNCATE',
            'STATEMENT EXECUTE FUNCTION monitoring.allow_only_closing()');
    END LOOP;

    -- Partitions that an earlier version made.
    FOR v_sat IN
        SELECT c.relname AS table_name FROM pg_class c
         WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind = 'r' AND c.relispartition
           AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgname = 't60_refuse_truncate')
    LOOP
        EXECUTE format('CREATE TRIGGER t60_refuse_truncate BEFORE TRUNCATE ON monitoring.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION monitoring.allow_only_closing()', v_sat.table_name);
    END LOOP;

    FOR v_hub IN
        SELECT c.relname AS table_name, a.attname AS key_column
          FROM pg_class c
          JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
         WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind = 'r' AND c.relname ~ '_[hl]$'
    LOOP
        PERFORM monitoring.put_trigger(v_hub.table_name, 't50_skip_known_key', 'BEFORE INSERT',
            CASE WHEN to_regprocedure(format('monitoring.skip_known_%s()', v_hub.table_name)) IS NOT NULL
            THEN format('ROW EXECUTE FUNCTION monitoring.skip_known_%s()', v_hub.table_name)
            ELSE format('ROW EXECUTE FUNCTION monitoring.skip_known_key(%L)', v_hub.key_column) END);
        PERFORM monitoring.put_trigger(v_hub.table_name, 't60_refuse_change', 'BEFORE DELETE OR UPDATE',
            'ROW EXECUTE FUNCTION monitoring.refuse_change()');
        PERFORM monitoring.put_trigger(v_hub.table_name, 't60_refuse_truncate', 'BEFORE TRUNCATE',
            'STATEMENT EXECUTE FUNCTION monitoring.refuse_change()');
    END LOOP;

    -- A measurement ends after it came, too; a trigger for each of so many rows would cost more than the rule.
    FOR v_sat IN
        SELECT c.relname AS table_name FROM pg_class c
         WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind = 'p'
           AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.conname = c.relname || '_ends_after_it_came')
    LOOP
        EXECUTE format('ALTER TABLE monitoring.%I ADD CONSTRAINT %I CHECK (load_end_date >= load_date)',
                       v_sat.table_name, v_sat.table_name || '_ends_after_it_came');
    END LOOP;

    -- Not further back than measurements are kept: an older partition would be due to leave as it is made.
    PERFORM monitoring.ensure_partitions((now() AT TIME ZONE 'UTC')::date - 35, (now() AT TIME ZONE 'UTC')::date + 21);
END
$$;
COMMENT ON FUNCTION monitoring.enforce_discipline() IS
    'Gives every hub, link and satellite of the schema its triggers and its unique current row, and makes the partitions.';

-- ---------------------------------------------------------------- indexes

CREATE INDEX IF NOT EXISTS system_health_metric_s_recent ON monitoring.system_health_metric_s (measurement_timestamp DESC, status) WHERE load_end_date IS NULL;
CREATE INDEX IF NOT EXISTS system_health_metric_h_target ON monitoring.system_health_metric_h (target_name, tenant_hk);
CREATE INDEX IF NOT EXISTS alert_evaluation_s_latest ON monitoring.alert_evaluation_s (alert_definition_hk, target_name, evaluated_at DESC);
CREATE INDEX IF NOT EXISTS alert_definition_s_enabled ON monitoring.alert_definition_s (is_enabled, alert_category) WHERE load_end_date IS NULL;
CREATE INDEX IF NOT EXISTS alert_instance_h_definition ON monitoring.alert_instance_h (alert_definition_hk, target_name);
CREATE INDEX IF NOT EXISTS alert_instance_s_status ON monitoring.alert_instance_s (alert_status, triggered_timestamp DESC) WHERE load_end_date IS NULL;
CREATE INDEX IF NOT EXISTS alert_instance_s_active ON monitoring.alert_instance_s (alert_status, triggered_timestamp DESC) INCLUDE (alert_instance_hk) WHERE load_end_date IS NULL AND alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED');
-- All versions: the guide asks for the last firing of each definition without looking at load_end_date.
CREATE INDEX IF NOT EXISTS alert_instance_s_history ON monitoring.alert_instance_s (alert_instance_hk, triggered_timestamp);
CREATE INDEX IF NOT EXISTS alert_instance_s_triggered ON monitoring.alert_instance_s (triggered_timestamp DESC) WHERE load_end_date IS NULL;
CREATE INDEX IF NOT EXISTS notification_log_h_alert ON monitoring.notification_log_h (alert_instance_hk);
CREATE INDEX IF NOT EXISTS notification_log_s_sent ON monitoring.notification_log_s (sent_timestamp DESC) WHERE load_end_date IS NULL;
CREATE INDEX IF NOT EXISTS notification_log_s_undelivered ON monitoring.notification_log_s (delivery_status, sent_timestamp) WHERE load_end_date IS NULL AND delivery_status IN ('PENDING', 'FAILED');
CREATE INDEX IF NOT EXISTS system_health_metric_s_bad ON monitoring.system_health_metric_s (measurement_timestamp DESC) WHERE load_end_date IS NULL AND status IN ('WARNING', 'CRITICAL', 'UNKNOWN');
CREATE INDEX IF NOT EXISTS performance_metric_s_recent ON monitoring.performance_metric_s (measurement_period_end DESC) WHERE load_end_date IS NULL;
CREATE INDEX IF NOT EXISTS performance_metric_s_query ON monitoring.performance_metric_s (query_hash, measurement_period_end DESC) WHERE load_end_date IS NULL;
CREATE INDEX IF NOT EXISTS capacity_metric_s_recent ON monitoring.capacity_metric_s (measurement_timestamp DESC) WHERE load_end_date IS NULL;
CREATE INDEX IF NOT EXISTS capacity_metric_s_projected ON monitoring.capacity_metric_s (projected_full_date) WHERE load_end_date IS NULL AND projected_full_date IS NOT NULL;
CREATE INDEX IF NOT EXISTS security_event_s_time ON monitoring.security_event_s (event_timestamp DESC) WHERE load_end_date IS NULL;
CREATE INDEX IF NOT EXISTS security_event_s_kind ON monitoring.security_event_s (event_severity, event_type) WHERE load_end_date IS NULL;
CREATE INDEX IF NOT EXISTS security_event_s_investigation ON monitoring.security_event_s (investigation_status, event_severity) WHERE load_end_date IS NULL;
CREATE INDEX IF NOT EXISTS compliance_check_s_framework ON monitoring.compliance_check_s (compliance_framework, check_status) WHERE load_end_date IS NULL;
CREATE INDEX IF NOT EXISTS compliance_check_s_remediation ON monitoring.compliance_check_s (remediation_deadline) WHERE load_end_date IS NULL AND remediation_required;
CREATE INDEX IF NOT EXISTS incident_s_status ON monitoring.incident_s (incident_status, created_timestamp DESC) WHERE load_end_date IS NULL;
CREATE INDEX IF NOT EXISTS incident_s_severity ON monitoring.incident_s (incident_severity, incident_priority) WHERE load_end_date IS NULL AND incident_status <> 'CLOSED';
CREATE INDEX IF NOT EXISTS alert_incident_l_incident ON monitoring.alert_incident_l (incident_hk);
CREATE INDEX IF NOT EXISTS security_event_incident_l_incident ON monitoring.security_event_incident_l (incident_hk);

-- Many versions are OPEN and many are current, but few are both: without statistics of the pair the planner expects hundreds of times
-- as many active alerts as there are, and reads whole tables to join them.
CREATE STATISTICS IF NOT EXISTS monitoring.alert_instance_s_status_and_current (mcv) ON alert_status, load_end_date FROM monitoring.alert_instance_s;
