-- Test alert condition evaluation
SELECT * FROM monitoring.evaluate_alert_conditions();

-- Check for active alerts
SELECT * FROM monitoring.active_alerts_dashboard;

-- Test alert acknowledgment
SELECT monitoring.acknowledge_alert(
    (SELECT alert_instance_hk FROM monitoring.alert_instance_s 
     WHERE alert_status = 'OPEN' AND load_end_date IS NULL LIMIT 1),
    'test_user',
    'Testing alert acknowledgment'
);
