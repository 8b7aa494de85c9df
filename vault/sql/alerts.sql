-- Alerts as they stand now, or as they stood, each with the definition's version that it fired under.
-- $1: those that ended as well; $2: opened since; $3: target; $4: hash key of the only one. NULL: any.
-- $5: as of this moment; $6: as known at that one. NULL: now.
WITH states AS NOT MATERIALIZED (
    SELECT s.alert_instance_hk, s.alert_status, s.escalation_level, s.urgency_level, s.trigger_value, s.trigger_details,
           s.triggered_timestamp, s.changed_at, s.changed_via, s.acknowledged_timestamp, s.acknowledged_by, s.acknowledgment_notes,
           s.resolved_timestamp, s.resolved_by, s.resolution_notes, s.suppression_reason, s.notification_count, s.last_notification_sent,
           s.reopened_count, s.reopened_timestamp, s.flapping_since, s.flapping_reason,
           s.acknowledged_until, s.snoozed_until, s.false_positive, s.changed_by, s.change_notes
      FROM monitoring.alert_instance_s s
     WHERE $5::timestamptz IS NULL AND s.load_end_date IS NULL
    UNION ALL
    SELECT s.alert_instance_hk, s.alert_status, s.escalation_level, s.urgency_level, s.trigger_value, s.trigger_details,
           s.triggered_timestamp, s.changed_at, s.changed_via, s.acknowledged_timestamp, s.acknowledged_by, s.acknowledgment_notes,
           s.resolved_timestamp, s.resolved_by, s.resolution_notes, s.suppression_reason, s.notification_count, s.last_notification_sent,
           s.reopened_count, s.reopened_timestamp, s.flapping_since, s.flapping_reason,
           s.acknowledged_until, s.snoozed_until, s.false_positive, s.changed_by, s.change_notes
      FROM monitoring.alert_states_as_of($5, coalesce($6, clock_timestamp()), $1) s
     WHERE $5::timestamptz IS NOT NULL
),
chosen AS MATERIALIZED (
    SELECT h.alert_instance_hk, h.alert_instance_bk, h.alert_definition_hk, h.tenant_hk, h.target_name, h.labels, h.load_date AS learned_at,
           s.alert_status, s.escalation_level, s.urgency_level, s.trigger_value, s.trigger_details,
           s.triggered_timestamp, s.changed_at, s.changed_via,
           s.acknowledged_timestamp, s.acknowledged_by, s.acknowledgment_notes,
           s.resolved_timestamp, s.resolved_by, s.resolution_notes, s.suppression_reason,
           s.notification_count, s.last_notification_sent,
           s.reopened_count, s.reopened_timestamp, s.flapping_since, s.flapping_reason,
           s.acknowledged_until, s.snoozed_until, s.false_positive, s.changed_by, s.change_notes,
           (s.trigger_details ->> 'definition_load_date')::timestamptz AS fired_under
      FROM states s
      JOIN monitoring.alert_instance_h h USING (alert_instance_hk)
     WHERE ($1 OR s.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED'))
       AND ($2::timestamptz IS NULL OR s.triggered_timestamp >= $2)
       AND ($3::text IS NULL OR h.target_name = $3)
       AND ($4::bytea IS NULL OR h.alert_instance_hk = $4)
),
units AS MATERIALIZED (
    SELECT i.identifier AS metric_name, i.unit AS metric_unit
      FROM monitoring.condition_identifier i
     WHERE i.metric_source = 'system_health'
),
versions AS MATERIALIZED (
    -- Many alerts share a version: what is costly about it is done once.
    SELECT f.alert_definition_hk, f.fired_under, h.alert_definition_bk, v.*, u.metric_unit, t.metric_unit AS threshold_unit
      FROM (SELECT DISTINCT c.alert_definition_hk, c.fired_under FROM chosen c) AS f
      JOIN monitoring.alert_definition_h h USING (alert_definition_hk)
      JOIN LATERAL (
               SELECT d.load_date, d.alert_name, d.alert_description, d.alert_category, d.alert_severity, d.condition_logic,
                      d.threshold_value, d.threshold_operator, d.runbook_url, d.runbook, d.auto_resolve,
                      d.escalation_enabled, d.escalation_delay_minutes, d.metric_source, d AS whole
                 FROM monitoring.alert_definition_s d
                WHERE d.alert_definition_hk = f.alert_definition_hk
                ORDER BY d.load_date = f.fired_under DESC NULLS LAST, d.load_date <= coalesce(least($5, $6), 'infinity') DESC, d.load_date DESC
                LIMIT 1) AS v ON true
      -- The value that fires is that of the first metric which the condition names.
      LEFT JOIN units u ON u.metric_name = monitoring.metric_of((monitoring.compile_condition(v.condition_logic)).identifiers[1])
      -- The threshold may belong to another: a_bytes > 1000 || b_s > threshold_value.
      LEFT JOIN units t ON t.metric_name = substring(v.condition_logic FROM '([a-z0-9_]+)\s*(?:[<>]=?|[=!]?=)\s*threshold_value')
)
SELECT monitoring.alert_short_id(c.alert_instance_hk) AS short_id,
       c.alert_instance_bk AS alert_key,
       encode(c.alert_instance_hk, 'hex') AS hash_key,
       monitoring.alert_group_key(v.alert_definition_bk, c.target_name, c.tenant_hk) AS workflow_id,
       coalesce(encode(c.tenant_hk, 'hex'), '') AS tenant,
       c.target_name, c.alert_status, c.escalation_level,
       coalesce(c.urgency_level, v.alert_severity) AS severity,
       c.trigger_value::float8, coalesce(v.metric_unit, '') AS unit,
       c.triggered_timestamp, c.changed_at, coalesce(c.changed_via, '') AS changed_via,
       c.acknowledged_timestamp, coalesce(c.acknowledged_by, '') AS acknowledged_by, coalesce(c.acknowledgment_notes, '') AS acknowledgment_notes,
       c.resolved_timestamp, coalesce(c.resolved_by, '') AS resolved_by, coalesce(c.resolution_notes, '') AS resolution_notes,
       coalesce(c.suppression_reason, '') AS suppression_reason,
       c.notification_count, c.last_notification_sent,
       v.alert_definition_bk, v.load_date AS definition_version, v.alert_name, coalesce(v.alert_description, '') AS description,
       v.alert_category, coalesce(c.trigger_details ->> 'condition', v.condition_logic) AS condition,
       c.trigger_details -> 'inputs' AS inputs, coalesce(c.trigger_details ->> 'reason', '') AS reason,
       v.threshold_value::float8, coalesce(v.threshold_unit, '') AS threshold_unit, coalesce(v.threshold_operator, '') AS operator, coalesce(v.runbook_url, '') AS runbook_url,
       coalesce(v.runbook, '') AS runbook,
       v.auto_resolve, v.escalation_enabled, v.escalation_delay_minutes,
       coalesce(c.reopened_count, 0), c.reopened_timestamp,
       CASE WHEN c.alert_status <> 'RESOLVED' THEN c.flapping_since END, CASE WHEN c.alert_status <> 'RESOLVED' THEN coalesce(c.flapping_reason, '') ELSE '' END,
       c.acknowledged_until, c.snoozed_until, coalesce(c.false_positive, false), coalesce(c.changed_by, ''), coalesce(c.change_notes, ''),
       CASE WHEN c.alert_status IN ('OPEN', 'ESCALATED') AND EXISTS (SELECT FROM monitoring.escalation_policy_h)
            THEN monitoring.escalation_policy_of(v.whole, coalesce(c.reopened_timestamp, c.triggered_timestamp)) END,
       nullif(c.labels, '{}'),
       -- From when on its workflow waits for an answer. What another system sends may have begun long before it was sent.
       greatest(c.changed_at, CASE WHEN v.metric_source = 'external' THEN c.learned_at END) AS waiting_since
  FROM chosen c
  JOIN versions v ON v.alert_definition_hk = c.alert_definition_hk AND v.fired_under IS NOT DISTINCT FROM c.fired_under
 ORDER BY CASE WHEN $1 THEN 0 ELSE array_position(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], coalesce(c.urgency_level, v.alert_severity)::text) END,
          c.triggered_timestamp DESC, c.alert_instance_bk
