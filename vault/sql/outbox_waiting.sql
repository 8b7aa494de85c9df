-- The oldest facts about alerts that no workflow has heard of. $1: how many at most.
WITH waiting AS MATERIALIZED (
    SELECT o.outbox_id, o.kind, o.payload, o.alert_instance_hk
      FROM monitoring.outbox o
     WHERE o.relayed_at IS NULL AND o.alert_instance_hk IS NOT NULL
     ORDER BY o.outbox_id
     LIMIT $1
)
