-- What comes in from outside: each thing once, what is refused as a security event, and answers to alerts
-- whose sender a worker has verified.

-- ---------------------------------------------------------------- each thing once

INSERT INTO monitoring.queue_table (table_name, done_column, keep) VALUES ('inbound_receipt', 'received_at', '30 days')
ON CONFLICT (table_name) DO UPDATE SET done_column = excluded.done_column, keep = excluded.keep;

CREATE OR REPLACE FUNCTION monitoring.claim_receipt(
    p_provider text, p_receipt_id text, p_digest bytea, p_sender text,
    OUT finding text, OUT status integer, OUT answer jsonb, OUT sender text, OUT at timestamptz)
    LANGUAGE plpgsql
    AS $$
DECLARE
    r monitoring.inbound_receipt;
BEGIN
    INSERT INTO monitoring.inbound_receipt (provider, receipt_id, digest, sender)
    VALUES (p_provider, p_receipt_id, p_digest, left(p_sender, 150))
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        finding := 'NEW';
        RETURN;
    END IF;
    SELECT * INTO r FROM monitoring.inbound_receipt i WHERE i.provider = p_provider AND i.receipt_id = p_receipt_id FOR UPDATE;
    IF r.provider IS NULL THEN
        finding := 'UNDER_WAY';  -- its work failed at this moment: the sender tries again
        RETURN;
    END IF;
    status := r.status;
    answer := r.answer;
    sender := r.sender;
    at := coalesce(r.done_at, r.claimed_at);
    finding := CASE
        WHEN r.digest <> p_digest THEN 'DIFFERENT'
        WHEN r.done_at IS NOT NULL THEN 'DONE'
        WHEN r.claimed_at > clock_timestamp() - interval '1 minute' THEN 'UNDER_WAY'
        ELSE 'NEW' END;
    -- Whoever began it ended before it was done: what it did can be done again, for each step of it is harmless twice.
    IF finding = 'NEW' THEN
        UPDATE monitoring.inbound_receipt i SET claimed_at = clock_timestamp() WHERE i.provider = p_provider AND i.receipt_id = p_receipt_id;
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.claim_receipt(text, text, bytea, text) IS
    'Whether something that came in is to be carried out: NEW. Otherwise DONE, with what answered it then; UNDER_WAY; or DIFFERENT, another content under an id that was used.';

-- ---------------------------------------------------------------- what was refused

CREATE OR REPLACE FUNCTION monitoring.record_inbound_refusals(p_refusals jsonb) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_refusal record;
    v_finding monitoring.security_finding;
    v_window  timestamptz;
    v_before  jsonb;
    v_count   bigint;
    v_written integer := 0;
BEGIN
    FOR v_refusal IN
        SELECT * FROM jsonb_to_recordset(p_refusals)
            AS r (provider text, reason text, count bigint, first timestamptz, last timestamptz, addresses text[], detail text)
         ORDER BY r.provider, r.reason
    LOOP
        v_window := date_trunc('hour', v_refusal.last, 'UTC');
        v_finding := NULL;
        v_finding.object := v_refusal.provider || '/' || v_refusal.reason;
        -- One event for each hour, provider and reason: however many requests there are, they are few rows.
        PERFORM pg_advisory_xact_lock(hashtextextended('onevault.refusals/' || v_finding.object, 0));
        SELECT s.event_details INTO v_before
          FROM monitoring.security_event_s s
         WHERE s.security_event_hk = util.hash_binary(monitoring.security_event_key('local', 'inbound', v_finding.object, v_window))
           AND s.load_end_date IS NULL;
        v_count := v_refusal.count + coalesce((v_before ->> 'count')::bigint, 0);
        v_finding.event_type := 'INBOUND_REFUSED';
        v_finding.severity := CASE WHEN v_refusal.reason NOT IN ('SIGNATURE', 'UNKNOWN_SENDER', 'REPLAYED', 'FORBIDDEN') THEN 'LOW'
                                   WHEN v_count >= 100 THEN 'HIGH' ELSE 'MEDIUM' END;
        v_finding.source_ip := monitoring.login_address(v_refusal.addresses[1]);
        v_finding.details := jsonb_build_object(
            'provider', v_refusal.provider, 'reason', v_refusal.reason, 'count', v_count, 'detail', v_refusal.detail,
            'first', coalesce((v_before ->> 'first')::timestamptz, v_refusal.first), 'last', v_refusal.last,
            'addresses', (SELECT coalesce(jsonb_agg(a ORDER BY a), '[]') FROM (
                              SELECT a FROM unnest(v_refusal.addresses) AS a
                               UNION SELECT jsonb_array_elements_text(coalesce(v_before -> 'addresses', '[]'))
                               LIMIT 20) AS seen (a)));
        v_finding.mitigation_actions := ARRAY['Is it one of yours whose secret was changed? Set it anew on both sides.',
                                              'Otherwise keep the addresses out at the proxy or the firewall.'];
        v_written := v_written + monitoring.put_security_event('local', 'inbound', v_window, v_refusal.last, v_finding, true);
    END LOOP;
    RETURN v_written;
