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
