-- Receipts: what becomes of a message after its provider took it. Each is one more version of the notification. They come
-- late, twice, in the wrong order, and before the notification itself is written; none of that undoes what is known better.

CREATE OR REPLACE FUNCTION monitoring.receipt_channels(p_provider text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE p_provider
           WHEN 'EMAIL' THEN ARRAY['EMAIL']
           WHEN 'TWILIO' THEN ARRAY['SMS', 'VOICE']
           WHEN 'PAGERDUTY' THEN ARRAY['PAGERDUTY']
           WHEN 'SLACK' THEN ARRAY['SLACK']
           WHEN 'WEBHOOK' THEN ARRAY['WEBHOOK']
           END
    $$;
COMMENT ON FUNCTION monitoring.receipt_channels(text) IS 'The types of channel whose messages a provider sends receipts for; NULL: no such provider.';

CREATE OR REPLACE FUNCTION monitoring.delivery_certainty(
    p_status text, p_class text, p_confirmed boolean, p_sent timestamptz, p_at timestamptz) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE
           WHEN p_status = 'BOUNCED' THEN 'FAILED'
           WHEN p_confirmed THEN 'CONFIRMED'
           WHEN p_status IN ('DELIVERED', 'SENT') THEN 'ACCEPTED'
           -- Written, and no usable answer: the last attempt said so, or ended without a word a minute ago.
           WHEN p_class = 'UNCERTAIN' OR p_status = 'PENDING' AND p_class IS NULL AND p_sent < p_at - interval '1 minute' THEN 'UNCERTAIN'
           WHEN p_status = 'FAILED' THEN 'FAILED'
           WHEN p_status IN ('PENDING', 'DIGESTED') THEN 'PENDING'
           END
    $$;
COMMENT ON FUNCTION monitoring.delivery_certainty(text, text, boolean, timestamptz, timestamptz) IS
    'How certain it is at a moment that a message arrived. CONFIRMED: a receipt says so. ACCEPTED: the provider took it. UNCERTAIN: nobody knows. FAILED: it did not. PENDING: still trying. NULL: it was held back or withdrawn, and claims nothing.';

CREATE OR REPLACE FUNCTION monitoring.notification_id(p_notification_log_hk bytea) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT 'N-' || monitoring.short_code(p_notification_log_hk) $$;
COMMENT ON FUNCTION monitoring.notification_id(bytea) IS 'What people type for a notification: N-7F3K9QXM.';
CREATE INDEX IF NOT EXISTS notification_log_h_short_code ON monitoring.notification_log_h (monitoring.short_code(notification_log_hk) text_pattern_ops);

CREATE OR REPLACE FUNCTION monitoring.find_notification(p_id text) RETURNS bytea
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_code    text := translate(upper(regexp_replace(btrim(p_id), '^[nN]-', '')), 'OIL', '011');
    v_matches bytea[];
BEGIN
    IF v_code ~ '^[0-9A-HJKMNP-TV-Z]{4,8}$' THEN
        SELECT array_agg(h.notification_log_hk) INTO v_matches
          FROM monitoring.notification_log_h h
         WHERE monitoring.short_code(h.notification_log_hk) LIKE v_code || '%';
    ELSE
        SELECT array_agg(h.notification_log_hk) INTO v_matches
          FROM monitoring.notification_log_h h
         WHERE h.notification_log_bk = p_id OR h.notification_log_hk = CASE WHEN p_id ~ '^[0-9a-fA-F]{64}$' THEN decode(p_id, 'hex') END;
    END IF;
    IF v_matches IS NULL THEN
        RAISE EXCEPTION 'no notification "%"', p_id
            USING ERRCODE = 'P0002', HINT = 'See them: onevault notification list, or SELECT * FROM monitoring.notification_delivery.';
    END IF;
    IF cardinality(v_matches) > 1 THEN
        RAISE EXCEPTION 'notification id "%" is ambiguous: %', p_id,
            (SELECT string_agg(monitoring.notification_id(m), ', ' ORDER BY m) FROM unnest(v_matches) AS m)
            USING ERRCODE = 'P0003', HINT = 'Give more of the id.';
    END IF;
    RETURN v_matches[1];
END
$$;
COMMENT ON FUNCTION monitoring.find_notification(text) IS
    'Finds a notification by short id (N-7F3K or longer), hash key in hex, or business key; raises P0002 (none) or P0003 (several).';

-- ---------------------------------------------------------------- recording

CREATE OR REPLACE FUNCTION monitoring.receipts_lock() RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT hashtextextended('onevault.receipts', 0) $$;
COMMENT ON FUNCTION monitoring.receipts_lock() IS
    'The advisory lock of receipts that wait: who writes outcomes holds it with others, who lets a receipt wait holds it alone. Without it each could look before the other commits, and both would miss the other.';

CREATE OR REPLACE FUNCTION monitoring.notifications_of_receipt(p_provider text, p_reference text, p_details jsonb) RETURNS bytea[]
    LANGUAGE plpgsql STABLE
    SET enable_seqscan = off
    AS $$
DECLARE
    v_types      text[] := monitoring.receipt_channels(p_provider);
    v_found      bytea[];
    v_recipients text[];
BEGIN
    SELECT array_agg(DISTINCT s.notification_log_hk) INTO v_found
      FROM monitoring.notification_log_s s
     WHERE s.channel_used = ANY (v_types) AND s.external_message_id = p_reference;
    IF v_found IS NULL AND p_provider = 'EMAIL' AND strpos(p_reference, '@') = 0 THEN
        -- The sign of an envelope sender is the part of the Message-ID before its domain.
        SELECT array_agg(DISTINCT s.notification_log_hk) INTO v_found
          FROM monitoring.notification_log_s s
         WHERE s.channel_used = ANY (v_types)
           AND s.external_message_id ~>=~ (p_reference || '@') AND s.external_message_id ~<~ (p_reference || 'A');
    END IF;
    IF v_found IS NULL THEN
        -- Our key is that of a message, which may have gone to several people by several channels.
        SELECT array_agg(DISTINCT s.notification_log_hk), array_agg(DISTINCT c.notification_config_bk || ' to ' || s.recipient_address)
          INTO v_found, v_recipients
          FROM monitoring.notification_log_s s
          JOIN monitoring.notification_log_h h USING (notification_log_hk)
          JOIN monitoring.notification_config_h c USING (notification_config_hk)
         WHERE s.channel_used = ANY (v_types) AND s.delivery_key = p_reference
           AND (NOT p_details ? 'recipient' OR s.recipient_address = p_details ->> 'recipient')
           AND (NOT p_details ? 'channel' OR c.notification_config_bk = p_details ->> 'channel');
        IF cardinality(v_recipients) > 1 THEN
            RAISE EXCEPTION 'reference "%" of a receipt is the key of % messages: %', p_reference, cardinality(v_recipients), array_to_string(v_recipients, ', ')
                USING ERRCODE = '22023', HINT = 'Say which: give details.recipient and details.channel.';
        END IF;
    END IF;
    -- Outcomes of many alerts are written in several transactions: those without the provider's id yet are of the same message.
    RETURN ARRAY(
        SELECT DISTINCT s.notification_log_hk
          FROM (SELECT DISTINCT k.delivery_key, k.recipient_address, h.notification_config_hk
                  FROM monitoring.notification_log_s k
                  JOIN monitoring.notification_log_h h USING (notification_log_hk)
                 WHERE k.notification_log_hk = ANY (v_found) AND k.load_end_date IS NULL) AS m
          JOIN monitoring.notification_log_s s USING (delivery_key, recipient_address)
          JOIN monitoring.notification_log_h h ON h.notification_log_hk = s.notification_log_hk AND h.notification_config_hk = m.notification_config_hk
         WHERE s.load_end_date IS NULL AND s.delivery_status = 'PENDING'
         UNION
        SELECT unnest(v_found)
         ORDER BY 1);
END
$$;
COMMENT ON FUNCTION monitoring.notifications_of_receipt(text, text, jsonb) IS
    'The notifications that a receipt is about, by the provider''s id of the message or by our delivery key: as many as the message told of alerts.';

CREATE OR REPLACE FUNCTION monitoring.apply_receipt(
    p_notification_log_hk bytea, p_provider text, p_status text, p_at timestamptz, p_details jsonb) RETURNS text
    LANGUAGE plpgsql
    AS $$
DECLARE
    c        monitoring.notification_log_s;
    v_last   boolean := p_status IN ('DELIVERED', 'BOUNCED', 'FAILED');
    v_newer  boolean;
BEGIN
    -- In the queue of those who write the ledger, see hold_ledger.
    PERFORM FROM monitoring.notification_log_h h WHERE h.notification_log_hk = p_notification_log_hk FOR NO KEY UPDATE;
    SELECT * INTO c FROM monitoring.notification_log_s s WHERE s.notification_log_hk = p_notification_log_hk AND s.load_end_date IS NULL;
    IF c.receipt_provider = p_provider AND c.receipt_status = p_status
       OR EXISTS (SELECT FROM monitoring.notification_log_s s
                   WHERE s.notification_log_hk = p_notification_log_hk
                     AND s.receipt_provider = p_provider AND s.receipt_status = p_status AND s.receipt_timestamp = p_at) THEN
        RETURN 'KNOWN';
    END IF;
    v_newer := c.receipt_status IS NULL
        OR v_last AND c.receipt_status IN ('SENT', 'DELAYED')
        OR v_last = (c.receipt_status NOT IN ('SENT', 'DELAYED')) AND p_at > c.receipt_timestamp;

    c.load_date := clock_timestamp();
    c.load_end_date := CASE WHEN NOT v_newer THEN c.load_date END;  -- it comes late: history, which replaces nothing
    c.record_source := 'RECEIPT';
    c.receipt_provider := p_provider;
    c.receipt_status := p_status;
    c.receipt_timestamp := p_at;
    c.receipt_details := nullif(p_details, '{}');
    IF v_newer THEN
        CASE
        WHEN p_status = 'DELIVERED' THEN
            c.delivery_status := 'DELIVERED';
            c.outcome_class := 'ACCEPTED';
            c.delivery_confirmation_received := true;
            c.delivery_confirmation_timestamp := p_at;
            c.delivery_proof := coalesce(c.delivery_proof, 'receipt of ' || p_provider);
            c.failure_reason := NULL;
        WHEN p_status IN ('BOUNCED', 'FAILED') THEN
            c.delivery_status := p_status;
            c.outcome_class := CASE WHEN c.outcome_class IS NULL OR c.outcome_class = 'UNCERTAIN' THEN 'PERMANENT' ELSE c.outcome_class END;
            c.delivery_confirmation_received := false;
            c.delivery_confirmation_timestamp := NULL;
            c.failure_reason := coalesce(p_details ->> 'reason', 'the provider took it and could not deliver it');
        WHEN c.delivery_status = 'PENDING' OR c.outcome_class = 'UNCERTAIN' THEN
            -- Whoever reports on its way has it: an answer that was lost is found.
            c.delivery_status := 'SENT';
            c.outcome_class := 'ACCEPTED';
            c.delivery_proof := coalesce(c.delivery_proof, 'receipt of ' || p_provider);
            c.failure_reason := NULL;
        ELSE
            NULL;
        END CASE;
    END IF;
    INSERT INTO monitoring.notification_log_s SELECT (c).*;
    RETURN CASE WHEN v_newer THEN 'RECORDED' ELSE 'LATE' END;
END
$$;
COMMENT ON FUNCTION monitoring.apply_receipt(bytea, text, text, timestamptz, jsonb) IS
    'Writes a receipt as a version of one notification. RECORDED: it is the newest that is known. LATE: a later one, or one that ends it, is known already, so it is history. KNOWN: it said nothing new.';

CREATE OR REPLACE FUNCTION monitoring.record_receipt(
    p_provider text, p_reference text, p_status text, p_at timestamptz, p_details jsonb DEFAULT '{}')
    RETURNS TABLE (notification_id text, notification_bk text, effect text)
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_details jsonb := coalesce(p_details, '{}') || jsonb_build_object('recorded_by', session_user);
    v_found   bytea[];
    v_hk      bytea;
BEGIN
    IF monitoring.receipt_channels(p_provider) IS NULL THEN
        RAISE EXCEPTION 'provider of a receipt is "%"', p_provider
            USING ERRCODE = '22023', HINT = 'Use EMAIL, TWILIO, PAGERDUTY, SLACK or WEBHOOK.';
    ELSIF p_status IS NULL OR p_status NOT IN ('SENT', 'DELAYED', 'DELIVERED', 'BOUNCED', 'FAILED') THEN
        RAISE EXCEPTION 'status of a receipt is "%"', p_status
            USING ERRCODE = '22023', HINT = 'Use SENT or DELAYED (on its way), DELIVERED, BOUNCED or FAILED; the provider''s own word belongs into details.said.';
    ELSIF coalesce(btrim(p_reference), '') = '' OR length(p_reference) > 255 THEN
        RAISE EXCEPTION 'reference of a receipt has % characters', coalesce(length(btrim(p_reference)), 0)
            USING ERRCODE = '22023', HINT = 'Give the provider''s id of the message, or our delivery key.';
    ELSIF p_at IS NULL OR p_at > clock_timestamp() + interval '1 day' THEN
        RAISE EXCEPTION 'time of a receipt is %', coalesce(p_at::text, 'NULL')
            USING ERRCODE = '22023', HINT = 'Give the time at which it happened; where the provider says none, the time at which it came.';
    ELSIF jsonb_typeof(v_details) <> 'object' OR pg_column_size(v_details) > 16384 THEN
        RAISE EXCEPTION 'details of a receipt are a JSON % of % bytes', jsonb_typeof(v_details), pg_column_size(v_details)
            USING ERRCODE = '22023', HINT = 'Give an object of at most 16 KiB.';
    END IF;

    v_found := monitoring.notifications_of_receipt(p_provider, p_reference, v_details);
    IF v_found = '{}' THEN
        BEGIN
            -- After this nobody is writing what the receipt could be about: who had begun has ended, and who begins finds it.
            PERFORM pg_advisory_xact_lock(monitoring.receipts_lock());
            INSERT INTO monitoring.receipt_waiting (provider, reference, receipt_status, happened_at, details)
            VALUES (p_provider, p_reference, p_status, p_at, v_details)
            ON CONFLICT DO NOTHING;
            v_found := monitoring.notifications_of_receipt(p_provider, p_reference, v_details);
            IF v_found = '{}' THEN
                RETURN QUERY SELECT NULL::text, NULL::text, 'WAITING';
                RETURN;
            END IF;
            RAISE EXCEPTION USING ERRCODE = 'OVRCP';
        EXCEPTION WHEN SQLSTATE 'OVRCP' THEN
            -- Written while we looked. Rolled back to before the lock: whoever waits for that lock holds rows that we want next.
            NULL;
        END;
    END IF;
    FOREACH v_hk IN ARRAY v_found LOOP
        RETURN QUERY SELECT monitoring.notification_id(h.notification_log_hk), h.notification_log_bk::text,
                            monitoring.apply_receipt(h.notification_log_hk, p_provider, p_status, p_at, v_details)
                       FROM monitoring.notification_log_h h WHERE h.notification_log_hk = v_hk;
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.record_receipt(text, text, text, timestamptz, jsonb) IS
    'Records what a provider says of a message: reference is its id of it or our delivery key, status SENT, DELAYED, DELIVERED, BOUNCED or FAILED. One row per notification with the effect: RECORDED, LATE, KNOWN; or one WAITING, where the vault does not know the message yet.';

CREATE OR REPLACE FUNCTION monitoring.keep_receipt() RETURNS trigger
    LANGUAGE plpgsql
    SET enable_seqscan = off
    AS $$
DECLARE
    c monitoring.notification_log_s;
BEGIN
    SELECT * INTO c FROM monitoring.notification_log_s s WHERE s.notification_log_hk = NEW.notification_log_hk AND s.load_end_date IS NULL;
    -- What a receipt says of an earlier attempt holds for a later one only if it says that the message arrived.
    IF c.receipt_status IS NULL OR c.sent_timestamp <> NEW.sent_timestamp AND c.receipt_status <> 'DELIVERED' THEN
        RETURN NEW;
    END IF;
    NEW.receipt_provider := c.receipt_provider;
    NEW.receipt_status := c.receipt_status;
    NEW.receipt_timestamp := c.receipt_timestamp;
    NEW.receipt_details := c.receipt_details;
    IF c.receipt_status IN ('DELIVERED', 'BOUNCED', 'FAILED') OR NEW.delivery_status = 'PENDING' OR NEW.outcome_class = 'UNCERTAIN' THEN
        NEW.delivery_status := c.delivery_status;
        NEW.outcome_class := CASE WHEN c.receipt_status IN ('BOUNCED', 'FAILED') AND NEW.outcome_class = 'ACCEPTED' THEN 'ACCEPTED' ELSE c.outcome_class END;
        NEW.failure_reason := c.failure_reason;
        NEW.delivery_proof := coalesce(NEW.delivery_proof, c.delivery_proof);
        NEW.delivery_confirmation_received := c.delivery_confirmation_received;
        NEW.delivery_confirmation_timestamp := c.delivery_confirmation_timestamp;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.keep_receipt() IS
    'Trigger of notification_log_s: an outcome that is written after the receipt of the same attempt does not undo what the receipt says.';
CREATE OR REPLACE TRIGGER t40_keep_receipt BEFORE INSERT ON monitoring.notification_log_s
    FOR EACH ROW WHEN (NEW.load_end_date IS NULL AND NEW.receipt_status IS NULL AND NEW.outcome_class IS NOT NULL) EXECUTE FUNCTION monitoring.keep_receipt();

CREATE OR REPLACE FUNCTION monitoring.claim_receipts() RETURNS trigger
    LANGUAGE plpgsql
    SET enable_seqscan = off
    AS $$
DECLARE
    w monitoring.receipt_waiting;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(monitoring.receipts_lock());
    -- They stay until retention takes them: the message may tell of more alerts, each with a row of its own.
    FOR w IN
        SELECT r.* FROM monitoring.receipt_waiting r
         WHERE r.reference = ANY (ARRAY[NEW.external_message_id, NEW.delivery_key, split_part(NEW.external_message_id, '@', 1)])
           AND NEW.channel_used = ANY (monitoring.receipt_channels(r.provider))
           AND (r.reference IS DISTINCT FROM NEW.delivery_key OR r.details ->> 'recipient' IS NULL OR r.details ->> 'recipient' = NEW.recipient_address)
         ORDER BY r.happened_at, r.received_at
    LOOP
        PERFORM monitoring.apply_receipt(NEW.notification_log_hk, w.provider, w.receipt_status, w.happened_at, w.details);
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION monitoring.claim_receipts() IS 'Trigger of notification_log_s: takes the receipts that came before the notification was written.';
CREATE OR REPLACE TRIGGER t90_claim_receipts AFTER INSERT ON monitoring.notification_log_s
    FOR EACH ROW WHEN (NEW.load_end_date IS NULL AND NEW.outcome_class IS NOT NULL AND NEW.record_source <> 'RECEIPT') EXECUTE FUNCTION monitoring.claim_receipts();

-- ---------------------------------------------------------------- where reports about mails go

CREATE OR REPLACE FUNCTION monitoring.check_bounce_address(p_channel text, p_configuration jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    IF p_configuration ? 'delivery_receipts' AND jsonb_typeof(p_configuration -> 'delivery_receipts') <> 'boolean' THEN
        RAISE EXCEPTION 'channel "%": configuration.delivery_receipts is %', p_channel, p_configuration -> 'delivery_receipts'
            USING ERRCODE = '22023', HINT = 'Give true or false, without quotes: "delivery_receipts": true';
    END IF;
    IF p_configuration -> 'delivery_receipts' = 'true' AND NOT monitoring.names_any(p_configuration, 'bounce_address') THEN
        RAISE EXCEPTION 'channel "%": configuration.bounce_address is missing, but delivery_receipts is true', p_channel
            USING ERRCODE = '22023', HINT = 'Give the mailbox that takes reports: "bounce_address": "bounces@example.com"';
    END IF;
    -- A sign of 32 characters is put behind it with a +, and 64 may stand before the @.
    IF monitoring.names_any(p_configuration, 'bounce_address')
       AND p_configuration ->> 'bounce_address' !~ '^[^\s@+"<>]{1,31}@[^\s@<>]+$' THEN
        RAISE EXCEPTION 'channel "%": configuration.bounce_address is "%"', p_channel, p_configuration ->> 'bounce_address'
            USING ERRCODE = '22023', HINT = 'Give a plain mailbox with at most 31 characters before the @ and no +: "bounces@example.com"';
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.check_bounce_address(text, jsonb) IS
    'Raises 22023 when the address for reports of an e-mail channel could take none.';

-- ---------------------------------------------------------------- looking

CREATE OR REPLACE VIEW monitoring.notification_delivery AS
SELECT monitoring.notification_id(h.notification_log_hk) AS notification_id,
       s.sent_timestamp,
       monitoring.alert_short_id(h.alert_instance_hk) AS alert_id,
       a.alert_instance_bk,
       s.event,
       c.notification_config_bk AS channel,
       s.channel_used AS channel_type,
       s.recipient_address AS recipient,
       s.delivery_status,
       monitoring.delivery_certainty(s.delivery_status, s.outcome_class, s.delivery_confirmation_received, s.sent_timestamp, statement_timestamp()) AS certainty,
       s.outcome_class,
       s.retry_count,
       s.possible_duplicate,
       s.delivery_proof,
       s.failure_reason,
       s.external_message_id,
       s.delivery_duration_ms,
       s.receipt_provider,
       s.receipt_status,
       s.receipt_timestamp,
       h.notification_log_hk,
       h.alert_instance_hk
  FROM monitoring.notification_log_h h
  JOIN monitoring.notification_log_s s ON s.notification_log_hk = h.notification_log_hk AND s.load_end_date IS NULL
  JOIN monitoring.notification_config_h c ON c.notification_config_hk = h.notification_config_hk
  JOIN monitoring.alert_instance_h a ON a.alert_instance_hk = h.alert_instance_hk;
COMMENT ON VIEW monitoring.notification_delivery IS 'The ledger: each notification as it stands now, and how certain it is that it arrived.';
COMMENT ON COLUMN monitoring.notification_delivery.notification_id IS 'What people type: N-7F3K9QXM.';
COMMENT ON COLUMN monitoring.notification_delivery.sent_timestamp IS 'When the last attempt began.';
COMMENT ON COLUMN monitoring.notification_delivery.alert_id IS 'Short id of the alert that it tells of.';
COMMENT ON COLUMN monitoring.notification_delivery.event IS 'What it told, as in notification_log_s.';
COMMENT ON COLUMN monitoring.notification_delivery.channel IS 'Key of the channel.';
COMMENT ON COLUMN monitoring.notification_delivery.channel_type IS 'Type of the channel: EMAIL, SLACK, ...';
COMMENT ON COLUMN monitoring.notification_delivery.recipient IS 'Whom it was sent to.';
COMMENT ON COLUMN monitoring.notification_delivery.delivery_status IS 'As in notification_log_s.';
COMMENT ON COLUMN monitoring.notification_delivery.certainty IS 'CONFIRMED, ACCEPTED, UNCERTAIN, FAILED, PENDING, see monitoring.delivery_certainty(); NULL: it was held back or withdrawn.';
COMMENT ON COLUMN monitoring.notification_delivery.outcome_class IS 'What the last attempt proved.';
COMMENT ON COLUMN monitoring.notification_delivery.retry_count IS 'Which attempt: 0 is the first.';
COMMENT ON COLUMN monitoring.notification_delivery.possible_duplicate IS 'An earlier attempt may have arrived as well.';
COMMENT ON COLUMN monitoring.notification_delivery.delivery_proof IS 'Why it counts as delivered.';
COMMENT ON COLUMN monitoring.notification_delivery.failure_reason IS 'Why it does not.';
COMMENT ON COLUMN monitoring.notification_delivery.external_message_id IS 'The provider''s id of the message.';
COMMENT ON COLUMN monitoring.notification_delivery.delivery_duration_ms IS 'Milliseconds of the last attempt.';
COMMENT ON COLUMN monitoring.notification_delivery.receipt_provider IS 'Who sent the newest receipt; NULL: none came.';
COMMENT ON COLUMN monitoring.notification_delivery.receipt_status IS 'What it says.';
COMMENT ON COLUMN monitoring.notification_delivery.receipt_timestamp IS 'When that happened.';
