-- Channels whose messages a circuit refused within the last ten minutes, and that delivered none since.
SELECT h.notification_config_bk,
       r.refused,
       r.last_at,
       r.reason
  FROM (SELECT l.notification_config_hk,
               count(*) AS refused,
               max(s.sent_timestamp) AS last_at,
               (array_agg(s.failure_reason ORDER BY s.sent_timestamp DESC))[1] AS reason
          FROM monitoring.notification_log_s s
          JOIN monitoring.notification_log_h l USING (notification_log_hk)
         WHERE s.sent_timestamp > statement_timestamp() - interval '10 minutes'
           AND s.failure_reason LIKE 'circuit open%'
         GROUP BY l.notification_config_hk) AS r
  JOIN monitoring.notification_config_h h USING (notification_config_hk)
 WHERE NOT EXISTS (
           SELECT
             FROM monitoring.notification_log_s s
             JOIN monitoring.notification_log_h l USING (notification_log_hk)
            WHERE l.notification_config_hk = r.notification_config_hk
              AND s.sent_timestamp > r.last_at
              AND s.load_end_date IS NULL
              AND s.delivery_status IN ('SENT', 'DELIVERED'))
 ORDER BY h.notification_config_bk
