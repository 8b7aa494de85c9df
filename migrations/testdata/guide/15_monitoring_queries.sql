-- Monitoring system health
SELECT 
    'Monitoring Health' as category,
    COUNT(*) FILTER (WHERE measurement_timestamp >= CURRENT_TIMESTAMP - INTERVAL '5 minutes') as recent_collections,
    COUNT(*) FILTER (WHERE status = 'CRITICAL') as critical_metrics,
    COUNT(*) FILTER (WHERE status = 'WARNING') as warning_metrics,
    COUNT(*) FILTER (WHERE status = 'NORMAL') as normal_metrics
FROM monitoring.system_health_metric_s 
WHERE load_end_date IS NULL;

-- Alert effectiveness metrics
SELECT 
    alert_category,
    COUNT(*) as total_alerts,
    COUNT(*) FILTER (WHERE alert_status = 'RESOLVED') as resolved_alerts,
    COUNT(*) FILTER (WHERE false_positive = true) as false_positives,
    ROUND(AVG(EXTRACT(EPOCH FROM (resolved_timestamp - triggered_timestamp))/60), 2) as avg_resolution_minutes
FROM monitoring.alert_instance_s ais
JOIN monitoring.alert_instance_h aih ON ais.alert_instance_hk = aih.alert_instance_hk
JOIN monitoring.alert_definition_h adh ON aih.alert_definition_hk = adh.alert_definition_hk
JOIN monitoring.alert_definition_s ads ON adh.alert_definition_hk = ads.alert_definition_hk
WHERE ais.triggered_timestamp >= CURRENT_DATE - INTERVAL '7 days'
AND ais.load_end_date IS NULL
AND ads.load_end_date IS NULL
GROUP BY alert_category;

-- Notification delivery metrics
SELECT 
    channel_used,
    COUNT(*) as total_notifications,
    COUNT(*) FILTER (WHERE delivery_status = 'DELIVERED') as successful_deliveries,
    COUNT(*) FILTER (WHERE delivery_status = 'FAILED') as failed_deliveries,
    ROUND(AVG(delivery_duration_ms), 2) as avg_delivery_time_ms
FROM monitoring.notification_log_s 
WHERE sent_timestamp >= CURRENT_DATE - INTERVAL '7 days'
AND load_end_date IS NULL
GROUP BY channel_used;
