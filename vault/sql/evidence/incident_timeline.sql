-- file: incident_timeline.csv
-- about: What people wrote about these incidents, and which alerts joined and left them, in the order in which it happened.
WITH alive AS (
    SELECT DISTINCT s.incident_hk
      FROM monitoring.incident_s s
     WHERE s.load_date < @period_to
       AND (s.load_date >= @period_from
            OR s.incident_status <> 'CLOSED' AND (s.load_end_date IS NULL OR s.load_end_date > @period_from))
)
SELECT m.incident, m.short_id, m.at, m.kind, m.author, m.via, m.text, m.alert, m.recorded_from
  FROM (
        SELECT h.incident_bk AS incident, h.short_id, n.noted_at AS at, 'NOTE' AS kind, n.author, n.via, n.note_text AS text,
               NULL AS alert, n.load_date AS recorded_from
          FROM alive
          JOIN monitoring.incident_h h USING (incident_hk)
          JOIN monitoring.incident_note_s n USING (incident_hk)
         WHERE n.load_date < @period_to
           AND (n.load_end_date IS NULL OR n.load_end_date >= @period_to)
        UNION ALL
        SELECT h.incident_bk, h.short_id, coalesce(e.effective_to, e.effective_from),
               CASE WHEN e.effective_to IS NULL THEN 'ALERT_JOINED' ELSE 'ALERT_LEFT' END, NULL, NULL, e.reason,
               a.alert_instance_bk, e.load_date
          FROM alive
          JOIN monitoring.incident_h h USING (incident_hk)
          JOIN monitoring.alert_incident_l l USING (incident_hk)
          JOIN monitoring.alert_incident_eff_s e USING (link_alert_incident_hk)
          JOIN monitoring.alert_instance_h a USING (alert_instance_hk)
         WHERE e.load_date < @period_to
       ) AS m
 ORDER BY m.incident COLLATE "C", m.at, m.recorded_from, m.kind COLLATE "C", m.alert COLLATE "C"
