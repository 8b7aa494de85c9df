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

CREATE OR REPLACE FUNCTION monitoring.keep_one_current_row() RETURNS trigger
    LANGUAGE plpgsql
    SET timezone = 'UTC'
    SET bytea_output = 'hex'
    SET intervalstyle = 'iso_8601'
    AS $$
DECLARE
    v_key_column text := TG_ARGV[0];
    v_table      text := format('%I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME);
    v_hub        text := format('%I.%I', TG_TABLE_SCHEMA, regexp_replace(TG_TABLE_NAME, '_s$', '_h'));
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

CREATE OR REPLACE FUNCTION monitoring.allow_only_closing() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP IN ('DELETE', 'TRUNCATE') THEN
        RAISE EXCEPTION '%.% is history and cannot be deleted', TG_TABLE_SCHEMA, TG_TABLE_NAME
            USING ERRCODE = '55000', HINT = 'Rows leave the vault only by retention, a whole partition at a time.';
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
    'Trigger of satellites: the only legal UPDATE closes a current row, and nothing is deleted.';

CREATE OR REPLACE FUNCTION monitoring.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '%.% is a hub: its rows are never changed or deleted', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = '55000', HINT = 'What is known about a key goes into its satellite, as a new version.';
END
$$;
COMMENT ON FUNCTION monitoring.refuse_change() IS 'Trigger of hubs and links: insert only.';

DO $do$
DECLARE
    v_sat record;
    v_hub text;
BEGIN
    FOR v_sat IN
        SELECT * FROM (VALUES
            ('alert_definition_s', 'alert_definition_hk'),
            ('alert_instance_s', 'alert_instance_hk'),
            ('notification_config_s', 'notification_config_hk'),
            ('notification_log_s', 'notification_log_hk')
        ) AS s (table_name, key_column)
    LOOP
        EXECUTE format('CREATE UNIQUE INDEX IF NOT EXISTS %I ON monitoring.%I (%I) WHERE load_end_date IS NULL',
                       v_sat.table_name || '_one_current', v_sat.table_name, v_sat.key_column);
        EXECUTE format('CREATE OR REPLACE TRIGGER t50_keep_one_current_row BEFORE INSERT ON monitoring.%I
                        FOR EACH ROW EXECUTE FUNCTION monitoring.keep_one_current_row(%L)',
                       v_sat.table_name, v_sat.key_column);
    END LOOP;

    FOR v_sat IN
        SELECT relname AS table_name FROM pg_class
         WHERE relnamespace = 'monitoring'::regnamespace AND relkind IN ('r', 'p')
           AND NOT relispartition AND relname LIKE '%\_s'
    LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER t60_allow_only_closing BEFORE UPDATE OR DELETE ON monitoring.%I
                        FOR EACH ROW EXECUTE FUNCTION monitoring.allow_only_closing()', v_sat.table_name);
        EXECUTE format('CREATE OR REPLACE TRIGGER t60_refuse_truncate BEFORE TRUNCATE ON monitoring.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION monitoring.allow_only_closing()', v_sat.table_name);
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
        SELECT relname FROM pg_class
         WHERE relnamespace = 'monitoring'::regnamespace AND relkind = 'r' AND relname ~ '_[hl]$'
    LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER t60_refuse_change BEFORE UPDATE OR DELETE ON monitoring.%I
                        FOR EACH ROW EXECUTE FUNCTION monitoring.refuse_change()', v_hub);
    END LOOP;
END
$do$;

CREATE OR REPLACE FUNCTION monitoring.ensure_partitions(p_from date, p_to date) RETURNS integer
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring
    AS $$
DECLARE
    v_parent text;
    v_week   date;
    v_name   text;
    v_made   integer := 0;
BEGIN
    -- One maker at a time; the loser finds the partitions made.
    PERFORM pg_advisory_xact_lock(hashtextextended('monitoring.ensure_partitions', 0));
    FOREACH v_parent IN ARRAY ARRAY['system_health_metric_s', 'alert_evaluation_s'] LOOP
        v_week := date_trunc('week', p_from)::date;
        WHILE v_week < p_to LOOP
            v_name := format('%s_p%s', v_parent, to_char(v_week, 'YYYYMMDD'));
            IF to_regclass('monitoring.' || v_name) IS NULL THEN
                EXECUTE format('CREATE TABLE monitoring.%I PARTITION OF monitoring.%I FOR VALUES FROM (%L) TO (%L)',
                               v_name, v_parent,
                               to_char(v_week, 'YYYY-MM-DD') || ' 00:00:00+00',
                               to_char(v_week + 7, 'YYYY-MM-DD') || ' 00:00:00+00');
                -- Row triggers come from the parent by themselves, this one does not.
                EXECUTE format('CREATE TRIGGER t60_refuse_truncate BEFORE TRUNCATE ON monitoring.%I
                                FOR EACH STATEMENT EXECUTE FUNCTION monitoring.allow_only_closing()', v_name);
                v_made := v_made + 1;
            END IF;
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
    -- Two look-ups in the catalog's cache: cheap enough for every write of measurements.
    IF to_regclass('monitoring.system_health_metric_s_p' || v_ahead) IS NULL
       OR to_regclass('monitoring.system_health_metric_s_p' || v_now) IS NULL
       OR to_regclass('monitoring.alert_evaluation_s_p' || v_ahead) IS NULL
       OR to_regclass('monitoring.alert_evaluation_s_p' || v_now) IS NULL THEN
        PERFORM monitoring.ensure_partitions((p_at AT TIME ZONE 'UTC')::date, (p_at AT TIME ZONE 'UTC')::date + 21);
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.ensure_partitions_around(timestamptz) IS
    'Makes sure that measurements of this week and the next have a partition.';

SELECT monitoring.ensure_partitions((now() AT TIME ZONE 'UTC')::date - 42, (now() AT TIME ZONE 'UTC')::date + 21);

-- ---------------------------------------------------------------- indexes

CREATE INDEX IF NOT EXISTS system_health_metric_s_recent ON monitoring.system_health_metric_s (measurement_timestamp DESC, status) WHERE load_end_date IS NULL;
CREATE INDEX IF NOT EXISTS system_health_metric_h_target ON monitoring.system_health_metric_h (target_name, tenant_hk);
CREATE INDEX IF NOT EXISTS alert_evaluation_s_latest ON monitoring.alert_evaluation_s (alert_definition_hk, target_name, evaluated_at DESC);
CREATE INDEX IF NOT EXISTS alert_definition_s_enabled ON monitoring.alert_definition_s (is_enabled, alert_category) WHERE load_end_date IS NULL;
CREATE INDEX IF NOT EXISTS alert_instance_h_definition ON monitoring.alert_instance_h (alert_definition_hk, target_name);
CREATE INDEX IF NOT EXISTS alert_instance_s_status ON monitoring.alert_instance_s (alert_status, triggered_timestamp DESC) WHERE load_end_date IS NULL;
CREATE INDEX IF NOT EXISTS alert_instance_s_triggered ON monitoring.alert_instance_s (triggered_timestamp DESC) WHERE load_end_date IS NULL;
CREATE INDEX IF NOT EXISTS notification_log_h_alert ON monitoring.notification_log_h (alert_instance_hk);
CREATE INDEX IF NOT EXISTS notification_log_s_sent ON monitoring.notification_log_s (sent_timestamp DESC) WHERE load_end_date IS NULL;
CREATE INDEX IF NOT EXISTS notification_log_s_undelivered ON monitoring.notification_log_s (delivery_status, sent_timestamp) WHERE load_end_date IS NULL AND delivery_status IN ('PENDING', 'FAILED');
