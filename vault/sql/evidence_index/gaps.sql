-- section: coverage
-- title: When alert definitions were not evaluated
-- empty: No enabled definition was without an evaluation for more than twice its interval.
SELECT g.meaning AS "MEANING",
       g.target AS "TARGET",
       count(*) AS "|GAPS",
       count(DISTINCT g.definition) AS "|DEFINITIONS",
       max(g.seconds) * interval '1 second' AS "|LONGEST",
       to_char(min(g.gap_from) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS "FIRST FROM",
       to_char(max(g.gap_to) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS "LAST TO"
  FROM {evaluation_gaps.csv} AS g
 GROUP BY g.meaning, g.target
 ORDER BY g.meaning COLLATE "C", g.target COLLATE "C" NULLS FIRST
