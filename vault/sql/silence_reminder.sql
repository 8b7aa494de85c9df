-- What will be told when a silence ends: the unanswered alerts that it alone still mutes, the worst first, in the
-- shape of outbox rows. $1: short id.
WITH chosen AS MATERIALIZED (
    SELECT f.alert_instance_hk, f.alert_instance_bk, f.facts
      FROM monitoring.silence_current c
      JOIN monitoring.alert_facts f
        ON f.alert_status IN ('OPEN', 'ESCALATED') AND (c.include_critical OR f.facts ->> 'severity' <> 'CRITICAL')
       AND monitoring.matches(c.matchers, f.facts)
     WHERE c.short_id = $1 AND c.silence_state = 'ACTIVE'
     ORDER BY array_position(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], f.facts ->> 'severity'), f.alert_instance_bk
     LIMIT 100
)
SELECT 0::bigint, 'FIRED', jsonb_build_object('at', a.triggered_timestamp),
       a.alert_instance_bk, a.short_id, a.target_name, coalesce(a.tenant, ''), a.alert_status, a.escalation_level,
       a.trigger_value::float8, coalesce(a.metric_unit, ''), a.triggered_timestamp,
       a.acknowledged_timestamp, coalesce(a.acknowledged_by, ''), a.resolved_timestamp, coalesce(a.resolved_by, ''),
       a.acknowledged_until, a.snoozed_until, coalesce(a.false_positive, false),
       coalesce((SELECT s.trigger_details ->> 'reason' FROM monitoring.alert_instance_s s
                  WHERE s.alert_instance_hk = a.alert_instance_hk AND s.load_end_date IS NULL), ''),
       a.alert_definition_bk, a.definition_load_date, a.alert_name, coalesce(a.alert_description, ''), a.alert_category, a.alert_severity,
       a.condition_logic, a.threshold_value::float8, coalesce(a.threshold_operator, ''), coalesce(a.runbook_url, ''), coalesce(a.runbook, ''),
       a.auto_resolve, a.escalation_enabled, a.escalation_delay_minutes, a.policy, nullif(a.labels, '{}')
  FROM monitoring.mutes_of(ARRAY(SELECT c.alert_instance_bk::text FROM chosen c)) AS m
  JOIN chosen c ON c.alert_instance_bk = m.alert_key
  JOIN monitoring.alert_current a ON a.alert_instance_hk = c.alert_instance_hk
 WHERE m.mute_kind = 'SILENCE' AND m.mute_id = $1
 ORDER BY array_position(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], c.facts ->> 'severity'), a.triggered_timestamp
