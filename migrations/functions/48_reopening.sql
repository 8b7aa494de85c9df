-- An alert that comes and goes: what fires again soon continues the alert that had just cleared, and what does
-- so often is called flapping, told once, and kept open until it is stable.

DROP FUNCTION IF EXISTS monitoring.openings_within(bytea, text, bytea, timestamptz, timestamptz);

CREATE OR REPLACE FUNCTION monitoring.openings_within(
    p_definition_hk bytea, p_target text, p_tenant_hk bytea, p_from timestamptz, p_until timestamptz, p_labels jsonb DEFAULT '{}') RETURNS integer
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    -- plpgsql plans each of these once in a session; to plan for all partitions costs more than to count.
    -- Suppressed firings called nobody, so they do not count. Of a definition that alerts by labels, the row of the look
    -- itself tells what became of several.
    IF p_labels = '{}' THEN
        RETURN (
            SELECT count(*)::integer
              FROM monitoring.alert_evaluation_s e
             WHERE e.alert_definition_hk = p_definition_hk
               AND e.target_name = p_target
               AND e.tenant_hk IS NOT DISTINCT FROM p_tenant_hk
               AND e.evaluated_at > p_from AND e.evaluated_at < p_until
               AND e.decision IN ('FIRED', 'UNSUPPRESSED', 'REOPENED')
               AND e.load_end_date IS NULL);
    END IF;
    RETURN (
        SELECT count(*)::integer
          FROM monitoring.alert_label_evaluation_s e
         WHERE e.alert_definition_hk = p_definition_hk
           AND e.target_name = p_target
           AND e.tenant_hk IS NOT DISTINCT FROM p_tenant_hk
           AND e.labels_id = monitoring.labels_id(p_labels)
           AND e.evaluated_at > p_from AND e.evaluated_at < p_until
           AND e.decision IN ('FIRED', 'UNSUPPRESSED', 'REOPENED')
           AND e.load_end_date IS NULL);
END
$$;
COMMENT ON FUNCTION monitoring.openings_within(bytea, text, bytea, timestamptz, timestamptz, jsonb) IS
    'How often the evaluation of a definition called people on a target, about a label set, after p_from and before p_until.';

DROP FUNCTION IF EXISTS monitoring.flapping_reason(monitoring.alert_definition_s, text, bytea, timestamptz);

CREATE OR REPLACE FUNCTION monitoring.flapping_reason(
    p_definition monitoring.alert_definition_s, p_target text, p_tenant_hk bytea, p_at timestamptz, p_labels jsonb DEFAULT '{}') RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT format('opened %s times within %s minutes', n.openings, p_definition.flap_minutes)
      FROM (SELECT 1 + monitoring.openings_within(p_definition.alert_definition_hk, p_target, p_tenant_hk,
                           p_at - make_interval(mins => p_definition.flap_minutes), p_at, p_labels) AS openings) AS n
     WHERE p_definition.flap_count > 0 AND n.openings >= p_definition.flap_count
    $$;
COMMENT ON FUNCTION monitoring.flapping_reason(monitoring.alert_definition_s, text, bytea, timestamptz, jsonb) IS
    'Why an alert that opens at this moment is flapping; NULL: it is not.';

CREATE OR REPLACE FUNCTION monitoring.opened_at(p_alert monitoring.alert_instance_s) RETURNS timestamptz
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce(max(s.changed_at), p_alert.triggered_timestamp)
      FROM monitoring.alert_instance_s s
     WHERE s.alert_instance_hk = p_alert.alert_instance_hk AND s.alert_status = 'OPEN' AND s.changed_via = 'evaluator'
    $$;
COMMENT ON FUNCTION monitoring.opened_at(monitoring.alert_instance_s) IS
    'When the evaluation last opened an alert: at its firing, at the end of its suppression, or when it fired again.';