END
$$;
COMMENT ON FUNCTION monitoring.record_inbound_refusals(jsonb) IS
    'Records requests from outside that were refused: [{provider, reason, count, first, last, addresses, detail}], already summed by the worker. One security event INBOUND_REFUSED for each hour, provider and reason. Returns how many versions it wrote.';

-- ---------------------------------------------------------------- answers to alerts

DROP FUNCTION IF EXISTS monitoring.answer_alert(text, text, text, text, text);

CREATE OR REPLACE FUNCTION monitoring.answer_alert(
    p_command text, p_alert_instance_hk bytea, p_actor text, p_notes text, p_via text, p_for interval DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_changed boolean;
BEGIN
    IF coalesce(btrim(p_via), '') = '' THEN
        RAISE EXCEPTION 'p_via is empty' USING ERRCODE = '22023', HINT = 'Say how the actor is known, such as slack:U0123456789 (verified).';
    END IF;
    PERFORM set_config('onevault.answered_via', p_via, true);
    CASE p_command
        WHEN 'acknowledge' THEN
            IF p_for IS NULL THEN
                v_changed := monitoring.acknowledge_alert(p_alert_instance_hk, p_actor, p_notes);
            ELSE
                v_changed := monitoring.acknowledge_alert_for(p_alert_instance_hk, p_actor, p_for, p_notes);
            END IF;
        WHEN 'resolve' THEN v_changed := monitoring.resolve_alert(p_alert_instance_hk, p_actor, p_notes);
        WHEN 'unacknowledge' THEN v_changed := monitoring.unacknowledge_alert(p_alert_instance_hk, p_actor, p_notes);
        WHEN 'snooze' THEN v_changed := monitoring.snooze_alert(p_alert_instance_hk, p_actor, p_for, p_notes);
        WHEN 'escalate' THEN v_changed := monitoring.escalate_alert(p_alert_instance_hk, p_actor, p_notes);
        WHEN 'false-positive' THEN v_changed := monitoring.mark_alert_false_positive(p_alert_instance_hk, p_actor, p_notes);
        ELSE
            RAISE EXCEPTION 'p_command is "%"', p_command
                USING ERRCODE = '22023', HINT = 'Use acknowledge, resolve, unacknowledge, snooze, escalate or false-positive.';
    END CASE;
    PERFORM set_config('onevault.answered_via', '', true);
    RETURN v_changed;
END
$$;
COMMENT ON FUNCTION monitoring.answer_alert(text, bytea, text, text, text, interval) IS
    'A command of somebody whom the worker verified, p_via says how: changes the state and tells the workflow, in one transaction. For workers alone: people call acknowledge_alert and its like, which say who opened the session.';
