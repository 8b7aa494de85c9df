-- The texts of some statements, by their queryids ($1, a bigint[]), up to 10 kB of each.
-- [[userid, dbid, queryid, toplevel, text], ...]
SELECT coalesce(json_agg(json_build_array(s.userid, s.dbid, s.queryid, s.toplevel, left(s.query, 10240))), '[]') AS texts
  FROM pg_stat_statements(true) AS s
 WHERE s.queryid = ANY ($1::bigint[])
