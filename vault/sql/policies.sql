-- The escalation policies as they stand, each with the enabled definitions that follow it now. $1: the keys, none: all.
SELECT h.escalation_policy_bk, s.policy_name, coalesce(s.policy_description, ''), s.is_enabled, coalesce(s.default_for_severities, '{}'),
       s.escalation_levels, s.repeat_times, s.repeat_every_minutes, s.load_date, s.changed_by,
       ARRAY(SELECT d.alert_definition_bk
               FROM monitoring.alert_definition_h d
               JOIN monitoring.alert_definition_s v ON v.alert_definition_hk = d.alert_definition_hk AND v.load_end_date IS NULL AND v.is_enabled
              WHERE monitoring.escalation_policy_of(v, clock_timestamp()) ->> 'key' = h.escalation_policy_bk
              ORDER BY d.alert_definition_bk)::text[]
  FROM monitoring.escalation_policy_h h
  JOIN monitoring.escalation_policy_s s ON s.escalation_policy_hk = h.escalation_policy_hk AND s.load_end_date IS NULL
 WHERE cardinality(coalesce($1::text[], '{}')) = 0 OR h.escalation_policy_bk = ANY ($1)
 ORDER BY h.escalation_policy_bk
