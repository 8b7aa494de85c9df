-- The hubs and satellites that a storm of alerts writes by the thousand. What monitoring.keep_one_current_row() and
-- skip_known_key() do for any table they plan anew for each row, which is two thirds of what a row costs; here the
-- same statements are written out. enforce_discipline() prefers these where they exist.
--
-- A session keeps its plans, and that of a small table would read it from end to end for each row of the storm that
-- follows: hence enable_seqscan = off.

CREATE OR REPLACE FUNCTION monitoring.keep_one_current_alert_instance_s() RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    SET timezone = 'UTC'
    SET bytea_output = 'hex'
    SET intervalstyle = 'iso_8601'
    SET enable_seqscan = off
    AS $$
DECLARE
    v_load_date timestamptz;
    v_hash_diff bytea;
    v_queued    boolean := false;
    v_closed    integer;
BEGIN
    NEW.hash_diff := monitoring.hash_diff_of(to_jsonb(NEW), 'alert_instance_hk');
    NEW.load_date := coalesce(NEW.load_date, clock_timestamp());
    IF NEW.load_end_date IS NOT NULL THEN
        PERFORM monitoring.require_end_after_begin(TG_RELID, NEW.load_date, NEW.load_end_date);
        RETURN NEW;
    END IF;
    LOOP
        SELECT s.load_date, s.hash_diff INTO v_load_date, v_hash_diff
          FROM monitoring.alert_instance_s s
         WHERE s.alert_instance_hk = NEW.alert_instance_hk AND s.load_end_date IS NULL
           FOR UPDATE;
        EXIT WHEN FOUND;
        IF NOT EXISTS (SELECT FROM monitoring.alert_instance_s s WHERE s.alert_instance_hk = NEW.alert_instance_hk AND s.load_end_date IS NULL) THEN
            IF v_queued THEN
                RETURN NEW;
            END IF;
            PERFORM FROM monitoring.alert_instance_h h WHERE h.alert_instance_hk = NEW.alert_instance_hk FOR NO KEY UPDATE;
            v_queued := true;
        END IF;
    END LOOP;

    IF v_hash_diff = NEW.hash_diff THEN
        RETURN NULL;
    END IF;
    NEW.load_date := greatest(NEW.load_date, v_load_date + interval '1 microsecond');
    UPDATE monitoring.alert_instance_s s SET load_end_date = NEW.load_date
     WHERE s.alert_instance_hk = NEW.alert_instance_hk AND s.load_date = v_load_date AND s.load_end_date IS NULL;
    GET DIAGNOSTICS v_closed = ROW_COUNT;
    IF v_closed <> 1 THEN
        RAISE EXCEPTION 'another session changed the current row of monitoring.alert_instance_s at the same moment'
            USING ERRCODE = '40001', HINT = 'Retry the transaction.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.keep_one_current_alert_instance_s() IS
    'Trigger of alert_instance_s: keep_one_current_row() with statements that are planned once in a session.';

CREATE OR REPLACE FUNCTION monitoring.keep_one_current_notification_log_s() RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    SET timezone = 'UTC'
    SET bytea_output = 'hex'
    SET intervalstyle = 'iso_8601'
    SET enable_seqscan = off
    AS $$
DECLARE
    v_load_date timestamptz;
    v_hash_diff bytea;
    v_queued    boolean := false;
    v_closed    integer;
BEGIN
    NEW.hash_diff := monitoring.hash_diff_of(to_jsonb(NEW), 'notification_log_hk');
    NEW.load_date := coalesce(NEW.load_date, clock_timestamp());
    IF NEW.load_end_date IS NOT NULL THEN
        PERFORM monitoring.require_end_after_begin(TG_RELID, NEW.load_date, NEW.load_end_date);
        RETURN NEW;
    END IF;
    LOOP
        SELECT s.load_date, s.hash_diff INTO v_load_date, v_hash_diff
          FROM monitoring.notification_log_s s
         WHERE s.notification_log_hk = NEW.notification_log_hk AND s.load_end_date IS NULL
           FOR UPDATE;
        EXIT WHEN FOUND;
        IF NOT EXISTS (SELECT FROM monitoring.notification_log_s s WHERE s.notification_log_hk = NEW.notification_log_hk AND s.load_end_date IS NULL) THEN
            IF v_queued THEN
                RETURN NEW;
            END IF;
            PERFORM FROM monitoring.notification_log_h h WHERE h.notification_log_hk = NEW.notification_log_hk FOR NO KEY UPDATE;
            v_queued := true;
        END IF;
    END LOOP;

    IF v_hash_diff = NEW.hash_diff THEN
        RETURN NULL;
    END IF;
    NEW.load_date := greatest(NEW.load_date, v_load_date + interval '1 microsecond');
    UPDATE monitoring.notification_log_s s SET load_end_date = NEW.load_date
     WHERE s.notification_log_hk = NEW.notification_log_hk AND s.load_date = v_load_date AND s.load_end_date IS NULL;
    GET DIAGNOSTICS v_closed = ROW_COUNT;
    IF v_closed <> 1 THEN
        RAISE EXCEPTION 'another session changed the current row of monitoring.notification_log_s at the same moment'
            USING ERRCODE = '40001', HINT = 'Retry the transaction.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.keep_one_current_notification_log_s() IS
    'Trigger of notification_log_s: keep_one_current_row() with statements that are planned once in a session.';

CREATE OR REPLACE FUNCTION monitoring.skip_known_alert_instance_h() RETURNS trigger
    LANGUAGE plpgsql
    SET enable_seqscan = off
    AS $$
DECLARE
    v_known jsonb;
BEGIN
    SELECT to_jsonb(h) INTO v_known FROM monitoring.alert_instance_h h WHERE h.alert_instance_hk = NEW.alert_instance_hk;
    IF v_known - ARRAY['load_date', 'record_source'] = to_jsonb(NEW) - ARRAY['load_date', 'record_source'] THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.skip_known_alert_instance_h() IS
    'Trigger of alert_instance_h: skip_known_key() with a statement that is planned once in a session.';

CREATE OR REPLACE FUNCTION monitoring.skip_known_notification_log_h() RETURNS trigger
    LANGUAGE plpgsql
    SET enable_seqscan = off
    AS $$
DECLARE
    v_known jsonb;
BEGIN
    SELECT to_jsonb(h) INTO v_known FROM monitoring.notification_log_h h WHERE h.notification_log_hk = NEW.notification_log_hk;
    IF v_known - ARRAY['load_date', 'record_source'] = to_jsonb(NEW) - ARRAY['load_date', 'record_source'] THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.skip_known_notification_log_h() IS
    'Trigger of notification_log_h: skip_known_key() with a statement that is planned once in a session.';
