-- Check notification configuration
SELECT channel_name, is_enabled, configuration
FROM monitoring.notification_config_s 
WHERE load_end_date IS NULL;

-- Check notification delivery status
SELECT channel_used, delivery_status, failure_reason, COUNT(*)
FROM monitoring.notification_log_s 
WHERE sent_timestamp >= CURRENT_DATE - INTERVAL '1 day'
AND load_end_date IS NULL
GROUP BY channel_used, delivery_status, failure_reason;
