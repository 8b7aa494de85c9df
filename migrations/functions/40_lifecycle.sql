-- The life of an alert: which change of status is legal, and every way to change it. Timing (pending,
-- escalation, rate) is the workflow's; the guard is here, once, for psql and the worker alike.

CREATE OR REPLACE FUNCTION monitoring.alert_transition_allowed(p_from text, p_to text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT (p_from, p_to) IN (
        ('SUPPRESSED', 'OPEN'), ('SUPPRESSED', 'RESOLVED'),
        ('OPEN', 'ACKNOWLEDGED'), ('OPEN', 'ESCALATED'), ('OPEN', 'RESOLVED'),
        ('ESCALATED', 'ESCALATED'), ('ESCALATED', 'ACKNOWLEDGED'), ('ESCALATED', 'RESOLVED'),
        ('ACKNOWLEDGED', 'OPEN'), ('ACKNOWLEDGED', 'RESOLVED'))
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
    -- Crockford's base 32 of the first 40 bits: no I, L, O, U, so it can be read out on a telephone. Written out, because
    -- it is a key of an index, and a query would cost more than the rest of a new row.
    SELECT substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (get_byte(p_hash_key, 0) >> 3) + 1, 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (((get_byte(p_hash_key, 0) & 7) << 2) | (get_byte(p_hash_key, 1) >> 6)) + 1, 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', ((get_byte(p_hash_key, 1) >> 1) & 31) + 1, 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (((get_byte(p_hash_key, 1) & 1) << 4) | (get_byte(p_hash_key, 2) >> 4)) + 1, 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (((get_byte(p_hash_key, 2) & 15) << 1) | (get_byte(p_hash_key, 3) >> 7)) + 1, 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', ((get_byte(p_hash_key, 3) >> 2) & 31) + 1, 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (((get_byte(p_hash_key, 3) & 3) << 3) | (get_byte(p_hash_key, 4) >> 5)) + 1, 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (get_byte(p_hash_key, 4) & 31) + 1, 1)
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

-- A person answers several alerts in one transaction, in an order of their own. Whoever works for OneVault and holds some
-- alerts therefore never queues for another: the two would wait for each other, and the server might end the person's.

CREATE OR REPLACE FUNCTION monitoring.hold_alert(p_alert_instance_hk bytea, p_until timestamptz) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
BEGIN
    LOOP
        PERFORM FROM monitoring.alert_instance_h h WHERE h.alert_instance_hk = p_alert_instance_hk FOR NO KEY UPDATE SKIP LOCKED;
        IF FOUND THEN
            PERFORM FROM monitoring.alert_instance_s s
              WHERE s.alert_instance_hk = p_alert_instance_hk AND s.load_end_date IS NULL FOR UPDATE SKIP LOCKED;
            IF FOUND THEN
                RETURN true;
            END IF;
        END IF;
        IF clock_timestamp() >= p_until THEN
            RETURN false;
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.hold_alert(bytea, timestamptz) IS
    'Locks an alert until the transaction ends, without a place in the queue: false where somebody else held it until p_until, or there is none.';

CREATE OR REPLACE FUNCTION monitoring.try_alerts(p_alert_instance_hks bytea[]) RETURNS boolean
    LANGUAGE plpgsql
    SET enable_seqscan = off
    AS $$
BEGIN
    PERFORM FROM monitoring.alert_instance_h h WHERE h.alert_instance_hk = ANY (p_alert_instance_hks) FOR NO KEY UPDATE NOWAIT;
    PERFORM FROM monitoring.alert_instance_s s
      WHERE s.alert_instance_hk = ANY (p_alert_instance_hks) AND s.load_end_date IS NULL FOR UPDATE NOWAIT;
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;  -- what was locked until here is free again
END
$$;
COMMENT ON FUNCTION monitoring.try_alerts(bytea[]) IS
    'Locks alerts until the transaction ends, all or none, at once: false where somebody else holds one of them.';

