-- One look at a definition that alerts by labels: the condition is evaluated once per label set, in one statement for
-- all of them, and each set has the life of an alert of its own. The look is one row of alert_evaluation_s, as of every
-- definition; what it found of a set is a row of alert_label_evaluation_s when that changed. So thousands of sets of
-- which nothing is new cost one row, and yet the past of each can be told look by look.

CREATE OR REPLACE FUNCTION monitoring.label_looks(
    p_definition monitoring.alert_definition_s, p_target text, p_tenant_hk bytea, p_at timestamptz,
    p_inputs jsonb, p_error text, p_follows boolean)
    RETURNS TABLE (labels jsonb, labels_id text, present boolean, inputs jsonb, result text, value numeric, reason text, clears boolean,
                   before monitoring.alert_label_state, alert_hk bytea, alert_status text, flapping boolean, any_present boolean)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
DECLARE
    v_fire  record := monitoring.compile_condition(p_definition.condition_logic);
    v_end   record := monitoring.compile_condition(coalesce(p_definition.clear_condition_logic, p_definition.condition_logic));
    v_names text[] := v_fire.identifiers || v_end.identifiers;
    v_by    text[] := ARRAY(SELECT n FROM unnest(p_definition.alert_by) AS n ORDER BY n COLLATE "C");
BEGIN
    RETURN QUERY
    WITH given AS MATERIALIZED (
        SELECT i.labels, i.inputs, i.problem
          FROM monitoring.label_inputs(v_names, p_target, p_tenant_hk, make_interval(mins => p_definition.lookback_minutes), p_at, p_definition.alert_by) AS i
         WHERE p_error IS NULL
    ),
    alerts AS MATERIALIZED (
        -- What is active anywhere is less than all that a definition ever opened.
        SELECT DISTINCT ON (h.labels) h.labels, h.alert_instance_hk, s.alert_status::text, s.flapping_since IS NOT NULL AS flapping,
               CASE WHEN s.alert_status <> 'SUPPRESSED' THEN (s.trigger_details ->> 'definition_load_date')::timestamptz END AS version
          FROM monitoring.alert_instance_s s
         CROSS JOIN LATERAL (
                   -- OFFSET: each is looked up by its key, and not all alerts of the definition for each.
                   SELECT k.* FROM monitoring.alert_instance_h k WHERE k.alert_instance_hk = s.alert_instance_hk OFFSET 0) AS h
         WHERE s.load_end_date IS NULL AND s.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED', 'SUPPRESSED')
           AND h.alert_definition_hk = p_definition.alert_definition_hk
           AND h.target_name = p_target
           AND h.tenant_hk IS NOT DISTINCT FROM p_tenant_hk
           AND h.labels <> '{}'
         ORDER BY h.labels, s.triggered_timestamp DESC
    ),
    known AS MATERIALIZED (
        -- Grouped and not joined: nobody tells the planner how many there are.
        SELECT k.labels, bool_or(k.present) AS present, min(k.problem) AS problem, (array_agg(k.inputs) FILTER (WHERE k.present))[1] AS inputs,
               (array_agg(k.t) FILTER (WHERE (k.t).result IS NOT NULL))[1] AS t,
               (array_agg(k.alert_hk) FILTER (WHERE k.alert_hk IS NOT NULL))[1] AS alert_hk,
               min(k.alert_status) AS alert_status, bool_or(k.flapping) AS flapping, min(k.version) AS version
          FROM (SELECT g.labels, true AS present, g.problem, g.inputs, NULL::monitoring.alert_label_state AS t,
                       NULL::bytea AS alert_hk, NULL::text AS alert_status, NULL::boolean AS flapping, NULL::timestamptz AS version
                  FROM given g
                 UNION ALL
                SELECT t.labels, false, NULL, NULL, t, NULL, NULL, NULL, NULL
                  FROM monitoring.alert_label_state t
                 WHERE t.alert_definition_hk = p_definition.alert_definition_hk
                   AND t.target_name = p_target
                   AND t.tenant_hk IS NOT DISTINCT FROM p_tenant_hk
                 UNION ALL
                SELECT a.labels, false, NULL, NULL, NULL, a.alert_instance_hk, a.alert_status, a.flapping, a.version
                  FROM alerts a) AS k
         GROUP BY k.labels
    ),
    looked AS MATERIALIZED (
        SELECT k.labels, k.present, k.problem, p_inputs || coalesce(k.inputs, '{}') AS inputs, k.t, k.alert_hk, k.alert_status, k.flapping
          FROM known k
         -- Of another version may be label sets of other labels: they are its own.
         WHERE v_by = ARRAY(SELECT n FROM jsonb_object_keys(k.labels) AS n ORDER BY n COLLATE "C")
         -- An open alert ends under the version it began with; what it is judged by, no other version judges.
           AND CASE WHEN p_follows THEN k.version = p_definition.load_date
                    ELSE k.version IS NULL OR k.version = p_definition.load_date END
    )
    SELECT l.labels, monitoring.labels_id(l.labels), l.present, l.inputs, r.result,
           CASE WHEN p_error IS NULL AND l.problem IS NULL THEN e.evaluated_value END, r.reason,
           l.alert_hk IS NOT NULL AND CASE
               WHEN r.result = 'FALSE' AND p_definition.clear_condition_logic IS NOT NULL
               THEN (monitoring.evaluate_each(v_end.path, v_end.identifiers, l.inputs)).result = 'TRUE'
               ELSE r.result = 'FALSE' END,
           l.t, l.alert_hk, l.alert_status, l.flapping, EXISTS (SELECT FROM given)
      FROM looked l
     CROSS JOIN LATERAL monitoring.evaluate_each(v_fire.path, v_fire.identifiers, l.inputs) AS e
     CROSS JOIN LATERAL (
               SELECT CASE WHEN p_error IS NOT NULL OR l.problem IS NOT NULL THEN 'ERROR' WHEN l.present THEN e.result ELSE 'NO_DATA' END AS result,
                      coalesce(p_error, l.problem, CASE WHEN l.present THEN e.reason ELSE 'gone: no sample of ' || monitoring.label_text(l.labels) END) AS reason) AS r
     ORDER BY l.labels;
