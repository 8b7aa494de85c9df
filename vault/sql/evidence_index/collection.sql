-- section: coverage
-- title: Measurements of the targets
-- empty: No target was known before the end of the period.
SELECT c.target AS "TARGET",
       sum(c.hours_expected) AS "|HOURS",
       sum(c.hours_with_samples) AS "|WITH SAMPLES",
       sum(c.hours_expected) - sum(c.hours_with_samples) AS "|WITHOUT",
       sum(c.samples) AS "|SAMPLES",
       sum(c.without_value) AS "|WITHOUT A VALUE",
       sum(c.unreachable) AS "|NO ANSWER"
  FROM {collection_coverage.csv} AS c
 GROUP BY c.target
 ORDER BY c.target COLLATE "C"
