-- Evaluation: one look at every definition that is due, recorded with its inputs whatever it finds.

CREATE OR REPLACE FUNCTION monitoring.alert_group_key(p_definition_bk text, p_target text, p_tenant_hk bytea) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT 'alert/' || p_target || '/' || p_definition_bk || coalesce('/' || left(encode(p_tenant_hk, 'hex'), 12), '')
    $$;
COMMENT ON FUNCTION monitoring.alert_group_key(text, text, bytea) IS
    'The id of the workflow that carries the alerts of a definition on a target.';

DROP FUNCTION IF EXISTS monitoring.last_opening(bytea, text, bytea);

CREATE OR REPLACE FUNCTION monitoring.last_opening(
    p_definition_hk bytea, p_target text, p_tenant_hk bytea, p_labels jsonb DEFAULT '{}') RETURNS timestamptz
    LANGUAGE sql STABLE
    AS $$
    SELECT max(coalesce(s.changed_at, s.triggered_timestamp))
      FROM monitoring.alert_instance_h h
      JOIN monitoring.alert_instance_s s USING (alert_instance_hk)
     WHERE h.alert_definition_hk = p_definition_hk
       AND h.target_name = p_target
       AND h.tenant_hk IS NOT DISTINCT FROM p_tenant_hk
       AND monitoring.labels_id(h.labels) = monitoring.labels_id(p_labels)
       AND s.alert_status = 'OPEN'
       -- One that somebody snoozed or gave back is OPEN as well, and was not opened by that.
       AND coalesce(s.changed_by, 'evaluator') = 'evaluator'
    $$;
COMMENT ON FUNCTION monitoring.last_opening(bytea, text, bytea, jsonb) IS
    'When people were last called by a definition on a target, about a label set; suppressed firings do not count.';

