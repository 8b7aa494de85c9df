SELECT * FROM monitoring.collect_performance_metrics();
