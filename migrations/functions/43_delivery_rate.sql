-- How much of what each channel was given arrived. The goal is over 99 %; few messages make no rate.

CREATE OR REPLACE FUNCTION monitoring.delivery_rates(p_at timestamptz, p_window interval DEFAULT '24 hours', p_least integer DEFAULT 20)
    RETURNS TABLE (channel varchar(255), channel_type text, ended bigint, arrived bigint, confirmed bigint, failed bigint, uncertain bigint,
                   delivery_pct numeric)
    LANGUAGE sql STABLE
    AS $$
    SELECT n.channel, n.channel_type, n.ended, n.arrived, n.confirmed, n.failed, n.uncertain,
           CASE WHEN n.ended >= p_least THEN round(100.0 * n.arrived / n.ended, 2) END
      FROM (SELECT c.notification_config_bk AS channel, max(s.channel_used) AS channel_type,
                   count(*) FILTER (WHERE s.delivery_status IN ('DELIVERED', 'SENT', 'FAILED', 'BOUNCED')) AS ended,
                   count(*) FILTER (WHERE s.delivery_status IN ('DELIVERED', 'SENT')) AS arrived,
                   count(*) FILTER (WHERE s.delivery_status = 'DELIVERED' AND s.delivery_confirmation_received) AS confirmed,
                   count(*) FILTER (WHERE k.certainty = 'FAILED') AS failed,
                   count(*) FILTER (WHERE k.certainty = 'UNCERTAIN') AS uncertain
              FROM monitoring.notification_log_s s
             CROSS JOIN LATERAL monitoring.delivery_certainty(s.delivery_status, s.outcome_class, s.delivery_confirmation_received,
                                                              s.sent_timestamp, p_at) AS k (certainty)
              JOIN monitoring.notification_log_h h USING (notification_log_hk)
              JOIN monitoring.notification_config_h c USING (notification_config_hk)
             WHERE s.load_end_date IS NULL AND s.sent_timestamp > p_at - p_window
             GROUP BY c.notification_config_bk) AS n
     ORDER BY n.channel
    $$;
COMMENT ON FUNCTION monitoring.delivery_rates(timestamptz, interval, integer) IS
    'What each channel was given within a window, as it stands now: ended (arrived or failed), how many of these arrived and were confirmed by a receipt; how many failed, and of how many nobody knows. delivery_pct is NULL below p_least that ended: few messages make no rate.';

CREATE OR REPLACE FUNCTION monitoring.refused_channels(p_at timestamptz)
    RETURNS TABLE (channel varchar(255), refused bigint, since timestamptz, last_at timestamptz, reason text)
    LANGUAGE sql STABLE
    AS $$
    -- The circuits themselves are the workers'; the ledger has what they refused.
    WITH refused AS (
        SELECT l.notification_config_hk, count(*) AS attempts, max(s.sent_timestamp) AS last_at,
               (array_agg(s.failure_reason ORDER BY s.sent_timestamp DESC))[1] AS reason
          FROM monitoring.notification_log_s s
          JOIN monitoring.notification_log_h l USING (notification_log_hk)
         WHERE s.sent_timestamp > p_at - interval '10 minutes' AND s.sent_timestamp <= p_at
           AND s.failure_reason LIKE 'circuit open%'
         GROUP BY l.notification_config_hk
    )
    SELECT c.notification_config_bk, r.attempts, began.at, r.last_at, r.reason
      FROM refused r
      JOIN monitoring.notification_config_h c USING (notification_config_hk)
     CROSS JOIN LATERAL (
           SELECT max(s.sent_timestamp) AS at
             FROM monitoring.notification_log_h l
             JOIN monitoring.notification_log_s s USING (notification_log_hk)
            WHERE l.notification_config_hk = r.notification_config_hk AND s.load_end_date IS NULL
              AND s.sent_timestamp > p_at - interval '1 day' AND s.sent_timestamp <= p_at AND s.delivery_status IN ('SENT', 'DELIVERED')) AS arrived
     CROSS JOIN LATERAL (
           SELECT min(s.sent_timestamp) AS at
             FROM monitoring.notification_log_h l
             JOIN monitoring.notification_log_s s USING (notification_log_hk)
            WHERE l.notification_config_hk = r.notification_config_hk AND s.failure_reason LIKE 'circuit open%'
              AND s.sent_timestamp > coalesce(arrived.at, p_at - interval '1 day') AND s.sent_timestamp <= p_at) AS began
     WHERE began.at <= r.last_at
     ORDER BY c.notification_config_bk
    $$;
COMMENT ON FUNCTION monitoring.refused_channels(timestamptz) IS
    'The channels whose messages a circuit refused within the last ten minutes and that delivered none since: how many attempts were not made within that time, since when this lasts (a day at most), and what the last refusal said.';

CREATE OR REPLACE FUNCTION monitoring.delivery_inputs(p_at timestamptz) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
    SELECT rates.inputs || circuits.inputs
           || jsonb_strip_nulls(jsonb_build_object('because', nullif(concat_ws('; ', rates.because, circuits.because), '')))
      FROM (SELECT jsonb_build_object('notification_delivery_pct', min(r.delivery_pct)) AS inputs,
                   string_agg(format('%s delivered %s of %s (%s %%)', r.channel, r.arrived, r.ended, r.delivery_pct), '; ' ORDER BY r.delivery_pct, r.channel)
                       FILTER (WHERE r.delivery_pct < 99) AS because
              FROM monitoring.delivery_rates(p_at) AS r) AS rates
     CROSS JOIN (
           SELECT jsonb_build_object('notification_circuit_open_minutes', coalesce(max(round(extract(epoch FROM p_at - c.since) / 60, 1)), 0)) AS inputs,
                  string_agg(format('%s has sent nothing since %s: %s', c.channel, to_char(c.since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), c.reason),
                             '; ' ORDER BY c.since, c.channel) AS because
             FROM monitoring.refused_channels(p_at) AS c) AS circuits
    $$;
COMMENT ON FUNCTION monitoring.delivery_inputs(timestamptz) IS
    'What a condition may ask about how much arrives and for how long a circuit is open, and which channels are below 99 % or send nothing (because).';

CREATE OR REPLACE VIEW monitoring.channel_delivery_rate AS
SELECT r.channel, r.channel_type, r.ended, r.arrived, r.confirmed, r.failed, r.uncertain, r.delivery_pct
  FROM monitoring.delivery_rates(statement_timestamp()) AS r;
COMMENT ON VIEW monitoring.channel_delivery_rate IS 'How much of what each channel was given within 24 hours arrived.';
COMMENT ON COLUMN monitoring.channel_delivery_rate.channel IS 'Key of the channel.';
COMMENT ON COLUMN monitoring.channel_delivery_rate.channel_type IS 'Its type: EMAIL, SLACK, ...';
COMMENT ON COLUMN monitoring.channel_delivery_rate.ended IS 'Notifications that arrived or failed.';
COMMENT ON COLUMN monitoring.channel_delivery_rate.arrived IS 'Those of them that the provider took, by its own definition, and that did not come back.';
COMMENT ON COLUMN monitoring.channel_delivery_rate.confirmed IS 'Those that a receipt confirms.';
COMMENT ON COLUMN monitoring.channel_delivery_rate.failed IS 'Those that did not arrive, or came back; without the uncertain ones.';
COMMENT ON COLUMN monitoring.channel_delivery_rate.uncertain IS 'Notifications of which nobody knows.';
COMMENT ON COLUMN monitoring.channel_delivery_rate.delivery_pct IS 'arrived of ended, in percent; NULL below 20 that ended.';
