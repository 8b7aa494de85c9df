-- A month and a bit of a busy vault: 35 days of 60 metrics and 20 statements every 5 minutes, 5,000
-- alerts of 4 versions, 20,000 notifications, 2,000 security events, 200 incidents. Deterministic
-- except for its place in time: it ends now.

SELECT setseed(0.42);
SET session_replication_role = replica;  -- history as if it had come in its time: no trigger works on it

SELECT monitoring.ensure_partitions((now() - interval '36 days')::date, (now() + interval '14 days')::date);

-- ---------------------------------------------------------------- health: 35 x 288 x 60 samples

-- What a real collection measures, and metrics of applications up to 60.
SELECT count(*) FROM monitoring.collect_system_health_metrics();

INSERT INTO monitoring.system_health_metric_h (health_metric_hk, health_metric_bk)
SELECT util.hash_binary(k.bk), k.bk
  FROM generate_series(1, 60 - (SELECT count(*) FROM monitoring.system_health_metric_h)) AS i,
       LATERAL (SELECT util.bk('local', 'HEALTH', 'application_' || i, 'SYSTEM') AS bk) AS k;

INSERT INTO monitoring.system_health_metric_s (
    health_metric_hk, load_date, hash_diff, metric_name, metric_category, metric_value, metric_unit, threshold_warning, threshold_critical,
    measurement_timestamp, measurement_interval_seconds, status, additional_context, data_source, collection_method, record_source)
SELECT m.health_metric_hk, t.at + interval '20 milliseconds', sha256(int8send((1e9 * random())::bigint)),
       m.metric_name, m.metric_category,
       CASE WHEN m.luck < 0.997 THEN round((coalesce(m.metric_value, 40) * (0.5 + random()))::numeric, 4) END,
       m.metric_unit, m.threshold_warning, m.threshold_critical, t.at, 300,
       CASE WHEN m.luck < 0.98 THEN 'NORMAL' WHEN m.luck < 0.992 THEN 'WARNING' WHEN m.luck < 0.997 THEN 'CRITICAL' ELSE 'UNKNOWN' END,
       m.additional_context, m.data_source, 'AUTOMATIC', 'SYSTEM_COLLECTOR'
  FROM generate_series(now() - interval '35 days' + interval '5 minutes', now(), interval '5 minutes') AS t (at),
       LATERAL (
           SELECT h.health_metric_hk, coalesce(s.metric_name, split_part(h.health_metric_bk, '||', 3)) AS metric_name,
                  coalesce(s.metric_category, 'APPLICATION') AS metric_category, s.metric_value, s.metric_unit,
                  coalesce(s.threshold_warning, 80) AS threshold_warning, coalesce(s.threshold_critical, 95) AS threshold_critical,
                  s.additional_context, coalesce(s.data_source, 'application') AS data_source,
                  random() + extract(epoch FROM t.at) * 0 AS luck  -- drawn anew for each sample
             FROM monitoring.system_health_metric_h h
             LEFT JOIN monitoring.system_health_metric_s s ON s.health_metric_hk = h.health_metric_hk AND s.collection_method = 'AUTOMATIC'
                                                          AND s.load_date > now() - interval '1 hour'
            ORDER BY h.health_metric_hk) AS m;

-- ---------------------------------------------------------------- statements: 35 x 288 x 20 differences

INSERT INTO monitoring.performance_metric_h (performance_metric_hk, performance_metric_bk)
SELECT util.hash_binary(k.bk), k.bk
  FROM generate_series(1, 40) AS i, LATERAL (SELECT util.bk('local', 'STATEMENT', i::text, 'SYSTEM') AS bk) AS k;

INSERT INTO monitoring.performance_metric_s (
    performance_metric_hk, load_date, hash_diff, query_hash, database_name, username, query_text, total_time_ms, mean_time_ms, calls,
    rows_examined, rows_returned, shared_blks_hit, shared_blks_read, shared_blks_dirtied, temp_blks_read, temp_blks_written,
    measurement_period_start, measurement_period_end, performance_rating, pct_of_total, wal_bytes, blk_io_time_ms)
