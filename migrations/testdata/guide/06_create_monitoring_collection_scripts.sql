SELECT * FROM monitoring.collect_system_health_metrics();
SELECT * FROM monitoring.collect_performance_metrics();
SELECT * FROM monitoring.evaluate_alert_conditions();
