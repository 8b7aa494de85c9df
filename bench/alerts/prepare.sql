-- What the benchmark measures with: conditions that one UPDATE makes true, a table of its own that both sides read, and
-- metrics whose series come over the line by the thousand.

CREATE SCHEMA bench;
CREATE TABLE bench.signal (id integer PRIMARY KEY, value double precision NOT NULL);
INSERT INTO bench.signal SELECT i, 0 FROM generate_series(1, 10) AS i;

CREATE PROCEDURE bench.define(p_key text, p_source text, p_condition text, p_threshold numeric, p_channel text, p_by text[])
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk) VALUES (util.hash_binary(p_key), p_key);
    INSERT INTO monitoring.alert_definition_s (
        alert_definition_hk, hash_diff, alert_name, alert_category, alert_severity, metric_source, condition_logic, threshold_value,
        threshold_operator, evaluation_frequency_minutes, auto_resolve, escalation_enabled, suppression_window_minutes,
        flap_count, notification_channels, alert_by)
    VALUES (util.hash_binary(p_key), '\x', p_key, 'PERFORMANCE', 'HIGH', p_source, p_condition, p_threshold,
            -- It comes and goes on purpose, and is told each time.
            '>', 1, true, false, 0, 0, ARRAY[p_channel], p_by);
END
$$;

CREATE PROCEDURE bench.put_channel(p_key text, p_url text, p_per_alert boolean)
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk) VALUES (util.hash_binary(p_key), p_key);
    INSERT INTO monitoring.notification_config_s (
        notification_config_hk, hash_diff, channel_name, channel_type, configuration, severity_filter, retry_attempts, retry_delay_seconds, rate_limit_per_hour)
    VALUES (util.hash_binary(p_key), '\x', p_key, 'WEBHOOK',
            jsonb_build_object('url', p_url, 'unsigned', true, 'one_message_per_alert', p_per_alert),
            -- The definitions that come with OneVault may fire on a busy machine; they name no channel and would be heard here.
            ARRAY['HIGH'], 3, 1, NULL); -- every message is to go out
END
$$;

-- A storm: a collection that finds thousands of series over the line, recorded as the worker records one; the worker's own
-- evaluation opens the alerts. The worker collects such a metric once a day, so that what the benchmark recorded stands.
CREATE PROCEDURE bench.put_series(p_metric text)
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM monitoring.apply_metric(p_metric, 'Series of the benchmark', 'count', 'PERFORMANCE',
        format('SELECT ''none'' AS slot, 0 AS %I WHERE false', p_metric), p_every => '1 day', p_labels => ARRAY['slot']);
END
$$;

CREATE PROCEDURE bench.collect(p_metric text, p_series integer, p_value numeric)
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM monitoring.record_collection('local', NULL, clock_timestamp(), 60,
        (SELECT jsonb_agg(jsonb_build_object('name', p_metric, 'category', 'PERFORMANCE', 'unit', 'count', 'value', p_value, 'low_is_bad', false,
                    'source', 'bench', 'labels', jsonb_build_object('slot', 'walsender_' || i), 'every_s', 86400))
           FROM generate_series(1, p_series) AS i),
        jsonb_build_array(jsonb_build_object('query', p_metric, 'rows', p_series)));
    PERFORM monitoring.ask_for_look('local', 'system_health');
END
$$;

CREATE FUNCTION bench.opened(p_definition text) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$ SELECT EXISTS (SELECT FROM monitoring.alert_instance_h h WHERE h.alert_definition_hk = util.hash_binary(p_definition)) $$;

-- How many alerts of a storm have not ended, or are not known to be told of as ended; and its definition, which is looked
-- at no more when they have.
CREATE FUNCTION bench.unended(p_definition text, OUT open bigint, OUT untold bigint)
    LANGUAGE sql STABLE
    AS $$
    SELECT count(*) FILTER (WHERE s.alert_status <> 'RESOLVED'),
           count(*) FILTER (WHERE NOT EXISTS (
               SELECT FROM monitoring.notification_log_h n
                 JOIN monitoring.notification_log_s l ON l.notification_log_hk = n.notification_log_hk AND l.load_end_date IS NULL
                WHERE n.alert_instance_hk = h.alert_instance_hk AND l.event LIKE 'RESOLVED%' AND l.delivery_status <> 'PENDING'))
      FROM monitoring.alert_instance_h h
      JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
     WHERE h.alert_definition_hk = util.hash_binary(p_definition)
    $$;

CREATE PROCEDURE bench.end_definition(p_definition text)
    LANGUAGE sql
    AS $$
    UPDATE monitoring.alert_definition_s SET load_end_date = clock_timestamp()
     WHERE alert_definition_hk = util.hash_binary(p_definition) AND load_end_date IS NULL
    $$;

-- How far a storm is: what the outbox still holds, and rows that are not final yet.
CREATE FUNCTION bench.unfinished(p_definition text, p_channels integer) RETURNS bigint
    LANGUAGE sql STABLE
    AS $$
    SELECT (SELECT count(*) FROM monitoring.outbox o WHERE o.relayed_at IS NULL AND o.alert_instance_hk IS NOT NULL)
         + (SELECT count(*) FROM monitoring.alert_instance_h h
              JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
             WHERE h.alert_definition_hk = util.hash_binary(p_definition) AND s.notification_count < p_channels)
         + (SELECT count(*) FROM monitoring.alert_instance_h h
              JOIN monitoring.notification_log_h n USING (alert_instance_hk)
              JOIN monitoring.notification_log_s l ON l.notification_log_hk = n.notification_log_hk AND l.load_end_date IS NULL
             WHERE h.alert_definition_hk = util.hash_binary(p_definition) AND l.delivery_status = 'PENDING')
    $$;

-- What the ledger says about the messages of a definition.
CREATE FUNCTION bench.ledger(p_definition text, OUT delivered bigint, OUT failed bigint, OUT uncertain bigint)
    LANGUAGE sql STABLE
    AS $$
    SELECT count(*) FILTER (WHERE l.delivery_status = 'DELIVERED'), count(*) FILTER (WHERE l.delivery_status = 'FAILED'),
           count(*) FILTER (WHERE l.possible_duplicate)
      FROM monitoring.alert_instance_h h
      JOIN monitoring.notification_log_h n USING (alert_instance_hk)
      JOIN monitoring.notification_log_s l ON l.notification_log_hk = n.notification_log_hk AND l.load_end_date IS NULL
     WHERE h.alert_definition_hk = util.hash_binary(p_definition)
    $$;

-- The definitions of the benchmark are each told for themselves, however many come together.
INSERT INTO monitoring.monitor_config_h (monitor_config_hk, monitor_config_bk) VALUES (util.hash_binary('STORM||default'), 'STORM||default');
INSERT INTO monitoring.monitor_config_s (monitor_config_hk, hash_diff, config_name, config_type, config_value, is_enabled)
VALUES (util.hash_binary('STORM||default'), '\x', 'default', 'STORM', '{}', false);