SELECT h.performance_metric_hk, t.at + interval '20 milliseconds', sha256(int8send((1e9 * random())::bigint)), h.query_hash, 'app', 'app',
       'SELECT ' || repeat('c.column_of_some_width, ', 12) || h.query_hash, c.calls * c.mean, c.mean, c.calls,
       c.calls * 30, c.calls * 3, c.calls * 40, c.calls / 10, c.calls / 50, 0, 0, t.at - interval '5 minutes', t.at,
       CASE WHEN c.mean < 10 THEN 'EXCELLENT' WHEN c.mean < 100 THEN 'GOOD' WHEN c.mean < 1000 THEN 'POOR' ELSE 'CRITICAL' END,
       5, c.calls * 200, c.calls * 0.05
  FROM generate_series(now() - interval '35 days' + interval '5 minutes', now(), interval '5 minutes') WITH ORDINALITY AS t (at, n),
       LATERAL (
           SELECT performance_metric_hk, encode(substr(performance_metric_hk, 1, 8), 'hex') AS query_hash, row_number() OVER (ORDER BY performance_metric_hk) AS rank
             FROM monitoring.performance_metric_h
            ORDER BY performance_metric_hk) AS h,
       LATERAL (SELECT (1 + 5000 * random())::bigint AS calls, round((exp(8 * random()))::numeric, 4) AS mean) AS c
 WHERE (h.rank + t.n) % 2 = 0;  -- the top 20 of 40, not always the same

-- ---------------------------------------------------------------- alerts: 5,000 of 4 versions, the newest 60 unfinished

CREATE TEMPORARY TABLE given_alert AS
SELECT util.hash_binary(k.bk) AS hk, k.bk, d.alert_definition_hk, d.alert_severity, k.at, n
  FROM generate_series(1, 5000) AS n
  JOIN (SELECT row_number() OVER (ORDER BY alert_definition_hk) - 1 AS i, count(*) OVER () AS all_of_them, *
          FROM monitoring.alert_definition_s WHERE load_end_date IS NULL) AS d ON d.i = n % d.all_of_them,
       LATERAL (SELECT now() - interval '35 days' * (5000 - n) / 5000 - interval '1 minute' AS at,
                       util.bk('local', encode(substr(d.alert_definition_hk, 1, 8), 'hex'), n::text) AS bk) AS k;

INSERT INTO monitoring.alert_instance_h (alert_instance_hk, alert_instance_bk, alert_definition_hk)
SELECT hk, bk, alert_definition_hk FROM given_alert;

INSERT INTO monitoring.alert_instance_s (
    alert_instance_hk, load_date, load_end_date, hash_diff, alert_status, triggered_timestamp, acknowledged_timestamp, resolved_timestamp,
    trigger_value, trigger_details, urgency_level, affected_systems, acknowledged_by, resolved_by, false_positive, escalation_level, changed_at, changed_via)
SELECT a.hk, v.since, v.until, sha256(a.hk || int4send(v.version)), v.status, a.at,
       CASE WHEN v.version >= 3 THEN a.at + interval '20 minutes' END, CASE WHEN v.version = 4 THEN a.at + interval '40 minutes' END,
       91.5, jsonb_build_object('inputs', jsonb_build_object('connection_usage_pct', 91.5), 'definition_load_date', now()),
       a.alert_severity, ARRAY['local'], CASE WHEN v.version >= 3 THEN 'dana' END, CASE WHEN v.version = 4 THEN 'dana' END,
       v.version = 4 AND a.n % 25 = 0, least(v.version - 1, 1), v.since, 'workflow'
  FROM given_alert a,
       LATERAL (
           SELECT i AS version, (ARRAY['OPEN', 'ESCALATED', 'ACKNOWLEDGED', 'RESOLVED'])[i] AS status,
                  a.at + interval '10 minutes' * (i - 1) AS since,
                  -- Of the newest 60 alerts, 20 each are still open, escalated and acknowledged.
                  CASE WHEN i < CASE WHEN a.n <= 4940 THEN 4 ELSE 1 + a.n % 3 END THEN a.at + interval '10 minutes' * i END AS until
             FROM generate_series(1, CASE WHEN a.n <= 4940 THEN 4 ELSE 1 + a.n % 3 END) AS i) AS v;

-- ---------------------------------------------------------------- notifications: 20,000, with their intents

INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk)
SELECT util.hash_binary(bk), bk FROM unnest(ARRAY['MAIL', 'CHAT', 'PAGER', 'HOOK']) AS bk;

INSERT INTO monitoring.notification_config_s (notification_config_hk, hash_diff, channel_name, channel_type, configuration)
SELECT notification_config_hk, sha256(notification_config_hk), notification_config_bk, (ARRAY['EMAIL', 'SLACK', 'PAGERDUTY', 'WEBHOOK'])[row_number() OVER ()], '{}'
  FROM monitoring.notification_config_h;

CREATE TEMPORARY TABLE given_notification AS
SELECT util.hash_binary(k.bk) AS hk, k.bk, a.hk AS alert_instance_hk, c.notification_config_hk, c.channel_type, a.at + interval '1 second' AS at, random() AS luck
  FROM given_alert a, monitoring.notification_config_s c,
       LATERAL (SELECT util.bk(a.bk, 'FIRED', c.channel_name) AS bk) AS k;

