SELECT metric_name, metric_value, status, measurement_timestamp
FROM monitoring.system_health_metric_s 
WHERE load_end_date IS NULL
ORDER BY measurement_timestamp DESC;
