-- Every version of one notification in the order of recording. $1: its hash key.
SELECT s.load_date,
       CASE WHEN s.record_source = 'RECEIPT' THEN s.receipt_timestamp ELSE s.sent_timestamp END,
       CASE WHEN s.record_source = 'RECEIPT' THEN 'RECEIPT' WHEN s.outcome_class IS NULL AND s.delivery_status = 'PENDING' THEN 'INTENT' ELSE 'OUTCOME' END,
       -- What came late replaced nothing.
       s.load_end_date IS NOT DISTINCT FROM s.load_date,
       s.delivery_status, coalesce(s.outcome_class, ''), coalesce(s.retry_count, 0), coalesce(s.failure_reason, ''), coalesce(s.delivery_proof, ''),
       coalesce(s.external_message_id, ''), coalesce(s.delivery_duration_ms, 0), s.possible_duplicate,
       CASE WHEN s.record_source = 'RECEIPT' THEN s.receipt_provider ELSE '' END,
       CASE WHEN s.record_source = 'RECEIPT' THEN s.receipt_status ELSE '' END,
       CASE WHEN s.record_source = 'RECEIPT' THEN s.receipt_details END,
       coalesce(s.message_content, '')
  FROM monitoring.notification_log_s s
 WHERE s.notification_log_hk = $1
 ORDER BY s.load_date
