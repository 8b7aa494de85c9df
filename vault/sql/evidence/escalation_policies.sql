-- file: escalation_policies.csv
-- about: The escalation policies: every version that stood in the period, with who made it and when; who was to be paged when.
SELECT h.escalation_policy_bk AS policy,
       s.policy_name AS name,
       s.policy_description AS description,
       s.is_enabled AS enabled,
       s.escalation_levels,
       s.repeat_times,
       s.repeat_every_minutes,
       to_jsonb(s.default_for_severities) AS default_for_severities,
       h.tenant_hk AS tenant_key,
       s.changed_by,
       s.record_source AS recorded_by,
       s.load_date AS recorded_from,
       CASE WHEN s.load_end_date < @period_to THEN s.load_end_date END AS recorded_until
  FROM monitoring.escalation_policy_s s
  JOIN monitoring.escalation_policy_h h USING (escalation_policy_hk)
 WHERE s.load_date < @period_to
   AND (s.load_end_date IS NULL OR s.load_end_date > @period_from)
 ORDER BY h.escalation_policy_bk COLLATE "C", s.load_date
