SELECT 
    metric_name,
    ROUND(AVG(metric_value), 2) as avg_value,
    ROUND(MAX(metric_value), 2) as max_value,
    COUNT(*) FILTER (WHERE status = 'CRITICAL') as critical_count,
    COUNT(*) FILTER (WHERE status = 'WARNING') as warning_count
FROM monitoring.system_health_metric_s 
WHERE measurement_timestamp >= CURRENT_DATE - INTERVAL '1 day'
AND load_end_date IS NULL
GROUP BY metric_name
ORDER BY metric_name;
