-- section: alerts
-- title: How they were told
-- empty: Nobody was told of any.
SELECT n.channel AS "CHANNEL",
       n.channel_type AS "TYPE",
       count(*) AS "|NOTIFICATIONS",
       count(*) FILTER (WHERE n.status IN ('SENT', 'DELIVERED')) AS "|ARRIVED",
       count(*) FILTER (WHERE n.status IN ('FAILED', 'BOUNCED')) AS "|FAILED",
       count(*) FILTER (WHERE n.status = 'SUPPRESSED') AS "|SUPPRESSED",
       count(*) FILTER (WHERE n.status = 'PENDING') AS "|OUTCOME UNKNOWN"
  FROM (SELECT DISTINCT ON (f.notification) f.* FROM {notifications.csv} AS f ORDER BY f.notification, f.recorded_from DESC) AS n
 GROUP BY n.channel, n.channel_type
 ORDER BY n.channel COLLATE "C", n.channel_type COLLATE "C"
