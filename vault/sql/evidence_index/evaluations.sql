-- section: coverage
-- title: Evaluations
-- empty: The vault holds no evaluation of the period: nobody looked, or the rows have left.
SELECT e.target AS "TARGET",
       count(DISTINCT e.definition) AS "|DEFINITIONS",
       sum(e.evaluations) AS "|EVALUATIONS",
       sum(e."true") AS "|TRUE",
       sum(e."false") AS "|FALSE",
       sum(e.no_data) AS "|NO DATA",
       sum(e.errors) AS "|ERRORS",
       to_char(min(e.first_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS "FIRST",
       to_char(max(e.last_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS "LAST"
  FROM {evaluation_coverage.csv} AS e
 GROUP BY e.target
 ORDER BY e.target COLLATE "C"
