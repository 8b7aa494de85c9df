-- Channels that require a receipt, and what they sent within a week of which a receipt would have come by now.
SELECT h.notification_config_bk AS channel,
       c.channel_type AS type,
       coalesce(c.configuration -> 'delivery_receipts' = 'true', false) AS asked,
       c.confirmation_timeout_minutes AS minutes,
       count(s.*) AS sent,
       count(s.*) FILTER (WHERE s.delivery_confirmation_received) AS confirmed
  FROM monitoring.notification_config_h h
  JOIN monitoring.notification_config_s c ON c.notification_config_hk = h.notification_config_hk AND c.load_end_date IS NULL
  LEFT JOIN (monitoring.notification_log_h n
        JOIN monitoring.notification_log_s s ON s.notification_log_hk = n.notification_log_hk AND s.load_end_date IS NULL
                                            AND s.delivery_status IN ('SENT', 'DELIVERED') AND s.event NOT LIKE 'TEST%')
       ON n.notification_config_hk = h.notification_config_hk
      AND s.sent_timestamp > greatest(statement_timestamp() - interval '7 days', c.load_date)
      AND s.sent_timestamp < statement_timestamp() - make_interval(mins => c.confirmation_timeout_minutes)
 WHERE c.is_enabled AND c.delivery_confirmation_required AND c.channel_type IN ('EMAIL', 'SMS', 'VOICE')
 GROUP BY h.notification_config_bk, c.channel_type, c.configuration, c.confirmation_timeout_minutes
 ORDER BY h.notification_config_bk
