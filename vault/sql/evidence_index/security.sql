-- section: security
-- title: Security events that were open or changed in the period
-- empty: There was none. Whether anybody looked is told below.
SELECT e.type AS "EVENT",
       e.severity AS "SEVERITY",
       count(*) AS "|EVENTS",
       count(*) FILTER (WHERE e.investigation_status = 'OPEN') AS "|OPEN",
       count(*) FILTER (WHERE e.investigation_status = 'INVESTIGATING') AS "|INVESTIGATED",
       count(*) FILTER (WHERE e.investigation_status = 'RESOLVED') AS "|RESOLVED",
       count(*) FILTER (WHERE e.investigation_status = 'FALSE_POSITIVE') AS "|FALSE"
  FROM (SELECT DISTINCT ON (f.event) f.* FROM {security_events.csv} AS f ORDER BY f.event, f.recorded_from DESC) AS e
 GROUP BY e.type, e.severity
 ORDER BY array_position(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], e.severity::text), e.type COLLATE "C"
