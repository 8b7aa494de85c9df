-- What people do with alerts beside acknowledging and resolving them: for a time only, back, quiet, further up,
-- and "this should not have fired". Each changes the state and tells the alert's workflow, in one transaction.

CREATE OR REPLACE FUNCTION monitoring.end_of_answer(p_for interval, p_parameter text) RETURNS timestamptz
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF (p_for BETWEEN interval '1 minute' AND interval '30 days') IS NOT TRUE THEN
        RAISE EXCEPTION '% is %', p_parameter, coalesce(p_for::text, 'NULL')
            USING ERRCODE = '22023', HINT = 'Give one minute to thirty days, such as interval ''2 hours''.';
    END IF;
    RETURN date_trunc('microseconds', clock_timestamp() + p_for);
END
$$;
COMMENT ON FUNCTION monitoring.end_of_answer(interval, text) IS
    'When an acknowledgement or a snooze that begins now is over; raises 22023 for one that is too short or too long.';

CREATE OR REPLACE FUNCTION monitoring.require_reason(p_reason text, p_parameter text, p_hint text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    IF coalesce(btrim(p_reason), '') = '' THEN
        RAISE EXCEPTION '% is empty', p_parameter USING ERRCODE = '22023', HINT = p_hint;
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.require_reason(text, text, text) IS 'Raises 22023 where a reason is asked for and none is given.';

CREATE OR REPLACE FUNCTION monitoring.snooze_state(
    p_alert_instance_hk bytea, p_until timestamptz, p_at timestamptz, p_actor text, p_via text, p_notes text,
    OUT changed boolean, OUT alert_status text, OUT actor text, OUT at timestamptz, OUT message text, OUT until timestamptz)
    LANGUAGE plpgsql
    AS $$
DECLARE
    c    monitoring.alert_instance_s := monitoring.lock_current_alert(p_alert_instance_hk);
    v_id text := monitoring.alert_short_id(p_alert_instance_hk);
BEGIN
    IF c.alert_instance_hk IS NULL THEN
        RAISE EXCEPTION 'no alert with hash key %', encode(p_alert_instance_hk, 'hex')
            USING ERRCODE = 'P0002', HINT = 'See the open alerts: SELECT * FROM monitoring.active_alerts_dashboard.';
    END IF;
    changed := c.alert_status IN ('OPEN', 'ESCALATED') AND c.snoozed_until IS DISTINCT FROM p_until;
    alert_status := c.alert_status;
    until := c.acknowledged_until;
    actor := CASE c.alert_status WHEN 'ACKNOWLEDGED' THEN c.acknowledged_by WHEN 'RESOLVED' THEN c.resolved_by ELSE c.changed_by END;
    at := CASE c.alert_status WHEN 'ACKNOWLEDGED' THEN c.acknowledged_timestamp WHEN 'RESOLVED' THEN c.resolved_timestamp ELSE c.changed_at END;
    message := format('%s is %s: nobody is paged', v_id, c.alert_status);
    IF changed THEN
        c.load_date := clock_timestamp();
        c.changed_at := p_at;
        c.changed_via := p_via;
        c.changed_by := p_actor;
        c.change_notes := p_notes;
        c.snoozed_until := p_until;
        c.record_source := 'ALERT_SNOOZER';
        INSERT INTO monitoring.alert_instance_s SELECT (c).*;
        actor := p_actor;
        at := p_at;
        message := format('%s is snoozed until %s', v_id, to_char(p_until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'));
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.snooze_state(bytea, timestamptz, timestamptz, text, text, text) IS
    'Writes that nobody is to be paged for an alert before a moment; its status stays. changed is false where somebody has it, or it is over.';

-- ---------------------------------------------------------------- commands

CREATE OR REPLACE FUNCTION monitoring.acknowledge_alert_for(
    p_alert_instance_hk bytea, p_acknowledged_by varchar(100), p_for interval, p_acknowledgment_notes text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
BEGIN
    PERFORM monitoring.require_actor(p_acknowledged_by, 'p_acknowledged_by');
    RETURN monitoring.command_alert('ACKNOWLEDGED', p_alert_instance_hk, p_acknowledged_by, p_acknowledgment_notes,
        jsonb_build_object('until', monitoring.end_of_answer(p_for, 'p_for')));
END
$$;
COMMENT ON FUNCTION monitoring.acknowledge_alert_for(bytea, varchar, interval, text) IS
    'Acknowledges an alert for a time. If it is not over by then, it is OPEN again and pages from the level where it stood. Of two acknowledgements the longer holds.';

CREATE OR REPLACE FUNCTION monitoring.unacknowledge_alert(
    p_alert_instance_hk bytea, p_actor varchar(100), p_notes text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_status text := (SELECT s.alert_status FROM monitoring.alert_instance_s s
                       WHERE s.alert_instance_hk = p_alert_instance_hk AND s.load_end_date IS NULL);
BEGIN
    PERFORM monitoring.require_actor(p_actor, 'p_actor');
    IF v_status = 'SUPPRESSED' THEN
        -- To the guard it is the end of a suppression, which is the evaluation's to see.
        RAISE WARNING '% is SUPPRESSED: nobody has acknowledged it', monitoring.alert_short_id(p_alert_instance_hk);
        RETURN false;
    END IF;
    RETURN monitoring.command_alert('OPEN', p_alert_instance_hk, p_actor, p_notes);
END
$$;
COMMENT ON FUNCTION monitoring.unacknowledge_alert(bytea, varchar, text) IS
    'Takes an acknowledgement back: the alert is OPEN again and pages from the level where it stood. Returns false, with a warning, when nobody has acknowledged it.';

CREATE OR REPLACE FUNCTION monitoring.snooze_alert(
    p_alert_instance_hk bytea, p_actor varchar(100), p_for interval, p_reason text) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_until  timestamptz := monitoring.end_of_answer(p_for, 'p_for');
    v_at     timestamptz := clock_timestamp();
    v_via    text := monitoring.answered_via();
    v_result record;
BEGIN
    PERFORM monitoring.require_actor(p_actor, 'p_actor');
    PERFORM monitoring.require_reason(p_reason, 'p_reason', 'Say why nobody should be paged.');
    v_result := monitoring.snooze_state(p_alert_instance_hk, v_until, v_at, p_actor, v_via, p_reason);
    IF NOT v_result.changed THEN
        RAISE WARNING '%', v_result.message;
        RETURN false;
    END IF;
    PERFORM monitoring.tell_workflow('SNOOZED', p_alert_instance_hk,
        jsonb_build_object('actor', p_actor, 'via', v_via, 'notes', p_reason, 'at', v_at, 'until', v_until));
    RETURN true;
END
$$;
COMMENT ON FUNCTION monitoring.snooze_alert(bytea, varchar, interval, text) IS
    'Keeps an alert that nobody has taken from paging for a time; then it pages again. Returns false, with a warning, when somebody has it or it is over.';

CREATE OR REPLACE FUNCTION monitoring.escalate_alert(
    p_alert_instance_hk bytea, p_actor varchar(100), p_notes text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    c        monitoring.alert_instance_s := monitoring.lock_current_alert(p_alert_instance_hk);
    v_at     timestamptz := clock_timestamp();
    v_via    text := monitoring.answered_via();
    v_policy jsonb;
    v_result record;
BEGIN
    PERFORM monitoring.require_actor(p_actor, 'p_actor');
    v_policy := monitoring.escalation_policy_of_alert(p_alert_instance_hk);
    IF c.escalation_level + 1 >= jsonb_array_length(v_policy -> 'levels') * ((v_policy ->> 'repeat_times')::integer + 1) THEN
        RAISE WARNING '% stands at level %, the last of %: nobody further is named',
                      monitoring.alert_short_id(p_alert_instance_hk), c.escalation_level, v_policy ->> 'key';
        RETURN false;
    END IF;
    IF c.alert_status = 'ACKNOWLEDGED' THEN
        -- Whoever has it asks for others.
        PERFORM monitoring.change_alert_state(p_alert_instance_hk, 'OPEN', v_at, p_actor, v_via, p_notes, NULL);
    END IF;
    v_result := monitoring.change_alert_state(p_alert_instance_hk, 'ESCALATED', v_at, p_actor, v_via, p_notes, c.escalation_level + 1);
    IF NOT v_result.changed THEN
        RAISE WARNING '%', v_result.message;
        RETURN false;
    END IF;
    PERFORM monitoring.tell_workflow('ESCALATED', p_alert_instance_hk,
        jsonb_build_object('actor', p_actor, 'via', v_via, 'notes', p_notes, 'at', v_at, 'level', c.escalation_level + 1));
    RETURN true;
END
$$;
COMMENT ON FUNCTION monitoring.escalate_alert(bytea, varchar, text) IS
    'Raises an alert to its next level at once, whether or not somebody has it. Returns false, with a warning, when it is over or suppressed.';

CREATE OR REPLACE FUNCTION monitoring.mark_alert_false_positive(
    p_alert_instance_hk bytea, p_actor varchar(100), p_reason text) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    c monitoring.alert_instance_s := monitoring.lock_current_alert(p_alert_instance_hk);
BEGIN
    PERFORM monitoring.require_actor(p_actor, 'p_actor');
    PERFORM monitoring.require_reason(p_reason, 'p_reason', 'Say why it should not have fired: the report counts it, and whoever tunes the definition reads this.');
    IF c.alert_status IS DISTINCT FROM 'RESOLVED' THEN
        RETURN monitoring.command_alert('RESOLVED', p_alert_instance_hk, p_actor, p_reason, jsonb_build_object('false_positive', true));
    END IF;
    IF c.false_positive THEN
        RAISE WARNING '% was called a false positive before', monitoring.alert_short_id(p_alert_instance_hk);
        RETURN false;
    END IF;
    -- Its end stays as it was; no workflow needs to hear of it.
    c.load_date := clock_timestamp();
    c.changed_at := c.load_date;
    c.changed_via := monitoring.answered_via();
    c.changed_by := p_actor;
    c.change_notes := p_reason;
    c.false_positive := true;
    c.record_source := 'ALERT_REVIEWER';
    INSERT INTO monitoring.alert_instance_s SELECT (c).*;
    RETURN true;
END
$$;
COMMENT ON FUNCTION monitoring.mark_alert_false_positive(bytea, varchar, text) IS
    'Says that an alert should not have fired, and ends it where it had not ended. The daily report''s rate counts it. Returns false, with a warning, when it was said before.';
