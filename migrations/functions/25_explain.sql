-- Why: a condition taken apart into its comparisons, and an evaluation done again from its recorded
-- inputs. Explaining uses the evaluator itself (evaluate_condition), so it cannot tell another story.

CREATE OR REPLACE FUNCTION monitoring.operand_value(p_tokens text[], p_inputs jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    v_path  text;
    v_value jsonb;
BEGIN
    SELECT string_agg(CASE WHEN t ~ '^[A-Za-z_]' AND t NOT IN ('true', 'false') THEN '$."' || t || '"' ELSE t END, ' ' ORDER BY o)
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
        v_tokens := v_tokens || substring(v_rest FROM
            '^(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+(?:\.[0-9]+)?|"[^"\\]*"|&&|\|\||==|!=|>=|<=|[-+*/%()<>!])');
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
