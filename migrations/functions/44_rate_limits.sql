-- How many messages one recipient of one channel gets within any hour. Asked in the same transaction as the intent, one
-- after the other for each recipient, so that exactly so many pass, however many workers ask at once.

CREATE OR REPLACE FUNCTION monitoring.take_turn(
    p_channel_key text, p_recipient text, p_message_key text, p_regardless text,
    OUT within boolean, OUT said text)
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_limit integer;
    v_begun bigint;
BEGIN
    within := true;
    -- A receiver that asked for a message about each alert wants them all, and PagerDuty groups by itself.
    SELECT s.rate_limit_per_hour INTO v_limit
      FROM monitoring.notification_config_s s
     WHERE s.notification_config_hk = util.hash_binary(p_channel_key) AND s.load_end_date IS NULL
       AND s.channel_type <> 'PAGERDUTY' AND s.configuration -> 'one_message_per_alert' IS DISTINCT FROM 'true';
    IF coalesce(v_limit, 0) <= 0 THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(util.bk('notification_window', p_channel_key, p_recipient), 0));
    IF EXISTS (SELECT FROM monitoring.notification_window w
                WHERE w.channel_key = p_channel_key AND w.recipient = p_recipient AND w.message_key = p_message_key) THEN
        RETURN;  -- another attempt at the same message
    END IF;
    SELECT count(*) INTO v_begun
      FROM monitoring.notification_window w
     WHERE w.channel_key = p_channel_key AND w.recipient = p_recipient AND w.begun_at > clock_timestamp() - interval '1 hour';
    IF v_begun >= v_limit THEN
        IF p_regardless IS NULL THEN
            within := false;
            said := format('%s messages went to this recipient within an hour, and rate_limit_per_hour is %s: gathered into a digest', v_begun, v_limit);
            RETURN;
        END IF;
        said := format('over rate_limit_per_hour, %s of %s: sent because %s', v_begun + 1, v_limit, p_regardless);
    END IF;
    INSERT INTO monitoring.notification_window (channel_key, recipient, message_key) VALUES (p_channel_key, p_recipient, p_message_key);
END
$$;
COMMENT ON FUNCTION monitoring.take_turn(text, text, text, text) IS
    'Whether a message may go to a recipient now by the channel''s rate_limit_per_hour, and counts it if so. p_regardless is why it goes whatever the limit; said is what the ledger is to say of it. NULL and 0 are no limit.';

CREATE OR REPLACE FUNCTION monitoring.only_digested(p_entries jsonb) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    -- Of each alert the recipient waits to hear by digest, and was told nothing in another way.
    SELECT coalesce(bool_and(k.waits AND NOT k.told), false)
      FROM jsonb_array_elements(p_entries) AS e
     CROSS JOIN LATERAL (
           SELECT coalesce(bool_or(s.delivery_status = 'DIGESTED'), false) AS waits,
                  coalesce(bool_or(s.delivery_status IN ('DELIVERED', 'SENT', 'PENDING')), false) AS told
             FROM monitoring.notification_log_h h
             JOIN monitoring.notification_log_s s ON s.notification_log_hk = h.notification_log_hk AND s.load_end_date IS NULL
            WHERE h.alert_instance_hk = util.hash_binary(e ->> 'alert_key')
              AND h.notification_config_hk = util.hash_binary(e ->> 'channel_key')
              AND s.recipient_address = e ->> 'recipient') AS k
    $$;
COMMENT ON FUNCTION monitoring.only_digested(jsonb) IS
    'Whether the recipient of entries of the ledger is yet to hear of each of their alerts, by a digest: then their end belongs into it.';

CREATE OR REPLACE FUNCTION monitoring.begin_within_limit(p_entries jsonb, p_regardless text)
    RETURNS TABLE (finding text, said text)
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_first jsonb := p_entries -> 0;
    v_turn  record;
BEGIN
    IF v_first ->> 'event' LIKE 'RESOLVED%' AND monitoring.only_digested(p_entries) THEN
        said := 'the recipient is yet to hear of it by a digest, which will say its end';
    ELSE
        v_turn := monitoring.take_turn(v_first ->> 'channel_key', v_first ->> 'recipient', v_first ->> 'delivery_key', p_regardless);
        said := v_turn.said;
        IF v_turn.within THEN
            finding := monitoring.begin_notifications(p_entries);
            RETURN NEXT;
            RETURN;
        END IF;
    END IF;
    finding := 'DIGESTED';
    PERFORM monitoring.record_notifications((
        SELECT jsonb_agg(e || jsonb_build_object('status', 'DIGESTED', 'class', 'NOT_SENT', 'reason', said) ORDER BY o)
          FROM jsonb_array_elements(p_entries) WITH ORDINALITY AS u (e, o)));
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION monitoring.begin_within_limit(jsonb, text) IS
    'begin_notifications for a message that counts against its channel''s rate_limit_per_hour. DIGESTED: it is over the limit, the ledger says so, and a digest is to tell of it. said is what the outcome is to repeat.';

CREATE OR REPLACE FUNCTION monitoring.begin_digest(p_entries jsonb)
    RETURNS TABLE (alert_key text, finding text, possible_duplicate boolean)
    LANGUAGE sql
    AS $$
    SELECT monitoring.take_turn(p_entries -> 0 ->> 'channel_key', p_entries -> 0 ->> 'recipient', p_entries -> 0 ->> 'delivery_key', 'it is a digest');
    SELECT f.alert_key, f.finding, f.possible_duplicate FROM monitoring.begin_each_notification(p_entries) AS f
    $$;
COMMENT ON FUNCTION monitoring.begin_digest(jsonb) IS
    'begin_each_notification for a digest: the whole is one message, which counts against the limit and is not held up by it.';

CREATE OR REPLACE FUNCTION monitoring.digest_room(p_channel_key text, p_recipient text) RETURNS timestamptz
    LANGUAGE sql STABLE
    AS $$
    -- The oldest of the last so many messages leaves the window an hour after it began.
    SELECT coalesce((
               SELECT w.begun_at + interval '1 hour'
                 FROM monitoring.notification_window w
                WHERE w.channel_key = p_channel_key AND w.recipient = p_recipient AND w.begun_at > clock_timestamp() - interval '1 hour'
                ORDER BY w.begun_at DESC
               OFFSET greatest(s.rate_limit_per_hour, 1) - 1 LIMIT 1), '-infinity')
      FROM monitoring.notification_config_s s
     WHERE s.notification_config_hk = util.hash_binary(p_channel_key) AND s.load_end_date IS NULL AND s.rate_limit_per_hour > 0
    $$;
COMMENT ON FUNCTION monitoring.digest_room(text, text) IS
    'When the limit of a channel lets its next message to a recipient through; -infinity: now; NULL: there is no limit any more.';
