-- $1: how many rows at most. An alert's definition is the version that it fired under.
SELECT o.outbox_id, o.kind, o.payload,
       h.alert_instance_bk, monitoring.alert_short_id(h.alert_instance_hk), h.target_name, coalesce(encode(h.tenant_hk, 'hex'), ''),
       s.alert_status, s.escalation_level, s.trigger_value::float8, coalesce(m.metric_unit, ''), s.triggered_timestamp,
       dh.alert_definition_bk, d.load_date, d.alert_name, coalesce(d.alert_description, ''), d.alert_category, d.alert_severity,
       d.condition_logic, d.threshold_value::float8, coalesce(d.threshold_operator, ''), coalesce(d.runbook_url, ''),
       d.auto_resolve, d.escalation_enabled, d.escalation_delay_minutes
  FROM monitoring.outbox o
  JOIN monitoring.alert_instance_h h USING (alert_instance_hk)
  JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
  JOIN monitoring.alert_definition_h dh USING (alert_definition_hk)
  JOIN LATERAL (
           SELECT v.*
             FROM monitoring.alert_definition_s v
            WHERE v.alert_definition_hk = h.alert_definition_hk
            ORDER BY v.load_date = (s.trigger_details ->> 'definition_load_date')::timestamptz DESC NULLS LAST,
                     v.load_end_date IS NULL DESC
            LIMIT 1) AS d ON true
  LEFT JOIN LATERAL (
           -- The unit of the metric whose value fired it: the first that the condition names.
           SELECT x.metric_unit
             FROM monitoring.system_health_metric_s x
            WHERE x.metric_name = (monitoring.compile_condition(d.condition_logic)).identifiers[1]
              AND x.measurement_timestamp > s.triggered_timestamp - interval '15 minutes'
              AND x.measurement_timestamp <= s.triggered_timestamp
              AND x.load_end_date IS NULL
            LIMIT 1) AS m ON true
 WHERE o.relayed_at IS NULL
 ORDER BY o.outbox_id
 LIMIT $1