CREATE OR REPLACE FUNCTION monitoring.with_labels(p_alert_bk text, p_labels jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT p_alert_bk || '||' || left(util.bk(monitoring.label_key(p_labels)), greatest(16, 253 - length(p_alert_bk))) $$;
COMMENT ON FUNCTION monitoring.with_labels(text, jsonb) IS 'The business key of an alert about a label set, from that of its target: with the hash of the labels and how they begin.';

CREATE OR REPLACE FUNCTION monitoring.alert_key(
    p_definition_bk text, p_target text, p_tenant_hk bytea, p_at timestamptz, p_labels jsonb DEFAULT '{}') RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE WHEN p_labels = '{}' THEN k.bk ELSE monitoring.with_labels(k.bk, p_labels) END
      FROM (SELECT util.bk('ALERT', p_target, p_definition_bk, coalesce(left(encode(p_tenant_hk, 'hex'), 16), 'SYSTEM'),
                           to_char(p_at AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISSUS')) AS bk) AS k
    $$;
COMMENT ON FUNCTION monitoring.alert_key(text, text, bytea, timestamptz, jsonb) IS
    'The business key of an alert: target, definition, tenant, the moment of its firing, and of a label set its hash and how it begins.';

DROP FUNCTION IF EXISTS monitoring.fire_alert(monitoring.alert_definition_s, text, text, bytea, timestamptz, numeric, jsonb);
DROP FUNCTION IF EXISTS monitoring.fire_alert(monitoring.alert_definition_s, text, text, bytea, timestamptz, numeric, jsonb, text);

CREATE OR REPLACE FUNCTION monitoring.fire_alert(
    p_definition monitoring.alert_definition_s, p_definition_bk text, p_target text, p_tenant_hk bytea,
    p_at timestamptz, p_value numeric, p_details jsonb, p_flapping text, p_labels jsonb DEFAULT '{}') RETURNS text
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_last   timestamptz := monitoring.last_opening(p_definition.alert_definition_hk, p_target, p_tenant_hk, p_labels);
    v_window interval    := make_interval(mins => p_definition.suppression_window_minutes);
    v_bk     text        := monitoring.alert_key(p_definition_bk, p_target, p_tenant_hk, p_at, p_labels);
    v_hk     bytea;
BEGIN
    IF p_at < v_last + v_window THEN
        PERFORM monitoring.open_alert(v_bk, p_definition.alert_definition_hk, p_tenant_hk, p_target, 'SUPPRESSED', p_at, p_value,
            p_details, p_definition.alert_severity,
            format('fired again within %s minutes of %s', p_definition.suppression_window_minutes,
                   to_char(v_last AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')), 'evaluator', p_labels);
        RETURN 'SUPPRESSED';
    END IF;
    v_hk := monitoring.open_alert(v_bk, p_definition.alert_definition_hk, p_tenant_hk, p_target, 'OPEN', p_at, p_value,
        p_details, p_definition.alert_severity, NULL, 'evaluator', p_labels);
    IF p_flapping IS NOT NULL THEN
        PERFORM monitoring.mark_flapping(v_hk, p_at, p_flapping);
    END IF;
    PERFORM monitoring.tell_opening(v_hk, p_at);
    RETURN 'FIRED';
END
$$;
COMMENT ON FUNCTION monitoring.fire_alert(monitoring.alert_definition_s, text, text, bytea, timestamptz, numeric, jsonb, text, jsonb) IS
    'Opens an alert and tells its workflow, or records it as SUPPRESSED within the suppression window. p_flapping: why it is called flapping; NULL: it is not.';

DROP FUNCTION IF EXISTS monitoring.decide_alert(monitoring.alert_definition_s, text, text, bytea, timestamptz, boolean, boolean, boolean, numeric, jsonb);
DROP FUNCTION IF EXISTS monitoring.decide_alert(monitoring.alert_definition_s, text, text, bytea, timestamptz, text, timestamptz, boolean, boolean, timestamptz, numeric, jsonb);

CREATE OR REPLACE FUNCTION monitoring.decide_alert(
    p_definition monitoring.alert_definition_s, p_definition_bk text, p_target text, p_tenant_hk bytea, p_at timestamptz,
    p_result text, p_since timestamptz, p_fires boolean, p_pending boolean, p_clear_since timestamptz, p_value numeric, p_details jsonb,
    p_labels jsonb DEFAULT '{}', OUT decision text, OUT reason text)
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_hk       bytea;
    v_alert    monitoring.alert_instance_s;
    v_flapping text;
    v_stable   interval := make_interval(mins => p_definition.flap_minutes);
    v_clears   boolean  := coalesce(p_at - p_clear_since >= make_interval(mins => p_definition.clear_minutes), false);
    v_opened   timestamptz;
    v_notes    text;
BEGIN
    SELECT s.alert_instance_hk INTO v_hk
      FROM monitoring.alert_instance_h h
      JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
     WHERE h.alert_definition_hk = p_definition.alert_definition_hk
       AND h.target_name = p_target
       AND h.tenant_hk IS NOT DISTINCT FROM p_tenant_hk
       AND monitoring.labels_id(h.labels) = monitoring.labels_id(p_labels)
       AND s.alert_status <> 'RESOLVED'
     ORDER BY s.triggered_timestamp DESC
     LIMIT 1;
    SELECT s.* INTO v_alert FROM monitoring.alert_instance_s s WHERE s.alert_instance_hk = v_hk AND s.load_end_date IS NULL;
    IF v_alert.alert_status <> 'RESOLVED' THEN
        -- Most looks change nothing: they keep nobody waiting, and wait for nobody.
        IF NOT (v_clears AND (p_definition.auto_resolve OR v_alert.alert_status = 'SUPPRESSED')
                OR v_alert.flapping_since IS NOT NULL AND p_clear_since IS NULL
                OR v_alert.alert_status = 'SUPPRESSED' AND p_fires) THEN
            decision := 'HOLDING';
            RETURN;
        END IF;
        -- Somebody may be answering it at this moment: what stands then counts.
        IF NOT monitoring.hold_alert(v_hk, least(p_at, clock_timestamp()) + interval '1 second') THEN
            decision := 'HOLDING';
            reason := 'another transaction was changing the alert: the next look decides';
            RETURN;
        END IF;
        v_alert := monitoring.lock_current_alert(v_hk);
    END IF;

    IF v_hk IS NULL OR v_alert.alert_status = 'RESOLVED' THEN
        IF NOT p_fires THEN
            decision := CASE WHEN p_pending THEN 'PENDING' ELSE 'NONE' END;
            RETURN;
        END IF;
        v_flapping := monitoring.flapping_reason(p_definition, p_target, p_tenant_hk, p_at, p_labels);
        reason := monitoring.reopen_alert(p_definition, p_target, p_tenant_hk, p_at, p_value, p_details, v_flapping, p_labels);
        decision := CASE WHEN reason IS NOT NULL THEN 'REOPENED'
                         ELSE monitoring.fire_alert(p_definition, p_definition_bk, p_target, p_tenant_hk, p_at, p_value, p_details, v_flapping, p_labels) END;
        IF decision <> 'SUPPRESSED' THEN
            reason := concat_ws('; ', reason, 'flapping: ' || v_flapping);
        END IF;
        RETURN;
    END IF;
    decision := 'HOLDING';

    IF v_clears AND (p_definition.auto_resolve OR v_alert.alert_status = 'SUPPRESSED') THEN
        -- What nobody was told of need not be kept for anybody.
        IF v_alert.alert_status <> 'SUPPRESSED' THEN
            v_opened := monitoring.opened_at(v_alert);
            reason := CASE
                WHEN v_alert.flapping_since IS NOT NULL AND p_at - p_clear_since < v_stable THEN
                    format('cleared, but flapping: it ends when it has stayed so for %s minutes, at %s', p_definition.flap_minutes,
                           to_char((p_clear_since + v_stable) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'))
                WHEN p_at - v_opened < make_interval(mins => p_definition.min_open_minutes) THEN
                    format('cleared, but it stays open for %s minutes at least, until %s', p_definition.min_open_minutes,
                           to_char((v_opened + make_interval(mins => p_definition.min_open_minutes)) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'))
                END;
            IF reason IS NOT NULL THEN
                RETURN;
            END IF;
        END IF;
        v_notes := 'the condition is no longer met' || coalesce(', value ' || trim_scale(p_value), '');
        PERFORM monitoring.change_alert_state(v_alert.alert_instance_hk, 'RESOLVED', p_at, 'condition cleared', 'evaluator', v_notes, NULL);
        IF v_alert.alert_status <> 'SUPPRESSED' THEN
            PERFORM monitoring.tell_workflow('RESOLVED', v_alert.alert_instance_hk,
                jsonb_build_object('actor', 'condition cleared', 'via', 'evaluator', 'at', p_at, 'value', p_value, 'notes', v_notes));
        END IF;
        decision := 'RESOLVED';
        RETURN;
    END IF;

    IF v_alert.flapping_since IS NOT NULL AND p_clear_since IS NULL AND p_result IN ('TRUE', 'FALSE')
       AND p_at - greatest(p_since, v_alert.flapping_since) >= v_stable THEN
        -- It neither came nor went for a whole window: it is an alert like any other again.
        PERFORM monitoring.mark_flapping(v_alert.alert_instance_hk, NULL, NULL);
        reason := format('no longer flapping: %s for %s minutes', p_result, p_definition.flap_minutes);
        RETURN;
    END IF;

    IF v_alert.alert_status = 'SUPPRESSED' AND p_fires
       AND p_at >= monitoring.last_opening(p_definition.alert_definition_hk, p_target, p_tenant_hk, p_labels)
                   + make_interval(mins => p_definition.suppression_window_minutes) THEN
        PERFORM monitoring.change_alert_state(v_alert.alert_instance_hk, 'OPEN', p_at, 'evaluator', 'evaluator', NULL, NULL);
        v_flapping := monitoring.flapping_reason(p_definition, p_target, p_tenant_hk, p_at, p_labels);
        IF v_flapping IS NOT NULL THEN
            PERFORM monitoring.mark_flapping(v_alert.alert_instance_hk, p_at, v_flapping);
            reason := 'flapping: ' || v_flapping;
        END IF;
        PERFORM monitoring.tell_opening(v_alert.alert_instance_hk, p_at);
        decision := 'UNSUPPRESSED';
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.decide_alert(monitoring.alert_definition_s, text, text, bytea, timestamptz, text, timestamptz, boolean, boolean, timestamptz, numeric, jsonb, jsonb) IS
    'Turns one evaluation into at most one change of the alert of the group, or of a label set in it; returns the decision, and why where the result alone does not say it. p_since: since when it gives this result; p_clear_since: since when the clear condition is met, NULL: it is not.';

CREATE OR REPLACE FUNCTION monitoring.evaluate_definition(
    p_definition monitoring.alert_definition_s, p_definition_bk text, p_target text, p_tenant_hk bytea, p_at timestamptz,
    p_inputs jsonb, p_inputs_error text, OUT result text, OUT evaluated_value numeric, OUT decision text)
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_started  timestamptz := clock_timestamp();
    v_names    text[] := (monitoring.compile_condition(p_definition.condition_logic)).identifiers
                         || CASE WHEN p_definition.clear_condition_logic IS NOT NULL
                                 THEN (monitoring.compile_condition(p_definition.clear_condition_logic)).identifiers END;
    v_inputs   jsonb := p_inputs || jsonb_strip_nulls(jsonb_build_object('threshold_value', p_definition.threshold_value));
    v_error    text := p_inputs_error;
    v_previous record;
    v_verdict  record;
    v_reason   text;
    v_since    timestamptz;
    v_clear    timestamptz;
    v_met      boolean;
    v_clearing boolean;
    v_fires    boolean;
    v_used     jsonb;
    v_looks    record;
    v_decided  record;
    v_why      text;
BEGIN
    BEGIN
        v_inputs := v_inputs || monitoring.history_inputs(v_names, p_target, p_tenant_hk, p_at);
    EXCEPTION WHEN OTHERS THEN
        v_error := coalesce(v_error, 'history could not be read: ' || SQLERRM);
    END;
    IF v_error IS NULL THEN
        v_verdict := monitoring.evaluate_condition(p_definition.condition_logic, v_inputs);
    ELSE
        SELECT 'ERROR' AS result, NULL::numeric AS evaluated_value, v_error AS reason INTO v_verdict;
    END IF;
    result := v_verdict.result;
    evaluated_value := v_verdict.evaluated_value;
    -- A source may say in words what it saw; of numbers alone nobody would know which metric they are about.
    v_reason := coalesce(v_verdict.reason, CASE result WHEN 'TRUE' THEN p_inputs ->> 'because' END);

    SELECT e.result, e.result_since, e.clear_since INTO v_previous
      FROM monitoring.alert_evaluation_s e
     WHERE e.alert_definition_hk = p_definition.alert_definition_hk
       AND e.target_name = p_target
       AND e.tenant_hk IS NOT DISTINCT FROM p_tenant_hk
       AND e.evaluated_at < p_at AND e.evaluated_at > p_at - interval '8 days'
     ORDER BY e.evaluated_at DESC
     LIMIT 1;
    v_since := CASE WHEN v_previous.result = result THEN v_previous.result_since ELSE p_at END;

    v_met := result = 'TRUE' OR (result = 'NO_DATA' AND p_definition.no_data_state = 'ALERT');
    v_fires := v_met AND p_at - v_since >= make_interval(mins =>
                   CASE result WHEN 'TRUE' THEN p_definition.pending_minutes ELSE p_definition.no_data_minutes END);
    -- A look that was not TRUE opens nothing, however many were before it.
    SELECT l.true_looks, l.of_looks INTO v_looks
      FROM monitoring.count_looks(p_definition, p_target, p_tenant_hk, p_at, result) AS l;
    IF result = 'TRUE' AND v_looks.true_looks < p_definition.fire_looks THEN
        v_fires := false;
    END IF;
    -- Only FALSE clears (and missing data where the definition says that it is fine). What is missing because
    -- the target does not answer is not fine.
    v_clearing := result = 'FALSE'
        OR (result = 'NO_DATA' AND p_definition.no_data_state = 'OK' AND monitoring.unreachable_since(p_target, p_at) IS NULL);
    IF v_clearing AND result = 'FALSE' AND p_definition.clear_condition_logic IS NOT NULL THEN
        v_clearing := (monitoring.evaluate_condition(p_definition.clear_condition_logic, v_inputs)).result = 'TRUE';
    END IF;
    v_clear := CASE WHEN v_clearing THEN coalesce(v_previous.clear_since, p_at) END;

    -- The inputs that the conditions name are kept, not all that the source offers.
    SELECT coalesce(jsonb_object_agg(i, v_inputs -> i), '{}') INTO v_used
      FROM unnest(v_names) AS i
     WHERE v_inputs ? i;

    v_decided := monitoring.decide_alert(p_definition, p_definition_bk, p_target, p_tenant_hk, p_at,
        result, v_since, v_fires, v_met, v_clear, evaluated_value,
        jsonb_strip_nulls(jsonb_build_object('condition', p_definition.condition_logic, 'inputs', v_used, 'result', result,
            'reason', v_reason, 'definition_load_date', p_definition.load_date)));
    decision := v_decided.decision;
    v_why := nullif(concat_ws('; ',
        CASE WHEN v_looks.of_looks IS NOT NULL AND result = 'TRUE' AND decision <> 'HOLDING' THEN
            format('%s of the last %s looks were true, it fires with %s of %s', v_looks.true_looks, v_looks.of_looks,
                   p_definition.fire_looks, p_definition.of_looks) END, nullif(v_decided.reason, '')), '');

    INSERT INTO monitoring.alert_evaluation_s (
        alert_definition_hk, hash_diff, target_name, tenant_hk, evaluated_at, definition_load_date, result, result_since,
        clear_since, evaluated_value, inputs, reason, decision, duration_us, true_looks, of_looks, decision_reason)
    VALUES (
        p_definition.alert_definition_hk, util.hash_binary(v_used::text || result || decision), p_target, p_tenant_hk, p_at,
        p_definition.load_date, result, v_since, v_clear, evaluated_value, v_used, v_reason, decision,
        (extract(epoch FROM clock_timestamp() - v_started) * 1000000)::integer, v_looks.true_looks, v_looks.of_looks, v_why);
END
$$;
COMMENT ON FUNCTION monitoring.evaluate_definition(monitoring.alert_definition_s, text, text, bytea, timestamptz, jsonb, text) IS
    'Evaluates one definition on one target, decides, and records both.';

CREATE OR REPLACE FUNCTION monitoring.version_in_force(
    p_current monitoring.alert_definition_s, p_target text, p_tenant_hk bytea) RETURNS monitoring.alert_definition_s
    LANGUAGE sql STABLE
    AS $$
    -- Of what people were told, the end is judged by the rule under which it began; a SUPPRESSED one told nobody.
    SELECT coalesce((
        SELECT d
          FROM monitoring.alert_instance_h h
          JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
          JOIN monitoring.alert_definition_s d ON d.alert_definition_hk = h.alert_definition_hk
                                              AND d.load_date = (s.trigger_details ->> 'definition_load_date')::timestamptz
         WHERE h.alert_definition_hk = p_current.alert_definition_hk
           AND h.target_name = p_target
           AND h.tenant_hk IS NOT DISTINCT FROM p_tenant_hk
           AND h.labels = '{}'
           AND s.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED')
         ORDER BY s.triggered_timestamp DESC
         LIMIT 1), p_current)
    $$;
COMMENT ON FUNCTION monitoring.version_in_force(monitoring.alert_definition_s, text, bytea) IS
    'The version of a definition by which a target is judged: that under which its open alert began, or without one the current. The alerts of label sets: versions_followed().';

CREATE OR REPLACE FUNCTION monitoring.versions_followed(
    p_definition_hk bytea, p_target text, p_tenant_hk bytea, p_but timestamptz) RETURNS SETOF monitoring.alert_definition_s
    LANGUAGE sql STABLE
    AS $$
    SELECT d.*
      FROM monitoring.alert_definition_s d
     WHERE d.alert_definition_hk = p_definition_hk
       AND d.load_date IS DISTINCT FROM p_but
       AND d.alert_by <> '{}'
       AND EXISTS (SELECT
                     FROM monitoring.alert_instance_h h
                     JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
                    WHERE h.alert_definition_hk = p_definition_hk
                      AND h.target_name = p_target
                      AND h.tenant_hk IS NOT DISTINCT FROM p_tenant_hk
                      AND h.labels <> '{}'
                      AND s.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED')
                      AND (s.trigger_details ->> 'definition_load_date')::timestamptz = d.load_date)
     ORDER BY d.load_date
    $$;
COMMENT ON FUNCTION monitoring.versions_followed(bytea, text, bytea, timestamptz) IS
    'The versions of a definition, but one, under which alerts of label sets are open: each is followed to its end under the version that it began with.';

DROP FUNCTION IF EXISTS monitoring.evaluate_definitions(text, bytea, interval), monitoring.evaluate_definitions(text, bytea, interval, boolean);

CREATE OR REPLACE FUNCTION monitoring.evaluate_definitions(
    p_target text, p_tenant_hk bytea, p_every interval DEFAULT NULL, p_own_only boolean DEFAULT false, p_sources text[] DEFAULT NULL)
    RETURNS TABLE (definition_key varchar(255), alert_name varchar(200), alert_severity varchar(20),
                   result text, evaluated_value numeric, decision text)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    v_of_vault text[] := monitoring.sources_of_the_vault();
    d        record;
    v_at     timestamptz;
    v_last   timestamptz;
    v_every  interval;
    v_due    boolean;
    v_inputs jsonb;
    v_error  text;
    v_result record;
    -- Inputs once per source and look-back, for all definitions of this tick.
    v_cache  jsonb := '{}';
    v_slot   text;
BEGIN
    PERFORM monitoring.ensure_partitions_around(clock_timestamp());
    FOR d IN
        SELECT h.alert_definition_bk, r.version, r.follows,
               row_number() OVER (PARTITION BY h.alert_definition_hk ORDER BY r.follows, (r.version).load_date) = 1 AS first
          FROM monitoring.alert_definition_s s
          JOIN monitoring.alert_definition_h h USING (alert_definition_hk)
         CROSS JOIN LATERAL (SELECT monitoring.version_in_force(s, p_target, p_tenant_hk) AS version) AS f
         CROSS JOIN LATERAL (
                   -- A definition that was disabled opens nothing any more; what it opened is followed to its end.
                   SELECT f.version, false AS follows
                    WHERE s.is_enabled OR (f.version).load_date IS DISTINCT FROM s.load_date
                   UNION ALL
                   SELECT v, true
                     FROM monitoring.versions_followed(s.alert_definition_hk, p_target, p_tenant_hk, (f.version).load_date) AS v) AS r
         WHERE s.load_end_date IS NULL AND s.metric_source NOT IN ('worker', 'external')
           AND (h.tenant_hk = p_tenant_hk OR h.tenant_hk IS NULL AND NOT p_own_only)
           AND (p_target = 'local' OR s.metric_source <> ALL (v_of_vault))
           AND monitoring.sql_concerns(s.condition_sql, p_target)
           AND (p_sources IS NULL OR s.metric_source = ANY (p_sources))
         -- What rests on others is looked at after them, and so sees what they found in the same round.
         ORDER BY s.metric_source = 'evaluation', s.condition_logic LIKE '%firing%', h.alert_definition_hk, r.follows, (r.version).load_date
    LOOP
        IF d.first THEN
            -- One evaluator at a time per definition and target, always in the same order.
            PERFORM pg_advisory_xact_lock(hashtextextended(
                monitoring.alert_group_key(d.alert_definition_bk, p_target, p_tenant_hk), 0));
            v_at := date_trunc('microseconds', clock_timestamp());
            v_every := coalesce(p_every, make_interval(mins => (d.version).evaluation_frequency_minutes));
            SELECT max(e.evaluated_at) INTO v_last
              FROM monitoring.alert_evaluation_s e
             WHERE e.alert_definition_hk = (d.version).alert_definition_hk AND e.target_name = p_target
               AND e.tenant_hk IS NOT DISTINCT FROM p_tenant_hk AND e.evaluated_at > v_at - interval '8 days';
            -- A tenth of slack: a tick that comes a little early is still the next tick.
            v_due := (v_at < v_last + v_every * 0.9) IS NOT TRUE;
        END IF;
        CONTINUE WHEN NOT v_due;

        v_slot := concat_ws('/', (d.version).metric_source, (d.version).lookback_minutes,
                            CASE (d.version).metric_source WHEN 'sql' THEN d.alert_definition_bk END);
        IF NOT v_cache ? v_slot THEN
            v_error := NULL;
            BEGIN
                v_inputs := CASE (d.version).metric_source
                    WHEN 'sql' THEN monitoring.sql_inputs(d.version, p_target, v_at)
                    ELSE monitoring.condition_inputs((d.version).metric_source, p_target, p_tenant_hk,
                             make_interval(mins => (d.version).lookback_minutes), v_at) END;
            EXCEPTION WHEN OTHERS THEN
                v_inputs := '{}';
                v_error := format('the source %s could not be read: %s', (d.version).metric_source, SQLERRM);
            END;
            v_cache := v_cache || jsonb_build_object(v_slot, jsonb_build_object('inputs', v_inputs, 'error', v_error));
        END IF;

        IF (d.version).alert_by = '{}' THEN
            v_result := monitoring.evaluate_definition(d.version, d.alert_definition_bk, p_target, p_tenant_hk, v_at,
                v_cache -> v_slot -> 'inputs', v_cache -> v_slot ->> 'error');
        ELSE
            v_result := monitoring.evaluate_label_sets(d.version, d.alert_definition_bk, p_target, p_tenant_hk, v_at,
                v_cache -> v_slot -> 'inputs', v_cache -> v_slot ->> 'error', d.follows, d.first);
        END IF;
        -- One look at a definition, whatever the number of versions that it followed.
        CONTINUE WHEN NOT d.first;
        RETURN QUERY SELECT d.alert_definition_bk, (d.version).alert_name, (d.version).alert_severity,
                            v_result.result, v_result.evaluated_value, v_result.decision;
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.evaluate_definitions(text, bytea, interval, boolean, text[]) IS
    'Evaluates the definitions that are due on a target: everybody''s and the tenant''s (p_own_only: the tenant''s alone). p_every NULL: each by its own frequency; otherwise all whose last evaluation is that old (0: all). p_sources: only those of these metric_sources.';

DROP FUNCTION IF EXISTS monitoring.evaluate_due(text, interval);

CREATE OR REPLACE FUNCTION monitoring.evaluate_due(p_target text, p_every interval DEFAULT NULL, p_sources text[] DEFAULT NULL)
    RETURNS TABLE (definition_key varchar(255), alert_name varchar(200), alert_severity varchar(20),
                   result text, evaluated_value numeric, decision text)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    v_target    record := monitoring.hold_target(p_target);
    v_tenant_hk bytea;
BEGIN
    IF v_target.removed THEN
        RETURN;  -- a run that was under way when it was removed: its alerts have ended
    END IF;
    RETURN QUERY SELECT * FROM monitoring.evaluate_definitions(p_target, v_target.tenant_hk, p_every, false, p_sources);
    FOR v_tenant_hk IN
        SELECT DISTINCT h.tenant_hk
          FROM monitoring.alert_definition_h h
          JOIN monitoring.alert_definition_s s USING (alert_definition_hk)
         WHERE h.tenant_hk IS NOT NULL AND s.load_end_date IS NULL AND s.is_enabled
           AND v_target.tenant_hk IS NULL  -- a tenant's server is looked at with its own definitions, just now
         ORDER BY h.tenant_hk
    LOOP
        RETURN QUERY SELECT * FROM monitoring.evaluate_definitions(p_target, v_tenant_hk, p_every, true, p_sources);
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.evaluate_due(text, interval, text[]) IS
    'What the worker calls at each tick: the definitions that are due, everybody''s and each tenant''s own; on a tenant''s target everybody''s and that tenant''s. p_sources: only those that read one of these.';

CREATE OR REPLACE FUNCTION monitoring.evaluate_alert_conditions(p_tenant_hk bytea DEFAULT NULL)
    RETURNS TABLE (alert_name varchar(200), alert_fired boolean, trigger_value numeric, alert_severity varchar(20))
    LANGUAGE sql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
    SELECT e.alert_name, e.decision IN ('FIRED', 'SUPPRESSED', 'UNSUPPRESSED', 'REOPENED', 'HOLDING') AND e.result <> 'FALSE',
           e.evaluated_value, e.alert_severity
      FROM monitoring.evaluate_definitions('local', p_tenant_hk, interval '0') AS e
    $$;
COMMENT ON FUNCTION monitoring.evaluate_alert_conditions(bytea) IS
    'Evaluates every enabled definition now. alert_fired: its condition holds and an alert is open (or suppressed) for it.';
