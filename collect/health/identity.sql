-- metric server_info [bool] AVAILABILITY: Which server answers: always 1, and its labels tell the cluster, the version and the role
-- by system_identifier, version, role, cluster_name
-- every 15m
-- from pg_control_system

SELECT system_identifier,
       current_setting('server_version') AS version,
       CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END AS role,
       current_setting('cluster_name') AS cluster_name,
       1 AS server_info
  FROM pg_control_system()
