-- The ledger as it stands, the newest first.
-- $1: hash key of the alert; $2: key of the channel; $3: statuses; $4: certainties; $5: begun since; $6: hash key of the
-- only one. NULL: any. $7: how many at most; NULL: all.
SELECT n.notification_id, n.alert_id, n.alert_instance_bk, n.sent_timestamp, coalesce(n.event, ''), n.channel, coalesce(n.channel_type, ''),
       coalesce(n.recipient, ''), n.delivery_status, coalesce(n.certainty, ''), coalesce(n.outcome_class, ''), coalesce(n.retry_count, 0),
       n.possible_duplicate, coalesce(n.delivery_proof, ''), coalesce(n.failure_reason, ''), coalesce(n.external_message_id, ''),
       coalesce(n.delivery_duration_ms, 0), coalesce(n.receipt_provider, ''), coalesce(n.receipt_status, ''), n.receipt_timestamp,
       encode(n.notification_log_hk, 'hex')
  FROM monitoring.notification_delivery n
 WHERE ($1::bytea IS NULL OR n.alert_instance_hk = $1)
   AND ($2::text IS NULL OR n.channel = $2)
   AND ($3::text[] IS NULL OR n.delivery_status = ANY ($3))
   AND ($4::text[] IS NULL OR n.certainty = ANY ($4))
   AND ($5::timestamptz IS NULL OR n.sent_timestamp >= $5)
   AND ($6::bytea IS NULL OR n.notification_log_hk = $6)
 ORDER BY n.sent_timestamp DESC, n.channel, n.recipient, n.notification_id
 LIMIT $7
