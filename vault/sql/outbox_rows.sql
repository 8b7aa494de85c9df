-- What a workflow is to hear, of waiting (outbox_id, kind, payload, alert_instance_hk). What the alerts of a version of a definition
-- share is found once for all of them: they may be thousands.
, alerts AS MATERIALIZED (
    SELECT w.outbox_id, w.kind, w.payload, h.alert_instance_hk, h.alert_instance_bk, h.target_name, h.tenant_hk, h.alert_definition_hk,
           nullif(h.labels, '{}') AS labels,
           s.alert_status, s.escalation_level, s.trigger_value, s.triggered_timestamp, s.acknowledged_timestamp, s.acknowledged_by,
           s.resolved_timestamp, s.resolved_by, s.acknowledged_until, s.snoozed_until, coalesce(s.false_positive, false) AS false_positive,
           coalesce(s.reopened_timestamp, s.triggered_timestamp) AS opened_at, s.trigger_details ->> 'reason' AS reason,
           (s.trigger_details ->> 'definition_load_date')::timestamptz AS fired_under
      FROM waiting w
      JOIN monitoring.alert_instance_h h USING (alert_instance_hk)
      JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
),
versions AS MATERIALIZED (
    SELECT k.alert_definition_hk, k.fired_under, h.alert_definition_bk, d.load_date, d.alert_name, d.alert_description, d.alert_category,
           d.alert_severity, d.condition_logic, d.threshold_value, d.threshold_operator, d.runbook_url, d.runbook,
           d.auto_resolve, d.escalation_enabled, d.escalation_delay_minutes, d.whole,
           -- The unit of the first metric that the condition names.
           (SELECT i.unit FROM monitoring.condition_identifier i
             WHERE i.metric_source = d.metric_source AND d.metric_source = 'system_health'
               AND i.identifier = monitoring.metric_of((monitoring.compile_condition(d.condition_logic)).identifiers[1])) AS unit
      FROM (SELECT DISTINCT a.alert_definition_hk, a.fired_under FROM alerts a) AS k
      JOIN monitoring.alert_definition_h h USING (alert_definition_hk)
      JOIN LATERAL (
               -- The version that the alert fired under; for one without it, the current one.
               SELECT v.*, v AS whole
                 FROM monitoring.alert_definition_s v
                WHERE v.alert_definition_hk = k.alert_definition_hk
                ORDER BY v.load_date = k.fired_under DESC NULLS LAST, v.load_end_date IS NULL DESC
                LIMIT 1) AS d ON true
),
policies AS MATERIALIZED (
    SELECT k.alert_definition_hk, k.fired_under, k.opened_at, monitoring.escalation_policy_of(v.whole, k.opened_at) AS policy
      FROM (SELECT DISTINCT a.alert_definition_hk, a.fired_under, a.opened_at FROM alerts a) AS k
      JOIN versions v ON v.alert_definition_hk = k.alert_definition_hk AND v.fired_under IS NOT DISTINCT FROM k.fired_under
     WHERE EXISTS (SELECT FROM monitoring.escalation_policy_h)
)
SELECT a.outbox_id, a.kind, a.payload,
       a.alert_instance_bk, monitoring.alert_short_id(a.alert_instance_hk), a.target_name, coalesce(encode(a.tenant_hk, 'hex'), ''),
       a.alert_status, a.escalation_level, a.trigger_value::float8, coalesce(v.unit, ''), a.triggered_timestamp,
       a.acknowledged_timestamp, coalesce(a.acknowledged_by, ''), a.resolved_timestamp, coalesce(a.resolved_by, ''),
       a.acknowledged_until, a.snoozed_until, a.false_positive, coalesce(a.reason, ''),
       v.alert_definition_bk, v.load_date, v.alert_name, coalesce(v.alert_description, ''), v.alert_category, v.alert_severity,
       v.condition_logic, v.threshold_value::float8, coalesce(v.threshold_operator, ''), coalesce(v.runbook_url, ''), coalesce(v.runbook, ''),
       v.auto_resolve, v.escalation_enabled, v.escalation_delay_minutes, p.policy, a.labels
  FROM alerts a
  JOIN versions v ON v.alert_definition_hk = a.alert_definition_hk AND v.fired_under IS NOT DISTINCT FROM a.fired_under
  LEFT JOIN policies p ON p.alert_definition_hk = a.alert_definition_hk AND p.fired_under IS NOT DISTINCT FROM a.fired_under
                      AND p.opened_at = a.opened_at
 ORDER BY a.outbox_id, a.triggered_timestamp
