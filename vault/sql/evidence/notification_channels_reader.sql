-- file: notification_channels.csv
-- about: The notification channels: every version that stood in the period. The role that exported may not read configurations, so what changed inside them is not told.
SELECT h.notification_config_bk AS channel,
       s.channel_name AS name,
       s.channel_type AS type,
       s.is_enabled AS enabled,
       to_jsonb(s.recipient_groups) AS recipient_groups,
       to_jsonb(s.severity_filter) AS severity_filter,
       to_jsonb(s.category_filter) AS category_filter,
       s.time_restrictions,
       s.rate_limit_per_hour,
       s.retry_attempts,
       s.retry_delay_seconds,
       s.delivery_confirmation_required,
       h.tenant_hk AS tenant_key,
       s.created_by,
       s.record_source AS recorded_by,
       s.load_date AS recorded_from,
       CASE WHEN s.load_end_date < @period_to THEN s.load_end_date END AS recorded_until
  FROM monitoring.notification_config_s s
  JOIN monitoring.notification_config_h h USING (notification_config_hk)
 WHERE s.load_date < @period_to
   AND (s.load_end_date IS NULL OR s.load_end_date > @period_from)
 ORDER BY h.notification_config_bk COLLATE "C", s.load_date
