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
SELECT 
    alert_category,
    COUNT(*) as total_alerts,
    COUNT(*) FILTER (WHERE alert_status = 'OPEN') as open_alerts,
    COUNT(*) FILTER (WHERE alert_status = 'RESOLVED') as resolved_alerts
FROM monitoring.alert_instance_s ais
JOIN monitoring.alert_instance_h aih ON ais.alert_instance_hk = aih.alert_instance_hk
JOIN monitoring.alert_definition_h adh ON aih.alert_definition_hk = adh.alert_definition_hk
JOIN monitoring.alert_definition_s ads ON adh.alert_definition_hk = ads.alert_definition_hk
WHERE ais.triggered_timestamp >= CURRENT_DATE - INTERVAL '1 day'
AND ais.load_end_date IS NULL
AND ads.load_end_date IS NULL
GROUP BY alert_category
ORDER BY total_alerts DESC;
