-- metric sessions_by_tls [connections] SECURITY: Client sessions over the network by the version of TLS that protects them
-- by tls
-- every 5m
-- from pg_stat_ssl
-- requires role pg_read_all_stats

SELECT CASE WHEN s.ssl THEN coalesce(s.version, 'unknown') ELSE 'none' END AS tls,
       count(*) AS sessions_by_tls
  FROM pg_stat_ssl s
  JOIN pg_stat_activity a USING (pid)
 WHERE a.backend_type = 'client backend' AND a.client_addr IS NOT NULL AND a.pid <> pg_backend_pid()
 GROUP BY 1
