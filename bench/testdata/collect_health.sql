SELECT * FROM monitoring.collect_system_health_metrics();
