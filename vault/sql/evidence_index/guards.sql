-- section: vault
-- title: Guards of the vault's history that are not in force
-- empty: Each hub, link and satellite has its triggers, and all of them are in force.
SELECT g.table_name AS "TABLE",
       g.trigger AS "TRIGGER",
       g.state AS "STATE"
  FROM {guards.csv} AS g
 WHERE NOT g.in_force
 ORDER BY 1, 2
