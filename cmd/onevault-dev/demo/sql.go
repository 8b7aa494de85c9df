package demo

// recordSource marks the version of the definition that the demo puts, so that a later demo recognises
// what one that was killed left behind.
const recordSource = "ONEVAULT_DEMO"

// A version counts as the definition's own when the demo did not write it. A firing is suppressed when
// the last opening (suppressed ones do not count) lies within the window of the demo's length from now.
const sqlCondition = `
SELECT c.alert_name, c.threshold_value::float8, c.is_enabled, c.auto_resolve, o.suppression_window_minutes,
       c.record_source <> $2
         AND coalesce(monitoring.last_opening(h.alert_definition_hk, 'local', NULL)
                      + make_interval(mins => c.suppression_window_minutes) > clock_timestamp(), false),
       c.record_source = $2
  FROM monitoring.alert_definition_h h
  JOIN monitoring.alert_definition_s c ON c.alert_definition_hk = h.alert_definition_hk AND c.load_end_date IS NULL
  JOIN LATERAL (SELECT suppression_window_minutes
                  FROM monitoring.alert_definition_s
                 WHERE alert_definition_hk = h.alert_definition_hk AND record_source <> $2
                 ORDER BY load_date DESC
                 LIMIT 1) o ON true
 WHERE h.alert_definition_bk = $1`

const sqlLiftSuppression = `
INSERT INTO monitoring.alert_definition_s
SELECT (jsonb_populate_record(s, jsonb_build_object(
           'suppression_window_minutes', 0,
           'load_date', clock_timestamp(),
           'record_source', $2::text))).*
  FROM monitoring.alert_definition_s s
 WHERE s.alert_definition_hk = util.hash_binary($1) AND s.load_end_date IS NULL`

const sqlRestoreSuppression = `
INSERT INTO monitoring.alert_definition_s
SELECT (jsonb_populate_record(s, jsonb_build_object(
           'load_date', clock_timestamp(),
           'load_end_date', NULL))).*
  FROM monitoring.alert_definition_s s
 WHERE s.alert_definition_hk = util.hash_binary($1)
   AND s.load_date = (SELECT max(o.load_date)
                        FROM monitoring.alert_definition_s o
                       WHERE o.alert_definition_hk = s.alert_definition_hk AND o.record_source <> $2)`

// The same slots as the metric connection_usage_pct, whose collector does not count itself either.
const sqlUsage = `
SELECT count(*)::int,
       current_setting('max_connections')::int
         - current_setting('superuser_reserved_connections')::int
         - coalesce(nullif(current_setting('reserved_connections', true), '')::int, 0)
  FROM pg_stat_activity
 WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`

const sqlFirstTrue = `
SELECT evaluated_at, coalesce(evaluated_value, 0)::float8, decision
  FROM monitoring.alert_evaluation_s
 WHERE alert_definition_hk = util.hash_binary($1) AND target_name = 'local'
   AND result = 'TRUE' AND evaluated_at >= $2
 ORDER BY evaluated_at
 LIMIT 1`

const sqlUnresolved = `
SELECT monitoring.alert_short_id(h.alert_instance_hk)
  FROM monitoring.alert_instance_h h
  JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
 WHERE h.alert_definition_hk = util.hash_binary($1) AND h.target_name = 'local' AND s.alert_status <> 'RESOLVED'
 ORDER BY s.triggered_timestamp
 LIMIT 1`

// "opened" is when the vault learned of the alert, "changed" when the last transition happened.
const sqlAlert = `
SELECT h.alert_instance_hk,
       h.alert_instance_bk,
       monitoring.alert_short_id(h.alert_instance_hk),
       monitoring.alert_group_key($1, h.target_name, h.tenant_hk),
       s.alert_status,
       (SELECT min(load_date) FROM monitoring.alert_instance_s f WHERE f.alert_instance_hk = h.alert_instance_hk),
       coalesce(s.changed_at, s.load_date),
       coalesce(s.resolved_by, ''),
       coalesce(s.suppression_reason, '')
  FROM monitoring.alert_instance_h h
  JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
 WHERE h.alert_definition_hk = util.hash_binary($1) AND h.target_name = 'local'`

const sqlDelivered = `
SELECT coalesce(s.delivery_proof, s.delivery_status)
  FROM monitoring.notification_log_h h
  JOIN monitoring.notification_log_s s ON s.notification_log_hk = h.notification_log_hk AND s.load_end_date IS NULL
  JOIN monitoring.notification_config_s c ON c.notification_config_hk = h.notification_config_hk AND c.load_end_date IS NULL
 WHERE h.alert_instance_hk = $1 AND c.channel_type = $2 AND s.event = $3 AND s.delivery_status IN ('DELIVERED', 'SENT')
 LIMIT 1`
