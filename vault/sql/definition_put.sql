-- Writes a version of a definition, and says whether anybody would hear it. Who wrote the first one stays its creator.
WITH put AS (
    INSERT INTO monitoring.alert_definition_s (
        alert_definition_hk, hash_diff, alert_name, alert_description, alert_category, alert_severity, is_enabled, metric_source,
        condition_logic, clear_condition_logic, threshold_value, threshold_operator, evaluation_frequency_minutes, lookback_minutes,
        pending_minutes, clear_minutes, suppression_window_minutes, no_data_state, no_data_minutes, auto_resolve,
        escalation_enabled, escalation_delay_minutes, notification_channels, runbook, runbook_url, created_by, last_modified_by, record_source,
        fire_looks, of_looks, min_open_minutes, reopen_minutes, flap_count, flap_minutes, escalation_policy, condition_sql, alert_by)
    SELECT util.hash_binary($1::text), '\x', $2, $3, $4, $5, $6, $7,
           $8, $9, $10::text::numeric, $11, $12, $13,
           $14, $15, $16, $17, $18, $19,
           $20::integer IS NOT NULL, coalesce($20, 30), $21::text[], $22, $23,
           coalesce((SELECT d.created_by FROM monitoring.alert_definition_s d
                      WHERE d.alert_definition_hk = util.hash_binary($1) AND d.load_end_date IS NULL), $24), $24, 'DEFINITION_FILE',
           $25, $26, $27, $28, $29, $30, $31, $32, coalesce($33::text[], '{}')
)
SELECT EXISTS (SELECT FROM monitoring.matching_channels(util.hash_binary($1), $5, $4, $21::text[]))
