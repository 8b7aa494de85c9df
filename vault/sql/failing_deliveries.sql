-- The notifications of the last hour that did not certainly arrive, per channel.
SELECT c.notification_config_bk AS channel_key,
       count(*) FILTER (WHERE l.delivery_status IN ('FAILED', 'BOUNCED')) AS failed,
       -- An attempt whose outcome nobody knows, a minute after it was begun.
       count(*) FILTER (WHERE l.outcome_class = 'UNCERTAIN' AND l.delivery_status <> 'FAILED'
                           OR l.delivery_status = 'PENDING' AND l.outcome_class IS NULL
                              AND l.sent_timestamp < statement_timestamp() - interval '1 minute') AS uncertain,
       coalesce((array_agg(l.failure_reason ORDER BY l.sent_timestamp DESC) FILTER (WHERE l.failure_reason <> ''))[1], '') AS last_reason
  FROM monitoring.notification_log_s l
  JOIN monitoring.notification_log_h h USING (notification_log_hk)
  JOIN monitoring.notification_config_h c USING (notification_config_hk)
 WHERE l.load_end_date IS NULL
   AND l.sent_timestamp > statement_timestamp() - interval '1 hour'
   AND l.delivery_status <> 'DELIVERED'
 GROUP BY c.notification_config_bk
HAVING count(*) FILTER (WHERE l.delivery_status IN ('FAILED', 'BOUNCED')) > 0
    OR count(*) FILTER (WHERE l.outcome_class = 'UNCERTAIN'
                           OR l.delivery_status = 'PENDING' AND l.outcome_class IS NULL
                              AND l.sent_timestamp < statement_timestamp() - interval '1 minute') > 0
 ORDER BY c.notification_config_bk
