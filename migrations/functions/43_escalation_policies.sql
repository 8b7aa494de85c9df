-- Escalation policies: who is paged when, as long as nobody answers. What contradicts itself is refused when it
-- is written; a policy then travels with its alerts, whose workflows follow it also while the vault is down.

CREATE OR REPLACE FUNCTION monitoring.policy_problem(p_policy text, p_field text, p_problem text, p_remedy text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    RAISE EXCEPTION 'escalation policy "%": % %', p_policy, p_field, p_problem USING ERRCODE = '22023', HINT = p_remedy;
END
$$;
COMMENT ON FUNCTION monitoring.policy_problem(text, text, text, text) IS 'Raises 22023: what is wrong with which field of a policy, and what to do.';

CREATE OR REPLACE FUNCTION monitoring.require_whole_number(
    p_policy text, p_field text, p_value jsonb, p_least integer, p_most integer, p_default integer) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    IF p_value IS NULL THEN
        RETURN p_default;
    END IF;
    IF jsonb_typeof(p_value) <> 'number' OR p_value::numeric <> trunc(p_value::numeric) OR p_value::numeric NOT BETWEEN p_least AND p_most THEN
        PERFORM monitoring.policy_problem(p_policy, p_field, format('is %s', p_value), format('Give a whole number from %s to %s.', p_least, p_most));
    END IF;
    RETURN p_value::numeric::integer;
END
$$;
COMMENT ON FUNCTION monitoring.require_whole_number(text, text, jsonb, integer, integer, integer) IS
    'A number of a policy, or its default where it is not given; raises 22023 for what is no whole number within bounds.';

CREATE OR REPLACE FUNCTION monitoring.check_escalation_policy() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    c_types   text[] := ARRAY['EMAIL', 'SLACK', 'SMS', 'VOICE', 'WEBHOOK', 'PAGERDUTY'];
    c_fields  text[] := ARRAY['after_minutes', 'channels', 'repeat', 'every_minutes'];
    v_key     text := (SELECT h.escalation_policy_bk FROM monitoring.escalation_policy_h h WHERE h.escalation_policy_hk = NEW.escalation_policy_hk);
    v_level   jsonb;
    v_place   text;
    v_word    text;
    v_count   integer;
    v_after   integer;
    v_until   integer := -1;  -- when the last page of the level before goes out
    v_repeat  integer;
    v_every   integer;
    v_other   text;
BEGIN
    IF NEW.load_end_date IS NOT NULL THEN
        RETURN NEW;  -- a version that is history already, loaded from elsewhere: it was legal in its time
    END IF;
    IF btrim(NEW.policy_name) = '' THEN
        PERFORM monitoring.policy_problem(v_key, 'policy_name', 'is empty', 'Give the name that people call it by.');
    END IF;
    IF jsonb_typeof(NEW.escalation_levels) <> 'array' OR jsonb_array_length(NEW.escalation_levels) NOT BETWEEN 1 AND 20 THEN
        PERFORM monitoring.policy_problem(v_key, 'escalation_levels', 'is no list of 1 to 20 levels',
            'Write [{"channels": ["SLACK"]}, {"after_minutes": 15, "channels": ["EMAIL"]}].');
    END IF;

    FOR v_count IN 0 .. jsonb_array_length(NEW.escalation_levels) - 1 LOOP
        v_level := NEW.escalation_levels -> v_count;
        v_place := format('escalation_levels[%s]', v_count);
        IF jsonb_typeof(v_level) <> 'object' THEN
            PERFORM monitoring.policy_problem(v_key, v_place, format('is %s', v_level), 'Write {"after_minutes": 15, "channels": ["EMAIL"]}.');
        END IF;
        FOR v_word IN SELECT k FROM jsonb_object_keys(v_level) AS k WHERE k <> ALL (c_fields) LOOP
            PERFORM monitoring.policy_problem(v_key, v_place || '.' || v_word, 'is unknown', 'Use ' || array_to_string(c_fields, ', ') || '.');
        END LOOP;

        v_after := monitoring.require_whole_number(v_key, v_place || '.after_minutes', v_level -> 'after_minutes', 0, 43200, CASE v_count WHEN 0 THEN 0 END);
        IF v_after IS NULL THEN
            PERFORM monitoring.policy_problem(v_key, v_place || '.after_minutes', 'is missing', 'Say how many minutes after the firing it is paged.');
        END IF;
        IF v_count = 0 AND v_after <> 0 THEN
            PERFORM monitoring.policy_problem(v_key, v_place || '.after_minutes', format('is %s', v_after),
                'The first level is paged at once: leave it out. Who wants to wait gives the definition pending_minutes.');
        END IF;
        IF v_after <= v_until THEN
            PERFORM monitoring.policy_problem(v_key, v_place || '.after_minutes', format('is %s, but level %s pages until minute %s', v_after, v_count - 1, v_until),
                format('Give %s or more, or repeat level %s less.', v_until + 1, v_count - 1));
        END IF;
        v_repeat := monitoring.require_whole_number(v_key, v_place || '.repeat', v_level -> 'repeat', 0, 100, 0);
        v_every := monitoring.require_whole_number(v_key, v_place || '.every_minutes', v_level -> 'every_minutes', 1, 1440, NULL);
        IF v_repeat > 0 AND v_every IS NULL THEN
            PERFORM monitoring.policy_problem(v_key, v_place || '.every_minutes', format('is missing, but repeat is %s', v_repeat), 'Say how many minutes lie between two pages.');
        END IF;
        v_until := v_after + v_repeat * coalesce(v_every, 0);

        IF v_level ? 'channels' AND (jsonb_typeof(v_level -> 'channels') <> 'array' OR jsonb_array_length(v_level -> 'channels') = 0) THEN
            PERFORM monitoring.policy_problem(v_key, v_place || '.channels', format('is %s', v_level -> 'channels'),
                'Write a list such as ["EMAIL", "ONCALL_SLACK"], or leave it out: then every channel that hears the definition is paged.');
        END IF;
        FOR v_word IN SELECT btrim(x #>> '{}') FROM jsonb_array_elements(v_level -> 'channels') AS x LOOP
            CONTINUE WHEN v_word = ANY (c_types) OR EXISTS (SELECT FROM monitoring.notification_config_h h WHERE h.notification_config_bk = v_word);
            PERFORM monitoring.policy_problem(v_key, v_place || '.channels', format('names the unknown channel "%s"', v_word),
                format('Use a type (%s) or the key of a channel%s.', array_to_string(c_types, ', '),
                       (SELECT ': ' || string_agg(h.notification_config_bk, ', ' ORDER BY h.notification_config_bk) FROM monitoring.notification_config_h h)));
        END LOOP;
    END LOOP;

    PERFORM monitoring.require_whole_number(v_key, 'repeat_times', to_jsonb(NEW.repeat_times), 0, 100, 0);
    IF NEW.repeat_times > 0 AND NEW.repeat_every_minutes <= v_until - v_after OR NEW.repeat_every_minutes NOT BETWEEN 0 AND 43200 THEN
        PERFORM monitoring.policy_problem(v_key, 'repeat_every_minutes', format('is %s, but the last level pages for %s minutes', NEW.repeat_every_minutes, v_until - v_after),
            format('Give %s to 43200.', v_until - v_after + 1));
    END IF;
    FOREACH v_word IN ARRAY coalesce(NEW.default_for_severities, '{}') LOOP
        IF v_word NOT IN ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL') THEN
            PERFORM monitoring.policy_problem(v_key, 'default_for_severities', format('names "%s"', v_word), 'Use LOW, MEDIUM, HIGH or CRITICAL.');
        END IF;
        SELECT h.escalation_policy_bk INTO v_other
          FROM monitoring.escalation_policy_s s
          JOIN monitoring.escalation_policy_h h USING (escalation_policy_hk)
          JOIN monitoring.escalation_policy_h own ON own.escalation_policy_hk = NEW.escalation_policy_hk
         WHERE s.load_end_date IS NULL AND s.is_enabled AND NEW.is_enabled AND v_word = ANY (s.default_for_severities)
           AND s.escalation_policy_hk <> NEW.escalation_policy_hk AND h.tenant_hk IS NOT DISTINCT FROM own.tenant_hk
         LIMIT 1;
        IF FOUND THEN
            PERFORM monitoring.policy_problem(v_key, 'default_for_severities', format('names %s, of which "%s" is the default', v_word, v_other),
                format('Take %s out of one of them.', v_word));
        END IF;
    END LOOP;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_escalation_policy() IS
    'Trigger of escalation_policy_s: refuses a policy that contradicts itself or names a channel that there is not.';
CREATE OR REPLACE TRIGGER t10_check_escalation_policy BEFORE INSERT ON monitoring.escalation_policy_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_escalation_policy();

CREATE OR REPLACE FUNCTION monitoring.check_policy_of_definition() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NEW.load_end_date IS NULL AND NEW.escalation_policy IS NOT NULL
       AND NOT EXISTS (SELECT FROM monitoring.escalation_policy_h h
                         JOIN monitoring.escalation_policy_s s ON s.escalation_policy_hk = h.escalation_policy_hk AND s.load_end_date IS NULL
                         JOIN monitoring.alert_definition_h d ON d.alert_definition_hk = NEW.alert_definition_hk
                        WHERE h.escalation_policy_bk = NEW.escalation_policy AND (h.tenant_hk IS NULL OR h.tenant_hk = d.tenant_hk)) THEN
        RAISE EXCEPTION 'escalation_policy "%" of alert definition "%" is unknown', NEW.escalation_policy, NEW.alert_name
            USING ERRCODE = '22023', HINT = coalesce(
                (SELECT 'Use one of: ' || string_agg(h.escalation_policy_bk, ', ' ORDER BY h.escalation_policy_bk) || '.' FROM monitoring.escalation_policy_h h),
                'There is none yet: `onevault policy apply FILE` brings some.');
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_policy_of_definition() IS
    'Trigger of alert_definition_s: refuses a definition whose escalation policy there is not.';
CREATE OR REPLACE TRIGGER t15_check_policy_of_definition BEFORE INSERT ON monitoring.alert_definition_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_policy_of_definition();

CREATE OR REPLACE FUNCTION monitoring.escalation_policy_of(p_definition monitoring.alert_definition_s, p_at timestamptz) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
    SELECT jsonb_build_object('key', h.escalation_policy_bk, 'version', s.load_date, 'levels', s.escalation_levels,
                              'repeat_times', s.repeat_times, 'repeat_every_minutes', s.repeat_every_minutes)
      FROM monitoring.alert_definition_h d
      JOIN monitoring.escalation_policy_h h ON h.tenant_hk IS NULL OR h.tenant_hk = d.tenant_hk
      JOIN monitoring.escalation_policy_s s USING (escalation_policy_hk)
     WHERE d.alert_definition_hk = p_definition.alert_definition_hk
       AND s.load_date <= p_at AND (s.load_end_date IS NULL OR s.load_end_date > p_at)
       AND s.is_enabled
       AND (h.escalation_policy_bk = p_definition.escalation_policy
            OR p_definition.escalation_enabled AND p_definition.alert_severity = ANY (s.default_for_severities))
     -- The one that it names, or else a default: the tenant's own before everybody's.
     ORDER BY h.escalation_policy_bk = p_definition.escalation_policy DESC NULLS LAST, h.tenant_hk IS NULL
     LIMIT 1
    $$;
COMMENT ON FUNCTION monitoring.escalation_policy_of(monitoring.alert_definition_s, timestamptz) IS
    'The escalation policy that a version of a definition follows, as it stood at a moment: {key, version, levels, repeat_times, repeat_every_minutes}; NULL: none, everybody is told again after each escalation_delay_minutes.';

CREATE OR REPLACE FUNCTION monitoring.escalation_policy_of_alert(p_alert_instance_hk bytea) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
    SELECT monitoring.escalation_policy_of(d, coalesce(s.reopened_timestamp, s.triggered_timestamp))
      FROM monitoring.alert_instance_h h
      JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
      JOIN monitoring.alert_definition_s d ON d.alert_definition_hk = h.alert_definition_hk
     WHERE h.alert_instance_hk = p_alert_instance_hk
     ORDER BY d.load_date = (s.trigger_details ->> 'definition_load_date')::timestamptz DESC NULLS LAST, d.load_end_date IS NULL DESC
     LIMIT 1
    $$;
COMMENT ON FUNCTION monitoring.escalation_policy_of_alert(bytea) IS
    'The escalation policy that an alert follows: that of its definition, both as they were when it fired, or fired again.';
