-- Of one group (target, definition, tenant), every alert that needs a workflow and whose opening was relayed a while ago,
-- in the shape of its opening.
WITH waiting AS MATERIALIZED (
    SELECT 0::bigint AS outbox_id, 'FIRED' AS kind, h.alert_instance_hk,
           jsonb_strip_nulls(jsonb_build_object('at', coalesce(s.reopened_timestamp, s.triggered_timestamp), 'reopened', s.reopened_count,
               'flapping_since', s.flapping_since, 'flapping_reason', s.flapping_reason)) AS payload
      FROM monitoring.alert_instance_h h
      JOIN monitoring.alert_definition_h d USING (alert_definition_hk)
      JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
     WHERE h.target_name = $1 AND d.alert_definition_bk = $2 AND coalesce(encode(h.tenant_hk, 'hex'), '') = $3
       AND s.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED')
       AND s.triggered_timestamp < statement_timestamp() - interval '10 seconds'
       AND NOT EXISTS (SELECT FROM monitoring.outbox o WHERE o.alert_instance_hk = h.alert_instance_hk AND o.relayed_at IS NULL)
)
