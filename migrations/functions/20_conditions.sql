-- The condition language: comparisons (== != > >= < <=), arithmetic (+ - * / %), && || !, parentheses,
-- numbers, "strings", the identifiers of a metric source, threshold_value, and calls that look at history
-- (22_history.sql) or at another definition. It compiles to jsonpath, so there is no dynamic SQL and
-- nothing else can be expressed. A call is an input like any other, named by its own text: what it
-- amounted to is recorded under that name, and an evaluation can be done again without the history.

CREATE OR REPLACE FUNCTION monitoring.condition_token(p_text text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT substring(p_text FROM
        '^(?:(?:avg|min|max|stddev|delta|rate|forecast)\s*\(\s*[A-Za-z_][A-Za-z0-9_]*\s*,\s*[0-9]+\s*[smhd]\s*(?:,\s*[0-9]+\s*[smhd]\s+ago\s*)?\)'
        '|firing\s*\(\s*"[^"\\]+"\s*\)'
        '|[A-Za-z_][A-Za-z0-9_]*|[0-9]+(?:\.[0-9]+)?|"[^"\\]*"|&&|\|\||==|!=|>=|<=|[-+*/%()<>!])')
    $$;
COMMENT ON FUNCTION monitoring.condition_token(text) IS
    'The token that a text of the condition language begins with; a call such as avg(x, 15m) is one. NULL: none.';

CREATE OR REPLACE FUNCTION monitoring.condition_name(p_token text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE WHEN p_token IN ('true', 'false') OR p_token !~ '^[A-Za-z_]' THEN NULL
                WHEN p_token ~ '^firing\s*\(' THEN 'firing(' || substring(p_token FROM '"(.*)"') || ')'
                WHEN p_token ~ '\(' THEN replace(replace(regexp_replace(p_token, '\s', '', 'g'), ',', ', '), 'ago)', ' ago)')
                ELSE p_token END
    $$;
COMMENT ON FUNCTION monitoring.condition_name(text) IS
    'The name under which a token''s value stands among the inputs of a condition: avg(x,15 m) and avg(x, 15m) are one. NULL: the token is no input.';

CREATE OR REPLACE FUNCTION monitoring.condition_operand(p_token text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT coalesce('$."' || monitoring.condition_name(p_token) || '"', p_token)
    $$;
COMMENT ON FUNCTION monitoring.condition_operand(text) IS 'What stands for a token of the condition language in jsonpath.';

CREATE OR REPLACE FUNCTION monitoring.compile_condition(p_condition text, OUT path jsonpath, OUT identifiers text[])
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    v_token    text;
    v_path     text := '';
    v_rest     text := ltrim(p_condition, E' \t\r\n');
    v_compares boolean := false;
BEGIN
    identifiers := '{}';  -- what is no input adds a NULL, taken out at the end
    IF coalesce(v_rest, '') = '' THEN
        RAISE EXCEPTION 'the condition is empty'
            USING ERRCODE = '22023', HINT = 'Write a comparison, such as: connection_usage_pct > threshold_value';
    END IF;
    IF length(p_condition) > 2000 THEN
        RAISE EXCEPTION 'the condition has % characters, at most 2000 are allowed', length(p_condition)
            USING ERRCODE = '22023';
    END IF;

    WHILE v_rest <> '' LOOP
        v_token := monitoring.condition_token(v_rest);
        IF v_token IS NULL THEN
            RAISE EXCEPTION 'the condition "%" cannot be read at "%"', p_condition, left(v_rest, 20)
                USING ERRCODE = '22023',
                      HINT = 'Allowed are names, numbers, "text", + - * / %, == != > >= < <=, && || !, parentheses, and the calls avg, min, max, stddev, delta, rate, forecast and firing.';
        END IF;
        v_rest := ltrim(substr(v_rest, length(v_token) + 1), E' \t\r\n');
        IF v_token IN ('avg', 'min', 'max', 'stddev', 'delta', 'rate', 'forecast', 'firing') AND v_rest LIKE '(%' THEN
            RAISE EXCEPTION 'the condition "%" cannot be read at "%"', p_condition, left(v_token || v_rest, 40)
                USING ERRCODE = '22023', HINT = CASE v_token
                    WHEN 'firing' THEN 'Name one definition by its key, in quotes: firing("PG_REPLICATION_LAG") == 1'
                    WHEN 'forecast' THEN 'Name a metric and how far to look ahead, in s, m, h or d: forecast(wal_size_gb, 4h) > 10'
                    ELSE format('Name a metric and a window in s, m, h or d: %s(replication_lag_s, 15m); of the past: %1$s(replication_lag_s, 1h, 7d ago)', v_token) END;
        END IF;
        v_compares := v_compares OR v_token IN ('==', '!=', '>', '>=', '<', '<=');
        v_path := v_path || ' ' || monitoring.condition_operand(v_token);
        identifiers := identifiers || monitoring.condition_name(v_token);
    END LOOP;

    BEGIN
        path := v_path::jsonpath;
    EXCEPTION WHEN OTHERS THEN
        RAISE EXCEPTION 'the condition "%" is malformed: %', p_condition, SQLERRM
            USING ERRCODE = '22023', HINT = CASE WHEN p_condition ~* '\m(and|or|not)\M' THEN 'Write && for and, || for or, ! for not, as in: '
                                                 ELSE 'Compare values, as in: ' END || '(a > 10 && b < 2.5) || c == 0. Equality is ==.';
    END;
    identifiers := array_remove(identifiers, NULL);
    IF NOT v_compares THEN
        RAISE EXCEPTION 'the condition "%" compares nothing', p_condition
            USING ERRCODE = '22023', HINT = 'Write a comparison, such as: connection_usage_pct > threshold_value';
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.compile_condition(text) IS
    'Compiles a condition to jsonpath and lists its identifiers; raises 22023 with the place and a remedy.';

CREATE OR REPLACE FUNCTION monitoring.evaluate_compiled(p_path jsonpath, p_identifiers text[], p_inputs jsonb)
    RETURNS TABLE (result text, evaluated_value numeric, reason text)
    LANGUAGE sql IMMUTABLE
    AS $$
    -- jsonpath reads a missing name as false, which would be a silent "fine": look first.
    SELECT CASE WHEN e.missing IS NOT NULL THEN 'NO_DATA'
                WHEN e.matches IS NULL THEN 'ERROR'
                WHEN e.matches THEN 'TRUE'
                ELSE 'FALSE' END,
           e.value,
           CASE WHEN e.missing IS NOT NULL THEN 'no value of ' || e.missing
                WHEN e.matches IS NULL THEN 'the condition gave neither true nor false: it divides by zero, or compares values of different kinds' END
      FROM (SELECT n.missing, n.value, CASE WHEN n.missing IS NULL THEN jsonb_path_match(p_inputs, p_path) END AS matches
              FROM (SELECT string_agg(DISTINCT u.i, ', ' ORDER BY u.i) FILTER (WHERE coalesce(p_inputs -> u.i, 'null') = 'null') AS missing,
                           (array_agg((p_inputs ->> u.i)::numeric ORDER BY u.o) FILTER (
                               WHERE u.i <> 'threshold_value' AND jsonb_typeof(p_inputs -> u.i) = 'number'))[1] AS value
                      FROM unnest(p_identifiers) WITH ORDINALITY AS u (i, o)) AS n) AS e
    $$;
COMMENT ON FUNCTION monitoring.evaluate_compiled(jsonpath, text[], jsonb) IS
    'evaluate_condition() of a condition that is compiled, for thousands of sets of inputs in one statement; it raises what evaluate_condition() reports as ERROR.';

CREATE OR REPLACE FUNCTION monitoring.evaluate_condition(
    p_condition text, p_inputs jsonb, OUT result text, OUT evaluated_value numeric, OUT reason text)
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    v_compiled record;
BEGIN
    v_compiled := monitoring.compile_condition(p_condition);
    SELECT e.result, e.evaluated_value, e.reason INTO result, evaluated_value, reason
      FROM monitoring.evaluate_compiled(v_compiled.path, v_compiled.identifiers, p_inputs) AS e;
EXCEPTION WHEN OTHERS THEN
    result := 'ERROR';
    reason := SQLERRM;
END
$$;
COMMENT ON FUNCTION monitoring.evaluate_condition(text, jsonb) IS
    'Evaluates a condition over named inputs: TRUE, FALSE, NO_DATA (inputs missing) or ERROR, the value of its first metric, and the reason of the last two.';

CREATE OR REPLACE FUNCTION monitoring.performance_inputs(p_target text, p_tenant_hk bytea, p_lookback interval, p_at timestamptz) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
    -- Only periods that lie within the look-back, or an hour before it: a first sample holds the totals since
    -- the statistics began, perhaps months ago, and says nothing about now. Whether one was taken at all
    -- stands in the health metrics; a period in which nothing was slow leaves no row here.
    SELECT CASE WHEN EXISTS (
               SELECT FROM monitoring.system_health_metric_s m
                 JOIN monitoring.system_health_metric_h mh USING (health_metric_hk)
                WHERE m.load_end_date IS NULL AND m.metric_name = 'statement_period_s'
                  AND m.measurement_timestamp > p_at - p_lookback AND m.measurement_timestamp <= p_at
                  AND m.metric_value <= extract(epoch FROM p_lookback + interval '1 hour')
                  AND mh.target_name = p_target)
           THEN jsonb_build_object(
                    'slow_query_count', count(DISTINCT s.performance_metric_hk) FILTER (WHERE s.performance_rating IN ('POOR', 'CRITICAL')),
                    'max_mean_time_ms', max(s.mean_time_ms),
                    'total_time_ms', coalesce(sum(s.total_time_ms), 0),
                    'sample_count', count(s.performance_metric_hk)) END
      FROM monitoring.performance_metric_s s
      JOIN monitoring.performance_metric_h h USING (performance_metric_hk)
     WHERE s.load_end_date IS NULL
       AND s.measurement_period_end > p_at - p_lookback AND s.measurement_period_end <= p_at
       AND s.measurement_period_start >= s.measurement_period_end - p_lookback - interval '1 hour'
       -- By total time: what is recorded for its mean, its I/O or its calls alone may cost next to nothing.
       AND (s.rank_total IS NULL OR s.rank_total <= 20)
       AND h.target_name = p_target
       AND (h.tenant_hk IS NULL OR h.tenant_hk = p_tenant_hk)
    $$;
COMMENT ON FUNCTION monitoring.performance_inputs(text, bytea, interval, timestamptz) IS
    'What a condition may ask about the top statements within a look-back; NULL: they were not sampled.';

CREATE OR REPLACE FUNCTION monitoring.security_inputs(p_target text, p_tenant_hk bytea, p_at timestamptz) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
    -- Nothing found counts as 0 only where somebody looked within the hour.
    SELECT CASE WHEN count(s.security_event_hk) > 0
                  OR EXISTS (SELECT FROM monitoring.security_detection d
                              WHERE d.target_name = p_target AND d.findings IS NOT NULL
                                AND d.detected_at > p_at - interval '1 hour' AND d.detected_at <= p_at)
           THEN jsonb_build_object(
                    'high_severity_event_count', count(*) FILTER (WHERE s.event_severity IN ('HIGH', 'CRITICAL')),
                    'critical_event_count', count(*) FILTER (WHERE s.event_severity = 'CRITICAL'),
                    'event_count', count(s.security_event_hk),
                    'because', (array_agg(concat_ws(' ', s.event_type, nullif(concat_ws(' from ', s.username, host(s.source_ip)), ''))
                                          ORDER BY s.event_timestamp DESC) FILTER (WHERE s.event_severity IN ('HIGH', 'CRITICAL')))[1]
                               || CASE WHEN count(*) FILTER (WHERE s.event_severity IN ('HIGH', 'CRITICAL')) > 1
                                       THEN format(', and %s more within the hour', count(*) FILTER (WHERE s.event_severity IN ('HIGH', 'CRITICAL')) - 1) ELSE '' END) END
      FROM monitoring.security_event_s s
      JOIN monitoring.security_event_h h USING (security_event_hk)
     WHERE s.load_end_date IS NULL
       AND s.event_timestamp > p_at - interval '1 hour' AND s.event_timestamp <= p_at
       AND s.investigation_status IS DISTINCT FROM 'FALSE_POSITIVE'
       AND h.target_name = p_target
       AND (h.tenant_hk IS NULL OR h.tenant_hk = p_tenant_hk)
    $$;
COMMENT ON FUNCTION monitoring.security_inputs(text, bytea, timestamptz) IS
    'What a condition may ask about the security events of the last hour; NULL: nobody looked.';

CREATE OR REPLACE FUNCTION monitoring.rare_inputs(p_target text, p_lookback interval, p_at timestamptz) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    -- What is measured once an hour would be missing most of the time within ten minutes: its newest sample
    -- counts for two and a half times its own cadence.
    RETURN (
    SELECT coalesce(jsonb_object_agg(c.identifier, newest.metric_value), '{}')
      FROM monitoring.condition_identifier c
     CROSS JOIN LATERAL (
               SELECT s.metric_value
                 FROM monitoring.system_health_metric_s s
                WHERE s.health_metric_hk = util.hash_binary(monitoring.health_key(p_target, NULL, c.identifier, '{}'))
                  AND s.load_end_date IS NULL
                  AND s.measurement_timestamp > p_at - make_interval(secs => 2.5 * c.every_s)
                  AND s.measurement_timestamp <= p_at - p_lookback
                ORDER BY s.measurement_timestamp DESC, s.load_date DESC
                LIMIT 1) AS newest
     WHERE c.metric_source = 'system_health' AND c.label_names = '{}'
       AND make_interval(secs => 2.5 * c.every_s) > p_lookback);
END
$$;
COMMENT ON FUNCTION monitoring.rare_inputs(text, interval, timestamptz) IS
    'The newest values of the metrics that are measured more rarely than a look-back, where they are older than it.';

CREATE OR REPLACE FUNCTION monitoring.condition_inputs(
    p_metric_source text, p_target text, p_tenant_hk bytea, p_lookback interval, p_at timestamptz) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_inputs      jsonb;
    v_unreachable timestamptz := monitoring.unreachable_since(p_target, p_at);
BEGIN
    CASE p_metric_source
    WHEN 'system_health' THEN
        -- The newest sample decides, even when it is UNKNOWN: an older value would hide that it is missing. So
        -- would a value of a target that has not answered since.
        SELECT jsonb_object_agg(latest.metric_name, latest.metric_value) INTO v_inputs
          FROM (SELECT DISTINCT ON (s.metric_name) s.metric_name, s.metric_value
                  FROM monitoring.system_health_metric_h h
                 CROSS JOIN LATERAL (
                           SELECT x.metric_name, x.metric_value, x.measurement_timestamp, x.load_date
                             FROM monitoring.system_health_metric_s x
                            WHERE x.health_metric_hk = h.health_metric_hk
                              -- Said so that only the key serves it, and no index over time: see label_series().
                              AND coalesce(x.load_end_date, 'infinity') = 'infinity'
                              AND x.labels = '{}'  -- a metric's value, and not one of its series
                              AND x.measurement_timestamp > p_at - p_lookback
                              AND x.measurement_timestamp <= p_at
                              AND (v_unreachable IS NULL OR x.measurement_timestamp >= v_unreachable)
                            ORDER BY x.measurement_timestamp DESC, x.load_date DESC
                            LIMIT 1) AS s
                 WHERE h.target_name = p_target
                   AND (h.tenant_hk IS NULL OR h.tenant_hk = p_tenant_hk)
                   -- Of a target with thousands of series, those that their keys show to have labels are not asked for.
                   AND h.health_metric_bk !~ '\|\|[0-9A-F]{16}#'
                 -- A tenant's own measurement, where there is one, goes before the server's.
                 ORDER BY s.metric_name, h.tenant_hk IS NULL, s.measurement_timestamp DESC, s.load_date DESC) AS latest;
        v_inputs := monitoring.rare_inputs(p_target, p_lookback, p_at) || coalesce(v_inputs, '{}');

    WHEN 'backup_failures' THEN
        -- Where no backup was ever recorded, nothing is known: "none failed" would be a claim.
        SELECT jsonb_build_object(
                   'failed_backup_count', CASE WHEN count(*) > 0 THEN count(*) FILTER (
                       WHERE s.backup_status = 'FAILED' AND s.backup_start_time > p_at - interval '24 hours') END,
                   'hours_since_last_success', round((extract(epoch FROM p_at - max(s.backup_end_time) FILTER (
                       WHERE s.backup_status = 'COMPLETED')) / 3600)::numeric, 2))
          INTO v_inputs
          FROM backup_mgmt.backup_execution_s s
          JOIN backup_mgmt.backup_execution_h h USING (backup_hk)
         WHERE s.load_end_date IS NULL
           AND (p_tenant_hk IS NULL OR h.tenant_hk = p_tenant_hk);

    WHEN 'notifications' THEN
        SELECT jsonb_build_object(
                   'notification_failed_pct', round(100.0 * count(*) FILTER (WHERE delivery_status IN ('FAILED', 'BOUNCED'))
                       / nullif(count(*) FILTER (WHERE delivery_status NOT IN ('PENDING', 'DIGESTED', 'SUPPRESSED')), 0), 2),
                   'notification_pending_count', count(*) FILTER (
                       WHERE delivery_status = 'PENDING' AND sent_timestamp < p_at - interval '5 minutes'))
          INTO v_inputs
          FROM monitoring.notification_log_s
         WHERE load_end_date IS NULL AND sent_timestamp > p_at - interval '1 hour';
        v_inputs := v_inputs || monitoring.delivery_inputs(p_at);

    WHEN 'performance' THEN
        IF v_unreachable IS NULL THEN
            v_inputs := monitoring.performance_inputs(p_target, p_tenant_hk, p_lookback, p_at);
        END IF;

    WHEN 'security_events' THEN
        v_inputs := monitoring.security_inputs(p_target, p_tenant_hk, p_at);

    WHEN 'capacity' THEN
        -- The newest measurement of each resource; they are taken once an hour.
        SELECT jsonb_build_object('max_utilization_percentage', max(latest.utilization_percentage),
                                  'min_days_to_full', min(latest.projected_full_date - (p_at AT TIME ZONE 'UTC')::date))
          INTO v_inputs
          FROM (SELECT DISTINCT ON (s.capacity_metric_hk) s.utilization_percentage, s.projected_full_date
                  FROM monitoring.capacity_metric_s s
                  JOIN monitoring.capacity_metric_h h USING (capacity_metric_hk)
                 WHERE s.load_end_date IS NULL
                   AND s.measurement_timestamp > p_at - greatest(p_lookback, interval '2 hours')
                   AND s.measurement_timestamp <= p_at
                   AND h.target_name = p_target
                   AND (h.tenant_hk IS NULL OR h.tenant_hk = p_tenant_hk)
                 ORDER BY s.capacity_metric_hk, s.measurement_timestamp DESC, s.load_date DESC) AS latest;

    WHEN 'compliance' THEN
        -- A control that was not tested says nothing; where none was, nothing is known. One that several
        -- frameworks ask for has a row for each, and is one thing to remedy.
        SELECT CASE WHEN count(*) > 0 THEN jsonb_build_object(
                   'non_compliant_count', count(DISTINCT coalesce(s.control_id, h.compliance_check_bk)) FILTER (
                       WHERE s.check_status = 'NON_COMPLIANT'),
                   'critical_non_compliant_count', count(DISTINCT coalesce(s.control_id, h.compliance_check_bk)) FILTER (
                       WHERE s.check_status = 'NON_COMPLIANT' AND s.remediation_priority = 'CRITICAL'),
                   'overdue_remediation_count', count(DISTINCT coalesce(s.control_id, h.compliance_check_bk)) FILTER (
                       WHERE s.check_status <> 'COMPLIANT' AND s.remediation_required
                         AND s.remediation_deadline < (p_at AT TIME ZONE 'UTC')::date)) END
          INTO v_inputs
          FROM monitoring.compliance_check_s s
          JOIN monitoring.compliance_check_h h USING (compliance_check_hk)
         WHERE s.load_end_date IS NULL AND s.check_status <> 'NOT_TESTED'
           AND h.target_name = p_target
           AND (h.tenant_hk IS NULL OR h.tenant_hk = p_tenant_hk);

    WHEN 'incidents' THEN
        v_inputs := monitoring.incident_inputs(p_tenant_hk, p_at);

    WHEN 'anomaly' THEN
        v_inputs := monitoring.anomaly_inputs(p_target, p_tenant_hk, p_lookback, p_at);

    WHEN 'evaluation' THEN
        v_inputs := monitoring.evaluation_inputs(p_target, p_tenant_hk, p_at);

    ELSE
        RAISE EXCEPTION 'metric_source "%" is unknown', p_metric_source USING ERRCODE = '22023';
    END CASE;
    RETURN coalesce(jsonb_strip_nulls(v_inputs), '{}');
END
$$;
COMMENT ON FUNCTION monitoring.condition_inputs(text, text, bytea, interval, timestamptz) IS
    'The named inputs that a metric source offers at a moment; a name without a value is missing.';

-- ---------------------------------------------------------------- what a condition may name

DELETE FROM monitoring.condition_identifier WHERE metric_source <> 'system_health';
INSERT INTO monitoring.condition_identifier (metric_source, identifier, description, unit) VALUES
    ('backup_failures', 'failed_backup_count', 'Backups of the last 24 hours that ended FAILED', 'count'),
    ('backup_failures', 'hours_since_last_success', 'Age of the newest COMPLETED backup', 'h'),
    ('notifications', 'notification_failed_pct', 'Notifications of the last hour that failed or bounced', '%'),
    ('notifications', 'notification_pending_count', 'Notifications without an outcome after 5 minutes', 'count'),
    ('notifications', 'notification_delivery_pct', 'Notifications of 24 hours that arrived, of the channel that delivers least; missing below 20 of each', '%'),
    ('notifications', 'notification_circuit_open_minutes', 'For how long the circuit of a channel''s destination has refused its messages, of the longest; 0: of none within ten minutes', 'min'),
    ('performance', 'slow_query_count', 'Top statements rated POOR or CRITICAL (mean over 500 ms) within the look-back', 'count'),
    ('performance', 'max_mean_time_ms', 'Largest mean time of a top statement between two samples', 'ms'),
    ('performance', 'total_time_ms', 'Execution time of the top statements within the look-back, summed', 'ms'),
    ('performance', 'sample_count', 'Measurements of top statements within the look-back', 'count'),
    ('security_events', 'high_severity_event_count', 'HIGH and CRITICAL events of the last hour, without false positives', 'count'),
    ('security_events', 'critical_event_count', 'CRITICAL events of the last hour, without false positives', 'count'),
    ('security_events', 'event_count', 'Events of the last hour, without false positives', 'count'),
    ('capacity', 'max_utilization_percentage', 'Fullest resource, of the newest measurement of each', '%'),
    ('capacity', 'min_days_to_full', 'Days until the first resource is forecast to be full; missing without a forecast', 'd'),
    ('compliance', 'non_compliant_count', 'Controls whose newest check is NON_COMPLIANT', 'count'),
    ('compliance', 'critical_non_compliant_count', 'Those of them whose remediation is CRITICAL', 'count'),
    ('compliance', 'overdue_remediation_count', 'Controls whose remediation is past its deadline', 'count'),
    ('incidents', 'open_incidents', 'Incidents that are OPEN or INVESTIGATING', 'count'),
    ('incidents', 'incidents_overdue_response', 'Incidents OPEN for more than 30 minutes', 'count'),
    ('incidents', 'incidents_overdue_resolution', 'Incidents INVESTIGATING and created more than 4 hours ago', 'count'),
    ('incidents', 'sla_breached_open_incidents', 'Incidents that are OPEN or INVESTIGATING and missed a limit', 'count'),
    ('anomaly', 'anomalous_metric_count', 'Metrics that are unusual for their hour', 'count'),
    ('anomaly', 'high_metric_count', 'Those of them that are higher than usual', 'count'),
    ('anomaly', 'low_metric_count', 'Those of them that are lower than usual', 'count'),
    ('anomaly', 'worst_score', 'How many spreads the most unusual of them is off; 0 without any', 'spreads'),
    ('anomaly', 'judged_metric_count', 'Metrics that were judged; missing while all are being learned', 'count'),
    ('evaluation', 'erring_definition_count', 'Definitions whose looks have ended in an error for longer than their no_data_minutes', 'count'),
    ('evaluation', 'erring_now_count', 'Definitions whose last look ended in an error', 'count'),
    ('sql', 'value', 'What condition_sql yields: a number, or true or false', NULL),
    ('worker', 'vault_unreachable', '1 while the worker cannot use the vault; decided by the worker itself', 'bool'),
    ('external', 'reported_firing', '1 while the source of the alert says that it fires; decided by that source', 'bool');

CREATE OR REPLACE FUNCTION monitoring.trigrams(p_word text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT array_agg(DISTINCT substr('  ' || lower(p_word) || ' ', i, 3)) FROM generate_series(1, length(p_word) + 1) AS i
    $$;
COMMENT ON FUNCTION monitoring.trigrams(text) IS 'The trigrams of a word, for "did you mean".';

CREATE OR REPLACE FUNCTION monitoring.nearest_identifier(p_metric_source text, p_word text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT c.identifier
      FROM monitoring.condition_identifier c,
           LATERAL (SELECT count(*) AS shared
                      FROM unnest(monitoring.trigrams(c.identifier)) AS t
                     WHERE t = ANY (monitoring.trigrams(p_word))) AS likeness
     WHERE c.metric_source = p_metric_source
     ORDER BY likeness.shared::numeric / (length(c.identifier) + length(p_word)) DESC, c.identifier
     LIMIT 1
    $$;
COMMENT ON FUNCTION monitoring.nearest_identifier(text, text) IS
    'The known identifier that is most like a word, for error messages.';

DROP FUNCTION IF EXISTS monitoring.check_condition(text, text, text, numeric);

CREATE OR REPLACE FUNCTION monitoring.check_condition(
    p_field text, p_condition text, p_metric_source text, p_threshold numeric, p_alert_by text[] DEFAULT '{}') RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_identifier text;
BEGIN
    IF regexp_replace(p_condition, '"[^"]*"', '""', 'g') ~ '[/%]\s*0+(\.0+)?(?![0-9.])' THEN
        RAISE EXCEPTION '% "%" divides by zero', p_field, p_condition
            USING ERRCODE = '22023', HINT = 'It could be neither true nor false: divide by something else.';
    END IF;
    FOREACH v_identifier IN ARRAY (monitoring.compile_condition(p_condition)).identifiers LOOP
        IF v_identifier ~ '\(' THEN
            PERFORM monitoring.check_condition_call(p_field, p_condition, v_identifier, p_alert_by);
        ELSIF v_identifier = 'threshold_value' THEN
            IF p_threshold IS NULL THEN
                RAISE EXCEPTION '% "%" uses threshold_value, but threshold_value is NULL', p_field, p_condition
                    USING ERRCODE = '22023', HINT = 'Set threshold_value, or write the number into the condition.';
            END IF;
        ELSIF NOT EXISTS (SELECT FROM monitoring.condition_identifier
                           WHERE metric_source = p_metric_source AND identifier = v_identifier) THEN
            RAISE EXCEPTION '% "%" names the unknown metric "%"', p_field, p_condition, v_identifier
                USING ERRCODE = '22023',
                      HINT = format('Did you mean "%s"? All names: SELECT identifier, description FROM monitoring.condition_identifier WHERE metric_source = %L.',
                                    monitoring.nearest_identifier(p_metric_source, v_identifier), p_metric_source);
        ELSE
            PERFORM monitoring.check_labels_named(p_field, p_condition, v_identifier, p_alert_by);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.check_condition(text, text, text, numeric, text[]) IS
    'Raises 22023 when a condition is malformed, divides by a zero that stands in it, or names a metric that its source does not offer or that has other labels than alert_by.';

CREATE OR REPLACE FUNCTION monitoring.check_threshold_operator(p_name text, p_condition text, p_operator text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    v_compares text[];
BEGIN
    -- How the condition compares something to the threshold, also the other way round; what a ! turns is left alone.
    SELECT array_agg(DISTINCT CASE WHEN m.c[1] IS NOT NULL THEN CASE m.c[1] WHEN '==' THEN '=' ELSE m.c[1] END
                                   ELSE CASE m.c[2] WHEN '==' THEN '=' ELSE translate(m.c[2], '<>', '><') END END) INTO v_compares
      FROM regexp_matches(p_condition, '(==|!=|>=|<=|>|<)\s*threshold_value\M|\mthreshold_value\s*(==|!=|>=|<=|>|<)', 'g') AS m (c)
     WHERE p_condition !~ '!\s*\(';
    IF p_operator <> ALL (v_compares) AND p_operator IN ('>', '<', '=', '!=', '>=', '<=') THEN  -- another one is refused by the table
        RAISE EXCEPTION 'threshold_operator of alert definition "%" is %, but condition_logic "%" compares by %',
                        p_name, p_operator, p_condition, array_to_string(v_compares, ' and ')
            USING ERRCODE = '22023', HINT = format('Messages would say the opposite of what fired: write %s, or leave it out.', v_compares[1]);
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.check_threshold_operator(text, text, text) IS
    'Raises 22023 when messages would compare the value to the threshold in another way than the condition does.';

CREATE OR REPLACE FUNCTION monitoring.check_alert_definition() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_sources text;
BEGIN
    IF NEW.load_end_date IS NOT NULL THEN
        RETURN NEW;  -- a version that is history already, loaded from elsewhere: it was legal in its time
    END IF;
    SELECT string_agg(DISTINCT metric_source, ', ' ORDER BY metric_source) INTO v_sources FROM monitoring.condition_identifier;
    IF NOT EXISTS (SELECT FROM monitoring.condition_identifier WHERE metric_source = NEW.metric_source) THEN
        RAISE EXCEPTION 'metric_source "%" of alert definition "%" is unknown', coalesce(NEW.metric_source, 'NULL'), NEW.alert_name
            USING ERRCODE = '22023', HINT = 'Use one of: ' || v_sources || '.';
    END IF;
    IF btrim(NEW.alert_name) = '' THEN
        RAISE EXCEPTION 'alert_name is empty' USING ERRCODE = '22023', HINT = 'Give a name that people recognise on a telephone.';
    END IF;
    PERFORM monitoring.check_condition_sql(NEW.alert_name, NEW.metric_source, NEW.condition_sql, NEW.is_enabled,
        (SELECT h.tenant_hk FROM monitoring.alert_definition_h h WHERE h.alert_definition_hk = NEW.alert_definition_hk));
    PERFORM monitoring.check_condition('condition_logic', NEW.condition_logic, NEW.metric_source, NEW.threshold_value, NEW.alert_by);
    IF NEW.clear_condition_logic IS NOT NULL THEN
        PERFORM monitoring.check_condition('clear_condition_logic', NEW.clear_condition_logic, NEW.metric_source, NEW.threshold_value, NEW.alert_by);
    END IF;
    IF NEW.is_enabled THEN  -- one that was accepted before this was checked can still be disabled
        PERFORM monitoring.check_threshold_operator(NEW.alert_name, NEW.condition_logic, NEW.threshold_operator);
    END IF;
    PERFORM monitoring.check_alert_by(NEW.alert_name, NEW.metric_source, NEW.alert_by, NEW.condition_logic);
    PERFORM monitoring.check_no_circle(NEW.alert_definition_hk, NEW.alert_name, NEW.condition_logic, NEW.clear_condition_logic);
    -- A channel may be added later, so this warns and does not refuse.
    IF NEW.is_enabled AND NEW.load_end_date IS NULL AND NEW.record_source <> 'SETUP_SCRIPT'
       AND NOT EXISTS (SELECT FROM monitoring.matching_channels(NEW.alert_definition_hk, NEW.alert_severity, NEW.alert_category, NEW.notification_channels)) THEN
        RAISE WARNING 'alert definition "%" (severity %, category %) is heard by nobody: no enabled channel matches',
                      NEW.alert_name, NEW.alert_severity, NEW.alert_category
            USING HINT = 'Add a channel whose severity_filter and category_filter let it through; `onevault doctor` lists such definitions.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_alert_definition() IS
    'Trigger of alert_definition_s: refuses a definition that could never be evaluated, warns of one that nobody would hear.';
CREATE OR REPLACE TRIGGER t10_check_alert_definition BEFORE INSERT ON monitoring.alert_definition_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_alert_definition();