CREATE OR REPLACE FUNCTION monitoring.hold_alerts(p_alert_instance_hks bytea[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_until timestamptz := clock_timestamp() + interval '5 seconds';
BEGIN
    WHILE NOT monitoring.try_alerts(p_alert_instance_hks) LOOP
        IF clock_timestamp() >= v_until THEN
            RAISE EXCEPTION 'of % alerts one is held by another transaction', cardinality(p_alert_instance_hks)
                USING ERRCODE = '55P03', HINT = 'Try again; pg_stat_activity shows a session that is idle in a transaction.';
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.hold_alerts(bytea[]) IS
    'Locks alerts until the transaction ends, holding none while it waits; raises 55P03 where somebody else holds one of them for five seconds. Keys that name no alert are passed over.';

DROP FUNCTION IF EXISTS monitoring.change_alert_state(bytea, text, timestamptz, text, text, text, integer);

CREATE OR REPLACE FUNCTION monitoring.change_alert_state(
    p_alert_instance_hk bytea, p_status text, p_at timestamptz, p_actor text, p_via text, p_notes text, p_level integer,
    p_details jsonb DEFAULT NULL,
    OUT changed boolean, OUT alert_status text, OUT actor text, OUT at timestamptz, OUT message text, OUT until timestamptz)
    LANGUAGE plpgsql
    AS $$
DECLARE
    c       monitoring.alert_instance_s := monitoring.lock_current_alert(p_alert_instance_hk);
    v_until timestamptz := p_details ->> 'until';
    v_id    text;
BEGIN
    IF c.alert_instance_hk IS NULL THEN
        RAISE EXCEPTION 'no alert with hash key %', encode(p_alert_instance_hk, 'hex')
            USING ERRCODE = 'P0002', HINT = 'See the open alerts: SELECT * FROM monitoring.active_alerts_dashboard.';
    END IF;

    v_id := monitoring.alert_short_id(p_alert_instance_hk);
    changed := CASE
        WHEN p_status = 'ESCALATED' THEN
            monitoring.alert_transition_allowed(c.alert_status, p_status) AND coalesce(p_level, 0) > c.escalation_level
        -- Of two acknowledgements the longer holds.
        WHEN p_status = 'ACKNOWLEDGED' AND c.alert_status = 'ACKNOWLEDGED' THEN
            coalesce(c.acknowledged_until < coalesce(v_until, 'infinity'), false)
        -- The workflow's clock ends the acknowledgement that it knows, and no newer one.
        WHEN p_details -> 'expired' = 'true' THEN
            c.alert_status = 'ACKNOWLEDGED' AND coalesce(c.acknowledged_until <= p_at, false)
        ELSE monitoring.alert_transition_allowed(c.alert_status, p_status) END;
    c.load_date := clock_timestamp();
    c.changed_at := p_at;
    c.changed_via := p_via;
    IF changed THEN
        -- Of an acknowledgement and an end the guide's columns tell.
        c.changed_by := CASE WHEN p_status IN ('OPEN', 'ESCALATED') THEN p_actor END;
        c.change_notes := CASE WHEN p_status IN ('OPEN', 'ESCALATED') THEN p_notes END;
        c.acknowledged_until := NULL;
        c.snoozed_until := NULL;
        CASE p_status
        WHEN 'ACKNOWLEDGED' THEN
            c.acknowledged_until := v_until;
            c.acknowledged_timestamp := p_at;
            c.acknowledged_by := p_actor;
            c.acknowledgment_notes := p_notes;
            c.record_source := 'ALERT_ACKNOWLEDGER';
        WHEN 'RESOLVED' THEN
            c.resolved_timestamp := p_at;
            c.resolved_by := p_actor;
            c.resolution_notes := p_notes;
            c.false_positive := coalesce((p_details ->> 'false_positive')::boolean, c.false_positive);
            c.record_source := 'ALERT_RESOLVER';
        WHEN 'ESCALATED' THEN
            c.escalation_level := p_level;
            c.record_source := 'ALERT_ESCALATOR';
        ELSE
            -- Nobody has it any more; who had it stands in the version before.
            c.acknowledged_timestamp := NULL;
            c.acknowledged_by := NULL;
            c.acknowledgment_notes := NULL;
            c.record_source := CASE c.alert_status WHEN 'ACKNOWLEDGED' THEN 'ALERT_ACKNOWLEDGER' ELSE 'ALERT_ENGINE' END;
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
    until := c.acknowledged_until;
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
COMMENT ON FUNCTION monitoring.change_alert_state(bytea, text, timestamptz, text, text, text, integer, jsonb) IS
    'Changes the status of an alert if the transition is legal; otherwise changed is false and the message says who was first. p_details: until (ACKNOWLEDGED: when it ends by itself), expired (OPEN: only if that time has come), false_positive (RESOLVED).';

CREATE OR REPLACE FUNCTION monitoring.tell_workflow(p_kind text, p_alert_instance_hk bytea, p_payload jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    -- plpgsql plans this once in a session: thousands of alerts may end in one evaluation.
    INSERT INTO monitoring.outbox (kind, target_name, alert_instance_hk, payload)
    SELECT p_kind, h.target_name, h.alert_instance_hk, jsonb_strip_nulls(p_payload)
      FROM monitoring.alert_instance_h h
     WHERE h.alert_instance_hk = p_alert_instance_hk;
    PERFORM pg_notify('onevault_outbox', '');
END
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

CREATE OR REPLACE FUNCTION monitoring.answered_via() RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    AS $$
    -- A setting can be made by anybody: it counts for those alone who may call answer_alert, which are the workers.
    SELECT coalesce(CASE WHEN has_function_privilege(session_user, 'monitoring.answer_alert(text, bytea, text, text, text, interval)', 'EXECUTE')
                         THEN nullif(current_setting('onevault.answered_via', true), '') END,
                    'psql:' || session_user)
    $$;
COMMENT ON FUNCTION monitoring.answered_via() IS
    'How it is known who gives a command: who opened the session; of a worker within answer_alert, how it verified the person.';

DROP FUNCTION IF EXISTS monitoring.command_alert(text, bytea, text, text);

CREATE OR REPLACE FUNCTION monitoring.command_alert(
    p_status text, p_alert_instance_hk bytea, p_actor text, p_notes text, p_details jsonb DEFAULT '{}') RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_at     timestamptz := clock_timestamp();
    v_via    text := monitoring.answered_via();
    v_result record;
BEGIN
    IF p_alert_instance_hk IS NULL THEN
        RAISE NOTICE 'no alert was given: nothing to do';
        RETURN false;
    END IF;
    v_result := monitoring.change_alert_state(p_alert_instance_hk, p_status, v_at, p_actor, v_via, p_notes, NULL, p_details);
    IF NOT v_result.changed THEN
        RAISE WARNING '%', v_result.message;
        RETURN false;
    END IF;
    PERFORM monitoring.tell_workflow(CASE p_status WHEN 'OPEN' THEN 'UNACKNOWLEDGED' ELSE p_status END, p_alert_instance_hk,
        p_details || jsonb_build_object('actor', p_actor, 'via', v_via, 'notes', p_notes, 'at', v_at));
    RETURN true;
END
$$;
COMMENT ON FUNCTION monitoring.command_alert(text, bytea, text, text, jsonb) IS
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

CREATE OR REPLACE FUNCTION monitoring.count_notifications(p_changes jsonb) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET enable_material = off
    AS $$
DECLARE
    v_hks    bytea[];
    v_ats    timestamptz[];
    v_counts integer[];
BEGIN
    SELECT array_agg(util.hash_binary(e ->> 'alert_key') ORDER BY o), array_agg((e ->> 'at')::timestamptz ORDER BY o),
           array_agg((e ->> 'count')::integer ORDER BY o)
      INTO v_hks, v_ats, v_counts
      FROM jsonb_array_elements(p_changes) WITH ORDINALITY AS u (e, o);
    IF array_position(v_ats, NULL) IS NOT NULL OR array_position(v_counts, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a change NOTIFIED lacks its at or its count' USING ERRCODE = '22004', HINT = 'Give when the messages were sent, and how many they were.';
    END IF;
    LOOP
        -- Known by its time among all that were counted: a retry counts no message twice, and one whose
        -- delivery took longer than a later one's still counts. Of two of one alert each has its turn.
        INSERT INTO monitoring.alert_instance_s
        SELECT n.*
          FROM (SELECT DISTINCT ON (u.hk) u.hk, u.at, u.count
                  FROM unnest(v_hks, v_ats, v_counts) WITH ORDINALITY AS u (hk, at, count, o)
                 WHERE NOT EXISTS (SELECT FROM monitoring.alert_instance_s k
                                    WHERE k.alert_instance_hk = u.hk AND k.last_notification_sent = u.at OFFSET 0)
                 ORDER BY u.hk, u.o) AS c
         CROSS JOIN LATERAL (
                   SELECT s FROM monitoring.alert_instance_s s
                    WHERE s.alert_instance_hk = c.hk AND s.load_end_date IS NULL
                      FOR UPDATE) AS v
         CROSS JOIN LATERAL jsonb_populate_record(v.s, jsonb_build_object(
                   'load_date', clock_timestamp(), 'last_notification_sent', c.at,
                   'notification_count', (v.s).notification_count + c.count, 'record_source', 'NOTIFICATION_MANAGER')) AS n;
        -- A row inserted by hand takes no place in the queue, and may have replaced the version that was waited for.
        EXIT WHEN NOT FOUND AND NOT EXISTS (
            SELECT FROM unnest(v_hks, v_ats) AS u (hk, at)
             WHERE NOT EXISTS (SELECT FROM monitoring.alert_instance_s k
                                WHERE k.alert_instance_hk = u.hk AND k.last_notification_sent = u.at OFFSET 0)
               AND EXISTS (SELECT FROM monitoring.alert_instance_s s
                            WHERE s.alert_instance_hk = u.hk AND s.load_end_date IS NULL OFFSET 0));
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.count_notifications(jsonb) IS
    'Counts the messages that told of alerts, for a caller that holds them: [{alert_key, at, count}]. An alert that the vault does not know is passed over.';

DROP FUNCTION IF EXISTS monitoring.record_alert_changes(jsonb);

CREATE OR REPLACE FUNCTION monitoring.record_alert_changes(p_changes jsonb)
    RETURNS TABLE (alert_key text, changed boolean, alert_status text, actor text, at timestamptz, message text, until timestamptz)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    v_change jsonb;
    v_hks    bytea[] := ARRAY(SELECT DISTINCT util.hash_binary(e ->> 'alert_key') FROM jsonb_array_elements(p_changes) AS e);
    v_hk     bytea;
    v_result record;
BEGIN
    IF cardinality(v_hks) = 1 THEN
        PERFORM monitoring.lock_current_alert(v_hks[1]);  -- whoever holds none may queue
    ELSE
        PERFORM monitoring.hold_alerts(v_hks);
    END IF;
    IF jsonb_path_match(p_changes, '!exists($[*] ? (@.change != "NOTIFIED"))') THEN
        PERFORM monitoring.count_notifications(p_changes);  -- what follows a message about thousands
        RETURN;
    END IF;
    FOR v_change IN SELECT e FROM jsonb_array_elements(p_changes) WITH ORDINALITY AS u (e, o) ORDER BY o LOOP
        v_hk := util.hash_binary(v_change ->> 'alert_key');
        CASE v_change ->> 'change'
        WHEN 'OPEN' THEN
            PERFORM monitoring.open_alert(
                v_change ->> 'alert_key', util.hash_binary(v_change ->> 'definition_key'), decode(v_change ->> 'tenant', 'hex'),
                v_change ->> 'target', 'OPEN', (v_change ->> 'at')::timestamptz, (v_change ->> 'value')::numeric,
                v_change -> 'details', v_change ->> 'severity', NULL, v_change ->> 'via');
        WHEN 'NOTIFIED' THEN
            PERFORM monitoring.count_notifications(jsonb_build_array(v_change));
        ELSE
            IF NOT EXISTS (SELECT FROM monitoring.alert_instance_s s WHERE s.alert_instance_hk = v_hk AND s.load_end_date IS NULL) THEN
                -- A vault restored from an older backup: said, and no reason to hold up what comes after.
                RETURN QUERY SELECT v_change ->> 'alert_key', false, NULL::text, NULL::text, NULL::timestamptz,
                                    format('the vault does not know the alert %s', v_change ->> 'alert_key'), NULL::timestamptz;
                CONTINUE;
            END IF;
            IF v_change ->> 'change' = 'SNOOZED' THEN
                v_result := monitoring.snooze_state(v_hk, (v_change ->> 'until')::timestamptz, (v_change ->> 'at')::timestamptz,
                    v_change ->> 'actor', v_change ->> 'via', v_change ->> 'notes');
            ELSE
                v_result := monitoring.change_alert_state(
                    v_hk, CASE v_change ->> 'change' WHEN 'UNACKNOWLEDGED' THEN 'OPEN' ELSE v_change ->> 'change' END,
                    (v_change ->> 'at')::timestamptz, v_change ->> 'actor', v_change ->> 'via', v_change ->> 'notes',
                    (v_change ->> 'level')::integer, v_change);
            END IF;
            RETURN QUERY SELECT v_change ->> 'alert_key', v_result.changed, v_result.alert_status,
                                v_result.actor, v_result.at, v_result.message, v_result.until;
        END CASE;
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.record_alert_changes(jsonb) IS
    'Writes the changes that an alert''s workflow made, in order: [{alert_key, change: OPEN|ACKNOWLEDGED|UNACKNOWLEDGED|SNOOZED|ESCALATED|RESOLVED|NOTIFIED, at, ...}]. Answers for each change of status what stands now.';

CREATE OR REPLACE FUNCTION monitoring.notification_key(p_alert_key text, p_channel_key text, p_recipient text, p_event text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT 'NOTIF||' || encode(sha256(convert_to(util.bk(p_alert_key, p_channel_key, p_recipient, p_event), 'UTF8')), 'hex')
    $$;
COMMENT ON FUNCTION monitoring.notification_key(text, text, text, text) IS
    'The business key of a notification: one alert, one event, one recipient of one channel.';

CREATE OR REPLACE FUNCTION monitoring.ledger_keys(p_entries jsonb) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    -- As monitoring.notification_key makes them; what the entries of one message share is built once.
    SELECT array_agg('NOTIF||' || encode(sha256(convert_to(util.bk(u.e ->> 'alert_key') || '||' || shared.bk, 'UTF8')), 'hex') ORDER BY u.o)
      FROM jsonb_array_elements(p_entries) WITH ORDINALITY AS u (e, o)
      JOIN (SELECT d.channel, d.recipient, d.event, util.bk(d.channel, d.recipient, d.event) AS bk
              FROM (SELECT DISTINCT e ->> 'channel_key' AS channel, e ->> 'recipient' AS recipient, e ->> 'event' AS event
                      FROM jsonb_array_elements(p_entries) AS e) AS d) AS shared
        ON shared.channel = u.e ->> 'channel_key' AND shared.recipient = u.e ->> 'recipient' AND shared.event = u.e ->> 'event'
    $$;
COMMENT ON FUNCTION monitoring.ledger_keys(jsonb) IS 'The business keys of the notifications that entries of the ledger are about, in their order.';

CREATE OR REPLACE FUNCTION monitoring.hold_ledger(p_keys text[], p_entries jsonb[]) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET enable_material = off
    AS $$
DECLARE
    v_hks  bytea[] := ARRAY(SELECT util.hash_binary(u.bk) FROM unnest(p_keys) WITH ORDINALITY AS u (bk, o) ORDER BY u.o);
    v_ours bytea[];
BEGIN
    -- One writer at a time per notification, always in the same order: the second one sees what the first one wrote. Of
    -- a new one, whoever makes its key is the first, and the second waits for that. Advisory locks would do, too, but a lock
    -- for each of thousands uses up the server's table of locks, and sharing some makes strangers wait for each other.
    WITH made AS (
        INSERT INTO monitoring.notification_log_h (notification_log_hk, notification_log_bk, alert_instance_hk, notification_config_hk)
        SELECT DISTINCT ON (n.hk) n.hk, n.bk, util.hash_binary(n.entry ->> 'alert_key'), util.hash_binary(n.entry ->> 'channel_key')
          FROM unnest(v_hks, p_keys, p_entries) AS n (hk, bk, entry)
         ORDER BY n.hk
        ON CONFLICT DO NOTHING
        RETURNING notification_log_hk
    )
    SELECT array_agg(m.notification_log_hk) INTO v_ours FROM made m;
    PERFORM FROM monitoring.notification_log_h h
      WHERE h.notification_log_hk = ANY (ARRAY(SELECT unnest(v_hks) EXCEPT SELECT unnest(v_ours)))
      ORDER BY h.notification_log_hk
        FOR NO KEY UPDATE;
END
$$;
COMMENT ON FUNCTION monitoring.hold_ledger(text[], jsonb[]) IS
    'Makes the keys of notifications known, and keeps other writers of these notifications waiting until the transaction ends.';

CREATE OR REPLACE FUNCTION monitoring.write_ledger(p_keys text[], p_entries jsonb[]) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET enable_material = off
    AS $$
DECLARE
    v_hks    bytea[];
    v_rounds bigint[];
BEGIN
    -- Row by row by the index, whatever the statistics of the moment say: a session keeps its plans, and one that was made
    -- for a small ledger would compare each entry with each row. OFFSET 0 keeps a sub-query from becoming a join.
    -- Of several versions of one notification each sees the one before: one round for each.
    SELECT array_agg(k.hk ORDER BY k.o), array_agg(k.round ORDER BY k.o) INTO v_hks, v_rounds
      FROM (SELECT u.o, util.hash_binary(u.bk) AS hk, row_number() OVER (PARTITION BY u.bk ORDER BY u.o) AS round
              FROM unnest(p_keys) WITH ORDINALITY AS u (bk, o)) AS k;

    FOR v_round IN 1 .. (SELECT coalesce(max(r), 0) FROM unnest(v_rounds) AS r) LOOP
        INSERT INTO monitoring.notification_log_s (
            notification_log_hk, load_date, load_end_date, hash_diff, sent_timestamp, delivery_status, channel_used, recipient_address,
            message_content, delivery_confirmation_received, delivery_confirmation_timestamp, failure_reason, retry_count,
            delivery_duration_ms, external_message_id, event, delivery_key, outcome_class, delivery_proof, possible_duplicate)
        SELECT n.hk, coalesce(late.at, clock_timestamp()), late.at, '\x', (n.entry ->> 'at')::timestamptz, n.entry ->> 'status',
               n.entry ->> 'channel_type', n.entry ->> 'recipient', n.entry ->> 'content', false, NULL, n.entry ->> 'reason',
               (n.entry ->> 'attempt')::integer, (n.entry ->> 'duration_ms')::integer, n.entry ->> 'external_id', n.entry ->> 'event',
               n.entry ->> 'delivery_key', n.entry ->> 'class', n.entry ->> 'proof',
               coalesce((n.entry ->> 'possible_duplicate')::boolean, false)
          FROM unnest(v_hks, p_entries, v_rounds) WITH ORDINALITY AS n (hk, entry, round, o)
          LEFT JOIN LATERAL (
                   SELECT s.sent_timestamp, s.outcome_class, s.delivery_status FROM monitoring.notification_log_s s
                    WHERE s.notification_log_hk = n.hk AND s.load_end_date IS NULL OFFSET 0) AS c ON true
         -- What the vault could not take in time comes later, when it may hold a newer attempt or the outcome
         -- of this one: it becomes history then, and once, and does not undo what is known.
         CROSS JOIN LATERAL (
                   SELECT CASE WHEN (n.entry ->> 'at')::timestamptz < c.sent_timestamp
                                 OR (n.entry ->> 'at')::timestamptz = c.sent_timestamp AND c.outcome_class IS NOT NULL
                                    AND n.entry ->> 'class' IS NULL
                               THEN clock_timestamp() END AS at) AS late
         WHERE n.round = v_round
           -- Who did not see how an attempt ended takes nothing back from who did.
           AND (late.at IS NULL AND c.delivery_status IN ('DELIVERED', 'SENT') AND n.entry ->> 'class' = 'UNCERTAIN') IS NOT TRUE
           AND (late.at IS NULL OR NOT EXISTS (
                   SELECT FROM monitoring.notification_log_s k
                    WHERE k.notification_log_hk = n.hk AND k.sent_timestamp = (n.entry ->> 'at')::timestamptz
                      AND k.outcome_class IS NOT DISTINCT FROM n.entry ->> 'class' OFFSET 0))
         ORDER BY n.o;
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.write_ledger(text[], jsonb[]) IS
    'Writes versions of notifications, in order, for a caller that has called hold_ledger: their keys by ledger_keys, and the entries.';

CREATE OR REPLACE FUNCTION monitoring.record_notifications(p_entries jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_keys    text[]  := monitoring.ledger_keys(p_entries);
    v_entries jsonb[] := ARRAY(SELECT e FROM jsonb_array_elements(p_entries) WITH ORDINALITY AS u (e, o) ORDER BY o);
BEGIN
    PERFORM monitoring.hold_ledger(v_keys, v_entries);
    PERFORM monitoring.write_ledger(v_keys, v_entries);
END
$$;
COMMENT ON FUNCTION monitoring.record_notifications(jsonb) IS
    'Writes versions of notifications into the ledger, in order: [{alert_key, channel_key, channel_type, recipient, event, delivery_key, status, attempt, at, class, reason, proof, ...}].';

CREATE OR REPLACE FUNCTION monitoring.record_notification(p_entry jsonb) RETURNS void
    LANGUAGE sql
    AS $$ SELECT monitoring.record_notifications(jsonb_build_array(p_entry)) $$;
COMMENT ON FUNCTION monitoring.record_notification(jsonb) IS 'Writes one version of one notification into the ledger: see record_notifications.';

CREATE OR REPLACE FUNCTION monitoring.begin_each_notification(p_entries jsonb)
    RETURNS TABLE (alert_key text, finding text, possible_duplicate boolean)
    LANGUAGE plpgsql
    SET enable_seqscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET enable_material = off
    AS $$
#variable_conflict use_column
DECLARE
    v_keys     text[]  := monitoring.ledger_keys(p_entries);
    v_entries  jsonb[] := ARRAY(SELECT e FROM jsonb_array_elements(p_entries) WITH ORDINALITY AS u (e, o) ORDER BY o);
    v_findings text[];
BEGIN
    PERFORM monitoring.hold_ledger(v_keys, v_entries);
    SELECT array_agg(f.finding ORDER BY f.o),
           -- An attempt was begun and nobody knows how it ended: from there on a duplicate is possible.
           array_agg(f.entry || CASE WHEN f.finding = 'UNKNOWN_OUTCOME' OR f.doubtful
                                THEN '{"status": "PENDING", "possible_duplicate": true}' ELSE '{"status": "PENDING"}' END::jsonb ORDER BY f.o)
      INTO v_findings, v_entries
      FROM (SELECT n.o, n.entry, c.possible_duplicate AS doubtful,
                   CASE WHEN c.delivery_status IN ('DELIVERED', 'SENT') THEN 'DELIVERED'
                        WHEN c.delivery_status = 'PENDING' AND c.outcome_class IS NULL THEN 'UNKNOWN_OUTCOME'
                        ELSE 'NEW' END AS finding
              FROM unnest(ARRAY(SELECT util.hash_binary(u.bk) FROM unnest(v_keys) WITH ORDINALITY AS u (bk, o) ORDER BY u.o), v_entries)
                   WITH ORDINALITY AS n (hk, entry, o)
              LEFT JOIN LATERAL (
                       SELECT s.delivery_status, s.outcome_class, s.possible_duplicate
                         FROM monitoring.notification_log_s s
                        WHERE s.notification_log_hk = n.hk AND s.load_end_date IS NULL OFFSET 0) AS c ON true) AS f;
    PERFORM monitoring.write_ledger(
        ARRAY(SELECT u.bk FROM unnest(v_keys, v_findings) WITH ORDINALITY AS u (bk, f, o) WHERE u.f <> 'DELIVERED' ORDER BY u.o),
        ARRAY(SELECT u.e FROM unnest(v_entries, v_findings) WITH ORDINALITY AS u (e, f, o) WHERE u.f <> 'DELIVERED' ORDER BY u.o));
    RETURN QUERY SELECT u.e ->> 'alert_key', u.f, coalesce((u.e ->> 'possible_duplicate')::boolean, false)
                   FROM unnest(v_entries, v_findings) WITH ORDINALITY AS u (e, f, o) ORDER BY u.o;
END
$$;
COMMENT ON FUNCTION monitoring.begin_each_notification(jsonb) IS
    'Writes the intents of notifications that go out one by one, before their attempt, and says of each what the ledger knew. NEW: go on. UNKNOWN_OUTCOME: an earlier attempt may have arrived. DELIVERED: do not send again, and nothing was written.';

CREATE OR REPLACE FUNCTION monitoring.begin_notifications(p_entries jsonb) RETURNS text
    LANGUAGE sql
    AS $$
    -- Delivered only when it all was: to hear twice of one alert is better than never of another.
    SELECT CASE WHEN bool_and(f.finding = 'DELIVERED') THEN 'DELIVERED'
                WHEN bool_or(f.finding <> 'NEW') THEN 'UNKNOWN_OUTCOME'
                ELSE 'NEW' END
      FROM monitoring.begin_each_notification(p_entries) AS f
    $$;
COMMENT ON FUNCTION monitoring.begin_notifications(jsonb) IS
    'Writes the intents of one delivery before its attempt. NEW: go on. UNKNOWN_OUTCOME: an earlier attempt may have arrived. DELIVERED: do not send again.';
