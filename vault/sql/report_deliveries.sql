-- What each channel was given in [$1, $2), as it ended.
SELECT h.notification_config_bk AS channel,
       coalesce(c.channel_type, '') AS type,
       count(*) FILTER (WHERE l.delivery_status = 'DELIVERED') AS delivered,
       count(*) FILTER (WHERE l.delivery_status IN ('FAILED', 'BOUNCED')) AS failed,
       -- Nobody knows whether it arrived: the last attempt said so, or ended without a word a minute ago.
       count(*) FILTER (WHERE l.delivery_status <> 'DELIVERED'
                          AND (l.outcome_class = 'UNCERTAIN'
                               OR l.delivery_status = 'PENDING' AND l.outcome_class IS NULL
                                  AND l.sent_timestamp < $2::timestamptz - interval '1 minute')) AS uncertain,
       count(*) FILTER (WHERE l.delivery_status IN ('SENT', 'DIGESTED')
                           OR l.delivery_status = 'PENDING' AND (l.outcome_class <> 'UNCERTAIN'
                               OR l.outcome_class IS NULL AND l.sent_timestamp >= $2::timestamptz - interval '1 minute')) AS waiting,
       count(*) FILTER (WHERE l.delivery_status = 'SUPPRESSED') AS withdrawn,
       count(*) FILTER (WHERE l.possible_duplicate) AS duplicates,
       avg(l.delivery_duration_ms) FILTER (WHERE l.delivery_status = 'DELIVERED')::float8 AS mean_ms,
       coalesce((array_agg(l.failure_reason ORDER BY l.sent_timestamp DESC)
                 FILTER (WHERE l.delivery_status IN ('FAILED', 'BOUNCED') AND l.failure_reason <> ''))[1], '') AS last_reason
  FROM monitoring.notification_log_s l
  JOIN monitoring.notification_log_h n USING (notification_log_hk)
  JOIN monitoring.notification_config_h h USING (notification_config_hk)
  LEFT JOIN monitoring.notification_config_s c ON c.notification_config_hk = h.notification_config_hk AND c.load_end_date IS NULL
 WHERE l.load_end_date IS NULL
   AND l.sent_timestamp >= $1
   AND l.sent_timestamp < $2
 GROUP BY h.notification_config_bk, c.channel_type
 ORDER BY h.notification_config_bk
