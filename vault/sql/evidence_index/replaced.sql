-- section: vault
-- title: Functions that are not as the migrations put them
-- empty: All functions are as the migrations put them.
SELECT f.name AS "FUNCTION*",
       f.state AS "STATE"
  FROM {functions.csv} AS f
 WHERE f.kind = 'FUNCTION'
 ORDER BY 1