CREATE OR REPLACE FUNCTION monitoring.tell_opening(p_alert_instance_hk bytea, p_at timestamptz) RETURNS void
    LANGUAGE sql
    AS $$
    -- What the row says now, and not what it may say when the relay comes: it may have ended and opened again by then.
    SELECT monitoring.tell_workflow('FIRED', p_alert_instance_hk, jsonb_build_object(
               'at', p_at, 'reopened', s.reopened_count, 'flapping_since', s.flapping_since, 'flapping_reason', s.flapping_reason))
      FROM monitoring.alert_instance_s s
     WHERE s.alert_instance_hk = p_alert_instance_hk AND s.load_end_date IS NULL
    $$;
COMMENT ON FUNCTION monitoring.tell_opening(bytea, timestamptz) IS
    'Tells the workflow of an alert that it opened, or opened again, and whether it flaps.';

DROP FUNCTION IF EXISTS monitoring.reopen_alert(monitoring.alert_definition_s, text, bytea, timestamptz, numeric, jsonb, text);

CREATE OR REPLACE FUNCTION monitoring.reopen_alert(
    p_definition monitoring.alert_definition_s, p_target text, p_tenant_hk bytea, p_at timestamptz, p_value numeric, p_details jsonb,
    p_flapping text, p_labels jsonb DEFAULT '{}') RETURNS text
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_hk    bytea;
    v_ended timestamptz;
    c       monitoring.alert_instance_s;
BEGIN
    IF p_definition.reopen_minutes = 0 THEN
        RETURN NULL;
    END IF;
    SELECT s.alert_instance_hk INTO v_hk
      FROM monitoring.alert_instance_h h
      JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
     WHERE h.alert_definition_hk = p_definition.alert_definition_hk
       AND h.target_name = p_target
       AND h.tenant_hk IS NOT DISTINCT FROM p_tenant_hk
       AND monitoring.labels_id(h.labels) = monitoring.labels_id(p_labels)
     ORDER BY greatest(s.triggered_timestamp, s.reopened_timestamp) DESC
     LIMIT 1;
    IF v_hk IS NULL OR NOT monitoring.hold_alert(v_hk, least(p_at, clock_timestamp()) + interval '1 second') THEN
        RETURN NULL;  -- another transaction is changing it: a new alert pages now, and nobody is waited for
    END IF;
    c := monitoring.lock_current_alert(v_hk);
    v_ended := c.resolved_timestamp;
    -- What a person ended stays ended, and of what was suppressed to its end nobody was ever told.
    IF c.alert_status IS DISTINCT FROM 'RESOLVED' OR c.resolved_by IS DISTINCT FROM 'condition cleared' OR c.changed_via IS DISTINCT FROM 'evaluator'
       OR p_at >= v_ended + make_interval(mins => p_definition.reopen_minutes)
       OR NOT EXISTS (SELECT FROM monitoring.alert_instance_s s WHERE s.alert_instance_hk = v_hk AND s.alert_status = 'OPEN') THEN
        RETURN NULL;
    END IF;

    c.load_date := clock_timestamp();
    c.alert_status := 'OPEN';
    c.changed_at := p_at;
    c.changed_via := 'evaluator';
    c.record_source := 'ALERT_ENGINE';
    -- It goes on under the version that it fires under now; how it began stands in its first version.
    c.trigger_value := p_value;
    c.trigger_details := p_details;
    c.urgency_level := p_definition.alert_severity;
    c.acknowledged_timestamp := NULL;
    c.acknowledged_by := NULL;
    c.acknowledgment_notes := NULL;
    c.acknowledged_until := NULL;
    c.snoozed_until := NULL;
    c.changed_by := NULL;
    c.change_notes := NULL;
    c.resolved_timestamp := NULL;
    c.resolved_by := NULL;
    c.resolution_notes := NULL;
    c.reopened_count := coalesce(c.reopened_count, 0) + 1;
    c.reopened_timestamp := p_at;
    c.flapping_since := CASE WHEN p_flapping IS NOT NULL THEN p_at END;
    c.flapping_reason := p_flapping;
    INSERT INTO monitoring.alert_instance_s SELECT (c).*;
    PERFORM monitoring.tell_opening(v_hk, p_at);
    RETURN format('it had cleared at %s, within the %s minutes in which a new firing continues the alert',
                  to_char(v_ended AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), p_definition.reopen_minutes);
