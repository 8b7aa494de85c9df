-- section: incidents
-- title: Incidents that were worked on or changed in the period
-- empty: There was none.
SELECT i.short_id AS "INCIDENT",
       i.title AS "TITLE*",
       i.priority AS "PRIORITY",
       i.status AS "AT THE END",
       to_char(i.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS "CREATED",
       i.first_response_by AS "FIRST RESPONSE BY",
       to_char(i.resolved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS "RESOLVED",
       CASE WHEN i.sla_breach THEN 'passed' ELSE 'kept' END AS "LIMITS"
  FROM (SELECT DISTINCT ON (f.incident) f.* FROM {incidents.csv} AS f ORDER BY f.incident, f.recorded_from DESC) AS i
 ORDER BY i.created_at, i.incident COLLATE "C"
