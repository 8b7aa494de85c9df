-- The versions of definitions, by key and newest first.
-- $1: the keys, none: all; $2: only those that stand.
SELECT h.alert_definition_bk, d.alert_name, coalesce(d.alert_description, ''), d.alert_category, d.alert_severity, coalesce(d.is_enabled, false),
       coalesce(d.metric_source, ''), d.condition_logic, coalesce(d.clear_condition_logic, ''),
       coalesce(trim_scale(d.threshold_value)::text, ''), coalesce(d.threshold_operator, ''),
       coalesce(d.evaluation_frequency_minutes, 5), d.lookback_minutes, d.pending_minutes, d.clear_minutes, coalesce(d.suppression_window_minutes, 0),
       d.no_data_state, d.no_data_minutes, coalesce(d.auto_resolve, false), coalesce(d.escalation_enabled, false), coalesce(d.escalation_delay_minutes, 30),
       coalesce(d.notification_channels, '{}'), coalesce(d.runbook, ''), coalesce(d.runbook_url, ''),
       d.load_date, d.load_end_date, coalesce(d.last_modified_by, d.created_by, ''), d.record_source,
       (SELECT count(*)
          FROM monitoring.alert_instance_h ih
          JOIN monitoring.alert_instance_s i ON i.alert_instance_hk = ih.alert_instance_hk AND i.load_end_date IS NULL
         WHERE ih.alert_definition_hk = h.alert_definition_hk
           AND i.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED')
           AND (i.trigger_details ->> 'definition_load_date')::timestamptz = d.load_date),
       d.fire_looks, d.of_looks, d.min_open_minutes, d.reopen_minutes, d.flap_count, d.flap_minutes,
       coalesce(d.escalation_policy, ''), coalesce(d.condition_sql, ''), d.alert_by
  FROM monitoring.alert_definition_h h
  JOIN monitoring.alert_definition_s d USING (alert_definition_hk)
 WHERE (cardinality(coalesce($1::text[], '{}')) = 0 OR h.alert_definition_bk = ANY ($1))
   AND (d.load_end_date IS NULL OR NOT $2)
 ORDER BY h.alert_definition_bk, d.load_date DESC