END
$$;
COMMENT ON FUNCTION monitoring.reopen_alert(monitoring.alert_definition_s, text, bytea, timestamptz, numeric, jsonb, text, jsonb) IS
    'Opens again the alert of a group, or of a label set in it, that cleared within reopen_minutes, and tells its workflow; returns why, or NULL when there is none. Somebody must answer it anew.';

CREATE OR REPLACE FUNCTION monitoring.mark_flapping(p_alert_instance_hk bytea, p_since timestamptz, p_reason text) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    c monitoring.alert_instance_s := monitoring.lock_current_alert(p_alert_instance_hk);
BEGIN
    -- No change of status: changed_at and changed_via stay those of the last one.
    c.load_date := clock_timestamp();
    c.flapping_since := p_since;
    c.flapping_reason := p_reason;
    INSERT INTO monitoring.alert_instance_s SELECT (c).*;
END
$$;
COMMENT ON FUNCTION monitoring.mark_flapping(bytea, timestamptz, text) IS
    'Writes that an alert is flapping, or (NULL) that it is not any more.';

-- ---------------------------------------------------------------- looks

CREATE OR REPLACE FUNCTION monitoring.known_results(
    p_definition_hk bytea, p_target text, p_tenant_hk bytea, p_labels jsonb, p_before timestamptz, p_limit integer)
    RETURNS TABLE (result text)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
DECLARE
    v_id    text := monitoring.labels_id(p_labels);
    v_first timestamptz;
BEGIN
    IF p_labels = '{}' THEN
        RETURN QUERY
        SELECT e.result::text
          FROM monitoring.alert_evaluation_s e
         WHERE e.alert_definition_hk = p_definition_hk
           AND e.target_name = p_target
           AND e.tenant_hk IS NOT DISTINCT FROM p_tenant_hk
           AND e.evaluated_at < p_before AND e.evaluated_at > p_before - interval '8 days'
           AND e.result IN ('TRUE', 'FALSE')
           AND e.load_end_date IS NULL
         ORDER BY e.evaluated_at DESC
         LIMIT p_limit;
        RETURN;
    END IF;
    -- Each look found of a label set what its newest row until then says.
    SELECT min(x.evaluated_at) INTO v_first
      FROM monitoring.alert_label_evaluation_s x
     WHERE x.alert_definition_hk = p_definition_hk AND x.target_name = p_target AND x.labels_id = v_id
       AND x.tenant_hk IS NOT DISTINCT FROM p_tenant_hk AND x.load_end_date IS NULL;
    RETURN QUERY
    SELECT found.result::text
      FROM monitoring.alert_evaluation_s e
     CROSS JOIN LATERAL (
               SELECT x.result
                 FROM monitoring.alert_label_evaluation_s x
                WHERE x.alert_definition_hk = p_definition_hk AND x.target_name = p_target AND x.labels_id = v_id
                  AND x.tenant_hk IS NOT DISTINCT FROM p_tenant_hk AND x.load_end_date IS NULL
                  AND x.evaluated_at <= e.evaluated_at
                ORDER BY x.evaluated_at DESC
                LIMIT 1) AS found
     WHERE e.alert_definition_hk = p_definition_hk
       AND e.target_name = p_target
       AND e.tenant_hk IS NOT DISTINCT FROM p_tenant_hk
       AND e.evaluated_at < p_before AND e.evaluated_at > p_before - interval '8 days' AND e.evaluated_at >= v_first
       AND found.result IN ('TRUE', 'FALSE')
       AND e.load_end_date IS NULL
     ORDER BY e.evaluated_at DESC
     LIMIT p_limit;
END
$$;
COMMENT ON FUNCTION monitoring.known_results(bytea, text, bytea, jsonb, timestamptz, integer) IS
    'What the last looks before a moment that knew anything gave, TRUE or FALSE, the newest first; of a definition that alerts by labels about one label set.';

