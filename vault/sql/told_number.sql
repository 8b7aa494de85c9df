-- Alerts that are not over, of which a telephone was told by a text message or a call, the newest first. $1: its number.
SELECT monitoring.alert_short_id(h.alert_instance_hk)
  FROM monitoring.alert_instance_s a
  JOIN monitoring.notification_log_h h ON h.alert_instance_hk = a.alert_instance_hk
  JOIN monitoring.notification_log_s s ON s.notification_log_hk = h.notification_log_hk AND s.load_end_date IS NULL
 WHERE a.load_end_date IS NULL
   AND a.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED')
   AND s.channel_used IN ('SMS', 'VOICE')
   AND s.recipient_address = $1
   -- Held back, it told nothing; of what failed for sure nobody heard.
   AND (s.delivery_status IN ('SENT', 'DELIVERED') OR s.outcome_class = 'UNCERTAIN' OR s.delivery_status = 'PENDING')
 GROUP BY h.alert_instance_hk
 ORDER BY max(s.sent_timestamp) DESC, 1
 LIMIT 1000
