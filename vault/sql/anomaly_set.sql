-- A new version of the setting of metric $1: what $2 changes, judged or not by $3 (NULL: as before). What nobody set
-- before begins with BOTH.
INSERT INTO monitoring.monitor_config_s (
    monitor_config_hk, hash_diff, config_name, config_type, config_category, config_value, config_description, is_enabled)
SELECT coalesce(s.monitor_config_hk, util.hash_binary(util.bk('ANOMALY', $1))), '\x', $1, 'ANOMALY', 'HEALTH',
       coalesce(s.config_value, '{"direction": "BOTH"}') || $2::jsonb, s.config_description, coalesce($3, s.is_enabled, true)
  FROM (SELECT 1) AS always
  LEFT JOIN monitoring.monitor_config_s s ON s.config_type = 'ANOMALY' AND s.config_name = $1 AND s.load_end_date IS NULL
