-- The definitions as they stand, each with its last evaluation and who would hear it.
-- $1: disabled ones as well.
SELECT h.alert_definition_bk AS key, d.alert_name AS name, coalesce(d.alert_description, '') AS description,
       d.alert_category AS category, d.alert_severity AS severity, coalesce(d.metric_source, '') AS metric_source,
       d.condition_logic AS condition, coalesce(d.clear_condition_logic, '') AS clear_condition,
       d.threshold_value::float8 AS threshold, coalesce(d.threshold_operator, '') AS operator,
       d.evaluation_frequency_minutes AS every_minutes, d.is_enabled AS enabled, d.auto_resolve, d.escalation_enabled,
       d.escalation_delay_minutes, d.suppression_window_minutes, coalesce(d.runbook_url, '') AS runbook_url, coalesce(d.runbook, '') AS runbook,
       d.load_date AS version, coalesce(d.last_modified_by, '') AS modified_by,
       coalesce(e.target_name, '') AS last_target, coalesce(e.result, '') AS last_result, coalesce(e.reason, '') AS last_reason,
       e.evaluated_at AS last_evaluated_at, e.result_since, d.no_data_minutes, d.no_data_state,
       (SELECT count(*)
          FROM monitoring.alert_instance_h ih
          JOIN monitoring.alert_instance_s i ON i.alert_instance_hk = ih.alert_instance_hk AND i.load_end_date IS NULL
         WHERE ih.alert_definition_hk = h.alert_definition_hk
           AND i.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED')) AS open_alerts,
       ARRAY(SELECT m.channel_key::text
               FROM monitoring.matching_channels(h.alert_definition_hk, d.alert_severity, d.alert_category, d.notification_channels) AS m) AS channels
  FROM monitoring.alert_definition_h h
  JOIN monitoring.alert_definition_s d ON d.alert_definition_hk = h.alert_definition_hk AND d.load_end_date IS NULL
  LEFT JOIN LATERAL (
           -- The worst of the newest results, one per target.
           SELECT newest.*
             FROM (SELECT DISTINCT ON (x.target_name, x.tenant_hk)
                          x.target_name, x.result, x.reason, x.evaluated_at, x.result_since
                     FROM monitoring.alert_evaluation_s x
                    WHERE x.alert_definition_hk = h.alert_definition_hk
                      AND x.evaluated_at > clock_timestamp() - interval '8 days'
                      AND x.load_end_date IS NULL
                    ORDER BY x.target_name, x.tenant_hk, x.evaluated_at DESC) AS newest
            ORDER BY array_position(ARRAY['ERROR', 'NO_DATA', 'TRUE', 'FALSE'], newest.result::text), newest.evaluated_at DESC
            LIMIT 1) AS e ON true
 WHERE $1 OR d.is_enabled
 ORDER BY array_position(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], d.alert_severity::text), h.alert_definition_bk
