-- The guide's dashboards, for people in psql.

CREATE OR REPLACE VIEW monitoring.system_dashboard AS
WITH latest AS MATERIALIZED (
    SELECT DISTINCT ON (s.health_metric_hk)
           s.metric_name, s.metric_value, s.metric_unit, s.status, s.threshold_warning, s.threshold_critical, s.measurement_timestamp, h.target_name
      FROM monitoring.system_health_metric_s s
      JOIN monitoring.system_health_metric_h h USING (health_metric_hk)
     WHERE s.load_end_date IS NULL
       AND s.labels = '{}'
       AND s.measurement_timestamp >= CURRENT_TIMESTAMP - INTERVAL '1 hour'
     ORDER BY s.health_metric_hk, s.measurement_timestamp DESC, s.load_date DESC
),
counted AS (
    -- What the conditions are given; NULL, and so UNKNOWN, where nobody looked within the hour.
    SELECT 'Performance' AS section, 'slow_queries_count' AS name,
           (monitoring.performance_inputs(t.target_name, NULL, INTERVAL '1 hour', clock_timestamp()) ->> 'slow_query_count')::numeric AS value,
           20 AS warning, 50 AS critical,
           (SELECT max(l.measurement_timestamp) FROM latest l WHERE l.target_name = t.target_name AND l.metric_name = 'statement_period_s') AS at,
           t.target_name
      FROM (SELECT 'local' AS target_name UNION SELECT l.target_name FROM latest l) AS t
    UNION ALL
    SELECT 'Security', 'security_events_last_hour',
           (monitoring.security_inputs(t.target_name, NULL, clock_timestamp()) ->> 'high_severity_event_count')::numeric, 5, 10,
           (SELECT max(d.detected_at) FROM monitoring.security_detection d
             WHERE d.target_name = t.target_name AND d.findings IS NOT NULL AND d.detected_at >= CURRENT_TIMESTAMP - INTERVAL '1 hour'),
           t.target_name
      FROM (SELECT 'local' AS target_name UNION SELECT l.target_name FROM latest l) AS t
)
SELECT 'System Health' AS dashboard_section,
       l.metric_name, l.metric_value, l.metric_unit, l.status, l.threshold_warning, l.threshold_critical, l.measurement_timestamp,
       extract(epoch FROM CURRENT_TIMESTAMP - l.measurement_timestamp) AS age_seconds,
       l.target_name
  FROM latest l
UNION ALL
SELECT c.section, c.name::varchar(100), c.value::numeric(24,4), 'count'::varchar(20),
       (CASE WHEN c.value IS NULL THEN 'UNKNOWN' WHEN c.value > c.critical THEN 'CRITICAL' WHEN c.value > c.warning THEN 'WARNING' ELSE 'NORMAL' END)::varchar(20),
       c.warning::numeric(24,4), c.critical::numeric(24,4), c.at,
       extract(epoch FROM CURRENT_TIMESTAMP - c.at), c.target_name::varchar(100)
  FROM counted c
 ORDER BY dashboard_section, target_name, metric_name;
COMMENT ON VIEW monitoring.system_dashboard IS 'The newest sample of every metric within the last hour, the statements that were slow in it, and its security events of severity HIGH or CRITICAL. UNKNOWN: nobody looked.';

CREATE OR REPLACE VIEW monitoring.active_alerts_dashboard AS
SELECT h.alert_instance_bk, d.alert_name, d.alert_category, s.alert_status, s.urgency_level,
       s.triggered_timestamp, s.acknowledged_timestamp, s.acknowledged_by, s.trigger_value, d.threshold_value,
       s.affected_systems, s.business_impact_description,
       extract(epoch FROM CURRENT_TIMESTAMP - s.triggered_timestamp) / 60 AS age_minutes,
       CASE WHEN s.alert_status IN ('OPEN', 'ESCALATED') AND CURRENT_TIMESTAMP - s.triggered_timestamp > INTERVAL '1 hour' THEN 'OVERDUE'
            WHEN s.alert_status = 'ACKNOWLEDGED' AND CURRENT_TIMESTAMP - s.acknowledged_timestamp > INTERVAL '4 hours' THEN 'STALE'
            ELSE 'NORMAL' END AS alert_health,
       h.target_name, monitoring.alert_short_id(h.alert_instance_hk) AS short_id, s.escalation_level,
       monitoring.label_text(nullif(h.labels, '{}')) AS label_set
  FROM monitoring.alert_instance_s s
  JOIN monitoring.alert_instance_h h USING (alert_instance_hk)
  JOIN monitoring.alert_definition_s d ON d.alert_definition_hk = h.alert_definition_hk AND d.load_end_date IS NULL
 WHERE s.load_end_date IS NULL
   AND s.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED')
 ORDER BY array_position(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], s.urgency_level::text), s.triggered_timestamp DESC;
COMMENT ON VIEW monitoring.active_alerts_dashboard IS 'The alerts that still need somebody, worst first.';

CREATE OR REPLACE VIEW monitoring.alert_current AS
SELECT h.alert_instance_hk, h.alert_instance_bk, monitoring.alert_short_id(h.alert_instance_hk) AS short_id, h.target_name,
       encode(h.tenant_hk, 'hex') AS tenant, s.alert_status, s.escalation_level, s.trigger_value, m.metric_unit, s.triggered_timestamp,
       s.acknowledged_timestamp, s.acknowledged_by, s.resolved_timestamp, s.resolved_by,
       dh.alert_definition_bk, d.load_date AS definition_load_date, d.alert_name, d.alert_description, d.alert_category, d.alert_severity,
       d.condition_logic, d.threshold_value, d.threshold_operator, d.runbook_url,
       d.auto_resolve, d.escalation_enabled, d.escalation_delay_minutes,
       monitoring.alert_group_key(dh.alert_definition_bk, h.target_name, h.tenant_hk) AS workflow_id,
       d.runbook, s.reopened_count, s.reopened_timestamp, s.flapping_since, s.flapping_reason,
       s.acknowledged_until, s.snoozed_until, s.false_positive,
       monitoring.escalation_policy_of(d.whole, coalesce(s.reopened_timestamp, s.triggered_timestamp)) AS policy,
       h.labels
  FROM monitoring.alert_instance_h h
  JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
  JOIN monitoring.alert_definition_h dh USING (alert_definition_hk)
  JOIN LATERAL (
           -- The version that the alert fired under; for one without it, the current one.
           SELECT v.*, v AS whole
             FROM monitoring.alert_definition_s v
            WHERE v.alert_definition_hk = h.alert_definition_hk
            ORDER BY v.load_date = (s.trigger_details ->> 'definition_load_date')::timestamptz DESC NULLS LAST,
                     v.load_end_date IS NULL DESC
            LIMIT 1) AS d ON true
  LEFT JOIN LATERAL (
           -- The unit of the value that fired it: of the first metric that the condition names.
           SELECT x.metric_unit
             FROM monitoring.system_health_metric_s x
            WHERE d.metric_source = 'system_health'
              AND x.metric_name = monitoring.metric_of((monitoring.compile_condition(d.condition_logic)).identifiers[1])
              AND x.measurement_timestamp > s.triggered_timestamp - interval '15 minutes'
              AND x.measurement_timestamp <= s.triggered_timestamp
              AND x.load_end_date IS NULL
            LIMIT 1) AS m ON true;
COMMENT ON VIEW monitoring.alert_current IS 'Every alert as it stands, with the version of the definition that it fired under.';
