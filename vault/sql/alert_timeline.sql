-- The life of one alert in the order in which it happened: every version of its state, every version of
-- its notifications, and the evaluations that decided about it. $1: the alert's hash key.
WITH the_alert AS (
    SELECT h.alert_instance_hk, h.alert_definition_hk, h.tenant_hk, h.target_name, h.labels, s.triggered_timestamp, s.resolved_timestamp
      FROM monitoring.alert_instance_h h
      JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
     WHERE h.alert_instance_hk = $1
)
SELECT e.evaluated_at AS at, e.load_date AS recorded_at, 'EVALUATION' AS kind, 0 AS rank,
       e.decision AS status, e.result, 'evaluator' AS actor, '' AS via, 0 AS level, coalesce(e.reason, '') AS notes,
       e.evaluated_value::float8 AS value, e.inputs, e.definition_load_date AS definition_version,
       '' AS event, '' AS channel_key, '' AS channel_type, '' AS recipient,
       0 AS attempt, '' AS class, '' AS proof, '' AS external_id, 0 AS duration_ms, false AS possible_duplicate, 0 AS messages
  FROM the_alert a
 CROSS JOIN LATERAL monitoring.looks_of(a.alert_definition_hk, a.target_name, a.tenant_hk, a.labels,
                a.triggered_timestamp, coalesce(a.resolved_timestamp, 'infinity')) AS e
 WHERE e.decision NOT IN ('NONE', 'PENDING', 'HOLDING')
UNION ALL
SELECT -- A version that only counts messages has the changed_at of the one before.
       CASE WHEN s.record_source = 'NOTIFICATION_MANAGER' THEN s.load_date ELSE coalesce(s.changed_at, s.load_date) END,
       s.load_date, 'STATE', 1,
       CASE s.record_source WHEN 'NOTIFICATION_MANAGER' THEN 'NOTIFIED' WHEN 'ALERT_SNOOZER' THEN 'SNOOZED'
                            WHEN 'ALERT_REVIEWER' THEN 'FALSE_POSITIVE' ELSE s.alert_status END, '',
       CASE WHEN s.record_source = 'NOTIFICATION_MANAGER' THEN 'workflow'
            WHEN s.changed_by IS NOT NULL THEN s.changed_by
            WHEN s.alert_status = 'ACKNOWLEDGED' THEN coalesce(s.acknowledged_by, '')
            WHEN s.alert_status = 'RESOLVED' THEN coalesce(s.resolved_by, '')
            WHEN s.alert_status = 'ESCALATED' THEN 'workflow'
            ELSE coalesce(s.changed_via, '') END,
       CASE WHEN s.record_source = 'NOTIFICATION_MANAGER' THEN '' ELSE coalesce(s.changed_via, '') END,
       s.escalation_level,
       concat_ws(', ',
           CASE s.alert_status WHEN 'SUPPRESSED' THEN s.suppression_reason
                               ELSE coalesce(s.change_notes, CASE s.alert_status WHEN 'ACKNOWLEDGED' THEN s.acknowledgment_notes
                                                                                 WHEN 'RESOLVED' THEN s.resolution_notes END) END,
           'until ' || to_char(coalesce(s.acknowledged_until, s.snoozed_until) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')),
       s.trigger_value::float8, NULL, NULL,
       '', '', '', '', 0, '', '', '', 0, false, s.notification_count
  FROM the_alert a
  JOIN monitoring.alert_instance_s s USING (alert_instance_hk)
UNION ALL
SELECT -- sent_timestamp is that of the event, the same for all attempts; when each took place, load_date says.
       -- A receipt tells of a moment of its own.
       CASE WHEN l.record_source = 'RECEIPT' THEN l.receipt_timestamp ELSE greatest(l.load_date, l.sent_timestamp) END, l.load_date,
       CASE WHEN l.record_source = 'RECEIPT' THEN 'RECEIPT' ELSE 'NOTIFICATION' END, 2,
       CASE WHEN l.record_source = 'RECEIPT' THEN l.receipt_status ELSE l.delivery_status END, '',
       CASE WHEN l.record_source = 'RECEIPT' THEN l.receipt_provider ELSE 'workflow' END, '', 0,
       CASE WHEN l.record_source = 'RECEIPT' THEN coalesce(l.receipt_details ->> 'reason', l.receipt_details ->> 'said', '')
            ELSE coalesce(l.failure_reason, '') END,
       NULL, NULL, NULL,
       coalesce(l.event, ''), c.notification_config_bk, coalesce(l.channel_used, ''), coalesce(l.recipient_address, ''),
       l.retry_count, coalesce(l.outcome_class, ''), coalesce(l.delivery_proof, ''), coalesce(l.external_message_id, ''),
       coalesce(l.delivery_duration_ms, 0), l.possible_duplicate, 0
  FROM the_alert a
  JOIN monitoring.notification_log_h h USING (alert_instance_hk)
  JOIN monitoring.notification_config_h c USING (notification_config_hk)
  JOIN monitoring.notification_log_s l USING (notification_log_hk)
 ORDER BY at, rank, recorded_at
