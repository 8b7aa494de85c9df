SELECT monitoring.acknowledge_alert(
    (SELECT alert_instance_hk FROM monitoring.alert_instance_s 
     WHERE alert_status = 'OPEN' AND load_end_date IS NULL LIMIT 1),
    'test_user',
    'Testing alert acknowledgment'
);
