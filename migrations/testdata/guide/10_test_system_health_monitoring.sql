-- Test system health metrics collection
SELECT * FROM monitoring.collect_system_health_metrics();

-- Check metrics are being stored
SELECT metric_name, metric_value, status, measurement_timestamp
FROM monitoring.system_health_metric_s 
WHERE load_end_date IS NULL
ORDER BY measurement_timestamp DESC;

-- View real-time dashboard
SELECT * FROM monitoring.system_dashboard;
