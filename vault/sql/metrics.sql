-- The metrics, built in and added, as they stand on the target $1.
WITH known AS MATERIALIZED (
    SELECT m.metric_name, m.description, m.unit, m.category, coalesce(q.label_names, '{}') AS labels,
           coalesce(q.every_s, 0) AS every_s, coalesce(m.query_name, '') AS query_name, false AS own, NULL::text[] AS targets, '' AS changed_by, '' AS definition
      FROM monitoring.health_metric m
      LEFT JOIN monitoring.health_query q USING (query_name)
    UNION ALL
    SELECT d.metric_name, d.metric_description, d.metric_unit, d.metric_category, d.label_names, d.every_s, d.metric_name, true, d.target_names, d.changed_by, d.definition_text
      FROM monitoring.metric_definition_s d
     WHERE d.load_end_date IS NULL AND d.is_enabled
),
recent AS MATERIALIZED (
    -- The newest sample of each series within two and a half times the longest cadence.
    SELECT DISTINCT ON (s.health_metric_hk)
           s.metric_name, s.metric_value, s.status, s.measurement_timestamp, s.labels, s.additional_context ->> 'error' AS error
      FROM monitoring.system_health_metric_h h
      JOIN monitoring.system_health_metric_s s USING (health_metric_hk)
     WHERE h.target_name = $1
       AND h.tenant_hk IS NULL
       AND s.load_end_date IS NULL
       AND s.measurement_timestamp > statement_timestamp() - interval '150 minutes'
     ORDER BY s.health_metric_hk, s.measurement_timestamp DESC, s.load_date DESC
),
newest AS (
    -- A series that the newest run did not see is gone.
    SELECT r.metric_name, count(*) AS series, max(r.measurement_timestamp) AS at, max(r.error) AS error,
           (array_agg(r.status ORDER BY array_position(ARRAY['CRITICAL', 'WARNING', 'UNKNOWN', 'NORMAL'], r.status::text)))[1] AS status,
           max(r.metric_value) FILTER (WHERE r.labels = '{}') AS value
      FROM recent r
     WHERE r.measurement_timestamp = (SELECT max(x.measurement_timestamp) FROM recent x WHERE x.metric_name = r.metric_name)
     GROUP BY r.metric_name
)
SELECT k.metric_name, k.description, k.unit, k.category, k.labels, k.every_s, k.query_name, k.own, k.targets, k.changed_by,
       coalesce(n.series, 0)::integer, coalesce(n.status, ''), n.value::float8, n.at, coalesce(n.error, r.error, ''), coalesce(r.left_out, ''), k.definition
  FROM known k
  LEFT JOIN newest n USING (metric_name)
  LEFT JOIN monitoring.health_query_run r ON r.target_name = $1 AND r.query_name = k.query_name
 ORDER BY k.own, k.metric_name
