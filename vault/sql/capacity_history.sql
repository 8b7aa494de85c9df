-- The median size of each day in [$4, $5) of the resources of target $1, given by types $2 and names $3. One row per
-- resource and day that has a sample; place counts the resources from 1.
SELECT r.place, h.day::timestamp AT TIME ZONE 'UTC' AS day, h.size_bytes::float8
  FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS r (type, name, place)
  JOIN monitoring.capacity_history($1, NULL, $4, $5) AS h
    ON h.capacity_metric_hk = util.hash_binary(monitoring.capacity_key($1, NULL, r.type, r.name))
 ORDER BY r.place, h.day