INSERT INTO monitoring.notification_log_h (notification_log_hk, notification_log_bk, alert_instance_hk, notification_config_hk)
SELECT hk, bk, alert_instance_hk, notification_config_hk FROM given_notification;

INSERT INTO monitoring.notification_log_s (
    notification_log_hk, load_date, load_end_date, hash_diff, sent_timestamp, delivery_status, channel_used, recipient_address, message_content,
    failure_reason, delivery_duration_ms, event, delivery_key, outcome_class, delivery_proof)
SELECT g.hk, v.since, v.until, sha256(g.hk || textsend(v.status)), g.at, v.status, g.channel_type, 'oncall@example.com', repeat('what it said ', 30),
       CASE WHEN v.status = 'FAILED' THEN 'refused: 550 no such mailbox' END, CASE WHEN v.status <> 'PENDING' THEN (200 * random())::integer END,
       'FIRED', g.bk, CASE v.status WHEN 'DELIVERED' THEN 'ACCEPTED' WHEN 'FAILED' THEN 'PERMANENT' END, CASE WHEN v.status = 'DELIVERED' THEN 'HTTP 200' END
  FROM given_notification g,
       LATERAL (VALUES ('PENDING', g.at, g.at + interval '100 milliseconds'),
                       (CASE WHEN g.luck < 0.995 THEN 'DELIVERED' ELSE 'FAILED' END, g.at + interval '100 milliseconds', NULL)) AS v (status, since, until);

-- ---------------------------------------------------------------- security events and incidents

INSERT INTO monitoring.security_event_h (security_event_hk, security_event_bk)
SELECT util.hash_binary('SEC_' || i), 'SEC_' || i FROM generate_series(1, 2000) AS i;

INSERT INTO monitoring.security_event_s (security_event_hk, load_date, hash_diff, event_type, event_severity, event_timestamp, event_details)
SELECT security_event_hk, k.at, sha256(security_event_hk), 'PRIVILEGE_GRANTED', (ARRAY['LOW', 'MEDIUM', 'HIGH', 'CRITICAL'])[1 + n % 4], k.at, '{"role": "app"}'
  FROM (SELECT security_event_hk, row_number() OVER (ORDER BY security_event_hk) AS n FROM monitoring.security_event_h) AS h,
       LATERAL (SELECT now() - interval '35 days' * n / 2000 AS at) AS k;

INSERT INTO monitoring.incident_h (incident_hk, incident_bk)
SELECT util.hash_binary('INC_' || i), 'INC_' || i FROM generate_series(1, 200) AS i;

INSERT INTO monitoring.incident_s (
    incident_hk, load_date, hash_diff, incident_title, incident_status, incident_severity, incident_priority, created_timestamp, resolved_timestamp, closed_timestamp)
SELECT incident_hk, k.at, sha256(incident_hk), 'Connections exhausted', CASE WHEN n <= 8 THEN 'OPEN' ELSE 'CLOSED' END, 'HIGH', 'P2', k.at,
       CASE WHEN n > 8 THEN k.at + interval '1 hour' END, CASE WHEN n > 8 THEN k.at + interval '2 hours' END
  FROM (SELECT incident_hk, row_number() OVER (ORDER BY incident_hk) AS n FROM monitoring.incident_h) AS h,
       LATERAL (SELECT now() - interval '35 days' * n / 200 AS at) AS k;

CREATE TEMPORARY TABLE given_link AS
SELECT util.hash_binary(encode(a.hk, 'hex') || '||' || encode(i.incident_hk, 'hex')) AS hk, a.hk AS alert_instance_hk, i.incident_hk, a.at
  FROM given_alert a
  JOIN (SELECT incident_hk, row_number() OVER (ORDER BY incident_hk) AS n FROM monitoring.incident_h) AS i ON i.n = 1 + a.n % 200
 WHERE a.n > 4000;

INSERT INTO monitoring.alert_incident_l (link_alert_incident_hk, alert_instance_hk, incident_hk)
SELECT hk, alert_instance_hk, incident_hk FROM given_link;

INSERT INTO monitoring.alert_incident_eff_s (link_alert_incident_hk, load_date, hash_diff, effective_from)
SELECT hk, at, sha256(hk), at FROM given_link;

DROP TABLE given_alert, given_notification, given_link;
SET session_replication_role = DEFAULT;

-- A round of everything that keeps something for its next round: a table that is empty when statistics are
-- taken would be planned for as empty.
SELECT count(*) FROM monitoring.collect_system_health_metrics();
SELECT count(*) FROM monitoring.collect_performance_metrics();
SELECT count(*) FROM monitoring.detect_security_events();
SELECT count(*) FROM monitoring.evaluate_alert_conditions();
