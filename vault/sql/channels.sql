-- The channels as they stand, each with its last notification. $1: disabled ones as well.
SELECT h.notification_config_bk AS key, c.channel_name AS name, c.channel_type AS type, c.configuration,
       coalesce(c.severity_filter, '{}') AS severities, coalesce(c.category_filter, '{}') AS categories, c.is_enabled AS enabled,
       c.retry_attempts, c.retry_delay_seconds, c.load_date AS version,
       coalesce(l.delivery_status, '') AS last_status, coalesce(l.outcome_class, '') AS last_class,
       coalesce(l.failure_reason, '') AS last_reason, l.sent_timestamp AS last_at
  FROM monitoring.notification_config_h h
  JOIN monitoring.notification_config_s c ON c.notification_config_hk = h.notification_config_hk AND c.load_end_date IS NULL
  LEFT JOIN LATERAL (
           SELECT s.delivery_status, s.outcome_class, s.failure_reason, s.sent_timestamp
             FROM monitoring.notification_log_h n
             JOIN monitoring.notification_log_s s ON s.notification_log_hk = n.notification_log_hk AND s.load_end_date IS NULL
            WHERE n.notification_config_hk = h.notification_config_hk
            ORDER BY s.sent_timestamp DESC
            LIMIT 1) AS l ON true
 WHERE $1 OR c.is_enabled
 ORDER BY h.notification_config_bk
