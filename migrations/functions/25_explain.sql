-- Why: a condition taken apart into its comparisons, and an evaluation done again from its recorded
-- inputs. Explaining uses the evaluator itself (evaluate_condition), so it cannot tell another story.

CREATE OR REPLACE FUNCTION monitoring.operand_value(p_tokens text[], p_inputs jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    v_path  text;
    v_value jsonb;
BEGIN
    SELECT string_agg(monitoring.condition_operand(t), ' ' ORDER BY o)
      INTO v_path
      FROM unnest(p_tokens) WITH ORDINALITY AS u (t, o);
    v_value := jsonb_path_query_first(p_inputs, v_path::jsonpath, '{}', true);
    RETURN CASE jsonb_typeof(v_value) WHEN 'number' THEN trim_scale(v_value::numeric)::text
                                      WHEN 'null' THEN NULL
                                      ELSE v_value::text END;
END
$$;
COMMENT ON FUNCTION monitoring.operand_value(text[], jsonb) IS
    'What one side of a comparison amounts to; NULL when it cannot be computed.';

CREATE OR REPLACE FUNCTION monitoring.explain_condition(p_condition text, p_inputs jsonb)
    RETURNS TABLE (ordinal integer, comparison text, left_value text, operator text, right_value text,
                   result text, decided boolean, alone boolean)
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    v_whole    text := (monitoring.evaluate_condition(p_condition, p_inputs)).result;
    v_rest     text := ltrim(p_condition, E' \t\r\n');
    v_tokens   text[] := '{}';
    v_starts   integer[] := '{}';
    v_first    integer[] := '{}';   -- of each comparison: its first token, its operator, its last token
    v_operator integer[] := '{}';
    v_last     integer[] := '{}';
    v_results  text[] := '{}';
    v_open     integer;
    i          integer;
    j          integer;
    n          integer := 0;
    -- The condition as a stack machine: values, what each rests on, and the operators that wait.
    v_values   text[] := '{}';
    v_causes   text[] := '{}';      -- of integer[], as text: arrays of arrays must be rectangular
    v_waiting  text[] := ARRAY['('];
    v_op       text;
    v_strong   text;
    v_a        text;
    v_b        text;
    v_cause_a  integer[];
    v_cause_b  integer[];
    v_decided  integer[];
    v_head     text;
    v_tail     text;
BEGIN
    PERFORM monitoring.compile_condition(p_condition);  -- refuses what is malformed, with the place

    -- The tokens of compile_condition, with their places.
    WHILE v_rest <> '' LOOP
        v_tokens := v_tokens || monitoring.condition_token(v_rest);
        v_starts := v_starts || length(p_condition) - length(v_rest) + 1;
        v_rest := ltrim(substr(v_rest, length(v_tokens[cardinality(v_tokens)]) + 1), E' \t\r\n');
    END LOOP;

    -- A comparison reaches to the next && || ! or to the parenthesis that encloses it.
    FOR i IN 1 .. cardinality(v_tokens) LOOP
        CONTINUE WHEN v_tokens[i] NOT IN ('==', '!=', '>', '>=', '<', '<=');
        v_open := 0;
        j := i;
        WHILE j > 1 AND v_tokens[j - 1] NOT IN ('&&', '||', '!') AND NOT (v_tokens[j - 1] = '(' AND v_open = 0) LOOP
            j := j - 1;
            v_open := v_open + CASE v_tokens[j] WHEN ')' THEN 1 WHEN '(' THEN -1 ELSE 0 END;
        END LOOP;
        v_first := v_first || j;
        v_operator := v_operator || i;
        v_open := 0;
        j := i;
        WHILE j < cardinality(v_tokens) AND v_tokens[j + 1] NOT IN ('&&', '||', '!') AND NOT (v_tokens[j + 1] = ')' AND v_open = 0) LOOP
            j := j + 1;
            v_open := v_open + CASE v_tokens[j] WHEN '(' THEN 1 WHEN ')' THEN -1 ELSE 0 END;
        END LOOP;
        v_last := v_last || j;
        n := n + 1;
        v_results := v_results || (monitoring.evaluate_condition(
            substr(p_condition, v_starts[v_first[n]], v_starts[j] + length(v_tokens[j]) - v_starts[v_first[n]]), p_inputs)).result;
    END LOOP;

    IF v_whole = 'NO_DATA' THEN
        SELECT array_agg(o) INTO v_decided FROM unnest(v_results) WITH ORDINALITY AS u (r, o) WHERE r = 'NO_DATA';
    ELSE
        i := 1;
        n := 0;
        WHILE i <= cardinality(v_tokens) + 1 LOOP
            IF n < cardinality(v_first) AND i = v_first[n + 1] THEN
                n := n + 1;
                v_values := v_values || v_results[n];
                v_causes := v_causes || ARRAY[n]::text;
                i := v_last[n] + 1;
                CONTINUE;
            END IF;
            v_op := coalesce(v_tokens[i], ')');  -- the whole stands in parentheses
            i := i + 1;
            IF v_op IN ('(', '!') THEN
                v_waiting := v_waiting || v_op;
                CONTINUE;
            END IF;
            WHILE array_position(ARRAY['(', ')', '||', '&&', '!'], v_waiting[cardinality(v_waiting)])
                  >= greatest(2, array_position(ARRAY['(', ')', '||', '&&', '!'], v_op)) LOOP
                v_b := v_values[cardinality(v_values)];
                IF v_waiting[cardinality(v_waiting)] = '!' THEN
                    v_values[cardinality(v_values)] := CASE v_b WHEN 'TRUE' THEN 'FALSE' WHEN 'FALSE' THEN 'TRUE' ELSE v_b END;
                ELSE
                    -- One FALSE decides &&, one TRUE decides ||, whatever the other side is.
                    v_strong := CASE v_waiting[cardinality(v_waiting)] WHEN '&&' THEN 'FALSE' ELSE 'TRUE' END;
                    v_a := v_values[cardinality(v_values) - 1];
                    v_cause_a := v_causes[cardinality(v_causes) - 1]::integer[];
                    v_cause_b := v_causes[cardinality(v_causes)]::integer[];
                    IF v_strong NOT IN (v_a, v_b) THEN
                        v_strong := CASE WHEN 'ERROR' IN (v_a, v_b) THEN 'ERROR' ELSE v_a END;
                    END IF;
                    v_values := trim_array(v_values, 2) || v_strong;
                    v_causes := trim_array(v_causes, 2)
                                || (CASE WHEN v_a = v_strong THEN v_cause_a ELSE '{}' END
                                    || CASE WHEN v_b = v_strong THEN v_cause_b ELSE '{}' END)::text;
                END IF;
                v_waiting := trim_array(v_waiting, 1);
            END LOOP;
            v_waiting := CASE v_op WHEN ')' THEN trim_array(v_waiting, 1) ELSE v_waiting || v_op END;
        END LOOP;
        v_decided := v_causes[1]::integer[];
    END IF;

    FOR n IN 1 .. cardinality(v_first) LOOP
        ordinal := n;
        comparison := substr(p_condition, v_starts[v_first[n]],
                             v_starts[v_last[n]] + length(v_tokens[v_last[n]]) - v_starts[v_first[n]]);
        left_value := monitoring.operand_value(v_tokens[v_first[n] : v_operator[n] - 1], p_inputs);
        operator := v_tokens[v_operator[n]];
        right_value := monitoring.operand_value(v_tokens[v_operator[n] + 1 : v_last[n]], p_inputs);
        result := v_results[n];
        decided := coalesce(n = ANY (v_decided), false);
        -- Alone: the whole with this comparison's opposite in its place gives another result.
        v_head := left(p_condition, v_starts[v_first[n]] - 1);
        v_tail := substr(p_condition, v_starts[v_first[n]] + length(comparison));
        alone := decided AND CASE result
            WHEN 'TRUE' THEN (monitoring.evaluate_condition(v_head || '1<0' || v_tail, p_inputs)).result <> v_whole
            WHEN 'FALSE' THEN (monitoring.evaluate_condition(v_head || '0<1' || v_tail, p_inputs)).result <> v_whole
            ELSE v_whole NOT IN ((monitoring.evaluate_condition(v_head || '1<0' || v_tail, p_inputs)).result,
                                 (monitoring.evaluate_condition(v_head || '0<1' || v_tail, p_inputs)).result) END;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.explain_condition(text, jsonb) IS
    'Takes a condition apart: each comparison with the values of its sides and its result. decided: the whole rests on it; alone: without it the whole would be another. Several decided and none alone: any of them was enough.';

-- ---------------------------------------------------------------- one alert

DROP FUNCTION IF EXISTS monitoring.explain_alert(bytea);
CREATE OR REPLACE FUNCTION monitoring.explain_alert(
    p_alert_instance_hk bytea,
    OUT evidence text, OUT evidence_note text,
    OUT evaluated_at timestamptz, OUT decision text, OUT condition text, OUT inputs jsonb,
    OUT recorded_result text, OUT recorded_value numeric, OUT recorded_reason text,
    OUT result text, OUT value numeric, OUT agrees boolean, OUT disagreement text,
    OUT result_since timestamptz, OUT pending_minutes integer, OUT no_data_minutes integer, OUT suppression_minutes integer,
    OUT suppression_reason text, OUT unsuppressed_at timestamptz,
    OUT definition_version timestamptz, OUT definition_changed_at timestamptz, OUT newer_versions integer,
    OUT looks integer, OUT looks_true integer, OUT looks_false integer, OUT looks_no_data integer, OUT looks_error integer,
    OUT held_until timestamptz, OUT first_false_at timestamptz, OUT cleared_at timestamptz,
    OUT last_evaluated_at timestamptz, OUT last_result text, OUT last_value numeric, OUT last_decision text,
    OUT fire_looks integer, OUT of_looks integer, OUT counted_true integer, OUT counted_of integer,
    OUT decision_reason text, OUT reopened_count integer, OUT reopened_at timestamptz, OUT reopened_reason text,
    OUT flapping_since timestamptz, OUT flapping_reason text, OUT last_decision_reason text)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
DECLARE
    v_alert   record;
    v_first   monitoring.alert_instance_s;
    v_look    monitoring.alert_evaluation_s;
    v_version monitoring.alert_definition_s;
    v_now     monitoring.alert_instance_s;
    v_reopen  record;
    v_counted record;
    v_again   record;
    v_wrong   text[] := '{}';
BEGIN
    SELECT h.* INTO v_alert FROM monitoring.alert_instance_h h WHERE h.alert_instance_hk = p_alert_instance_hk;
    IF v_alert.alert_instance_hk IS NULL THEN
        RAISE EXCEPTION 'no alert with hash key %', coalesce(encode(p_alert_instance_hk, 'hex'), 'NULL')
            USING ERRCODE = 'P0002', HINT = 'Find it first: SELECT * FROM monitoring.explain_alert(monitoring.find_alert(''A-7F3K'')).';
    END IF;
    SELECT s.* INTO v_first FROM monitoring.alert_instance_s s
     WHERE s.alert_instance_hk = p_alert_instance_hk ORDER BY s.load_date LIMIT 1;
    SELECT e.* INTO v_look
      FROM monitoring.looks_of(v_alert.alert_definition_hk, v_alert.target_name, v_alert.tenant_hk, v_alert.labels,
               v_first.triggered_timestamp, v_first.triggered_timestamp) AS e
     WHERE e.decision IN ('FIRED', 'SUPPRESSED', 'UNSUPPRESSED')
     LIMIT 1;
    SELECT d.* INTO v_version FROM monitoring.alert_definition_s d
     WHERE d.alert_definition_hk = v_alert.alert_definition_hk
       AND d.load_date = coalesce(v_look.definition_load_date, (v_first.trigger_details ->> 'definition_load_date')::timestamptz);
    IF v_version.load_date IS NULL THEN
        -- Not fired by the evaluator: the version that was current at its opening.
        SELECT d.* INTO v_version FROM monitoring.alert_definition_s d
         WHERE d.alert_definition_hk = v_alert.alert_definition_hk
         ORDER BY (d.load_date <= v_first.triggered_timestamp) DESC,
                  CASE WHEN d.load_date <= v_first.triggered_timestamp THEN d.load_date END DESC, d.load_date
         LIMIT 1;
    END IF;

    definition_version := v_version.load_date;
    SELECT min(d.load_date), count(*) INTO definition_changed_at, newer_versions FROM monitoring.alert_definition_s d
     WHERE d.alert_definition_hk = v_alert.alert_definition_hk AND d.load_date > v_version.load_date;
    pending_minutes := v_version.pending_minutes;
    no_data_minutes := v_version.no_data_minutes;
    suppression_minutes := v_version.suppression_window_minutes;
    suppression_reason := v_first.suppression_reason;
    fire_looks := v_version.fire_looks;
    of_looks := v_version.of_looks;
    SELECT s.* INTO v_now FROM monitoring.alert_instance_s s
     WHERE s.alert_instance_hk = p_alert_instance_hk AND s.load_end_date IS NULL;
    reopened_count := v_now.reopened_count;
    reopened_at := v_now.reopened_timestamp;
    flapping_since := v_now.flapping_since;
    flapping_reason := v_now.flapping_reason;
    IF v_first.alert_status = 'SUPPRESSED' THEN
        SELECT min(coalesce(s.changed_at, s.load_date)) INTO unsuppressed_at FROM monitoring.alert_instance_s s
         WHERE s.alert_instance_hk = p_alert_instance_hk AND s.alert_status = 'OPEN';
    END IF;

    CASE
    WHEN v_look.evaluated_at IS NOT NULL THEN
        evidence := 'EVALUATION';
        evaluated_at := v_look.evaluated_at;
        decision := v_look.decision;
        condition := v_version.condition_logic;
        inputs := v_look.inputs;
        recorded_result := v_look.result;
        recorded_value := v_look.evaluated_value;
        recorded_reason := v_look.reason;
        result_since := v_look.result_since;
        counted_true := v_look.true_looks;
        counted_of := v_look.of_looks;
        decision_reason := v_look.decision_reason;
        IF v_look.of_looks IS NOT NULL THEN
            -- The looks are still there: counted again they give what was recorded.
            SELECT l.true_looks, l.of_looks INTO v_counted
              FROM monitoring.count_looks(v_version, v_alert.target_name, v_alert.tenant_hk, v_look.evaluated_at, v_look.result, v_alert.labels) AS l;
            IF v_counted.true_looks IS DISTINCT FROM v_look.true_looks OR v_counted.of_looks IS DISTINCT FROM v_look.of_looks THEN
                v_wrong := v_wrong || format('recorded were %s true of %s looks, counted again they are %s of %s',
                                             v_look.true_looks, v_look.of_looks, v_counted.true_looks, v_counted.of_looks);
            END IF;
        END IF;
        IF v_version.load_date IS DISTINCT FROM v_look.definition_load_date THEN
            v_wrong := v_wrong || format('the definition has no version of %s, under which it was evaluated', v_look.definition_load_date);
        END IF;
        IF v_first.trigger_details -> 'inputs' IS DISTINCT FROM v_look.inputs THEN
            v_wrong := v_wrong || format('the alert holds the inputs %s, its evaluation %s',
                                         coalesce(v_first.trigger_details ->> 'inputs', 'none'), v_look.inputs);
        END IF;
        IF v_first.trigger_value IS DISTINCT FROM v_look.evaluated_value THEN
            v_wrong := v_wrong || format('the alert holds the value %s, its evaluation %s',
                                         coalesce(trim_scale(v_first.trigger_value)::text, 'none'), coalesce(trim_scale(v_look.evaluated_value)::text, 'none'));
        END IF;
    WHEN v_version.metric_source IN ('worker', 'external') THEN
        evidence := CASE v_version.metric_source WHEN 'worker' THEN 'WORKER' ELSE 'SOURCE' END;
        evidence_note := CASE v_version.metric_source
            WHEN 'worker' THEN 'the worker decided by itself, because the vault could not be used: there was no place for an evaluation'
            ELSE format('the source %s decided; it says %s', v_first.trigger_details ->> 'source', coalesce(v_first.trigger_details ->> 'link', 'not where it can be looked up')) END;
        evaluated_at := v_first.triggered_timestamp;
        condition := v_version.condition_logic;
        recorded_value := v_first.trigger_value;
        recorded_reason := v_first.trigger_details ->> 'reason';
    WHEN v_first.trigger_details ? 'inputs' AND v_first.trigger_details ? 'result' THEN
        evidence := 'TRIGGER_DETAILS';
        evidence_note := 'the evaluation itself is no longer kept; this is the copy of it in the alert';
        evaluated_at := v_first.triggered_timestamp;
        decision := CASE v_first.alert_status WHEN 'SUPPRESSED' THEN 'SUPPRESSED' ELSE 'FIRED' END;
        condition := coalesce(v_first.trigger_details ->> 'condition', v_version.condition_logic);
        inputs := v_first.trigger_details -> 'inputs';
        recorded_result := v_first.trigger_details ->> 'result';
        recorded_value := v_first.trigger_value;
        recorded_reason := v_first.trigger_details ->> 'reason';
    ELSE
        evidence := 'NONE';
        evidence_note := format('no evaluation opened it: it was written by %s%s', v_first.record_source, coalesce(', ' || v_first.changed_via, ''));
    END CASE;

    IF evidence IN ('EVALUATION', 'TRIGGER_DETAILS') THEN
        v_again := monitoring.evaluate_condition(condition, inputs);
        result := v_again.result;
        value := v_again.evaluated_value;
        IF result IS DISTINCT FROM recorded_result THEN
            v_wrong := v_wrong || format('recorded was %s, evaluated again it is %s', coalesce(recorded_result, 'nothing'), result);
        END IF;
        IF round(value, 4) IS DISTINCT FROM recorded_value THEN
            v_wrong := v_wrong || format('recorded was the value %s, evaluated again it is %s',
                                         coalesce(trim_scale(recorded_value)::text, 'none'), coalesce(trim_scale(value)::text, 'none'));
        END IF;
        IF inputs ? 'threshold_value' AND (inputs ->> 'threshold_value')::numeric IS DISTINCT FROM v_version.threshold_value THEN
            v_wrong := v_wrong || format('recorded was the threshold %s, the definition''s version says %s',
                                         inputs ->> 'threshold_value', coalesce(trim_scale(v_version.threshold_value)::text, 'none'));
        END IF;
        IF reopened_at IS NOT NULL THEN
            -- Its last opening as well, under the version of that moment.
            SELECT e.result, e.evaluated_value, e.decision_reason, d.condition_logic, e.inputs INTO v_reopen
              FROM monitoring.looks_of(v_alert.alert_definition_hk, v_alert.target_name, v_alert.tenant_hk, v_alert.labels, reopened_at, reopened_at) AS e
              JOIN monitoring.alert_definition_s d ON d.alert_definition_hk = e.alert_definition_hk AND d.load_date = e.definition_load_date
             WHERE e.decision = 'REOPENED';
            IF FOUND THEN
                reopened_reason := v_reopen.decision_reason;
                v_again := monitoring.evaluate_condition(v_reopen.condition_logic, v_reopen.inputs);
                IF v_again.result IS DISTINCT FROM v_reopen.result OR round(v_again.evaluated_value, 4) IS DISTINCT FROM v_reopen.evaluated_value THEN
                    v_wrong := v_wrong || format('when it opened again %s was recorded, evaluated again it is %s', v_reopen.result, v_again.result);
                END IF;
            END IF;
        END IF;
        agrees := v_wrong = '{}';
        disagreement := nullif(array_to_string(v_wrong, '; '), '');
    END IF;

    SELECT count(*), count(*) FILTER (WHERE e.result = 'TRUE'), count(*) FILTER (WHERE e.result = 'FALSE'),
           count(*) FILTER (WHERE e.result = 'NO_DATA'), count(*) FILTER (WHERE e.result = 'ERROR'),
           min(e.evaluated_at) FILTER (WHERE e.result = 'FALSE'), max(e.evaluated_at) FILTER (WHERE e.decision = 'RESOLVED' AND v_now.alert_status = 'RESOLVED')
      INTO looks, looks_true, looks_false, looks_no_data, looks_error, first_false_at, cleared_at
      FROM monitoring.looks_of(v_alert.alert_definition_hk, v_alert.target_name, v_alert.tenant_hk, v_alert.labels,
               v_first.triggered_timestamp, coalesce(v_now.resolved_timestamp, 'infinity')) AS e
     WHERE e.evaluated_at > v_first.triggered_timestamp;
    SELECT max(e.evaluated_at) INTO held_until
      FROM monitoring.looks_of(v_alert.alert_definition_hk, v_alert.target_name, v_alert.tenant_hk, v_alert.labels,
               v_first.triggered_timestamp, coalesce(first_false_at, 'infinity')) AS e
     WHERE e.evaluated_at < coalesce(first_false_at, 'infinity') AND e.result = recorded_result;
    SELECT max(e.evaluated_at) INTO last_evaluated_at
      FROM monitoring.alert_evaluation_s e
     WHERE e.alert_definition_hk = v_alert.alert_definition_hk AND e.target_name = v_alert.target_name
       AND e.tenant_hk IS NOT DISTINCT FROM v_alert.tenant_hk AND e.load_end_date IS NULL;
    SELECT e.* INTO v_look
      FROM monitoring.looks_of(v_alert.alert_definition_hk, v_alert.target_name, v_alert.tenant_hk, v_alert.labels,
               last_evaluated_at, last_evaluated_at) AS e;
    last_evaluated_at := v_look.evaluated_at;
    last_result := v_look.result;
    last_value := v_look.evaluated_value;
    last_decision := v_look.decision;
    last_decision_reason := v_look.decision_reason;
END
$$;
COMMENT ON FUNCTION monitoring.explain_alert(bytea) IS
    'Why an alert fired: the evaluation that opened it, done again from its recorded inputs under the version of the definition that it names (agrees must be true), and what the evaluations after it gave. Its comparisons: monitoring.explain_condition(condition, inputs).';

-- ---------------------------------------------------------------- one definition

DROP FUNCTION IF EXISTS monitoring.explain_definition(text, text);
CREATE OR REPLACE FUNCTION monitoring.explain_definition(p_definition_key text, p_target text DEFAULT NULL)
    RETURNS TABLE (target_name text, tenant text, verdict text, is_enabled boolean, metric_source text, definition_version timestamptz,
                   every_minutes integer, pending_minutes integer, no_data_minutes integer, no_data_state text,
                   evaluated_at timestamptz, evaluated_version timestamptz, next_due timestamptz, missed integer,
                   condition text, inputs jsonb, recorded_result text, recorded_value numeric, recorded_reason text, result_since timestamptz,
                   decision text, result text, agrees boolean, fires_at timestamptz, suppressed_until timestamptz,
                   open_alert text, open_status text, open_since timestamptz, last_alert text, last_alert_at timestamptz,
                   decision_reason text)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
DECLARE
    v_now        timestamptz := clock_timestamp();
    v_key        bytea;
    v_definition monitoring.alert_definition_s;
    v_version    monitoring.alert_definition_s;
    v_look       monitoring.alert_evaluation_s;
    v_group      record;
    v_again      record;
BEGIN
    SELECT h.alert_definition_hk INTO v_key FROM monitoring.alert_definition_h h WHERE h.alert_definition_bk = p_definition_key;
    SELECT d.* INTO v_definition FROM monitoring.alert_definition_s d WHERE d.alert_definition_hk = v_key AND d.load_end_date IS NULL;
    IF v_definition.alert_definition_hk IS NULL THEN
        RAISE EXCEPTION 'no alert definition "%"', p_definition_key
            USING ERRCODE = 'P0002', HINT = 'See them all: onevault definition list --all.';
    END IF;
    is_enabled := v_definition.is_enabled;
    metric_source := v_definition.metric_source;
    definition_version := v_definition.load_date;
    every_minutes := v_definition.evaluation_frequency_minutes;
    pending_minutes := v_definition.pending_minutes;
    no_data_minutes := v_definition.no_data_minutes;
    no_data_state := v_definition.no_data_state;

    FOR v_group IN
        SELECT DISTINCT g.target, g.tenant_hk
          FROM (SELECT e.target_name::text AS target, e.tenant_hk FROM monitoring.alert_evaluation_s e
                 WHERE e.alert_definition_hk = v_key AND e.load_end_date IS NULL
                UNION ALL
                SELECT a.target_name::text, a.tenant_hk FROM monitoring.alert_instance_h a WHERE a.alert_definition_hk = v_key
                UNION ALL
                SELECT p_target, h.tenant_hk FROM monitoring.alert_definition_h h WHERE h.alert_definition_hk = v_key) AS g
         WHERE g.target = p_target OR p_target IS NULL AND g.target IS NOT NULL
         ORDER BY g.target, g.tenant_hk NULLS FIRST
    LOOP
        target_name := v_group.target;
        tenant := encode(v_group.tenant_hk, 'hex');
        SELECT e.* INTO v_look FROM monitoring.alert_evaluation_s e
         WHERE e.alert_definition_hk = v_key AND e.target_name = v_group.target
           AND e.tenant_hk IS NOT DISTINCT FROM v_group.tenant_hk AND e.load_end_date IS NULL
         ORDER BY e.evaluated_at DESC LIMIT 1;
        SELECT d.* INTO v_version FROM monitoring.alert_definition_s d
         WHERE d.alert_definition_hk = v_key AND d.load_date = v_look.definition_load_date;
        evaluated_at := v_look.evaluated_at;
        evaluated_version := v_look.definition_load_date;
        next_due := v_look.evaluated_at + make_interval(mins => every_minutes);
        -- How many looks should have come since: with 3 or more, nobody looks (as doctor says).
        missed := greatest(0, floor(extract(epoch FROM v_now - interval '1 minute' - v_look.evaluated_at) / 60 / every_minutes))::integer;
        condition := coalesce(v_version.condition_logic, v_definition.condition_logic);
        inputs := v_look.inputs;
        recorded_result := v_look.result;
        recorded_value := v_look.evaluated_value;
        recorded_reason := v_look.reason;
        result_since := v_look.result_since;
        decision := v_look.decision;
        decision_reason := v_look.decision_reason;
        result := NULL;
        agrees := NULL;
        IF v_look.evaluated_at IS NOT NULL THEN
            v_again := monitoring.evaluate_condition(condition, inputs);
            result := v_again.result;
            -- An ERROR without any inputs is that of their source: there is nothing to evaluate again.
            agrees := CASE WHEN recorded_result = 'ERROR' AND result = 'NO_DATA' THEN NULL
                           ELSE result = recorded_result AND round(v_again.evaluated_value, 4) IS NOT DISTINCT FROM recorded_value END;
        END IF;

        -- Where looks are counted, as many more as are missing must be TRUE.
        fires_at := CASE WHEN decision = 'PENDING' THEN greatest(result_since + make_interval(mins =>
                        CASE recorded_result WHEN 'TRUE' THEN v_version.pending_minutes ELSE v_version.no_data_minutes END),
                        CASE WHEN recorded_result = 'TRUE' THEN v_look.evaluated_at + make_interval(mins =>
                             every_minutes * greatest(0, v_version.fire_looks - v_look.true_looks)) END) END;
        suppressed_until := monitoring.last_opening(v_key, v_group.target, v_group.tenant_hk)
                            + make_interval(mins => v_definition.suppression_window_minutes);
        suppressed_until := CASE WHEN suppressed_until > v_now THEN suppressed_until END;
        open_alert := NULL;
        open_status := NULL;
        open_since := NULL;
        SELECT monitoring.alert_short_id(s.alert_instance_hk), s.alert_status, s.triggered_timestamp
          INTO open_alert, open_status, open_since
          FROM monitoring.alert_instance_h h
          JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
         WHERE h.alert_definition_hk = v_key AND h.target_name = v_group.target
           AND h.tenant_hk IS NOT DISTINCT FROM v_group.tenant_hk AND s.alert_status <> 'RESOLVED'
         ORDER BY s.alert_status = 'SUPPRESSED', s.triggered_timestamp DESC LIMIT 1;
        last_alert := NULL;
        last_alert_at := NULL;
        SELECT monitoring.alert_short_id(s.alert_instance_hk), s.triggered_timestamp INTO last_alert, last_alert_at
          FROM monitoring.alert_instance_h h
          JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
         WHERE h.alert_definition_hk = v_key AND h.target_name = v_group.target
           AND h.tenant_hk IS NOT DISTINCT FROM v_group.tenant_hk
         ORDER BY s.triggered_timestamp DESC LIMIT 1;

        verdict := CASE
            WHEN open_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED') THEN 'FIRING'
            WHEN metric_source = 'worker' THEN 'WORKER'
            WHEN metric_source = 'external' THEN 'SOURCE'
            WHEN NOT is_enabled THEN 'DISABLED'
            WHEN evaluated_at IS NULL OR missed >= 3 THEN 'NOBODY_LOOKED'
            WHEN open_status = 'SUPPRESSED' THEN 'SUPPRESSED'
            WHEN decision = 'PENDING' THEN 'PENDING'
            WHEN recorded_result IN ('NO_DATA', 'ERROR') THEN recorded_result
            WHEN recorded_result = 'TRUE' THEN 'DUE'  -- somebody resolved it by hand: the next look fires
            ELSE 'NOT_MET' END;
        RETURN NEXT;
    END LOOP;
    IF NOT FOUND THEN
        verdict := CASE WHEN metric_source = 'worker' THEN 'WORKER' WHEN metric_source = 'external' THEN 'SOURCE' WHEN NOT is_enabled THEN 'DISABLED' ELSE 'NOBODY_LOOKED' END;
        condition := v_definition.condition_logic;
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.explain_definition(text, text) IS
    'Why a definition fires or not, per target: FIRING, NOT_MET, PENDING, DUE, SUPPRESSED, NO_DATA, ERROR, DISABLED, WORKER (decided by the worker), SOURCE (by the one that sends its alerts), NOBODY_LOOKED (three looks or more are missing: no alert means nothing). p_target NULL: every target it was looked at on.';