CREATE OR REPLACE FUNCTION monitoring.looks_of(
    p_definition_hk bytea, p_target text, p_tenant_hk bytea, p_labels jsonb, p_from timestamptz, p_to timestamptz)
    RETURNS SETOF monitoring.alert_evaluation_s
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_id   text := monitoring.labels_id(p_labels);
    e      monitoring.alert_evaluation_s;
    v_set  monitoring.alert_label_evaluation_s;
    v_next monitoring.alert_label_evaluation_s;
    v_sets refcursor;  -- of no name: it may be asked several times in one statement
BEGIN
    IF p_labels <> '{}' THEN
        OPEN v_sets FOR
            SELECT x.*
              FROM monitoring.alert_label_evaluation_s x
             WHERE x.alert_definition_hk = p_definition_hk AND x.target_name = p_target AND x.labels_id = v_id
               AND x.tenant_hk IS NOT DISTINCT FROM p_tenant_hk AND x.load_end_date IS NULL AND x.evaluated_at <= p_to
             ORDER BY x.evaluated_at;
        FETCH v_sets INTO v_next;
    END IF;
    FOR e IN
        SELECT x.*
          FROM monitoring.alert_evaluation_s x
         WHERE x.alert_definition_hk = p_definition_hk AND x.target_name = p_target
           AND x.tenant_hk IS NOT DISTINCT FROM p_tenant_hk AND x.load_end_date IS NULL
           AND x.evaluated_at >= p_from AND x.evaluated_at <= p_to
         ORDER BY x.evaluated_at
    LOOP
        IF p_labels <> '{}' THEN
            WHILE v_next.evaluated_at <= e.evaluated_at LOOP
                v_set := v_next;
                FETCH v_sets INTO v_next;
            END LOOP;
            CONTINUE WHEN v_set.evaluated_at IS NULL;  -- the label set was not known yet
            e.definition_load_date := v_set.definition_load_date;
            e.result := v_set.result;
            e.result_since := v_set.result_since;
            e.clear_since := v_set.clear_since;
            e.evaluated_value := v_set.evaluated_value;
            e.inputs := v_set.inputs;
            e.reason := v_set.reason;
            e.decision := v_set.decision;
            e.true_looks := v_set.true_looks;
            e.of_looks := v_set.of_looks;
            e.decision_reason := v_set.decision_reason;
        END IF;
        RETURN NEXT e;
    END LOOP;
    IF v_sets IS NOT NULL THEN
        CLOSE v_sets;
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.looks_of(bytea, text, bytea, jsonb, timestamptz, timestamptz) IS
    'The looks of a time, in its order, as rows of alert_evaluation_s. With a label set: each as it was about that one; the values are those of its last change.';

DROP FUNCTION IF EXISTS monitoring.count_looks(monitoring.alert_definition_s, text, bytea, timestamptz, text);

CREATE OR REPLACE FUNCTION monitoring.count_looks(
    p_definition monitoring.alert_definition_s, p_target text, p_tenant_hk bytea, p_at timestamptz, p_result text, p_labels jsonb DEFAULT '{}',
    OUT true_looks integer, OUT of_looks integer)
    LANGUAGE sql STABLE
    AS $$
    -- This look and those before it that knew anything.
    SELECT count(*) FILTER (WHERE known.result = 'TRUE')::integer, count(*)::integer
      FROM (SELECT p_result AS result WHERE p_result IN ('TRUE', 'FALSE')
            UNION ALL
            SELECT k.result
              FROM monitoring.known_results(p_definition.alert_definition_hk, p_target, p_tenant_hk, p_labels, p_at,
                       p_definition.of_looks - (p_result IN ('TRUE', 'FALSE'))::integer) AS k) AS known
    HAVING p_definition.of_looks > 1
    $$;
COMMENT ON FUNCTION monitoring.count_looks(monitoring.alert_definition_s, text, bytea, timestamptz, text, jsonb) IS
    'Of the last of_looks looks that knew anything, the one at p_at with p_result included: how many were TRUE. NULLs where each look decides alone.';
