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

CREATE OR REPLACE FUNCTION monitoring.delivery_inputs(p_at timestamptz) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
    SELECT jsonb_build_object(
               'notification_delivery_pct', min(r.delivery_pct),
               'because', string_agg(format('%s delivered %s of %s (%s %%)', r.channel, r.arrived, r.ended, r.delivery_pct), '; ' ORDER BY r.delivery_pct, r.channel)
                   FILTER (WHERE r.delivery_pct < 99))
      FROM monitoring.delivery_rates(p_at) AS r
    $$;
COMMENT ON FUNCTION monitoring.delivery_inputs(timestamptz) IS
    'What a condition may ask about how much arrives, and which channels are below 99 % (because).';

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
