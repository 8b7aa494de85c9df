-- file: alerts.csv
-- about: The alerts that were open or changed in the period, with every state up to its end: who acknowledged and resolved them, how and when.
WITH alive AS (
    SELECT DISTINCT s.alert_instance_hk
      FROM monitoring.alert_instance_s s
     WHERE s.load_date < @period_to
       AND (s.load_date >= @period_from
            OR s.alert_status <> 'RESOLVED' AND (s.load_end_date IS NULL OR s.load_end_date > @period_from))
)
SELECT h.alert_instance_bk AS alert,
       monitoring.alert_short_id(h.alert_instance_hk) AS short_id,
       d.alert_definition_bk AS definition,
       h.target_name AS target,
       h.tenant_hk AS tenant_key,
       s.alert_status AS status,
       coalesce(s.changed_at, s.load_date) AS changed_at,
       s.changed_via,
       s.urgency_level AS severity,
       s.triggered_timestamp AS triggered_at,
       s.trigger_value,
       s.trigger_details,
       s.acknowledged_timestamp AS acknowledged_at,
       s.acknowledged_by,
       s.acknowledgment_notes AS acknowledgement_notes,
       s.escalation_level,
       s.resolved_timestamp AS resolved_at,
       s.resolved_by,
       s.resolution_notes,
       s.false_positive,
       s.suppression_reason,
       s.notification_count,
       s.record_source AS recorded_by,
       s.load_date AS recorded_from,
       CASE WHEN s.load_end_date < @period_to THEN s.load_end_date END AS recorded_until
  FROM alive
  JOIN monitoring.alert_instance_h h USING (alert_instance_hk)
  JOIN monitoring.alert_instance_s s USING (alert_instance_hk)
  JOIN monitoring.alert_definition_h d USING (alert_definition_hk)
 WHERE s.load_date < @period_to
   AND (@target::text IS NULL OR h.target_name = @target)
 ORDER BY h.alert_instance_bk COLLATE "C", s.load_date
