SELECT * FROM monitoring.collect_system_health_metrics();
SELECT COUNT(*) as metric_collections_last_minute
FROM monitoring.system_health_metric_s 
WHERE measurement_timestamp >= CURRENT_TIMESTAMP - INTERVAL '1 minute'
AND load_end_date IS NULL;
