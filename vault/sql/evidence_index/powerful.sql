-- section: vault
-- title: Roles that no row-level security and no right stops
-- empty: There is none.
SELECT r.role AS "ROLE",
       CASE WHEN r.may_log_in THEN 'yes' ELSE 'no' END AS "LOGS IN",
       concat_ws(', ', CASE WHEN r.superuser THEN 'SUPERUSER' END, CASE WHEN r.bypass_row_security THEN 'BYPASSRLS' END,
                 CASE WHEN r.create_role THEN 'CREATEROLE' END) AS "ATTRIBUTES"
  FROM {roles.csv} AS r
 WHERE r.superuser OR r.bypass_row_security OR r.create_role
 ORDER BY r.role COLLATE "C"
