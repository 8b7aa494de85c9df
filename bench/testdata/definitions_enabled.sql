SELECT alert_name, is_enabled, evaluation_frequency_minutes
FROM monitoring.alert_definition_s 
WHERE load_end_date IS NULL;
