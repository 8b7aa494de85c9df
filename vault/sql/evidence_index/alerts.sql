-- section: alerts
-- title: Alerts that were open or changed in the period
-- empty: No alert was open. Whether anybody looked is told below.
SELECT coalesce(a.severity, '-') AS "SEVERITY",
       count(*) AS "|ALERTS",
       count(*) FILTER (WHERE a.triggered_at >= @period_from) AS "|FIRED IN IT",
       count(a.acknowledged_at) AS "|ACKNOWLEDGED",
       count(*) FILTER (WHERE a.status = 'RESOLVED') AS "|RESOLVED",
       count(*) FILTER (WHERE a.false_positive) AS "|FALSE",
       count(*) FILTER (WHERE a.status <> 'RESOLVED') AS "|OPEN AT THE END"
  FROM (SELECT DISTINCT ON (f.alert) f.* FROM {alerts.csv} AS f ORDER BY f.alert, f.recorded_from DESC) AS a
 GROUP BY a.severity
 ORDER BY array_position(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], a.severity::text)
