-- Verify default alerts were created
SELECT alert_name, alert_category, alert_severity, is_enabled
FROM monitoring.alert_definition_s 
WHERE record_source = 'SETUP_SCRIPT'
AND load_end_date IS NULL;

-- Test alert evaluation
SELECT * FROM monitoring.evaluate_alert_conditions();
