SELECT 
    'Monitoring Health' as category,
    COUNT(*) FILTER (WHERE measurement_timestamp >= CURRENT_TIMESTAMP - INTERVAL '5 minutes') as recent_collections,
    COUNT(*) FILTER (WHERE status = 'CRITICAL') as critical_metrics,
    COUNT(*) FILTER (WHERE status = 'WARNING') as warning_metrics,
    COUNT(*) FILTER (WHERE status = 'NORMAL') as normal_metrics
FROM monitoring.system_health_metric_s 
WHERE load_end_date IS NULL;
