-- Check alert definitions are enabled
SELECT alert_name, is_enabled, evaluation_frequency_minutes
FROM monitoring.alert_definition_s 
WHERE load_end_date IS NULL;

-- Check alert evaluation function
SELECT * FROM monitoring.evaluate_alert_conditions();

-- Check for suppression windows
SELECT alert_name, suppression_window_minutes, 
       (SELECT MAX(triggered_timestamp) FROM monitoring.alert_instance_s ais2 
        WHERE ais2.alert_instance_hk IN (
            SELECT aih.alert_instance_hk FROM monitoring.alert_instance_h aih 
            WHERE aih.alert_definition_hk = ads.alert_definition_hk
        )) as last_alert_time
FROM monitoring.alert_definition_s ads
WHERE load_end_date IS NULL;
