-- file: notifications.csv
-- about: The ledger of who was told of these alerts: for each attempt its intent (PENDING without an outcome) and its outcome.
WITH alive AS (
    SELECT DISTINCT s.alert_instance_hk
      FROM monitoring.alert_instance_s s
     WHERE s.load_date < @period_to
       AND (s.load_date >= @period_from
            OR s.alert_status <> 'RESOLVED' AND (s.load_end_date IS NULL OR s.load_end_date > @period_from))
)
SELECT h.notification_log_bk AS notification,
       a.alert_instance_bk AS alert,
       c.notification_config_bk AS channel,
       s.channel_used AS channel_type,
       s.event,
       s.recipient_address AS recipient,
       s.delivery_status AS status,
       s.outcome_class AS outcome,
       s.retry_count AS retries,
       s.failure_reason,
       s.delivery_proof AS proof,
       s.external_message_id,
       s.delivery_key,
       s.possible_duplicate,
       s.delivery_duration_ms,
       s.delivery_confirmation_timestamp AS confirmed_at,
       s.sent_timestamp AS event_at,
       s.record_source AS recorded_by,
       s.load_date AS recorded_from,
       CASE WHEN s.load_end_date < @period_to THEN s.load_end_date END AS recorded_until
  FROM alive
  JOIN monitoring.alert_instance_h a USING (alert_instance_hk)
  JOIN monitoring.notification_log_h h USING (alert_instance_hk)
  JOIN monitoring.notification_config_h c USING (notification_config_hk)
  JOIN monitoring.notification_log_s s USING (notification_log_hk)
 WHERE s.load_date < @period_to
   AND (@target::text IS NULL OR a.target_name = @target)
 ORDER BY a.alert_instance_bk COLLATE "C", h.notification_log_bk COLLATE "C", s.load_date
