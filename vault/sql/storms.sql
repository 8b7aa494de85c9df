-- Storms, the newest first. $1: those that are over as well.
SELECT c.storm_bk::text AS key, c.storm_kind::text AS kind, c.storm_name::text AS name, coalesce(encode(c.tenant_hk, 'hex'), '') AS tenant,
       c.began_at, c.ended_at, c.group_limit, c.group_count, c.alert_count
  FROM monitoring.storm_current c
 WHERE $1 OR c.ended_at IS NULL
 ORDER BY c.began_at DESC, c.storm_bk
