SELECT channel_name, is_enabled, configuration
FROM monitoring.notification_config_s 
WHERE load_end_date IS NULL;