END
$$;
COMMENT ON FUNCTION monitoring.label_looks(monitoring.alert_definition_s, text, bytea, timestamptz, jsonb, text, boolean) IS
    'What a look finds of each label set: those that have samples, and those that are known and are gone. before: how it stood; clears: its condition has cleared; any_present: whether there are any with samples, of whatever version; p_follows: only those whose open alert began under this version.';

CREATE OR REPLACE FUNCTION monitoring.open_label_alerts(
    p_definition monitoring.alert_definition_s, p_definition_bk text, p_target text, p_tenant_hk bytea, p_at timestamptz,
    p_labels jsonb[], p_values numeric[], p_details jsonb[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_bk   text := monitoring.alert_key(p_definition_bk, p_target, p_tenant_hk, p_at);
    v_keys text[] := ARRAY(SELECT monitoring.with_labels(v_bk, n.labels) FROM unnest(p_labels) WITH ORDINALITY AS n (labels, o) ORDER BY n.o);
BEGIN
    -- As open_alert() and tell_opening() do for one: thousands that open together are three statements.
    INSERT INTO monitoring.alert_instance_h (alert_instance_hk, alert_instance_bk, alert_definition_hk, tenant_hk, target_name, labels)
    SELECT util.hash_binary(n.key), n.key, p_definition.alert_definition_hk, p_tenant_hk, p_target, n.labels
      FROM unnest(v_keys, p_labels) AS n (key, labels);
    INSERT INTO monitoring.alert_instance_s (
        alert_instance_hk, hash_diff, alert_status, triggered_timestamp, trigger_value, trigger_details,
        urgency_level, affected_systems, changed_at, changed_via)
    SELECT util.hash_binary(n.key), '\x', 'OPEN', p_at, n.value, n.details, p_definition.alert_severity, ARRAY[p_target], p_at, 'evaluator'
      FROM unnest(v_keys, p_values, p_details) AS n (key, value, details);
    INSERT INTO monitoring.outbox (kind, target_name, alert_instance_hk, payload)
    SELECT 'FIRED', p_target, util.hash_binary(n.key), jsonb_build_object('at', p_at)
      FROM unnest(v_keys) WITH ORDINALITY AS n (key, o)
     ORDER BY n.o;
    PERFORM pg_notify('onevault_outbox', '');
END
$$;
COMMENT ON FUNCTION monitoring.open_label_alerts(monitoring.alert_definition_s, text, text, bytea, timestamptz, jsonb[], numeric[], jsonb[]) IS
    'Opens the alerts of label sets that had none before, and tells their workflow.';

CREATE OR REPLACE FUNCTION monitoring.evaluate_label_sets(
    p_definition monitoring.alert_definition_s, p_definition_bk text, p_target text, p_tenant_hk bytea, p_at timestamptz,
    p_inputs jsonb, p_inputs_error text, p_follows boolean, p_records boolean,
    OUT result text, OUT evaluated_value numeric, OUT decision text)
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_started   timestamptz := clock_timestamp();
    v_names     text[] := (monitoring.compile_condition(p_definition.condition_logic)).identifiers
                          || CASE WHEN p_definition.clear_condition_logic IS NOT NULL
                                  THEN (monitoring.compile_condition(p_definition.clear_condition_logic)).identifiers END;
    v_inputs    jsonb := p_inputs || jsonb_strip_nulls(jsonb_build_object('threshold_value', p_definition.threshold_value));
    v_error     text := p_inputs_error;
    v_reachable boolean := monitoring.unreachable_since(p_target, p_at) IS NULL;
    v_nothing   boolean := true;
    v_low       boolean := coalesce(p_definition.threshold_operator LIKE '<%', false);
    v_gravest   constant text[] := ARRAY['TRUE', 'ERROR', 'FALSE', 'NO_DATA'];
    v_counts    jsonb := '{}';   -- how many sets gave each result, and led to each decision
    v_named     text[] := '{}';  -- the first of those that are over the line
    s           record;
    v_since     timestamptz;
    v_clear     timestamptz;
    v_met       boolean;
    v_fires     boolean;
    v_looks     record;
    v_used      jsonb;
    v_details   jsonb;
    v_decided   record;
    v_decision  text;
    v_why       text;
    v_previous  record;
    v_reason    text;
    -- The label set that the look's own row tells of.
    w_result    text;
    w_value     numeric;
    w_inputs    jsonb;
    w_reason    text;
    -- What changed, to be written at the end; and alerts that open and had none before.
    c_labels    jsonb[] := '{}';
    c_result    text[] := '{}';
    c_since     timestamptz[] := '{}';
    c_clear     timestamptz[] := '{}';
    c_value     numeric[] := '{}';
    c_inputs    jsonb[] := '{}';
    c_reason    text[] := '{}';
    c_decision  text[] := '{}';
    c_true      integer[] := '{}';
    c_of        integer[] := '{}';
    c_why       text[] := '{}';
    c_forgotten text[] := '{}';
    o_labels    jsonb[] := '{}';
    o_values    numeric[] := '{}';
    o_details   jsonb[] := '{}';
BEGIN
    BEGIN
        -- What is the same for all of them: firing("KEY"), windows of metrics without labels.
        v_inputs := v_inputs || monitoring.history_inputs(
            ARRAY(SELECT n FROM unnest(v_names) AS n
                   WHERE n LIKE 'firing(%' OR n LIKE '%(%' AND NOT EXISTS (
                         SELECT FROM monitoring.condition_identifier c
                          WHERE c.metric_source = 'system_health' AND c.label_names <> '{}'
                            AND c.identifier = (monitoring.condition_call(n)).argument)), p_target, p_tenant_hk, p_at);
    EXCEPTION WHEN OTHERS THEN
        v_error := coalesce(v_error, 'history could not be read: ' || SQLERRM);
    END;

    FOR s IN SELECT * FROM monitoring.label_looks(p_definition, p_target, p_tenant_hk, p_at, v_inputs, v_error, p_follows) LOOP
        v_nothing := NOT s.any_present;
        v_since := CASE WHEN (s.before).result = s.result THEN (s.before).result_since ELSE p_at END;
        -- Where no label set has data, the definition as a whole lacks it, and says so once.
        v_met := s.result = 'TRUE' OR s.result = 'NO_DATA' AND p_definition.no_data_state = 'ALERT' AND NOT v_nothing;
        v_fires := v_met AND p_at - v_since >= make_interval(mins =>
                       CASE s.result WHEN 'TRUE' THEN p_definition.pending_minutes ELSE p_definition.no_data_minutes END);
        v_looks := NULL;
        IF p_definition.of_looks > 1 AND s.result = 'TRUE' THEN
            SELECT l.true_looks, l.of_looks INTO v_looks FROM monitoring.count_looks(p_definition, p_target, p_tenant_hk, p_at, s.result, s.labels) AS l;
            v_fires := v_fires AND v_looks.true_looks >= p_definition.fire_looks;
        ELSE
            SELECT NULL::integer AS true_looks, NULL::integer AS of_looks INTO v_looks;
        END IF;
        v_clear := CASE WHEN s.clears OR s.alert_hk IS NOT NULL AND s.result = 'NO_DATA' AND p_definition.no_data_state = 'OK' AND v_reachable
                        THEN coalesce((s.before).clear_since, p_at) END;
        v_why := NULL;

        IF NOT s.present AND v_error IS NULL AND s.alert_hk IS NULL
           AND ((s.before).decision IN ('FIRED', 'SUPPRESSED', 'UNSUPPRESSED', 'REOPENED', 'HOLDING')
                OR NOT v_nothing AND NOT v_fires AND (s.before).result = 'NO_DATA' AND v_since < p_at - interval '1 day') THEN
            -- It is gone, and nobody waits for it: a person ended its alert, or a day has passed.
            c_forgotten := c_forgotten || s.labels_id;
            v_decision := 'NONE';
            v_why := 'it is gone and has no alert any more: it is forgotten';
        ELSIF s.alert_hk IS NULL AND NOT v_fires THEN
            v_decision := CASE WHEN v_met THEN 'PENDING' ELSE 'NONE' END;
        ELSIF s.alert_hk IS NOT NULL AND v_clear IS NULL AND s.alert_status <> 'SUPPRESSED' AND NOT s.flapping THEN
            v_decision := 'HOLDING';
        ELSE
            SELECT coalesce(jsonb_object_agg(i, s.inputs -> i), '{}') INTO v_used FROM unnest(v_names) AS i WHERE s.inputs ? i;
            v_details := jsonb_strip_nulls(jsonb_build_object('condition', p_definition.condition_logic, 'inputs', v_used, 'result', s.result,
                             'reason', s.reason, 'definition_load_date', p_definition.load_date));
            IF s.alert_hk IS NULL AND NOT EXISTS (
                   SELECT FROM monitoring.alert_instance_h h
                    WHERE h.alert_definition_hk = p_definition.alert_definition_hk AND h.target_name = p_target
                      AND monitoring.labels_id(h.labels) = s.labels_id) THEN
                v_decision := 'FIRED';
                o_labels := o_labels || s.labels;
                o_values := o_values || s.value;
                o_details := o_details || v_details;
            ELSE
                SELECT d.decision, d.reason INTO v_decided
                  FROM monitoring.decide_alert(p_definition, p_definition_bk, p_target, p_tenant_hk, p_at,
                           s.result, v_since, v_fires, v_met, v_clear, s.value, v_details, s.labels) AS d;
                v_decision := v_decided.decision;
                v_why := nullif(v_decided.reason, '');
            END IF;
        END IF;

        v_counts := v_counts || jsonb_build_object(s.result, coalesce((v_counts ->> s.result)::integer, 0) + 1)
                             || jsonb_build_object(v_decision, coalesce((v_counts ->> v_decision)::integer, 0) + 1);
        IF s.result = 'TRUE' AND cardinality(v_named) < 6 THEN
            v_named := v_named || (monitoring.label_text(s.labels) || coalesce(': ' || trim_scale(s.value), ''));
        END IF;
        -- The look's own row tells of one of them: the worst of the gravest result.
        IF w_result IS NULL
           OR array_position(v_gravest, s.result) < array_position(v_gravest, w_result)
           OR s.result = w_result AND (v_low AND s.value < w_value OR NOT v_low AND s.value > w_value) THEN
            w_result := s.result;
            w_value := s.value;
            w_inputs := s.inputs;
            w_reason := s.reason;
        END IF;

        CONTINUE WHEN (s.before).result = s.result AND (s.before).decision = v_decision AND (s.before).reason IS NOT DISTINCT FROM s.reason
                  AND ((s.before).clear_since IS NULL) = (v_clear IS NULL) AND (s.before).definition_load_date = p_definition.load_date;
        SELECT coalesce(jsonb_object_agg(i, s.inputs -> i), '{}') INTO v_used FROM unnest(v_names) AS i WHERE s.inputs ? i;
        c_labels := c_labels || s.labels;
        c_result := c_result || s.result;
        c_since := c_since || v_since;
        c_clear := c_clear || v_clear;
        c_value := c_value || s.value;
        c_inputs := c_inputs || v_used;
        c_reason := c_reason || s.reason;
        c_decision := c_decision || v_decision;
        c_true := c_true || v_looks.true_looks;
        c_of := c_of || v_looks.of_looks;
        c_why := c_why || v_why;
    END LOOP;

    IF cardinality(o_labels) > 0 THEN
        PERFORM monitoring.open_label_alerts(p_definition, p_definition_bk, p_target, p_tenant_hk, p_at, o_labels, o_values, o_details);
    END IF;
    INSERT INTO monitoring.alert_label_evaluation_s (
        alert_definition_hk, hash_diff, target_name, tenant_hk, labels, labels_id, evaluated_at, definition_load_date, result, result_since,
        clear_since, evaluated_value, inputs, reason, decision, true_looks, of_looks, decision_reason)
    SELECT p_definition.alert_definition_hk, util.hash_binary(c.inputs::text || c.result || c.decision), p_target, p_tenant_hk, c.labels,
           monitoring.labels_id(c.labels), p_at, p_definition.load_date, c.result, c.since,
           c.clear, c.value, c.inputs, c.reason, c.decision, c.true_looks, c.of_looks, c.why
      FROM unnest(c_labels, c_result, c_since, c_clear, c_value, c_inputs, c_reason, c_decision, c_true, c_of, c_why)
           AS c (labels, result, since, clear, value, inputs, reason, decision, true_looks, of_looks, why);
    INSERT INTO monitoring.alert_label_state AS t (
        alert_definition_hk, target_name, tenant_hk, labels_id, labels, definition_load_date, result, result_since, clear_since, decision, reason, evaluated_at)
    SELECT p_definition.alert_definition_hk, p_target, p_tenant_hk, monitoring.labels_id(c.labels), c.labels, p_definition.load_date,
           c.result, c.since, c.clear, c.decision, c.reason, p_at
      FROM unnest(c_labels, c_result, c_since, c_clear, c_reason, c_decision) AS c (labels, result, since, clear, reason, decision)
    ON CONFLICT ON CONSTRAINT alert_label_state_one DO UPDATE
       SET definition_load_date = excluded.definition_load_date, result = excluded.result, result_since = excluded.result_since,
           clear_since = excluded.clear_since, decision = excluded.decision, reason = excluded.reason, evaluated_at = excluded.evaluated_at;
    IF cardinality(c_forgotten) > 0 THEN
        DELETE FROM monitoring.alert_label_state t
         WHERE t.alert_definition_hk = p_definition.alert_definition_hk AND t.target_name = p_target
           AND t.tenant_hk IS NOT DISTINCT FROM p_tenant_hk AND t.labels_id = ANY (c_forgotten);
    END IF;

    IF NOT p_records THEN
        RETURN;
    END IF;
    IF w_result IS NULL AND v_error IS NULL AND NOT p_follows AND EXISTS (
           SELECT FROM monitoring.label_inputs(v_names, p_target, p_tenant_hk, make_interval(mins => p_definition.lookback_minutes),
                           p_at, p_definition.alert_by)) THEN
        -- Every label set has an open alert of an earlier version, by which it is judged.
        v_nothing := false;
        w_result := 'FALSE';
    END IF;
    SELECT e.result, e.result_since, e.clear_since INTO v_previous
      FROM monitoring.alert_evaluation_s e
     WHERE e.alert_definition_hk = p_definition.alert_definition_hk AND e.target_name = p_target
       AND e.tenant_hk IS NOT DISTINCT FROM p_tenant_hk
       AND e.evaluated_at < p_at AND e.evaluated_at > p_at - interval '8 days'
     ORDER BY e.evaluated_at DESC
     LIMIT 1;
    result := CASE WHEN v_error IS NOT NULL THEN 'ERROR' WHEN v_nothing THEN 'NO_DATA' ELSE w_result END;
    evaluated_value := CASE WHEN v_error IS NULL AND NOT v_nothing THEN w_value END;
    v_reason := CASE
        WHEN v_error IS NOT NULL THEN v_error
        WHEN v_nothing THEN 'no series of ' || (
            SELECT string_agg(DISTINCT c.identifier, ', ' ORDER BY c.identifier)
              FROM unnest(v_names) AS n
              JOIN monitoring.condition_identifier c
                ON c.metric_source = 'system_health' AND c.label_names <> '{}'
               AND c.identifier = CASE WHEN n LIKE '%(%' THEN (monitoring.condition_call(n)).argument ELSE n END)
        WHEN result = 'TRUE' THEN array_to_string(v_named[1 : 5], '; ')
            || CASE WHEN (v_counts ->> 'TRUE')::integer > 5 THEN format('; and %s more', (v_counts ->> 'TRUE')::integer - 5) ELSE '' END
        ELSE w_reason END;
    w_inputs := CASE WHEN v_nothing THEN v_inputs ELSE coalesce(w_inputs, v_inputs) END;
    SELECT coalesce(jsonb_object_agg(i, w_inputs -> i), '{}') INTO v_used FROM unnest(v_names) AS i WHERE w_inputs ? i;
    v_since := CASE WHEN v_previous.result = result THEN v_previous.result_since ELSE p_at END;

    -- The decision that most concerns people stands for all.
    SELECT d INTO decision
      FROM unnest(ARRAY['FIRED', 'REOPENED', 'UNSUPPRESSED', 'SUPPRESSED', 'HOLDING', 'RESOLVED', 'PENDING', 'NONE']) WITH ORDINALITY AS u (d, o)
     WHERE v_counts ? d
     ORDER BY o
     LIMIT 1;
    decision := coalesce(decision, 'NONE');
    v_clear := NULL;
    IF v_error IS NULL AND (v_nothing AND p_definition.no_data_state = 'ALERT' OR EXISTS (
           SELECT FROM monitoring.alert_instance_h h
             JOIN monitoring.alert_instance_s i ON i.alert_instance_hk = h.alert_instance_hk AND i.load_end_date IS NULL
            WHERE h.alert_definition_hk = p_definition.alert_definition_hk AND h.target_name = p_target
              AND h.tenant_hk IS NOT DISTINCT FROM p_tenant_hk AND h.labels = '{}' AND i.alert_status <> 'RESOLVED')) THEN
        -- That there is no data at all is an alert about the target, which ends with the first label set that has some.
        v_met := v_nothing AND p_definition.no_data_state = 'ALERT';
        v_clear := CASE WHEN NOT v_nothing THEN coalesce(v_previous.clear_since, p_at) END;
        v_decided := monitoring.decide_alert(p_definition, p_definition_bk, p_target, p_tenant_hk, p_at,
            CASE WHEN v_nothing THEN 'NO_DATA' ELSE 'FALSE' END, v_since,
            v_met AND p_at - v_since >= make_interval(mins => p_definition.no_data_minutes), v_met, v_clear, NULL,
            jsonb_strip_nulls(jsonb_build_object('condition', p_definition.condition_logic, 'inputs', v_used, 'result', result,
                'reason', v_reason, 'definition_load_date', p_definition.load_date)));
        v_why := nullif(v_decided.reason, '');
        IF decision IN ('NONE', 'PENDING', 'RESOLVED', 'HOLDING') AND v_decided.decision <> 'NONE' THEN
            decision := v_decided.decision;
        END IF;
    ELSE
        v_why := NULL;
    END IF;

    INSERT INTO monitoring.alert_evaluation_s (
        alert_definition_hk, hash_diff, target_name, tenant_hk, evaluated_at, definition_load_date, result, result_since,
        clear_since, evaluated_value, inputs, reason, decision, duration_us, decision_reason)
    VALUES (
        p_definition.alert_definition_hk, util.hash_binary(v_used::text || result || decision), p_target, p_tenant_hk, p_at,
        p_definition.load_date, result, v_since, v_clear, evaluated_value, v_used, v_reason, decision,
        (extract(epoch FROM clock_timestamp() - v_started) * 1000000)::integer,
        nullif(concat_ws('; ', (SELECT string_agg(n.text, ', ') FROM (
                             SELECT format('%s %s', v_counts ->> w, w) AS text
                               FROM unnest(ARRAY['TRUE', 'FALSE', 'NO_DATA', 'ERROR']) WITH ORDINALITY AS u (w, o)
                              WHERE v_counts ? w ORDER BY o) AS n) || ' of the label sets', v_why), ''));
END
$$;
COMMENT ON FUNCTION monitoring.evaluate_label_sets(monitoring.alert_definition_s, text, text, bytea, timestamptz, jsonb, text, boolean, boolean) IS
    'Evaluates a definition that alerts by labels on one target: each label set is decided about by itself, and what changed of it is recorded. p_follows: only the sets whose open alert began under this version; p_records: writes the look itself, with the worst of them and how many gave which result.';
