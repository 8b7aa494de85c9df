-- file: alert_definitions.csv
-- about: The alert definitions: every version that stood in the period, with who made it and when.
SELECT h.alert_definition_bk AS definition,
       s.alert_name AS name,
       s.alert_description AS description,
       s.alert_category AS category,
       s.alert_severity AS severity,
       s.is_enabled AS enabled,
       s.metric_source,
       s.condition_logic,
       s.threshold_operator,
       s.threshold_value,
       s.evaluation_frequency_minutes,
       s.pending_minutes,
       s.clear_condition_logic,
       s.clear_minutes,
       s.no_data_state,
       s.no_data_minutes,
       s.lookback_minutes,
       s.auto_resolve,
       s.escalation_enabled,
       s.escalation_delay_minutes,
       s.suppression_window_minutes,
       to_jsonb(s.notification_channels) AS notification_channels,
       s.runbook,
       s.runbook_url,
       s.fire_looks,
       s.of_looks,
       s.min_open_minutes,
       s.reopen_minutes,
       s.flap_count,
       s.flap_minutes,
       s.escalation_policy,
       h.tenant_hk AS tenant_key,
       s.created_by,
       s.last_modified_by,
       s.record_source AS recorded_by,
       s.load_date AS recorded_from,
       CASE WHEN s.load_end_date < @period_to THEN s.load_end_date END AS recorded_until
  FROM monitoring.alert_definition_s s
  JOIN monitoring.alert_definition_h h USING (alert_definition_hk)
 WHERE s.load_date < @period_to
   AND (s.load_end_date IS NULL OR s.load_end_date > @period_from)
 ORDER BY h.alert_definition_bk COLLATE "C", s.load_date
