-- How the alerts with the business keys $1 stand.
SELECT h.alert_instance_bk,
       s.alert_status,
       coalesce(s.acknowledged_by, ''),
       coalesce(s.resolved_by, ''),
       s.resolved_timestamp,
       coalesce(s.false_positive, false)
  FROM unnest($1::text[]) AS k (bk)
  JOIN monitoring.alert_instance_h h ON h.alert_instance_hk = util.hash_binary(k.bk)
  JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
