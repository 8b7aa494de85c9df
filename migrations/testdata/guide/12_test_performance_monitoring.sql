-- Test performance metrics collection
SELECT * FROM monitoring.collect_performance_metrics(NULL, 10);

-- Check performance data
SELECT query_hash, total_time_ms, calls, performance_rating
FROM monitoring.performance_metric_s 
WHERE load_end_date IS NULL
ORDER BY total_time_ms DESC;
