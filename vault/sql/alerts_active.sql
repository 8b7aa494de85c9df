-- Every alert that needs a workflow and whose opening was relayed a while ago; the shape of an outbox row.
SELECT 0::bigint, 'FIRED', jsonb_strip_nulls(jsonb_build_object('at', coalesce(a.reopened_timestamp, a.triggered_timestamp),
           'reopened', a.reopened_count, 'flapping_since', a.flapping_since, 'flapping_reason', a.flapping_reason)),
       a.alert_instance_bk, a.short_id, a.target_name, coalesce(a.tenant, ''), a.alert_status, a.escalation_level,
       a.trigger_value::float8, coalesce(a.metric_unit, ''), a.triggered_timestamp,
       a.acknowledged_timestamp, coalesce(a.acknowledged_by, ''), a.resolved_timestamp, coalesce(a.resolved_by, ''),
       coalesce((SELECT s.trigger_details ->> 'reason' FROM monitoring.alert_instance_s s
                  WHERE s.alert_instance_hk = a.alert_instance_hk AND s.load_end_date IS NULL), ''),
       a.alert_definition_bk, a.definition_load_date, a.alert_name, coalesce(a.alert_description, ''), a.alert_category, a.alert_severity,
       a.condition_logic, a.threshold_value::float8, coalesce(a.threshold_operator, ''), coalesce(a.runbook_url, ''), coalesce(a.runbook, ''),
       a.auto_resolve, a.escalation_enabled, a.escalation_delay_minutes, nullif(a.labels, '{}')
  FROM monitoring.alert_current a
 WHERE a.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED')
   AND a.triggered_timestamp < statement_timestamp() - interval '10 seconds'
   AND NOT EXISTS (SELECT FROM monitoring.outbox o WHERE o.alert_instance_hk = a.alert_instance_hk AND o.relayed_at IS NULL)
 ORDER BY a.triggered_timestamp
