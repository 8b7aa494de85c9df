-- Who was told of an alert: the newest state of each of its notifications. $1: the alert's hash key.
SELECT l.sent_timestamp AS at, coalesce(l.event, '') AS event, ch.notification_config_bk AS channel_key,
       coalesce(l.channel_used, '') AS channel_type, coalesce(l.recipient_address, '') AS recipient,
       l.delivery_status AS status, l.retry_count AS attempt, coalesce(l.outcome_class, '') AS class,
       coalesce(l.failure_reason, '') AS reason, coalesce(l.delivery_proof, '') AS proof,
       coalesce(l.external_message_id, '') AS external_id, l.possible_duplicate,
       coalesce(l.delivery_key LIKE 'STORM||%', false) AS in_storm
  FROM monitoring.notification_log_h h
  JOIN monitoring.notification_log_s l ON l.notification_log_hk = h.notification_log_hk AND l.load_end_date IS NULL
  JOIN monitoring.notification_config_h ch USING (notification_config_hk)
 WHERE h.alert_instance_hk = $1
 ORDER BY l.sent_timestamp, ch.notification_config_bk, l.recipient_address, l.event
