-- The life of an alert: which change of status is legal, and every way to change it. Timing (pending,
-- escalation, rate) is the workflow's; the guard is here, once, for psql and the worker alike.

CREATE OR REPLACE FUNCTION monitoring.alert_transition_allowed(p_from text, p_to text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT (p_from, p_to) IN (
        ('SUPPRESSED', 'OPEN'), ('SUPPRESSED', 'RESOLVED'),
        ('OPEN', 'ACKNOWLEDGED'), ('OPEN', 'ESCALATED'), ('OPEN', 'RESOLVED'),
        ('ESCALATED', 'ESCALATED'), ('ESCALATED', 'ACKNOWLEDGED'), ('ESCALATED', 'RESOLVED'),
        ('ACKNOWLEDGED', 'RESOLVED'))
    $$;
COMMENT ON FUNCTION monitoring.alert_transition_allowed(text, text) IS
    'The one place that says which change of an alert''s status is legal; alert_reopening_allowed adds the one that depends on more than the status.';

CREATE OR REPLACE FUNCTION monitoring.alert_reopening_allowed(
    p_before monitoring.alert_instance_s, p_after monitoring.alert_instance_s) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT p_before.alert_status = 'RESOLVED' AND p_before.resolved_by = 'condition cleared' AND p_before.changed_via = 'evaluator'
           AND p_after.alert_status = 'OPEN' AND p_after.changed_via = 'evaluator'
           AND p_after.reopened_count = coalesce(p_before.reopened_count, 0) + 1
           AND p_after.reopened_timestamp >= p_before.resolved_timestamp
    $$;
COMMENT ON FUNCTION monitoring.alert_reopening_allowed(monitoring.alert_instance_s, monitoring.alert_instance_s) IS
    'The one way back from RESOLVED to OPEN: the evaluation opens again what its own cleared condition had ended. What a person ended stays ended.';

CREATE OR REPLACE FUNCTION monitoring.check_alert_transition() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_version monitoring.alert_instance_s;
    v_before  text;
    v_known   boolean;
BEGIN
    IF NEW.load_end_date IS NOT NULL THEN
        RETURN NEW;  -- history, loaded from elsewhere
    END IF;
    -- After t50_keep_one_current_row, which waited for whoever else changes this alert.
    SELECT s.* INTO v_version
      FROM monitoring.alert_instance_s s
     WHERE s.alert_instance_hk = NEW.alert_instance_hk AND s.load_date < NEW.load_date
     ORDER BY s.load_date DESC
     LIMIT 1;
    v_known := FOUND;
    v_before := v_version.alert_status;
    IF NOT v_known AND NEW.alert_status NOT IN ('OPEN', 'SUPPRESSED') THEN
        RAISE EXCEPTION 'alert % cannot begin as %', monitoring.alert_short_id(NEW.alert_instance_hk), NEW.alert_status
            USING ERRCODE = '55000', HINT = 'The first version of an alert is OPEN, or SUPPRESSED.';
    END IF;
    IF v_before <> NEW.alert_status AND NOT monitoring.alert_transition_allowed(v_before, NEW.alert_status)
       AND monitoring.alert_reopening_allowed(v_version, NEW) IS NOT TRUE THEN
        RAISE EXCEPTION 'alert % is % and cannot become %', monitoring.alert_short_id(NEW.alert_instance_hk), v_before, NEW.alert_status
            USING ERRCODE = '55000',
                  HINT = CASE v_before WHEN 'RESOLVED' THEN 'A resolved alert stays resolved; what fires again is a new alert, or within reopen_minutes the evaluation goes on with this one.'
                         ELSE 'Use monitoring.acknowledge_alert() and monitoring.resolve_alert(); they tell the alert''s workflow, too.' END;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_alert_transition() IS
    'Trigger of alert_instance_s: a version that no legal change of status leads to is refused, whoever inserts it.';
CREATE OR REPLACE TRIGGER t55_check_alert_transition BEFORE INSERT ON monitoring.alert_instance_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_alert_transition();

-- ---------------------------------------------------------------- short ids

CREATE OR REPLACE FUNCTION monitoring.short_code(p_hash_key bytea) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    -- Crockford's base 32 of the first 40 bits: no I, L, O, U, so it can be read out on a telephone.
    SELECT string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', ((bits >> (35 - 5 * i)) & 31)::integer + 1, 1), '' ORDER BY i)
      FROM (SELECT (get_byte(p_hash_key, 0)::bigint << 32) | (get_byte(p_hash_key, 1)::bigint << 24)
                 | (get_byte(p_hash_key, 2)::bigint << 16) | (get_byte(p_hash_key, 3)::bigint << 8)
                 | get_byte(p_hash_key, 4)::bigint AS bits) AS head,
           generate_series(0, 7) AS i
    $$;
COMMENT ON FUNCTION monitoring.short_code(bytea) IS 'Eight characters of Crockford''s base 32 from the head of a hash key.';

CREATE OR REPLACE FUNCTION monitoring.alert_short_id(p_alert_instance_hk bytea) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT 'A-' || left(monitoring.short_code(p_alert_instance_hk), 4) $$;
COMMENT ON FUNCTION monitoring.alert_short_id(bytea) IS 'What people type for an alert: A-7F3K.';

CREATE INDEX IF NOT EXISTS alert_instance_h_short_code
    ON monitoring.alert_instance_h (monitoring.short_code(alert_instance_hk) text_pattern_ops);

CREATE OR REPLACE FUNCTION monitoring.find_alert(p_id text) RETURNS bytea
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_code    text := translate(upper(regexp_replace(btrim(p_id), '^[aA]-', '')), 'OIL', '011');
    v_matches bytea[];
    v_active  bytea[];
BEGIN
    IF p_id ~ '^(\\x)?[0-9a-fA-F]{64}$' THEN
        SELECT array_agg(alert_instance_hk) INTO v_matches FROM monitoring.alert_instance_h
         WHERE alert_instance_hk = decode(right(p_id, 64), 'hex');
    ELSIF v_code ~ '^[0-9A-HJKMNP-TV-Z]{4,8}$' THEN
        SELECT array_agg(h.alert_instance_hk),
               array_agg(h.alert_instance_hk) FILTER (WHERE s.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED'))
          INTO v_matches, v_active
          FROM monitoring.alert_instance_h h
          JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
         WHERE monitoring.short_code(h.alert_instance_hk) LIKE v_code || '%';
    ELSE
        SELECT array_agg(alert_instance_hk) INTO v_matches FROM monitoring.alert_instance_h WHERE alert_instance_bk = p_id;
    END IF;

    IF cardinality(v_active) = 1 THEN
        RETURN v_active[1];  -- of several with the same short id, the one that still needs somebody
    END IF;
    IF v_matches IS NULL THEN
        RAISE EXCEPTION 'no alert "%"', p_id
            USING ERRCODE = 'P0002', HINT = 'See the open alerts: onevault alert list, or SELECT * FROM monitoring.active_alerts_dashboard.';
    END IF;
    IF cardinality(v_matches) > 1 THEN
        RAISE EXCEPTION 'alert id "%" is ambiguous: %', p_id,
            (SELECT string_agg('A-' || monitoring.short_code(m), ', ' ORDER BY m) FROM unnest(v_matches) AS m)
            USING ERRCODE = 'P0003', HINT = 'Give more of the id.';
    END IF;
    RETURN v_matches[1];
END
$$;
COMMENT ON FUNCTION monitoring.find_alert(text) IS
    'Finds an alert by short id (A-7F3K or longer), hash key in hex, or business key; raises P0002 (none) or P0003 (several).';

-- ---------------------------------------------------------------- changes of state

DROP FUNCTION IF EXISTS monitoring.open_alert(text, bytea, bytea, text, text, timestamptz, numeric, jsonb, text, text, text);

CREATE OR REPLACE FUNCTION monitoring.open_alert(
    p_alert_bk text, p_alert_definition_hk bytea, p_tenant_hk bytea, p_target text, p_status text,
    p_at timestamptz, p_value numeric, p_details jsonb, p_urgency text, p_suppression_reason text, p_via text,
    p_labels jsonb DEFAULT '{}') RETURNS bytea
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_hk bytea := util.hash_binary(p_alert_bk);
BEGIN
    INSERT INTO monitoring.alert_instance_h (alert_instance_hk, alert_instance_bk, alert_definition_hk, tenant_hk, target_name, labels)
    VALUES (v_hk, p_alert_bk, p_alert_definition_hk, p_tenant_hk, p_target, p_labels)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN v_hk;  -- the same opening, written again by a retry
    END IF;
    INSERT INTO monitoring.alert_instance_s (
        alert_instance_hk, hash_diff, alert_status, triggered_timestamp, trigger_value, trigger_details,
        urgency_level, affected_systems, suppression_reason, changed_at, changed_via)
    VALUES (v_hk, '\x', p_status, p_at, p_value, p_details,
        p_urgency, ARRAY[p_target], p_suppression_reason, p_at, p_via);
    RETURN v_hk;
END
$$;
COMMENT ON FUNCTION monitoring.open_alert(text, bytea, bytea, text, text, timestamptz, numeric, jsonb, text, text, text, jsonb) IS
    'Writes the first version of an alert, OPEN or SUPPRESSED; writing it again does nothing.';

CREATE OR REPLACE FUNCTION monitoring.lock_current_alert(p_alert_instance_hk bytea) RETURNS monitoring.alert_instance_s
    LANGUAGE plpgsql
    AS $$
DECLARE
    c monitoring.alert_instance_s;
BEGIN
    -- Everybody queues at the hub: whoever waited at the version itself would find it closed by the one
    -- who was first, and not see the version that replaced it. A row inserted by hand takes no place in
    -- the queue, so the version is looked for again as long as there is one.
    PERFORM FROM monitoring.alert_instance_h h WHERE h.alert_instance_hk = p_alert_instance_hk FOR NO KEY UPDATE;
    LOOP
        SELECT * INTO c FROM monitoring.alert_instance_s s
         WHERE s.alert_instance_hk = p_alert_instance_hk AND s.load_end_date IS NULL
           FOR UPDATE;
        EXIT WHEN FOUND;
        EXIT WHEN NOT EXISTS (SELECT FROM monitoring.alert_instance_s s
                               WHERE s.alert_instance_hk = p_alert_instance_hk AND s.load_end_date IS NULL);
    END LOOP;
    RETURN c;
END
$$;
COMMENT ON FUNCTION monitoring.lock_current_alert(bytea) IS
    'The current version of an alert, locked until the transaction ends; NULLs when there is none.';

CREATE OR REPLACE FUNCTION monitoring.change_alert_state(
    p_alert_instance_hk bytea, p_status text, p_at timestamptz, p_actor text, p_via text, p_notes text, p_level integer,
    OUT changed boolean, OUT alert_status text, OUT actor text, OUT at timestamptz, OUT message text)
    LANGUAGE plpgsql
    AS $$
DECLARE
    c    monitoring.alert_instance_s := monitoring.lock_current_alert(p_alert_instance_hk);
    v_id text;
BEGIN
    IF c.alert_instance_hk IS NULL THEN
        RAISE EXCEPTION 'no alert with hash key %', encode(p_alert_instance_hk, 'hex')
            USING ERRCODE = 'P0002', HINT = 'See the open alerts: SELECT * FROM monitoring.active_alerts_dashboard.';
    END IF;

    v_id := monitoring.alert_short_id(p_alert_instance_hk);
    changed := monitoring.alert_transition_allowed(c.alert_status, p_status)
               AND (p_status <> 'ESCALATED' OR coalesce(p_level, 0) > c.escalation_level);
    c.load_date := clock_timestamp();
    c.changed_at := p_at;
    c.changed_via := p_via;
    IF changed THEN
        CASE p_status
        WHEN 'ACKNOWLEDGED' THEN
            c.acknowledged_timestamp := p_at;
            c.acknowledged_by := p_actor;
            c.acknowledgment_notes := p_notes;
            c.record_source := 'ALERT_ACKNOWLEDGER';
        WHEN 'RESOLVED' THEN
            c.resolved_timestamp := p_at;
            c.resolved_by := p_actor;
            c.resolution_notes := p_notes;
            c.record_source := 'ALERT_RESOLVER';
        WHEN 'ESCALATED' THEN
            c.escalation_level := p_level;
            c.record_source := 'ALERT_ESCALATOR';
        ELSE
            c.record_source := 'ALERT_ENGINE';
        END CASE;
        c.alert_status := p_status;
        INSERT INTO monitoring.alert_instance_s SELECT (c).*;
    ELSIF p_status = 'ACKNOWLEDGED' AND c.alert_status = 'RESOLVED'
          AND c.acknowledged_timestamp IS NULL AND p_at < c.resolved_timestamp THEN
        -- It was acknowledged before it was resolved, and the vault learns of it only now.
        c.changed_at := c.resolved_timestamp;
        c.acknowledged_timestamp := p_at;
        c.acknowledged_by := p_actor;
        c.acknowledgment_notes := p_notes;
        INSERT INTO monitoring.alert_instance_s SELECT (c).*;
    END IF;

    alert_status := c.alert_status;
    CASE
    WHEN changed THEN
        actor := p_actor;
        at := p_at;
        message := format('%s is %s', v_id, c.alert_status);
    WHEN c.alert_status = 'RESOLVED' THEN
        actor := c.resolved_by;
        at := c.resolved_timestamp;
        message := format('%s was resolved by %s at %s', v_id, actor, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'));
    WHEN c.alert_status = 'ACKNOWLEDGED' THEN
        actor := c.acknowledged_by;
        at := c.acknowledged_timestamp;
        message := format('%s was acknowledged by %s at %s', v_id, actor, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'));
    ELSE
        at := c.changed_at;
        message := format('%s is %s and cannot become %s', v_id, c.alert_status, p_status);
    END CASE;
END
$$;
COMMENT ON FUNCTION monitoring.change_alert_state(bytea, text, timestamptz, text, text, text, integer) IS
    'Changes the status of an alert if the transition is legal; otherwise changed is false and the message says who was first.';

CREATE OR REPLACE FUNCTION monitoring.tell_workflow(p_kind text, p_alert_instance_hk bytea, p_payload jsonb) RETURNS void
    LANGUAGE sql
    AS $$
    INSERT INTO monitoring.outbox (kind, target_name, alert_instance_hk, payload)
    SELECT p_kind, h.target_name, h.alert_instance_hk, jsonb_strip_nulls(p_payload)
      FROM monitoring.alert_instance_h h
     WHERE h.alert_instance_hk = p_alert_instance_hk;
    SELECT pg_notify('onevault_outbox', '');
    $$;
COMMENT ON FUNCTION monitoring.tell_workflow(text, bytea, jsonb) IS
    'Puts a fact about an alert into the outbox and wakes the relay; takes effect with the transaction.';

CREATE OR REPLACE FUNCTION monitoring.require_actor(p_actor text, p_parameter text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    IF coalesce(btrim(p_actor), '') = '' THEN
        RAISE EXCEPTION '% is empty', p_parameter
            USING ERRCODE = '22023', HINT = 'Say who acts: the answer to "who took this?" is the point of it.';
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.require_actor(text, text) IS 'Raises 22023 when nobody is named.';

CREATE OR REPLACE FUNCTION monitoring.command_alert(
    p_status text, p_alert_instance_hk bytea, p_actor text, p_notes text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_at     timestamptz := clock_timestamp();
    v_via    text := 'psql:' || session_user;
    v_result record;
BEGIN
    IF p_alert_instance_hk IS NULL THEN
        RAISE NOTICE 'no alert was given: nothing to do';
        RETURN false;
    END IF;
    v_result := monitoring.change_alert_state(p_alert_instance_hk, p_status, v_at, p_actor, v_via, p_notes, NULL);
    IF NOT v_result.changed THEN
        RAISE WARNING '%', v_result.message;
        RETURN false;
    END IF;
    PERFORM monitoring.tell_workflow(p_status, p_alert_instance_hk,
        jsonb_build_object('actor', p_actor, 'via', v_via, 'notes', p_notes, 'at', v_at));
    RETURN true;
END
$$;
COMMENT ON FUNCTION monitoring.command_alert(text, bytea, text, text) IS
    'A command given in psql: changes the state and tells the workflow, in one transaction.';

CREATE OR REPLACE FUNCTION monitoring.acknowledge_alert(
    p_alert_instance_hk bytea, p_acknowledged_by varchar(100), p_acknowledgment_notes text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
BEGIN
    PERFORM monitoring.require_actor(p_acknowledged_by, 'p_acknowledged_by');
    RETURN monitoring.command_alert('ACKNOWLEDGED', p_alert_instance_hk, p_acknowledged_by, p_acknowledgment_notes);
END
$$;
COMMENT ON FUNCTION monitoring.acknowledge_alert(bytea, varchar, text) IS
    'Acknowledges an open or escalated alert: paging stops. Returns false, with a warning that says who was first, when it was acknowledged or resolved before.';

CREATE OR REPLACE FUNCTION monitoring.resolve_alert(
    p_alert_instance_hk bytea, p_resolved_by varchar(100), p_resolution_notes text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
BEGIN
    PERFORM monitoring.require_actor(p_resolved_by, 'p_resolved_by');
    RETURN monitoring.command_alert('RESOLVED', p_alert_instance_hk, p_resolved_by, p_resolution_notes);
END
$$;
COMMENT ON FUNCTION monitoring.resolve_alert(bytea, varchar, text) IS
    'Resolves an alert; everybody who was told of it is told so. Returns false, with a warning, when it was resolved before.';

CREATE OR REPLACE FUNCTION monitoring.send_alert_notifications(p_alert_instance_hk bytea) RETURNS integer
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_channels integer;
BEGIN
    SELECT count(*) INTO v_channels
      FROM monitoring.alert_instance_h h
      JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
      JOIN monitoring.alert_definition_s d ON d.alert_definition_hk = h.alert_definition_hk AND d.load_end_date IS NULL,
           LATERAL monitoring.matching_channels(h.alert_definition_hk, d.alert_severity, d.alert_category, d.notification_channels)
     WHERE h.alert_instance_hk = p_alert_instance_hk
       AND s.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED');
    IF v_channels > 0 THEN
        PERFORM monitoring.tell_workflow('NOTIFY', p_alert_instance_hk,
            jsonb_build_object('via', 'psql:' || session_user, 'at', clock_timestamp()));
    END IF;
    RETURN v_channels;
END
$$;
COMMENT ON FUNCTION monitoring.send_alert_notifications(bytea) IS
    'Asks the alert''s workflow to tell every matching channel now; returns how many channels that is (0: none matches, or the alert is over).';

-- ---------------------------------------------------------------- what the workflow records

CREATE OR REPLACE FUNCTION monitoring.record_alert_changes(p_changes jsonb)
    RETURNS TABLE (alert_key text, changed boolean, alert_status text, actor text, at timestamptz, message text)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    v_change jsonb;
    v_hk     bytea;
    v_result record;
    c        monitoring.alert_instance_s;
BEGIN
    FOR v_change IN SELECT e FROM jsonb_array_elements(p_changes) WITH ORDINALITY AS u (e, o) ORDER BY o LOOP
        v_hk := util.hash_binary(v_change ->> 'alert_key');
        CASE v_change ->> 'change'
        WHEN 'OPEN' THEN
            PERFORM monitoring.open_alert(
                v_change ->> 'alert_key', util.hash_binary(v_change ->> 'definition_key'), decode(v_change ->> 'tenant', 'hex'),
                v_change ->> 'target', 'OPEN', (v_change ->> 'at')::timestamptz, (v_change ->> 'value')::numeric,
                v_change -> 'details', v_change ->> 'severity', NULL, v_change ->> 'via');
        WHEN 'NOTIFIED' THEN
            c := monitoring.lock_current_alert(v_hk);
            -- Known by its time among all that were counted: a retry counts no message twice, and one
            -- whose delivery took longer than a later one's still counts.
            IF c.alert_instance_hk IS NOT NULL
               AND NOT EXISTS (SELECT FROM monitoring.alert_instance_s s
                                WHERE s.alert_instance_hk = v_hk AND s.last_notification_sent = (v_change ->> 'at')::timestamptz) THEN
                c.load_date := clock_timestamp();
                c.last_notification_sent := (v_change ->> 'at')::timestamptz;
                c.notification_count := c.notification_count + (v_change ->> 'count')::integer;
                c.record_source := 'NOTIFICATION_MANAGER';
                INSERT INTO monitoring.alert_instance_s SELECT (c).*;
            END IF;
        ELSE
            IF NOT EXISTS (SELECT FROM monitoring.alert_instance_s s WHERE s.alert_instance_hk = v_hk AND s.load_end_date IS NULL) THEN
                -- A vault restored from an older backup: said, and no reason to hold up what comes after.
                RETURN QUERY SELECT v_change ->> 'alert_key', false, NULL::text, NULL::text, NULL::timestamptz,
                                    format('the vault does not know the alert %s', v_change ->> 'alert_key');
                CONTINUE;
            END IF;
            v_result := monitoring.change_alert_state(
                v_hk, v_change ->> 'change', (v_change ->> 'at')::timestamptz, v_change ->> 'actor',
                v_change ->> 'via', v_change ->> 'notes', (v_change ->> 'level')::integer);
            RETURN QUERY SELECT v_change ->> 'alert_key', v_result.changed, v_result.alert_status,
                                v_result.actor, v_result.at, v_result.message;
        END CASE;
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.record_alert_changes(jsonb) IS
    'Writes the changes that an alert''s workflow made, in order: [{alert_key, change: OPEN|ACKNOWLEDGED|ESCALATED|RESOLVED|NOTIFIED, at, ...}]. Answers for each change of status what stands now.';

CREATE OR REPLACE FUNCTION monitoring.notification_key(p_alert_key text, p_channel_key text, p_recipient text, p_event text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT 'NOTIF||' || encode(sha256(convert_to(util.bk(p_alert_key, p_channel_key, p_recipient, p_event), 'UTF8')), 'hex')
    $$;
COMMENT ON FUNCTION monitoring.notification_key(text, text, text, text) IS
    'The business key of a notification: one alert, one event, one recipient of one channel.';

CREATE OR REPLACE FUNCTION monitoring.record_notification(p_entry jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_bk text := monitoring.notification_key(
        p_entry ->> 'alert_key', p_entry ->> 'channel_key', p_entry ->> 'recipient', p_entry ->> 'event');
    v_at      timestamptz := (p_entry ->> 'at')::timestamptz;
    v_current monitoring.notification_log_s;
    v_late_at timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(v_bk, 0));
    SELECT * INTO v_current FROM monitoring.notification_log_s
     WHERE notification_log_hk = util.hash_binary(v_bk) AND load_end_date IS NULL;
    -- What the vault could not take in time comes later, when it may hold a newer attempt or the outcome
    -- of this one: it becomes history then, and once, and does not undo what is known.
    IF v_at < v_current.sent_timestamp
       OR v_at = v_current.sent_timestamp AND v_current.outcome_class IS NOT NULL AND p_entry ->> 'class' IS NULL THEN
        IF EXISTS (SELECT FROM monitoring.notification_log_s
                    WHERE notification_log_hk = v_current.notification_log_hk AND sent_timestamp = v_at
                      AND outcome_class IS NOT DISTINCT FROM p_entry ->> 'class') THEN
            RETURN;
        END IF;
        v_late_at := clock_timestamp();
    END IF;

    INSERT INTO monitoring.notification_log_h (notification_log_hk, notification_log_bk, alert_instance_hk, notification_config_hk)
    VALUES (util.hash_binary(v_bk), v_bk, util.hash_binary(p_entry ->> 'alert_key'), util.hash_binary(p_entry ->> 'channel_key'))
    ON CONFLICT DO NOTHING;

    INSERT INTO monitoring.notification_log_s (
        notification_log_hk, load_date, load_end_date, hash_diff, sent_timestamp, delivery_status, channel_used, recipient_address, message_content,
        delivery_confirmation_received, delivery_confirmation_timestamp, failure_reason, retry_count, delivery_duration_ms,
        external_message_id, event, delivery_key, outcome_class, delivery_proof, possible_duplicate)
    VALUES (
        util.hash_binary(v_bk), coalesce(v_late_at, clock_timestamp()), v_late_at, '\x', v_at, p_entry ->> 'status', p_entry ->> 'channel_type',
        p_entry ->> 'recipient', p_entry ->> 'content', false, NULL,
        p_entry ->> 'reason', (p_entry ->> 'attempt')::integer, (p_entry ->> 'duration_ms')::integer,
        p_entry ->> 'external_id', p_entry ->> 'event', p_entry ->> 'delivery_key', p_entry ->> 'class',
        p_entry ->> 'proof', coalesce((p_entry ->> 'possible_duplicate')::boolean, false));
END
$$;
COMMENT ON FUNCTION monitoring.record_notification(jsonb) IS
    'Writes one version of a notification into the ledger: {alert_key, channel_key, channel_type, recipient, event, delivery_key, status, attempt, at, class, reason, proof, ...}.';

CREATE OR REPLACE FUNCTION monitoring.begin_notifications(p_entries jsonb) RETURNS text
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_entry     jsonb;
    v_prior     monitoring.notification_log_s;
    v_finding   text := 'NEW';
    v_delivered integer := 0;
BEGIN
    -- One beginner at a time per notification, always in the same order: the second one sees what the
    -- first one wrote, also where there was no row that both could have waited for.
    PERFORM pg_advisory_xact_lock(k.id)
       FROM (SELECT DISTINCT hashtextextended(monitoring.notification_key(
                        e ->> 'alert_key', e ->> 'channel_key', e ->> 'recipient', e ->> 'event'), 0) AS id
               FROM jsonb_array_elements(p_entries) AS e
              ORDER BY id) AS k;
    FOR v_entry IN SELECT e FROM jsonb_array_elements(p_entries) WITH ORDINALITY AS u (e, o) ORDER BY o LOOP
        SELECT * INTO v_prior FROM monitoring.notification_log_s
         WHERE notification_log_hk = util.hash_binary(monitoring.notification_key(
                   v_entry ->> 'alert_key', v_entry ->> 'channel_key', v_entry ->> 'recipient', v_entry ->> 'event'))
           AND load_end_date IS NULL;
        IF v_prior.delivery_status = 'DELIVERED' THEN
            v_delivered := v_delivered + 1;
            CONTINUE;
        END IF;
        IF v_prior.delivery_status = 'PENDING' AND v_prior.outcome_class IS NULL THEN
            -- An attempt was begun and nobody knows how it ended: from here on a duplicate is possible.
            v_entry := v_entry || '{"possible_duplicate": true}';
            v_finding := 'UNKNOWN_OUTCOME';
        ELSIF v_prior.possible_duplicate THEN
            v_entry := v_entry || '{"possible_duplicate": true}';
        END IF;
        PERFORM monitoring.record_notification(v_entry || '{"status": "PENDING"}');
    END LOOP;
    -- Delivered only when it all was: to hear twice of one alert is better than never of another.
    RETURN CASE WHEN v_delivered = 0 THEN v_finding
                WHEN v_delivered = jsonb_array_length(p_entries) THEN 'DELIVERED'
                ELSE 'UNKNOWN_OUTCOME' END;
END
$$;
COMMENT ON FUNCTION monitoring.begin_notifications(jsonb) IS
    'Writes the intents of one delivery before its attempt. NEW: go on. UNKNOWN_OUTCOME: an earlier attempt may have arrived. DELIVERED: do not send again.';
