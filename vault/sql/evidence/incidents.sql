-- file: incidents.csv
-- about: The incidents that were worked on or changed in the period, with every state up to its end.
WITH alive AS (
    SELECT DISTINCT s.incident_hk
      FROM monitoring.incident_s s
     WHERE s.load_date < @period_to
       AND (s.load_date >= @period_from
            OR s.incident_status <> 'CLOSED' AND (s.load_end_date IS NULL OR s.load_end_date > @period_from))
)
SELECT h.incident_bk AS incident,
       h.short_id,
       h.tenant_hk AS tenant_key,
       s.incident_title AS title,
       s.incident_description AS description,
       s.incident_status AS status,
       coalesce(s.changed_at, s.load_date) AS changed_at,
       s.changed_by,
       s.changed_via,
       s.incident_severity AS severity,
       s.incident_priority AS priority,
       s.created_timestamp AS created_at,
       s.created_by,
       s.assigned_to,
       s.first_response_timestamp AS first_response_at,
       s.first_response_by,
       s.response_time_minutes,
       s.response_breached_at,
       s.resolved_timestamp AS resolved_at,
       s.resolved_by,
       s.resolution_time_minutes,
       s.resolution_breached_at,
       s.sla_breach,
       s.reopened_at,
       s.closed_timestamp AS closed_at,
       s.closed_by,
       to_jsonb(s.affected_services) AS affected_services,
       s.customer_impact_level,
       s.root_cause_analysis,
       s.resolution_summary,
       s.lessons_learned,
       to_jsonb(s.follow_up_actions) AS follow_up_actions,
       s.record_source AS recorded_by,
       s.load_date AS recorded_from,
       CASE WHEN s.load_end_date < @period_to THEN s.load_end_date END AS recorded_until
  FROM alive
  JOIN monitoring.incident_h h USING (incident_hk)
  JOIN monitoring.incident_s s USING (incident_hk)
 WHERE s.load_date < @period_to
 ORDER BY h.incident_bk COLLATE "C", s.load_date
