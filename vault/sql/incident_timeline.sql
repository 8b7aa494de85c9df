-- $1: hash key of the incident. Its life in the order in which it happened: states, notes, alerts that came and went.
WITH versions AS (
    SELECT s.*, lag(s.incident_status) OVER w AS status_before, lag(s.assigned_to) OVER w AS assigned_before,
           lag(s.incident_priority) OVER w AS priority_before,
           lag(s.response_breached_at) OVER w AS response_before, lag(s.resolution_breached_at) OVER w AS resolution_before
      FROM monitoring.incident_s s
     WHERE s.incident_hk = $1
    WINDOW w AS (ORDER BY s.load_date)
)
SELECT at, recorded_at, kind, what, actor, via, details
  FROM (
        SELECT coalesce(v.changed_at, v.load_date) AS at, v.load_date AS recorded_at, 'STATE' AS kind,
               CASE WHEN v.status_before = 'RESOLVED' AND v.incident_status = 'INVESTIGATING' THEN 'REOPENED' ELSE v.incident_status END AS what,
               coalesce(v.changed_by, '') AS actor, coalesce(v.changed_via, '') AS via,
               coalesce(CASE v.incident_status WHEN 'RESOLVED' THEN v.resolution_summary WHEN 'CLOSED' THEN v.root_cause_analysis
                                               WHEN 'OPEN' THEN v.incident_title END, '') AS details, 1 AS rank
          FROM versions v
         WHERE v.status_before IS DISTINCT FROM v.incident_status
        UNION ALL
        SELECT coalesce(v.changed_at, v.load_date), v.load_date, 'ASSIGNED', v.assigned_to, coalesce(v.changed_by, ''), coalesce(v.changed_via, ''), '', 2
          FROM versions v
         WHERE v.assigned_to IS DISTINCT FROM v.assigned_before AND v.assigned_to IS NOT NULL
        UNION ALL
        SELECT coalesce(v.changed_at, v.load_date), v.load_date, 'PRIORITY', v.incident_priority, coalesce(v.changed_by, ''), coalesce(v.changed_via, ''),
               v.priority_before || ' before', 2
          FROM versions v
         WHERE v.incident_priority <> v.priority_before
        UNION ALL
        -- When the limit passed, not when it was noticed.
        SELECT v.response_breached_at, v.load_date, 'LIMIT', 'RESPONSE OVERDUE', coalesce(v.changed_by, ''), coalesce(v.changed_via, ''), '', 0
          FROM versions v
         WHERE v.response_breached_at IS NOT NULL AND v.response_before IS NULL
        UNION ALL
        SELECT v.resolution_breached_at, v.load_date, 'LIMIT', 'RESOLUTION OVERDUE', coalesce(v.changed_by, ''), coalesce(v.changed_via, ''), '', 0
          FROM versions v
         WHERE v.resolution_breached_at IS NOT NULL AND v.resolution_before IS NULL
        UNION ALL
        SELECT n.noted_at, n.load_date, 'NOTE', 'NOTE', n.author, coalesce(n.via, ''), n.note_text, 3
          FROM monitoring.incident_note_s n
         WHERE n.incident_hk = $1 AND n.load_end_date IS NULL
        UNION ALL
        SELECT together.at, together.recorded_at, 'ALERT', together.what, coalesce(by.changed_by, ''), coalesce(by.changed_via, ''), together.details, 4
          FROM (
                SELECT coalesce(e.effective_to, e.effective_from) AS at, min(e.load_date) AS recorded_at,
                       CASE WHEN e.effective_to IS NULL THEN 'JOINED' ELSE 'LEFT' END AS what,
                       concat_ws(': ', string_agg(monitoring.alert_short_id(l.alert_instance_hk), ', ' ORDER BY l.alert_instance_hk), e.reason) AS details
                  FROM monitoring.alert_incident_l l
                  JOIN monitoring.alert_incident_eff_s e USING (link_alert_incident_hk)
                 WHERE l.incident_hk = $1
                 -- Each row has a load date of its own; what came or left at one moment is one entry.
                 GROUP BY 1, 3, e.reason) AS together
          LEFT JOIN LATERAL (
                    -- Who linked wrote a version of the incident at the same moment.
                    SELECT v.changed_by, v.changed_via FROM versions v WHERE v.changed_at = together.at ORDER BY v.load_date LIMIT 1) AS by ON true
       ) AS moments
 ORDER BY at, rank, recorded_at
