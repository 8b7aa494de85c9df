-- What one message told one recipient. $1: the delivery key; $2: the channel's key; $3: the recipient.
SELECT coalesce(array_agg(monitoring.alert_short_id(h.alert_instance_hk) ORDER BY h.alert_instance_hk), '{}'),
       coalesce(max(s.message_content), '')
  FROM monitoring.notification_log_s s
  JOIN monitoring.notification_log_h h USING (notification_log_hk)
  JOIN monitoring.notification_config_h c USING (notification_config_hk)
 WHERE s.delivery_key = $1
   AND s.load_end_date IS NULL
   AND c.notification_config_bk = $2
   AND s.recipient_address = $3
