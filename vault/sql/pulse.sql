-- What is known about alerting as a whole, but for the looks: one row.
SELECT clock_timestamp() AS now,
       (SELECT count(*) FROM monitoring.alert_definition_s d WHERE d.load_end_date IS NULL AND d.is_enabled) AS enabled,
       (SELECT min(o.created_at) FROM monitoring.outbox o WHERE o.relayed_at IS NULL) AS oldest_unrelayed,
       n.arrived, n.failed
  FROM (SELECT count(*) FILTER (WHERE l.delivery_status IN ('DELIVERED', 'SENT')) AS arrived,
               count(*) FILTER (WHERE l.delivery_status IN ('FAILED', 'BOUNCED')) AS failed
          FROM monitoring.notification_log_s l
         WHERE l.load_end_date IS NULL AND l.sent_timestamp > clock_timestamp() - interval '1 hour') AS n
